//! Which station has which IP address: for answering in its place, and for telling control. And which addresses are the network's, so that no
//! station gets them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use dot11::MacAddr;

use crate::clock::Time;
use crate::directory::sharded::Sharded;
use crate::station::StationId;

/// Addresses of the stations of one worker, by VLAN. The bound is the caller's: a fixed number for each station.
#[derive(Default)]
pub struct AddressTable {
    stations: Sharded<(u16, IpAddr), StationId>,
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

/// Addresses that somebody on the network side showed to have, and who. Memory is fixed: in a full set the one longest unheard of makes room.
pub struct NetworkAddresses {
    sets: Box<[[Option<Entry>; WAYS]]>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Entry {
    vlan: u16,
    address: IpAddr,
    mac: MacAddr,
    heard: Time,
}

const SETS: usize = 128;
const WAYS: usize = 8;

/// How long an address stays the network's after it was heard of.
pub const NETWORK_ADDRESS_AGE: Duration = Duration::from_secs(600);

/// An address heard of again is no news before this.
const NEWS: Duration = Duration::from_secs(60);

impl NetworkAddresses {
    /// The most addresses remembered.
    pub const CAPACITY: usize = SETS * WAYS;

    /// An empty table.
    pub fn new() -> Self {
        Self { sets: vec![[None; WAYS]; SETS].into_boxed_slice(), hasher: RandomState::new() }
    }

    /// Notes that `mac`, on the network side, has an address. Whether that is news: it was not known, or somebody else's, or it is a while ago.
    pub fn note(&mut self, vlan: u16, address: IpAddr, mac: MacAddr, now: Time) -> bool {
        let set = &mut self.sets[self.hasher.hash_one((vlan, address)) as usize % SETS];
        let known = set.iter_mut().flatten().find(|entry| entry.is(vlan, address));
        if known.as_ref().is_some_and(|entry| entry.mac == mac && now.since(entry.heard) < NEWS) {
            return false;
        }
        let entry = Entry { vlan, address, mac, heard: now };
        if let Some(known) = known {
            *known = entry;
        } else if let Some(place) = set.iter_mut().min_by_key(|place| place.map(|entry| entry.heard)) {
            // Empty places come first.
            *place = Some(entry);
        }
        true
    }

    /// Who has an address on the network side.
    pub fn find(&self, vlan: u16, address: IpAddr, now: Time) -> Option<MacAddr> {
        let set = &self.sets[self.hasher.hash_one((vlan, address)) as usize % SETS];
        let entry = set.iter().flatten().find(|entry| entry.is(vlan, address))?;
        (now.since(entry.heard) < NETWORK_ADDRESS_AGE).then_some(entry.mac)
    }

    /// Forgets an address: it is a station's now.
    pub fn forget(&mut self, vlan: u16, address: IpAddr) {
        let set = &mut self.sets[self.hasher.hash_one((vlan, address)) as usize % SETS];
        for place in set {
            if place.is_some_and(|entry| entry.is(vlan, address)) {
                *place = None;
            }
        }
    }
}

impl Default for NetworkAddresses {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    fn is(&self, vlan: u16, address: IpAddr) -> bool {
        self.vlan == vlan && self.address == address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const X: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const Y: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn an_address_is_the_networks_until_nobody_hears_of_it() {
        let mut table = NetworkAddresses::new();
        let at = |secs| Time::ZERO + Duration::from_secs(secs);
        assert!(table.note(1, A, X, at(0)) && !table.note(1, A, X, at(59)));
        assert_eq!((table.find(1, A, at(599)), table.find(1, A, at(600))), (Some(X), None));
        assert_eq!(table.find(2, A, at(0)), None, "another VLAN");
        assert!(table.note(1, A, X, at(60)) && table.note(1, A, Y, at(61)));
        assert_eq!((table.find(1, A, at(660)), table.find(1, A, at(661))), (Some(Y), None));
        table.forget(1, A);
        assert_eq!(table.find(1, A, at(61)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut table = NetworkAddresses::new();
        let address = |n: u64| IpAddr::V4(Ipv4Addr::from(n as u32));
        let most = 20 * NetworkAddresses::CAPACITY as u64;
        for n in 0..most {
            assert!(table.note(0, address(n), X, Time::from_nanos(n)));
        }
        let now = Time::from_nanos(most);
        let known: Vec<_> = (0..most).filter(|&n| table.find(0, address(n), now).is_some()).collect();
        assert_eq!(known.len(), NetworkAddresses::CAPACITY);
        assert!((most - WAYS as u64..most).all(|n| known.contains(&n)), "the last ones are there");
    }
}
