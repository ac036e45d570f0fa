//! Receive packet numbers of one pairwise key (802.11-2020 §12.5.3.4.4): one counter per traffic identifier and one for management.

/// Index of frames without QoS control among the traffic identifiers: they count as TID 0 (802.11-2020 §12.5.3.3.4).
pub const NON_QOS: usize = 0;

/// Index of management frames.
pub const MANAGEMENT: usize = 16;

/// Number of indexes.
pub(super) const INDEXES: usize = 17;

/// The place of an index: TIDs of EDCA first (802.11-2020 §9.2.4.5.2), then management, then those that nobody uses.
#[inline]
pub(super) fn slot(index: usize) -> usize {
    match index {
        0..8 => index,
        MANAGEMENT => 8,
        _ => index + 1,
    }
}

/// The counters, by slot; all zero when a key is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ReplayCounters {
    last: [u64; INDEXES],
}

impl ReplayCounters {
    /// Whether a frame of this number may be opened. `index` is the TID (0 to 15) or [`MANAGEMENT`].
    #[inline]
    pub fn is_new(&self, index: usize, pn: u64) -> bool {
        pn > self.last[slot(index)]
    }

    /// Moves on to a frame whose MIC was right. False, without effect, if another one moved past it since [`is_new`](Self::is_new).
    #[inline]
    #[must_use]
    pub fn accept(&mut self, index: usize, pn: u64) -> bool {
        let new = self.is_new(index, pn);
        if new {
            self.last[slot(index)] = pn;
        }
        new
    }
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
        let mut counters = ReplayCounters::default();
        assert!(!counters.is_new(0, 0), "packet numbers begin at 1");
        assert!(counters.accept(0, 1) && counters.accept(0, 5));
        assert!(!counters.accept(0, 5) && !counters.accept(0, 4));
        assert!(counters.accept(15, 1) && counters.accept(MANAGEMENT, 1));
        assert!(counters.is_new(0, 6));
    }
}
