//! Limits on attempts: a device that fails too often is refused for a growing interval.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use dot11::MacAddr;

use crate::Time;

/// How many failures a device may have, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failures after which the device is blocked; 0 never blocks.
    pub max_failures: u32,
    /// A device that has not failed for so long starts with a clean sheet.
    pub window: Duration,
    /// The first block; each further one lasts twice as long.
    pub block: Duration,
    /// The longest block. So long after a block has ended, the next is a first one again.
    pub max_block: Duration,
    /// Devices remembered; the one that would be forgotten first makes room.
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
    entries: HashMap<MacAddr, Entry>,
    /// The same devices by when they are forgotten.
    forget: BTreeSet<(Time, MacAddr)>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Failures since the last block.
    failures: u32,
    blocks: u32,
    blocked_until: Option<Time>,
    forget: Time,
}

impl FailureTable {
    /// An empty table.
    pub fn new(limits: Limits) -> FailureTable {
        FailureTable { limits, entries: HashMap::new(), forget: BTreeSet::new() }
    }

    /// Until when the device is refused, if it is.
    pub fn blocked(&self, now: Time, mac: MacAddr) -> Option<Time> {
        self.entries.get(&mac)?.blocked_until.filter(|until| *until > now)
    }

    /// Counts a failure. When it was one too many: until when the device is refused.
    pub fn failed(&mut self, now: Time, mac: MacAddr) -> Option<Time> {
        self.expire(now);
        if self.limits.max_failures == 0 || self.limits.capacity == 0 {
            return None;
        }
        let limits = &self.limits;
        let mut entry = self.entries.remove(&mac).unwrap_or_default();
        self.forget.remove(&(entry.forget, mac));

        entry.failures += 1;
        // A block remembered for its length may outlive the window of the failures after it; keep the later of the two.
        entry.forget = entry.forget.max(now + limits.window);
        let mut blocked = None;
        if entry.failures >= limits.max_failures {
            let until = now + block_length(limits, entry.blocks);
            entry.failures = 0;
            entry.blocks = entry.blocks.saturating_add(1);
            entry.blocked_until = Some(until);
            entry.forget = until + limits.max_block;
            blocked = Some(until);
        }

        if self.entries.len() >= self.limits.capacity
            && let Some((_, oldest)) = self.forget.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.forget.insert((entry.forget, mac));
        self.entries.insert(mac, entry);
        blocked
    }

    /// Forgets the device: it proved who it is, or an administrator says so.
    pub fn clear(&mut self, mac: MacAddr) {
        if let Some(entry) = self.entries.remove(&mac) {
            self.forget.remove(&(entry.forget, mac));
        }
    }

    /// Devices now blocked, and until when.
    pub fn iter_blocked(&self, now: Time) -> impl Iterator<Item = (MacAddr, Time)> + '_ {
        self.entries.iter().filter_map(move |(mac, entry)| {
            entry.blocked_until.filter(|until| *until > now).map(|until| (*mac, until))
        })
    }

    fn expire(&mut self, now: Time) {
        while let Some((at, mac)) = self.forget.first().copied()
            && at <= now
        {
            self.forget.pop_first();
            self.entries.remove(&mac);
        }
    }
}

fn block_length(limits: &Limits, blocks_before: u32) -> Duration {
    limits.block.saturating_mul(1_u32.checked_shl(blocks_before).unwrap_or(u32::MAX)).min(limits.max_block)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn limits() -> Limits {
        Limits {
            max_failures: 2,
            window: Duration::from_secs(100),
            block: Duration::from_secs(10),
            max_block: Duration::from_secs(30),
            capacity: 3,
        }
    }

    #[test]
    fn blocks_grow_up_to_the_longest() {
        let mut table = FailureTable::new(limits());
        let mut now = at(1);
        for expected in [10, 20, 30, 30] {
            assert_eq!(table.failed(now, MAC), None);
            let until = table.failed(now, MAC).expect("the second failure blocks");
            assert_eq!(until - now, Duration::from_secs(expected));
            assert_eq!(table.blocked(now, MAC), Some(until));
            assert_eq!(table.iter_blocked(now).collect::<Vec<_>>(), [(MAC, until)]);
            assert_eq!(table.blocked(until, MAC), None);
            now = until;
        }
        // Long enough after the last block, the next is a first one.
        now = now + Duration::from_secs(100);
        table.failed(now, MAC);
        assert_eq!(table.failed(now, MAC), Some(now + Duration::from_secs(10)));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let mut table = FailureTable::new(limits());
        assert_eq!(table.failed(at(1), MAC), None);
        assert_eq!(table.failed(at(101), MAC), None);
        assert!(table.failed(at(102), MAC).is_some());
    }

    #[test]
    fn proof_clears_the_sheet() {
        let mut table = FailureTable::new(limits());
        table.failed(at(1), MAC);
        table.clear(MAC);
        assert_eq!(table.failed(at(2), MAC), None);
    }

    #[test]
    fn memory_is_bounded_and_a_block_outlives_a_flood_of_other_devices() {
        let mut table = FailureTable::new(Limits { max_block: Duration::from_secs(1000), ..limits() });
        table.failed(at(1), MAC);
        table.failed(at(1), MAC);
        for n in 0..100 {
            table.failed(at(2), MacAddr([2, 0, 0, 0, 1, n]));
            assert!(table.entries.len() <= 3 && table.entries.len() == table.forget.len());
        }
        assert!(table.blocked(at(3), MAC).is_some());
    }

    #[test]
    fn nobody_is_blocked_without_a_limit() {
        let mut table = FailureTable::new(Limits { max_failures: 0, ..limits() });
        assert!((0..100).all(|_| table.failed(at(1), MAC).is_none()));
    }
}
