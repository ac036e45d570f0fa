//! The IPv4 header (RFC 791).

use std::net::Ipv4Addr;

use super::Reject;
use super::checksum::Sum;

/// Octets of a header without options.
pub const LEN: usize = 20;

/// Don't fragment, in the flags and offset field.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// More fragments follow.
pub const MORE_FRAGMENTS: u16 = 0x2000;

/// A header that was accepted: version, lengths and checksum are right, the packet is whole, and its way is not prescribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
    /// Of the payload.
    pub protocol: u8,
    /// Octets before the payload.
    pub header_len: usize,
    /// Octets of the packet; what follows is padding.
    pub total_len: usize,
}

/// Reads and checks the header of `packet`.
#[inline]
pub fn parse(packet: &[u8]) -> Result<Ipv4, Reject> {
    let fixed = packet.first_chunk::<LEN>().ok_or(Reject::Malformed)?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if fixed[0] >> 4 != 4 || header_len < LEN || total_len < header_len || total_len > packet.len() {
        return Err(Reject::Malformed);
    }
    if Sum::ZERO.octets(&packet[..header_len]).checksum() != 0 {
        return Err(Reject::Checksum);
    }
    if u16::from_be_bytes([fixed[6], fixed[7]]) & !DONT_FRAGMENT != 0 {
        return Err(Reject::Fragment);
    }
    if header_len > LEN {
        check_options(&packet[LEN..header_len])?;
    }
    Ok(Ipv4 {
        source: address(fixed, 12),
        destination: address(fixed, 16),
        protocol: fixed[9],
        header_len,
        total_len,
    })
}

/// What the start of a packet says that an ICMP error quotes: source, destination, protocol, total length, payload as far as quoted. Routers may
/// have changed the checksum's fields, and the packet is cut off, so neither is checked.
pub fn quoted(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8, u16, &[u8])> {
    let fixed = packet.first_chunk::<LEN>()?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] >> 4 != 4 || header_len < LEN || u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff != 0 {
        return None;
    }
    let total_len = u16::from_be_bytes([fixed[2], fixed[3]]);
    Some((address(fixed, 12), address(fixed, 16), fixed[9], total_len, packet.get(header_len..)?))
}

/// A header to write.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
    /// Of the payload.
    pub protocol: u8,
    /// Octets of header and payload.
    pub total_len: u16,
    /// Identifies the packet that fragments are of; means nothing in a packet that cannot be fragmented (RFC 6864 §4.1).
    pub identification: u16,
    /// Flags and offset.
    pub fragment: u16,
}

/// Time to live of what is sent (RFC 1700).
const TTL: u8 = 64;

impl Write {
    /// Writes the header.
    #[inline]
    pub fn to(&self, place: &mut [u8; LEN]) {
        *place = [0; LEN];
        place[0] = 0x45;
        place[2..4].copy_from_slice(&self.total_len.to_be_bytes());
        place[4..6].copy_from_slice(&self.identification.to_be_bytes());
        place[6..8].copy_from_slice(&self.fragment.to_be_bytes());
        place[8] = TTL;
        place[9] = self.protocol;
        place[12..16].copy_from_slice(&self.source.octets());
        place[16..20].copy_from_slice(&self.destination.octets());
        let checksum = Sum::ZERO.octets(place).checksum();
        place[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Loose and strict source route are refused; others are passed over (RFC 1122 §3.2.1.8).
fn check_options(mut options: &[u8]) -> Result<(), Reject> {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    loop {
        match *options {
            [] | [END, ..] => return Ok(()),
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, ..] => return Err(Reject::SourceRoute),
            [NOTHING, ref rest @ ..] => options = rest,
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..).ok_or(Reject::Malformed)?,
            _ => return Err(Reject::Malformed),
        }
    }
}

fn address(header: &[u8; LEN], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Write = Write {
        source: Ipv4Addr::new(192, 0, 2, 1),
        destination: Ipv4Addr::new(198, 51, 100, 7),
        protocol: 17,
        total_len: 30,
        identification: 0,
        fragment: DONT_FRAGMENT,
    };

    fn packet() -> Vec<u8> {
        let mut packet = vec![0xee; 40];
        WRITE.to(packet.first_chunk_mut().unwrap());
        packet
    }

    fn with_options(options: &[u8]) -> Vec<u8> {
        let mut packet = packet();
        packet.splice(20..20, options.iter().copied());
        packet[0] = 0x45 + (options.len() / 4) as u8;
        packet[3] += options.len() as u8;
        packet[10..12].fill(0);
        let sum = Sum::ZERO.octets(&packet[..20 + options.len()]).checksum();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    #[test]
    fn what_is_written_is_read() {
        let header = parse(&packet()).unwrap();
        assert_eq!((header.source, header.destination), (WRITE.source, WRITE.destination));
        assert_eq!((header.protocol, header.header_len, header.total_len), (17, 20, 30));
    }

    #[test]
    fn each_check_has_its_reason() {
        let change = |at: usize, to: u8| {
            let mut packet = packet();
            packet[at] = to;
            packet[10..12].fill(0);
            let sum = Sum::ZERO.octets(&packet[..20]).checksum();
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            parse(&packet).map(drop)
        };
        assert_eq!(change(0, 0x55), Err(Reject::Malformed));
        assert_eq!(change(0, 0x44), Err(Reject::Malformed));
        assert_eq!(change(3, 41), Err(Reject::Malformed));
        assert_eq!(change(3, 19), Err(Reject::Malformed));
        assert_eq!(change(6, 0x20), Err(Reject::Fragment));
        assert_eq!(change(7, 1), Err(Reject::Fragment));
        assert_eq!(change(6, 0x80), Err(Reject::Fragment), "the reserved bit must be zero");
        assert_eq!(change(8, 1), Ok(()));
        let mut packet = packet();
        packet[8] ^= 1;
        assert_eq!(parse(&packet), Err(Reject::Checksum));
        assert_eq!(parse(&packet[..19]), Err(Reject::Malformed));
    }

    #[test]
    fn options_are_passed_over_but_for_source_routes() {
        assert_eq!(parse(&with_options(&[1, 1, 1, 0])).unwrap().header_len, 24);
        assert!(parse(&with_options(&[0x94, 4, 0, 0])).is_ok(), "router alert");
        for route in [131, 137] {
            assert_eq!(parse(&with_options(&[1, route, 7, 4, 1, 2, 3, 4])), Err(Reject::SourceRoute));
        }
        assert_eq!(parse(&with_options(&[7, 1, 0, 0])), Err(Reject::Malformed));
        assert_eq!(parse(&with_options(&[7, 9, 0, 0])), Err(Reject::Malformed));
    }

    #[test]
    fn a_quoted_header_may_be_cut_off() {
        let packet = packet();
        let (source, destination, protocol, total, payload) = quoted(&packet[..28]).unwrap();
        assert_eq!((source, destination, protocol, total), (WRITE.source, WRITE.destination, 17, 30));
        assert_eq!(payload, [0xee; 8]);
        assert_eq!(quoted(&packet[..19]), None);
    }
}
