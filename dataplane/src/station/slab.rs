//! Room for one value per place that grows without moving any.

/// Values in a chunk.
const CHUNK: usize = 512;

/// Values by place, in chunks that stay where they are.
pub(super) struct Slab<T> {
    chunks: Vec<Box<[T]>>,
}

impl<T: Default> Slab<T> {
    /// With the list of chunks for `most` values allocated, and chunks for `capacity`.
    pub(super) fn new(capacity: usize, most: usize) -> Self {
        let mut slab = Self { chunks: Vec::with_capacity(most.div_ceil(CHUNK)) };
        slab.reach(capacity);
        slab
    }

    /// Makes room for places below `places`.
    pub(super) fn reach(&mut self, places: usize) {
        while self.chunks.len() * CHUNK < places {
            self.chunks.push((0..CHUNK).map(|_| T::default()).collect());
        }
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> &T {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> &mut T {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// Octets.
    pub(super) fn octets(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<T>()
    }
}
