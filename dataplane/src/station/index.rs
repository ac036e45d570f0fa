//! An index from a 12-octet key to a station: open addressing in cache lines, looked up a burst at a time, growing without a pause.
//!
//! Entries are 16 octets, four to a cache line. A key's home is a line; its entry is in the first place from there on that was free, keys of
//! earlier homes before those of later ones (Robin Hood hashing), so that no entry is much farther from home than others. Removal moves
//! entries back; there are no tombstones, and a miss ends at the first gap.
//!
//! ```text
//!   octets of the memory:   … | table of 2^k entries, from 16·2^k on | table of 2^(k+1) entries, from 16·2^(k+1) on | …
//! ```
//!
//! A table of each size has its own place, so that growing (above three quarters) and shrinking (below three sixteenths) need no memory from
//! anybody: the next table is begun, both are looked up, and every insertion, removal and tick moves some runs of entries over, until the old
//! one is empty. The home is the top bits of the hash, so this goes through both tables from one end to the other. Everything is an offset or
//! a number, all zeros is an empty index, and what is needed to go on is in [`Head`]: another process can map it elsewhere.

mod line;

use std::ptr::NonNull;
use std::sync::Arc;

use super::StationId;
use crate::memory::{HUGE, MemoryError, Pages, Region};
use crate::packet::BURST;
use crate::prefetch::prefetch;
use line::{BITS, Compared, compare};

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

    /// The same, where both lie behind each other.
    #[inline]
    pub fn from_octets(octets: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = octets;
        Self { high: u64::from_le_bytes([a, b, c, d, e, f, g, h]), low: u32::from_le_bytes([i, j, k, l]) }
    }
}

/// Farthest that an entry may be from its home before the index grows, whatever its load: 12 lines.
pub const MAX_PROBE: u32 = 48;

/// Entries in a cache line.
const LINE: usize = 4;
/// The smallest table: 2⁶ entries.
const MIN_LEVEL: u32 = 6;
/// Entries looked at for moving with each insertion and removal: all of a table are, long before the next one is full.
const SLOTS_PER_STEP: usize = 32;
/// Octets given back to the system with each tick.
const RELEASE_PER_TICK: usize = 256 << 10;

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    high: u64,
    low: u32,
    /// One more than the station's number; 0: a gap.
    place: u32,
}

const GAP: Entry = Entry { high: 0, low: 0, place: 0 };

/// Octets of an entry, as the layout of shared memory states them.
pub(super) const ENTRY: usize = size_of::<Entry>();
const _: () = assert!(ENTRY == 16 && LINE * ENTRY == 64);

impl Entry {
    #[inline]
    fn key(&self) -> Key {
        Key { high: self.high, low: self.low }
    }
}

/// What the index is at the moment, kept in its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Head {
    /// The table that keys go into has 2^level entries.
    level: u32,
    /// The one they are moved out of; 0: none is.
    old_level: u32,
    /// Next place of the old table to look at, always at the beginning of a run.
    cursor: u64,
    /// Places of it left to look at.
    left: u64,
    len: u64,
    /// The farthest that an entry of the present table ever was from home.
    longest: u32,
    /// The same of the old one.
    old_longest: u32,
    /// Times that a table was begun.
    resizes: u64,
}

/// One table: where, and how far its homes are shifted.
#[derive(Clone, Copy)]
struct Table {
    start: NonNull<Entry>,
    mask: usize,
    shift: u32,
}

/// How well the index does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Keys.
    pub keys: u64,
    /// Entries of the present table.
    pub entries: u64,
    /// The farthest that an entry was ever from home, in entries.
    pub longest_probe: u32,
    /// Times that it grew or shrank.
    pub resizes: u64,
    /// Whether it is doing so now.
    pub resizing: bool,
}

/// The index. Its user keeps keys unique: inserting a known key replaces its station. One writer.
pub struct Index {
    region: Arc<Region>,
    base: NonNull<Entry>,
    head_at: NonNull<Head>,
    head: Head,
    table: Table,
    old: Option<Table>,
    seed: u64,
    least: u32,
    most: u32,
    /// Octets of the section that nobody uses any more and the system does not have back yet.
    stale: (usize, usize),
}

// SAFETY: the pointers are into `region`, which is shared by reference count; writing takes `&mut self`, and sections do not overlap.
unsafe impl Send for Index {}
// SAFETY: as above; nothing is written through `&self`.
unsafe impl Sync for Index {}

impl Index {
    /// With room for `capacity` keys before it grows, and for so many more that nobody gets there: 16 times as many, or a million. `seed` makes
    /// the order unpredictable.
    ///
    /// # Panics
    /// If there is no address space for it.
    pub fn new(capacity: usize, seed: u64) -> Self {
        let most = (capacity * 16).max(1 << 20);
        match Self::reserve(capacity, most, seed) {
            Ok((index, _)) => index,
            Err(error) => panic!("{error}"),
        }
    }

    /// With room for `capacity` keys before it grows, and for `most` in all. Says which pages it got.
    ///
    /// # Errors
    /// [`MemoryError`], if there is no address space for it.
    pub fn reserve(capacity: usize, most: usize, seed: u64) -> Result<(Self, Pages), MemoryError> {
        let section = Self::section(most);
        let mut region = Region::reserve(section + HUGE)?;
        let pages = region.back(&[Self::first_part(capacity)]);
        let region = Arc::new(region);
        // SAFETY: the section is followed by a page for the head, all of it is zeros, and nobody else knows of it.
        let index = unsafe { Self::at(region, 0, section, (capacity, most), seed) };
        Ok((index, pages))
    }

    /// Octets of the section that an index for `most` keys needs.
    pub(super) fn section(most: usize) -> usize {
        (2 * ENTRY) << level_for(most)
    }

    /// The part of the section that an index for `capacity` keys begins with.
    pub(super) fn first_part(capacity: usize) -> (usize, usize) {
        let octets = ENTRY << level_for(capacity);
        (octets, octets)
    }

    /// An empty index in a section of a region at `at`, with its head at `head_at`, for (expected, most) keys.
    ///
    /// # Safety
    /// Section and head are inside of the region, aligned to cache lines, all zeros, and used by nobody else.
    pub(super) unsafe fn at(
        region: Arc<Region>,
        at: usize,
        head_at: usize,
        (capacity, most): (usize, usize),
        seed: u64,
    ) -> Self {
        let head = Head { level: level_for(capacity), ..Head::default() };
        // SAFETY: the caller's promise.
        let mut index = unsafe { Self::with(region, at, head_at, head, level_for(most), seed) };
        index.save();
        index
    }

    /// The index that another mapping of the same memory has at this place; `None` if its head is not one for `most` keys.
    ///
    /// # Safety
    /// Section and head are inside of the region and aligned, and nobody writes there as long as this is used.
    pub(super) unsafe fn open(
        region: Arc<Region>,
        at: usize,
        head_at: usize,
        most: usize,
        seed: u64,
    ) -> Option<Self> {
        // SAFETY: inside, and a head is plain numbers.
        let head = unsafe { region.start().add(head_at).cast::<Head>().read() };
        let levels = MIN_LEVEL..=level_for(most);
        if !levels.contains(&head.level) || (head.old_level != 0 && !levels.contains(&head.old_level)) {
            return None;
        }
        // SAFETY: the caller's promise.
        Some(unsafe { Self::with(region, at, head_at, head, level_for(most), seed) })
    }

    /// # Safety
    /// As for the callers; the levels in `head` are at most `most`.
    unsafe fn with(region: Arc<Region>, at: usize, head_at: usize, head: Head, most: u32, seed: u64) -> Self {
        // SAFETY: inside, as the caller promises.
        let (base, head_at) = unsafe { (region.start().add(at).cast(), region.start().add(head_at).cast()) };
        let table = table(base, head.level);
        let old = (head.old_level != 0).then(|| self::table(base, head.old_level));
        Self { region, base, head_at, head, table, old, seed, least: head.level, most, stale: (0, 0) }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.head.len as usize
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How well it does.
    pub fn stats(&self) -> IndexStats {
        IndexStats {
            keys: self.head.len,
            entries: 1 << self.head.level,
            longest_probe: self.head.longest.max(self.head.old_longest),
            resizes: self.head.resizes,
            resizing: self.old.is_some(),
        }
    }

    /// Octets of the tables in use.
    pub fn octets(&self) -> usize {
        let old = self.old.map_or(0, |old| old.mask + 1);
        (self.table.mask + 1 + old) * ENTRY
    }

    /// The station of a key.
    #[inline]
    pub fn get(&self, key: Key) -> Option<StationId> {
        let hash = self.hash(key);
        self.find(key, hash)
    }

    /// Starts fetching where a key will be looked for first.
    #[inline]
    pub fn expect(&self, key: Key) {
        prefetch(self.table.entry(self.table.home(self.hash(key))));
    }

    /// The stations of up to a burst of keys: first every home is hashed and prefetched, then probed.
    #[inline]
    pub fn get_burst(&self, keys: &[Key], out: &mut [Option<StationId>]) {
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            let mut hashes = [0; BURST];
            for (hash, &key) in hashes.iter_mut().zip(keys) {
                *hash = self.hash(key);
                prefetch(self.table.entry(self.table.home(*hash)));
                if let Some(old) = &self.old {
                    prefetch(old.entry(old.home(*hash)));
                }
            }
            for ((out, &key), &hash) in out.iter_mut().zip(keys).zip(&hashes) {
                *out = self.find(key, hash);
            }
        }
    }

    /// Sets the station of a key. False, without effect, if the index has as many keys as it was made for.
    pub fn insert(&mut self, key: Key, station: StationId) -> bool {
        let hash = self.hash(key);
        if let Some(at) = self.table.position(key, self.table.home(hash), self.head.longest) {
            self.table.entry_mut(at).place = station.0 + 1;
            self.step(SLOTS_PER_STEP);
            return true;
        }
        if let Some(old) = &mut self.old
            && let Some(at) = old.position(key, old.home(hash), self.head.old_longest)
        {
            old.remove(at, self.seed);
            self.head.len -= 1;
        }
        self.make_room();
        if self.head.len >= load_limit(self.head.level) {
            self.save();
            return false;
        }
        let entry = Entry { high: key.high, low: key.low, place: station.0 + 1 };
        self.head.longest = self.head.longest.max(self.table.insert(entry, hash, self.seed));
        self.head.len += 1;
        self.step(SLOTS_PER_STEP);
        true
    }

    /// Removes a key, if it stands for this station.
    pub fn remove(&mut self, key: Key, station: StationId) -> bool {
        let hash = self.hash(key);
        let found = self.table.position(key, self.table.home(hash), self.head.longest);
        let (table, at) = match (found, &mut self.old) {
            (Some(at), _) => (&mut self.table, at),
            (None, Some(old)) => match old.position(key, old.home(hash), self.head.old_longest) {
                Some(at) => (old, at),
                None => return false,
            },
            (None, None) => return false,
        };
        if table.entry(at).place != station.0 + 1 {
            return false;
        }
        table.remove(at, self.seed);
        self.head.len -= 1;
        let roomy = self.head.len < (3 << self.head.level) / 16;
        if roomy && self.head.level > self.least && self.old.is_none() {
            self.begin(self.head.level - 1);
        }
        self.step(SLOTS_PER_STEP);
        true
    }

    /// Goes on with growing or shrinking, by about so many places of the old table, and gives memory back. For quiet moments: nothing depends
    /// on it.
    pub fn maintain(&mut self, slots: usize) {
        if self.old.is_some() {
            self.step(slots);
        } else if self.stale.1 > 0 {
            let (at, left) = self.stale;
            let now = left.min(RELEASE_PER_TICK);
            // SAFETY: a number from two pointers into one region.
            let section = unsafe { self.base.cast::<u8>().offset_from(self.region.start()) } as usize;
            self.region.release(section + at, now);
            self.stale = (at + now, left - now);
        }
    }

    #[inline(always)]
    fn find(&self, key: Key, hash: u64) -> Option<StationId> {
        if let Some(place) = self.table.probe(key, self.table.home(hash), self.head.longest) {
            return Some(StationId(place - 1));
        }
        self.old.as_ref()?;
        self.find_in_old(key, hash)
    }

    fn find_in_old(&self, key: Key, hash: u64) -> Option<StationId> {
        let old = self.old.as_ref()?;
        old.probe(key, old.home(hash), self.head.old_longest).map(|place| StationId(place - 1))
    }

    #[inline]
    fn hash(&self, key: Key) -> u64 {
        hash(key, self.seed)
    }

    /// Begins a larger table if this one is three quarters full, or its entries are farther from home than they should be.
    fn make_room(&mut self) {
        let full = self.head.len >= load_limit(self.head.level);
        let long = self.head.longest > MAX_PROBE && self.head.len > (1 << self.head.level) / 4;
        if !full && !long || self.head.level == self.most {
            return;
        }
        if self.old.is_some() {
            if !full {
                return;
            }
            // Cannot be: by now every place was looked at several times over.
            self.step(usize::MAX);
        }
        self.begin(self.head.level + 1);
    }

    /// Begins a table of another size: its place is all zeros, since entries that were moved away left zeros behind.
    fn begin(&mut self, level: u32) {
        self.old = Some(self.table);
        self.table = table(self.base, level);
        self.stale = (0, 0);
        let old = self.head;
        // The first run that does not begin in the old table's last places.
        let Some(first) = (0..1usize << old.level).find(|&at| self.old_entry(at).place == 0) else {
            unreachable!("a table is never full")
        };
        self.head = Head {
            level,
            old_level: old.level,
            cursor: first as u64,
            left: 1 << old.level,
            longest: 0,
            old_longest: old.longest,
            resizes: old.resizes + 1,
            ..old
        };
    }

    fn old_entry(&self, at: usize) -> &Entry {
        self.old.as_ref().unwrap_or(&self.table).entry(at)
    }

    /// Moves whole runs from the old table, until so many of its places were looked at. A run is moved at once, so that every other one stays
    /// whole.
    fn step(&mut self, slots: usize) {
        let Some(mut old) = self.old else { return self.save() };
        let (mut at, mut left) = (self.head.cursor as usize, self.head.left);
        let mut looked = 0;
        while left > 0 {
            let entry = *old.entry(at);
            if entry.place == 0 {
                if looked >= slots {
                    break;
                }
            } else {
                *old.entry_mut(at) = GAP;
                let hash = self.hash(entry.key());
                self.head.longest = self.head.longest.max(self.table.insert(entry, hash, self.seed));
            }
            at = (at + 1) & old.mask;
            left -= 1;
            looked += 1;
        }
        (self.head.cursor, self.head.left) = (at as u64, left);
        if left == 0 {
            let octets = ENTRY << self.head.old_level;
            self.stale = (octets, octets);
            (self.old, self.head.old_level, self.head.old_longest) = (None, 0, 0);
        }
        self.save();
    }

    /// Keeps the head in the memory, for whoever maps it.
    fn save(&mut self) {
        // SAFETY: the head's place is inside of the region, aligned, and only this index writes there.
        unsafe { self.head_at.write(self.head) };
    }
}

impl Table {
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize * LINE
    }

    #[inline]
    fn entry(&self, at: usize) -> &Entry {
        debug_assert!(at <= self.mask);
        // SAFETY: the mask keeps it inside of the table (homes are below its size, all else is masked); an entry is plain numbers; the
        // index writes only through `&mut`.
        unsafe { self.start.add(at).as_ref() }
    }

    #[inline]
    fn entry_mut(&mut self, at: usize) -> &mut Entry {
        debug_assert!(at <= self.mask);
        // SAFETY: as above, and the index that this table belongs to is borrowed for writing.
        unsafe { self.start.add(at).as_mut() }
    }

    /// What stands for a key.
    #[inline]
    fn probe(&self, key: Key, home: usize, longest: u32) -> Option<u32> {
        self.position(key, home, longest).map(|at| self.entry(at).place)
    }

    /// Where a key is: at most `longest` places from home. A line at a time, since where in it is nothing that a processor could foresee.
    #[inline]
    fn position(&self, key: Key, home: usize, longest: u32) -> Option<usize> {
        let mut at = home;
        for _ in 0..=longest as usize / LINE {
            let Compared { found, gaps } = compare(self.line(at), key);
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize / BITS);
            }
            if gaps != 0 {
                return None;
            }
            at = (at + LINE) & self.mask;
        }
        None
    }

    /// The entries of a line.
    #[inline]
    fn line(&self, at: usize) -> &[Entry; LINE] {
        debug_assert!(at <= self.mask && at.is_multiple_of(LINE));
        // SAFETY: as in `entry`; the size of a table is a multiple of a line, and so is `at`.
        unsafe { self.start.add(at).cast().as_ref() }
    }

    /// How far the entry at `at` is from home.
    fn distance(&self, at: usize, seed: u64) -> usize {
        at.wrapping_sub(self.home(hash(self.entry(at).key(), seed))) & self.mask
    }

    /// Puts a new key in: behind those that are at least as far from their homes. Returns the farthest that any entry has got from home by it.
    fn insert(&mut self, mut entry: Entry, hash: u64, seed: u64) -> u32 {
        let mut at = self.home(hash);
        let (mut distance, mut farthest) = (0, 0);
        loop {
            let there = *self.entry(at);
            if there.place == 0 {
                *self.entry_mut(at) = entry;
                return farthest.max(distance) as u32;
            }
            let its = self.distance(at, seed);
            if its < distance {
                *self.entry_mut(at) = entry;
                farthest = farthest.max(distance);
                (entry, distance) = (there, its);
            }
            at = (at + 1) & self.mask;
            distance += 1;
        }
    }

    /// Takes an entry out; those behind it move back by one, up to a gap or one that is at home.
    fn remove(&mut self, mut at: usize, seed: u64) {
        loop {
            let next = (at + 1) & self.mask;
            if self.entry(next).place == 0 || self.distance(next, seed) == 0 {
                *self.entry_mut(at) = GAP;
                return;
            }
            *self.entry_mut(at) = *self.entry(next);
            at = next;
        }
    }
}

fn table(base: NonNull<Entry>, level: u32) -> Table {
    let size = 1usize << level;
    // SAFETY: the section has room for tables of every level up to the most, which `level` does not exceed.
    let start = unsafe { base.add(size) };
    Table { start, mask: size - 1, shift: 64 - (level - LINE.trailing_zeros()) }
}

/// The smallest table that so many keys fill by three quarters at most.
fn level_for(keys: usize) -> u32 {
    ((keys * 4).div_ceil(3) + 1).next_power_of_two().trailing_zeros().max(MIN_LEVEL)
}

/// Keys that a table takes: three quarters of its entries.
fn load_limit(level: u32) -> u64 {
    (3 << level) / 4
}

/// Folded multiplication: cheap, and with a secret seed nobody outside can aim at one place.
#[inline]
fn hash(key: Key, seed: u64) -> u64 {
    let a = (key.high ^ seed) as u128;
    let b = (u64::from(key.low) ^ seed.rotate_left(32)) | 1 << 63;
    let product = a * b as u128;
    (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests;
