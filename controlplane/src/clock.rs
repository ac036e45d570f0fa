//! The process's clock: wall time made monotone, so that what a snapshot says still holds in the next process.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use authenticator::Time;

/// Reads the clock; the state machines are handed what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// Wall time at `start`.
    base: Duration,
}

impl Clock {
    pub fn new() -> Self {
        let base = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), base }
    }

    /// Microseconds since 1970; never runs backwards within a process.
    pub fn now(self) -> Time {
        Time::default() + (self.base + self.start.elapsed())
    }

    /// When `time` comes, as tokio counts.
    pub fn instant(self, time: Time) -> tokio::time::Instant {
        let start = Time::default() + self.base;
        (self.start + time.since(start)).into()
    }
}

/// Milliseconds since 1970, as the admin API counts.
pub(crate) fn unix_ms(time: Time) -> i64 {
    i64::try_from(time.0 / 1000).unwrap_or(i64::MAX)
}
