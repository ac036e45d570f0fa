//! Token buckets in a table of a fixed size, and the keyed hash that chooses among them.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

/// How much is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once, after a time of nothing.
    pub burst: u32,
}

/// With a secret: who does not know it, and never sees a hash, cannot choose what falls together.
pub(super) struct Keyed(SeedableRandomState);

impl Keyed {
    pub fn new(secret: u64) -> Keyed {
        Keyed(SeedableRandomState::with_seed(secret, SharedSeed::global_fixed()))
    }

    pub fn hash(&self, octets: &[u8]) -> u64 {
        self.0.hash_one(octets)
    }
}

/// One bucket in 1/1000 tokens. It holds what was used, so that zeros are a full one.
#[derive(Clone, Copy, Default)]
pub(super) struct Bucket {
    used: u32,
    /// In milliseconds, modulo 2^32.
    at: u32,
}

impl Bucket {
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let now = now.as_millis() as u32;
        // What looks like half of the range or more is a clock that went back: it refills nothing.
        let elapsed = Some(now.wrapping_sub(self.at)).filter(|elapsed| *elapsed < 1 << 31).unwrap_or(0);
        self.at = now;
        let refilled = u64::from(elapsed) * u64::from(rate.per_second);
        self.used = u64::from(self.used).saturating_sub(refilled) as u32;
        let full = rate.burst.min(u32::MAX / 1000) * 1000;
        let free = self.used.saturating_add(1000) <= full;
        if free {
            self.used += 1000;
        }
        free
    }
}

/// Buckets by hash. Whoever falls into one bucket shares it.
pub(super) struct Buckets {
    rate: Rate,
    buckets: Vec<Bucket>,
}

impl Buckets {
    pub fn new(rate: Rate, buckets: usize) -> Buckets {
        Buckets { rate, buckets: vec![Bucket::default(); buckets.max(1).next_power_of_two()] }
    }

    fn at(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// Reads something of the bucket.
    #[inline]
    pub fn touch(&self, hash: u64) -> u64 {
        self.buckets[self.at(hash)].used.into()
    }

    pub fn take(&mut self, hash: u64, now: Duration) -> bool {
        let at = self.at(hash);
        self.buckets[at].take(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_through_what_its_rate_says() {
        let rate = Rate { per_second: 10, burst: 5 };
        let mut bucket = Bucket::default();
        let mut take = |ms| bucket.take(rate, Duration::from_millis(ms));
        assert!((0..5).all(|_| take(1_000)));
        assert!(!take(1_000) && !take(1_099) && take(1_100) && !take(1_100));
        // A long time fills it once.
        assert!((0..5).all(|_| take(100_000)) && !take(100_000));
        // A clock that is set back does not open it, nor close it for good.
        assert!(!take(50_000) && !take(50_099) && take(50_100));
    }
}
