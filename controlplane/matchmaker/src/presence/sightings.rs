//! Where clients were in the last ten minutes: their mobility.

use std::time::Duration;

use dot11::MacAddr;

use crate::memory::{Seed, hash_pair};

/// Radios that count.
const RADIOS: usize = 8;
/// Time is counted in so many seconds.
const TICK: u64 = 8;
/// Connected devices are looked up again once a minute: one not heard of for longer is on its way.
const NOW: u16 = (90 / TICK) as u16;
/// What counts, in ticks: ten minutes.
const MEMORY: u16 = (600 / TICK) as u16;

/// The last radios of a client: the next number of its place, or zero, and when it was there.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Trace {
    client: MacAddr,
    at: [u16; RADIOS],
    radios: [u32; RADIOS],
}

const _: () = assert!(size_of::<Trace>() == 64);

const NOBODY: Trace = Trace { client: MacAddr::ZERO, at: [0; RADIOS], radios: [0; RADIOS] };

/// One cache line for a client, in a table that does not grow: a client takes the line of the one that had it.
#[derive(Debug)]
pub(crate) struct Sightings {
    seed: Seed,
    traces: Vec<Trace>,
}

impl Sightings {
    /// Of at most so many clients, or up to half as many.
    pub(crate) fn new(seed: Seed, most: usize) -> Sightings {
        let lines = most.max(2).next_power_of_two() / 2;
        Sightings { seed, traces: vec![NOBODY; lines] }
    }

    /// The client is near the radio. Gives the number of radios that it was near in the last ten minutes, at most eight.
    pub(crate) fn see(&mut self, client: MacAddr, radio: u32, now: Duration) -> u32 {
        let line = self.line(client);
        let trace = &mut self.traces[line];
        if trace.client != client {
            *trace = Trace { client, ..NOBODY };
        }
        let (radio, now) = (radio.wrapping_add(1), (now.as_secs() / TICK) as u16);
        let age = |trace: &Trace, n: usize| {
            if trace.radios[n] == 0 { u16::MAX } else { now.wrapping_sub(trace.at[n]) }
        };
        let known = (0..RADIOS).find(|&n| trace.radios[n] == radio);
        let oldest = || (0..RADIOS).max_by_key(|&n| age(trace, n)).unwrap_or_default();
        let n = known.unwrap_or_else(oldest);
        (trace.radios[n], trace.at[n]) = (radio, now);
        (0..RADIOS).filter(|&n| age(trace, n) < MEMORY).count() as u32
    }

    /// The radio at which the client is, as far as is known: it was heard there just now.
    pub(crate) fn is_at(&self, client: MacAddr, now: Duration) -> Option<u32> {
        let trace = &self.traces[self.line(client)];
        if trace.client != client {
            return None;
        }
        let now = (now.as_secs() / TICK) as u16;
        let seen = (0..RADIOS).filter(|&n| trace.radios[n] != 0 && now.wrapping_sub(trace.at[n]) < NOW);
        seen.min_by_key(|&n| now.wrapping_sub(trace.at[n])).map(|n| trace.radios[n] - 1)
    }

    /// Touches what is known of a client.
    #[inline]
    pub(crate) fn touch(&self, client: MacAddr) -> u64 {
        self.traces[self.line(client)].at[0].into()
    }

    fn line(&self, client: MacAddr) -> usize {
        let [a, b, c, d, e, f] = client.0;
        let hash = hash_pair(self.seed, u64::from_be_bytes([0, 0, a, b, c, d, e, f]), 1 << 60);
        hash as usize & (self.traces.len() - 1)
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
    fn few_clients_are_remembered_and_none_is_taken_for_another() {
        let mut sightings = Sightings::new(Seed::default(), 100);
        for n in 0..10_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            assert_eq!(sightings.see(MacAddr([2, 0, a, b, c, d]), n, Duration::ZERO), 1);
        }
        assert_eq!(sightings.traces.len(), 64);
    }
}
