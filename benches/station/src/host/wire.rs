//! The headers the host speaks: Ethernet, ARP (RFC 826), IPv4 (RFC 791), ICMP echo (RFC 792), UDP (RFC 768).

use std::net::Ipv4Addr;

use dot11::MacAddr;

pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_ARP: u16 = 0x0806;
pub(super) const PROTOCOL_ICMP: u8 = 1;
pub(super) const PROTOCOL_UDP: u8 = 17;
const ICMP_ECHO_REPLY: u8 = 0;
const ICMP_ECHO_REQUEST: u8 = 8;
const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
/// Hardware type Ethernet, protocol IPv4, address lengths 6 and 4.
const ARP_ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// An Ethernet II frame: destination, source, EtherType, payload (possibly padded).
#[derive(Clone, Copy, Debug)]
pub(super) struct Ethernet<'a> {
    pub destination: MacAddr,
    pub source: MacAddr,
    pub ethertype: u16,
    pub payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    pub fn parse(frame: &'a [u8]) -> Option<Ethernet<'a>> {
        let (header, payload) = frame.split_first_chunk::<14>()?;
        let (destination, rest) = header.split_first_chunk::<6>()?;
        let (source, ethertype) = rest.split_first_chunk::<6>()?;
        Some(Ethernet {
            destination: MacAddr(*destination),
            source: MacAddr(*source),
            ethertype: u16::from_be_bytes(*ethertype.first_chunk()?),
            payload,
        })
    }

    pub fn build(destination: MacAddr, source: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(14 + payload.len());
        frame.extend_from_slice(&destination.0);
        frame.extend_from_slice(&source.0);
        frame.extend_from_slice(&ethertype.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    pub reply: bool,
    pub sender: (MacAddr, Ipv4Addr),
    pub target: (MacAddr, Ipv4Addr),
}

impl Arp {
    pub fn parse(packet: &[u8]) -> Option<Arp> {
        let packet = packet.first_chunk::<28>()?;
        let (kind, rest) = packet.split_first_chunk::<6>()?;
        let (operation, rest) = rest.split_first_chunk::<2>()?;
        let reply = match u16::from_be_bytes(*operation) {
            ARP_REQUEST => false,
            ARP_REPLY => true,
            _ => return None,
        };
        let pair = |octets: &[u8]| {
            let (mac, ip) = octets.split_first_chunk::<6>()?;
            Some((MacAddr(*mac), Ipv4Addr::from(*ip.first_chunk::<4>()?)))
        };
        (*kind == ARP_ETHERNET_IPV4).then_some(())?;
        Some(Arp { reply, sender: pair(&rest[..10])?, target: pair(&rest[10..])? })
    }

    pub fn build(&self) -> [u8; 28] {
        let mut packet = [0; 28];
        packet[..6].copy_from_slice(&ARP_ETHERNET_IPV4);
        let operation = if self.reply { ARP_REPLY } else { ARP_REQUEST };
        packet[6..8].copy_from_slice(&operation.to_be_bytes());
        packet[8..14].copy_from_slice(&self.sender.0.0);
        packet[14..18].copy_from_slice(&self.sender.1.octets());
        packet[18..24].copy_from_slice(&self.target.0.0);
        packet[24..].copy_from_slice(&self.target.1.octets());
        packet
    }
}

/// An IPv4 packet without options that matter; fragments are not taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ipv4<'a> {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub protocol: u8,
    pub payload: &'a [u8],
}

impl<'a> Ipv4<'a> {
    pub fn parse(packet: &'a [u8]) -> Option<Ipv4<'a>> {
        let fixed = packet.first_chunk::<20>()?;
        let header_len = usize::from(fixed[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff;
        let header = packet.get(..header_len)?;
        if fixed[0] >> 4 != 4 || header_len < 20 || fragment != 0 || checksum(&[header]) != 0 {
            return None;
        }
        Some(Ipv4 {
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            protocol: fixed[9],
            payload: packet.get(header_len..total)?,
        })
    }

    /// The packet, or nothing if it would exceed 65535 octets.
    pub fn build(&self) -> Option<Vec<u8>> {
        let total = u16::try_from(20 + self.payload.len()).ok()?;
        let mut packet = Vec::with_capacity(usize::from(total));
        packet.extend_from_slice(&[0x45, 0]);
        packet.extend_from_slice(&total.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0x40, 0, 64, self.protocol, 0, 0]);
        packet.extend_from_slice(&self.source.octets());
        packet.extend_from_slice(&self.destination.octets());
        let sum = checksum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(self.payload);
        Some(packet)
    }
}

/// An ICMP echo request or reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo<'a> {
    pub reply: bool,
    pub identifier: u16,
    pub sequence: u16,
    pub payload: &'a [u8],
}

impl<'a> Echo<'a> {
    pub fn parse(message: &'a [u8]) -> Option<Echo<'a>> {
        let (header, payload) = message.split_first_chunk::<8>()?;
        let reply = match (header[0], header[1]) {
            (ICMP_ECHO_REPLY, 0) => true,
            (ICMP_ECHO_REQUEST, 0) => false,
            _ => return None,
        };
        (checksum(&[message]) == 0).then_some(Echo {
            reply,
            identifier: u16::from_be_bytes([header[4], header[5]]),
            sequence: u16::from_be_bytes([header[6], header[7]]),
            payload,
        })
    }

    pub fn build(&self) -> Vec<u8> {
        let kind = if self.reply { ICMP_ECHO_REPLY } else { ICMP_ECHO_REQUEST };
        let mut message = vec![kind, 0, 0, 0];
        message.extend_from_slice(&self.identifier.to_be_bytes());
        message.extend_from_slice(&self.sequence.to_be_bytes());
        message.extend_from_slice(self.payload);
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp<'a> {
    pub source: u16,
    pub destination: u16,
    pub payload: &'a [u8],
}

impl<'a> Udp<'a> {
    pub fn parse(ip: &Ipv4<'a>) -> Option<Udp<'a>> {
        let header = ip.payload.first_chunk::<8>()?;
        let length = u16::from_be_bytes([header[4], header[5]]);
        let datagram = ip.payload.get(..usize::from(length))?;
        let unchecked = header[6..] == [0, 0];
        if length < 8
            || !unchecked && checksum(&[&pseudo_header(ip.source, ip.destination, length), datagram]) != 0
        {
            return None;
        }
        Some(Udp {
            source: u16::from_be_bytes([header[0], header[1]]),
            destination: u16::from_be_bytes([header[2], header[3]]),
            payload: &datagram[8..],
        })
    }

    /// The datagram for these addresses, or nothing if it would exceed 65535 octets.
    pub fn build(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Vec<u8>> {
        let length = u16::try_from(8 + self.payload.len()).ok()?;
        let mut datagram = Vec::with_capacity(usize::from(length));
        datagram.extend_from_slice(&self.source.to_be_bytes());
        datagram.extend_from_slice(&self.destination.to_be_bytes());
        datagram.extend_from_slice(&length.to_be_bytes());
        datagram.extend_from_slice(&[0, 0]);
        datagram.extend_from_slice(self.payload);
        // A computed sum of zero is sent as all ones: zero means unchecked.
        let sum = match checksum(&[&pseudo_header(source, destination, length), &datagram]) {
            0 => 0xffff,
            sum => sum,
        };
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        Some(datagram)
    }
}

fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, length: u16) -> [u8; 12] {
    let mut header = [0; 12];
    header[..4].copy_from_slice(&source.octets());
    header[4..8].copy_from_slice(&destination.octets());
    header[9] = PROTOCOL_UDP;
    header[10..].copy_from_slice(&length.to_be_bytes());
    header
}

/// The Internet checksum (RFC 1071) of the parts one after another; every part but the last has even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_rfc_1071_example() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }

    #[test]
    fn udp_over_ipv4_survives_and_a_flipped_bit_does_not() {
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let udp = Udp { source: 1234, destination: 53, payload: b"odd" }.build(a, b).unwrap();
        let ip = Ipv4 { source: a, destination: b, protocol: PROTOCOL_UDP, payload: &udp };
        let mut packet = ip.build().unwrap();
        let parsed = Ipv4::parse(&packet).unwrap();
        let udp = Udp::parse(&parsed).unwrap();
        assert_eq!((udp.source, udp.destination, udp.payload), (1234, 53, &b"odd"[..]));
        packet[30] ^= 1;
        assert!(Udp::parse(&Ipv4::parse(&packet).unwrap()).is_none());
        packet[8] ^= 1;
        assert!(Ipv4::parse(&packet).is_none());
    }
}
