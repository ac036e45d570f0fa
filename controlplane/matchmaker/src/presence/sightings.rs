//! Where clients were in the last ten minutes: their mobility, and how they were heard there.

use std::time::Duration;

use dot11::MacAddr;

use crate::memory::{Seed, hash_pair};

/// Radios that count.
const RADIOS: usize = 8;
/// The greatest mobility that a policy can demand: with one more nobody would ever be kept out.
pub const MAX_MOBILITY: u32 = RADIOS as u32 - 1;
/// Time is counted in so many seconds.
const TICK: u64 = 8;
/// Connected devices are looked up again once a minute: one not heard of for longer is on its way.
const NOW: u16 = (90 / TICK) as u16;
/// What counts, in ticks: ten minutes.
const MEMORY: u16 = (600 / TICK) as u16;

/// The last radios of a client: the next number of its place, or zero, when it was there, and its signal, or zero.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Trace {
    client: MacAddr,
    at: [u16; RADIOS],
    radios: [u32; RADIOS],
    rssi_dbm: [i8; RADIOS],
}

const _: () = assert!(size_of::<Trace>() == 64);

const NOBODY: Trace =
    Trace { client: MacAddr::ZERO, at: [0; RADIOS], radios: [0; RADIOS], rssi_dbm: [0; RADIOS] };

/// How a client was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The place of the radio.
    pub(crate) radio: u32,
    /// Its signal, if the radio said it.
    pub(crate) rssi_dbm: Option<i8>,
    /// So long ago, to a few seconds.
    pub(crate) age: Duration,
}

/// One cache line for a client, in a table that does not grow: a client takes the line of the one that had it.
#[derive(Debug)]
pub(crate) struct Sightings {
    seed: Seed,
    traces: Vec<Trace>,
}

impl Sightings {
    /// Of at most so many clients, or up to half as many.
    pub(crate) fn new(seed: Seed, most: usize) -> Sightings {
        // The power of two that is not above it.
        let lines = 1 << most.max(1).ilog2();
        Sightings { seed, traces: vec![NOBODY; lines] }
    }

    /// The client is near the radio, however strong: what was heard of it a moment ago still holds.
    pub(crate) fn see(&mut self, client: MacAddr, radio: u32, now: Duration) -> u32 {
        let lately = |heard: &Heard| heard.age.as_secs() <= TICK;
        let heard = self.heard_at(client, radio, now).filter(lately);
        self.hear(client, radio, heard.and_then(|heard| heard.rssi_dbm), now)
    }

    /// The client is near the radio. Gives the number of radios that it was near in the last ten minutes, at most eight.
    #[inline]
    pub(crate) fn hear(&mut self, client: MacAddr, radio: u32, rssi_dbm: Option<i8>, now: Duration) -> u32 {
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
        (trace.radios[n], trace.at[n], trace.rssi_dbm[n]) = (radio, now, rssi_dbm.unwrap_or_default());
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

    /// The radios at which it was heard in the last 80 seconds.
    pub(crate) fn lately(&self, client: MacAddr, now: Duration) -> impl Iterator<Item = u32> {
        let lately = |heard: &Heard| heard.age.as_secs() < u64::from(NOW) * TICK;
        self.heard(client, now).filter(lately).map(|heard| heard.radio)
    }

    /// How the client was heard at the radio in the last ten minutes.
    pub(crate) fn heard_at(&self, client: MacAddr, radio: u32, now: Duration) -> Option<Heard> {
        self.heard(client, now).find(|heard| heard.radio == radio)
    }

    /// How it was heard last, wherever.
    pub(crate) fn heard_last(&self, client: MacAddr, now: Duration) -> Option<Heard> {
        self.heard(client, now).min_by_key(|heard| heard.age)
    }

    /// How many radios it was near in the last ten minutes; zero: it was not heard.
    pub(crate) fn mobility(&self, client: MacAddr, now: Duration) -> u32 {
        self.heard(client, now).count() as u32
    }

    fn heard(&self, client: MacAddr, now: Duration) -> impl Iterator<Item = Heard> {
        let trace = &self.traces[self.line(client)];
        let now = (now.as_secs() / TICK) as u16;
        let age = move |n: usize| now.wrapping_sub(trace.at[n]);
        let known = trace.client == client;
        (0..RADIOS).filter(move |&n| known && trace.radios[n] != 0 && age(n) < MEMORY).map(move |n| Heard {
            radio: trace.radios[n] - 1,
            rssi_dbm: Some(trace.rssi_dbm[n]).filter(|&dbm| dbm != 0),
            age: Duration::from_secs(u64::from(age(n)) * TICK),
        })
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
    fn how_a_client_was_heard_is_known_for_ten_minutes() {
        let (mut sightings, phone) = (Sightings::new(Seed::default(), 100), MacAddr([2, 0, 0, 0, 0, 1]));
        let at = Duration::from_secs;
        sightings.hear(phone, 7, Some(-78), at(16));
        sightings.hear(phone, 8, None, at(32));
        let heard = |sightings: &Sightings, radio, now| {
            sightings.heard_at(phone, radio, at(now)).map(|heard| (heard.rssi_dbm, heard.age.as_secs()))
        };
        assert_eq!(heard(&sightings, 7, 40), Some((Some(-78), 24)));
        assert_eq!(heard(&sightings, 8, 40), Some((None, 8)));
        assert_eq!((heard(&sightings, 9, 40), heard(&sightings, 7, 700)), (None, None));
        assert_eq!(sightings.heard_last(phone, at(40)).map(|heard| heard.radio), Some(8));
        // Seen again without a signal: the old one is none any more, but one of a moment ago is.
        sightings.see(phone, 7, at(48));
        assert_eq!(heard(&sightings, 7, 48), Some((None, 0)));
        sightings.hear(phone, 7, Some(-60), at(56));
        sightings.see(phone, 7, at(64));
        assert_eq!((heard(&sightings, 7, 64), sightings.mobility(phone, at(64))), (Some((Some(-60), 0)), 2));
        assert_eq!(sightings.mobility(MacAddr([2, 0, 0, 0, 0, 2]), at(64)), 0);
    }

    #[test]
    fn few_clients_are_remembered_and_none_is_taken_for_another() {
        let mut sightings = Sightings::new(Seed::default(), 100);
        for n in 0..10_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            assert_eq!(sightings.see(MacAddr([2, 0, a, b, c, d]), n, Duration::ZERO), 1);
        }
        let lines = |most| Sightings::new(Seed::default(), most).traces.len();
        assert_eq!([0, 1, 100, 127, 128].map(lines), [1, 1, 64, 64, 128]);
    }
}
