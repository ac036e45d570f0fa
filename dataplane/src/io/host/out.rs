//! The way out: headers in front, IP fragments where the path is too narrow, and a bounded queue of frames that the host makes itself.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use dot11::MacAddr;

use super::board::Board;
use super::config::MAX_ADDRESSES;
use super::neighbours::{ASKED, Actions};
use super::shared::{AddressState, Host, Own};
use super::stats::{HostCounter as C, HostStats};
use crate::clock::Time;
use crate::ethernet;
use crate::inet::checksum::pseudo_ipv6;
use crate::inet::{self, arp, ipv4, ipv6, mld, nd, protocol, udp};
use crate::io::PacketIo;
use crate::limit::TokenBucket;
use crate::packet::{Burst, Packet, Pool};

/// Frames of our own that wait for the way out.
const QUEUE: usize = 256;
/// Questions for neighbours per second, and at once.
const QUESTIONS: (u32, u32) = (500, 100);

/// Everything but the port and the tables.
pub(super) struct Out {
    pub host: Arc<Host>,
    pub pool: Pool,
    pub now: Time,
    pub stats: HostStats,
    /// Octets of datagrams sent.
    pub tx_bytes: u64,
    queue: VecDeque<Packet>,
    burst: Burst,
    questions: TokenBucket,
    /// Of packets that are sent in fragments; the workers count in parts of their own.
    identification: u32,
    worker: u32,
}

/// What became of an IP packet that is to be sent.
pub(super) enum Framed {
    /// A frame.
    Whole(Packet),
    /// Fragments, which are in the queue.
    Fragments,
    /// Nothing; what was wrong.
    Lost(C),
}

impl Out {
    pub fn new(host: Arc<Host>, worker: usize, pool: Pool, now: Time) -> Self {
        Self {
            pool,
            now,
            stats: HostStats::default(),
            tx_bytes: 0,
            queue: VecDeque::with_capacity(QUEUE),
            burst: Burst::new(),
            questions: TokenBucket::new(QUESTIONS.0, QUESTIONS.1),
            identification: host.config.seed as u32 & IDENTIFICATION,
            worker: (worker as u32) << IDENTIFICATION.count_ones(),
            host,
        }
    }

    /// Sends what is in the queue as far as the port takes it. Whether that was everything.
    pub fn flush(&mut self, port: &mut impl PacketIo) -> bool {
        loop {
            while !self.burst.is_full() {
                let Some(packet) = self.queue.pop_front() else { break };
                if self.burst.push(packet).is_err() {
                    unreachable!("there is room");
                }
            }
            if self.burst.is_empty() {
                return true;
            }
            port.tx_burst(&mut self.burst);
            if !self.burst.is_empty() {
                return false;
            }
        }
    }

    /// Whether frames wait for the way out.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty() || !self.burst.is_empty()
    }

    /// Puts UDP and IP headers in front of a datagram. `hash` becomes the flow label.
    #[inline]
    pub fn put_headers(
        &self,
        packet: &mut Packet,
        source: Ipv6Addr,
        (destination, port): (Ipv6Addr, u16),
        hash: u64,
    ) -> Result<(), C> {
        let len = packet.len() + udp::LEN;
        if len > usize::from(u16::MAX) - ipv4::LEN {
            return Err(C::TxDropOversize);
        }
        let place = packet.prepend(udp::LEN).and_then(|place| place.first_chunk_mut());
        udp::write(place.ok_or(C::TxDropNoHeadroom)?, self.host.config.port, port, len as u16);
        match (source.to_ipv4_mapped(), destination.to_ipv4_mapped()) {
            (Some(source), Some(destination)) => {
                // Without UDP checksum, which RFC 5415 §3.1 demands over IPv4.
                let header = ipv4::Write {
                    source,
                    destination,
                    protocol: protocol::UDP,
                    total_len: (len + ipv4::LEN) as u16,
                    identification: 0,
                    fragment: ipv4::DONT_FRAGMENT,
                };
                let place = packet.prepend(ipv4::LEN).and_then(|place| place.first_chunk_mut());
                header.to(place.ok_or(C::TxDropNoHeadroom)?);
            }
            _ => {
                udp::write_checksum(packet.data_mut(), pseudo_ipv6(source, destination, protocol::UDP, len));
                let header = ipv6::Write {
                    source,
                    destination,
                    next_header: protocol::UDP,
                    payload_len: len as u16,
                    hop_limit: ipv6::HOP_LIMIT,
                    flow_label: flow_label(hash),
                };
                let place = packet.prepend(ipv6::LEN).and_then(|place| place.first_chunk_mut());
                header.to(place.ok_or(C::TxDropNoHeadroom)?);
            }
        }
        Ok(())
    }

    /// Makes an IP packet to `destination` a frame, or fragments if the path takes no packet as long.
    #[inline]
    pub fn frame(&mut self, mut packet: Packet, destination: Ipv6Addr, to: MacAddr) -> Framed {
        if !self.host.paths.takes(packet.len(), destination, self.now) {
            let mtu = self.host.paths.to(destination, self.now);
            return match destination.to_ipv4_mapped() {
                Some(_) => self.fragment_ipv4(&packet, mtu.into(), to),
                None => self.fragment_ipv6(&packet, mtu.into(), to),
            };
        }
        let ether_type = if destination.to_ipv4_mapped().is_some() { inet::IPV4 } else { inet::IPV6 };
        if self.link(&mut packet, to, ether_type) {
            Framed::Whole(packet)
        } else {
            Framed::Lost(C::TxDropNoHeadroom)
        }
    }

    /// Octets in front of the IP header.
    pub fn link_len(&self) -> usize {
        ethernet::HEADER + if self.host.config.vlan.is_some() { 4 } else { 0 }
    }

    /// Queues a packet of our own, or an answer, for `to`; counted as `sent` if there was room.
    pub fn send_own(&mut self, mut packet: Packet, to: MacAddr, ether_type: u16, sent: C) -> bool {
        if !self.link(&mut packet, to, ether_type) {
            self.stats.count(C::OwnDropNoHeadroom);
            return false;
        }
        let queued = self.push(packet);
        if queued {
            self.stats.count(sent);
        }
        queued
    }

    /// An empty packet for a frame of our own.
    pub fn packet(&mut self) -> Option<Packet> {
        let packet = self.pool.alloc();
        if packet.is_none() {
            self.stats.count(C::OwnDropNoBuffer);
        }
        packet
    }

    /// An ARP request for `target`; an announcement if that is the sender (RFC 5227 §3).
    pub fn send_arp_request(&mut self, sender: Ipv4Addr, target: Ipv4Addr, to: MacAddr) {
        let request = arp::Arp {
            request: true,
            sender_mac: self.host.config.mac,
            sender,
            target_mac: MacAddr::ZERO,
            target,
        };
        let Some(mut packet) = self.packet() else { return };
        if packet.copy_from(&request.encode()) {
            self.send_own(packet, to, inet::ARP, C::TxArpRequest);
        }
    }

    /// A neighbour solicitation or advertisement, as ICMPv6.
    pub fn send_neighbour(&mut self, message: &nd::Neighbour, source: Ipv6Addr, to: (Ipv6Addr, MacAddr)) {
        if let Some(packet) = self.packet() {
            self.send_neighbour_in(packet, message, source, to);
        }
    }

    /// The same, in a packet that is at hand.
    pub fn send_neighbour_in(
        &mut self,
        mut packet: Packet,
        message: &nd::Neighbour,
        source: Ipv6Addr,
        (destination, mac): (Ipv6Addr, MacAddr),
    ) {
        let mut octets = [0; nd::LEN];
        let len = message.write(&mut octets, source, destination);
        if !packet.copy_from(&octets[..len]) {
            return self.stats.count(C::OwnDropNoHeadroom);
        }
        let header = ipv6::Write {
            source,
            destination,
            next_header: protocol::ICMPV6,
            payload_len: len as u16,
            hop_limit: nd::HOP_LIMIT,
            flow_label: 0,
        };
        let Some(place) = packet.prepend(ipv6::LEN).and_then(|place| place.first_chunk_mut()) else {
            return self.stats.count(C::OwnDropNoHeadroom);
        };
        header.to(place);
        let counter = if message.solicitation { C::TxSolicitation } else { C::TxAdvertisement };
        self.send_own(packet, mac, inet::IPV6, counter);
    }

    /// Reports the groups that our addresses are in. `change`: not because somebody asked.
    pub fn send_listener_report(&mut self, change: bool) {
        let host = self.host.clone();
        let mut groups = [Ipv6Addr::UNSPECIFIED; MAX_ADDRESSES + 1];
        let mut n = 0;
        let wanted = |own: &&Own| !own.is_ipv4() && own.state() != AddressState::Duplicate;
        for own in host.addresses.iter().filter(wanted) {
            let group = inet::solicited_node(own.address);
            if n < groups.len() && !groups[..n].contains(&group) {
                groups[n] = group;
                n += 1;
            }
        }
        if n == 0 {
            return;
        }
        // From the link-local address, or from none while there is none (RFC 3810 §5.2.13).
        let link_local =
            |own: &&Own| own.address.is_unicast_link_local() && own.state() == AddressState::Assigned;
        let source = host.addresses.iter().find(link_local).map_or(Ipv6Addr::UNSPECIFIED, |own| own.address);
        let Some(mut packet) = self.packet() else { return };
        match packet.append(mld::report_len(n)) {
            Some(place) => {
                mld::write_report(place, source, &groups[..n], change);
                let to = MacAddr(inet::multicast_mac(mld::ROUTERS));
                self.send_own(packet, to, inet::IPV6, C::TxListenerReport);
            }
            None => self.stats.count(C::OwnDropNoBuffer),
        }
    }

    fn push(&mut self, frame: Packet) -> bool {
        let room = self.queue.len() < QUEUE;
        if room {
            self.queue.push_back(frame);
        } else {
            self.stats.count(C::OwnDropFull);
        }
        room
    }

    /// Puts the Ethernet header on; false if there is no headroom.
    #[inline]
    fn link(&self, packet: &mut Packet, to: MacAddr, ether_type: u16) -> bool {
        let config = &self.host.config;
        let Some(place) = packet.prepend(self.link_len()) else { return false };
        place[..6].copy_from_slice(&to.0);
        place[6..12].copy_from_slice(&config.mac.0);
        let at = match config.vlan {
            Some(vlan) => {
                place[12..14].copy_from_slice(&ethernet::TAGS[0].to_be_bytes());
                place[14..16].copy_from_slice(&vlan.to_be_bytes());
                16
            }
            None => 12,
        };
        place[at..at + 2].copy_from_slice(&ether_type.to_be_bytes());
        true
    }

    /// Sends an IPv4 packet in fragments that routers may cut further.
    #[cold]
    fn fragment_ipv4(&mut self, packet: &Packet, mtu: usize, to: MacAddr) -> Framed {
        let Some((header, payload)) = packet.data().split_first_chunk::<{ ipv4::LEN }>() else {
            return Framed::Lost(C::TxDropOversize);
        };
        let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        let identification = self.next_identification() as u16;
        let step = (mtu - ipv4::LEN) & !7;
        for (i, part) in payload.chunks(step).enumerate() {
            let more = (i + 1) * step < payload.len();
            let offset = (i * step / 8) as u16;
            let header = ipv4::Write {
                source: address(12),
                destination: address(16),
                protocol: header[9],
                total_len: (part.len() + ipv4::LEN) as u16,
                identification,
                fragment: offset | if more { ipv4::MORE_FRAGMENTS } else { 0 },
            };
            let mut octets = [0; ipv4::LEN];
            header.to(&mut octets);
            self.send_fragment(&octets, part, to, inet::IPV4);
        }
        Framed::Fragments
    }

    /// Sends an IPv6 packet in fragments.
    #[cold]
    fn fragment_ipv6(&mut self, packet: &Packet, mtu: usize, to: MacAddr) -> Framed {
        let Some((header, payload)) = packet.data().split_first_chunk::<{ ipv6::LEN }>() else {
            return Framed::Lost(C::TxDropOversize);
        };
        let identification = self.next_identification();
        let step = (mtu - ipv6::LEN - ipv6::FRAGMENT_LEN) & !7;
        for (i, part) in payload.chunks(step).enumerate() {
            let more = (i + 1) * step < payload.len();
            let mut octets = [0; ipv6::LEN + ipv6::FRAGMENT_LEN];
            octets[..ipv6::LEN].copy_from_slice(header);
            octets[4..6].copy_from_slice(&((part.len() + ipv6::FRAGMENT_LEN) as u16).to_be_bytes());
            octets[6] = ipv6::FRAGMENT_NEXT_HEADER;
            let fragment = ipv6::fragment_header(header[6], i * step, more, identification);
            octets[ipv6::LEN..].copy_from_slice(&fragment);
            self.send_fragment(&octets, part, to, inet::IPV6);
        }
        Framed::Fragments
    }

    fn send_fragment(&mut self, header: &[u8], part: &[u8], to: MacAddr, ether_type: u16) {
        let Some(mut packet) = self.packet() else { return };
        if !packet.copy_from(part) {
            return self.stats.count(C::OwnDropNoBuffer);
        }
        match packet.prepend(header.len()) {
            Some(place) => place.copy_from_slice(header),
            None => return self.stats.count(C::OwnDropNoHeadroom),
        }
        self.send_own(packet, to, ether_type, C::TxFragments);
    }

    fn next_identification(&mut self) -> u32 {
        self.identification = self.identification.wrapping_add(1) & IDENTIFICATION;
        // IPv4 has 16 bits of it: the worker's are in the upper ones.
        self.worker | self.identification
    }
}

/// Bits of an identification that a worker counts in; the others are its number. IPv4's 16 bits leave four of them.
const IDENTIFICATION: u32 = 0x0fff;

impl Actions for Out {
    fn ask(&mut self, address: Ipv6Addr, at: Option<MacAddr>) -> bool {
        if !self.questions.take(self.now) {
            self.stats.count(C::QuestionLimited);
            return false;
        }
        // Answers are believed only about who was asked for, at whichever worker they arrive.
        if self.host.neighbours.read(address).is_none() {
            self.host.neighbours.write(address, ASKED, self.now);
        }
        let source = self.host.source(0, address);
        match (address.to_ipv4_mapped(), source.map(|source| (source, source.to_ipv4_mapped()))) {
            (Some(target), Some((_, Some(sender)))) => {
                self.send_arp_request(sender, target, at.unwrap_or(MacAddr::BROADCAST));
            }
            (None, Some((source, None))) => {
                let group = inet::solicited_node(address);
                let to = match at {
                    Some(mac) => (address, mac),
                    None => (group, MacAddr(inet::multicast_mac(group))),
                };
                let question = nd::Neighbour::question(address, Some(self.host.config.mac));
                self.send_neighbour(&question, source, to);
            }
            // No address of ours is in use yet.
            _ => {}
        }
        true
    }

    fn send(&mut self, packet: Packet, to: MacAddr) {
        let Some(destination) = destination(packet.data()) else { return };
        let headers = udp::LEN + if destination.to_ipv4_mapped().is_some() { ipv4::LEN } else { ipv6::LEN };
        self.tx_bytes += packet.len().saturating_sub(headers) as u64;
        match self.frame(packet, destination, to) {
            Framed::Whole(frame) => drop(self.push(frame)),
            Framed::Fragments => {}
            Framed::Lost(_) => self.stats.count(C::OwnDropNoHeadroom),
        }
    }

    fn count(&mut self, counter: C) {
        self.stats.count(counter);
    }

    fn board(&self) -> &Board {
        &self.host.neighbours
    }
}

/// The destination of an IP packet of ours.
fn destination(packet: &[u8]) -> Option<Ipv6Addr> {
    match packet.first()? >> 4 {
        4 => packet.get(16..20)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).to_ipv6_mapped()),
        _ => packet.get(24..40)?.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets)),
    }
}

/// Spreads over 20 bits what tells flows apart (RFC 6437 §3); never 0, which is no label.
#[inline]
fn flow_label(hash: u64) -> u32 {
    (hash ^ hash >> 20 ^ hash >> 40) as u32 & 0xf_ffff | 1
}
