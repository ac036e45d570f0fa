//! From a hash to a place. In many parts, so that growing one of them is short.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

const PARTS: usize = 64;

/// The caller compares keys and hashes what is at a place.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    parts: Vec<HashTable<u32>>,
}

impl Default for Index {
    fn default() -> Index {
        Index { parts: vec![HashTable::new(); PARTS] }
    }
}

impl Index {
    /// The place with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl FnMut(&u32) -> bool) -> Option<u32> {
        self.parts[part(hash)].find(hash, is).copied()
    }

    /// Puts `place` there, and gives what was there for the same key.
    pub(crate) fn put(
        &mut self,
        hash: u64,
        place: u32,
        is: impl FnMut(&u32) -> bool,
        rehash: impl Fn(&u32) -> u64,
    ) -> Option<u32> {
        match self.parts[part(hash)].entry(hash, is, rehash) {
            Entry::Occupied(mut entry) => Some(std::mem::replace(entry.get_mut(), place)),
            Entry::Vacant(entry) => {
                entry.insert(place);
                None
            }
        }
    }

    /// Removes the place for which `is` holds.
    pub(crate) fn remove(&mut self, hash: u64, is: impl FnMut(&u32) -> bool) {
        if let Ok(entry) = self.parts[part(hash)].find_entry(hash, is) {
            entry.remove();
        }
    }

    /// Octets of memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        self.parts.iter().map(HashTable::allocation_size).sum::<usize>() + PARTS * size_of::<HashTable<u32>>()
    }
}

/// By other bits than those that the parts themselves use first.
fn part(hash: u64) -> usize {
    (hash >> 44) as usize % PARTS
}
