//! Rate limits: token buckets, single and hashed, so that a flood of strangers costs a constant.

use std::time::Duration;

use crate::clock::Time;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    interval: u64,
    burst: u64,
    /// When the bucket will be full again, in nanoseconds: each token taken moves it on by one interval.
    full_at: u64,
}

impl TokenBucket {
    /// Full, with `burst` tokens, refilled with `per_second`. Zero of either is taken as one.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            interval: 1_000_000_000 / u64::from(per_second.max(1)),
            burst: u64::from(burst.max(1)),
            full_at: 0,
        }
    }

    /// Takes a token, if there is one.
    #[inline]
    pub fn take(&mut self, now: Time) -> bool {
        let now = now.nanos();
        let full_at = self.full_at.max(now) + self.interval;
        let allowed = full_at - now <= self.burst * self.interval;
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

/// Lets each of many keys pass once per interval. Memory is fixed: keys that share a place share its time.
#[derive(Debug)]
pub struct HashedLimit {
    interval: Duration,
    free_at: Vec<Time>,
}

impl HashedLimit {
    /// With `places` (rounded up to a power of two).
    pub fn new(places: usize, interval: Duration) -> Self {
        Self { interval, free_at: vec![Time::ZERO; places.next_power_of_two()] }
    }

    /// Whether a key with this hash may pass now; if so, not again for an interval.
    #[inline]
    pub fn take(&mut self, hash: u64, now: Time) -> bool {
        let at = hash as usize & (self.free_at.len() - 1);
        let allowed = now >= self.free_at[at];
        if allowed {
            self.free_at[at] = now + self.interval;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(10, 3);
        let start = Time::from_nanos(5_000_000_000);
        assert_eq!((0..10).filter(|_| bucket.take(start)).count(), 3);
        assert!(!bucket.take(start + Duration::from_millis(99)));
        assert!(bucket.take(start + Duration::from_millis(100)));
        assert!(!bucket.take(start + Duration::from_millis(101)));
        assert_eq!((0..10).filter(|_| bucket.take(start + Duration::from_secs(9))).count(), 3);
    }

    #[test]
    fn a_key_passes_once_per_interval() {
        let mut limit = HashedLimit::new(16, Duration::from_secs(1));
        assert!(limit.take(3, Time::ZERO));
        assert!(!limit.take(3, Time::from_nanos(999_999_999)));
        assert!(limit.take(4, Time::ZERO));
        assert!(limit.take(3, Time::from_nanos(1_000_000_000)));
    }
}
