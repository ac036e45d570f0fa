//! The devices that are associated in a BSS. Bounded; the one not heard for longest gives way.
//!
//! Anybody can say in a device's name that it leaves, and only the gateway has the keys to tell. So a device that says so is believed when it
//! is silent for a while after that. If its management frames are protected, one that is not says nothing of it: the gateway, which gets it all
//! the same, asks the device (SA Query, 802.11-2020 §11.13).

use std::time::Duration;

use dot11::{Frame, FrameKind, MacAddr, ManagementSubtype};

use super::{Output, Station};

/// Devices that one virtual BSS holds.
pub const MAX_STATIONS: usize = 128;

/// Who says that it leaves and is silent for so long has left.
pub const SILENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Associated {
    address: MacAddr,
    heard: Duration,
    mfp: bool,
    /// Then it has left, if it stays silent.
    leaves: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Stations(Vec<Associated>);

impl Stations {
    /// A frame that says to be of this device.
    pub(super) fn heard(&mut self, frame: &Frame<'_>, address: MacAddr, now: Duration) {
        let Some(station) = self.0.iter_mut().find(|station| station.address == address) else { return };
        station.heard = now;
        let believed = frame.control().protected() || !station.mfp;
        match frame.kind() {
            FrameKind::Management(
                ManagementSubtype::Deauthentication | ManagementSubtype::Disassociation,
            ) if believed => {
                station.leaves.get_or_insert(now + SILENCE);
            }
            // Others come from a device that begins again, too.
            FrameKind::Data(_) | FrameKind::Management(ManagementSubtype::Action) => station.leaves = None,
            _ => {}
        }
    }

    /// When [`Stations::left`] may name another.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.0.iter().filter_map(|station| station.leaves).min()
    }

    /// One that has left.
    pub(super) fn left(&self, now: Duration) -> Option<MacAddr> {
        let left = |station: &&Associated| station.leaves.is_some_and(|leaves| leaves <= now);
        self.0.iter().find(left).map(|station| station.address)
    }

    /// The gateway let `station` in: what the backend has to do.
    pub(super) fn associated(&mut self, bss: usize, station: Station, now: Duration) -> Vec<Output> {
        let Station { address, mfp, .. } = station;
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
        stations.push(Associated { address, heard: now, mfp, leaves: None });
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
