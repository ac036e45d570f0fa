//! One virtual BSS: association ids and the group key (802.11-2020 §12.7.7).

use std::sync::Arc;

use crate::{Entropy, Gtk, MacAddr, RestoreError, Service, Time};

/// A group key.
#[derive(Clone, Debug)]
pub struct GroupKey {
    /// 1 and 2 in turn.
    pub key_id: u8,
    /// Counts up with every new key.
    pub generation: u64,
    /// The key.
    pub gtk: Gtk,
}

/// What a [`Bss`] wants done.
#[derive(Debug)]
pub enum BssOutput {
    /// Install the group key at the gateway, together with a fresh [`Bss::snapshot`].
    InstallGroupKey {
        /// The key.
        key: GroupKey,
        /// Use it for transmission from now on.
        transmit: bool,
    },
    /// Give [`Input::GroupKey`](crate::Input::GroupKey) to this device's station.
    Offer {
        /// The device.
        mac: MacAddr,
    },
}

/// One virtual BSS of a service.
#[derive(Debug)]
pub struct Bss {
    service: Arc<Service>,
    bssid: MacAddr,
}

impl Bss {
    /// A BSS without devices. A protected one draws its first group key, which the outputs then install.
    pub fn new(service: Arc<Service>, bssid: MacAddr, _now: Time, _entropy: &mut dyn Entropy) -> Bss {
        Bss { service, bssid }
    }

    /// The BSS as [`Bss::snapshot`] left it, without devices: they come back with
    /// [`Station::restore`](crate::Station::restore), each of which must be called with this `Bss`.
    pub fn restore(
        service: Arc<Service>,
        bssid: MacAddr,
        _bytes: &[u8],
        _now: Time,
    ) -> Result<Bss, RestoreError> {
        Ok(Bss { service, bssid })
    }

    /// What [`Bss::restore`] needs: the group keys. Secret.
    pub fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The service it belongs to.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The BSSID.
    pub fn bssid(&self) -> MacAddr {
        self.bssid
    }

    /// The group key that devices are given now; `None` on an open service.
    pub fn group_key(&self) -> Option<&GroupKey> {
        None
    }

    /// Makes a new group key now.
    pub fn request_rekey(&mut self, _now: Time, _entropy: &mut dyn Entropy) {}

    /// The gateway reported the last packet number used under the transmitting group key. `Input::Eapol` does this too.
    pub fn note_group_pn(&mut self, _pn: u64) {}

    /// When to call [`Bss::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// Does what has come due. Early or spurious calls do no harm.
    pub fn handle_timeout(&mut self, _now: Time, _entropy: &mut dyn Entropy) {}

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<BssOutput> {
        None
    }
}
