//! Packet I/O: one trait over all ways packets get in and out.
//!
//! The backends differ in what a packet is (an Ethernet frame for [`tap`] and [`af_packet`], a datagram with its peer in
//! [`Meta::endpoint`](crate::packet::Meta) for [`udp`], whatever was put in for [`memory`]) and agree on everything else, which
//! `tests/io_contract.rs` asserts for each of them.

use std::os::fd::RawFd;

use crate::packet::{Burst, Pool};

pub use error::IoError;

pub mod af_packet;
pub mod channel;
mod error;
pub mod memory;
pub mod pcap;
mod sys;
pub mod tap;
pub mod udp;

/// A way in and out for packets, used by one worker. Neither direction ever blocks.
pub trait PacketIo {
    /// Receives into packets of `pool` and appends them to `out`, in the order in which they arrived, until `out` is full, `pool` is empty or
    /// nothing is left. Returns how many were appended. Packets that cannot be had now stay where they are.
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize;

    /// Sends from the front of `burst`. Returns how many it took: these are gone, sent or (counted) found unsendable. The others stay in the
    /// burst, in order, from its front on; that there are any means that the way out is full now.
    fn tx_burst(&mut self, burst: &mut Burst) -> usize;

    /// The descriptor that becomes readable when there is something to receive; `None` if this backend must be polled. A caller may only sleep
    /// on it while [`rx_ready`](Self::rx_ready) is false.
    fn poll_fd(&self) -> Option<RawFd>;

    /// Whether packets were taken from the system and wait in this backend for the next [`rx_burst`](Self::rx_burst), so that
    /// [`poll_fd`](Self::poll_fd) does not know of them.
    fn rx_ready(&self) -> bool {
        false
    }

    /// What happened so far.
    fn stats(&self) -> IoStats;
}

/// Counters of one [`PacketIo`] since it was opened. Every packet that is neither delivered nor sent is in exactly one of those that say why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Packets delivered.
    pub rx_packets: u64,
    /// Octets delivered.
    pub rx_bytes: u64,
    /// Dropped: longer than the packet buffer.
    pub rx_truncated: u64,
    /// Dropped by the system because its queue was full, as far as told: the count comes with the next packet, and what was coalesced counts as
    /// one. TAP interfaces do not tell (the interface's own counters do).
    pub rx_overflow: u64,
    /// Times that receiving found the pool empty. Nothing was dropped by that.
    pub rx_no_packet: u64,
    /// Times that the system failed to receive.
    pub rx_errors: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Times that sending stopped because the way out was full. Nothing was dropped by that.
    pub tx_full: u64,
    /// Dropped: no endpoint to send to, or one of the wrong address family.
    pub tx_no_endpoint: u64,
    /// Dropped: longer than can be sent.
    pub tx_oversize: u64,
    /// Dropped: shorter than can be sent.
    pub tx_undersize: u64,
    /// Dropped: the system refused it for another reason (no route, interface down, firewall).
    pub tx_errors: u64,
}

impl IoStats {
    /// Packets taken for sending and not sent.
    pub fn tx_dropped(&self) -> u64 {
        self.tx_no_endpoint + self.tx_oversize + self.tx_undersize + self.tx_errors
    }

    /// Packets that arrived and were not delivered.
    pub fn rx_dropped(&self) -> u64 {
        self.rx_truncated + self.rx_overflow
    }
}
