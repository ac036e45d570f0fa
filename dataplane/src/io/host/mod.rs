//! The gateway as an IP host of its own: datagrams on top of a port that moves Ethernet frames, where no kernel answers ARP and builds headers.
//!
//! [`HostIo`] is what [`udp`](crate::io::udp) is over the kernel: each packet received is a datagram with its peer in
//! [`Meta::endpoint`](crate::packet::Meta), each packet to send goes to the endpoint that is there. Below it is any [`PacketIo`] of Ethernet frames.
//! It answers ARP, neighbour discovery and echo, refuses what nobody wants with ICMP errors, checks its IPv6 addresses for duplicates, and follows
//! its neighbours and the MTU of its paths. All tables are bounded and made at set-up, all it sends of itself is limited in rate, and every frame
//! and datagram ends in exactly one counter ([`HostCounter`]).
//!
//! # Several queues
//! Each queue has a worker with a `HostIo` of its own; they share one [`Host`] and so have the same addresses. What concerns all of them may reach
//! any of them: ARP has no flow by which a port could choose the queue, and an ICMP error has the router's. So what a worker hears of neighbours,
//! next hops and path MTUs it writes on a [board](board) that the others read, and each asks for itself what it does not find there. The worker
//! numbered 0 announces the addresses; all answer for them.
//!
//! # What an upstream router must do
//! * Send packets for the gateway's addresses to this port. The addresses are on the router's own link, or routed to the one that is.
//! * Spread flows over several gateways, or links to one, by source and destination address and UDP ports, or at least by the addresses. The
//!   gateway's port is the same for all radios, because only from there an answer gets back through a radio's NAT; what differs are the radios'
//!   addresses and ports. Towards the radios the gateway sets an IPv6 flow label for each peer. A radio must keep reaching the same gateway while
//!   its tunnels live: spread by a hash that does not move when a gateway comes or goes, as far as the router can.
//! * Forward packets up to the configured MTU, and ICMP: "fragmentation needed" and "packet too big" must get through to the gateway. What is
//!   longer than a path is known to take is sent in IP fragments, which the way to the radios must then let pass. Fragments to the gateway are
//!   dropped and counted: CAPWAP has fragments of its own, and a radio must use them (its `path_mtu` is the remedy).
//! * Answer ARP or neighbour discovery, unless the gateway has no address of that family. With a static gateway configured that is asked; without
//!   one each peer's packets go back to the Ethernet address that its last one came from, which suits a single router and one that takes over with
//!   the same virtual address (VRRP), and trusts everybody on the link: it should have no other hosts.
//!
//! # What it leaves out
//! Router and prefix discovery (addresses and gateways are configured), redirects (ignored), IGMP (it is in no IPv4 group), multicast listener
//! discovery of version 1, reassembly, and ICMP errors about what cannot be forwarded, since it forwards nothing.

use std::net::Ipv6Addr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use dot11::MacAddr;

use super::{IoStats, PacketIo};
use crate::clock::Time;
use crate::endpoint::Endpoint;
use crate::limit::TokenBucket;
use crate::packet::{Burst, Packet, Pool};
use discover::Announcer;
use neighbours::{Neighbours, Next};
use out::{Framed, Out};
use route::Hop;

pub use config::{CAPWAP_DATA, HostConfig, HostError, MAX_ADDRESSES, Prefix, PrefixError};
pub use shared::{AddressState, Host};
pub use stats::{HostCounter, HostStats};

pub mod board;
mod config;
mod discover;
mod neighbours;
mod out;
mod pmtu;
mod receive;
mod route;
mod shared;
mod stats;

use HostCounter as C;

/// Echo requests answered per second, and at once.
const ECHOES: (u32, u32) = (1000, 200);
/// ICMP errors sent per second, and at once (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
const ERRORS: (u32, u32) = (100, 50);
/// Answers to queries of multicast listener discovery per second, and at once.
const REPORTS: (u32, u32) = (1, 2);
/// How soon to look for an answer that another worker may have got.
const PEEK: Duration = Duration::from_millis(10);
/// How soon to try again to send what the port did not take.
const RETRY: Duration = Duration::from_millis(1);

/// One queue of a port, as UDP.
pub struct HostIo<P> {
    port: P,
    inner: Inner,
    /// Frames that were received and not looked at yet.
    frames: Burst,
    /// Frames on their way to the port.
    sending: Burst,
    stats: IoStats,
}

/// The host without its port.
pub(crate) struct Inner {
    out: Out,
    neighbours: Neighbours,
    announcer: Announcer,
    echoes: TokenBucket,
    errors: TokenBucket,
    reports: TokenBucket,
    defend_at: Time,
}

impl<P: PacketIo> HostIo<P> {
    /// The host on a queue that belongs to worker number `worker`. What it sends of itself is made of packets of `pool`, which need
    /// [`HEADROOM`] octets of headroom.
    pub fn new(port: P, host: Arc<Host>, worker: usize, pool: Pool) -> Self {
        Self::new_at(port, host, worker, pool, Time::now())
    }

    /// The same, at a time of the caller's.
    pub fn new_at(port: P, host: Arc<Host>, worker: usize, pool: Pool, now: Time) -> Self {
        let mut neighbours = Neighbours::new(host.config.neighbours, host.config.seed.rotate_left(23));
        host.routes.gateways().for_each(|gateway| neighbours.pin(gateway));
        let bucket = |(rate, burst)| TokenBucket::new(rate, burst);
        let inner = Inner {
            out: Out::new(host, worker, pool, now),
            neighbours,
            announcer: Announcer::new(worker == 0, now),
            echoes: bucket(ECHOES),
            errors: bucket(ERRORS),
            reports: bucket(REPORTS),
            defend_at: now,
        };
        Self { port, inner, frames: Burst::new(), sending: Burst::new(), stats: IoStats::default() }
    }

    /// [`PacketIo::rx_burst`] at a time of the caller's.
    pub fn rx_burst_at(&mut self, now: Time, pool: &Pool, out: &mut Burst) -> usize {
        self.inner.tick(now);
        if self.frames.is_empty() {
            self.port.rx_burst(pool, &mut self.frames);
        }
        let before = out.len();
        for frame in self.frames.drain_front(out.room()) {
            if let Some(datagram) = self.inner.receive(frame) {
                self.stats.rx_bytes += datagram.len() as u64;
                if out.push(datagram).is_err() {
                    unreachable!("no more frames were looked at than there was room for");
                }
            }
        }
        self.inner.out.flush(&mut self.port);
        out.len() - before
    }

    /// What the host counts; what the port counts is in [`PacketIo::stats`] of [`port`](Self::port).
    pub fn host_stats(&self) -> &HostStats {
        &self.inner.out.stats
    }

    /// What the workers of this port share.
    pub fn host(&self) -> &Arc<Host> {
        &self.inner.out.host
    }

    /// The port below.
    pub fn port(&self) -> &P {
        &self.port
    }

    /// Octets of the longest IP packet that goes to this peer in one piece, as far as known.
    pub fn path_mtu(&self, endpoint: Endpoint) -> u16 {
        self.host().paths.to(endpoint.ipv6().into(), self.inner.out.now)
    }
}

/// Octets of headroom that a datagram needs to be sent: UDP, IPv6, Ethernet and a tag.
pub const HEADROOM: usize = 8 + 40 + 14 + 4;

impl<P: PacketIo> PacketIo for HostIo<P> {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        self.rx_burst_at(Time::now(), pool, out)
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let offered = burst.len();
        // What the host owes others goes first, so that nothing overtakes it.
        if !self.inner.out.flush(&mut self.port) {
            self.stats.tx_full += 1;
            return 0;
        }
        for packet in burst.drain() {
            if let Some(frame) = self.inner.send(packet)
                && self.sending.push(frame).is_err()
            {
                unreachable!("a datagram is one frame at most");
            }
        }
        self.port.tx_burst(&mut self.sending);
        let left = self.sending.len();
        // What the port did not take becomes the datagram that it was.
        for mut frame in self.sending.drain() {
            let ip = if frame.meta.endpoint.is_ipv6() { 40 } else { 20 };
            frame.trim_front(self.inner.out.link_len() + ip + 8);
            self.inner.out.stats.uncount(C::TxDatagrams);
            self.inner.out.tx_bytes -= frame.len() as u64;
            if burst.push(frame).is_err() {
                unreachable!("no more come back than there were");
            }
        }
        if left > 0 {
            self.stats.tx_full += 1;
        }
        self.inner.out.flush(&mut self.port);
        offered - left
    }

    fn poll_fd(&self) -> Option<RawFd> {
        self.port.poll_fd()
    }

    fn rx_ready(&self) -> bool {
        !self.frames.is_empty() || self.port.rx_ready()
    }

    fn deadline(&self) -> Option<Time> {
        let inner = &self.inner;
        let soon = |wanted: bool, by: Duration| wanted.then(|| inner.out.now + by);
        [
            inner.announcer.deadline(),
            inner.neighbours.deadline(),
            soon(inner.neighbours.waiting() > 0, PEEK),
            soon(inner.out.is_waiting(), RETRY),
            self.port.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// In datagrams: why they were not delivered or sent is in [`host_stats`](HostIo::host_stats) in more detail.
    fn stats(&self) -> IoStats {
        let (port, host) = (self.port.stats(), self.host_stats());
        let oversize = host.get(C::TxDropOversize);
        let no_endpoint = host.get(C::TxDropNoEndpoint);
        IoStats {
            rx_packets: host.get(C::RxDatagrams),
            tx_packets: host.get(C::TxDatagrams) + host.get(C::TxFragmented) + host.get(C::WaitSent),
            tx_bytes: self.inner.out.tx_bytes,
            tx_no_endpoint: no_endpoint,
            tx_oversize: oversize + port.tx_oversize,
            tx_undersize: port.tx_undersize,
            tx_errors: host.tx_dropped() - no_endpoint - oversize + port.tx_errors,
            rx_truncated: port.rx_truncated,
            rx_overflow: port.rx_overflow,
            rx_no_packet: port.rx_no_packet,
            rx_starved: port.rx_starved,
            rx_errors: port.rx_errors,
            ..self.stats
        }
    }

    /// The port's counters, which are about frames, and the host's.
    fn each_counter(&self, give: &mut dyn FnMut(&'static str, u64)) {
        self.port.each_counter(give);
        for &counter in C::ALL {
            give(counter.name(), self.host_stats().get(counter));
        }
    }
}

impl Inner {
    #[inline]
    fn tick(&mut self, now: Time) {
        self.out.now = now;
        self.announcer.tick(&mut self.out);
        self.neighbours.tick(now, &mut self.out);
    }

    /// Takes a datagram. Returns the frame, if it is one to be sent now.
    #[inline]
    fn send(&mut self, mut packet: Packet) -> Option<Packet> {
        let len = packet.len() as u64;
        let fate = match self.prepare(&mut packet) {
            Ok((peer, Some(to))) => match self.out.frame(packet, peer, to) {
                Framed::Whole(frame) => {
                    self.out.stats.count(C::TxDatagrams);
                    self.out.tx_bytes += len;
                    return Some(frame);
                }
                Framed::Fragments => {
                    self.out.tx_bytes += len;
                    C::TxFragmented
                }
                Framed::Lost(reason) => reason,
            },
            Ok((hop, None)) => {
                self.neighbours.wait(hop, packet, &mut self.out);
                C::TxWaiting
            }
            Err(reason) => reason,
        };
        self.out.stats.count(fate);
        None
    }

    /// Puts headers on a datagram and finds where it goes: the peer and the Ethernet address, or the neighbour to wait for.
    #[inline]
    fn prepare(&mut self, packet: &mut Packet) -> Result<(Ipv6Addr, Option<MacAddr>), C> {
        let endpoint = packet.meta.endpoint.known().ok_or(C::TxDropNoEndpoint)?;
        let peer = Ipv6Addr::from(endpoint.ipv6());
        let host = &self.out.host;
        let source = host.source(endpoint.local, peer).ok_or(C::TxDropNoSource)?;
        let hop = host.routes.hop(peer);
        self.out.put_headers(packet, source, (peer, endpoint.port()), endpoint.spread())?;
        match hop {
            Hop::Learnt => {
                let to = self.out.host.routes.learnt(peer, self.out.now).ok_or(C::TxDropNoRoute)?;
                Ok((peer, Some(to)))
            }
            Hop::Neighbour(hop) => match self.neighbours.look_up(hop, self.out.now, &mut self.out) {
                Next::To(to) => Ok((peer, Some(to))),
                Next::Wait => Ok((hop, None)),
                Next::Unreachable => Err(C::TxDropUnreachable),
            },
        }
    }
}

impl<P: std::fmt::Debug> std::fmt::Debug for HostIo<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostIo")
            .field("port", &self.port)
            .field("host", &self.inner.out.host.config)
            .finish_non_exhaustive()
    }
}
