//! A host on a wire in memory, on virtual time, and frames made by hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dataplane::clock::Time;
use dataplane::endpoint::Endpoint;
use dataplane::inet::checksum::{Sum, pseudo_ipv4, pseudo_ipv6};
use dataplane::inet::{arp::Arp, icmp, ipv4, ipv6, nd, udp};
use dataplane::io::PacketIo;
use dataplane::io::host::{Host, HostConfig, HostCounter, HostIo, HostStats};
use dataplane::io::memory::MemoryIo;
use dataplane::packet::{Burst, Pool, PoolConfig};
use dot11::MacAddr;

/// The host's Ethernet address.
pub const US: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);
/// Somebody on the link.
pub const THEM: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x77]);
/// The router.
pub const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x01]);

pub fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// One queue of a host and the wire it is on.
pub struct Bench {
    pub io: HostIo<MemoryIo>,
    pub wire: MemoryIo,
    pub pool: Pool,
    pub now: Time,
    seen: HostStats,
}

/// 192.0.2.10/24, 192.0.2.11/24, 2001:db8::10/64, and gateways 192.0.2.1 and fe80::1.
pub fn config() -> HostConfig {
    let addresses = ["192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64"];
    HostConfig {
        gateways: ["192.0.2.1", "fe80::1"].map(|text| text.parse().unwrap()).to_vec(),
        neighbours: 64,
        learnt: 64,
        paths: 64,
        ..HostConfig::new(US, addresses.map(|text| text.parse().unwrap()).to_vec())
    }
}

impl Bench {
    /// A host whose start is over.
    pub fn new(config: HostConfig) -> Self {
        let mut bench = Self::starting(config);
        for _ in 0..3 {
            bench.pass(Duration::from_secs(1));
        }
        bench.sent();
        bench.changes();
        bench
    }

    /// A host that has done nothing yet.
    pub fn starting(config: HostConfig) -> Self {
        Self::of(Arc::new(Host::new(config).unwrap()), 0, Time::from_nanos(1 << 40))
    }

    pub fn of(host: Arc<Host>, worker: usize, now: Time) -> Self {
        let pool = Pool::new(PoolConfig { packets: 1024, buffer: 4096, headroom: 128 });
        let (port, wire) = MemoryIo::pair(300);
        let io = HostIo::new_at(port, host, worker, pool.clone(), now);
        Self { io, wire, pool, now, seen: HostStats::default() }
    }

    /// Time passes, and the host looks after everything.
    pub fn pass(&mut self, time: Duration) -> Vec<(Endpoint, Vec<u8>)> {
        self.now = self.now + time;
        let mut datagrams = Vec::new();
        loop {
            let mut burst = Burst::new();
            self.io.rx_burst_at(self.now, &self.pool, &mut burst);
            datagrams.extend(burst.drain().map(|p| (p.meta.endpoint, p.data().to_vec())));
            if !self.io.rx_ready() {
                return datagrams;
            }
        }
    }

    /// A frame arrives. Returns the datagrams that it became.
    pub fn arrives(&mut self, frame: &[u8]) -> Vec<(Endpoint, Vec<u8>)> {
        self.put(frame);
        self.pass(Duration::ZERO)
    }

    /// Puts a frame on the wire.
    pub fn put(&mut self, frame: &[u8]) {
        let mut packet = self.pool.alloc().unwrap();
        assert!(packet.copy_from(frame));
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        assert_eq!(self.wire.tx_burst(&mut burst), 1);
    }

    /// Sends one datagram.
    pub fn send(&mut self, to: Endpoint, data: &[u8]) {
        let mut packet = self.pool.alloc().unwrap();
        assert!(packet.copy_from(data));
        packet.meta.endpoint = to;
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        assert_eq!(self.io.tx_burst(&mut burst), 1);
    }

    /// What went out since the last look.
    pub fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let mut burst = Burst::new();
            if self.wire.rx_burst(&self.pool, &mut burst) == 0 {
                return frames;
            }
            frames.extend(burst.drain().map(|p| p.data().to_vec()));
        }
    }

    /// Counters that changed since the last look, in their order.
    pub fn changes(&mut self) -> Vec<(HostCounter, u64)> {
        let now = *self.io.host_stats();
        let before = std::mem::replace(&mut self.seen, now);
        now.nonzero().map(|(c, n)| (c, n - before.get(c))).filter(|&(_, n)| n != 0).collect()
    }

    /// The same, where each changed by one.
    #[track_caller]
    pub fn assert_counted(&mut self, counters: &[HostCounter]) {
        let expected: Vec<_> = counters.iter().map(|&counter| (counter, 1)).collect();
        assert_eq!(self.changes(), expected);
    }

    /// A neighbour is there, and known to be.
    pub fn know(&mut self, address: &str, mac: MacAddr) {
        let to: IpAddr = address.parse().unwrap();
        self.send(endpoint(to, 9), b"are you there?");
        match to {
            IpAddr::V4(ip) => self.put(&arp_reply(mac, ip, US, v4("192.0.2.10"))),
            IpAddr::V6(ip) => self.put(&advertisement(mac, ip, true)),
        }
        self.pass(Duration::ZERO);
        assert_eq!(self.sent().len(), 2, "the question and what waited");
        self.changes();
    }
}

pub fn ethernet(to: MacAddr, from: MacAddr, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &ether_type.to_be_bytes(), payload].concat()
}

/// A frame with a tag of this VLAN.
pub fn tagged(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    let [a, b] = vlan.to_be_bytes();
    frame.splice(12..12, [0x81, 0, a, b]);
    frame
}

/// An IPv4 packet in a frame to us.
pub fn ip4(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Write {
        source: v4(from),
        destination: v4(to),
        protocol,
        total_len: (20 + payload.len()) as u16,
        identification: 0,
        fragment: ipv4::DONT_FRAGMENT,
    };
    let mut octets = [0; 20];
    header.to(&mut octets);
    ethernet(US, THEM, 0x0800, &[&octets[..], payload].concat())
}

/// An IPv6 packet in a frame to us.
pub fn ip6(from: &str, to: &str, next_header: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv6::Write {
        source: v6(from),
        destination: v6(to),
        next_header,
        payload_len: payload.len() as u16,
        hop_limit,
        flow_label: 0,
    };
    let mut octets = [0; 40];
    header.to(&mut octets);
    ethernet(US, THEM, 0x86dd, &[&octets[..], payload].concat())
}

/// A UDP segment with checksum.
pub fn segment(from: &str, to: &str, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 8];
    segment.extend_from_slice(data);
    let len = segment.len();
    udp::write(segment.first_chunk_mut().unwrap(), ports.0, ports.1, len as u16);
    let pseudo = match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => pseudo_ipv4(from, to, 17, len),
        (IpAddr::V6(from), IpAddr::V6(to)) => pseudo_ipv6(from, to, 17, len),
        _ => panic!("two families"),
    };
    udp::write_checksum(&mut segment, pseudo);
    segment
}

/// A datagram for us, in a frame.
pub fn datagram(from: &str, to: &str, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let segment = segment(from, to, ports, data);
    if from.contains(':') { ip6(from, to, 17, 64, &segment) } else { ip4(from, to, 17, &segment) }
}

/// An ICMP message with checksum.
pub fn icmp4(kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], &rest, data].concat();
    let checksum = Sum::ZERO.octets(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// An ICMPv6 message with checksum.
pub fn icmp6(from: &str, to: &str, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], &rest, data].concat();
    let checksum = pseudo_ipv6(v6(from), v6(to), 58, message.len()).octets(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

pub fn arp_request(mac: MacAddr, sender: &str, target: &str) -> Vec<u8> {
    let (sender, target) = (v4(sender), v4(target));
    let arp = Arp { request: true, sender_mac: mac, sender, target_mac: MacAddr::ZERO, target };
    ethernet(MacAddr::BROADCAST, mac, 0x0806, &arp.encode())
}

pub fn arp_reply(mac: MacAddr, sender: Ipv4Addr, to: MacAddr, target: Ipv4Addr) -> Vec<u8> {
    ethernet(
        to,
        mac,
        0x0806,
        &Arp { request: false, sender_mac: mac, sender, target_mac: to, target }.encode(),
    )
}

/// A neighbour solicitation or advertisement in a frame.
pub fn neighbour(
    mac: MacAddr,
    message: nd::Neighbour,
    from: Ipv6Addr,
    to: Ipv6Addr,
    frame_to: MacAddr,
) -> Vec<u8> {
    let mut octets = [0; nd::LEN];
    let len = message.write(&mut octets, from, to);
    let mut frame = ip6(&from.to_string(), &to.to_string(), 58, 255, &octets[..len]);
    frame[..6].copy_from_slice(&frame_to.0);
    frame[6..12].copy_from_slice(&mac.0);
    frame
}

/// The solicited advertisement of `address` to us.
pub fn advertisement(mac: MacAddr, address: Ipv6Addr, overrides: bool) -> Vec<u8> {
    let message =
        nd::Neighbour { solicitation: false, target: address, mac: Some(mac), solicited: true, overrides };
    neighbour(mac, message, address, v6("2001:db8::10"), US)
}

/// What is in an IP frame: EtherType, source, destination, protocol, payload. Everything that can be checked is.
#[track_caller]
pub fn opened(frame: &[u8]) -> (IpAddr, IpAddr, u8, Vec<u8>) {
    let packet = &frame[14..];
    match frame[12..14] {
        [0x08, 0x00] => {
            let header = ipv4::parse(packet).unwrap();
            assert_eq!(header.total_len, packet.len(), "no padding");
            let payload = packet[header.header_len..].to_vec();
            if header.protocol == 1 {
                assert_eq!(Sum::ZERO.octets(&payload).checksum(), 0);
            }
            (header.source.into(), header.destination.into(), header.protocol, payload)
        }
        [0x86, 0xdd] => {
            let header = ipv6::parse(packet).unwrap();
            assert_eq!(header.total_len, packet.len(), "no padding");
            let payload = packet[header.header_len..].to_vec();
            let pseudo = pseudo_ipv6(header.source, header.destination, header.next_header, payload.len());
            assert_eq!(pseudo.octets(&payload).checksum(), 0);
            (header.source.into(), header.destination.into(), header.next_header, payload)
        }
        _ => panic!("no IP: {frame:02x?}"),
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn endpoint(ip: IpAddr, port: u16) -> Endpoint {
    SocketAddr::from((ip, port)).into()
}

/// "Fragmentation needed" of a datagram of ours of `len` octets to `peer`.
pub fn too_big4(source: &str, port: u16, peer: &str, len: u16, mtu: u16) -> Vec<u8> {
    let mut quoted = ip4(source, peer, 17, &segment(source, peer, (port, 40000), &[]))[14..].to_vec();
    quoted[2..4].copy_from_slice(&len.to_be_bytes());
    let [a, b] = mtu.to_be_bytes();
    ip4(
        "198.51.100.254",
        "192.0.2.10",
        1,
        &icmp4(icmp::v4::UNREACHABLE, icmp::v4::TOO_BIG, [0, 0, a, b], &quoted),
    )
}

/// "Packet too big" of a datagram of ours to `peer`.
pub fn too_big6(source: &str, port: u16, peer: &str, mtu: u32) -> Vec<u8> {
    let quoted = ip6(source, peer, 17, 64, &segment(source, peer, (port, 40000), &[]))[14..].to_vec();
    let (router, us) = ("2001:db8:9::1", "2001:db8::10");
    ip6(router, us, 58, 64, &icmp6(router, us, icmp::v6::TOO_BIG, 0, mtu.to_be_bytes(), &quoted))
}
