//! Internet protocols on the wire: checked views of what arrived, and writers of what is sent. Nothing here keeps state or decides anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub mod arp;
pub mod checksum;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod mld;
pub mod nd;
pub mod udp;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// Protocol numbers, which IPv6 calls next headers.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// Why the header of an IP packet cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Another version, a header or a length that is not there.
    Malformed,
    /// IPv4 header checksum.
    Checksum,
    /// Part of a packet.
    Fragment,
    /// The sender prescribes the way (RFC 7126 §4.3, RFC 5095).
    SourceRoute,
    /// IPv6: an option that who does not know must not pass over (RFC 8200 §4.2), or more extension headers than anybody needs.
    Options,
}

/// The one form of an address that tables and comparisons use: IPv6, with IPv4 mapped into it (RFC 4291 §2.5.5.2).
#[inline]
pub fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The multicast address that solicitations for an address go to (RFC 4291 §2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// All nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The Ethernet address of an IPv6 multicast address (RFC 2464 §7).
pub fn multicast_mac(address: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = address.octets();
    [0x33, 0x33, a, b, c, d]
}

/// Whether one IPv4 host can have this address and send from it to others (RFC 1122 §3.2.1.3, RFC 1812 §5.3.7).
#[inline]
pub fn is_ipv4_host(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}

/// Whether one IPv6 host can have this address and send from it to others (RFC 4291 §2.5).
#[inline]
pub fn is_ipv6_host(address: Ipv6Addr) -> bool {
    let octets = address.octets();
    // ::/96 has the unspecified address, loopback and the mapped and compatible ones.
    octets[0] != 0xff && address.to_ipv4().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_no_hosts() {
        for no in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"] {
            assert!(!is_ipv4_host(no.parse().unwrap()), "{no}");
        }
        for yes in ["1.0.0.1", "10.0.0.1", "169.254.0.1", "223.255.255.254"] {
            assert!(is_ipv4_host(yes.parse().unwrap()), "{yes}");
        }
        for no in ["::", "::1", "::ffff:192.0.2.1", "::192.0.2.1", "ff02::1"] {
            assert!(!is_ipv6_host(no.parse().unwrap()), "{no}");
        }
        for yes in ["fe80::1", "2001:db8::1", "fd00::1"] {
            assert!(is_ipv6_host(yes.parse().unwrap()), "{yes}");
        }
    }

    #[test]
    fn groups_follow_the_address() {
        let address = "2001:db8::1:abcd:ef01".parse().unwrap();
        assert_eq!(solicited_node(address), "ff02::1:ffcd:ef01".parse::<Ipv6Addr>().unwrap());
        assert_eq!(multicast_mac(solicited_node(address)), [0x33, 0x33, 0xff, 0xcd, 0xef, 0x01]);
    }
}
