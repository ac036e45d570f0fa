//! The rings that an AF_XDP socket shares with the kernel: single producer, single consumer, indices that run freely and wrap.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Memory from `mmap`, given back on drop.
#[derive(Debug)]
pub(super) struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: it is memory, of no thread in particular.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Zeroed memory, present at once: nothing may fault on the packet path.
    pub(super) fn anonymous(len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE, -1, 0)
    }

    /// A ring of a socket.
    pub(super) fn of_socket(fd: BorrowedFd<'_>, len: usize, offset: libc::off_t) -> io::Result<Self> {
        Self::map(len, libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd(), offset)
    }

    fn map(len: usize, flags: libc::c_int, fd: libc::c_int, offset: libc::off_t) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place, so that nothing of ours is replaced.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, offset)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(at.cast()) {
            Some(at) => Ok(Self { at, len }),
            None => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
        }
    }

    /// Its first octet.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.at
    }

    /// Its octets.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and whoever used it is gone: they borrow from the owner of this.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// A mapped ring: where its parts are.
#[derive(Debug)]
struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    size: u32,
    _mapping: Mapping,
    _entries: PhantomData<T>,
}

impl<T: Copy> Ring<T> {
    /// The ring of `size` entries (a power of two) in `mapping`, whose parts are where the kernel says.
    fn new(mapping: Mapping, places: &libc::xdp_ring_offset, size: u32) -> Self {
        let place = |offset: u64, octets: usize, align: usize| {
            let offset = offset as usize;
            assert!(
                offset.is_multiple_of(align) && offset.saturating_add(octets) <= mapping.len(),
                "a part of the ring lies outside of its mapping"
            );
            // SAFETY: just checked to be inside.
            unsafe { mapping.start().add(offset) }
        };
        assert!(size.is_power_of_two());
        let index = |offset| place(offset, 4, 4).cast();
        Self {
            producer: index(places.producer),
            consumer: index(places.consumer),
            flags: index(places.flags),
            entries: place(places.desc, size as usize * size_of::<T>(), align_of::<T>()).cast(),
            size,
            _mapping: mapping,
            _entries: PhantomData,
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: inside of the mapping, which lives as long as `self`; the kernel accesses it atomically.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.flags.as_ref() }
    }

    fn entry(&self, index: u32) -> NonNull<T> {
        // SAFETY: the index is less than the size.
        unsafe { self.entries.add((index & (self.size - 1)) as usize) }
    }
}

/// The side that puts entries in (FILL, TX).
#[derive(Debug)]
pub(super) struct Producer<T> {
    ring: Ring<T>,
    /// Where the next entry goes; what lies before may not be published yet.
    next: u32,
    /// The consumer's index when it was last looked at.
    consumed: u32,
}

// SAFETY: it is the only producer of its ring, wherever it is.
unsafe impl<T: Send> Send for Producer<T> {}

impl<T: Copy> Producer<T> {
    pub(super) fn new(mapping: Mapping, places: &libc::xdp_ring_offset, size: u32) -> Self {
        let ring = Ring::new(mapping, places, size);
        let next = ring.producer().load(Ordering::Relaxed);
        let consumed = ring.consumer().load(Ordering::Acquire);
        Self { ring, next, consumed }
    }

    /// Appends an entry, to be published later; false if the ring is full.
    #[inline]
    pub(super) fn push(&mut self, entry: T) -> bool {
        if self.next.wrapping_sub(self.consumed) == self.ring.size {
            // Acquire: the consumer's reads of the entry are over before we write there.
            self.consumed = self.ring.consumer().load(Ordering::Acquire);
            if self.next.wrapping_sub(self.consumed) == self.ring.size {
                return false;
            }
        }
        // SAFETY: inside of the ring, and the consumer leaves this entry alone until it is published.
        unsafe { self.ring.entry(self.next).write(entry) };
        self.next = self.next.wrapping_add(1);
        true
    }

    /// Shows the consumer what was pushed.
    #[inline]
    pub(super) fn publish(&mut self) {
        // Release: the entries are written before they are seen.
        self.ring.producer().store(self.next, Ordering::Release);
    }

    /// Whether the consumer sleeps until a system call wakes it. After [`publish`](Self::publish).
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        // The consumer sets the flag and looks once more at the index; we store the index and look at the flag: one of us sees the other.
        fence(Ordering::SeqCst);
        self.ring.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Entries pushed and not consumed yet.
    pub(super) fn pending(&self) -> u32 {
        self.next.wrapping_sub(self.ring.consumer().load(Ordering::Acquire))
    }
}

/// The side that takes entries out (RX, COMPLETION).
#[derive(Debug)]
pub(super) struct Consumer<T> {
    ring: Ring<T>,
    next: u32,
    /// The producer's index when it was last looked at.
    produced: u32,
}

// SAFETY: it is the only consumer of its ring, wherever it is.
unsafe impl<T: Send> Send for Consumer<T> {}

impl<T: Copy> Consumer<T> {
    pub(super) fn new(mapping: Mapping, places: &libc::xdp_ring_offset, size: u32) -> Self {
        let ring = Ring::new(mapping, places, size);
        let next = ring.consumer().load(Ordering::Relaxed);
        Self { ring, next, produced: next }
    }

    /// Takes the next entry. The producer may not write over it before [`release`](Self::release).
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.next == self.produced {
            // Acquire: the entries before this index are written.
            self.produced = self.ring.producer().load(Ordering::Acquire);
            if self.next == self.produced {
                return None;
            }
        }
        // SAFETY: inside of the ring, written by the producer, which leaves it alone until it is released. Every bit pattern is a `T`.
        let entry = unsafe { self.ring.entry(self.next).read() };
        self.next = self.next.wrapping_add(1);
        Some(entry)
    }

    /// Gives the places of what was taken back to the producer.
    #[inline]
    pub(super) fn release(&mut self) {
        // Release: our reads are over before the producer writes there.
        self.ring.consumer().store(self.next, Ordering::Release);
    }

    /// Entries that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> u32 {
        self.ring.producer().load(Ordering::Acquire).wrapping_sub(self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, FromRawFd, OwnedFd};

    use super::*;

    const SIZE: u32 = 8;

    /// Both sides of a ring in memory that is mapped twice, as the kernel's are.
    fn ring(start: u32) -> (Producer<u64>, Consumer<u64>) {
        // SAFETY: the name is a C string; the descriptor is new and ours.
        let fd = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"ring".as_ptr(), 0)) };
        // SAFETY: no pointer goes in.
        assert_eq!(unsafe { libc::ftruncate(fd.as_raw_fd(), 4096) }, 0);
        let map = || Mapping::of_socket(fd.as_fd(), 4096, 0).unwrap();
        let indices = map();
        for i in 0..2 {
            // SAFETY: inside of the mapping, and nobody else's yet.
            unsafe { indices.start().cast::<u32>().add(16 * i).write(start) };
        }
        let places = libc::xdp_ring_offset { producer: 0, consumer: 64, flags: 128, desc: 192 };
        (Producer::new(map(), &places, SIZE), Consumer::new(map(), &places, SIZE))
    }

    #[test]
    fn what_is_published_comes_out_in_order_and_indices_wrap() {
        for start in [0, u32::MAX - 5] {
            let (mut producer, mut consumer) = ring(start);
            assert_eq!(consumer.pop(), None);
            let mut next = 0;
            for round in 0..10 {
                let first = next;
                while producer.push(next) {
                    next += 1;
                }
                assert_eq!(next - first, u64::from(SIZE), "round {round}");
                assert_eq!((consumer.pop(), consumer.waiting()), (None, 0), "not published");
                producer.publish();
                assert_eq!((consumer.waiting(), producer.pending()), (SIZE, SIZE));
                for expected in first..next {
                    assert_eq!(consumer.pop(), Some(expected));
                }
                assert_eq!(consumer.pop(), None);
                assert!(!producer.push(0), "not released");
                consumer.release();
                assert_eq!(producer.pending(), 0);
            }
        }
    }

    #[test]
    fn two_threads_agree() {
        let (mut producer, mut consumer) = ring(u32::MAX - 100);
        const COUNT: u64 = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for value in 0..COUNT {
                    while !producer.push(value) {
                        std::thread::yield_now();
                    }
                    producer.publish();
                }
            });
            for expected in 0..COUNT {
                let value = loop {
                    match consumer.pop() {
                        Some(value) => break value,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(value, expected);
                consumer.release();
            }
        });
    }

    #[test]
    fn the_flag_says_when_to_wake() {
        let (mut producer, consumer) = ring(0);
        producer.publish();
        assert!(!producer.needs_wakeup());
        consumer.ring.flags().store(libc::XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
        assert!(producer.needs_wakeup());
    }
}
