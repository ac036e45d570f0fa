//! One packet: its octets, with room in front and behind, and what travels with it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{Head, Meta, Shared};

/// One packet: the only owner of its buffer until dropped. Its [`Meta`] is reached as `packet.meta`.
pub struct Packet {
    pub(super) head: NonNull<Head>,
}

/// What [`Packet`] dereferences to.
pub struct Attached {
    /// What travels with the packet besides its octets.
    pub meta: Meta,
}

impl Packet {
    /// The packet's octets.
    #[inline]
    pub fn data(&self) -> &[u8] {
        let head = self.head();
        // SAFETY: `offset + len <= buffer` always, the buffer is initialised (zeroed at first), and `&self` excludes writers.
        unsafe {
            std::slice::from_raw_parts(self.buffer_start().add(head.offset as usize), head.len as usize)
        }
    }

    /// The packet's octets, to change in place.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        let (offset, len) = (self.head().offset as usize, self.head().len as usize);
        // SAFETY: as in `data`, and `&mut self` excludes everybody else.
        unsafe { std::slice::from_raw_parts_mut(self.buffer_start().add(offset), len) }
    }

    /// The packet's octets and all its tailroom behind them, whatever that contains, with the octets of tailroom.
    #[inline]
    pub fn data_and_tailroom_mut(&mut self) -> (&mut [u8], usize) {
        let (offset, tailroom) = (self.head().offset as usize, self.tailroom());
        let len = self.len() + tailroom;
        // SAFETY: from `offset` to the end of the buffer all is initialised, and `&mut self` excludes everybody else.
        (unsafe { std::slice::from_raw_parts_mut(self.buffer_start().add(offset), len) }, tailroom)
    }

    /// Octets of data.
    #[inline]
    pub fn len(&self) -> usize {
        self.head().len as usize
    }

    /// Whether there is no data.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head().len == 0
    }

    /// Octets that can still be prepended.
    #[inline]
    pub fn headroom(&self) -> usize {
        self.head().offset as usize
    }

    /// Octets that can still be appended.
    #[inline]
    pub fn tailroom(&self) -> usize {
        let head = self.head();
        (self.buffer_len() - head.offset - head.len) as usize
    }

    /// Makes the data `n` octets longer at the front and returns these, with whatever content they had; `None` if headroom is short.
    #[inline]
    pub fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        if n > self.headroom() {
            return None;
        }
        let head = self.head_mut();
        head.offset -= n as u32;
        head.len += n as u32;
        Some(&mut self.data_mut()[..n])
    }

    /// Makes the data `n` octets longer at the back and returns these, with whatever content they had; `None` if tailroom is short.
    #[inline]
    pub fn append(&mut self, n: usize) -> Option<&mut [u8]> {
        if n > self.tailroom() {
            return None;
        }
        let old = self.len();
        self.head_mut().len += n as u32;
        Some(&mut self.data_mut()[old..])
    }

    /// Removes `n` octets (at most all) from the front.
    #[inline]
    pub fn trim_front(&mut self, n: usize) {
        let head = self.head_mut();
        let n = n.min(head.len as usize) as u32;
        head.offset += n;
        head.len -= n;
    }

    /// Removes `n` octets (at most all) from the back.
    #[inline]
    pub fn trim_back(&mut self, n: usize) {
        let head = self.head_mut();
        head.len -= n.min(head.len as usize) as u32;
    }

    /// Keeps the first `n` octets, if there are more.
    #[inline]
    pub fn truncate(&mut self, n: usize) {
        let head = self.head_mut();
        head.len = head.len.min(n.min(u32::MAX as usize) as u32);
    }

    /// Replaces the data by a copy of `octets`, with the pool's headroom in front. Returns false, and leaves the packet empty, if they do not fit.
    #[inline]
    pub fn copy_from(&mut self, octets: &[u8]) -> bool {
        self.reset();
        match self.append(octets.len()) {
            Some(space) => {
                space.copy_from_slice(octets);
                true
            }
            None => false,
        }
    }

    /// Makes the packet empty again, with the pool's headroom. Leaves `meta` alone.
    #[inline]
    pub fn reset(&mut self) {
        // SAFETY: the pool's memory lives while this packet does.
        let headroom = unsafe { self.head().owner.as_ref() }.headroom;
        let head = self.head_mut();
        head.offset = headroom;
        head.len = 0;
    }

    pub(super) fn head(&self) -> &Head {
        // SAFETY: the head lives while this packet does; only this packet reaches it.
        unsafe { self.head.as_ref() }
    }

    pub(super) fn head_mut(&mut self) -> &mut Head {
        // SAFETY: as above, and `&mut self` is exclusive.
        unsafe { self.head.as_mut() }
    }

    fn buffer_len(&self) -> u32 {
        // SAFETY: the pool's memory lives while this packet does.
        unsafe { self.head().owner.as_ref() }.buffer
    }

    fn buffer_start(&self) -> *mut u8 {
        // SAFETY: the buffer follows the head in the same allocation. `head` was derived from the whole allocation, so its provenance
        // covers the buffer.
        unsafe { self.head.as_ptr().add(1).cast() }
    }
}

impl Deref for Packet {
    type Target = Attached;

    #[inline]
    fn deref(&self) -> &Attached {
        &self.head().attached
    }
}

impl DerefMut for Packet {
    #[inline]
    fn deref_mut(&mut self) -> &mut Attached {
        &mut self.head_mut().attached
    }
}

impl Drop for Packet {
    #[inline]
    fn drop(&mut self) {
        let owner = self.head().owner;
        // SAFETY: the pool's memory lives while this packet does, so at least until the end of this block. The list has capacity for
        // every packet of the pool, or for one more than it keeps, so `push` does not allocate.
        let unsettled = unsafe {
            let shared = owner.as_ref();
            let free = &mut *shared.free.get();
            free.push(self.head);
            shared.handles.get() == 0 || free.len() > shared.keep
        };
        if unsettled {
            // SAFETY: this packet does not use it any more.
            unsafe { Shared::settle(owner) };
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet").field("len", &self.len()).field("meta", &self.meta).finish_non_exhaustive()
    }
}
