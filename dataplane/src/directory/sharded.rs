//! A hash map in many small parts, so that no insertion waits for more than a small part to grow.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

/// Parts: with a million keys, a part has a thousand, which takes tens of microseconds to move.
const SHARDS: usize = 1024;

/// The map. What every packet needs is not in one of these, but in a [`crate::station::Index`].
pub struct Sharded<K, V> {
    shards: Box<[HashMap<K, V, RandomState>]>,
    hasher: RandomState,
    len: usize,
}

impl<K: Hash + Eq, V> Sharded<K, V> {
    /// An empty one.
    pub fn new() -> Self {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| HashMap::with_hasher(hasher.clone())).collect();
        Self { shards, hasher, len: 0 }
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        if self.len == 0 {
            return None;
        }
        self.shards[self.shard(key)].get(key)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let shard = self.shard(key);
        self.shards[shard].get_mut(key)
    }

    /// Whether a key has a value.
    #[inline]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Sets the value of a key; returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let shard = self.shard(&key);
        let old = self.shards[shard].insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes a key; returns the value it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let shard = self.shard(key);
        let old = self.shards[shard].remove(key);
        self.len -= usize::from(old.is_some());
        old
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// By bits of the hash that the maps themselves do not choose their places by: those take the lowest and the topmost.
    fn shard(&self, key: &K) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }
}

impl<K: Hash + Eq, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_in_parts_of_about_the_same_size() {
        let mut map = Sharded::new();
        assert!(map.is_empty() && map.get(&1).is_none());
        for n in 0..100_000u32 {
            assert_eq!(map.insert(n, n), None);
        }
        assert_eq!((map.insert(5, 6), map.len()), (Some(5), 100_000));
        *map.get_mut(&7).unwrap() = 8;
        assert_eq!((map.get(&5), map.get(&7), map.contains_key(&100_000)), (Some(&6), Some(&8), false));
        let largest = map.shards.iter().map(HashMap::len).max().unwrap();
        assert!(largest < 200, "about 98 each, not {largest}");
        for n in 0..100_000u32 {
            assert!(map.remove(&n).is_some() && map.remove(&n).is_none());
        }
        assert!(map.is_empty());
    }
}
