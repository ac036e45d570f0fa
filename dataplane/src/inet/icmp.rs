//! ICMP (RFC 792, RFC 4443) as far as a host needs it: echo, what errors quote, and errors to send.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ipv4, ipv6, protocol, udp};

/// Octets before the data of echo and of errors.
pub const LEN: usize = 8;

/// Types and codes of ICMP.
pub mod v4 {
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Code of it: there is no such protocol.
    pub const NO_PROTOCOL: u8 = 2;
    /// Code of it: nobody listens at the port.
    pub const NO_PORT: u8 = 3;
    /// Code of it: too big, and must not be fragmented.
    pub const TOO_BIG: u8 = 4;
    /// Echo request.
    pub const ECHO: u8 = 8;

    /// Whether a message of this type is about another packet (RFC 1122 §3.2.2).
    pub const fn is_error(kind: u8) -> bool {
        matches!(kind, 3 | 4 | 5 | 11 | 12)
    }
}

/// Types and codes of ICMPv6.
pub mod v6 {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Code of it: nobody listens at the port.
    pub const NO_PORT: u8 = 4;
    /// Packet too big.
    pub const TOO_BIG: u8 = 2;
    /// Parameter problem.
    pub const PARAMETER: u8 = 4;
    /// Code of it: unknown next header.
    pub const NEXT_HEADER: u8 = 1;
    /// Echo request.
    pub const ECHO: u8 = 128;
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 129;

    /// Whether a message of this type is about another packet (RFC 4443 §2.1).
    pub const fn is_error(kind: u8) -> bool {
        kind < 128
    }
}

/// Of a packet of ours that an error quotes: where it went, as far as that is quoted, and from which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<A> {
    /// Our address.
    pub source: A,
    /// Where it went.
    pub destination: A,
    /// Our UDP port.
    pub source_port: u16,
    /// Octets of the packet, IPv4 only.
    pub total_len: u16,
}

/// The UDP datagram that an ICMP error quotes (`data` is what follows the first eight octets).
pub fn quoted_v4(data: &[u8]) -> Option<Quoted<Ipv4Addr>> {
    let (source, destination, protocol, total_len, payload) = ipv4::quoted(data)?;
    let (source_port, _) = udp::quoted_ports(payload)?;
    (protocol == protocol::UDP).then_some(Quoted { source, destination, source_port, total_len })
}

/// The UDP datagram that an ICMPv6 error quotes (`data` is what follows the first eight octets).
pub fn quoted_v6(data: &[u8]) -> Option<Quoted<Ipv6Addr>> {
    let (source, destination, payload) = ipv6::quoted_udp(data)?;
    let (source_port, _) = udp::quoted_ports(payload)?;
    Some(Quoted { source, destination, source_port, total_len: 0 })
}

/// The path MTU that "too big" tells (RFC 1191 §4, §5): the router's, or the next plateau below the packet if it does not say.
pub fn next_hop_mtu_v4(message: &[u8; LEN], quoted_len: u16) -> u16 {
    /// Table 7-1, of common MTUs.
    const PLATEAUS: [u16; 10] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];
    match u16::from_be_bytes([message[6], message[7]]) {
        0 => PLATEAUS.into_iter().find(|&plateau| plateau < quoted_len).unwrap_or(68),
        mtu => mtu,
    }
}

/// The path MTU that "packet too big" tells (RFC 4443 §3.2).
pub fn next_hop_mtu_v6(message: &[u8; LEN]) -> u32 {
    u32::from_be_bytes([message[4], message[5], message[6], message[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_that_names_no_mtu_means_the_next_plateau() {
        let mut message = [3, 4, 0, 0, 0, 0, 0, 0];
        for (len, mtu) in [(1500, 1492), (1492, 1006), (9000, 8166), (68, 68), (20, 68)] {
            assert_eq!(next_hop_mtu_v4(&message, len), mtu, "{len}");
        }
        message[6..].copy_from_slice(&1400u16.to_be_bytes());
        assert_eq!(next_hop_mtu_v4(&message, 1500), 1400);
    }

    #[test]
    fn a_quotation_of_less_than_the_ports_is_none() {
        let mut packet = [0; 28];
        let write = ipv4::Write {
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(192, 0, 2, 2),
            protocol: protocol::UDP,
            total_len: 1500,
            identification: 0,
            fragment: ipv4::DONT_FRAGMENT,
        };
        write.to(packet.first_chunk_mut().unwrap());
        udp::write(packet[20..].first_chunk_mut().unwrap(), 5247, 99, 1480);
        let quoted = quoted_v4(&packet).unwrap();
        assert_eq!((quoted.source_port, quoted.total_len), (5247, 1500));
        assert_eq!(quoted_v4(&packet[..27]), None);
        packet[9] = 6;
        assert_eq!(quoted_v4(&packet), None);
    }
}
