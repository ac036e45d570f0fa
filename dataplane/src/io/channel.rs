//! Packet I/O between two threads of this process: bounded rings of octets, for tests and benches of several workers.
//!
//! Packets cannot leave their thread, so their octets and [`Meta`] are copied: into a slot of the ring, and out of it into a packet of the
//! receiver's pool. The slots are allocated at set-up and go round.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{IoStats, PacketIo};
use crate::packet::{Burst, Meta, Pool};
use crate::wake::Wake;

/// One end of a pair of rings. It can be sent to the thread that uses it.
#[derive(Debug)]
pub struct ChannelIo {
    rx: Receiver,
    tx: Sender,
    stats: IoStats,
}

impl ChannelIo {
    /// Two joined ends whose rings hold `capacity` packets of at most `slot` octets each way.
    ///
    /// # Errors
    /// The system's, when it is out of file descriptors.
    pub fn pair(capacity: usize, slot: usize) -> io::Result<(Self, Self)> {
        let (a_tx, b_rx) = ring(capacity, slot)?;
        let (b_tx, a_rx) = ring(capacity, slot)?;
        let stats = IoStats::default();
        Ok((Self { rx: a_rx, tx: a_tx, stats }, Self { rx: b_rx, tx: b_tx, stats }))
    }
}

impl PacketIo for ChannelIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        let before = out.len();
        // Before looking, so that what comes in after the last look signals anew.
        self.rx.wake.clear();
        while !out.is_full() && !self.rx.full.is_empty() {
            let Some(mut packet) = pool.alloc() else {
                self.stats.rx_no_packet += 1;
                break;
            };
            let Ok(slot) = self.rx.full.pop() else {
                unreachable!("it is not empty, and only we take from it")
            };
            let fits = packet.copy_from(&slot.octets[..slot.len]);
            packet.meta = slot.meta;
            if self.rx.empty.push(slot).is_err() {
                unreachable!("there is room for every slot");
            }
            if !fits {
                self.stats.rx_truncated += 1;
                continue;
            }
            self.stats.rx_packets += 1;
            self.stats.rx_bytes += packet.len() as u64;
            if out.push(packet).is_err() {
                unreachable!("it is not full");
            }
        }
        if !self.rx.full.is_empty() {
            self.rx.wake.signal();
        }
        out.len() - before
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let (mut done, mut sent) = (0, 0);
        for packet in burst.iter() {
            if packet.len() > self.tx.longest {
                self.stats.tx_oversize += 1;
                done += 1;
                continue;
            }
            let Ok(mut slot) = self.tx.empty.pop() else {
                self.stats.tx_full += 1;
                break;
            };
            slot.octets[..packet.len()].copy_from_slice(packet.data());
            slot.len = packet.len();
            slot.meta = packet.meta;
            if self.tx.full.push(slot).is_err() {
                unreachable!("there is room for every slot");
            }
            self.stats.tx_packets += 1;
            self.stats.tx_bytes += packet.len() as u64;
            done += 1;
            sent += 1;
        }
        if sent > 0 {
            self.tx.wake.signal();
        }
        drop(burst.drain_front(done));
        done
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.rx.wake.as_raw_fd())
    }

    fn stats(&self) -> IoStats {
        self.stats
    }
}

/// A packet on its way.
#[derive(Debug)]
struct Slot {
    meta: Meta,
    len: usize,
    octets: Box<[u8]>,
}

#[derive(Debug)]
struct Sender {
    full: Producer<Slot>,
    empty: Consumer<Slot>,
    wake: Wake,
    longest: usize,
}

#[derive(Debug)]
struct Receiver {
    full: Consumer<Slot>,
    empty: Producer<Slot>,
    wake: Wake,
}

fn ring(capacity: usize, longest: usize) -> io::Result<(Sender, Receiver)> {
    let (full_in, full_out) = RingBuffer::new(capacity);
    let (mut empty_in, empty_out) = RingBuffer::new(capacity);
    for _ in 0..capacity {
        let slot = Slot { meta: Meta::default(), len: 0, octets: vec![0; longest].into() };
        if empty_in.push(slot).is_err() {
            unreachable!("there is room for every slot");
        }
    }
    let wake = Wake::new()?;
    let sender = Sender { full: full_in, empty: empty_out, wake: wake.clone(), longest };
    Ok((sender, Receiver { full: full_out, empty: empty_in, wake }))
}
