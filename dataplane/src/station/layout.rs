//! How the station table lies in memory, so that another process can map it elsewhere and find every station in it.
//!
//! ```text
//!   | header, 4 KiB: what this is, how large, heads of both indexes | hot state of each place | index by BSSID | index by VLAN |
//! ```
//!
//! Sections begin at huge pages' boundaries and have room for the most stations there can be; memory is used only where something is. Nothing
//! in it is a pointer: the indexes name places, free places name the next free one. What is not in it is [`Cold`](super::Cold) state, which
//! owns heap memory (control's blob, addresses, a replaced key, chains of held packets), and the lists of a tunnel's and of a VLAN's stations.
//! The first comes back from control, the second from the hot state. Only the replay counters of TIDs 8 to 15 do not come back: who goes on
//! with a station that has [`RareTids`](super::Flag::RareTids) may open no frame of these under its key. There are secrets in it: pairwise keys.

use super::Hot;
use super::hot::Hot as HotState;
use super::index::{self, Index};
use crate::memory::{HUGE, MemoryError, Region};

/// Of the layout. To be counted up with every change to [`Hot`], to an index's entry or head, or to the hash.
pub const VERSION: u32 = 2;

const MAGIC: u64 = u64::from_le_bytes(*b"ttg:stas");

/// Octets before the first section.
const HEADER: usize = 4096;
/// Where the heads of the indexes are.
const HEADS: [usize; 2] = [128, 192];

/// Why a memory is no station table that this program could use.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It does not begin like one, or was written on a machine of other byte order.
    #[error("this memory holds no station table of this kind of machine (it begins with {found:#018x})")]
    NotATable {
        /// What is there instead.
        found: u64,
    },
    /// Another program version wrote it.
    #[error(
        "the station table is of layout {found}; this program knows layout {VERSION} only: start without it"
    )]
    Version {
        /// Its layout.
        found: u32,
    },
    /// The same, though the versions agree.
    #[error(
        "{what} take {found} octets in this station table and {expected} in this program: start without it"
    )]
    Size {
        /// Of what.
        what: &'static str,
        /// There.
        found: u64,
        /// Here.
        expected: u64,
    },
    /// The order in it comes of another seed, so nothing would be found.
    #[error("the station table was made with another seed")]
    Seed,
    /// There is less of it than it says.
    #[error("the station table is {expected} octets long, and only {found} are there")]
    Truncated {
        /// There.
        found: usize,
        /// Said.
        expected: u64,
    },
    /// Its numbers contradict each other.
    #[error("the station table is damaged: {0}")]
    Damaged(&'static str),
    /// The system.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// The beginning of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Header {
    magic: u64,
    version: u32,
    hot_size: u32,
    entry_size: u32,
    /// Most stations.
    most: u32,
    /// Octets in all.
    octets: u64,
    seed_check: u64,
    /// Places that were ever used.
    pub(super) places: u32,
    /// The free place to use next, plus one; 0: none.
    pub(super) free: u32,
}

const _: () = assert!(size_of::<Header>() <= HEADS[0] && size_of::<index::Head>() <= 64);

/// Where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Most stations.
    pub(super) most: usize,
    pub(super) hot: usize,
    pub(super) indexes: [usize; 2],
    /// Octets in all.
    pub(super) octets: usize,
}

impl Layout {
    /// For so many stations at most.
    pub(super) fn new(most: usize) -> Self {
        let hot = HEADER.next_multiple_of(HUGE);
        let first = (hot + most * size_of::<Hot>()).next_multiple_of(HUGE);
        let second = (first + Index::section(most)).next_multiple_of(HUGE);
        let octets = (second + Index::section(most)).next_multiple_of(HUGE);
        Self { most, hot, indexes: [first, second], octets }
    }

    /// What `capacity` stations need of it: parts to back at once.
    pub(super) fn parts(&self, capacity: usize) -> [(usize, usize); 3] {
        let (at, len) = Index::first_part(capacity);
        let [first, second] = self.indexes;
        [(self.hot, capacity * size_of::<Hot>()), (first + at, len), (second + at, len)]
    }

    pub(super) fn heads(&self) -> [usize; 2] {
        HEADS
    }

    /// The header of an empty table.
    pub(super) fn header(&self, seed: u64) -> Header {
        Header {
            magic: MAGIC,
            version: VERSION,
            hot_size: size_of::<HotState>() as u32,
            entry_size: index::ENTRY as u32,
            most: self.most as u32,
            octets: self.octets as u64,
            seed_check: seed_check(seed),
            places: 0,
            free: 0,
        }
    }

    /// Reads the layout and the header of a table that somebody else made.
    pub(super) fn read(region: &Region, seed: u64) -> Result<(Self, Header), LayoutError> {
        if region.len() < HEADER {
            return Err(LayoutError::Truncated { found: region.len(), expected: HEADER as u64 });
        }
        // SAFETY: it is that long, page-aligned, and a header is plain numbers.
        let header = unsafe { region.start().cast::<Header>().read() };
        if header.magic != MAGIC {
            return Err(LayoutError::NotATable { found: header.magic });
        }
        if header.version != VERSION {
            return Err(LayoutError::Version { found: header.version });
        }
        let sizes = [
            ("hot states", header.hot_size, size_of::<Hot>()),
            ("index entries", header.entry_size, index::ENTRY),
        ];
        for (what, found, expected) in sizes {
            let (found, expected) = (u64::from(found), expected as u64);
            if found != expected {
                return Err(LayoutError::Size { what, found, expected });
            }
        }
        let layout = Self::new(header.most as usize);
        if header.octets != layout.octets as u64 {
            let (found, expected) = (header.octets, layout.octets as u64);
            return Err(LayoutError::Size { what: "all sections together", found, expected });
        }
        if region.len() < layout.octets {
            return Err(LayoutError::Truncated { found: region.len(), expected: header.octets });
        }
        if header.seed_check != seed_check(seed) {
            return Err(LayoutError::Seed);
        }
        if header.places > header.most {
            return Err(LayoutError::Damaged("more places are in use than there are"));
        }
        Ok((layout, header))
    }
}

/// Tells seeds apart without telling them.
fn seed_check(seed: u64) -> u64 {
    let product = (seed ^ 0x6a09_e667_f3bc_c908) as u128 * 0x9fb2_1c65_1e98_df25;
    product as u64 ^ (product >> 64) as u64
}
