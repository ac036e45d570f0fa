//! IPv6 neighbour discovery: solicitations and advertisements (RFC 4861 §4.3, §4.4).

use std::net::{IpAddr, Ipv6Addr};

use dot11::MacAddr;

use super::checksum;
use crate::counters::Forwarded;
use crate::ethernet;
use crate::stage::forward::{Next, Source};
use crate::state::State;

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    solicitation: bool,
    from: MacAddr,
    source: Ipv6Addr,
    target: Ipv6Addr,
}

const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// From a whole Ethernet frame; `None` if it is none, or one that receivers must ignore (RFC 4861 §7.1).
pub(super) fn parse(frame: &[u8]) -> Option<Neighbour> {
    let from = ethernet::parse(frame)?.source;
    let packet = ethernet::payload(frame);
    let (header, payload) = packet.split_first_chunk::<40>()?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = payload.get(..len)?;
    if header[0] >> 4 != 6 || header[6] != ICMPV6 || header[7] != 255 || payload.len() < 24 {
        return None;
    }
    if !matches!(payload[0], SOLICITATION | ADVERTISEMENT) || payload[1] != 0 {
        return None;
    }
    let pseudo = pseudo_header(&header[8..40], len);
    // A right checksum, summed with what it was made of, gives zero.
    if checksum(&[&pseudo, payload]) != 0 {
        return None;
    }
    Some(Neighbour {
        solicitation: payload[0] == SOLICITATION,
        from,
        source: address(&header[8..])?,
        target: address(&payload[8..])?,
    })
}

impl Neighbour {
    /// The address that the sender shows to be its own.
    pub(super) fn own_address(&self) -> Option<Ipv6Addr> {
        match (self.solicitation, self.source.is_unspecified()) {
            // Duplicate address detection (RFC 4862 §5.4): first come, first served, as in RFC 6620.
            (true, true) => Some(self.target),
            (true, false) => Some(self.source),
            (false, _) => Some(self.target),
        }
    }

    /// Who has which address for certain: not in duplicate address detection, which only asks for one.
    pub(super) fn claim(&self) -> Option<(MacAddr, IpAddr)> {
        let address = if self.solicitation { self.source } else { self.target };
        (!address.is_unspecified()).then_some((self.from, IpAddr::V6(address)))
    }
}

impl State {
    pub(super) fn proxy_nd(&mut self, nd: &Neighbour, vlan: u16, source: Source) -> Next {
        if !nd.solicitation {
            return Next::Forward;
        }
        let Some(about) = self.addresses.find(vlan, IpAddr::V6(nd.target)) else { return Next::Forward };
        if !self.proxies(about) {
            return Next::Forward;
        }
        let mac = self.stations.hot(about).mac;
        if mac == nd.from {
            // Its own duplicate address detection: others of the VLAN would have been learnt.
            return Next::Contain;
        }
        if !self.may_answer(about, source) {
            return Next::Done;
        }
        let frame = advertisement(nd, mac);
        self.count(Forwarded::ProxyNd);
        self.answer(&frame, vlan, source);
        Next::Done
    }
}

/// The answer in place of `mac`: solicited, without override, so that the station itself can say otherwise. To everybody if a duplicate address
/// was being detected.
fn advertisement(nd: &Neighbour, mac: MacAddr) -> [u8; 86] {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let detection = nd.source.is_unspecified();
    let (to, to_mac) =
        if detection { (all_nodes, MacAddr([0x33, 0x33, 0, 0, 0, 1])) } else { (nd.source, nd.from) };
    let mut frame = [0; 86];
    // The asking station gets it by unicast even then; its `from` is the one to be told.
    frame[..6].copy_from_slice(&if detection { nd.from } else { to_mac }.0);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    frame[14] = 0x60;
    frame[18..20].copy_from_slice(&32u16.to_be_bytes());
    frame[20] = ICMPV6;
    frame[21] = 255;
    frame[22..38].copy_from_slice(&nd.target.octets());
    frame[38..54].copy_from_slice(&to.octets());
    frame[54] = ADVERTISEMENT;
    frame[58] = if detection { 0 } else { 0x40 };
    frame[62..78].copy_from_slice(&nd.target.octets());
    frame[78..80].copy_from_slice(&[2, 1]); // target link-layer address, 8 octets
    frame[80..86].copy_from_slice(&mac.0);
    let pseudo = pseudo_header(&frame[22..54], 32);
    let sum = checksum(&[&pseudo, &frame[54..86]]);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Source, destination, length, next header (RFC 8200 §8.1).
fn pseudo_header(addresses: &[u8], len: usize) -> [u8; 40] {
    let mut pseudo = [0; 40];
    pseudo[..32].copy_from_slice(&addresses[..32]);
    pseudo[32..36].copy_from_slice(&(len as u32).to_be_bytes());
    pseudo[39] = ICMPV6;
    pseudo
}

fn address(octets: &[u8]) -> Option<Ipv6Addr> {
    octets.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets))
}
