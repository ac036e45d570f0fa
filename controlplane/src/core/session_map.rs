//! Sessions by BSS and device, and by device: a device that roams is found without going through all radios.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
};

use dot11::MacAddr;

use super::sessions::{Session, SessionKey};

/// Read like the map of sessions that it is; changed through its own functions.
#[derive(Default)]
pub(super) struct SessionMap {
    sessions: BTreeMap<SessionKey, Session>,
    /// The BSSes on which a device is known: nearly always one.
    of_client: HashMap<MacAddr, Vec<MacAddr>>,
}

impl Deref for SessionMap {
    type Target = BTreeMap<SessionKey, Session>;

    fn deref(&self) -> &Self::Target {
        &self.sessions
    }
}

impl SessionMap {
    pub fn insert(&mut self, key: SessionKey, session: Session) {
        if self.sessions.insert(key, session).is_none() {
            self.of_client.entry(key.mac).or_default().push(key.bssid);
        }
    }

    pub fn remove(&mut self, key: &SessionKey) {
        if self.sessions.remove(key).is_none() {
            return;
        }
        if let Some(bssids) = self.of_client.get_mut(&key.mac) {
            bssids.retain(|bssid| *bssid != key.bssid);
            if bssids.is_empty() {
                self.of_client.remove(&key.mac);
            }
        }
    }

    pub fn get_mut(&mut self, key: &SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&SessionKey, &mut Session)> {
        self.sessions.iter_mut()
    }

    /// Every session of the device.
    pub fn of_client(&self, mac: MacAddr) -> Vec<SessionKey> {
        let bssids = self.of_client.get(&mac).map_or(&[][..], Vec::as_slice);
        bssids.iter().map(|&bssid| SessionKey { bssid, mac }).collect()
    }
}
