//! An index from a 12-octet key to a station: open addressing with linear probing, looked up a burst at a time.
//!
//! Entries are 16 octets, four to a cache line; the table is never more than three quarters full and entries move back on removal, so
//! that there are no tombstones and a miss ends at the first gap.

use super::StationId;
use crate::packet::BURST;
use crate::prefetch::prefetch;

/// A key: two addresses, or a segment and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Key {
    high: u64,
    low: u32,
}

impl Key {
    /// From twelve octets.
    #[inline]
    pub fn new(a: [u8; 6], b: [u8; 6]) -> Self {
        let [a0, a1, a2, a3, a4, a5] = a;
        let [b0, b1, b2, b3, b4, b5] = b;
        Self {
            high: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, b0, b1]),
            low: u32::from_le_bytes([b2, b3, b4, b5]),
        }
    }
}

/// The index. Its user keeps keys unique: inserting a known key replaces its station.
pub struct Index {
    entries: Vec<Entry>,
    mask: usize,
    len: usize,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    high: u64,
    low: u32,
    station: u32,
}

impl Entry {
    fn key(&self) -> Key {
        Key { high: self.high, low: self.low }
    }
}

const EMPTY: u32 = u32::MAX;
const GAP: Entry = Entry { high: 0, low: 0, station: EMPTY };

const _: () = assert!(size_of::<Entry>() == 16);

impl Index {
    /// With room for `capacity` keys before it must grow. `seed` makes the order unpredictable.
    pub fn new(capacity: usize, seed: u64) -> Self {
        let size = (capacity * 4 / 3 + 1).next_power_of_two().max(16);
        Self { entries: vec![GAP; size], mask: size - 1, len: 0, seed }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The station of a key.
    #[inline]
    pub fn get(&self, key: Key) -> Option<StationId> {
        self.probe(key, self.home(key))
    }

    /// The stations of up to a burst of keys: first every home is hashed and prefetched, then probed.
    #[inline]
    pub fn get_burst(&self, keys: &[Key], out: &mut [Option<StationId>]) {
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            let mut homes = [0; BURST];
            for (home, &key) in homes.iter_mut().zip(keys) {
                *home = self.home(key);
                prefetch(&self.entries[*home]);
            }
            for ((out, &key), &home) in out.iter_mut().zip(keys).zip(&homes) {
                *out = self.probe(key, home);
            }
        }
    }

    /// Sets the station of a key.
    pub fn insert(&mut self, key: Key, station: StationId) {
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        let mut at = self.home(key);
        loop {
            let entry = &mut self.entries[at];
            if entry.station == EMPTY {
                *entry = Entry { high: key.high, low: key.low, station: station.0 };
                self.len += 1;
                return;
            }
            if entry.key() == key {
                entry.station = station.0;
                return;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Removes a key, if it stands for this station.
    pub fn remove(&mut self, key: Key, station: StationId) -> bool {
        let mut at = self.home(key);
        loop {
            let entry = self.entries[at];
            if entry.station == EMPTY {
                return false;
            }
            if entry.key() == key {
                if entry.station != station.0 {
                    return false;
                }
                break;
            }
            at = (at + 1) & self.mask;
        }
        // Entries behind the gap move into it unless that were before their home.
        let mut next = at;
        loop {
            next = (next + 1) & self.mask;
            let entry = self.entries[next];
            if entry.station == EMPTY {
                break;
            }
            let home = self.home(entry.key());
            if (next.wrapping_sub(home) & self.mask) >= (next.wrapping_sub(at) & self.mask) {
                self.entries[at] = entry;
                at = next;
            }
        }
        self.entries[at] = GAP;
        self.len -= 1;
        true
    }

    #[inline]
    fn probe(&self, key: Key, home: usize) -> Option<StationId> {
        let mut at = home;
        loop {
            let entry = &self.entries[at];
            if entry.station == EMPTY {
                return None;
            }
            if entry.key() == key {
                return Some(StationId(entry.station));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Folded multiplication: cheap, and with a secret seed nobody outside can aim at one place.
    #[inline]
    fn home(&self, key: Key) -> usize {
        let a = (key.high ^ self.seed) as u128;
        let b = (u64::from(key.low) ^ self.seed.rotate_left(32)) | 1 << 63;
        let product = a * b as u128;
        let folded = (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (folded >> 32) as usize & self.mask
    }

    fn grow(&mut self) {
        let size = self.entries.len() * 2;
        let old = std::mem::replace(&mut self.entries, vec![GAP; size]);
        self.mask = size - 1;
        self.len = 0;
        for entry in old {
            if entry.station != EMPTY {
                self.insert(entry.key(), StationId(entry.station));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(n: u16) -> Key {
        Key::new([2, 0, 0, 0, 0, 1], [2, 0, 0, 1, (n >> 8) as u8, n as u8])
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec((0u16..300, any::<bool>(), 0u32..4), 1..600), seed: u64) {
            let mut index = Index::new(1, seed);
            let mut map = HashMap::new();
            for (n, insert, station) in steps {
                if insert {
                    index.insert(key(n), StationId(station));
                    map.insert(n, station);
                } else {
                    let there = map.get(&n) == Some(&station);
                    prop_assert_eq!(index.remove(key(n), StationId(station)), there);
                    if there {
                        map.remove(&n);
                    }
                }
                prop_assert_eq!(index.len(), map.len());
            }
            let keys: Vec<_> = (0..300).map(key).collect();
            let mut found = vec![None; keys.len()];
            index.get_burst(&keys, &mut found);
            for n in 0..300 {
                let expected = map.get(&n).map(|&s| StationId(s));
                prop_assert_eq!(index.get(key(n)), expected);
                prop_assert_eq!(found[n as usize], expected);
            }
        }
    }
}
