//! What arrives: from Ethernet to the datagram for us, each frame to exactly one fate.

use std::net::Ipv6Addr;

use dot11::MacAddr;

use super::Inner;
use super::config::HostConfig;
use super::out::Out;
use super::route::Hop;
use super::shared::{AddressState, Host};
use super::stats::HostCounter as C;
use crate::endpoint::Endpoint;
use crate::ethernet;
use crate::inet::checksum::{Sum, pseudo_ipv4, pseudo_ipv6};
use crate::inet::{self, Reject, icmp, ipv4, ipv6, protocol, udp};
use crate::packet::Packet;

/// What to do with a frame that was looked at. The packet then begins with what is to be sent or delivered.
pub(super) enum Verdict {
    /// It is a datagram now.
    Deliver,
    /// It was changed into its answer: send it to this Ethernet address with this EtherType, count it as sent by the second counter, and the
    /// frame that arrived by the first.
    Answer(C, MacAddr, u16, C),
    /// Nothing more.
    Done(C),
}

/// An error is a drop and its reason.
pub(super) type Looked = Result<Verdict, C>;

/// What the Ethernet header of a frame said.
#[derive(Clone, Copy)]
pub(super) struct Link {
    /// Who sent it.
    pub source: MacAddr,
    /// It was to a group of addresses.
    pub group: bool,
}

impl Inner {
    /// Takes a frame. Returns the datagram, if it is one for us.
    #[inline]
    pub fn receive(&mut self, mut packet: Packet) -> Option<Packet> {
        match self.look(&mut packet) {
            Ok(Verdict::Deliver) => {
                self.out.stats.count(C::RxDatagrams);
                return Some(packet);
            }
            Ok(Verdict::Answer(fate, to, ether_type, sent)) => {
                self.out.stats.count(fate);
                self.out.send_own(packet, to, ether_type, sent);
            }
            Ok(Verdict::Done(fate)) | Err(fate) => self.out.stats.count(fate),
        }
        None
    }

    #[inline]
    fn look(&mut self, packet: &mut Packet) -> Looked {
        let header = ethernet::parse(packet.data()).ok_or(C::DropShort)?;
        let config = &self.out.host.config;
        let link = Link { source: header.source, group: header.destination.is_group() };
        if header.destination != config.mac && !link.group {
            return Err(C::DropOtherMac);
        }
        if header.source == config.mac || header.source.is_group() {
            return Err(C::DropSourceMac);
        }
        let ether_type = take_tag(packet, header.ether_type, config)?;
        packet.trim_front(ethernet::HEADER);
        match ether_type {
            inet::IPV4 => self.look_ipv4(packet, link),
            inet::IPV6 => self.look_ipv6(packet, link),
            inet::ARP => self.look_arp(packet, link),
            _ => Err(C::DropEtherType),
        }
    }

    #[inline]
    fn look_ipv4(&mut self, packet: &mut Packet, link: Link) -> Looked {
        let header = ipv4::parse(packet.data()).map_err(drop_reason)?;
        packet.truncate(header.total_len);
        let host = &self.out.host;
        let (source, destination) = (header.source.to_ipv6_mapped(), header.destination.to_ipv6_mapped());
        if !inet::is_ipv4_host(header.source)
            || host.is_subnet_broadcast(header.source)
            || host.find(source).is_some()
        {
            return Err(C::DropMartian);
        }
        let Some(own) = host.find(destination) else {
            let group = header.destination.is_multicast()
                || header.destination.is_broadcast()
                || host.is_subnet_broadcast(header.destination);
            return if group { Ok(Verdict::Done(C::RxGroup)) } else { Err(C::DropOtherAddress) };
        };
        if link.group {
            return Err(C::DropLinkGroup);
        }
        match header.protocol {
            protocol::UDP => {
                let pseudo = |len| pseudo_ipv4(header.source, header.destination, protocol::UDP, len);
                match self.look_udp(packet, header.header_len, source, own, link, pseudo)? {
                    true => Ok(Verdict::Deliver),
                    false => Ok(self.refuse_ipv4(packet, &header, icmp::v4::NO_PORT, C::DropPort, link)),
                }
            }
            protocol::ICMP => self.look_icmp(packet, &header, link),
            _ => Ok(self.refuse_ipv4(packet, &header, icmp::v4::NO_PROTOCOL, C::DropProtocol, link)),
        }
    }

    #[inline]
    fn look_ipv6(&mut self, packet: &mut Packet, link: Link) -> Looked {
        let header = ipv6::parse(packet.data()).map_err(drop_reason)?;
        packet.truncate(header.total_len);
        let host = &self.out.host;
        let discovery = header.next_header == protocol::ICMPV6;
        let kind = packet.data().get(header.header_len).filter(|_| discovery).copied().unwrap_or_default();
        let resolution = matches!(kind, inet::nd::SOLICITATION | inet::nd::ADVERTISEMENT);
        let possible = match host.find(header.source) {
            // Who has the same address says so from there.
            Some(_) => resolution,
            // Without an address, duplicates are looked for and listeners report.
            None if header.source.is_unspecified() => discovery && header.destination.is_multicast(),
            None => inet::is_ipv6_host(header.source),
        };
        if !possible {
            return Err(C::DropMartian);
        }
        if header.destination.is_multicast() {
            return if discovery {
                self.look_icmpv6(packet, &header, link)
            } else {
                Ok(Verdict::Done(C::RxGroup))
            };
        }
        let Some(own) = host.find(header.destination) else { return Err(C::DropOtherAddress) };
        if link.group {
            return Err(C::DropLinkGroup);
        }
        if host.addresses[own].state() != AddressState::Assigned {
            return Err(C::DropAddressState);
        }
        match header.next_header {
            protocol::UDP => {
                let pseudo = |len| pseudo_ipv6(header.source, header.destination, protocol::UDP, len);
                match self.look_udp(packet, header.header_len, header.source, own, link, pseudo)? {
                    true => Ok(Verdict::Deliver),
                    false => {
                        let error = [icmp::v6::UNREACHABLE, icmp::v6::NO_PORT];
                        Ok(self.refuse_ipv6(packet, &header, error, 0, C::DropPort, link))
                    }
                }
            }
            protocol::ICMPV6 => self.look_icmpv6(packet, &header, link),
            _ => {
                let error = [icmp::v6::PARAMETER, icmp::v6::NEXT_HEADER];
                let at = header.next_header_at as u32;
                Ok(self.refuse_ipv6(packet, &header, error, at, C::DropProtocol, link))
            }
        }
    }

    /// Makes the packet the datagram in it; false, and unchanged, if nobody listens at its port.
    #[inline]
    fn look_udp(
        &mut self,
        packet: &mut Packet,
        header_len: usize,
        source: Ipv6Addr,
        own: usize,
        link: Link,
        pseudo: impl FnOnce(usize) -> Sum,
    ) -> Result<bool, C> {
        let Out { host, now, .. } = &self.out;
        let segment = packet.data().get(header_len..).unwrap_or_default();
        let header = udp::parse(segment).ok_or(C::DropUdpHeader)?;
        // None at all is for IPv4 only (RFC 8200 §8.1).
        let right = match header.checksum {
            0 => source.to_ipv4_mapped().is_some(),
            _ => {
                !host.config.verify_checksums
                    || pseudo(header.len).octets(&segment[..header.len]).checksum() == 0
            }
        };
        if !right {
            return Err(C::DropUdpChecksum);
        }
        if header.source == 0 {
            return Err(C::DropPort);
        }
        if header.destination != host.config.port {
            return Ok(false);
        }
        if host.routes.hop(source) == Hop::Learnt {
            host.routes.learn(source, link.source, *now);
        }
        packet.trim_front(header_len + udp::LEN);
        packet.truncate(header.len - udp::LEN);
        packet.meta.endpoint = Endpoint::v6(source.octets(), header.source, 0).at(own as u16 + 1);
        Ok(true)
    }

    fn look_icmp(&mut self, packet: &mut Packet, header: &ipv4::Ipv4, link: Link) -> Looked {
        let message = packet.data().get(header.header_len..).unwrap_or_default();
        let (&fixed, data) = message.split_first_chunk::<{ icmp::LEN }>().ok_or(C::DropIcmp)?;
        if Sum::ZERO.octets(message).checksum() != 0 {
            return Err(C::DropIcmp);
        }
        match fixed[0] {
            icmp::v4::ECHO if fixed[1] == 0 => {
                if packet.len() > self.out.host.config.mtu.into() || !self.echoes.take(self.out.now) {
                    return Err(C::DropEcho);
                }
                packet.trim_front(header.header_len);
                let message = packet.data_mut();
                message[0] = icmp::v4::ECHO_REPLY;
                message[2..4].fill(0);
                let checksum = Sum::ZERO.octets(message).checksum();
                message[2..4].copy_from_slice(&checksum.to_be_bytes());
                let answer = ipv4::Write {
                    source: header.destination,
                    destination: header.source,
                    protocol: protocol::ICMP,
                    total_len: (packet.len() + ipv4::LEN) as u16,
                    identification: 0,
                    fragment: ipv4::DONT_FRAGMENT,
                };
                let place = packet.prepend(ipv4::LEN).and_then(|place| place.first_chunk_mut());
                answer.to(place.ok_or(C::OwnDropNoHeadroom)?);
                Ok(Verdict::Answer(C::RxEcho, link.source, inet::IPV4, C::TxEchoReply))
            }
            icmp::v4::UNREACHABLE if fixed[1] == icmp::v4::TOO_BIG => {
                let quoted = icmp::quoted_v4(data).ok_or(C::DropPathMtu)?;
                let mtu = icmp::next_hop_mtu_v4(&fixed, quoted.total_len);
                if mtu >= quoted.total_len {
                    return Err(C::DropPathMtu);
                }
                let (source, destination) =
                    (quoted.source.to_ipv6_mapped(), quoted.destination.to_ipv6_mapped());
                self.lower_path_mtu(source, quoted.source_port, destination, mtu.into())
            }
            kind if icmp::v4::is_error(kind) => Ok(Verdict::Done(C::RxIcmpError)),
            _ => Ok(Verdict::Done(C::RxIcmpOther)),
        }
    }

    fn look_icmpv6(&mut self, packet: &mut Packet, header: &ipv6::Ipv6, link: Link) -> Looked {
        let message = packet.data().get(header.header_len..).unwrap_or_default();
        let (&fixed, data) = message.split_first_chunk::<{ icmp::LEN }>().ok_or(C::DropIcmp)?;
        let pseudo = pseudo_ipv6(header.source, header.destination, protocol::ICMPV6, message.len());
        if pseudo.octets(message).checksum() != 0 {
            return Err(C::DropIcmp);
        }
        let group = header.destination.is_multicast();
        match fixed[0] {
            inet::nd::SOLICITATION | inet::nd::ADVERTISEMENT => self.look_neighbour(packet, header, link),
            inet::mld::QUERY if group => {
                if header.hop_limit != inet::mld::HOP_LIMIT || !header.source.is_unicast_link_local() {
                    return Err(C::DropIcmp);
                }
                if self.reports.take(self.out.now) {
                    self.out.send_listener_report(false);
                }
                Ok(Verdict::Done(C::RxListenerQuery))
            }
            _ if group => Ok(Verdict::Done(C::RxIcmpOther)),
            icmp::v6::ECHO if fixed[1] == 0 => {
                if packet.len() > self.out.host.config.mtu.into() || !self.echoes.take(self.out.now) {
                    return Err(C::DropEcho);
                }
                packet.trim_front(header.header_len);
                let (from, to, len) = (header.destination, header.source, packet.len());
                let message = packet.data_mut();
                message[0] = icmp::v6::ECHO_REPLY;
                put_checksum_v6(message, from, to);
                put_header_v6(packet, from, to, len).ok_or(C::OwnDropNoHeadroom)?;
                Ok(Verdict::Answer(C::RxEcho, link.source, inet::IPV6, C::TxEchoReply))
            }
            icmp::v6::TOO_BIG => {
                let quoted = icmp::quoted_v6(data).ok_or(C::DropPathMtu)?;
                let mtu = icmp::next_hop_mtu_v6(&fixed);
                self.lower_path_mtu(quoted.source, quoted.source_port, quoted.destination, mtu)
            }
            kind if icmp::v6::is_error(kind) => Ok(Verdict::Done(C::RxIcmpError)),
            _ => Ok(Verdict::Done(C::RxIcmpOther)),
        }
    }

    /// A router says that our packet to `peer` was too big: believed if we can have sent it.
    fn lower_path_mtu(&mut self, source: Ipv6Addr, port: u16, peer: Ipv6Addr, mtu: u32) -> Looked {
        let host: &Host = &self.out.host;
        if !host.is_in_use(source) || port != host.config.port {
            return Err(C::DropPathMtu);
        }
        if host.paths.lower(peer, mtu, self.out.now).ok_or(C::DropPathMtu)? {
            self.out.stats.count(C::PathMtuLowered);
        }
        Ok(Verdict::Done(C::RxPathMtu))
    }

    /// Makes the packet an ICMP error about itself (RFC 1122 §3.2.2), if the rate allows; it was to us alone and from one host.
    fn refuse_ipv4(
        &mut self,
        packet: &mut Packet,
        header: &ipv4::Ipv4,
        code: u8,
        fate: C,
        link: Link,
    ) -> Verdict {
        /// The whole error is an IP packet that every host takes (RFC 1812 §4.3.2.3).
        const QUOTE: usize = 576 - ipv4::LEN - icmp::LEN;
        if !self.errors.take(self.out.now) {
            self.out.stats.count(C::IcmpErrorLimited);
            return Verdict::Done(fate);
        }
        packet.truncate(QUOTE);
        let Some(message) = packet.prepend(icmp::LEN) else { return Verdict::Done(fate) };
        message.copy_from_slice(&[icmp::v4::UNREACHABLE, code, 0, 0, 0, 0, 0, 0]);
        let checksum = Sum::ZERO.octets(packet.data()).checksum();
        packet.data_mut()[2..4].copy_from_slice(&checksum.to_be_bytes());
        let answer = ipv4::Write {
            source: header.destination,
            destination: header.source,
            protocol: protocol::ICMP,
            total_len: (packet.len() + ipv4::LEN) as u16,
            identification: 0,
            fragment: ipv4::DONT_FRAGMENT,
        };
        let Some(place) = packet.prepend(ipv4::LEN).and_then(|place| place.first_chunk_mut()) else {
            return Verdict::Done(fate);
        };
        answer.to(place);
        Verdict::Answer(fate, link.source, inet::IPV4, C::TxIcmpError)
    }

    /// Makes the packet an ICMPv6 error about itself (RFC 4443 §2.4), if the rate allows; it was to us alone and from one host.
    fn refuse_ipv6(
        &mut self,
        packet: &mut Packet,
        header: &ipv6::Ipv6,
        [kind, code]: [u8; 2],
        parameter: u32,
        fate: C,
        link: Link,
    ) -> Verdict {
        const QUOTE: usize = 1280 - ipv6::LEN - icmp::LEN;
        if !self.errors.take(self.out.now) {
            self.out.stats.count(C::IcmpErrorLimited);
            return Verdict::Done(fate);
        }
        packet.truncate(QUOTE);
        let Some(message) = packet.prepend(icmp::LEN) else { return Verdict::Done(fate) };
        message[..4].copy_from_slice(&[kind, code, 0, 0]);
        message[4..].copy_from_slice(&parameter.to_be_bytes());
        let (from, to, len) = (header.destination, header.source, packet.len());
        put_checksum_v6(packet.data_mut(), from, to);
        match put_header_v6(packet, from, to, len) {
            Some(()) => Verdict::Answer(fate, link.source, inet::IPV6, C::TxIcmpError),
            None => Verdict::Done(fate),
        }
    }
}

/// Takes the VLAN tag off, if there has to be one. Returns the EtherType behind it.
#[inline]
fn take_tag(packet: &mut Packet, ether_type: u16, config: &HostConfig) -> Result<u16, C> {
    if config.vlan.is_none() && !ethernet::TAGS.contains(&ether_type) {
        return Ok(ether_type);
    }
    let (vlan, tagged) = ethernet::pop_tag(packet);
    // A tag of VLAN 0 is about priority only (802.1Q-2018 §9.6).
    if vlan != config.vlan.unwrap_or(0) || (tagged.is_none() && config.vlan.is_some()) {
        return Err(C::DropVlan);
    }
    let ether_type = ethernet::parse(packet.data()).ok_or(C::DropShort)?.ether_type;
    if ethernet::TAGS.contains(&ether_type) { Err(C::DropVlan) } else { Ok(ether_type) }
}

fn drop_reason(reject: Reject) -> C {
    match reject {
        Reject::Malformed => C::DropIpHeader,
        Reject::Checksum => C::DropIpChecksum,
        Reject::Fragment => C::DropFragment,
        Reject::SourceRoute => C::DropSourceRoute,
        Reject::Options => C::DropOptions,
    }
}

fn put_checksum_v6(message: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) {
    message[2..4].fill(0);
    let pseudo = pseudo_ipv6(source, destination, protocol::ICMPV6, message.len());
    let checksum = pseudo.octets(message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
}

fn put_header_v6(packet: &mut Packet, source: Ipv6Addr, destination: Ipv6Addr, len: usize) -> Option<()> {
    let header = ipv6::Write {
        source,
        destination,
        next_header: protocol::ICMPV6,
        payload_len: len as u16,
        hop_limit: ipv6::HOP_LIMIT,
        flow_label: 0,
    };
    header.to(packet.prepend(ipv6::LEN)?.first_chunk_mut()?);
    Some(())
}
