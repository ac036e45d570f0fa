//! Pairwise master keys of devices that were here: PMKSA caching (802.11-2020 §12.6.10.3) for one service.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use dot11::MacAddr;
use dot11::rsn::{Akm, Pmk};

use crate::Time;

/// A PMK and what was decided when it was made.
#[derive(Clone, Debug)]
pub struct CachedPmk {
    /// The key.
    pub pmk: Pmk,
    /// The AKM it was made under; it is good for no other.
    pub akm: Akm,
    /// The BSS it was made on.
    pub bssid: MacAddr,
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

/// The bounded cache, one entry a device.
#[derive(Debug)]
pub struct PmkCache {
    capacity: usize,
    entries: HashMap<MacAddr, CachedPmk>,
    expiry: BTreeSet<(Time, MacAddr)>,
}

impl PmkCache {
    /// A cache of at most `capacity` devices; the entry that expires first makes room.
    pub fn new(capacity: usize) -> PmkCache {
        PmkCache { capacity, entries: HashMap::new(), expiry: BTreeSet::new() }
    }

    /// Keeps a PMK, replacing the device's last.
    pub fn insert(&mut self, mac: MacAddr, entry: CachedPmk) {
        self.remove(mac);
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
        if let Some(entry) = self.entries.remove(&mac) {
            self.expiry.remove(&(entry.expires, mac));
        }
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
