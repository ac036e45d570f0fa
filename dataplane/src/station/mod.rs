//! The station table of one worker: its only writer, and the only one who reads it.
//!
//! A station is found by (BSSID, address) for uplink and by (VLAN, address) for downlink, one look-up each. Look-ups come in bursts so that
//! the memory they need is under way before it is read. State is split: [`Hot`] for what every packet touches, [`Cold`] for the rest. Nothing
//! moves when the table grows, and no insertion waits for more than a few runs of an index to be moved.

mod cold;
mod hot;
mod image;
mod index;
mod layout;
mod replay;
mod slab;

pub use cold::{ADDRESSES, Chain, Cold, OldKey};
pub use hot::{Flag, Hot, LAST_PN, PRIORITIES, next_pn};
pub use image::Image;
pub use index::{Index, IndexStats, Key, MAX_PROBE};
pub use layout::{LayoutError, VERSION};
pub use replay::{MANAGEMENT, NON_QOS};

use std::collections::HashMap;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use dot11::MacAddr;

use crate::memory::{MemoryError, Pages, Region};
use crate::packet::BURST;
use cold::NOWHERE;
use layout::{Header, Layout};
use replay::RareCounters;
use slab::Slab;

/// A station's place in the table. Good until the station is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct StationId(pub u32);

/// The table.
pub struct StationTable {
    region: Arc<Region>,
    layout: Layout,
    header: Header,
    hot: NonNull<Hot>,
    cold: Slab<Cold>,
    by_bss: Index,
    by_segment: Index,
    /// Stations with an open port, by VLAN: the receivers of its group-addressed frames.
    segments: HashMap<u16, Vec<StationId>>,
    capacity: usize,
    pages: Pages,
}

// SAFETY: the pointer is into `region`, which the table keeps; only `&mut self` writes there.
unsafe impl Send for StationTable {}

/// Stations that a table can take beyond what it was set up for: so many times as many, and at least so many in all.
const GROWTH: usize = 4;
const ROOM: usize = 1 << 20;

impl StationTable {
    /// With memory for `capacity` stations; four times as many, and always a million, find room, page by page. `seed` is any number nobody
    /// outside knows.
    ///
    /// # Panics
    /// If there is no address space for `capacity` stations.
    pub fn new(capacity: usize, seed: u64) -> Self {
        let reserve = |most| {
            let layout = Layout::new(most);
            Region::reserve(layout.octets).map(|region| (layout, region))
        };
        // Where address space counts as memory in use, there is no room for growth.
        let reserved = reserve((capacity * GROWTH).max(ROOM)).or_else(|_| reserve(capacity.max(1)));
        match reserved {
            // SAFETY: the region is new.
            Ok((layout, region)) => unsafe { Self::begin(region, layout, capacity, seed) },
            Err(error) => panic!("no station table for {capacity} stations: {error}"),
        }
    }

    /// The same in memory that other processes can map by its [descriptor](Self::file), and go on using when this process is gone; see
    /// [`Image`].
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn shared(capacity: usize, seed: u64) -> Result<Self, MemoryError> {
        let layout = Layout::new((capacity * GROWTH).max(ROOM));
        let region = Region::shared(c"ttg-stations", layout.octets)?;
        // SAFETY: the region is new.
        Ok(unsafe { Self::begin(region, layout, capacity, seed) })
    }

    /// # Safety
    /// The region is all zeros, as long as the layout says, and nobody else uses it.
    unsafe fn begin(mut region: Region, layout: Layout, capacity: usize, seed: u64) -> Self {
        let pages = region.back(&layout.parts(capacity));
        let region = Arc::new(region);
        let ([first, second], [first_head, second_head]) = (layout.indexes, layout.heads());
        let (sizes, seeds) = ((capacity, layout.most), index_seeds(seed));
        // SAFETY: sections and heads as the layout says, apart from each other.
        let (hot, by_bss, by_segment) = unsafe {
            (
                region.start().add(layout.hot).cast(),
                Index::at(region.clone(), first, first_head, sizes, seeds[0]),
                Index::at(region.clone(), second, second_head, sizes, seeds[1]),
            )
        };
        let mut table = Self {
            header: layout.header(seed),
            region,
            layout,
            hot,
            cold: Slab::new(capacity, layout.most),
            by_bss,
            by_segment,
            segments: HashMap::new(),
            capacity,
            pages,
        };
        table.save();
        table
    }

    /// The descriptor of its memory, if that is shared.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.region.file()
    }

    /// Its memory.
    pub fn memory(&self) -> Memory {
        Memory {
            stations: self.capacity,
            most: self.layout.most,
            hot: self.capacity.max(self.places() as usize) * size_of::<Hot>(),
            cold: self.cold.octets(),
            index: self.by_bss.octets() + self.by_segment.octets(),
            pages: self.pages,
        }
    }

    /// How well the indexes by BSSID and by VLAN do.
    pub fn index_stats(&self) -> [IndexStats; 2] {
        [self.by_bss.stats(), self.by_segment.stats()]
    }

    /// Whether it has as many stations as there is room for.
    pub fn is_full(&self) -> bool {
        self.len() >= self.layout.most
    }

    /// Goes on with what growing or shrinking has left to do. With each tick.
    pub fn maintain(&mut self) {
        self.by_bss.maintain(SLOTS_PER_TICK);
        self.by_segment.maintain(SLOTS_PER_TICK);
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
        self.header.places
    }

    /// The station at a place, if one lives there.
    pub fn at_place(&self, place: u32) -> Option<StationId> {
        (place < self.places() && self.hot(StationId(place)).is_live()).then_some(StationId(place))
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

    /// Starts fetching what it takes to find a station by the key of BSSID and device address.
    #[inline]
    pub fn expect(&self, key: Key) {
        self.by_bss.expect(key);
    }

    /// Finds up to a burst of stations by the [key](Key) of BSSID and device address, and starts fetching what uplink needs of their hot state.
    #[inline]
    pub fn find_burst(&self, keys: &[Key], out: &mut [Option<StationId>]) {
        self.burst(&self.by_bss, keys, Hot::prefetch_uplink, out);
    }

    /// Finds up to a burst of stations by VLAN and device address, and starts fetching what downlink needs of their hot state.
    #[inline]
    pub fn find_in_segment_burst(&self, names: &[(u16, MacAddr)], out: &mut [Option<StationId>]) {
        let mut keys = [Key::default(); BURST];
        for (names, out) in names.chunks(BURST).zip(out.chunks_mut(BURST)) {
            for (key, &(vlan, mac)) in keys.iter_mut().zip(names) {
                *key = segment_key(vlan, mac);
            }
            self.burst(&self.by_segment, &keys[..names.len()], Hot::prefetch_downlink, out);
        }
    }

    /// Hot state.
    #[inline]
    pub fn hot(&self, id: StationId) -> &Hot {
        assert!(id.0 < self.header.places, "no such place");
        // SAFETY: places in use are inside of the section and initialised; only `&mut self` writes there.
        unsafe { self.hot.add(id.0 as usize).as_ref() }
    }

    /// Hot state, to change. `mac`, `bssid` and `vlan` are keys: change them through the table.
    #[inline]
    pub fn hot_mut(&mut self, id: StationId) -> &mut Hot {
        assert!(id.0 < self.header.places, "no such place");
        // SAFETY: as above, and this is the only reference.
        unsafe { self.hot.add(id.0 as usize).as_mut() }
    }

    /// Cold state.
    #[inline]
    pub fn cold(&self, id: StationId) -> &Cold {
        self.cold.get(id.0)
    }

    /// Cold state, to change.
    #[inline]
    pub fn cold_mut(&mut self, id: StationId) -> &mut Cold {
        self.cold.get_mut(id.0)
    }

    /// Both.
    #[inline]
    pub fn both_mut(&mut self, id: StationId) -> (&mut Hot, &mut Cold) {
        assert!(id.0 < self.header.places, "no such place");
        // SAFETY: as in `hot_mut`; cold state is elsewhere.
        let hot = unsafe { self.hot.add(id.0 as usize).as_mut() };
        (hot, self.cold.get_mut(id.0))
    }

    /// Whether a frame of this number may be opened under the pairwise key. `index` is the TID (0 to 15) or [`MANAGEMENT`].
    #[inline]
    pub fn is_new(&self, id: StationId, index: usize, pn: u64) -> bool {
        self.hot(id).replay.is_new(index, pn).unwrap_or_else(|| self.is_new_rare(id, index, pn))
    }

    #[cold]
    fn is_new_rare(&self, id: StationId, index: usize, pn: u64) -> bool {
        let counted = self.hot(id).is(Flag::RareTids);
        let rare = self.cold(id).rare_replay.as_ref().filter(|_| counted);
        rare.map_or(pn > 0, |rare| rare.is_new(index, pn))
    }

    /// Moves on to a frame whose MIC was right. False, without effect, if another one moved past it since [`is_new`](Self::is_new).
    #[inline]
    #[must_use]
    pub fn accept(&mut self, id: StationId, index: usize, pn: u64) -> bool {
        self.hot_mut(id).replay.accept(index, pn).unwrap_or_else(|| self.accept_rare(id, index, pn))
    }

    /// The counters are made when there is something to count: once in a station's life, if ever.
    #[cold]
    fn accept_rare(&mut self, id: StationId, index: usize, pn: u64) -> bool {
        let (hot, cold) = self.both_mut(id);
        let rare = cold.rare_replay.get_or_insert_default();
        if !hot.is(Flag::RareTids) {
            **rare = RareCounters::default();
            hot.set(Flag::RareTids, true);
        }
        rare.accept(index, pn)
    }

    /// Adds a station with its port closed, and appends it to its tunnel's list. The caller knows that its BSSID and address are new, and that
    /// the table is not [full](Self::is_full).
    ///
    /// # Panics
    /// If it is full.
    pub fn add(&mut self, mut hot: Hot, mut cold: Cold, tunnel_list: &mut Vec<StationId>) -> StationId {
        let key = Key::new(hot.bssid.0, hot.mac.0);
        debug_assert!(self.by_bss.get(key).is_none());
        assert!(!self.is_full(), "the table is full");
        cold.tunnel_place = tunnel_list.len() as u32;
        cold.segment_place = NOWHERE;
        let place = match self.header.free.checked_sub(1) {
            Some(place) => {
                self.header.free = self.hot(StationId(place)).next_free();
                place
            }
            None => {
                let place = self.header.places;
                self.header.places += 1;
                self.cold.reach(self.header.places as usize);
                place
            }
        };
        hot.set_live();
        // SAFETY: below the most there can be, so inside of the section; what was there needs no drop.
        unsafe { self.hot.add(place as usize).write(hot) };
        *self.cold.get_mut(place) = cold;
        let id = StationId(place);
        let inserted = self.by_bss.insert(key, id);
        debug_assert!(inserted, "the indexes have room for every station");
        tunnel_list.push(id);
        self.save();
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
        let key = Key::new(hot.bssid.0, hot.mac.0);
        self.by_bss.remove(key, id);
        *self.hot_mut(id) = Hot::free(self.header.free);
        *self.cold_mut(id) = Cold::default();
        self.header.free = id.0 + 1;
        self.save();
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
    fn burst(&self, index: &Index, keys: &[Key], prefetch: impl Fn(&Hot), out: &mut [Option<StationId>]) {
        index.get_burst(keys, out);
        for id in out.iter().take(keys.len()).flatten() {
            prefetch(self.hot(*id));
        }
    }

    /// Keeps the header in the memory, for whoever maps it.
    fn save(&mut self) {
        // SAFETY: the header is at the beginning, page-aligned, and only this table writes there.
        unsafe { self.region.start().cast::<Header>().write(self.header) };
    }
}

/// The memory of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Stations that it was set up for.
    pub stations: usize,
    /// Stations that it takes.
    pub most: usize,
    /// Octets of hot state, for those that it was set up for or that came since.
    pub hot: usize,
    /// Octets of cold state, without what it owns on the heap.
    pub cold: usize,
    /// Octets of both indexes.
    pub index: usize,
    /// What hot state and indexes lie in.
    pub pages: Pages,
}

impl Memory {
    /// Octets in all.
    pub fn octets(&self) -> usize {
        self.hot + self.cold + self.index
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.octets();
        let (value, unit) = match octets {
            0..0x10_0000 => (octets as f64 / 1024.0, "KiB"),
            0x10_0000..0x4000_0000 => (octets as f64 / 1_048_576.0, "MiB"),
            _ => (octets as f64 / 1_073_741_824.0, "GiB"),
        };
        let each = octets / self.stations.max(1);
        write!(f, "{value:.1} {unit} for {} stations ({each} octets each), {}", self.stations, self.pages)
    }
}

/// Places of an old table that are looked at with each tick.
const SLOTS_PER_TICK: usize = 1024;

fn index_seeds(seed: u64) -> [u64; 2] {
    [seed, seed.rotate_left(17)]
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
    use crate::tunnel::TunnelId;

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
        let keys: Vec<_> = (90..130).map(|n| Key::new(mac(0xff).0, mac(n).0)).collect();
        let mut out = vec![None; keys.len()];
        table.find_burst(&keys, &mut out);
        assert!((90..130).zip(&out).all(|(n, &id)| table.find(mac(0xff), mac(n)) == id));
        assert_eq!(out.iter().flatten().count(), 10);
        let keys: Vec<_> = (90..130).map(|n| (5, mac(n))).collect();
        table.find_in_segment_burst(&keys, &mut out);
        assert_eq!(out.iter().flatten().count(), 10);
    }
}
