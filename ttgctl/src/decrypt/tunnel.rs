//! 802.11 frames in the gateway's tunnel: CAPWAP data channel in UDP in IP, in Ethernet or not.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use proto::tunnel::{DataHeader, Limits, Reassembler};

use super::Heard;

/// Takes tunnel datagrams apart. Holds fragments, by both ends: a gateway numbers those of each tunnel on its own.
#[derive(Debug)]
pub struct Tunnel {
    fragments: Reassembler<(SocketAddr, SocketAddr)>,
}

/// RFC 5415's data channel.
const CAPWAP_DATA: u16 = 5247;
const UDP: u8 = 17;
/// Fragments of different frames mix only while one is under way.
const FRAGMENT_AGE: Duration = Duration::from_secs(2);

impl Default for Tunnel {
    fn default() -> Self {
        Tunnel { fragments: Reassembler::new(Limits { entries: 1024, octets: 1 << 24, age: FRAGMENT_AGE }) }
    }
}

impl Tunnel {
    /// From an Ethernet frame, tagged or not, of which `cut` octets are missing at the end.
    pub fn ethernet(&mut self, time: u64, data: &[u8], cut: usize) -> Option<Heard<'static>> {
        self.tagged(time, data.get(12..)?, cut)
    }

    /// From an EtherType on, behind 802.1Q and 802.1ad tags or not.
    pub fn tagged(&mut self, time: u64, mut data: &[u8], cut: usize) -> Option<Heard<'static>> {
        while let [0x81, 0x00, ..] | [0x88, 0xa8, ..] = data {
            data = data.get(4..)?;
        }
        match data {
            [0x08, 0x00, rest @ ..] | [0x86, 0xdd, rest @ ..] => self.ip(time, rest, cut),
            _ => None,
        }
    }

    /// From an IP packet of either version.
    pub fn ip(&mut self, time: u64, data: &[u8], cut: usize) -> Option<Heard<'static>> {
        let (source, destination, datagram) = match data.first()? >> 4 {
            4 => ipv4(data)?,
            6 => ipv6(data)?,
            _ => return None,
        };
        let (header, payload) = datagram.split_first_chunk::<8>()?;
        let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if port(0) != CAPWAP_DATA && port(2) != CAPWAP_DATA {
            return None;
        }
        let length = usize::from(port(4)).checked_sub(8)?;
        let ends = (SocketAddr::new(source, port(0)), SocketAddr::new(destination, port(2)));
        // Ethernet pads short packets: the length fields count.
        let (payload, cut) = match payload.get(..length) {
            Some(payload) => (payload, false),
            None if cut > 0 => (payload, true),
            None => return None,
        };
        self.capwap(time, ends, payload, cut)
    }

    fn capwap(
        &mut self,
        time: u64,
        ends: (SocketAddr, SocketAddr),
        payload: &[u8],
        cut: bool,
    ) -> Option<Heard<'static>> {
        let (header, payload) = DataHeader::parse(payload).ok()?;
        if header.keep_alive() || !header.native() || cut && header.fragment().is_some() {
            return None;
        }
        let whole = self.fragments.push(ends, &header, payload, Duration::from_nanos(time)).ok()??;
        let bytes: Cow<[u8]> = Cow::Owned(whole.frame.to_vec());
        (!bytes.is_empty()).then_some(Heard { bytes, damaged: false, cut })
    }
}

/// Source, destination and what follows the header; nothing of fragments, which no end of the tunnel makes.
fn ipv4(data: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let header = data.first_chunk::<20>()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[9] != UDP || fragment != 0 || header_len < 20 {
        return None;
    }
    let address =
        |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into();
    Some((address(12), address(16), data.get(header_len..)?))
}

/// The same behind hop-by-hop options, routing and destination options (RFC 8200 §4).
fn ipv6(data: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let (header, mut rest) = data.split_first_chunk::<40>()?;
    let mut next = header[6];
    while let 0 | 43 | 60 = next {
        next = *rest.first()?;
        rest = rest.get(usize::from(*rest.get(1)?) * 8 + 8..)?;
    }
    let address = |at: usize| {
        let octets: [u8; 16] = std::array::from_fn(|i| header[at + i]);
        Ipv6Addr::from(octets).into()
    };
    (next == UDP).then(|| (address(8), address(24), rest))
}
