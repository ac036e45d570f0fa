//! Pairwise master keys of devices that were here: PMKSA caching (802.11-2020 §12.6.10.3) for one service.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use dot11::MacAddr;
use dot11::rsn::{Akm, Pmk};

use crate::codec::{Reader, Writer};
use crate::{RestoreError, Time};

/// A PMK and what was decided when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedPmk {
    /// The key.
    pub pmk: Pmk,
    /// The AKM it was made under; it is good for no other.
    pub akm: Akm,
    /// The BSS it was made on.
    pub bssid: MacAddr,
    /// When it was made.
    pub made: Time,
    /// When it is no longer good.
    pub expires: Time,
    /// EAP identity, or the User-Name that the server returned.
    pub identity: Vec<u8>,
    /// Class attributes, for accounting.
    pub class: Vec<Vec<u8>>,
    /// VLAN.
    pub vlan: Option<u16>,
    /// Acct-Interim-Interval.
    pub interim_interval: Option<Duration>,
    /// When the session ends by RADIUS's word, and whether it is to authenticate again then rather than to leave.
    pub session_end: Option<(Time, bool)>,
}

/// Of [`CachedPmk::to_octets`].
const VERSION: u8 = 1;

impl CachedPmk {
    /// For another process: with the key, so to be sealed.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut writer = Writer::new(VERSION);
        writer.raw(self.pmk.as_bytes());
        writer.raw(&self.akm.selector());
        writer.raw(&self.bssid.0);
        writer.time(self.made);
        writer.time(self.expires);
        writer.bytes(&self.identity);
        writer.u16(self.class.len().min(usize::from(u16::MAX)) as u16);
        self.class.iter().take(usize::from(u16::MAX)).for_each(|class| writer.bytes(class));
        writer.option(self.vlan, Writer::u16);
        writer.option(self.interim_interval, |w, interval| w.u64(interval.as_secs()));
        writer.option(self.session_end, |w, (at, again)| {
            w.time(at);
            w.bool(again);
        });
        writer.finish()
    }

    /// What [`CachedPmk::to_octets`] made.
    ///
    /// # Errors
    /// Of another version, or not such octets.
    pub fn from_octets(octets: &[u8]) -> Result<CachedPmk, RestoreError> {
        let mut reader = Reader::new(octets, VERSION)?;
        let entry = CachedPmk {
            pmk: Pmk::new(*reader.secret()?),
            akm: Akm::from_selector(reader.array()?),
            bssid: MacAddr(reader.array()?),
            made: reader.time()?,
            expires: reader.time()?,
            identity: reader.bytes()?,
            class: (0..reader.u16()?).map(|_| reader.bytes()).collect::<Result<_, _>>()?,
            vlan: reader.option(Reader::u16)?,
            interim_interval: reader.option(|r| r.u64().map(Duration::from_secs))?,
            session_end: reader.option(|r| Ok((r.time()?, r.bool()?)))?,
        };
        reader.end()?;
        Ok(entry)
    }
}

/// What happened to a device's PMK, for who keeps a copy elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PmkChange {
    /// It was made.
    Made(CachedPmk),
    /// It is good no longer.
    Gone,
}

/// The bounded cache, one entry a device.
#[derive(Debug)]
pub struct PmkCache {
    capacity: usize,
    entries: HashMap<MacAddr, CachedPmk>,
    expiry: BTreeSet<(Time, MacAddr)>,
    /// If somebody wants to know.
    changes: Option<VecDeque<(MacAddr, PmkChange)>>,
}

impl PmkCache {
    /// A cache of at most `capacity` devices; the entry that expires first makes room.
    pub fn new(capacity: usize) -> PmkCache {
        PmkCache { capacity, entries: HashMap::new(), expiry: BTreeSet::new(), changes: None }
    }

    /// From now on [`PmkCache::poll_change`] says what stations did.
    pub fn watch(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// The next change that stations made.
    pub fn poll_change(&mut self) -> Option<(MacAddr, PmkChange)> {
        self.changes.as_mut()?.pop_front()
    }

    /// Keeps a PMK, replacing the device's last.
    pub fn insert(&mut self, mac: MacAddr, entry: CachedPmk) {
        if let Some(changes) = &mut self.changes {
            changes.push_back((mac, PmkChange::Made(entry.clone())));
        }
        self.put(mac, entry);
    }

    /// Keeps a PMK that was made elsewhere, unless the device has one made later. Whether it does keep it.
    pub fn adopt(&mut self, now: Time, mac: MacAddr, entry: CachedPmk) -> bool {
        let later = self.entries.get(&mac).is_none_or(|known| known.made < entry.made);
        let good = later && entry.expires > now;
        if good {
            self.put(mac, entry);
        }
        good
    }

    /// What was made until then is good no longer elsewhere.
    pub fn forget(&mut self, mac: MacAddr, until: Time) {
        if self.entries.get(&mac).is_some_and(|entry| entry.made <= until) {
            self.take_out(mac);
        }
    }

    fn take_out(&mut self, mac: MacAddr) {
        if let Some(entry) = self.entries.remove(&mac) {
            self.expiry.remove(&(entry.expires, mac));
        }
    }

    /// All that are still good.
    pub fn iter(&self, now: Time) -> impl Iterator<Item = (MacAddr, &CachedPmk)> {
        let good = self.entries.iter().filter(move |(_, entry)| entry.expires > now);
        good.map(|(mac, entry)| (*mac, entry))
    }

    fn put(&mut self, mac: MacAddr, entry: CachedPmk) {
        self.take_out(mac);
        if self.capacity == 0 {
            return;
        }
        if self.entries.len() >= self.capacity
            && let Some((_, first)) = self.expiry.pop_first()
        {
            self.entries.remove(&first);
        }
        self.expiry.insert((entry.expires, mac));
        self.entries.insert(mac, entry);
    }

    /// The device's PMK, if it is still good and made under `akm`.
    pub fn get(&self, now: Time, mac: MacAddr, akm: Akm) -> Option<&CachedPmk> {
        self.entries.get(&mac).filter(|entry| entry.expires > now && entry.akm == akm)
    }

    /// Forgets the device's PMK (it is to authenticate anew).
    pub fn remove(&mut self, mac: MacAddr) {
        if let Some(changes) = &mut self.changes {
            changes.push_back((mac, PmkChange::Gone));
        }
        self.take_out(mac);
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn entry(made: u64, expires: u64) -> CachedPmk {
        CachedPmk {
            pmk: Pmk::new([7; 32]),
            akm: Akm::Ieee8021x,
            bssid: MacAddr([2; 6]),
            made: Time(made),
            expires: Time(expires),
            identity: b"user@example".to_vec(),
            class: vec![b"gold".to_vec(), vec![]],
            vlan: Some(7),
            interim_interval: Some(Duration::from_secs(60)),
            session_end: Some((Time(expires), true)),
        }
    }

    #[test]
    fn octets_say_all_of_an_entry_and_nothing_else_is_read() {
        let full = entry(1, 2);
        let bare = CachedPmk {
            class: vec![],
            vlan: None,
            interim_interval: None,
            session_end: None,
            akm: Akm::Ieee8021xSha256,
            ..entry(3, 4)
        };
        for entry in [full, bare] {
            let octets = entry.to_octets();
            assert_eq!(CachedPmk::from_octets(&octets), Ok(entry));
            for n in 0..octets.len() {
                assert!(CachedPmk::from_octets(&octets[..n]).is_err(), "{n} octets");
            }
            assert_eq!(CachedPmk::from_octets(&[&octets[..], &[0]].concat()), Err(RestoreError::Malformed));
        }
        assert_eq!(CachedPmk::from_octets(&[2]), Err(RestoreError::Version(2)));
    }

    #[test]
    fn of_two_made_in_different_places_the_later_stays() {
        let mut cache = PmkCache::new(10);
        assert!(cache.adopt(Time(5), PHONE, entry(1, 100)) && !cache.adopt(Time(5), PHONE, entry(1, 100)));
        assert!(cache.adopt(Time(5), PHONE, entry(2, 90)) && !cache.adopt(Time(5), PHONE, entry(1, 100)));
        assert!(!cache.adopt(Time(5), MacAddr([2; 6]), entry(1, 5)), "it is over");
        assert_eq!((cache.len(), cache.iter(Time(89)).count(), cache.iter(Time(90)).count()), (1, 1, 0));
        assert!(cache.get(Time(6), PHONE, Akm::Ieee8021x).is_some());
        cache.forget(PHONE, Time(1));
        assert_eq!(cache.len(), 1, "it was made later");
        cache.forget(PHONE, Time(2));
        assert!(cache.is_empty() && cache.poll_change().is_none());
    }

    #[test]
    fn who_watches_hears_what_stations_do_and_nothing_of_what_came_from_elsewhere() {
        let mut cache = PmkCache::new(10);
        cache.insert(PHONE, entry(1, 9));
        assert_eq!(cache.poll_change(), None);
        cache.watch();
        cache.adopt(Time(0), PHONE, entry(2, 9));
        cache.forget(PHONE, Time(2));
        cache.insert(PHONE, entry(3, 9));
        cache.remove(PHONE);
        // Perhaps somebody else has it.
        cache.remove(PHONE);
        assert_eq!(cache.poll_change(), Some((PHONE, PmkChange::Made(entry(3, 9)))));
        assert_eq!(cache.poll_change(), Some((PHONE, PmkChange::Gone)));
        assert_eq!(cache.poll_change(), Some((PHONE, PmkChange::Gone)));
        assert_eq!(cache.poll_change(), None);
    }
}
