//! Time as the data plane sees it: monotonic, read once per pass of a worker, then handed around as a value.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on this machine's monotonic clock, in nanoseconds since an arbitrary origin (on Linux: boot). Wraps after 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Time(u64);

impl Time {
    /// The origin; before every time the clock gives.
    pub const ZERO: Self = Self(0);

    /// Reads the clock (`CLOCK_MONOTONIC`, no system call).
    pub fn now() -> Self {
        Self(read(libc::CLOCK_MONOTONIC))
    }

    /// From nanoseconds since the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From microseconds since the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1000)
    }

    /// Nanoseconds since the origin.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds since the origin.
    pub const fn micros(self) -> u64 {
        self.0 / 1000
    }

    /// Time passed since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Later by `rhs`; the end of time if that is beyond it.
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// [`Time::since`].
    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

/// Nanoseconds since the Unix epoch: for captures, which carry the time of day.
pub fn unix_nanos() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer. Both clocks used here exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forward_and_arithmetic_saturates() {
        let first = Time::now();
        assert!(first > Time::ZERO);
        assert!(Time::now() >= first);
        assert_eq!(Time::from_micros(3) + Duration::from_nanos(7), Time::from_nanos(3007));
        assert_eq!(Time::from_nanos(3999).micros(), 3);
        assert_eq!(Time::from_nanos(1) - Time::from_nanos(2), Duration::ZERO);
        assert_eq!(Time::from_nanos(5) - Time::from_nanos(2), Duration::from_nanos(3));
        assert_eq!((Time::from_nanos(5) + Duration::MAX).nanos(), u64::MAX);
    }

    #[test]
    fn the_time_of_day_is_after_this_was_written() {
        assert!(unix_nanos() > 1_700_000_000_000_000_000);
    }
}
