//! Packets in memory that somebody else manages: a pool then is a short list of free packets between its thread and that memory.
//!
//! Packets come out of the memory by [`Pool::alloc`] or because a device received into them ([`Pool::adopt`]), and go back when dropped or when
//! they are handed to a device that sends them ([`Packet::owner`], [`Owner::gave_away`]).

use std::cell::{Cell, UnsafeCell};
use std::ptr::{NonNull, null_mut};

use super::{Attached, BURST, Burst, Head, LINE, Memory, Meta, Packet, Pool, PoolConfig, Shared};

/// Somebody else's memory of packets.
///
/// # Safety
/// What [`take`](Self::take) gives out is a place for a head, aligned to its size, directly followed by as many initialised octets of buffer as the
/// pool was made with; it is nobody else's until it is given back, and valid while the source lives.
pub(crate) unsafe trait Source {
    /// Fills in from the front and returns how many there were.
    fn take(&self, heads: &mut [*mut Head]) -> usize;
    /// Takes packets back.
    fn give(&self, heads: &[NonNull<Head>]);
    /// What tells this memory from others. Not 0.
    fn id(&self) -> usize;
    /// Whether the same devices can send from it as from `other`.
    fn kind(&self) -> &'static str;
}

/// Free packets that are kept here at most; half of them are given back at a time.
const KEEP: usize = 4 * BURST;

const _: () = assert!(align_of::<Head>() == LINE && std::mem::offset_of!(Head, offset) == 8);
const _: () = assert!(std::mem::offset_of!(Head, len) == 12);

impl Pool {
    /// A pool of the packets of `source`, of which there are `config.packets` for all pools and devices together.
    ///
    /// # Panics
    /// As [`Pool::new`].
    pub(crate) fn of_source(source: Box<dyn Source>, config: PoolConfig) -> Self {
        let PoolConfig { packets, buffer, headroom } = config;
        assert!(headroom <= buffer, "headroom of {headroom} octets in a buffer of {buffer}");
        assert!(u32::try_from(buffer).is_ok(), "packet buffer of {buffer} octets");
        let shared = Shared {
            free: UnsafeCell::new(Vec::with_capacity(KEEP + 1)),
            handles: Cell::new(1),
            out: Cell::new(0),
            lowest_free: Cell::new(packets),
            exhausted: Cell::new(0),
            capacity: packets,
            keep: KEEP,
            buffer: buffer as u32,
            headroom: headroom as u32,
            memory: Memory::Foreign { id: source.id(), source },
        };
        Self { shared: NonNull::from(Box::leak(Box::new(shared))) }
    }

    /// The memory that the packets are in: what its source says, or 0 for our own.
    pub(crate) fn source_id(&self) -> usize {
        self.shared().source_id()
    }

    /// Makes packets of what a device received into: offset and length are in the heads.
    ///
    /// # Safety
    /// Each of `heads` is of this pool's source, is nobody else's, and has offset and length within the buffer. `out` has room for all of them.
    pub(crate) unsafe fn adopt(&self, heads: &[*mut Head], out: &mut Burst) {
        let shared = self.shared();
        for &head in heads {
            // SAFETY: the caller's promise; owner and attachments are plain data, so nothing is dropped by writing over them.
            let packet = unsafe {
                (&raw mut (*head).owner).write(self.shared);
                (&raw mut (*head).attached).write(Attached { meta: Meta::default() });
                Packet { head: NonNull::new_unchecked(head) }
            };
            if out.push(packet).is_err() {
                unreachable!("the caller saw to it that there is room");
            }
        }
        shared.out.set(shared.out.get() + heads.len());
        shared.note_peak();
    }
}

/// The pool of a packet, which outlives the packet in it by as much as it takes to say that the packet has gone.
#[derive(Clone, Copy)]
pub(crate) struct Owner(NonNull<Shared>);

impl Owner {
    /// A packet of this pool now is a device's.
    ///
    /// # Safety
    /// There was such a packet, it is forgotten, and this is called once for it.
    pub(crate) unsafe fn gave_away(self) {
        // SAFETY: the packet still counts as owned, so the pool is there.
        unsafe {
            let shared = self.0.as_ref();
            shared.out.set(shared.out.get() - 1);
            if shared.handles.get() == 0 {
                Shared::settle(self.0);
            }
        }
    }
}

impl Packet {
    /// Its pool.
    pub(crate) fn owner(&self) -> Owner {
        Owner(self.head().owner)
    }

    /// As [`Pool::source_id`].
    #[inline]
    pub(crate) fn source_id(&self) -> usize {
        // SAFETY: the pool lives while this packet does.
        unsafe { self.head().owner.as_ref() }.source_id()
    }

    /// What kind of source its memory has; empty for our own.
    pub(crate) fn source_kind(&self) -> &'static str {
        // SAFETY: the pool lives while this packet does.
        unsafe { self.head().owner.as_ref() }.source().map_or("", Source::kind)
    }

    /// Where its head is. To be read and written only while the packet is borrowed or forgotten.
    pub(crate) fn as_head(&self) -> *mut Head {
        self.head.as_ptr()
    }
}

impl Shared {
    fn source(&self) -> Option<&dyn Source> {
        match &self.memory {
            Memory::Own { .. } => None,
            Memory::Foreign { source, .. } => Some(&**source),
        }
    }

    fn source_id(&self) -> usize {
        match &self.memory {
            Memory::Own { .. } => 0,
            Memory::Foreign { id, .. } => *id,
        }
    }

    /// Sees to it that a burst is free, if it can be had.
    pub(super) fn stock(&self) {
        let Some(source) = self.source() else { return };
        // SAFETY: as in `Pool::alloc`; the source does not know of this list.
        let free = unsafe { &mut *self.free.get() };
        if free.len() >= BURST {
            return;
        }
        let mut heads = [null_mut::<Head>(); BURST];
        let got = source.take(&mut heads);
        for &head in &heads[..got] {
            let attached = Attached { meta: Meta::default() };
            // SAFETY: the source gave us the place, for us alone.
            unsafe {
                head.write(Head { owner: NonNull::from(self), offset: self.headroom, len: 0, attached });
                free.push(NonNull::new_unchecked(head));
            }
        }
        self.out.set(self.out.get() + got);
        self.note_peak();
    }

    /// Gives the source all free packets but `keep`.
    pub(super) fn give_back(&self, keep: usize) {
        let Some(source) = self.source() else { return };
        // SAFETY: as in `stock`.
        let free = unsafe { &mut *self.free.get() };
        let surplus = free.len().saturating_sub(keep);
        // The last came back last: their cache lines are warm.
        source.give(&free[..surplus]);
        free.drain(..surplus);
        self.out.set(self.out.get() - surplus);
    }

    /// Between two of these the peak may have been higher by the length of the list.
    fn note_peak(&self) {
        let free = self.capacity.saturating_sub(self.owned());
        self.lowest_free.set(self.lowest_free.get().min(free));
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::cell::RefCell;
    use std::mem::forget;
    use std::rc::Rc;

    use super::*;

    const BUFFER: usize = 192;
    const PLACE: Layout = match Layout::from_size_align(LINE + BUFFER, LINE) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    };

    /// Memory that counts.
    struct Heap(RefCell<Vec<NonNull<Head>>>);

    impl Heap {
        fn new(packets: usize) -> Rc<Self> {
            // SAFETY: the layout is not empty.
            let place = |_| NonNull::new(unsafe { alloc_zeroed(PLACE) }).unwrap().cast();
            Rc::new(Self(RefCell::new((0..packets).map(place).collect())))
        }

        fn pool(self: &Rc<Self>, packets: usize) -> Pool {
            let config = PoolConfig { packets, buffer: BUFFER, headroom: 32 };
            Pool::of_source(Box::new(self.clone()), config)
        }

        fn available(&self) -> usize {
            self.0.borrow().len()
        }
    }

    impl Drop for Heap {
        fn drop(&mut self) {
            for place in self.0.get_mut().drain(..) {
                // SAFETY: it came from `alloc_zeroed` with this layout.
                unsafe { dealloc(place.as_ptr().cast(), PLACE) };
            }
        }
    }

    // SAFETY: each place is of the layout, one user's at a time, and freed with the source only.
    unsafe impl Source for Rc<Heap> {
        fn take(&self, heads: &mut [*mut Head]) -> usize {
            let mut places = self.0.borrow_mut();
            let n = heads.len().min(places.len());
            let from = places.len() - n;
            for (head, place) in heads.iter_mut().zip(places.drain(from..)) {
                *head = place.as_ptr();
            }
            n
        }
        fn give(&self, heads: &[NonNull<Head>]) {
            self.0.borrow_mut().extend(heads);
        }
        fn id(&self) -> usize {
            Rc::as_ptr(self) as usize
        }
        fn kind(&self) -> &'static str {
            "heap"
        }
    }

    #[test]
    fn packets_come_from_the_source_and_go_back_to_it() {
        let heap = Heap::new(300);
        let pool = heap.pool(300);
        let mut held: Vec<_> = (0..300).map(|_| pool.alloc().unwrap()).collect();
        assert!(pool.alloc().is_none());
        assert_eq!((pool.in_use(), pool.free(), heap.available()), (300, 0, 0));
        assert_eq!((pool.stats().exhausted, pool.stats().peak), (1, 300));
        for (i, packet) in held.iter_mut().enumerate() {
            assert_eq!((packet.headroom(), packet.len(), packet.meta), (32, 0, Meta::default()));
            assert!(packet.copy_from(&[i as u8; 160]));
            assert_eq!((packet.tailroom(), packet.source_kind()), (0, "heap"));
        }
        assert!(held.iter().enumerate().all(|(i, packet)| packet.data() == [i as u8; 160]));
        held.truncate(100);
        assert_eq!(pool.in_use(), 100);
        // Only a short list stays here.
        assert!(heap.available() >= 200 - KEEP && heap.available() + pool.free() == 200);
        drop(held);
        assert_eq!(pool.in_use(), 0);
        drop(pool);
        assert_eq!((heap.available(), Rc::strong_count(&heap)), (300, 1));
    }

    #[test]
    fn what_a_device_received_is_adopted_and_what_it_sends_leaves() {
        let heap = Heap::new(10);
        let pool = heap.pool(10);
        let mut heads = [null_mut(); 3];
        assert_eq!(heap.take(&mut heads), 3);
        for (i, &head) in heads.iter().enumerate() {
            // SAFETY: it was just taken.
            unsafe {
                (*head).offset = 40;
                (*head).len = i as u32;
            }
        }
        let mut burst = Burst::new();
        // SAFETY: they are of this pool's source and nobody else's.
        unsafe { pool.adopt(&heads, &mut burst) };
        assert_eq!(
            burst.iter().map(|p| (p.headroom(), p.len())).collect::<Vec<_>>(),
            [(40, 0), (40, 1), (40, 2)]
        );
        assert_eq!((pool.in_use(), pool.stats().peak), (3, 3));
        let mut packets = burst.drain();
        let sent = packets.next().unwrap();
        let (owner, head) = (sent.owner(), sent.as_head());
        forget(sent);
        // SAFETY: the packet was just forgotten.
        unsafe { owner.gave_away() };
        heap.give(&[NonNull::new(head).unwrap()]);
        assert_eq!(pool.in_use(), 2);
        // The pool waits for its packets, whichever way the last goes.
        drop(pool);
        drop(packets.next());
        let last = packets.next().unwrap();
        assert_eq!(Rc::strong_count(&heap), 2);
        let (owner, head) = (last.owner(), last.as_head());
        forget(last);
        // SAFETY: the packet was just forgotten.
        unsafe { owner.gave_away() };
        heap.give(&[NonNull::new(head).unwrap()]);
        assert_eq!((heap.available(), Rc::strong_count(&heap)), (10, 1));
    }

    #[test]
    fn our_own_memory_has_no_source() {
        let pool = Pool::new(PoolConfig::default());
        let packet = pool.alloc().unwrap();
        assert_eq!((pool.source_id(), packet.source_id(), packet.source_kind()), (0, 0, ""));
        let heap = Heap::new(1);
        let pool = heap.pool(1);
        assert_ne!(pool.source_id(), 0);
        assert_eq!(pool.alloc().unwrap().source_id(), pool.source_id());
    }
}
