//! Packets: owned buffers that return to their core's pool on drop, and bursts of them.
//!
//! A [`Pool`] is one contiguous allocation, made at set-up. Each packet in it is one cache line of head (owner, position, length,
//! [`Meta`]) followed by the buffer:
//!
//! ```text
//!   | head, 64 | headroom | data | tailroom |
//!              ^ buffer, PoolConfig::buffer octets ^
//! ```
//!
//! A [`Packet`] is a thin pointer to its head, so moving one through bursts and stages moves eight octets. Nothing here allocates after
//! [`Pool::new`], and nothing here can leave the thread: `Pool` and `Packet` are `!Send`.
//!
//! The memory of a pool may also be somebody else's, who keeps room for the head in front of each buffer: see `source`.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::ptr::NonNull;

use crate::endpoint::Endpoint;
pub use burst::{BURST, Burst, Drain};
pub use owned::{Attached, Packet};
#[cfg(any(test, feature = "dpdk"))]
pub(crate) use source::Source;

mod burst;
mod owned;
#[cfg(any(test, feature = "dpdk"))]
mod source;

/// What travels with a packet besides its octets. Reset to its default when a packet is allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Datagram backends: where the packet came from (received) or goes to (transmitted). Others neither set nor read it: it stays
    /// [`Endpoint::NONE`].
    pub endpoint: Endpoint,
    /// Time of capture in nanoseconds since the Unix epoch, 0 where the backend does not know it.
    pub timestamp: u64,
    /// Scratch for the stages: index of the station or tunnel that a look-up found. Backends neither set nor read it.
    pub index: u32,
    /// VLAN identifier that a stage decided on, 0 for none. Backends neither set nor read it: tags are in the frame.
    pub vlan: u16,
}

/// Size of a [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Number of packets.
    pub packets: usize,
    /// Octets of buffer per packet: headroom, data and tailroom together.
    pub buffer: usize,
    /// Octets kept free in front of the data of a new packet. At most `buffer`.
    pub headroom: usize,
}

impl Default for PoolConfig {
    /// 4096 packets of 2048 octets, 128 of them headroom: a 1500-octet MTU with room for tunnel headers in front and a MIC behind.
    fn default() -> Self {
        Self { packets: 4096, buffer: 2048, headroom: 128 }
    }
}

/// Use of a [`Pool`] since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Packets in the pool.
    pub capacity: usize,
    /// Packets owned by somebody now.
    pub in_use: usize,
    /// The most packets that were ever owned at a time.
    pub peak: usize,
    /// Allocations refused because every packet was in use.
    pub exhausted: u64,
}

/// A fixed set of packets that belongs to one thread. Clones are handles to the same set; the memory goes when the last handle and the last
/// packet are gone.
pub struct Pool {
    shared: NonNull<Shared>,
}

impl Pool {
    /// Allocates all memory of the pool.
    ///
    /// # Panics
    /// If `headroom > buffer`, or the size is not expressible (more than 2³² − 1 octets of buffer, or more than the address space).
    pub fn new(config: PoolConfig) -> Self {
        let PoolConfig { packets, buffer, headroom } = config;
        assert!(headroom <= buffer, "headroom of {headroom} octets in a buffer of {buffer}");
        assert!(u32::try_from(buffer).is_ok(), "packet buffer of {buffer} octets");
        // An odd number of cache lines from one packet to the next spreads the heads over all cache sets.
        let lines = (size_of::<Head>() + buffer).div_ceil(LINE) | 1;
        let stride = lines * LINE;
        let bytes = stride.checked_mul(packets.max(1)).expect("size of the pool overflows");
        let layout = Layout::from_size_align(bytes, if bytes >= HUGE { HUGE } else { LINE })
            .expect("size of the pool");
        // SAFETY: `bytes` is not zero.
        let Some(memory) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        if bytes >= HUGE {
            // SAFETY: the range was just allocated by us; the advice changes no content, and its failure no behaviour.
            unsafe { libc::madvise(memory.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        let shared = NonNull::from(Box::leak(Box::new(Shared {
            free: UnsafeCell::new(Vec::with_capacity(packets)),
            handles: Cell::new(1),
            out: Cell::new(packets),
            lowest_free: Cell::new(packets),
            exhausted: Cell::new(0),
            capacity: packets,
            keep: usize::MAX,
            buffer: buffer as u32,
            headroom: headroom as u32,
            memory: Memory::Own { memory, layout },
        })));
        for i in (0..packets).rev() {
            // SAFETY: `i * stride + stride <= bytes`, and stride is a multiple of the head's alignment.
            unsafe {
                let head = memory.add(i * stride).cast::<Head>();
                head.write(Head {
                    owner: shared,
                    offset: headroom as u32,
                    len: 0,
                    attached: Attached { meta: Meta::default() },
                });
                (*shared.as_ref().free.get()).push(head);
            }
        }
        Self { shared }
    }

    /// An empty packet with the configured headroom and default [`Meta`], or `None` (counted) if all are in use. Its octets are those its last
    /// user left.
    #[inline]
    pub fn alloc(&self) -> Option<Packet> {
        let shared = self.shared();
        // SAFETY: nothing else holds a reference into `free`: it is only touched here and in `Packet::drop`, both leaf operations on one
        // thread.
        let free = unsafe { &mut *shared.free.get() };
        let mut head = match free.pop() {
            Some(head) => head,
            None => self.more()?,
        };
        if free.len() < shared.lowest_free.get() {
            shared.lowest_free.set(free.len());
        }
        // SAFETY: a head on the free list is initialised, live while the pool is, and nobody else's.
        let fields = unsafe { head.as_mut() };
        fields.offset = shared.headroom;
        fields.len = 0;
        fields.attached.meta = Meta::default();
        Some(Packet { head })
    }

    /// Packets owned by somebody.
    pub fn in_use(&self) -> usize {
        self.shared().owned()
    }

    /// Packets that can be allocated now. If the memory is somebody else's, there may be more.
    pub fn free(&self) -> usize {
        #[cfg(any(test, feature = "dpdk"))]
        self.shared().stock();
        // SAFETY: as in `alloc`.
        unsafe { (*self.shared().free.get()).len() }
    }

    /// Packets in the pool.
    pub fn capacity(&self) -> usize {
        self.shared().capacity
    }

    /// The configuration that the pool was made with.
    pub fn config(&self) -> PoolConfig {
        let shared = self.shared();
        PoolConfig {
            packets: shared.capacity,
            buffer: shared.buffer as usize,
            headroom: shared.headroom as usize,
        }
    }

    /// Use so far.
    pub fn stats(&self) -> PoolStats {
        let shared = self.shared();
        PoolStats {
            capacity: shared.capacity,
            in_use: self.in_use(),
            peak: (shared.capacity - shared.lowest_free.get()).max(self.in_use()),
            exhausted: shared.exhausted.get(),
        }
    }

    /// A packet when the list of free ones is empty.
    #[cold]
    fn more(&self) -> Option<NonNull<Head>> {
        let shared = self.shared();
        #[cfg(any(test, feature = "dpdk"))]
        shared.stock();
        // SAFETY: as in `alloc`.
        let head = unsafe { (*shared.free.get()).pop() };
        if head.is_none() {
            shared.exhausted.set(shared.exhausted.get() + 1);
        }
        head
    }

    fn shared(&self) -> &Shared {
        // SAFETY: `Shared` lives while `handles` is not zero, and this handle is counted.
        unsafe { self.shared.as_ref() }
    }
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        let handles = &self.shared().handles;
        handles.set(handles.get() + 1);
        Self { shared: self.shared }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let shared = self.shared();
        shared.handles.set(shared.handles.get() - 1);
        // SAFETY: this handle does not use it any more.
        unsafe { Shared::settle(self.shared) };
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.config()).field("stats", &self.stats()).finish()
    }
}

const LINE: usize = 64;
const HUGE: usize = 2 << 20;

#[repr(C, align(64))]
pub(crate) struct Head {
    owner: NonNull<Shared>,
    offset: u32,
    len: u32,
    attached: Attached,
}

const _: () = assert!(size_of::<Head>() == LINE, "a packet's head is one cache line");

struct Shared {
    free: UnsafeCell<Vec<NonNull<Head>>>,
    handles: Cell<usize>,
    /// Packets on the free list or owned by somebody. Of memory of our own these are all.
    out: Cell<usize>,
    lowest_free: Cell<usize>,
    exhausted: Cell<u64>,
    capacity: usize,
    /// How long the free list may get before some are given back.
    keep: usize,
    buffer: u32,
    headroom: u32,
    memory: Memory,
}

enum Memory {
    Own {
        memory: NonNull<u8>,
        layout: Layout,
    },
    #[cfg(any(test, feature = "dpdk"))]
    Foreign {
        id: usize,
        source: Box<dyn Source>,
    },
}

impl Shared {
    fn owned(&self) -> usize {
        // SAFETY: as in `Pool::alloc`.
        self.out.get() - unsafe { (*self.free.get()).len() }
    }

    /// After packets came back, left, or the last handle went: shortens a list that is too long, and frees what nobody can reach any more.
    ///
    /// # Safety
    /// The caller does not use `this` afterwards, unless as a counted handle.
    #[cold]
    unsafe fn settle(this: NonNull<Shared>) {
        // SAFETY: it is still there: only the end of this function frees it, once.
        let shared = unsafe { this.as_ref() };
        if shared.handles.get() > 0 {
            #[cfg(any(test, feature = "dpdk"))]
            shared.give_back(shared.keep / 2);
            return;
        }
        if shared.owned() > 0 {
            return;
        }
        #[cfg(any(test, feature = "dpdk"))]
        shared.give_back(0);
        // SAFETY: `this` came from `Box::leak`, `memory` from `alloc_zeroed` with `layout`, and no handle and no packet is left to refer to
        // either.
        unsafe {
            let shared = Box::from_raw(this.as_ptr());
            match &shared.memory {
                Memory::Own { memory, layout } => dealloc(memory.as_ptr(), *layout),
                #[cfg(any(test, feature = "dpdk"))]
                Memory::Foreign { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(packets: usize) -> Pool {
        Pool::new(PoolConfig { packets, buffer: 100, headroom: 20 })
    }

    #[test]
    fn packets_return_to_their_pool_and_exhaustion_is_counted() {
        let pool = pool(3);
        let held: Vec<_> = (0..3).map(|_| pool.alloc().unwrap()).collect();
        assert!(pool.alloc().is_none());
        assert_eq!(pool.stats(), PoolStats { capacity: 3, in_use: 3, peak: 3, exhausted: 1 });
        drop(held);
        assert_eq!(pool.stats(), PoolStats { capacity: 3, in_use: 0, peak: 3, exhausted: 1 });
        assert!(pool.alloc().is_some());
    }

    #[test]
    fn a_packet_outlives_the_last_handle_of_its_pool() {
        let first = pool(2);
        let second = first.clone();
        let mut packet = first.alloc().unwrap();
        drop(first);
        drop(second);
        assert!(packet.copy_from(b"still here"));
        assert_eq!(packet.data(), b"still here");
    }

    #[test]
    fn an_empty_pool_refuses() {
        let pool = pool(0);
        assert!(pool.alloc().is_none());
        assert_eq!(pool.capacity(), 0);
    }

    #[test]
    fn room_is_used_up_exactly() {
        let pool = pool(1);
        let mut packet = pool.alloc().unwrap();
        assert_eq!((packet.headroom(), packet.len(), packet.tailroom()), (20, 0, 80));
        assert!(packet.is_empty());
        packet.append(80).unwrap().fill(0xbb);
        assert!(packet.append(1).is_none());
        packet.prepend(20).unwrap().fill(0xaa);
        assert!(packet.prepend(1).is_none());
        assert_eq!((packet.headroom(), packet.len(), packet.tailroom()), (0, 100, 0));
        assert!(
            packet.data()[..20].iter().all(|&o| o == 0xaa) && packet.data()[20..].iter().all(|&o| o == 0xbb)
        );
        packet.trim_front(20);
        packet.trim_back(79);
        assert_eq!((packet.headroom(), packet.data(), packet.tailroom()), (20, &[0xbb][..], 79));
        packet.truncate(5);
        assert_eq!(packet.len(), 1);
        packet.trim_front(1000);
        packet.trim_back(1000);
        assert_eq!((packet.headroom(), packet.len()), (21, 0));
        assert!(!packet.copy_from(&[0; 81]));
        assert!(packet.is_empty());
        assert!(packet.copy_from(&[7; 80]));
        assert_eq!((packet.headroom(), packet.len(), packet.tailroom()), (20, 80, 0));
    }

    #[test]
    fn neighbours_do_not_overlap_and_meta_is_reset() {
        let pool = pool(8);
        let mut burst = Burst::new();
        for i in 0..8 {
            let mut packet = pool.alloc().unwrap();
            assert_eq!(packet.meta, Meta::default());
            packet.meta.index = i;
            packet.copy_from(&[i as u8; 80]);
            packet.prepend(20).unwrap().fill(i as u8);
            burst.push(packet).unwrap();
        }
        for (i, packet) in burst.iter().enumerate() {
            assert_eq!(packet.meta.index as usize, i);
            assert_eq!(packet.data(), [i as u8; 100]);
        }
        burst.clear();
        assert_eq!(pool.in_use(), 0);
        assert_eq!(pool.alloc().unwrap().meta, Meta::default());
    }

    #[test]
    fn swapping_what_packets_dereference_to_swaps_meta_only() {
        let (small, large) = (Pool::new(PoolConfig { packets: 1, buffer: 8, headroom: 0 }), pool(1));
        let (mut a, mut b) = (small.alloc().unwrap(), large.alloc().unwrap());
        b.append(80).unwrap();
        b.meta.vlan = 7;
        std::mem::swap(&mut *a, &mut *b);
        assert_eq!((a.meta.vlan, a.len(), a.tailroom(), b.len()), (7, 0, 8, 80));
    }

    /// A large pool takes the huge-page path.
    #[test]
    fn a_large_pool_works() {
        let pool = Pool::new(PoolConfig::default());
        let mut packets: Vec<_> = (0..pool.capacity()).map(|_| pool.alloc().unwrap()).collect();
        for (i, packet) in packets.iter_mut().enumerate() {
            packet.copy_from(&(i as u32).to_be_bytes());
        }
        assert!(packets.iter().enumerate().all(|(i, p)| p.data() == (i as u32).to_be_bytes()));
    }
}
