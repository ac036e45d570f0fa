//! The IPv6 header and its extension headers (RFC 8200).

use std::net::Ipv6Addr;

use super::Reject;

/// Octets of the fixed header.
pub const LEN: usize = 40;
/// Octets of a fragment header.
pub const FRAGMENT_LEN: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Extension headers that are looked at, and octets in them (RFC 9673 and RFC 9098 argue for such bounds).
const MAX_EXTENSIONS: usize = 4;
const MAX_EXTENSION_OCTETS: usize = 256;

/// A header chain that was accepted: version and lengths are right, the packet is whole, and its way is not prescribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Source.
    pub source: Ipv6Addr,
    /// Destination.
    pub destination: Ipv6Addr,
    /// What the payload is.
    pub next_header: u8,
    /// Where in the packet that is said, for complaints about it.
    pub next_header_at: usize,
    /// Hop limit: 255 if it comes from this link.
    pub hop_limit: u8,
    /// Octets before the payload.
    pub header_len: usize,
    /// Octets of the packet; what follows is padding.
    pub total_len: usize,
}

/// Reads and checks the headers of `packet`, passing over hop-by-hop and destination options.
#[inline]
pub fn parse(packet: &[u8]) -> Result<Ipv6, Reject> {
    let fixed = packet.first_chunk::<LEN>().ok_or(Reject::Malformed)?;
    let total_len = LEN + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    if fixed[0] >> 4 != 6 || total_len > packet.len() {
        return Err(Reject::Malformed);
    }
    let mut header = Ipv6 {
        source: address(fixed, 8),
        destination: address(fixed, 24),
        next_header: fixed[6],
        next_header_at: 6,
        hop_limit: fixed[7],
        header_len: LEN,
        total_len,
    };
    if matches!(header.next_header, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
        pass_extensions(&mut header, &packet[..total_len])?;
    }
    Ok(header)
}

/// What the start of a packet says that an ICMPv6 error quotes: source, destination, payload as far as quoted, which begins with UDP (perhaps
/// behind a fragment header for the first fragment).
pub fn quoted_udp(packet: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr, &[u8])> {
    let fixed = packet.first_chunk::<LEN>()?;
    let mut payload = &packet[LEN..];
    let mut next = fixed[6];
    if next == FRAGMENT {
        let fragment = payload.first_chunk::<FRAGMENT_LEN>()?;
        if u16::from_be_bytes([fragment[2], fragment[3]]) & 0xfff8 != 0 {
            return None;
        }
        next = fragment[0];
        payload = &payload[FRAGMENT_LEN..];
    }
    (fixed[0] >> 4 == 6 && next == super::protocol::UDP).then_some((
        address(fixed, 8),
        address(fixed, 24),
        payload,
    ))
}

/// A header to write.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Source.
    pub source: Ipv6Addr,
    /// Destination.
    pub destination: Ipv6Addr,
    /// What the payload is.
    pub next_header: u8,
    /// Octets behind this header.
    pub payload_len: u16,
    /// 64 as a rule, 255 for neighbour discovery, 1 for multicast listener discovery.
    pub hop_limit: u8,
    /// The flow, in 20 bits (RFC 6437).
    pub flow_label: u32,
}

/// Hop limit of what is sent beyond this link.
pub const HOP_LIMIT: u8 = 64;

impl Write {
    /// Writes the header.
    #[inline]
    pub fn to(&self, place: &mut [u8; LEN]) {
        place[..4].copy_from_slice(&(6 << 28 | self.flow_label & 0xf_ffff).to_be_bytes());
        place[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        place[6] = self.next_header;
        place[7] = self.hop_limit;
        place[8..24].copy_from_slice(&self.source.octets());
        place[24..].copy_from_slice(&self.destination.octets());
    }
}

/// A fragment header (RFC 8200 §4.5) in front of what `next_header` says.
pub fn fragment_header(
    next_header: u8,
    offset: usize,
    more: bool,
    identification: u32,
) -> [u8; FRAGMENT_LEN] {
    let [a, b] = ((offset as u16 & 0xfff8) | u16::from(more)).to_be_bytes();
    let [i, j, k, l] = identification.to_be_bytes();
    [next_header, 0, a, b, i, j, k, l]
}

/// Where fragment headers are announced in the fixed header.
pub const FRAGMENT_NEXT_HEADER: u8 = FRAGMENT;

#[cold]
fn pass_extensions(header: &mut Ipv6, packet: &[u8]) -> Result<(), Reject> {
    for count in 0.. {
        match header.next_header {
            // Only right behind the fixed header (RFC 8200 §4.1).
            HOP_BY_HOP if header.header_len != LEN => return Err(Reject::Options),
            HOP_BY_HOP | DESTINATION_OPTIONS => {}
            ROUTING => return Err(Reject::SourceRoute),
            FRAGMENT => return Err(Reject::Fragment),
            _ => return Ok(()),
        }
        let rest = &packet[header.header_len..];
        let &[next, len, ..] = rest else { return Err(Reject::Malformed) };
        let len = 8 + usize::from(len) * 8;
        let options = rest.get(2..len).ok_or(Reject::Malformed)?;
        if count >= MAX_EXTENSIONS || header.header_len - LEN + len > MAX_EXTENSION_OCTETS {
            return Err(Reject::Options);
        }
        check_options(options)?;
        header.next_header_at = header.header_len;
        header.next_header = next;
        header.header_len += len;
    }
    Ok(())
}

/// Options may be passed over if the two highest bits of their type say so (RFC 8200 §4.2). None is known but padding and router alert.
fn check_options(mut options: &[u8]) -> Result<(), Reject> {
    loop {
        match *options {
            [] => return Ok(()),
            [0, ref rest @ ..] => options = rest,
            [kind, ..] if kind >> 6 != 0 => return Err(Reject::Options),
            [_, len, ref rest @ ..] => options = rest.get(usize::from(len)..).ok_or(Reject::Malformed)?,
            _ => return Err(Reject::Malformed),
        }
    }
}

fn address(header: &[u8; LEN], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; LEN];
        let write = Write {
            source: "2001:db8::1".parse().unwrap(),
            destination: "2001:db8::2".parse().unwrap(),
            next_header,
            payload_len: payload.len() as u16,
            hop_limit: 64,
            flow_label: 0xabcde,
        };
        write.to(packet.first_chunk_mut().unwrap());
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn what_is_written_is_read() {
        let mut octets = packet(17, &[1, 2, 3]);
        assert_eq!(octets[..4], [0x60, 0x0a, 0xbc, 0xde]);
        octets.push(9);
        let header = parse(&octets).unwrap();
        assert_eq!(header.source, "2001:db8::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!(header.destination, "2001:db8::2".parse::<Ipv6Addr>().unwrap());
        assert_eq!((header.next_header, header.header_len, header.total_len), (17, 40, 43));
        assert_eq!(parse(&octets[..42]), Err(Reject::Malformed));
        assert_eq!(parse(&octets[..39]), Err(Reject::Malformed));
        octets[0] = 0x40;
        assert_eq!(parse(&octets), Err(Reject::Malformed));
    }

    #[test]
    fn options_are_passed_over_up_to_a_bound() {
        let router_alert = [60, 0, 5, 2, 0, 0, 1, 0];
        let padding = [17, 0, 1, 4, 0, 0, 0, 0];
        let header = parse(&packet(0, &[&router_alert[..], &padding, &[0xaa; 8]].concat())).unwrap();
        assert_eq!((header.next_header, header.next_header_at, header.header_len), (17, 48, 56));
        let many = [[60, 0, 1, 4, 0, 0, 0, 0]; 5].concat();
        assert_eq!(parse(&packet(60, &many)), Err(Reject::Options));
        let mut long = vec![17, 32];
        long.resize(8 + 32 * 8, 0);
        assert_eq!(parse(&packet(60, &long)), Err(Reject::Options));
    }

    #[test]
    fn each_check_has_its_reason() {
        for (next, extension, reason) in [
            (43, [17, 0, 0, 1, 0, 0, 0, 0], Reject::SourceRoute),
            (44, [17, 0, 0, 1, 0, 0, 0, 1], Reject::Fragment),
            (44, [17, 0, 0, 0, 0, 0, 0, 1], Reject::Fragment),
            (60, [17, 0, 0xc2, 4, 0, 0, 0, 0], Reject::Options),
            (60, [17, 0, 5, 5, 0, 0, 0, 0], Reject::Malformed),
            (60, [17, 1, 1, 4, 0, 0, 0, 0], Reject::Malformed),
            (60, [0, 0, 1, 4, 0, 0, 0, 0], Reject::Options),
        ] {
            assert_eq!(parse(&packet(next, &extension)), Err(reason), "{extension:?}");
        }
        assert_eq!(parse(&packet(60, &[17])), Err(Reject::Malformed));
    }

    #[test]
    fn udp_is_found_in_a_quotation() {
        let quotation = packet(17, &[9; 8]);
        assert_eq!(quoted_udp(&quotation).unwrap().2, [9; 8]);
        let first = [&fragment_header(17, 0, true, 7)[..], &[9; 8]].concat();
        assert_eq!(quoted_udp(&packet(44, &first)).unwrap().2, [9; 8]);
        let second = [&fragment_header(17, 8, false, 7)[..], &[9; 8]].concat();
        assert_eq!(quoted_udp(&packet(44, &second)), None);
        assert_eq!(quoted_udp(&packet(6, &[9; 8])), None);
    }
}
