//! The station table of one worker: its only writer, and the only one who reads it.
//!
//! A station is found by (BSSID, address) for uplink and by (VLAN, address) for downlink, one look-up each. Look-ups come in bursts so that
//! the memory they need is under way before it is read. State is split: [`Hot`] for what every packet touches, [`Cold`] for the rest.

mod cold;
mod hot;
mod index;
mod replay;

pub use cold::{ADDRESSES, Chain, Cold, OldKey};
pub use hot::{Flag, Hot, LAST_PN, PRIORITIES, next_pn};
pub use index::{Index, Key};
pub use replay::{MANAGEMENT, NON_QOS, ReplayCounters};

use std::collections::HashMap;

use dot11::MacAddr;

use crate::prefetch::prefetch_all;
use crate::tunnel::TunnelId;
use cold::NOWHERE;

/// A station's place in the table. Good until the station is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct StationId(pub u32);

/// The table.
pub struct StationTable {
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    live: Vec<bool>,
    free: Vec<StationId>,
    by_bss: Index,
    by_segment: Index,
    /// Stations with an open port, by VLAN: the receivers of its group-addressed frames.
    segments: HashMap<u16, Vec<StationId>>,
}

impl StationTable {
    /// With room for `capacity` stations before anything must grow. `seed` is any number nobody outside knows.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self {
            hot: Vec::with_capacity(capacity),
            cold: Vec::with_capacity(capacity),
            live: Vec::with_capacity(capacity),
            free: Vec::new(),
            by_bss: Index::new(capacity, seed),
            by_segment: Index::new(capacity, seed.rotate_left(17)),
            segments: HashMap::new(),
        }
    }

    /// Live stations.
    pub fn len(&self) -> usize {
        self.by_bss.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the highest [`StationId`] in use.
    pub fn places(&self) -> u32 {
        self.hot.len() as u32
    }

    /// The station at a place, if one lives there.
    pub fn at_place(&self, place: u32) -> Option<StationId> {
        self.live.get(place as usize).copied().unwrap_or(false).then_some(StationId(place))
    }

    /// By BSSID and device address.
    #[inline]
    pub fn find(&self, bssid: MacAddr, mac: MacAddr) -> Option<StationId> {
        self.by_bss.get(Key::new(bssid.0, mac.0))
    }

    /// By VLAN and device address: a station with an open port.
    #[inline]
    pub fn find_in_segment(&self, vlan: u16, mac: MacAddr) -> Option<StationId> {
        self.by_segment.get(segment_key(vlan, mac))
    }

    /// Finds up to a burst of stations by BSSID and device address, and starts fetching their hot state.
    #[inline]
    pub fn find_burst(&self, keys: &[(MacAddr, MacAddr)], out: &mut [Option<StationId>]) {
        self.burst(&self.by_bss, keys, |(bssid, mac)| Key::new(bssid.0, mac.0), out);
    }

    /// Finds up to a burst of stations by VLAN and device address, and starts fetching their hot state.
    #[inline]
    pub fn find_in_segment_burst(&self, keys: &[(u16, MacAddr)], out: &mut [Option<StationId>]) {
        self.burst(&self.by_segment, keys, |(vlan, mac)| segment_key(vlan, mac), out);
    }

    /// Hot state.
    #[inline]
    pub fn hot(&self, id: StationId) -> &Hot {
        &self.hot[id.0 as usize]
    }

    /// Hot state, to change. `mac`, `bssid` and `vlan` are keys: change them through the table.
    #[inline]
    pub fn hot_mut(&mut self, id: StationId) -> &mut Hot {
        &mut self.hot[id.0 as usize]
    }

    /// Cold state.
    #[inline]
    pub fn cold(&self, id: StationId) -> &Cold {
        &self.cold[id.0 as usize]
    }

    /// Cold state, to change.
    #[inline]
    pub fn cold_mut(&mut self, id: StationId) -> &mut Cold {
        &mut self.cold[id.0 as usize]
    }

    /// Both.
    #[inline]
    pub fn both_mut(&mut self, id: StationId) -> (&mut Hot, &mut Cold) {
        (&mut self.hot[id.0 as usize], &mut self.cold[id.0 as usize])
    }

    /// Adds a station with its port closed, and appends it to its tunnel's list. The caller knows that its BSSID and address are new.
    pub fn add(&mut self, hot: Hot, mut cold: Cold, tunnel_list: &mut Vec<StationId>) -> StationId {
        let key = Key::new(hot.bssid.0, hot.mac.0);
        debug_assert!(self.by_bss.get(key).is_none());
        cold.tunnel_place = tunnel_list.len() as u32;
        cold.segment_place = NOWHERE;
        let id = match self.free.pop() {
            Some(id) => {
                self.hot[id.0 as usize] = hot;
                self.cold[id.0 as usize] = cold;
                self.live[id.0 as usize] = true;
                id
            }
            None => {
                self.hot.push(hot);
                self.cold.push(cold);
                self.live.push(true);
                StationId(self.hot.len() as u32 - 1)
            }
        };
        self.by_bss.insert(key, id);
        tunnel_list.push(id);
        id
    }

    /// Removes a station and wipes its keys.
    pub fn remove(&mut self, id: StationId, tunnel_list: &mut Vec<StationId>) {
        self.leave_segment(id);
        let place = self.cold(id).tunnel_place as usize;
        tunnel_list.swap_remove(place);
        if let Some(&moved) = tunnel_list.get(place) {
            self.cold_mut(moved).tunnel_place = place as u32;
        }
        let hot = self.hot(id);
        let (key, endpoint) = (Key::new(hot.bssid.0, hot.mac.0), hot.endpoint);
        self.by_bss.remove(key, id);
        self.live[id.0 as usize] = false;
        *self.hot_mut(id) =
            Hot::new(MacAddr::default(), MacAddr::default(), TunnelId(0), endpoint, Default::default());
        *self.cold_mut(id) = Cold::default();
        self.free.push(id);
    }

    /// Lets a station's data flow on a VLAN: it is found there from now on, instead of any other station of the same address.
    pub fn join_segment(&mut self, id: StationId, vlan: u16) {
        self.leave_segment(id);
        let list = self.segments.entry(vlan).or_default();
        let place = list.len() as u32;
        list.push(id);
        let mac = self.hot(id).mac;
        self.hot_mut(id).vlan = vlan;
        self.cold_mut(id).segment_place = place;
        self.by_segment.insert(segment_key(vlan, mac), id);
    }

    /// Stops a station's data.
    pub fn leave_segment(&mut self, id: StationId) {
        let place = std::mem::replace(&mut self.cold_mut(id).segment_place, NOWHERE);
        if place == NOWHERE {
            return;
        }
        let (vlan, mac) = (self.hot(id).vlan, self.hot(id).mac);
        self.by_segment.remove(segment_key(vlan, mac), id);
        let Some(list) = self.segments.get_mut(&vlan) else { return };
        list.swap_remove(place as usize);
        let moved = list.get(place as usize).copied();
        if list.is_empty() {
            self.segments.remove(&vlan);
        }
        if let Some(moved) = moved {
            self.cold_mut(moved).segment_place = place;
        }
    }

    /// Gives up a name on a VLAN that another worker's station has taken over.
    pub fn forget_in_segment(&mut self, vlan: u16, mac: MacAddr) {
        if let Some(id) = self.find_in_segment(vlan, mac) {
            self.by_segment.remove(segment_key(vlan, mac), id);
        }
    }

    /// The stations of a VLAN with an open port.
    #[inline]
    pub fn members(&self, vlan: u16) -> &[StationId] {
        self.segments.get(&vlan).map_or(&[], |list| list)
    }

    #[inline]
    fn burst<K: Copy>(
        &self,
        index: &Index,
        keys: &[K],
        key: impl Fn(K) -> Key,
        out: &mut [Option<StationId>],
    ) {
        let mut hashed = [Key::default(); crate::packet::BURST];
        for (keys, out) in keys.chunks(hashed.len()).zip(out.chunks_mut(hashed.len())) {
            for (hashed, &k) in hashed.iter_mut().zip(keys) {
                *hashed = key(k);
            }
            index.get_burst(&hashed[..keys.len()], out);
            for id in out[..keys.len()].iter().flatten() {
                prefetch_all(self.hot(*id));
            }
        }
    }
}

#[inline]
fn segment_key(vlan: u16, mac: MacAddr) -> Key {
    let [high, low] = vlan.to_be_bytes();
    Key::new(mac.0, [high, low, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::endpoint::Endpoint;

    fn hot(n: u8) -> Hot {
        Hot::new(mac(n), mac(0xff), TunnelId(0), Endpoint::v4([127, 0, 0, 1], 1), Time::ZERO)
    }

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    #[test]
    fn a_station_is_found_both_ways_until_it_goes() {
        let mut table = StationTable::new(4, 1);
        let mut list = Vec::new();
        let ids: Vec<_> = (0..10).map(|n| table.add(hot(n), Cold::default(), &mut list)).collect();
        ids.iter().for_each(|&id| table.join_segment(id, 7));
        assert_eq!((table.len(), table.members(7).len()), (10, 10));
        table.join_segment(ids[3], 8);
        table.leave_segment(ids[4]);
        assert_eq!(table.find_in_segment(7, mac(3)), None);
        assert_eq!(table.find_in_segment(8, mac(3)), Some(ids[3]));
        assert_eq!(table.find_in_segment(7, mac(4)), None);
        for &id in &ids[..9] {
            table.remove(id, &mut list);
        }
        assert_eq!((table.len(), list.as_slice(), table.members(7)), (1, &ids[9..], &ids[9..]));
        assert_eq!(table.members(8), []);
        assert_eq!(table.find(mac(0xff), mac(9)), Some(ids[9]));
        assert_eq!(table.find(mac(0xff), mac(8)), None);
        assert!(table.at_place(9).is_some() && table.at_place(8).is_none());
        let again = table.add(hot(8), Cold::default(), &mut list);
        assert!(again.0 < 9, "places are used again");
    }

    #[test]
    fn the_newest_of_two_stations_of_one_address_is_found() {
        let mut table = StationTable::new(4, 1);
        let (mut here, mut there) = (Vec::new(), Vec::new());
        let old = table.add(hot(1), Cold::default(), &mut here);
        table.join_segment(old, 0);
        let mut roamed = hot(1);
        roamed.bssid = mac(0xfe);
        let new = table.add(roamed, Cold::default(), &mut there);
        table.join_segment(new, 0);
        assert_eq!(table.find_in_segment(0, mac(1)), Some(new));
        table.remove(old, &mut here);
        assert_eq!(table.find_in_segment(0, mac(1)), Some(new));
        table.forget_in_segment(0, mac(1));
        assert_eq!(table.find_in_segment(0, mac(1)), None);
        table.remove(new, &mut there);
        assert!(table.is_empty());
    }

    #[test]
    fn bursts_find_what_single_look_ups_find() {
        let mut table = StationTable::new(4, 1);
        let mut list = Vec::new();
        for n in 0..100 {
            let id = table.add(hot(n), Cold::default(), &mut list);
            table.join_segment(id, 5);
        }
        let keys: Vec<_> = (90..130).map(|n| (mac(0xff), mac(n))).collect();
        let mut out = vec![None; keys.len()];
        table.find_burst(&keys, &mut out);
        assert!(keys.iter().zip(&out).all(|(k, &id)| table.find(k.0, k.1) == id));
        assert_eq!(out.iter().flatten().count(), 10);
        let keys: Vec<_> = (90..130).map(|n| (5, mac(n))).collect();
        table.find_in_segment_burst(&keys, &mut out);
        assert_eq!(out.iter().flatten().count(), 10);
    }
}
