//! From a hash to a place, for tables that are far larger than caches: an answer takes one cache line, and lines can be asked for
//! ahead. In many parts, so that growing one of them is short.

const PARTS: usize = 64;
const WAYS: usize = 8;
/// Was taken: those behind it are still to be found.
const TOMB: u64 = 1 << 32;

/// Entries: the upper half of the hash in the upper half, the next number of the place in the lower. Zero is free.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u64; WAYS]);

#[derive(Debug, Clone, Default)]
struct Part {
    /// A power of two of them, or none.
    lines: Vec<Line>,
    len: usize,
    tombs: usize,
}

/// The caller compares keys and hashes what is at a place.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    parts: Vec<Part>,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines { parts: vec![Part::default(); PARTS] }
    }
}

impl Lines {
    /// Reads something of the line in which the hash is looked for. Doing this for several hashes before any of them is looked
    /// for lets the processor wait for all of the lines at once.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        let lines = &self.parts[part(hash)].lines;
        lines.get(first(hash, lines.len())).map_or(0, |line| line.0[0])
    }

    /// A place that may be the one with this hash: what is in one line only.
    #[inline]
    pub(crate) fn candidate(&self, hash: u64) -> Option<u32> {
        let lines = &self.parts[part(hash)].lines;
        let line = lines.get(first(hash, lines.len()))?;
        line.0.iter().find(|&&entry| entry & TAG == hash & TAG).and_then(|&entry| place(entry))
    }

    /// The place with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let lines = &self.parts[part(hash)].lines;
        let mut at = first(hash, lines.len());
        for _ in 0..lines.len() {
            let line = &lines[at];
            for &entry in &line.0 {
                if entry & TAG == hash & TAG && place(entry).is_some_and(&mut is) {
                    return place(entry);
                }
            }
            if line.0.contains(&0) {
                return None;
            }
            at = (at + 1) & (lines.len() - 1);
        }
        None
    }

    /// Puts `place` there instead of the one with the same hash for which `is` holds, and gives that.
    pub(crate) fn put(
        &mut self,
        hash: u64,
        new: u32,
        mut is: impl FnMut(u32) -> bool,
        rehash: impl Fn(u32) -> u64,
    ) -> Option<u32> {
        let part = &mut self.parts[part(hash)];
        if let Some((line, way)) = part.position(hash, &mut is) {
            let before = place(part.lines[line].0[way]);
            part.lines[line].0[way] = entry(hash, new);
            return before;
        }
        // 13 of 16.
        if (part.len + part.tombs + 1) * 16 > part.lines.len() * WAYS * 13 {
            part.rebuild(&rehash);
        }
        part.insert(hash, new);
        part.len += 1;
        None
    }

    /// Removes the place for which `is` holds.
    pub(crate) fn remove(&mut self, hash: u64, mut is: impl FnMut(u32) -> bool) {
        let part = &mut self.parts[part(hash)];
        if let Some((line, way)) = part.position(hash, &mut is) {
            // Nothing went on to the next line from one that is not full.
            let full = !part.lines[line].0.contains(&0);
            part.lines[line].0[way] = if full { TOMB } else { 0 };
            part.tombs += usize::from(full);
            part.len -= 1;
        }
    }

    /// Octets of memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        let lines: usize = self.parts.iter().map(|part| part.lines.capacity()).sum();
        lines * size_of::<Line>() + PARTS * size_of::<Part>()
    }
}

impl Part {
    fn position(&self, hash: u64, is: &mut impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        let mut at = first(hash, self.lines.len());
        for _ in 0..self.lines.len() {
            let line = &self.lines[at].0;
            let same = |&entry: &u64| entry & TAG == hash & TAG && place(entry).is_some_and(&mut *is);
            if let Some(way) = line.iter().position(same) {
                return Some((at, way));
            }
            if line.contains(&0) {
                return None;
            }
            at = (at + 1) & (self.lines.len() - 1);
        }
        None
    }

    /// There is room.
    fn insert(&mut self, hash: u64, new: u32) {
        let mut at = first(hash, self.lines.len());
        loop {
            if let Some(way) = self.lines[at].0.iter().position(|&entry| entry == 0 || entry == TOMB) {
                let entry_before = std::mem::replace(&mut self.lines[at].0[way], entry(hash, new));
                self.tombs -= usize::from(entry_before == TOMB);
                return;
            }
            at = (at + 1) & (self.lines.len() - 1);
        }
    }

    fn rebuild(&mut self, rehash: &impl Fn(u32) -> u64) {
        let wanted = (self.len + 1) * 16 / (WAYS * 13) + 1;
        let before = std::mem::replace(&mut self.lines, vec![Line::default(); wanted.next_power_of_two()]);
        self.tombs = 0;
        for place in before.iter().flat_map(|line| line.0).filter_map(place) {
            self.insert(rehash(place), place);
        }
    }
}

/// The part of an entry that is of the hash.
const TAG: u64 = 0xffff_ffff << 32;

fn entry(hash: u64, place: u32) -> u64 {
    (hash & TAG) | (u64::from(place) + 1)
}

#[inline]
fn place(entry: u64) -> Option<u32> {
    (entry as u32).checked_sub(1)
}

/// Neither part nor line are of the bits that entries keep.
fn part(hash: u64) -> usize {
    hash as usize % PARTS
}

#[inline]
fn first(hash: u64, lines: usize) -> usize {
    // Six bits chose the part; a part has less than 2^26 lines, or else its lines share bits with the entries.
    (hash as usize / PARTS) & lines.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few hashes of few lines, so that they overflow.
    fn hash(n: u8) -> u64 {
        (u64::from(n % 5) << 32) | (u64::from(n % 3) * PARTS as u64)
    }

    proptest! {
        #[test]
        fn it_knows_what_a_list_knows(steps in proptest::collection::vec((any::<bool>(), any::<u8>()), 1..600)) {
            let (mut lines, mut list) = (Lines::default(), std::collections::BTreeSet::new());
            for (put, n) in steps {
                let is = |at: u32| at == u32::from(n);
                if put {
                    let before = lines.put(hash(n), n.into(), is, |at| hash(at as u8));
                    prop_assert_eq!(before.is_some(), !list.insert(n));
                } else {
                    lines.remove(hash(n), is);
                    list.remove(&n);
                }
                for n in 0..=255u8 {
                    let found = lines.find(hash(n), |at| at == u32::from(n));
                    prop_assert_eq!(found, list.contains(&n).then_some(n.into()));
                }
            }
        }
    }
}
