//! Receive packet numbers of one pairwise key (802.11-2020 §12.5.3.4.4): one counter per traffic identifier and one for management.
//!
//! All 17 count alike, but those that nearly nobody uses are kept apart: [`ReplayCounters`] is in hot state, [`RareCounters`] only made when a
//! frame of theirs comes.

/// Index of frames without QoS control among the traffic identifiers: they count as TID 0 (802.11-2020 §12.5.3.3.4).
pub const NON_QOS: usize = 0;

/// Index of management frames.
pub const MANAGEMENT: usize = 16;

/// Number of indexes.
pub(super) const INDEXES: usize = 17;

/// Traffic identifiers of EDCA, which are user priorities (802.11-2020 §9.2.4.5.2). The other eight are of HCCA.
const EDCA: usize = 8;

/// The place of an index: TIDs of EDCA first, then management, then those that nobody uses.
#[inline]
pub(super) fn slot(index: usize) -> usize {
    match index {
        0..EDCA => index,
        MANAGEMENT => EDCA,
        _ => index + 1,
    }
}

/// The counters of TIDs 0 to 7 and of management, by slot; all zero when a key is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ReplayCounters {
    last: [u64; EDCA + 1],
}

/// The counters of TIDs 8 to 15; all zero at first, which is when the first frame of any of them was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RareCounters {
    last: [u64; INDEXES - EDCA - 1],
}

impl ReplayCounters {
    /// Whether a frame of this number may be opened; `None` if the counter of this index is among the [rare ones](RareCounters).
    #[inline]
    pub fn is_new(&self, index: usize, pn: u64) -> Option<bool> {
        self.last.get(slot(index)).map(|&last| pn > last)
    }

    /// Moves on to a frame whose MIC was right. False, without effect, if another one moved past it since [`is_new`](Self::is_new); `None` as
    /// there.
    #[inline]
    #[must_use]
    pub fn accept(&mut self, index: usize, pn: u64) -> Option<bool> {
        self.last.get_mut(slot(index)).map(|last| advance(last, pn))
    }
}

impl RareCounters {
    /// Whether a frame of this number may be opened. `index` is a TID from 8 to 15.
    pub fn is_new(&self, index: usize, pn: u64) -> bool {
        pn > self.last[slot(index) - EDCA - 1]
    }

    /// Moves on, as the others.
    #[must_use]
    pub fn accept(&mut self, index: usize, pn: u64) -> bool {
        advance(&mut self.last[slot(index) - EDCA - 1], pn)
    }
}

#[inline]
fn advance(last: &mut u64, pn: u64) -> bool {
    let new = pn > *last;
    if new {
        *last = pn;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut places: Vec<_> = (0..INDEXES).map(slot).collect();
        assert_eq!((places[0], places[7], places[MANAGEMENT]), (0, 7, 8));
        places.sort_unstable();
        assert!(places.into_iter().eq(0..INDEXES));
    }

    #[test]
    fn each_index_increases_strictly_by_itself() {
        let (mut counters, mut rare) = (ReplayCounters::default(), RareCounters::default());
        for index in 0..INDEXES {
            let mut accept = |pn| counters.accept(index, pn).unwrap_or_else(|| rare.accept(index, pn));
            assert!(!accept(0), "packet numbers begin at 1");
            assert!(accept(1) && accept(5) && !accept(5) && !accept(4));
            assert_eq!(counters.is_new(index, 5).is_none(), (8..16).contains(&index));
            assert!(!counters.is_new(index, 5).unwrap_or_else(|| rare.is_new(index, 5)));
            assert!(counters.is_new(index, 6).unwrap_or_else(|| rare.is_new(index, 6)));
        }
    }
}
