//! What large tables are made of: places that do not move, an index over them, and a keyed hash.

mod hash;
mod index;
mod lines;
mod slab;

pub use hash::Seed;
pub(crate) use hash::hash_pair;
pub(crate) use index::Index;
pub(crate) use lines::Lines;
pub(crate) use slab::Slab;

/// No place.
pub(crate) const NONE: u32 = u32::MAX;

/// What was read ahead is not needed, but reading it is.
#[inline]
pub(crate) fn touched(all: u64) {
    std::hint::black_box(all);
}
