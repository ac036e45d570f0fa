//! Packet I/O: one trait over all ways packets get in and out.
//!
//! The backends differ in what a packet is (an Ethernet frame for [`tap`], [`af_packet`] and [`af_xdp`], a datagram with its peer in
//! [`Meta::endpoint`](crate::packet::Meta) for [`udp`] and [`host`], whatever was put in for [`memory`]) and agree on everything else, which
//! `tests/io_contract` asserts for each of them.

use std::os::fd::RawFd;

use crate::clock::Time;
use crate::packet::{Burst, Pool};

pub use error::IoError;

pub mod af_packet;
pub mod af_xdp;
pub mod channel;
#[cfg(feature = "dpdk")]
pub mod dpdk;
mod error;
mod ethtool;
pub mod host;
pub mod interface;
pub mod memory;
pub mod pcap;
pub mod reopen;
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

    /// When [`rx_burst`](Self::rx_burst) wants to be called again even if nothing arrives; `None`: it does not.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// What happened so far.
    fn stats(&self) -> IoStats;

    /// Gives each counter with its name, always the same names in the same order: what [`stats`](Self::stats) has, and what a backend counts
    /// besides.
    fn each_counter(&self, give: &mut dyn FnMut(&'static str, u64)) {
        self.stats().each(give);
    }
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
    /// Times that the system had no room for a packet because none of those it was given to fill was left. The packets dropped by that are in
    /// `rx_overflow`.
    pub rx_starved: u64,
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
    /// Gives each counter with its name.
    pub fn each(&self, give: &mut dyn FnMut(&'static str, u64)) {
        let Self {
            rx_packets, rx_bytes, rx_truncated, rx_overflow, rx_no_packet, rx_starved, rx_errors, ..
        } = *self;
        let Self {
            tx_packets, tx_bytes, tx_full, tx_no_endpoint, tx_oversize, tx_undersize, tx_errors, ..
        } = *self;
        give("rx_packets", rx_packets);
        give("rx_bytes", rx_bytes);
        give("rx_truncated", rx_truncated);
        give("rx_overflow", rx_overflow);
        give("rx_no_packet", rx_no_packet);
        give("rx_starved", rx_starved);
        give("rx_errors", rx_errors);
        give("tx_packets", tx_packets);
        give("tx_bytes", tx_bytes);
        give("tx_full", tx_full);
        give("tx_no_endpoint", tx_no_endpoint);
        give("tx_oversize", tx_oversize);
        give("tx_undersize", tx_undersize);
        give("tx_errors", tx_errors);
    }

    /// Packets taken for sending and not sent.
    pub fn tx_dropped(&self) -> u64 {
        self.tx_no_endpoint + self.tx_oversize + self.tx_undersize + self.tx_errors
    }

    /// Packets that arrived and were not delivered.
    pub fn rx_dropped(&self) -> u64 {
        self.rx_truncated + self.rx_overflow
    }
}

impl std::ops::Add for IoStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rx_packets: self.rx_packets + other.rx_packets,
            rx_bytes: self.rx_bytes + other.rx_bytes,
            rx_truncated: self.rx_truncated + other.rx_truncated,
            rx_overflow: self.rx_overflow + other.rx_overflow,
            rx_no_packet: self.rx_no_packet + other.rx_no_packet,
            rx_starved: self.rx_starved + other.rx_starved,
            rx_errors: self.rx_errors + other.rx_errors,
            tx_packets: self.tx_packets + other.tx_packets,
            tx_bytes: self.tx_bytes + other.tx_bytes,
            tx_full: self.tx_full + other.tx_full,
            tx_no_endpoint: self.tx_no_endpoint + other.tx_no_endpoint,
            tx_oversize: self.tx_oversize + other.tx_oversize,
            tx_undersize: self.tx_undersize + other.tx_undersize,
            tx_errors: self.tx_errors + other.tx_errors,
        }
    }
}
