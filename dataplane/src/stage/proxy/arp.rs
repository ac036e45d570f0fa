//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::{IpAddr, Ipv4Addr};

use dot11::MacAddr;

use crate::counters::Forwarded;
use crate::stage::forward::{Next, Source};
use crate::state::State;

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    request: bool,
    pub(super) sender_mac: MacAddr,
    pub(super) sender: Ipv4Addr,
    target: Ipv4Addr,
}

/// Ethernet, IPv4, address lengths.
const PREFIX: [u8; 6] = [0, 1, 8, 0, 6, 4];

pub(super) fn parse(payload: &[u8]) -> Option<Arp> {
    let arp = payload.first_chunk::<28>()?;
    let address = |at: usize| Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]);
    if arp[..6] != PREFIX {
        return None;
    }
    Some(Arp {
        request: arp[6..8] == [0, 1],
        sender_mac: MacAddr::from_slice(&arp[8..])?,
        sender: address(14),
        target: address(24),
    })
}

impl State {
    pub(super) fn proxy_arp(&mut self, arp: &Arp, vlan: u16, source: Source) -> Next {
        // Announcements (RFC 5227 §2.3) are news for everybody.
        if !arp.request || arp.sender == arp.target {
            return Next::Forward;
        }
        let Some(about) = self.addresses.find(vlan, IpAddr::V4(arp.target)) else {
            // Nobody here is known to have it: only stations of unknown address can be meant.
            return if self.segment_proxies(vlan) { Next::Unknown } else { Next::Forward };
        };
        if !self.proxies(about) {
            return Next::Forward;
        }
        let mac = self.stations.hot(about).mac;
        if mac == arp.sender_mac {
            // A probe for its own address (RFC 5227 §2.1): the network may know better.
            return Next::Contain;
        }
        if !self.may_answer(about, source) {
            return Next::Done;
        }
        let mut frame = [0; 42];
        frame[..6].copy_from_slice(&arp.sender_mac.0);
        frame[6..12].copy_from_slice(&mac.0);
        frame[12..14].copy_from_slice(&[0x08, 0x06]);
        frame[14..20].copy_from_slice(&PREFIX);
        frame[20..22].copy_from_slice(&[0, 2]);
        frame[22..28].copy_from_slice(&mac.0);
        frame[28..32].copy_from_slice(&arp.target.octets());
        frame[32..38].copy_from_slice(&arp.sender_mac.0);
        frame[38..42].copy_from_slice(&arp.sender.octets());
        self.count(Forwarded::ProxyArp);
        self.answer(&frame, vlan, source);
        Next::Done
    }
}
