//! Ethernet frames from and to DPDK's ports: network cards driven from user space, and DPDK's virtual devices.
//!
//! Set-up is [`Eal::start`] once, a [`Mempool`] for each worker, and [`DpdkPort::open`] for each device, which gives each worker a queue. The worker
//! takes its [`Pool`] from its mempool ([`Mempool::pool`]): then nothing is copied, because an mbuf is a packet. With packets of other memory everything
//! works too, with one copy each way.
//!
//! There is nothing to sleep on: the workers' busy-poll mode is meant for this.

use std::mem::forget;
use std::os::fd::RawFd;
use std::ptr::null_mut;
use std::sync::Arc;

use dpdk_sys::{dpdk_head, dpdk_received};

use super::{IoStats, PacketIo};
use crate::packet::{BURST, Burst, Packet, Pool};

pub use eal::{Eal, EalConfig};
pub use mempool::Mempool;
pub use port::{DpdkPort, Link, Offloads, PortConfig};

mod eal;
mod mempool;
mod port;

/// One queue of a port, in both directions.
#[derive(Debug)]
pub struct DpdkIo {
    port: Arc<DpdkPort>,
    queue: u16,
    mempool: Mempool,
    longest: usize,
    stats: IoStats,
    copies: Copies,
    /// Where the packets of a burst are, for the time of a call.
    heads: Heads,
}

/// Packets that had to be copied, because they were not in this queue's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Received.
    pub rx: u64,
    /// Sent.
    pub tx: u64,
}

#[derive(Debug)]
struct Heads([*mut dpdk_head; BURST]);

// SAFETY: the pointers are set anew before each use and never followed between uses.
unsafe impl Send for Heads {}

impl DpdkIo {
    fn new(port: Arc<DpdkPort>, queue: usize, mempool: Mempool) -> Self {
        Self {
            longest: usize::from(port.mtu()) + FRAME_HEADER,
            port,
            queue: queue as u16,
            mempool,
            stats: IoStats::default(),
            copies: Copies::default(),
            heads: Heads([null_mut(); BURST]),
        }
    }

    /// The port that this is a queue of.
    pub fn port(&self) -> &DpdkPort {
        &self.port
    }

    /// The pool that this queue receives into.
    pub fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// Packets that had to be copied.
    pub fn copies(&self) -> Copies {
        self.copies
    }

    /// Receives at most `n` packets into the front of `self.heads`. Returns how many.
    fn receive(&mut self, n: usize) -> usize {
        let mut received =
            dpdk_received { packets: 0, copied: 0, too_long: 0, bad_checksum: 0, no_memory: 0 };
        // SAFETY: the port is open and has this queue; there is room for `n` packets.
        unsafe {
            dpdk_sys::dpdk_rx_burst(
                &raw const self.port.port,
                self.queue,
                self.mempool.as_ptr(),
                self.heads.0.as_mut_ptr(),
                n.min(BURST) as u16,
                &raw mut received,
            );
        }
        self.copies.rx += u64::from(received.copied);
        self.stats.rx_truncated += u64::from(received.too_long);
        self.stats.rx_errors += u64::from(received.bad_checksum);
        // These were dropped, which "no packet" does not mean.
        self.stats.rx_overflow += u64::from(received.no_memory);
        received.packets.into()
    }

    /// Into packets of another memory.
    fn receive_copies(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        let want = out.room().min(pool.free());
        if want == 0 {
            self.stats.rx_no_packet += 1;
            return 0;
        }
        let got = self.receive(want);
        let before = out.len();
        for &head in &self.heads.0[..got] {
            // SAFETY: the packet is ours, the shim set offset and length, and the buffer follows the head.
            let data = unsafe {
                let buffer = head.cast::<u8>().add(dpdk_sys::DPDK_HEAD_LENGTH as usize);
                std::slice::from_raw_parts(buffer.add((*head).offset as usize), (*head).length as usize)
            };
            let Some(mut packet) = pool.alloc() else { unreachable!("{want} are free") };
            if !packet.copy_from(data) {
                self.stats.rx_truncated += 1;
                continue;
            }
            self.stats.rx_packets += 1;
            self.stats.rx_bytes += data.len() as u64;
            if out.push(packet).is_err() {
                unreachable!("there was room for {want}");
            }
        }
        self.copies.rx += (out.len() - before) as u64;
        // SAFETY: they are of our mempool, and not used any more.
        unsafe { self.mempool.give_raw(&self.heads.0[..got]) };
        out.len() - before
    }

    /// A copy of the packet in our mempool, if there is room for one.
    fn copy(&self, packet: &Packet) -> Option<*mut dpdk_head> {
        let mut head = [null_mut()];
        if self.mempool.take_raw(&mut head) == 0 {
            return None;
        }
        let (head, data) = (head[0], packet.data());
        let offset = self.mempool.config().headroom.min(self.mempool.config().buffer - data.len());
        // SAFETY: the place is ours. The longest frame fits the buffer, which was checked when the port was opened.
        unsafe {
            (*head).offset = offset as u32;
            (*head).length = data.len() as u32;
            let buffer = head.cast::<u8>().add(dpdk_sys::DPDK_HEAD_LENGTH as usize);
            std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.add(offset), data.len());
        }
        Some(head)
    }
}

impl PacketIo for DpdkIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        if out.is_full() {
            return 0;
        }
        if pool.source_id() != self.mempool.source_id() {
            return self.receive_copies(pool, out);
        }
        let got = self.receive(out.room());
        if got == 0 {
            // Few drivers count that they have nothing to receive into.
            self.stats.rx_no_packet += u64::from(pool.free() == 0);
            return 0;
        }
        let before = out.len();
        // SAFETY: a head of ours begins as the shim's does. They are of the pool's memory, nobody else's, and the shim set offset and length. There
        // were not more than there is room for.
        unsafe { pool.adopt(&*(std::ptr::from_ref(&self.heads.0[..got]) as *const [*mut _]), out) };
        self.stats.rx_packets += got as u64;
        self.stats.rx_bytes += out[before..].iter().map(|packet| packet.len() as u64).sum::<u64>();
        got
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        // Of those that can be sent: where they are in the burst, how long, and whose.
        let (mut places, mut lengths, mut owners) = ([0u8; BURST], [0u32; BURST], [None; BURST]);
        let (mut n, mut considered) = (0, burst.len());
        for (i, packet) in burst.iter().enumerate() {
            if !(MIN_FRAME..=self.longest).contains(&packet.len()) {
                continue;
            }
            if packet.source_id() == self.mempool.source_id() || packet.source_kind() == mempool::KIND {
                self.heads.0[n] = packet.as_head().cast();
                owners[n] = Some(packet.owner());
            } else if let Some(head) = self.copy(packet) {
                self.heads.0[n] = head;
            } else {
                considered = i;
                break;
            }
            places[n] = i as u8;
            lengths[n] = packet.len() as u32;
            n += 1;
        }
        // Even if nothing can go: the driver takes back what has been sent meanwhile.
        // SAFETY: the port is open and has this queue. Each packet is of a mempool of DPDK's and ours alone.
        let sent = unsafe {
            dpdk_sys::dpdk_tx_burst(&raw const self.port.port, self.queue, self.heads.0.as_ptr(), n as u16)
        } as usize;
        let done = if sent < n { places[sent].into() } else { considered };
        if done < burst.len() {
            self.stats.tx_full += 1;
        }
        self.stats.tx_packets += sent as u64;
        self.stats.tx_bytes += lengths[..sent].iter().map(|&length| u64::from(length)).sum::<u64>();
        for (head, owner) in self.heads.0[sent..n].iter().zip(&owners[sent..n]) {
            if owner.is_none() {
                // SAFETY: it is a copy of ours that did not go.
                unsafe { self.mempool.give_raw(&[*head]) };
            }
        }
        let mut next = 0;
        for (i, packet) in burst.drain_front(done).enumerate() {
            if next == sent || usize::from(places[next]) != i {
                let short = packet.len() < MIN_FRAME;
                *(if short { &mut self.stats.tx_undersize } else { &mut self.stats.tx_oversize }) += 1;
                continue;
            }
            match owners[next] {
                Some(owner) => {
                    forget(packet);
                    // SAFETY: it was of this pool, and is the driver's now.
                    unsafe { owner.gave_away() };
                }
                None => self.copies.tx += 1,
            }
            next += 1;
        }
        done
    }

    fn poll_fd(&self) -> Option<RawFd> {
        None
    }

    fn stats(&self) -> IoStats {
        let mut stats = self.stats;
        // The device counts for all its queues; the first of them says so.
        if self.queue == 0 {
            let device = self.port.stats();
            stats.rx_overflow += device.rx_missed;
            stats.rx_errors += device.rx_errors;
            stats.rx_no_packet += device.rx_no_memory;
            // The driver took these before it found that they cannot be sent.
            stats.tx_errors += device.tx_errors;
            stats.tx_packets = stats.tx_packets.saturating_sub(device.tx_errors);
        }
        stats
    }

    fn each_counter(&self, give: &mut dyn FnMut(&'static str, u64)) {
        self.stats().each(give);
        give("rx_copied", self.copies.rx);
        give("tx_copied", self.copies.tx);
    }
}

/// Two addresses and a type: less is no Ethernet frame.
const MIN_FRAME: usize = 14;
/// In front of the payload: addresses, type, and a VLAN tag, which the MTU does not count.
const FRAME_HEADER: usize = 14 + 4;
