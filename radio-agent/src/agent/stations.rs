//! The devices that are associated in a BSS. Bounded; the one not heard for longest gives way.

use std::time::Duration;

use dot11::MacAddr;

use super::{Output, Station};

/// Devices that one virtual BSS holds.
pub const MAX_STATIONS: usize = 128;

#[derive(Debug)]
struct Associated {
    address: MacAddr,
    heard: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Stations(Vec<Associated>);

impl Stations {
    pub(super) fn heard(&mut self, address: MacAddr, now: Duration) {
        if let Some(station) = self.0.iter_mut().find(|station| station.address == address) {
            station.heard = now;
        }
    }

    /// The gateway let `station` in: what the backend has to do.
    pub(super) fn associated(&mut self, bss: usize, station: Station, now: Duration) -> Vec<Output> {
        let address = station.address;
        let mut outputs = Vec::new();
        let stations = &mut self.0;
        let old = match stations.iter().position(|known| known.address == address) {
            // Associated again: everything the kernel knew of it is out of date.
            Some(at) => Some(at),
            None if stations.len() < MAX_STATIONS => None,
            None => (0..stations.len()).min_by_key(|&at| stations[at].heard),
        };
        if let Some(at) = old {
            outputs.push(Output::RemoveStation { bss, address: stations.swap_remove(at).address });
        }
        stations.push(Associated { address, heard: now });
        outputs.push(Output::AddStation { bss, station });
        outputs
    }

    /// Whether `address` was associated; it is not any more.
    pub(super) fn gone(&mut self, address: MacAddr) -> bool {
        let at = self.0.iter().position(|station| station.address == address);
        at.map(|at| self.0.swap_remove(at)).is_some()
    }

    pub(super) fn contains(&self, address: MacAddr) -> bool {
        self.0.iter().any(|station| station.address == address)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = MacAddr> + '_ {
        self.0.iter().map(|station| station.address)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all devices; says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.0.is_empty();
        self.0.clear();
        any
    }
}
