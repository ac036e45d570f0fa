//! In-memory packet I/O: two ends joined by queues, on one thread, for tests and memory-to-memory benches.
//!
//! Packets are moved, not copied: what one end receives still belongs to the pool that the other end's sender took it from, and returns there
//! when the receiver drops it. So receiving never needs the receiver's pool, and a pool can be exhausted by packets that sit unreceived in a
//! queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use super::{IoStats, PacketIo};
use crate::packet::{Burst, Packet, Pool};
use crate::wake::Wake;

/// One end of an in-memory pair.
#[derive(Debug)]
pub struct MemoryIo {
    rx: Rc<Queue>,
    tx: Rc<Queue>,
    stats: IoStats,
}

impl MemoryIo {
    /// Two joined ends with queues of `capacity` packets. They must be polled.
    pub fn pair(capacity: usize) -> (Self, Self) {
        Self::joined(Queue::new(capacity, None), Queue::new(capacity, None))
    }

    /// Two joined ends with a [`poll_fd`](PacketIo::poll_fd) each.
    ///
    /// # Errors
    /// The system's, when it is out of file descriptors.
    pub fn pair_with_wake(capacity: usize) -> io::Result<(Self, Self)> {
        Ok(Self::joined(Queue::new(capacity, Some(Wake::new()?)), Queue::new(capacity, Some(Wake::new()?))))
    }

    fn joined(a: Rc<Queue>, b: Rc<Queue>) -> (Self, Self) {
        let stats = IoStats::default();
        (Self { rx: a.clone(), tx: b.clone(), stats }, Self { rx: b, tx: a, stats })
    }
}

impl PacketIo for MemoryIo {
    #[inline]
    fn rx_burst(&mut self, _pool: &Pool, out: &mut Burst) -> usize {
        let mut packets = self.rx.packets.borrow_mut();
        let n = packets.len().min(out.room());
        for packet in packets.drain(..n) {
            self.stats.rx_bytes += packet.len() as u64;
            if out.push(packet).is_err() {
                unreachable!("there is room for {n}");
            }
        }
        self.stats.rx_packets += n as u64;
        if n > 0
            && packets.is_empty()
            && let Some(wake) = &self.rx.wake
        {
            wake.clear();
        }
        n
    }

    #[inline]
    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let mut packets = self.tx.packets.borrow_mut();
        let n = burst.len().min(self.tx.capacity - packets.len());
        let was_empty = packets.is_empty();
        for packet in burst.drain_front(n) {
            self.stats.tx_bytes += packet.len() as u64;
            packets.push_back(packet);
        }
        self.stats.tx_packets += n as u64;
        if !burst.is_empty() {
            self.stats.tx_full += 1;
        }
        if n > 0
            && was_empty
            && let Some(wake) = &self.tx.wake
        {
            wake.signal();
        }
        n
    }

    fn poll_fd(&self) -> Option<RawFd> {
        self.rx.wake.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn rx_ready(&self) -> bool {
        self.rx.wake.is_none() && !self.rx.packets.borrow().is_empty()
    }

    fn stats(&self) -> IoStats {
        self.stats
    }
}

#[derive(Debug)]
struct Queue {
    packets: RefCell<VecDeque<Packet>>,
    capacity: usize,
    wake: Option<Wake>,
}

impl Queue {
    fn new(capacity: usize, wake: Option<Wake>) -> Rc<Self> {
        Rc::new(Self { packets: RefCell::new(VecDeque::with_capacity(capacity)), capacity, wake })
    }
}
