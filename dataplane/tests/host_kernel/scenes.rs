//! What the kernel and the host have to do with each other.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use dataplane::endpoint::Endpoint;
use dataplane::io::PacketIo;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::host::{AddressState, HostConfig, HostCounter as C};
use dataplane::packet::{Burst, Pool, PoolConfig};

use crate::peer::{Elsewhere, PATIENCE, Running, US};
use crate::world::{a_namespace, bring_up, fresh, ip};

const US_V4: &str = "192.0.2.10";
const US_V6: &str = "2001:db8::10";

fn config() -> HostConfig {
    let addresses = ["192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64"];
    HostConfig {
        neighbours: 64,
        learnt: 64,
        paths: 64,
        ..HostConfig::new(US, addresses.map(|text| text.parse().unwrap()).to_vec())
    }
}

/// A link: the kernel on the first end, with 192.0.2.1 and 2001:db8::1, and the host on the second.
fn link() -> (String, String) {
    let (a, b) = (fresh("a"), fresh("b"));
    ip(&format!("link add {a} type veth peer name {b}"));
    with_ipv6(&a);
    bring_up_both(&a, &b);
    ip(&format!("address add 192.0.2.1/24 dev {a}"));
    ip(&format!("address add 2001:db8::1/64 dev {a} nodad"));
    (a, b)
}

fn with_ipv6(interface: &str) {
    let folder = format!("/proc/sys/net/ipv6/conf/{interface}");
    for (name, value) in [("accept_dad", "0"), ("disable_ipv6", "0")] {
        std::fs::write(format!("{folder}/{name}"), value).unwrap();
    }
}

fn bring_up_both(a: &str, b: &str) {
    ip(&format!("link set {a} up"));
    bring_up(b);
    bring_up(a);
}

fn ping(arguments: &str) -> bool {
    let output = Command::new("ping").args(arguments.split(' ')).output().expect("ping, of iputils-ping");
    output.status.success()
}

fn socket(address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().unwrap();
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends through the host and expects the same back, from where it was sent to.
#[track_caller]
fn echoes(socket: &UdpSocket, to: &str, data: &[u8]) {
    let to: SocketAddr = to.parse().unwrap();
    socket.send_to(data, to).unwrap();
    let mut answer = [0; 4096];
    let (len, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!((from, &answer[..len]), (to, data));
}

#[test]
fn the_kernel_pings_every_address() {
    a_namespace(|| {
        let (_a, b) = link();
        let host = Running::start(&b, config()).settled();
        for to in [US_V4, "192.0.2.11", US_V6] {
            assert!(ping(&format!("-n -c 3 -i 0.01 -W 10 {to}")), "{to}");
        }
        for (to, size) in [(US_V4, 1472), (US_V6, 1452)] {
            assert!(ping(&format!("-n -c 1 -W 10 -M do -s {size} {to}")), "{to} with {size} octets");
        }
        let stats = host.end();
        assert_eq!((stats.get(C::RxEcho), stats.get(C::TxEchoReply)), (11, 11));
        assert_eq!(stats.get(C::DropEcho), 0);
    });
}

#[test]
fn datagrams_go_both_ways_and_answers_come_from_the_address_asked() {
    a_namespace(|| {
        let (_a, b) = link();
        let host = Running::start(&b, config()).settled();
        let (v4, v6) = (socket("192.0.2.1:0"), socket("[2001:db8::1]:0"));
        for n in 0..20u8 {
            echoes(&v4, "192.0.2.10:5247", &[n; 100]);
            echoes(&v4, "192.0.2.11:5247", &[n; 1472]);
            echoes(&v6, "[2001:db8::10]:5247", &[n; 1452]);
            echoes(&v6, "[2001:db8::10]:5247", &[]);
        }
        let stats = host.end();
        assert_eq!(stats.get(C::RxDatagrams), 80);
        assert_eq!(stats.get(C::TxDatagrams) + stats.get(C::WaitSent), 80);
        assert_eq!(stats.tx_dropped(), 0);
    });
}

#[test]
fn a_closed_port_is_refused_so_that_the_kernel_understands() {
    a_namespace(|| {
        let (_a, b) = link();
        let host = Running::start(&b, config()).settled();
        for (from, to) in [("192.0.2.1:0", "192.0.2.10:9000"), ("[2001:db8::1]:0", "[2001:db8::10]:9000")] {
            let socket = socket(from);
            socket.connect(to).unwrap();
            socket.send(b"anybody?").unwrap();
            assert_eq!(socket.recv(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionRefused, "{to}");
        }
        let stats = host.end();
        assert_eq!((stats.get(C::DropPort), stats.get(C::TxIcmpError)), (2, 2));
    });
}

/// The host asks for its neighbours when it speaks first, and follows one that gets another Ethernet address.
#[test]
fn neighbours_are_found_and_followed() {
    a_namespace(|| {
        let (a, b) = link();
        let host = Running::start(&b, config()).settled();
        for (listen, question) in
            [("192.0.2.1:9000", C::TxArpRequest), ("[2001:db8::1]:9000", C::TxSolicitation)]
        {
            let before = host.get(question);
            let socket = socket(listen);
            host.send(listen.parse().unwrap(), b"hello".to_vec());
            let mut data = [0; 10];
            let (len, from) = socket.recv_from(&mut data).unwrap();
            assert_eq!((&data[..len], from.port()), (&b"hello"[..], 5247));
            assert_eq!(host.get(question), before + 1);
        }
        assert_eq!(host.get(C::NeighbourResolved), 2);
        // Its neighbours are forgotten by the kernel with the address, so it asks for us from the new one.
        ip(&format!("link set {a} address 02:00:00:00:00:99"));
        for (own, to) in [("192.0.2.1:0", "192.0.2.10:5247"), ("[2001:db8::1]:0", "[2001:db8::10]:5247")] {
            echoes(&socket(own), to, b"moved");
        }
        // Nobody there: counted, and nobody else is held up.
        host.send("192.0.2.77:9000".parse().unwrap(), b"hello?".to_vec());
        echoes(&socket("192.0.2.1:0"), "192.0.2.10:5247", b"still here");
        host.until("giving up", |host| host.get(C::WaitDropUnreachable) == 1);
        assert_eq!(host.end().get(C::NeighbourFailed), 1);
    });
}

#[test]
fn an_address_that_the_kernel_has_is_not_used_and_one_of_ours_the_kernel_does_not_take() {
    a_namespace(|| {
        let (a, b) = link();
        ip(&format!("address add 2001:db8::10/64 dev {a} nodad"));
        // The kernel sets it up in the background.
        let deadline = Instant::now() + PATIENCE;
        while !ip(&format!("-6 maddress show dev {a}")).contains("ff02::1:ff00:10") {
            assert!(Instant::now() < deadline);
        }
        let host = Running::start(&b, config());
        host.until("the objection", |host| host.get(C::DuplicateAddress) == 1);
        let states: Vec<_> = host.host().addresses().map(|(_, state)| state).collect();
        assert_eq!(states[2], AddressState::Duplicate);
        assert!(ping("-n -c 1 -W 10 192.0.2.10"), "the others are fine");
        host.end();
        ip(&format!("address delete 2001:db8::10/64 dev {a}"));
        let host = Running::start(&b, config()).settled();
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{a}/accept_dad"), "1").unwrap();
        ip(&format!("address add 2001:db8::10/64 dev {a}"));
        host.until("the kernel's finding", |_| ip(&format!("-6 address show dev {a}")).contains("dadfailed"));
        host.end();
    });
}

#[test]
fn a_narrow_link_gets_fragments_that_the_kernel_puts_together() {
    a_namespace(|| {
        let (a, b) = link();
        ip(&format!("link set {a} mtu 1280"));
        ip(&format!("link set {b} mtu 1280"));
        let host = Running::start(&b, HostConfig { mtu: 1280, ..config() }).settled();
        for listen in ["192.0.2.1:9000", "[2001:db8::1]:9000"] {
            let socket = socket(listen);
            let sent: Vec<u8> = (0..3000).map(|n| n as u8).collect();
            for _ in 0..3 {
                host.send(listen.parse().unwrap(), sent.clone());
                let mut data = [0; 4096];
                let len = socket.recv(&mut data).unwrap();
                assert_eq!(data[..len], sent);
            }
        }
        let stats = host.end();
        assert_eq!(stats.get(C::TxFragments), 18);
    });
}

/// The host, a router, and a peer behind a narrow link.
#[test]
fn a_router_tells_the_path_mtu_and_longer_datagrams_still_arrive() {
    a_namespace(|| {
        let (_a, b) = link();
        let (near, far) = (fresh("n"), fresh("f"));
        let peer = Elsewhere::new();
        ip(&format!("link add {near} mtu 1400 type veth peer name {far} mtu 1400"));
        ip(&format!("link set {far} netns {}", peer.id()));
        with_ipv6(&near);
        for name in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{name}"), "1").unwrap();
        }
        let name = far.clone();
        peer.with(move || {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_dad"), "0").unwrap();
            ip(&format!("link set {name} up"));
            ip(&format!("address add 198.51.100.2/24 dev {name}"));
            ip(&format!("address add 2001:db8:1::2/64 dev {name} nodad"));
            ip("route add default via 198.51.100.1");
            ip("-6 route add default via 2001:db8:1::1");
        });
        bring_up(&near);
        ip(&format!("address add 198.51.100.1/24 dev {near}"));
        ip(&format!("address add 2001:db8:1::1/64 dev {near} nodad"));
        let gateways = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap()).to_vec();
        let host = Running::start(&b, HostConfig { gateways, ..config() }).settled();
        for (n, listen) in ["198.51.100.2:9000", "[2001:db8:1::2]:9000"].into_iter().enumerate() {
            let socket = peer.with(move || socket(listen));
            let endpoint: Endpoint = listen.parse().unwrap();
            host.send(endpoint, vec![1; 1440]);
            host.until("the router's answer", |host| host.get(C::PathMtuLowered) == n as u64 + 1);
            assert_eq!(host.with(move |io, _| io.path_mtu(endpoint)), 1400);
            let sent: Vec<u8> = (0..1440).map(|n| n as u8).collect();
            host.send(endpoint, sent.clone());
            let mut data = [0; 4096];
            let len = socket.recv(&mut data).unwrap();
            assert_eq!(data[..len], sent, "only now does it arrive");
            // From beyond the link it works the same.
            let to = if endpoint.is_ipv6() { "[2001:db8::10]:5247" } else { "192.0.2.10:5247" };
            echoes(&socket, to, &[7; 1000]);
        }
        let stats = host.end();
        assert_eq!((stats.get(C::TxFragmented), stats.get(C::TxFragments)), (2, 4));
    });
}

/// Without a gateway the router's Ethernet address is learnt from what comes through it.
#[test]
fn the_next_hop_is_learnt() {
    a_namespace(|| {
        let (_a, b) = link();
        for address in ["198.51.100.2/32", "2001:db8:1::2/128"] {
            ip(&format!("address add {address} dev lo"));
        }
        let host = Running::start(&b, config()).settled();
        let before = host.get(C::TxArpRequest);
        echoes(&socket("198.51.100.2:0"), "192.0.2.10:5247", b"from afar");
        echoes(&socket("[2001:db8:1::2]:0"), "[2001:db8::10]:5247", b"from afar");
        host.send("203.0.113.1:9".parse().unwrap(), b"to a stranger".to_vec());
        let stats = host.end();
        assert_eq!((stats.get(C::TxDatagrams), stats.get(C::TxDropNoRoute)), (2, 1));
        assert_eq!(stats.get(C::TxArpRequest), before);
    });
}

/// This kernel may have no 802.1Q devices, so the other end speaks through a packet socket too.
#[test]
fn on_a_vlan_every_frame_has_its_tag() {
    a_namespace(|| {
        let (a, b) = link();
        let mut other = AfPacketIo::open(&a).unwrap();
        let pool = Pool::new(PoolConfig { packets: 64, ..PoolConfig::default() });
        let host = Running::start(&b, HostConfig { vlan: Some(100), ..config() }).settled();
        let arp = [
            &[0xff; 6][..],
            &[2, 0, 0, 0, 0, 0x77],
            &[0x81, 0, 0, 100, 8, 6],
            &[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x77, 192, 0, 2, 77],
            &[0, 0, 0, 0, 0, 0, 192, 0, 2, 10],
        ]
        .concat();
        let mut untagged = arp.clone();
        untagged.drain(12..16);
        let mut burst = Burst::new();
        for frame in [&untagged, &arp] {
            let mut packet = pool.alloc().unwrap();
            packet.copy_from(frame);
            burst.push(packet).unwrap();
        }
        assert_eq!(other.tx_burst(&mut burst), 2);
        host.until("the answer", |host| host.get(C::TxArpReply) == 1);
        let mut answers = Vec::new();
        while answers.is_empty() {
            other.rx_burst(&pool, &mut burst);
            for packet in burst.drain() {
                assert_eq!(packet.data()[12..16], [0x81, 0, 0, 100], "each frame of the host");
                if packet.data()[..6] == [2, 0, 0, 0, 0, 0x77] {
                    answers.push(packet.data()[16..].to_vec());
                }
            }
        }
        assert_eq!(answers[0][..10], [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        assert!(host.end().get(C::DropVlan) >= 1);
    });
}

/// The link goes down, and is pulled out: counted drops, and a host that goes on.
#[test]
fn a_pulled_link_costs_counted_drops() {
    a_namespace(|| {
        let (a, b) = link();
        let host = Running::start(&b, config()).settled();
        let peer = socket("192.0.2.1:9000");
        echoes(&peer, "192.0.2.10:5247", b"before");
        ip(&format!("link set {b} down"));
        for n in 0..10 {
            host.send("192.0.2.1:9000".parse().unwrap(), vec![n; 100]);
        }
        assert_eq!(host.stats().1.tx_errors, 10);
        bring_up_both(&a, &b);
        ip(&format!("neighbour flush dev {a}"));
        echoes(&peer, "192.0.2.10:5247", b"after");
        let errors = host.stats().1.tx_errors;
        ip(&format!("link delete {a}"));
        for n in 0..10 {
            host.send("192.0.2.1:9000".parse().unwrap(), vec![n; 100]);
        }
        assert_eq!(host.stats().1.tx_errors, errors + 10);
        std::thread::sleep(Duration::from_millis(1));
        host.end();
    });
}
