//! Which station has which IP address: for answering in its place, and for telling control.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::station::StationId;

/// Addresses of the stations of one worker, by VLAN. The bound is the caller's: a fixed number for each station.
#[derive(Default)]
pub struct AddressTable {
    stations: HashMap<(u16, IpAddr), StationId>,
}

impl AddressTable {
    /// Who has an address.
    #[inline]
    pub fn find(&self, vlan: u16, address: IpAddr) -> Option<StationId> {
        self.stations.get(&(vlan, address)).copied()
    }

    /// Gives an address to a station, whoever had it before.
    pub fn insert(&mut self, vlan: u16, address: IpAddr, station: StationId) {
        self.stations.insert((vlan, address), station);
    }

    /// Takes an address from a station, if it is that station's.
    pub fn remove(&mut self, vlan: u16, address: IpAddr, station: StationId) {
        if self.find(vlan, address) == Some(station) {
            self.stations.remove(&(vlan, address));
        }
    }

    /// Number of addresses known.
    pub fn len(&self) -> usize {
        self.stations.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.stations.is_empty()
    }
}
