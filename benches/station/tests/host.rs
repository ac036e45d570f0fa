//! The IPv4 host against a DHCP server, router and neighbour of a few lines.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dot11::MacAddr;
use proptest::prelude::*;
use station::Time;
use station::entropy::SeedEntropy;
use station::host::{Addressing, Config, Host, Output};

const STA: MacAddr = MacAddr([0x02, 0xbb, 0, 0, 0x12, 0x34]);
const ROUTER: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 1]);
const ROUTER_IP: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 42);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const LEASE: u32 = 800;

/// What a client said: type, `ciaddr`, requested address, server identifier, and how it was addressed.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    kind: u8,
    address: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    to: Ipv4Addr,
}

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;

/// The network, and a host on it with its time.
struct Net {
    now: Time,
    config: Config,
    host: Host,
    entropy: SeedEntropy,
    xid: [u8; 4],
    frames: Vec<Vec<u8>>,
    events: Vec<Output>,
}

impl Net {
    fn new(config: Config) -> Net {
        let mut net = Net {
            now: Time::from_millis(50),
            config,
            host: Host::new(STA),
            entropy: SeedEntropy::from(1),
            xid: [0; 4],
            frames: Vec::new(),
            events: Vec::new(),
        };
        net.start();
        net
    }

    /// With an address.
    fn bound() -> Net {
        let mut net = Net::new(Config::default());
        assert_eq!(net.said().kind, DISCOVER);
        net.dhcp(OFFER, LEASE);
        assert_eq!(net.said().kind, REQUEST);
        net.dhcp(ACK, LEASE);
        assert!(matches!(net.events()[..], [Output::Leased(_)]));
        net
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send(frame) => self.frames.push(frame),
                event => self.events.push(event),
            }
        }
    }

    fn start(&mut self) {
        let mut out = Vec::new();
        self.host.start(self.now, &self.config, &mut self.entropy, &mut out);
        self.take(out);
    }

    fn receive(&mut self, frame: &[u8]) {
        let mut out = Vec::new();
        self.host.receive(self.now, &self.config, frame, &mut self.entropy, &mut out);
        self.take(out);
    }

    /// Lets time go on to the next deadline; how long that was.
    fn wait(&mut self) -> Duration {
        let due = self.host.next_timeout().expect("no deadline");
        let waited = due - self.now;
        self.now = self.now.max(due);
        let mut out = Vec::new();
        self.host.timeout(self.now, &self.config, &mut self.entropy, &mut out);
        self.take(out);
        waited
    }

    fn ping(&mut self, to: Ipv4Addr, sequence: u16) {
        let mut out = Vec::new();
        assert!(self.host.ping(self.now, to, sequence, 32, &mut out));
        self.take(out);
    }

    fn frame(&mut self) -> Vec<u8> {
        assert_eq!(self.frames.len(), 1, "{:02x?}", self.frames);
        self.frames.remove(0)
    }

    fn events(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.events)
    }

    /// The one frame sent, which must be a good DHCP message.
    fn said(&mut self) -> Said {
        let frame = self.frame();
        let ip = ipv4(&frame);
        assert_eq!((ip[9], &ip[20..24]), (17, &[0, 68, 0, 67][..]));
        let message = &ip[28..];
        assert_eq!((&message[..4], &message[28..34]), (&[1, 1, 6, 0][..], &STA.0[..]));
        assert_eq!(&message[236..240], &[99, 130, 83, 99]);
        assert!(message.len() >= 300);
        self.xid = message[4..8].try_into().unwrap();
        let option = |code: u8| {
            let mut rest = &message[240..];
            while rest[0] != 255 {
                let (value, after) = rest[2..].split_at(usize::from(rest[1]));
                if rest[0] == code {
                    return Some(value.to_vec());
                }
                rest = after;
            }
            None
        };
        let ip_option = |code| option(code).map(|value| Ipv4Addr::from(<[u8; 4]>::try_from(value).unwrap()));
        Said {
            kind: option(53).expect("message type")[0],
            address: address(&message[12..16]),
            requested: ip_option(50),
            server: ip_option(54),
            to: address(&ip[16..20]),
        }
    }

    /// The server's message.
    fn dhcp(&mut self, kind: u8, lease: u32) {
        let frame = dhcp_frame(kind, self.xid, lease, OFFERED);
        self.receive(&frame);
    }
}

fn address(octets: &[u8]) -> Ipv4Addr {
    Ipv4Addr::from(<[u8; 4]>::try_from(octets).unwrap())
}

fn sum(parts: &[&[u8]]) -> u16 {
    let octets = parts.concat();
    let words = octets.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

fn ethernet(to: MacAddr, from: MacAddr, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0, &from.0, &kind.to_be_bytes()[..], payload].concat()
}

/// The IPv4 packet in a frame of the host, whose checksums must be right.
fn ipv4(frame: &[u8]) -> &[u8] {
    assert_eq!((&frame[6..12], &frame[12..14]), (&STA.0[..], &[8, 0][..]));
    let ip = &frame[14..];
    assert_eq!(sum(&[&ip[..20]]), 0);
    assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
    if ip[9] == 17 {
        let pseudo = [&ip[12..20], &[0, 17], &ip[24..26]].concat();
        assert_eq!(sum(&[&pseudo, &ip[20..]]), 0);
    } else {
        assert_eq!(sum(&[&ip[20..]]), 0);
    }
    ip
}

fn ipv4_frame(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut ip = vec![0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
    ip.extend(from.octets());
    ip.extend(to.octets());
    let check = sum(&[&ip]).to_be_bytes();
    ip[10..12].copy_from_slice(&check);
    ip.extend(payload);
    ethernet(STA, ROUTER, 0x0800, &ip)
}

fn udp_frame(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let ports = [from.port(), to.port(), length, 0];
    let mut udp: Vec<u8> = ports.iter().flat_map(|word| word.to_be_bytes()).collect();
    udp.extend(payload);
    ipv4_frame(*from.ip(), *to.ip(), 17, &udp)
}

fn dhcp_frame(kind: u8, xid: [u8; 4], lease: u32, offered: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0; 236];
    message[..3].copy_from_slice(&[2, 1, 6]);
    message[4..8].copy_from_slice(&xid);
    message[16..20].copy_from_slice(&offered.octets());
    message[28..34].copy_from_slice(&STA.0);
    message.extend([99, 130, 83, 99, 53, 1, kind, 0, 54, 4, 10, 7, 0, 1]);
    if kind != NAK {
        message.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 7, 0, 1, 6, 4, 9, 9, 9, 9, 51, 4]);
        message.extend(lease.to_be_bytes());
    }
    message.push(255);
    udp_frame(SocketAddrV4::new(ROUTER_IP, 67), SocketAddrV4::new(offered, 68), &message)
}

fn arp(operation: u8, sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
    for (mac, ip) in [sender, target] {
        packet.extend(mac.0);
        packet.extend(ip.octets());
    }
    packet
}

fn icmp(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(rest);
    let check = sum(&[&message]).to_be_bytes();
    message[2..4].copy_from_slice(&check);
    message
}

#[test]
fn obtains_an_address() {
    let mut net = Net::new(Config::default());
    let nobody = Ipv4Addr::UNSPECIFIED;
    let discover =
        Said { kind: DISCOVER, address: nobody, requested: None, server: None, to: Ipv4Addr::BROADCAST };
    assert_eq!(net.said(), discover);
    net.dhcp(OFFER, LEASE);
    let request = Said {
        kind: REQUEST,
        address: nobody,
        requested: Some(OFFERED),
        server: Some(ROUTER_IP),
        to: Ipv4Addr::BROADCAST,
    };
    assert_eq!(net.said(), request);
    net.dhcp(ACK, LEASE);
    let [Output::Leased(lease)] = net.events()[..] else { panic!("no lease") };
    assert_eq!((lease.address, lease.mask), (OFFERED, Ipv4Addr::new(255, 255, 255, 0)));
    assert_eq!((lease.router, lease.dns), (Some(ROUTER_IP), Some(Ipv4Addr::new(9, 9, 9, 9))));
    assert_eq!((lease.renew.as_secs(), lease.rebind.as_secs(), lease.duration.as_secs()), (400, 700, 800));
}

#[test]
fn answers_of_others_conversations_are_ignored() {
    let mut net = Net::new(Config::default());
    net.said();
    net.xid[0] ^= 1;
    net.dhcp(OFFER, LEASE);
    net.xid[0] ^= 1;
    net.dhcp(ACK, LEASE);
    assert!(net.frames.is_empty() && net.events.is_empty() && net.host.lease().is_none());
}

#[test]
fn discovers_again_ever_more_slowly() {
    let mut net = Net::new(Config::default());
    for seconds in [1, 2, 4, 8, 16, 16] {
        assert_eq!(net.said().kind, DISCOVER);
        assert_eq!(net.wait().as_secs(), seconds);
    }
}

#[test]
fn an_offer_that_is_not_confirmed_is_forgotten() {
    let mut net = Net::new(Config::default());
    net.said();
    net.dhcp(OFFER, LEASE);
    for _ in 0..4 {
        assert_eq!(net.said().kind, REQUEST);
        net.wait();
    }
    assert_eq!(net.said().kind, DISCOVER);
    net.dhcp(OFFER, LEASE);
    net.said();
    net.dhcp(NAK, 0);
    assert_eq!(net.said().kind, DISCOVER);
}

#[test]
fn renews_from_its_server_then_from_anyone_then_loses_the_address() {
    let mut net = Net::bound();
    let begun = net.now;
    net.wait();
    assert_eq!((net.now - begun).as_secs(), 400);
    let mut renewal = Said { kind: REQUEST, address: OFFERED, requested: None, server: None, to: ROUTER_IP };
    assert_eq!(net.said(), renewal);
    net.dhcp(ACK, LEASE);
    assert_eq!(net.events(), [], "nothing changed");
    let begun = net.now;
    net.wait();
    assert_eq!((net.now - begun).as_secs(), 400);
    let mut to = Vec::new();
    while net.host.lease().is_some() {
        renewal.to = if (net.now - begun).as_secs() < 700 { ROUTER_IP } else { Ipv4Addr::BROADCAST };
        to.push(renewal.to);
        assert_eq!(net.said(), renewal);
        net.wait();
    }
    assert!(to.contains(&ROUTER_IP) && to.contains(&Ipv4Addr::BROADCAST));
    assert_eq!((net.now - begun).as_secs(), 800);
    assert_eq!(net.events(), [Output::LeaseLost]);
    assert_eq!(net.said().kind, DISCOVER);
}

#[test]
fn asks_for_its_old_address_when_the_link_comes_back() {
    let mut net = Net::bound();
    net.host.stop();
    assert_eq!((net.host.next_timeout(), net.host.lease()), (None, None));
    net.start();
    let nobody = Ipv4Addr::UNSPECIFIED;
    let to = Ipv4Addr::BROADCAST;
    let reboot = Said { kind: REQUEST, address: nobody, requested: Some(OFFERED), server: None, to };
    assert_eq!(net.said(), reboot);
    net.dhcp(ACK, LEASE);
    assert!(matches!(net.events()[..], [Output::Leased(lease)] if lease.address == OFFERED));
    net.host.stop();
    net.start();
    net.said();
    net.dhcp(NAK, 0);
    assert_eq!(net.said().kind, DISCOVER);
}

#[test]
fn gives_its_address_back() {
    let mut net = Net::bound();
    let mut out = Vec::new();
    net.host.release(net.now, &net.config, &mut net.entropy, &mut out);
    net.take(out);
    let to = ROUTER_IP;
    let release = Said { kind: RELEASE, address: OFFERED, requested: None, server: Some(ROUTER_IP), to };
    assert_eq!(net.said(), release);
    assert_eq!(net.host.lease(), None);
    net.start();
    assert_eq!(net.said().kind, DISCOVER);
}

#[test]
fn pings_through_the_router() {
    let mut net = Net::bound();
    // The server is the router, and its answer told where it is.
    net.ping(FAR, 5);
    let frame = net.frame();
    assert_eq!(frame[..6], ROUTER.0);
    let ip = ipv4(&frame);
    assert_eq!((address(&ip[12..16]), address(&ip[16..20]), ip[9], ip[20]), (OFFERED, FAR, 1, 8));
    let reply = icmp(0, &ip[24..]);
    net.now = net.now + Duration::from_millis(30);
    net.receive(&ipv4_frame(FAR, OFFERED, 1, &reply));
    let round_trip = Duration::from_millis(30);
    assert_eq!(net.events(), [Output::EchoReply { from: FAR, sequence: 5, round_trip }]);
    net.receive(&ipv4_frame(FAR, OFFERED, 1, &reply));
    assert_eq!(net.events(), [], "a reply counts once");
}

#[test]
fn looks_a_neighbour_up_before_it_sends_and_gives_up_in_the_end() {
    let mut net = Net::bound();
    let neighbour = (MacAddr([0x02, 0xdd, 0, 0, 0, 1]), Ipv4Addr::new(10, 7, 0, 77));
    let own = (STA, OFFERED);
    let request = ethernet(MacAddr::BROADCAST, STA, 0x0806, &arp(1, own, (MacAddr([0; 6]), neighbour.1)));
    net.ping(neighbour.1, 1);
    for _ in 0..3 {
        assert_eq!(net.frame(), request);
        assert_eq!(net.wait().as_secs(), 1);
    }
    assert_eq!(net.frames.len(), 0);
    net.wait();
    assert_eq!(net.events(), [Output::EchoLost { sequence: 1 }]);
    net.ping(neighbour.1, 2);
    net.ping(neighbour.1, 3);
    assert_eq!(net.frame(), request, "one request for both packets");
    net.receive(&ethernet(STA, neighbour.0, 0x0806, &arp(2, neighbour, own)));
    assert_eq!(net.frames.len(), 2);
    assert!(net.frames.iter().all(|frame| frame[..6] == neighbour.0.0));
}

#[test]
fn answers_arp_and_echo_requests_and_takes_datagrams() {
    let mut net = Net::bound();
    let (own, router) = ((STA, OFFERED), (ROUTER, ROUTER_IP));
    let request = arp(1, router, (MacAddr([0; 6]), OFFERED));
    net.receive(&ethernet(MacAddr::BROADCAST, ROUTER, 0x0806, &request));
    assert_eq!(net.frame(), ethernet(ROUTER, STA, 0x0806, &arp(2, own, router)));
    let other = arp(1, router, (MacAddr([0; 6]), Ipv4Addr::new(10, 7, 0, 43)));
    net.receive(&ethernet(MacAddr::BROADCAST, ROUTER, 0x0806, &other));
    net.receive(&ipv4_frame(ROUTER_IP, Ipv4Addr::new(10, 7, 0, 43), 1, &icmp(8, b"\0\x01\0\x02others")));
    assert_eq!(net.frames.len(), 0);
    net.receive(&ipv4_frame(ROUTER_IP, OFFERED, 1, &icmp(8, b"\0\x01\0\x02hello")));
    let frame = net.frame();
    assert_eq!(ipv4(&frame)[20..], icmp(0, b"\0\x01\0\x02hello"));
    let (from, to) = (SocketAddrV4::new(FAR, 5000), SocketAddrV4::new(OFFERED, 6000));
    net.receive(&udp_frame(from, to, b"data"));
    assert_eq!(net.events(), [Output::Udp { from, port: 6000, payload: b"data".to_vec() }]);
    let mut out = Vec::new();
    assert!(net.host.send_udp(net.now, 6000, from, b"answer", &mut out));
    net.take(out);
    let frame = net.frame();
    assert_eq!(&ipv4(&frame)[28..], b"answer");
    assert!(!net.host.send_udp(net.now, 1, from, &vec![0; 65536], &mut Vec::new()));
}

#[test]
fn a_static_address_needs_no_server() {
    let addressing = Addressing::Static { address: OFFERED, mask: Ipv4Addr::new(255, 0, 0, 0), router: None };
    let mut net = Net::new(Config { addressing, ..Config::default() });
    assert!(matches!(net.events()[..], [Output::Leased(lease)] if lease.address == OFFERED));
    assert_eq!((net.frames.len(), net.host.next_timeout()), (0, None));
    net.ping(Ipv4Addr::new(10, 200, 0, 1), 1);
    let target = Ipv4Addr::new(10, 200, 0, 1);
    let request = arp(1, (STA, OFFERED), (MacAddr([0; 6]), target));
    assert_eq!(net.frame(), ethernet(MacAddr::BROADCAST, STA, 0x0806, &request));
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(
        mut frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..8),
        kind in prop::sample::select(vec![0x0800u16, 0x0806, 0x86dd]),
    ) {
        let mut net = Net::bound();
        for frame in &mut frames {
            if frame.len() > 14 {
                frame[..6].copy_from_slice(&STA.0);
                frame[12..14].copy_from_slice(&kind.to_be_bytes());
            }
            net.receive(frame);
        }
    }

    #[test]
    fn no_dhcp_message_makes_it_panic(
        cut in 0usize..300,
        at in 236usize..320,
        octets in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut net = Net::new(Config::default());
        net.said();
        let mut frame = dhcp_frame(OFFER, net.xid, LEASE, OFFERED);
        let message = frame.split_off(42);
        let mut message: Vec<u8> = message[..message.len().saturating_sub(cut)].to_vec();
        for (index, octet) in octets.iter().enumerate() {
            if let Some(to) = message.get_mut(at + index) {
                *to = *octet;
            }
        }
        let (from, to) = (SocketAddrV4::new(ROUTER_IP, 67), SocketAddrV4::new(OFFERED, 68));
        net.receive(&udp_frame(from, to, &message));
        for _ in 0..5 {
            net.wait();
        }
    }
}
