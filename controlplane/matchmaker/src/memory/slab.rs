//! Places for values of one size. They come in runs that never move, so growing neither copies nor doubles.

/// A run has so many places.
const RUN: usize = 4096;

/// The caller knows which places are taken: a place that was given back keeps its last value until it is given out again.
#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    runs: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { runs: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts a value somewhere.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.get_mut(place) = value;
            return place;
        }
        if self.runs.last().is_none_or(|run| run.len() == RUN) {
            // The first grows with its contents: small sets stay small.
            self.runs.push(if self.runs.is_empty() { Vec::new() } else { Vec::with_capacity(RUN) });
        }
        let run = self.runs.len() - 1;
        self.runs[run].push(value);
        (run * RUN + self.runs[run].len() - 1) as u32
    }

    /// Gives a place back; the value in it becomes `rest`.
    pub(crate) fn remove(&mut self, place: u32, rest: T) -> T {
        self.free.push(place);
        std::mem::replace(self.get_mut(place), rest)
    }

    /// The value there.
    #[inline]
    pub(crate) fn get(&self, place: u32) -> &T {
        &self.runs[place as usize / RUN][place as usize % RUN]
    }

    /// The value there.
    #[inline]
    pub(crate) fn get_mut(&mut self, place: u32) -> &mut T {
        &mut self.runs[place as usize / RUN][place as usize % RUN]
    }

    /// All places, those given back included.
    pub(crate) fn places(&self) -> u32 {
        self.runs.last().map_or(0, |last| ((self.runs.len() - 1) * RUN + last.len()) as u32)
    }

    /// Octets of memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        let values: usize = self.runs.iter().map(Vec::capacity).sum();
        values * size_of::<T>() + self.free.capacity() * 4 + self.runs.capacity() * size_of::<Vec<T>>()
    }
}
