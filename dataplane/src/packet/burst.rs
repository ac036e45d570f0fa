//! Bursts: fixed, caller-owned arrays of packets, in which packets travel through everything.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

use super::Packet;

/// Packets in a full [`Burst`].
pub const BURST: usize = 32;

/// Up to [`BURST`] packets in order. Dereferences to a slice of them.
pub struct Burst {
    packets: [MaybeUninit<Packet>; BURST],
    len: usize,
}

impl Burst {
    /// An empty burst.
    pub const fn new() -> Self {
        Self { packets: [const { MaybeUninit::uninit() }; BURST], len: 0 }
    }

    /// Appends a packet; a full burst gives it back.
    #[inline]
    pub fn push(&mut self, packet: Packet) -> Result<(), Packet> {
        if self.len == BURST {
            return Err(packet);
        }
        self.packets[self.len].write(packet);
        self.len += 1;
        Ok(())
    }

    /// Removes the last packet.
    #[inline]
    pub fn pop(&mut self) -> Option<Packet> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the first `len` were initialised, and this one is now beyond `len`.
        Some(unsafe { self.packets[self.len].assume_init_read() })
    }

    /// Packets in the burst.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no more can be pushed.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == BURST
    }

    /// Packets that can still be pushed.
    #[inline]
    pub fn room(&self) -> usize {
        BURST - self.len
    }

    /// Takes all packets out, in order. Those not taken when the iterator goes are dropped.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_> {
        self.drain_front(BURST)
    }

    /// Takes the first `n` packets (at most all) out, in order; the others move to the front when the iterator goes.
    #[inline]
    pub fn drain_front(&mut self, n: usize) -> Drain<'_> {
        let taken = n.min(self.len);
        let kept = self.len - taken;
        // The iterator owns the packets from here on: should it be leaked, so are they.
        self.len = 0;
        Drain { burst: self, next: 0, taken, kept }
    }

    /// Drops all packets.
    pub fn clear(&mut self) {
        drop(self.drain());
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Burst {
    type Target = [Packet];

    #[inline]
    fn deref(&self) -> &[Packet] {
        // SAFETY: the first `len` are initialised.
        unsafe { std::slice::from_raw_parts(self.packets.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Burst {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Packet] {
        // SAFETY: the first `len` are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.packets.as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterator of [`Burst::drain`] and [`Burst::drain_front`].
pub struct Drain<'a> {
    burst: &'a mut Burst,
    next: usize,
    taken: usize,
    kept: usize,
}

impl Iterator for Drain<'_> {
    type Item = Packet;

    #[inline]
    fn next(&mut self) -> Option<Packet> {
        if self.next == self.taken {
            return None;
        }
        // SAFETY: the first `taken` were initialised when the iterator was made, and each is read once.
        let packet = unsafe { self.burst.packets[self.next].assume_init_read() };
        self.next += 1;
        Some(packet)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.taken - self.next, Some(self.taken - self.next))
    }
}

impl ExactSizeIterator for Drain<'_> {}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        for packet in self.by_ref() {
            drop(packet);
        }
        let packets = self.burst.packets.as_mut_ptr();
        // SAFETY: `taken + kept <= BURST`; the kept ones are initialised, and their old places are forgotten.
        unsafe { std::ptr::copy(packets.add(self.taken), packets, self.kept) };
        self.burst.len = self.kept;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pool, PoolConfig};
    use super::*;

    fn pool(packets: usize) -> Pool {
        Pool::new(PoolConfig { packets, buffer: 100, headroom: 20 })
    }

    fn filled(pool: &Pool, n: u8) -> Burst {
        let mut burst = Burst::new();
        for i in 0..n {
            let mut packet = pool.alloc().unwrap();
            packet.copy_from(&[i]);
            burst.push(packet).unwrap();
        }
        burst
    }

    fn contents(burst: &Burst) -> Vec<u8> {
        burst.iter().map(|p| p.data()[0]).collect()
    }

    #[test]
    fn a_burst_keeps_order_and_gives_back_what_does_not_fit() {
        let pool = pool(BURST + 1);
        let mut burst = filled(&pool, BURST as u8);
        assert!(burst.is_full());
        assert!(burst.push(pool.alloc().unwrap()).is_err());
        assert_eq!(burst.pop().unwrap().data(), [BURST as u8 - 1]);
        assert_eq!(
            burst.drain_front(29).map(|p| p.data()[0]).collect::<Vec<_>>(),
            (0..29).collect::<Vec<_>>()
        );
        assert_eq!(contents(&burst), [29, 30]);
        assert_eq!(burst.drain().len(), 2);
        assert!(burst.is_empty() && burst.pop().is_none());
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_drain_dropped_early_drops_its_packets_only() {
        let pool = pool(5);
        let mut burst = filled(&pool, 5);
        let mut drain = burst.drain_front(3);
        assert_eq!(drain.next().unwrap().data(), [0]);
        drop(drain);
        assert_eq!(contents(&burst), [3, 4]);
        assert_eq!(pool.in_use(), 2);
        drop(burst);
        assert_eq!(pool.in_use(), 0);
    }
}
