//! DHCPv4 answers on their way down (RFC 2131): broadcast ones go to the one client they are for, and an acknowledged lease tells who has an
//! address.

use std::net::{IpAddr, Ipv4Addr};

use dot11::MacAddr;

use crate::counters::Forwarded;
use crate::ethernet;
use crate::packet::Packet;
use crate::stage::forward::Source;
use crate::state::State;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reply {
    client: MacAddr,
    address: Ipv4Addr,
    acknowledged: bool,
}

impl State {
    /// Sends a broadcast DHCP answer to its client, if that is a station; gives any other frame back.
    pub(in crate::stage) fn aim_dhcp(
        &mut self,
        mut packet: Packet,
        vlan: u16,
        priority: u8,
        source: Source,
    ) -> Option<Packet> {
        let Some(reply) = parse(packet.data()) else { return Some(packet) };
        // A station is no DHCP server, at another worker neither.
        let from_station = match source {
            Source::Station(_) => true,
            Source::Peer => self.is_from_station(vlan, packet.data()),
            Source::Network => false,
        };
        if from_station {
            return Some(packet);
        }
        if let Some(id) = self.stations.find_in_segment(vlan, reply.client) {
            if reply.acknowledged {
                self.give_address(id, IpAddr::V4(reply.address));
            }
            ethernet::set_destination(&mut packet, reply.client);
            self.count(Forwarded::DhcpToUnicast);
            self.msdu_down(id, packet, priority);
            return None;
        }
        match self.directory.owner_of_station(vlan, reply.client) {
            Some(owner) if owner != self.me && source == Source::Network => {
                self.hand_ethernet(owner, &packet, vlan, priority);
                None
            }
            _ => Some(packet),
        }
    }
}

/// An answer from server to client in an Ethernet frame with an IPv4 and a UDP header.
fn parse(frame: &[u8]) -> Option<Reply> {
    if frame.get(12..14)? != [0x08, 0x00] {
        return None;
    }
    let ip = ethernet::payload(frame);
    let header_len = usize::from(ip.first()? & 0x0f) * 4;
    // UDP, not a later fragment.
    if ip.first()? >> 4 != 4
        || header_len < 20
        || *ip.get(9)? != 17
        || ip.get(6..8)?[0] & 0x1f != 0
        || ip[7] != 0
    {
        return None;
    }
    let udp = ip.get(header_len..)?;
    if udp.get(..4)? != [0, 67, 0, 68] {
        return None;
    }
    let bootp = udp.get(8..)?;
    // BOOTREPLY, Ethernet, six octets of address.
    if bootp.get(..3)? != [2, 1, 6] {
        return None;
    }
    let address = Ipv4Addr::from(*bootp.get(16..)?.first_chunk::<4>()?);
    let client = MacAddr::from_slice(bootp.get(28..)?)?;
    let options = bootp.get(236..).unwrap_or_default();
    let acknowledged = !address.is_unspecified() && is_acknowledgement(options);
    Some(Reply { client, address, acknowledged })
}

/// Whether option 53 (RFC 2132 §9.6) says DHCPACK.
fn is_acknowledgement(options: &[u8]) -> bool {
    let Some(mut options) = options.strip_prefix(&[99, 130, 83, 99]) else { return false };
    loop {
        match options {
            [53, 1, kind, ..] => return *kind == 5,
            [0, rest @ ..] => options = rest,
            [255, ..] | [] | [_] => return false,
            [_, len, rest @ ..] => options = rest.get(usize::from(*len)..).unwrap_or_default(),
        }
    }
}
