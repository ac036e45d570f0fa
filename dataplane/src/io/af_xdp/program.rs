//! The XDP program that decides, for each frame that a network card receives, whether it is ours or the kernel's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::asm::{Assembler, Instruction, Label, Register::*, Size};

/// What a port takes from its interface. The kernel keeps the rest, so that the same interface can carry ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// All frames.
    #[default]
    Everything,
    /// UDP datagrams to one of these ports and, unless there are none, to one of these addresses; untagged or behind up to two VLAN tags. The
    /// kernel remains the host that has the addresses: ARP, neighbour discovery and ICMP are its own. IP fragments and datagrams behind IPv6
    /// extension headers are the kernel's too.
    UdpPorts {
        /// Destination ports.
        ports: Vec<u16>,
        /// Destination addresses; none: whatever the address.
        addresses: Vec<IpAddr>,
    },
    /// Everything to these addresses, which the kernel must not have itself, and the ARP and neighbour discovery about them; untagged or behind
    /// up to two VLAN tags.
    Addresses(Vec<IpAddr>),
}

impl Take {
    /// Whether it is more than nothing, and not more than a program has room for.
    pub(super) fn is_sensible(&self) -> bool {
        let some = 1..=64;
        match self {
            Self::Everything => true,
            Self::UdpPorts { ports, addresses } => some.contains(&ports.len()) && addresses.len() <= 64,
            Self::Addresses(addresses) => some.contains(&addresses.len()),
        }
    }

    /// Whether the interface must receive more than what goes to its own link-layer address: to those of devices, or to that which the gateway has
    /// while the interface got another when it came back.
    pub(super) fn beyond_own_address(&self) -> bool {
        !matches!(self, Self::UdpPorts { .. })
    }
}

/// What `bpf_redirect_map` answers where no socket is in the map, and what the program answers itself: the kernel takes the frame.
pub(super) const XDP_PASS: i32 = 2;

/// The program: what is taken goes to the socket of its receive queue in `map`, and if there is none, `otherwise` is decided.
pub(super) fn steering(take: &Take, map: i32, otherwise: i32) -> Vec<Instruction> {
    const REDIRECT_MAP: i32 = 51;
    const RX_QUEUE_INDEX: i16 = 16;
    let mut asm = Assembler::default();
    let (ours, pass) = (asm.label(), asm.label());
    asm.copy(R6, R1);
    match take {
        Take::Everything => {}
        Take::UdpPorts { ports, addresses } => udp_ports(&mut asm, ports, addresses, ours, pass),
        Take::Addresses(addresses) => hosts(&mut asm, addresses, ours, pass),
    }
    asm.place(ours);
    asm.load(Size::Word, R2, R6, RX_QUEUE_INDEX);
    asm.load_map(R1, map);
    asm.set(R3, otherwise);
    asm.call(REDIRECT_MAP);
    asm.exit();
    // What cannot be reached must not be there: the verifier refuses it.
    if *take != Take::Everything {
        asm.place(pass);
        asm.set(R0, XDP_PASS);
        asm.exit();
    }
    asm.finish()
}

// Offsets in an untagged frame; for each tag, R7 moves by the tag's length.
const ETHERTYPE: i16 = 12;
const ETHERNET: i16 = 14;
const TAG: i16 = 4;
const IPV4: i16 = 20;
const IPV4_FRAGMENT: i16 = ETHERNET + 6;
const IPV4_PROTOCOL: i16 = ETHERNET + 9;
const IPV4_DESTINATION: i16 = ETHERNET + 16;
const IPV6: i16 = 40;
const IPV6_NEXT_HEADER: i16 = ETHERNET + 6;
const IPV6_DESTINATION: i16 = ETHERNET + 24;
const ARP: i16 = 28;
const ARP_TARGET: i16 = ETHERNET + 24;
const UDP: i16 = 8;
const UDP_DESTINATION: i16 = 2;
const PROTOCOL_UDP: u32 = 17;

fn udp_ports(asm: &mut Assembler, ports: &[u16], addresses: &[IpAddr], ours: Label, pass: Label) {
    let (v4, v6) = by_family(addresses);
    let any = addresses.is_empty();
    let (is_v4, is_v6) = (asm.label(), asm.label());
    ethertype(asm, pass);
    // As above: only what can be reached.
    if any || !v4.is_empty() {
        asm.if_equal(R3, network_order(libc::ETH_P_IP as u16), is_v4);
    }
    if any || !v6.is_empty() {
        asm.if_equal(R3, network_order(libc::ETH_P_IPV6 as u16), is_v6);
    }
    asm.go(pass);

    let check_ports = |asm: &mut Assembler, header: i16| {
        at_least(asm, ETHERNET + header + UDP, pass);
        asm.load(Size::Half, R3, R7, ETHERNET + header + UDP_DESTINATION);
        for &port in ports {
            asm.if_equal(R3, network_order(port), ours);
        }
        asm.go(pass);
    };

    if any || !v4.is_empty() {
        asm.place(is_v4);
        let right_address = asm.label();
        at_least(asm, ETHERNET + IPV4, pass);
        asm.load(Size::Octet, R3, R7, IPV4_PROTOCOL);
        asm.if_not_equal(R3, PROTOCOL_UDP, pass);
        // More fragments, or not the first one: such have no port, or will need a part that has none.
        asm.load(Size::Half, R3, R7, IPV4_FRAGMENT);
        asm.and(R3, network_order(0x3fff) as i32);
        asm.if_not_equal(R3, 0, pass);
        if !any {
            asm.load(Size::Word, R3, R7, IPV4_DESTINATION);
            to_v4(asm, &v4, right_address);
            asm.go(pass);
        }
        asm.place(right_address);
        asm.load(Size::Octet, R3, R7, ETHERNET);
        asm.and(R3, 0x0f);
        asm.shift_left(R3, 2);
        asm.if_less(R3, IPV4 as u32, pass);
        // The header's length, options included, is known to the verifier to be at most 60.
        asm.add_register(R7, R3);
        check_ports(asm, 0);
    }
    if any || !v6.is_empty() {
        asm.place(is_v6);
        let right_address = asm.label();
        at_least(asm, ETHERNET + IPV6, pass);
        asm.load(Size::Octet, R3, R7, IPV6_NEXT_HEADER);
        asm.if_not_equal(R3, PROTOCOL_UDP, pass);
        if !any {
            to_v6(asm, &v6, right_address);
            asm.go(pass);
        }
        asm.place(right_address);
        check_ports(asm, IPV6);
    }
}

fn hosts(asm: &mut Assembler, addresses: &[IpAddr], ours: Label, pass: Label) {
    let (v4, mut v6) = by_family(addresses);
    let groups: BTreeSet<_> = v6.iter().copied().map(solicited_node).collect();
    v6.extend(groups);
    let (is_v4, is_v6, is_arp) = (asm.label(), asm.label(), asm.label());
    ethertype(asm, pass);
    asm.if_equal(R3, network_order(libc::ETH_P_IP as u16), is_v4);
    asm.if_equal(R3, network_order(libc::ETH_P_IPV6 as u16), is_v6);
    asm.if_equal(R3, network_order(libc::ETH_P_ARP as u16), is_arp);
    asm.go(pass);
    for (kind, header, target) in [(is_v4, IPV4, IPV4_DESTINATION), (is_arp, ARP, ARP_TARGET)] {
        asm.place(kind);
        at_least(asm, ETHERNET + header, pass);
        asm.load(Size::Word, R3, R7, target);
        to_v4(asm, &v4, ours);
        asm.go(pass);
    }
    asm.place(is_v6);
    at_least(asm, ETHERNET + IPV6, pass);
    to_v6(asm, &v6, ours);
    asm.go(pass);
}

/// The type of what is behind the tags, into `R3`. From then on `R7` is the frame less its tags, and `R8` its end.
fn ethertype(asm: &mut Assembler, pass: Label) {
    const DATA: i16 = 0;
    const DATA_END: i16 = 4;
    asm.load(Size::Word, R7, R6, DATA);
    asm.load(Size::Word, R8, R6, DATA_END);
    at_least(asm, ETHERNET, pass);
    asm.load(Size::Half, R3, R7, ETHERTYPE);
    let untagged = asm.label();
    for _ in 0..2 {
        let tagged = asm.label();
        asm.if_equal(R3, network_order(libc::ETH_P_8021Q as u16), tagged);
        asm.if_not_equal(R3, network_order(libc::ETH_P_8021AD as u16), untagged);
        asm.place(tagged);
        at_least(asm, ETHERNET + TAG, pass);
        asm.load(Size::Half, R3, R7, ETHERTYPE + TAG);
        asm.add(R7, TAG.into());
    }
    asm.place(untagged);
}

/// To `pass` if less than `octets` are between `R7` and `R8`.
fn at_least(asm: &mut Assembler, octets: i16, pass: Label) {
    asm.copy(R2, R7);
    asm.add(R2, octets.into());
    asm.if_greater(R2, R8, pass);
}

/// To `there` if `R3` is one of the addresses.
fn to_v4(asm: &mut Assembler, addresses: &[Ipv4Addr], there: Label) {
    for address in addresses {
        asm.if_equal(R3, u32::from_ne_bytes(address.octets()), there);
    }
}

/// To `there` if the destination is one of the addresses.
fn to_v6(asm: &mut Assembler, addresses: &[Ipv6Addr], there: Label) {
    for address in addresses {
        let other = asm.label();
        let octets = address.octets();
        let (words, _) = octets.as_chunks::<4>();
        for (word, offset) in words.iter().zip((IPV6_DESTINATION..).step_by(4)) {
            asm.load(Size::Word, R3, R7, offset);
            asm.if_not_equal(R3, u32::from_ne_bytes(*word), other);
        }
        asm.go(there);
        asm.place(other);
    }
}

fn by_family(addresses: &[IpAddr]) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    let v4 = addresses.iter().filter_map(|a| if let IpAddr::V4(a) = a { Some(*a) } else { None });
    let v6 = addresses.iter().filter_map(|a| if let IpAddr::V6(a) = a { Some(*a) } else { None });
    (v4.collect(), v6.collect())
}

/// Where neighbour solicitations about the address go (RFC 4291 §2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(&[a, b, c]);
    group.into()
}

/// What a load of two octets of the wire gives.
fn network_order(value: u16) -> u32 {
    u16::from_ne_bytes(value.to_be_bytes()).into()
}

#[cfg(test)]
mod tests;
