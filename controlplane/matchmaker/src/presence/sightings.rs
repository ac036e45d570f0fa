//! Where clients were in the last ten minutes: their mobility.

use std::time::Duration;

use dot11::MacAddr;
use hashbrown::HashMap;

use crate::memory::Seed;

/// Radios that count.
const RADIOS: usize = 8;
const MEMORY: Duration = Duration::from_secs(600);

/// The last radios of a client, and when it was there, in seconds.
type Trace = [(u32, u32); RADIOS];

/// Two generations: what was not seen for long enough is forgotten with the older one, and neither grows without bound.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    young: HashMap<MacAddr, Trace, Seed>,
    old: HashMap<MacAddr, Trace, Seed>,
    since: Duration,
    most: usize,
}

impl Sightings {
    /// Of at most twice so many clients.
    pub(crate) fn new(seed: Seed, most: usize) -> Sightings {
        let map = || HashMap::with_hasher(seed);
        Sightings { young: map(), old: map(), since: Duration::ZERO, most }
    }

    /// The client is near the radio. Gives the number of radios that it was near in the last ten minutes, at most eight.
    pub(crate) fn see(&mut self, client: MacAddr, radio: u32, now: Duration) -> u32 {
        if now.saturating_sub(self.since) >= MEMORY || self.young.len() >= self.most {
            self.old = std::mem::replace(&mut self.young, HashMap::with_hasher(*self.old.hasher()));
            self.since = now;
        }
        let Sightings { young, old, .. } = self;
        let trace = young.entry(client).or_insert_with(|| old.remove(&client).unwrap_or_default());
        // Zero is nothing: a place is remembered as the next number.
        let (radio, now) = (radio + 1, now.as_secs() as u32);
        let fresh =
            |&(at, when): &(u32, u32)| at != 0 && u64::from(now.saturating_sub(when)) < MEMORY.as_secs();
        match trace.iter_mut().find(|(at, _)| *at == radio) {
            Some((_, when)) => *when = now,
            None => {
                if let Some(oldest) = trace.iter_mut().min_by_key(|(_, when)| *when) {
                    *oldest = (radio, now);
                }
            }
        }
        trace.iter().filter(|&seen| fresh(seen)).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radios_of_the_last_ten_minutes_count_once() {
        let (mut sightings, phone) = (Sightings::new(Seed::default(), 100), MacAddr([2, 0, 0, 0, 0, 1]));
        let at = Duration::from_secs;
        assert_eq!(sightings.see(phone, 7, at(10)), 1);
        assert_eq!(sightings.see(phone, 7, at(20)), 1);
        assert_eq!(sightings.see(phone, 8, at(300)), 2);
        // The first is forgotten, across generations too.
        assert_eq!(sightings.see(phone, 9, at(620)), 2);
        assert_eq!(sightings.see(phone, 9, at(2_000)), 1);
        for n in 0..20 {
            assert_eq!(sightings.see(phone, 100 + n, at(2_001)), (n + 2).min(8));
        }
    }

    #[test]
    fn few_clients_are_remembered() {
        let mut sightings = Sightings::new(Seed::default(), 100);
        for n in 0..10_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            sightings.see(MacAddr([2, 0, a, b, c, d]), 1, Duration::ZERO);
        }
        assert!(sightings.young.len() + sightings.old.len() <= 200);
    }
}
