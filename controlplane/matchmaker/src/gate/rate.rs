//! How much anybody may ask: of one source, of one radio, of one account.

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::memory::Seed;

/// So many in a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; zero: no limit.
    pub per_second: u32,
    /// At once, after a quiet time.
    pub burst: u32,
}

/// The limits of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Of one address.
    pub source: Rate,
    /// Of one radio.
    pub radio: Rate,
    /// Of all peers of an account; those without account count by their source only.
    pub account: Rate,
    /// Addresses remembered.
    pub sources: usize,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates {
            source: Rate { per_second: 2000, burst: 4000 },
            radio: Rate { per_second: 50, burst: 200 },
            account: Rate { per_second: 100_000, burst: 200_000 },
            sources: 65_536,
        }
    }
}

impl Rate {
    /// Whether one more fits, and if not, for how long not. `next` is the state: when the next would fit if there were no bursts
    /// (the virtual scheduling algorithm, ITU-T I.371).
    pub fn admit(self, next: &mut Duration, now: Duration) -> Result<(), Duration> {
        self.admit_share(1, next, now)
    }

    /// The same where several admit by this rate, each its share of it; bursts are of each.
    pub fn admit_share(self, among: u32, next: &mut Duration, now: Duration) -> Result<(), Duration> {
        if self.per_second == 0 {
            return Ok(());
        }
        let interval = Duration::from_secs(among.max(1).into()) / self.per_second;
        let early = interval * self.burst.saturating_sub(1);
        if *next > now + early {
            return Err(*next - now - early);
        }
        *next = (*next).max(now) + interval;
        Ok(())
    }
}

/// States by address, in two generations: what was quiet for long enough is forgotten with the older one.
#[derive(Debug)]
pub(crate) struct Sources {
    young: HashMap<IpAddr, Duration, Seed>,
    old: HashMap<IpAddr, Duration, Seed>,
    most: usize,
}

impl Sources {
    pub(crate) fn new(seed: Seed, most: usize) -> Sources {
        Sources { young: HashMap::with_hasher(seed), old: HashMap::with_hasher(seed), most: most / 2 }
    }

    pub(crate) fn admit(&mut self, source: IpAddr, rate: Rate, now: Duration) -> Result<(), Duration> {
        if self.young.len() > self.most {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let Sources { young, old, .. } = self;
        rate.admit(young.entry(source).or_insert_with(|| old.remove(&source).unwrap_or_default()), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_fit_and_the_rate_holds() {
        let (rate, mut next) = (Rate { per_second: 10, burst: 5 }, Duration::ZERO);
        let mut admitted = 0;
        for ms in 0..10_000 {
            admitted += u32::from(rate.admit(&mut next, Duration::from_millis(ms)).is_ok());
        }
        assert_eq!(admitted, 5 + 99);
        let wait = rate.admit(&mut next, Duration::from_millis(9_999)).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(rate.admit(&mut next, Duration::from_millis(9_999) + wait), Ok(()));
        assert_eq!(Rate { per_second: 0, burst: 0 }.admit(&mut next, Duration::ZERO), Ok(()));
    }

    #[test]
    fn few_sources_are_remembered() {
        let (mut sources, rate) = (Sources::new(Seed::default(), 100), Rate { per_second: 1, burst: 1 });
        for n in 0..10_000u32 {
            assert_eq!(sources.admit(IpAddr::from(n.to_be_bytes()), rate, Duration::ZERO), Ok(()));
        }
        assert!(sources.young.len() + sources.old.len() <= 102);
        assert!(sources.admit(IpAddr::from(9_999u32.to_be_bytes()), rate, Duration::ZERO).is_err());
    }
}
