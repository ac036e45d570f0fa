//! The steering program, run by the kernel on frames, against what it is to do. Needs root.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use proptest::prelude::*;

use super::*;
use crate::io::af_xdp::bpf;

/// XDP_DROP, which tells here what goes to a socket: there is none.
const OURS: u32 = 1;
const KERNEL: u32 = XDP_PASS as u32;

struct Program {
    program: OwnedFd,
    _map: OwnedFd,
}

impl Program {
    fn new(take: &Take) -> Self {
        let map = bpf::socket_map(1).expect("these tests load BPF programs and so need root");
        let code = steering(take, map.as_raw_fd(), OURS as i32);
        let mut log = vec![0; 1 << 20];
        let program = bpf::load_logging(&code, &mut log).unwrap_or_else(|error| {
            let end = log.iter().position(|&o| o == 0).unwrap_or(log.len());
            panic!("{error}: {}", String::from_utf8_lossy(&log[..end]))
        });
        Self { program, _map: map }
    }

    fn takes(&self, frame: &[u8]) -> bool {
        match bpf::run(self.program.as_fd(), frame).unwrap() {
            OURS => true,
            KERNEL => false,
            other => panic!("decided {other}"),
        }
    }
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|a| a.parse().unwrap()).collect()
}

fn ethernet(tags: &[u16], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0x00, 0x64]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

fn udp(port: u16) -> Vec<u8> {
    [[0x12, 0x34], port.to_be_bytes(), [0, 12], [0, 0]].concat().into_iter().chain(*b"data").collect()
}

fn ipv4(to: &str, protocol: u8, fragment: u16, options: usize, payload: &[u8]) -> Vec<u8> {
    let to: Ipv4Addr = to.parse().unwrap();
    let mut header = vec![0x45 + (options / 4) as u8, 0, 0, 99, 0, 1];
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0, 198, 51, 100, 1]);
    header.extend(to.octets());
    header.resize(20 + options, 1);
    [&header[..], payload].concat()
}

fn ipv6(to: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let to: Ipv6Addr = to.parse().unwrap();
    let mut header = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
    header.extend([0x20; 16]);
    header.extend(to.octets());
    [&header[..], payload].concat()
}

fn arp(target: &str) -> Vec<u8> {
    let target: Ipv4Addr = target.parse().unwrap();
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, 1];
    message.resize(24, 7);
    message.extend(target.octets());
    message
}

#[test]
fn everything_is_everything() {
    let program = Program::new(&Take::Everything);
    for frame in [
        ethernet(&[], 0x88b5, b""),
        ethernet(&[], 0x0800, &ipv4("192.0.2.1", 6, 0, 0, &[0; 20])),
        vec![0; 14],
    ] {
        assert!(program.takes(&frame));
    }
}

#[test]
fn udp_ports_are_taken_and_the_rest_is_the_kernels() {
    let any = Take::UdpPorts { ports: vec![5247, 5246], addresses: vec![] };
    let some = Take::UdpPorts { ports: vec![5247], addresses: addresses(&["192.0.2.1", "2001:db8::1"]) };
    let v6_only = Take::UdpPorts { ports: vec![5247], addresses: addresses(&["2001:db8::1"]) };
    let [any, some, v6_only] = [any, some, v6_only].map(|take| Program::new(&take));
    let v4 = |to, port| ipv4(to, 17, 0, 0, &udp(port));
    let v6 = |to, port| ipv6(to, 17, &udp(port));
    // What, its frame, and which of the programs take it.
    let table: &[(&str, Vec<u8>, [bool; 3])] = &[
        ("v4", ethernet(&[], 0x0800, &v4("192.0.2.1", 5247)), [true, true, false]),
        ("v4, second port", ethernet(&[], 0x0800, &v4("192.0.2.1", 5246)), [true, false, false]),
        ("v4, other port", ethernet(&[], 0x0800, &v4("192.0.2.1", 22)), [false; 3]),
        ("v4, port's octets exchanged", ethernet(&[], 0x0800, &v4("192.0.2.1", 0x7f14)), [false; 3]),
        ("v4, other address", ethernet(&[], 0x0800, &v4("192.0.2.2", 5247)), [true, false, false]),
        ("v4, tagged", ethernet(&[0x8100], 0x0800, &v4("192.0.2.1", 5247)), [true, true, false]),
        ("v4, two tags", ethernet(&[0x88a8, 0x8100], 0x0800, &v4("192.0.2.1", 5247)), [true, true, false]),
        ("v4, three tags", ethernet(&[0x8100; 3], 0x0800, &v4("192.0.2.1", 5247)), [false; 3]),
        (
            "v4, options",
            ethernet(&[], 0x0800, &ipv4("192.0.2.1", 17, 0, 40, &udp(5247))),
            [true, true, false],
        ),
        ("v4, tcp", ethernet(&[], 0x0800, &ipv4("192.0.2.1", 6, 0, 0, &udp(5247))), [false; 3]),
        (
            "v4, not to be fragmented",
            ethernet(&[], 0x0800, &ipv4("192.0.2.1", 17, 0x4000, 0, &udp(5247))),
            [true, true, false],
        ),
        (
            "v4, first fragment",
            ethernet(&[], 0x0800, &ipv4("192.0.2.1", 17, 0x2000, 0, &udp(5247))),
            [false; 3],
        ),
        (
            "v4, last fragment",
            ethernet(&[], 0x0800, &ipv4("192.0.2.1", 17, 0x0001, 0, &udp(5247))),
            [false; 3],
        ),
        ("v4, cut", ethernet(&[], 0x0800, &v4("192.0.2.1", 5247)[..27]), [false; 3]),
        (
            "v4, short header",
            ethernet(&[], 0x0800, &[&[0x44][..], &v4("192.0.2.1", 5247)[1..]].concat()),
            [false; 3],
        ),
        ("v6", ethernet(&[], 0x86dd, &v6("2001:db8::1", 5247)), [true; 3]),
        ("v6, tagged", ethernet(&[0x8100], 0x86dd, &v6("2001:db8::1", 5247)), [true; 3]),
        ("v6, other address", ethernet(&[], 0x86dd, &v6("2001:db8::2", 5247)), [true, false, false]),
        ("v6, other port", ethernet(&[], 0x86dd, &v6("2001:db8::1", 53)), [false; 3]),
        ("v6, extension header", ethernet(&[], 0x86dd, &ipv6("2001:db8::1", 0, &udp(5247))), [false; 3]),
        ("v6, cut", ethernet(&[], 0x86dd, &v6("2001:db8::1", 5247)[..47]), [false; 3]),
        ("arp", ethernet(&[], 0x0806, &arp("192.0.2.1")), [false; 3]),
        ("a tag and no more", ethernet(&[], 0x8100, &[]), [false; 3]),
        ("something else", ethernet(&[], 0x88b5, &udp(5247)), [false; 3]),
    ];
    for (what, frame, expected) in table {
        assert_eq!([&any, &some, &v6_only].map(|program| program.takes(frame)), *expected, "{what}");
    }
}

#[test]
fn addresses_are_taken_whole() {
    let program = Program::new(&Take::Addresses(addresses(&["192.0.2.1", "2001:db8::12:3456"])));
    let table: &[(&str, Vec<u8>, bool)] = &[
        ("udp", ethernet(&[], 0x0800, &ipv4("192.0.2.1", 17, 0, 0, &udp(9))), true),
        ("a fragment", ethernet(&[], 0x0800, &ipv4("192.0.2.1", 17, 0x0001, 0, &udp(9))), true),
        ("icmp, tagged", ethernet(&[0x8100], 0x0800, &ipv4("192.0.2.1", 1, 0, 0, &[8, 0])), true),
        ("another address", ethernet(&[], 0x0800, &ipv4("192.0.2.3", 17, 0, 0, &udp(9))), false),
        ("arp", ethernet(&[], 0x0806, &arp("192.0.2.1")), true),
        ("arp about another", ethernet(&[], 0x0806, &arp("192.0.2.3")), false),
        ("v6", ethernet(&[], 0x86dd, &ipv6("2001:db8::12:3456", 6, &[0; 20])), true),
        ("neighbour solicitation", ethernet(&[], 0x86dd, &ipv6("ff02::1:ff12:3456", 58, &[135; 24])), true),
        ("about another", ethernet(&[], 0x86dd, &ipv6("ff02::1:ff12:3457", 58, &[135; 24])), false),
        ("all nodes", ethernet(&[], 0x86dd, &ipv6("ff02::1", 58, &[134; 24])), false),
        ("cut", ethernet(&[], 0x86dd, &ipv6("2001:db8::12:3456", 6, &[])[..39]), false),
        ("something else", ethernet(&[], 0x88b5, &[0; 60]), false),
    ];
    for (what, frame, expected) in table {
        assert_eq!(program.takes(frame), *expected, "{what}");
    }
    // One family only is a program, too.
    Program::new(&Take::Addresses(addresses(&["192.0.2.1"])));
    Program::new(&Take::Addresses(addresses(&["2001:db8::1"])));
}

/// The most that can be configured is not too much for the verifier.
#[test]
fn the_largest_programs_load() {
    let all: Vec<IpAddr> = (0..64u8)
        .map(|i| if i % 2 == 0 { Ipv4Addr::new(192, 0, 2, i).into() } else { Ipv6Addr::from([i; 16]).into() })
        .collect();
    let ports = (5000..5064).collect();
    for take in [Take::UdpPorts { ports, addresses: all.clone() }, Take::Addresses(all)] {
        assert!(take.is_sensible());
        Program::new(&take);
    }
}

/// What [`Take::UdpPorts`] says, in Rust.
fn is_udp_to(frame: &[u8], port: u16) -> Option<bool> {
    let half = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..2 {
        if matches!(half(at)?, 0x8100 | 0x88a8) {
            at += 4;
        }
    }
    let header = at + 2;
    let udp = match half(at)? {
        0x0800 => {
            frame.get(header..header + 20)?;
            let length = usize::from(frame[header] & 0x0f) * 4;
            if length < 20 || frame[header + 9] != 17 || half(header + 6)? & 0x3fff != 0 {
                return Some(false);
            }
            header + length
        }
        0x86dd if *frame.get(header + 6)? == 17 => header + 40,
        _ => return Some(false),
    };
    frame.get(udp..udp + 8)?;
    Some(half(udp + 2)? == port)
}

proptest! {
    /// Arbitrary octets, and datagrams with some octets changed.
    #[test]
    fn any_octets_are_steered_as_described(
        arbitrary in prop::collection::vec(any::<u8>(), 14..200),
        tags in prop::collection::vec(prop::sample::select(&[0x8100u16, 0x88a8][..]), 0..4),
        v6: bool, options in 0usize..11, keep in 0usize..120,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        thread_local!(static PROGRAM: Program =
            Program::new(&Take::UdpPorts { ports: vec![5247], addresses: vec![] }));
        let mut frame = if v6 {
            ethernet(&tags, 0x86dd, &ipv6("2001:db8::1", 17, &udp(5247)))
        } else {
            ethernet(&tags, 0x0800, &ipv4("192.0.2.1", 17, 0, options * 4, &udp(5247)))
        };
        frame.truncate(keep.max(14));
        for (index, octet) in changes {
            let index = index.index(frame.len());
            frame[index] = octet;
        }
        for frame in [arbitrary, frame] {
            let expected = is_udp_to(&frame, 5247) == Some(true);
            prop_assert_eq!(PROGRAM.with(|program| program.takes(&frame)), expected, "{:02x?}", frame);
        }
    }
}
