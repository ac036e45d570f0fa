//! Devices that failed to authenticate: refused, longer each time, forgiven after they were quiet. Where they are refused depends on who says
//! that they failed: [`Matchmaker::report_failures`](crate::Matchmaker::report_failures).

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashMap;

use crate::memory::Seed;

/// How a failing device is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strikes {
    /// A report of so many failures in a row is a strike. How many are too many is for the service to say: it reports no sooner.
    pub failures: u32,
    /// A device is refused so long after the first strike, and twice as long after each further one.
    pub first: Duration,
    /// But never longer than this.
    pub longest: Duration,
    /// Its strikes are forgotten when it was not refused for so long.
    pub forgiven: Duration,
    /// Devices remembered; then the one whose last strike is the oldest is forgotten.
    pub devices: usize,
}

impl Default for Strikes {
    fn default() -> Strikes {
        Strikes {
            failures: 1,
            first: Duration::from_secs(60),
            longest: Duration::from_secs(24 * 3600),
            forgiven: Duration::from_secs(24 * 3600),
            devices: 65_536,
        }
    }
}

/// What is known of a device that failed too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struck {
    /// How often it was refused; zero: it was forgiven.
    pub strikes: u32,
    /// It is refused until then.
    pub until: Duration,
    /// When that was decided.
    pub at: Duration,
}

/// By device, or by device and where it is refused.
#[derive(Debug)]
pub(crate) struct Failures<K> {
    rules: Strikes,
    /// With the number of what was decided last.
    devices: HashMap<K, (Struck, u64), Seed>,
    order: BTreeMap<u64, K>,
    last: u64,
}

impl<K: Copy + Eq + Hash> Failures<K> {
    pub(crate) fn new(seed: Seed, rules: Strikes) -> Failures<K> {
        Failures { rules, devices: HashMap::with_hasher(seed), order: BTreeMap::new(), last: 0 }
    }

    /// A gateway reports so many failures in a row. Gives until when the device is refused. A report about a device that is
    /// refused already is an old one, or a repetition, and changes nothing.
    pub(crate) fn report(&mut self, client: K, failures: u32, now: Duration) -> Option<Duration> {
        if let Some(until) = self.refused(client, now) {
            return Some(until);
        }
        if failures < self.rules.failures {
            return None;
        }
        let before = self.get(client).filter(|struck| now < struck.until + self.rules.forgiven);
        let strikes = before.map_or(0, |struck| struck.strikes) + 1;
        let times = 1u32.checked_shl(strikes - 1).unwrap_or(u32::MAX);
        let until = now + self.rules.first.saturating_mul(times).min(self.rules.longest);
        self.put(client, Struck { strikes, until, at: now });
        Some(until)
    }

    /// What is known of a device.
    pub(crate) fn get(&self, client: K) -> Option<Struck> {
        self.devices.get(&client).map(|(struck, _)| *struck)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, Struck)> {
        self.devices.iter().map(|(client, (struck, _))| (*client, *struck))
    }

    /// Somebody else decided this. Whether it is later than what was decided here.
    pub(crate) fn adopt(&mut self, client: K, struck: Struck) -> bool {
        let later = self.get(client).is_none_or(|known| known.at < struck.at);
        if later {
            self.put(client, struck);
        }
        later
    }

    fn put(&mut self, client: K, struck: Struck) {
        self.last += 1;
        self.order.insert(self.last, client);
        if let Some((_, before)) = self.devices.insert(client, (struck, self.last)) {
            self.order.remove(&before);
        } else if self.order.len() > self.rules.devices
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.devices.remove(&oldest);
        }
    }

    /// Until when it is refused, if it is.
    #[inline]
    pub(crate) fn refused(&self, client: K, now: Duration) -> Option<Duration> {
        if self.devices.is_empty() {
            return None;
        }
        self.get(client).map(|struck| struck.until).filter(|&until| now < until)
    }

    /// Somebody knows better. That is remembered, so that an earlier word of another matchmaker does not undo it.
    pub(crate) fn forgive(&mut self, client: K, now: Duration) {
        self.put(client, Struck { strikes: 0, until: Duration::ZERO, at: now });
    }
}

#[cfg(test)]
mod tests {
    use dot11::MacAddr;

    use super::*;

    const PHONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn refusals_double_up_to_a_day_and_are_forgiven_after_a_quiet_one() {
        let rules = Strikes { failures: 5, ..Strikes::default() };
        let mut failures = Failures::new(Seed::default(), rules);
        assert_eq!(failures.report(PHONE, 4, at(0)), None);
        assert_eq!(failures.report(PHONE, 5, at(0)), Some(at(60)));
        // Repetitions change nothing.
        assert_eq!(failures.report(PHONE, 5, at(1)), Some(at(60)));
        assert_eq!((failures.refused(PHONE, at(59)), failures.refused(PHONE, at(60))), (Some(at(60)), None));
        let mut now = at(60);
        for interval in [120, 240, 480, 960, 1920, 3840, 7680, 15_360, 30_720, 61_440, 86_400, 86_400] {
            assert_eq!(failures.report(PHONE, 9, now), Some(now + at(interval)));
            now += at(interval);
        }
        assert_eq!(failures.report(PHONE, 5, now + at(86_400)), Some(now + at(86_400 + 60)));
        let now = now + at(86_401);
        failures.forgive(PHONE, now);
        assert_eq!(failures.refused(PHONE, now), None);
        // It begins anew.
        assert_eq!(failures.report(PHONE, 5, now), Some(now + at(60)));
    }

    #[test]
    fn of_two_words_the_later_counts() {
        let mut failures = Failures::new(Seed::default(), Strikes::default());
        let struck = |strikes, until, decided| Struck { strikes, until: at(until), at: at(decided) };
        assert!(failures.adopt(PHONE, struck(3, 500, 100)));
        assert!(!failures.adopt(PHONE, struck(1, 160, 100)) && !failures.adopt(PHONE, struck(1, 150, 90)));
        assert_eq!(failures.refused(PHONE, at(499)), Some(at(500)));
        failures.forgive(PHONE, at(200));
        assert!(!failures.adopt(PHONE, struck(3, 500, 100)));
        assert_eq!(failures.refused(PHONE, at(201)), None);
        assert!(failures.adopt(PHONE, struck(1, 360, 300)));
        assert_eq!(failures.iter().count(), 1);
    }

    #[test]
    fn only_so_many_devices_are_remembered() {
        let rules = Strikes { devices: 2, ..Strikes::default() };
        let mut failures = Failures::new(Seed::default(), rules);
        for n in 1..=3 {
            failures.report(MacAddr([2, 0, 0, 0, 0, n]), 5, at(0));
        }
        assert_eq!((failures.devices.len(), failures.order.len()), (2, 2));
        assert_eq!(failures.refused(PHONE, at(1)), None);
    }

    #[test]
    fn who_fails_again_and_again_is_remembered_longest() {
        let rules = Strikes { devices: 2, ..Strikes::default() };
        let mut failures = Failures::new(Seed::default(), rules);
        failures.report(PHONE, 5, at(0));
        failures.report(MacAddr([2, 0, 0, 0, 0, 2]), 5, at(10));
        failures.report(PHONE, 5, at(60));
        failures.report(MacAddr([2, 0, 0, 0, 0, 3]), 5, at(61));
        assert_eq!(failures.refused(PHONE, at(62)), Some(at(180)));
        assert_eq!((failures.devices.len(), failures.order.len()), (2, 2));
    }
}
