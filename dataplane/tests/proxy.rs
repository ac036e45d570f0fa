//! ARP, neighbour discovery and DHCP: answered, aimed or contained.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dataplane::address::NETWORK_ADDRESS_AGE;
use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::harness::*;
use dot11::MacAddr;
use dot11::llc::{self, EtherType};

const HOST_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 100 + n)
}

fn up(service: Service, devices: u8) -> (Bench, Vec<Device>) {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(std::slice::from_ref(&service));
    let tunnel = tunnel(0, &service);
    bench.open_tunnel(0, &tunnel, 30);
    let devices: Vec<_> = (1..=devices).map(|n| Device::new(&tunnel, mac(n.into()), Some(tk(n)))).collect();
    devices.iter().for_each(|device| bench.add_station(device));
    bench.changes();
    (bench, devices)
}

fn proxying() -> Service {
    Service { proxy_arp: true, ..service(0) }
}

fn arp(operation: u8, sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, operation][..], &sender.0.0, &sender.1.octets(), &target.0.0, &target.1.octets()]
        .concat()
}

fn asks(sender: (MacAddr, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    arp(1, sender, (MacAddr::ZERO, target))
}

/// A device announces its address; what that sends is taken.
fn announce(bench: &mut Bench, device: &mut Device, address: Ipv4Addr) {
    let payload = asks((device.mac, address), address);
    let datagram = device.datagram(MacAddr::BROADCAST, EtherType::ARP, &payload);
    bench.from_radio(0, device.endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
    bench.to_radio(0);
}

fn heard(bench: &mut Bench, device: &Device) -> Vec<Vec<u8>> {
    bench.to_radio(0).iter().filter_map(|(_, d)| device.open(d)).map(|(_, _, msdu)| msdu).collect()
}

#[test]
fn arp_for_a_known_device_is_answered_and_stays_off_the_air() {
    let (mut bench, mut devices) = up(proxying(), 2);
    announce(&mut bench, &mut devices[0], ip(1));
    let address = Event::StationAddress { station: devices[0].key(), address: IpAddr::V4(ip(1)) };
    assert_eq!(bench.events(), [address]);
    bench.changes();
    let question = asks((HOST, HOST_IP), ip(1));
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &question));
    let answer = arp(2, (devices[0].mac, ip(1)), (HOST, HOST_IP));
    assert_eq!(bench.to_network(0), [ethernet(HOST, devices[0].mac, 0, EtherType::ARP, &answer)]);
    assert!(bench.to_radio(0).is_empty());
    assert_eq!(bench.changes(), [("network_rx", 1), ("network_tx", 1), ("proxy_arp", 1)]);
    // Between devices too.
    let question = asks((devices[1].mac, ip(2)), ip(1));
    let datagram = devices[1].datagram(MacAddr::BROADCAST, EtherType::ARP, &question);
    bench.from_radio(0, devices[1].endpoint, &datagram);
    let answer = arp(2, (devices[0].mac, ip(1)), (devices[1].mac, ip(2)));
    assert_eq!(heard(&mut bench, &devices[1]), [llc::msdu(EtherType::ARP, &answer)]);
    assert!(bench.to_network(0).is_empty());
}

#[test]
fn arp_for_nobody_known_goes_only_to_devices_of_unknown_address() {
    let (mut bench, mut devices) = up(proxying(), 2);
    announce(&mut bench, &mut devices[0], ip(1));
    let question = ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &asks((HOST, HOST_IP), ip(9)));
    bench.from_network(0, &question);
    let sent = bench.to_radio(0);
    assert!(sent.len() == 1 && devices[1].open(&sent[0].1).is_some());
    announce(&mut bench, &mut devices[1], ip(2));
    bench.from_network(0, &question);
    assert!(bench.to_radio(0).is_empty() && bench.to_network(0).is_empty());
    assert_eq!(bench.total(DropReason::Contained), 1);
    // An announcement is for everybody.
    let announcement = asks((HOST, HOST_IP), HOST_IP);
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &announcement));
    assert_eq!(bench.to_radio(0).len(), 2);
}

#[test]
fn a_service_that_does_not_want_it_gets_its_arp_as_it_is() {
    let (mut bench, mut devices) = up(service(0), 2);
    announce(&mut bench, &mut devices[0], ip(1));
    let question = asks((HOST, HOST_IP), ip(1));
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &question));
    assert_eq!(bench.to_radio(0).len(), 2);
    assert!(bench.to_network(0).is_empty());
}

#[test]
fn isolated_devices_learn_nothing_of_each_other() {
    let (mut bench, mut devices) = up(Service { isolate: true, ..proxying() }, 2);
    announce(&mut bench, &mut devices[0], ip(1));
    let question = asks((devices[1].mac, ip(2)), ip(1));
    let datagram = devices[1].datagram(MacAddr::BROADCAST, EtherType::ARP, &question);
    bench.from_radio(0, devices[1].endpoint, &datagram);
    assert!(bench.to_radio(0).is_empty() && bench.to_network(0).is_empty());
}

#[test]
fn an_address_belongs_to_the_first_that_has_it_until_that_goes() {
    let (mut bench, mut devices) = up(proxying(), 2);
    announce(&mut bench, &mut devices[0], ip(1));
    bench.events();
    announce(&mut bench, &mut devices[1], ip(1));
    assert_eq!((bench.events(), bench.total(Forwarded::AddressConflict)), (vec![], 1));
    bench.command(CommandKind::StationRemove(devices[0].key()));
    bench.run();
    bench.events();
    announce(&mut bench, &mut devices[1], ip(1));
    let address = Event::StationAddress { station: devices[1].key(), address: IpAddr::V4(ip(1)) };
    assert_eq!(bench.events(), [address]);
}

#[test]
fn addresses_are_learnt_from_plain_packets_too() {
    let (mut bench, mut devices) = up(proxying(), 1);
    let packet = [&[0x45; 12][..], &ip(3).octets(), &HOST_IP.octets(), &[0; 20]].concat();
    for _ in 0..3 {
        let datagram = devices[0].datagram(HOST, EtherType::IPV4, &packet);
        bench.from_radio(0, devices[0].endpoint, &datagram);
    }
    assert_eq!(bench.to_network(0).len(), 3);
    let address = Event::StationAddress { station: devices[0].key(), address: IpAddr::V4(ip(3)) };
    assert_eq!(bench.events(), [address]);
}

/// A DHCP answer to a client, broadcast.
fn dhcp(client: MacAddr, address: Ipv4Addr, kind: u8) -> Vec<u8> {
    let mut bootp = vec![0; 236];
    bootp[..3].copy_from_slice(&[2, 1, 6]);
    bootp[16..20].copy_from_slice(&address.octets());
    bootp[28..34].copy_from_slice(&client.0);
    bootp.extend_from_slice(&[99, 130, 83, 99, 51, 4, 0, 0, 0, 60, 53, 1, kind, 255]);
    let udp_len = (8 + bootp.len() as u16).to_be_bytes();
    let total = (28 + bootp.len() as u16).to_be_bytes();
    let ip = [&[0x45, 0][..], &total, &[0, 0, 0x40, 0, 64, 17, 0, 0], &HOST_IP.octets(), &[255; 4]].concat();
    let udp = [&[0, 67, 0, 68][..], &udp_len, &[0, 0]].concat();
    ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[ip, udp, bootp].concat())
}

#[test]
fn dhcp_answers_go_to_their_client_alone_and_tell_its_address() {
    let (mut bench, mut devices) = up(proxying(), 3);
    announce(&mut bench, &mut devices[0], ip(7));
    bench.events();
    bench.from_network(0, &dhcp(devices[1].mac, ip(7), 2));
    let sent = bench.to_radio(0);
    assert!(sent.len() == 1 && devices[1].open(&sent[0].1).is_some());
    assert_eq!(bench.events(), [], "an offer is no lease");
    bench.from_network(0, &dhcp(devices[1].mac, ip(7), 5));
    let sent = bench.to_radio(0);
    assert!(sent.len() == 1 && devices[1].open(&sent[0].1).is_some());
    let address = Event::StationAddress { station: devices[1].key(), address: IpAddr::V4(ip(7)) };
    assert_eq!(bench.events(), [address], "the lease is the server's word, whoever claimed it before");
    assert_eq!(bench.total(Forwarded::DhcpToUnicast), 2);
    let question = asks((HOST, HOST_IP), ip(7));
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &question));
    let answers = bench.to_network(0);
    assert_eq!(MacAddr::from_slice(&answers[0][6..]), Some(devices[1].mac));
    // For a client that is nobody here: like any broadcast.
    bench.from_network(0, &dhcp(mac(77), ip(9), 5));
    assert_eq!(bench.to_radio(0).len(), 3);
}

fn sum(parts: &[&[u8]]) -> u16 {
    let octets = parts.concat();
    let mut sum: u32 = octets.chunks(2).map(|p| u32::from(u16::from_be_bytes([p[0], p[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A neighbour solicitation or advertisement.
fn neighbour(
    kind: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    flags: u8,
    target: Ipv6Addr,
    option: &[u8],
) -> Vec<u8> {
    let mut icmp = [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &target.octets(), option].concat();
    let len = icmp.len() as u8;
    let pseudo = [&source.octets()[..], &destination.octets(), &[0, 0, 0, len, 0, 0, 0, 58]].concat();
    let checksum = !sum(&[&pseudo, &icmp]);
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    [&[0x60, 0, 0, 0, 0, len, 58, 255][..], &source.octets(), &destination.octets(), &icmp].concat()
}

#[test]
fn neighbour_solicitations_are_answered() {
    let (mut bench, mut devices) = up(proxying(), 2);
    let address: Ipv6Addr = "2001:db8::1234".parse().unwrap();
    let solicited_node: Ipv6Addr = "ff02::1:ff00:1234".parse().unwrap();
    let group = MacAddr([0x33, 0x33, 0xff, 0, 0x12, 0x34]);
    let router: Ipv6Addr = "fe80::1".parse().unwrap();
    // Duplicate address detection tells whose it is.
    let detection = neighbour(135, Ipv6Addr::UNSPECIFIED, solicited_node, 0, address, &[]);
    let datagram = devices[0].datagram(group, EtherType::IPV6, &detection);
    bench.from_radio(0, devices[0].endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
    let learnt = Event::StationAddress { station: devices[0].key(), address: IpAddr::V6(address) };
    assert_eq!(bench.events(), [learnt]);
    bench.to_radio(0);
    let option = [&[1, 1][..], &HOST.0].concat();
    let question = neighbour(135, router, solicited_node, 0, address, &option);
    bench.from_network(0, &ethernet(group, HOST, 0, EtherType::IPV6, &question));
    let option = [&[2, 1][..], &devices[0].mac.0].concat();
    let answer = neighbour(136, address, router, 0x40, address, &option);
    assert_eq!(bench.to_network(0), [ethernet(HOST, devices[0].mac, 0, EtherType::IPV6, &answer)]);
    assert!(bench.to_radio(0).is_empty());
    // Another device that wants the same address is told that it is taken.
    let datagram = devices[1].datagram(group, EtherType::IPV6, &detection);
    bench.from_radio(0, devices[1].endpoint, &datagram);
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let answer = neighbour(136, address, all_nodes, 0, address, &option);
    assert_eq!(heard(&mut bench, &devices[1]), [llc::msdu(EtherType::IPV6, &answer)]);
    assert_eq!(bench.total(Forwarded::ProxyNd), 2);
    // A broken checksum is not believed.
    let mut broken = neighbour(135, router, solicited_node, 0, address, &[]);
    *broken.last_mut().unwrap() ^= 1;
    bench.from_network(0, &ethernet(group, HOST, 0, EtherType::IPV6, &broken));
    assert_eq!((bench.to_network(0).len(), bench.to_radio(0).len()), (0, 2));
}

#[test]
fn addresses_of_a_device_are_bounded() {
    let (mut bench, mut devices) = up(proxying(), 1);
    for n in 0..20 {
        announce(&mut bench, &mut devices[0], ip(n));
    }
    assert_eq!(bench.workers[0].state.addresses.len(), 8);
    bench.command(CommandKind::StationRemove(devices[0].key()));
    bench.run();
    assert!(bench.workers[0].state.addresses.is_empty());
}

/// A device says in a plain packet that it has the host's address.
fn claim(bench: &mut Bench, device: &mut Device) {
    let packet = [&[0x45; 12][..], &HOST_IP.octets(), &ip(50).octets(), &[0; 20]].concat();
    let datagram = device.datagram(HOST, EtherType::IPV4, &packet);
    bench.from_radio(0, device.endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
}

/// What a device hears when it asks who has an address, and what goes to the network of that.
fn ask(bench: &mut Bench, device: &mut Device, target: Ipv4Addr) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let datagram = device.datagram(MacAddr::BROADCAST, EtherType::ARP, &asks((device.mac, ip(2)), target));
    bench.from_radio(0, device.endpoint, &datagram);
    (heard(bench, device), bench.to_network(0))
}

#[test]
fn the_network_gets_its_router_back_from_a_device_that_claims_to_be_it() {
    let victim = mac(2);
    let gratuitous = arp(2, (HOST, HOST_IP), (MacAddr::BROADCAST, HOST_IP));
    for (to, says) in [
        (MacAddr::BROADCAST, asks((HOST, HOST_IP), ip(60))),
        (MacAddr::BROADCAST, asks((HOST, HOST_IP), HOST_IP)),
        (MacAddr::BROADCAST, gratuitous),
        (victim, arp(2, (HOST, HOST_IP), (victim, ip(2)))),
    ] {
        let (mut bench, mut devices) = up(proxying(), 2);
        claim(&mut bench, &mut devices[0]);
        let learnt = Event::StationAddress { station: devices[0].key(), address: IpAddr::V4(HOST_IP) };
        assert_eq!(bench.events(), [learnt]);
        // Nobody knows better yet.
        let answer = arp(2, (devices[0].mac, HOST_IP), (victim, ip(2)));
        let answered = (vec![llc::msdu(EtherType::ARP, &answer)], vec![]);
        assert_eq!(ask(&mut bench, &mut devices[1], HOST_IP), answered);
        bench.events();
        bench.from_network(0, &ethernet(to, HOST, 0, EtherType::ARP, &says));
        bench.to_radio(0);
        assert_eq!(bench.total(Forwarded::AddressConflict), 1);
        assert_eq!(bench.workers[0].state.addresses.len(), 1, "the victim's own");
        // It claims again, in every way there is, and gets nowhere.
        claim(&mut bench, &mut devices[0]);
        announce(&mut bench, &mut devices[0], HOST_IP);
        assert_eq!((bench.events(), bench.total(Forwarded::AddressConflict)), (vec![], 3));
        let question = asks((victim, ip(2)), HOST_IP);
        let asked = vec![ethernet(MacAddr::BROADCAST, victim, 0, EtherType::ARP, &question)];
        assert_eq!(ask(&mut bench, &mut devices[1], HOST_IP), (vec![], asked));
        assert_eq!(bench.total(Forwarded::ProxyArp), 1, "the one before");
    }
}

#[test]
fn an_address_heard_from_the_network_is_not_learnt_from_a_device() {
    let (mut bench, mut devices) = up(proxying(), 2);
    announce(&mut bench, &mut devices[1], ip(2));
    bench.events();
    let question = ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &asks((HOST, HOST_IP), ip(2)));
    bench.from_network(0, &question);
    assert_eq!(bench.to_network(0).len(), 1);
    bench.changes();
    claim(&mut bench, &mut devices[0]);
    assert_eq!(
        bench.changes(),
        [("address_conflict", 1), ("ccmp_opened", 1), ("msdu_up", 1), ("network_tx", 1), ("tunnel_rx", 1)]
    );
    let (answers, asked) = ask(&mut bench, &mut devices[1], HOST_IP);
    assert_eq!((answers.len(), asked.len(), bench.events()), (0, 1, vec![]));
    // A probe from the network (RFC 5227 §2.1) claims nothing.
    let probe = asks((HOST, Ipv4Addr::UNSPECIFIED), ip(2));
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &probe));
    let defence = arp(2, (devices[1].mac, ip(2)), (HOST, Ipv4Addr::UNSPECIFIED));
    assert_eq!(bench.to_network(0), [ethernet(HOST, devices[1].mac, 0, EtherType::ARP, &defence)]);
    // Nor does a device's own announcement that a loop brings back.
    let own = (devices[1].mac, ip(2));
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, own.0, 0, EtherType::ARP, &asks(own, own.1)));
    bench.from_network(0, &question);
    assert_eq!(bench.to_network(0).len(), 1, "still answered");
    assert_eq!(bench.total(Forwarded::AddressConflict), 1);
}

#[test]
fn an_address_of_the_network_can_become_a_devices() {
    let (mut bench, mut devices) = up(proxying(), 3);
    let keep_alive = keep_alive(&tunnel(0, &proxying()));
    let announced = |who: MacAddr, n: u8| {
        ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &asks((who, ip(n)), ip(n)))
    };
    let learnt =
        |device: &Device, n: u8| Event::StationAddress { station: device.key(), address: IpAddr::V4(ip(n)) };
    for n in [1, 2] {
        bench.from_network(0, &announced(HOST, n));
    }
    bench.from_network(0, &announced(mac(9), 3));
    bench.to_radio(0);
    // By a lease.
    announce(&mut bench, &mut devices[0], ip(1));
    assert_eq!(bench.events(), []);
    bench.from_network(0, &dhcp(devices[0].mac, ip(1), 5));
    assert_eq!(bench.events(), [learnt(&devices[0], 1)]);
    // By silence on the network.
    let second = Duration::from_secs(1);
    bench.now = bench.now + (NETWORK_ADDRESS_AGE - second);
    bench.from_radio(0, devices[1].endpoint, &keep_alive);
    announce(&mut bench, &mut devices[1], ip(2));
    assert_eq!(bench.events(), []);
    // By being the device that was heard there.
    let mut moved = Device { mac: mac(9), tk: Some(tk(9)), ..devices[2].clone() };
    bench.add_station(&moved);
    announce(&mut bench, &mut moved, ip(3));
    assert_eq!(bench.events(), [learnt(&moved, 3)]);
    bench.now = bench.now + second;
    announce(&mut bench, &mut devices[1], ip(2));
    assert_eq!(bench.events(), [learnt(&devices[1], 2)]);
    assert_eq!(bench.total(Forwarded::AddressConflict), 2);
}

#[test]
fn neighbours_of_the_network_get_their_addresses_back_too() {
    let router: Ipv6Addr = "fe80::1".parse().unwrap();
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let group = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let other: Ipv6Addr = "fe80::2".parse().unwrap();
    let claim = neighbour(136, router, all_nodes, 0x20, router, &[]);
    for (says, conflicts) in [
        (neighbour(136, router, all_nodes, 0x20, router, &[]), 2),
        (neighbour(135, router, all_nodes, 0, other, &[]), 2),
        // Duplicate address detection is a question.
        (neighbour(135, Ipv6Addr::UNSPECIFIED, all_nodes, 0, router, &[]), 0),
    ] {
        let (mut bench, mut devices) = up(proxying(), 2);
        for _ in 0..2 {
            let datagram = devices[0].datagram(group, EtherType::IPV6, &claim);
            bench.from_radio(0, devices[0].endpoint, &datagram);
            assert_eq!(bench.to_network(0).len(), 1);
            bench.from_network(0, &ethernet(group, HOST, 0, EtherType::IPV6, &says));
            bench.to_radio(0);
            bench.to_network(0);
        }
        assert_eq!(bench.total(Forwarded::AddressConflict), conflicts);
        let known = usize::from(conflicts == 0);
        assert_eq!(bench.workers[0].state.addresses.len(), known);
    }
}
