//! Limits on attempts: a device that fails too often is refused for a growing interval.

use std::time::Duration;

use crate::{MacAddr, Time};

/// How many failures a device may have, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failures after which the device is blocked.
    pub max_failures: u32,
    /// Failures older than this are forgotten.
    pub window: Duration,
    /// The first block; each further one lasts twice as long.
    pub block: Duration,
    /// The longest block.
    pub max_block: Duration,
    /// Devices remembered; the one that failed longest ago goes first.
    pub capacity: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_failures: 5,
            window: Duration::from_secs(600),
            block: Duration::from_secs(60),
            max_block: Duration::from_secs(3600),
            capacity: 65_536,
        }
    }
}

/// Who failed how often at one service.
#[derive(Debug)]
pub struct FailureTable {
    limits: Limits,
}

impl FailureTable {
    /// An empty table.
    pub fn new(limits: Limits) -> FailureTable {
        FailureTable { limits }
    }

    /// Until when the device is refused, if it is.
    pub fn blocked(&self, _now: Time, _mac: MacAddr) -> Option<Time> {
        None
    }

    /// Counts a failure. When it was one too many: until when the device is refused.
    pub fn failed(&mut self, _now: Time, _mac: MacAddr) -> Option<Time> {
        let _ = &self.limits;
        None
    }

    /// Forgets the device: it proved who it is, or an administrator says so.
    pub fn clear(&mut self, _mac: MacAddr) {}

    /// Devices now blocked, and until when.
    pub fn iter_blocked(&self, _now: Time) -> impl Iterator<Item = (MacAddr, Time)> + '_ {
        std::iter::empty()
    }
}
