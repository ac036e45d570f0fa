//! Who has which address: what we tell, what we answer, what we believe.

use std::time::Duration;

use dataplane::inet::nd::Neighbour;
use dataplane::inet::solicited_node;
use dataplane::io::PacketIo;
use dataplane::io::host::{AddressState, HostConfig, HostCounter as C};
use dot11::MacAddr;

use crate::bench::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_start_is_told_and_duplicates_are_looked_for() {
    let mut bench = Bench::starting(HostConfig {
        addresses: ["192.0.2.10/24", "2001:db8::10/64"].map(|a| a.parse().unwrap()).to_vec(),
        ..config()
    });
    bench.pass(Duration::ZERO);
    let frames = bench.sent();
    assert_eq!(frames.len(), 4);
    // Listener report, from nobody, with router alert.
    assert_eq!((&frames[0][..6], frames[0][20]), (&[0x33, 0x33, 0, 0, 0, 0x16][..], 0));
    let (source, to, _, report) = opened(&frames[0]);
    assert_eq!((source, to, report[0]), (ip("::"), ip("ff02::16"), 143));
    assert_eq!(report.len(), 8 + 20, "both addresses end alike, so they share a group");
    assert_eq!(frames[1], arp_request(US, "192.0.2.10", "192.0.2.10"));
    for (frame, address) in frames[2..].iter().zip(["2001:db8::10", "fe80::ff:fe00:10"]) {
        let group = solicited_node(v6(address));
        let question = Neighbour::question(v6(address), None);
        let mac = MacAddr(dataplane::inet::multicast_mac(group));
        assert_eq!(*frame, neighbour(US, question, v6("::"), group, mac));
    }
    assert_eq!(bench.changes(), [(C::TxArpRequest, 1), (C::TxSolicitation, 2), (C::TxListenerReport, 1)]);
    let states = |bench: &Bench| bench.io.host().addresses().map(|(_, state)| state).collect::<Vec<_>>();
    use AddressState::*;
    assert_eq!(states(&bench), [Assigned, Tentative, Tentative]);
    // Until then nothing is taken there or sent from there.
    assert!(bench.arrives(&datagram("2001:db8::77", "2001:db8::10", (1, 5247), b"")).is_empty());
    bench.send(endpoint(ip("2001:db8::77"), 9), b"");
    bench.assert_counted(&[C::DropAddressState, C::TxDropNoSource]);
    bench.pass(SECOND);
    assert_eq!(states(&bench), [Assigned; 3]);
    let (answer, to) = Neighbour::answer(v6("2001:db8::10"), US, v6("::"));
    let mac = MacAddr(dataplane::inet::multicast_mac(to));
    assert_eq!(bench.sent()[0], neighbour(US, answer, v6("2001:db8::10"), to, mac));
    assert_eq!(bench.arrives(&datagram("2001:db8::77", "2001:db8::10", (1, 5247), b"")).len(), 1);
    bench.pass(SECOND);
    assert_eq!(bench.sent().len(), 3, "once more, also by ARP");
    bench.pass(10 * SECOND);
    assert_eq!((bench.sent().len(), bench.io.deadline()), (0, None));
}

#[test]
fn an_address_that_somebody_has_is_not_used() {
    let address = v6("2001:db8::10");
    let group = solicited_node(address);
    let mac = MacAddr(dataplane::inet::multicast_mac(group));
    // Somebody has it, or checks it at the same time.
    let objections = [
        neighbour(
            THEM,
            Neighbour::answer(address, THEM, v6("::")).0,
            address,
            v6("ff02::1"),
            MacAddr([0x33, 0x33, 0, 0, 0, 1]),
        ),
        neighbour(THEM, Neighbour::question(address, None), v6("::"), group, mac),
    ];
    for objection in objections {
        let mut bench = Bench::starting(config());
        bench.pass(Duration::ZERO);
        bench.changes();
        bench.arrives(&objection);
        bench.assert_counted(&[C::RxNeighbour, C::DuplicateAddress]);
        bench.sent();
        bench.pass(SECOND);
        let told = bench.sent();
        assert!(told.iter().all(|frame| opened(frame).0 == ip("fe80::ff:fe00:10")), "the other is fine");
        bench.changes();
        bench.arrives(&datagram("2001:db8::77", "2001:db8::10", (1, 5247), b""));
        bench.arrives(&neighbour(THEM, Neighbour::question(address, Some(THEM)), v6("fe80::77"), group, mac));
        bench.send(endpoint(ip("2001:db8::77"), 9), b"");
        bench.assert_counted(&[C::RxNeighbour, C::DropAddressState, C::TxDropNoSource]);
        assert!(bench.sent().is_empty());
    }
}

#[test]
fn our_addresses_are_answered_for_and_others_are_not() {
    let mut bench = Bench::new(config());
    bench.arrives(&arp_request(THEM, "192.0.2.77", "192.0.2.11"));
    assert_eq!(bench.sent(), [arp_reply(US, v4("192.0.2.11"), THEM, v4("192.0.2.77"))]);
    bench.assert_counted(&[C::RxArp, C::TxArpReply]);
    // A probe (RFC 5227) too.
    bench.arrives(&arp_request(THEM, "0.0.0.0", "192.0.2.10"));
    assert_eq!(bench.sent(), [arp_reply(US, v4("192.0.2.10"), THEM, v4("0.0.0.0"))]);
    bench.assert_counted(&[C::RxArp, C::TxArpReply]);
    bench.arrives(&arp_request(THEM, "192.0.2.77", "192.0.2.12"));
    bench.assert_counted(&[C::RxArpOthers]);

    let group = solicited_node(v6("2001:db8::10"));
    let mac = MacAddr(dataplane::inet::multicast_mac(group));
    let question = Neighbour::question(v6("2001:db8::10"), Some(THEM));
    bench.arrives(&neighbour(THEM, question, v6("fe80::77"), group, mac));
    let answer = Neighbour::answer(v6("2001:db8::10"), US, v6("fe80::77")).0;
    assert!(answer.solicited && answer.overrides);
    assert_eq!(bench.sent(), [neighbour(US, answer, v6("2001:db8::10"), v6("fe80::77"), THEM)]);
    bench.assert_counted(&[C::RxNeighbour, C::TxAdvertisement]);
    // Somebody checks whether the address is free: everybody is told that it is not.
    bench.arrives(&neighbour(THEM, Neighbour::question(v6("2001:db8::10"), None), v6("::"), group, mac));
    let (answer, all) = Neighbour::answer(v6("2001:db8::10"), US, v6("::"));
    assert_eq!(
        bench.sent(),
        [neighbour(US, answer, v6("2001:db8::10"), all, MacAddr([0x33, 0x33, 0, 0, 0, 1]))]
    );
    bench.assert_counted(&[C::RxNeighbour, C::TxAdvertisement]);
    let question = Neighbour::question(v6("2001:db8::11"), Some(THEM));
    bench.arrives(&neighbour(THEM, question, v6("fe80::77"), group, mac));
    bench.assert_counted(&[C::RxNeighbourOthers]);
    // From beyond the link: a hop was counted off.
    let mut far = neighbour(THEM, question, v6("fe80::77"), group, mac);
    far[21] = 254;
    bench.arrives(&far);
    bench.assert_counted(&[C::DropNeighbour]);
    bench.arrives(&ethernet(US, THEM, 0x0806, &[0; 28]));
    bench.assert_counted(&[C::DropArp]);
}

#[test]
fn somebody_with_our_address_is_counted_and_told_once_in_a_while() {
    let mut bench = Bench::new(config());
    for _ in 0..3 {
        bench.arrives(&arp_request(THEM, "192.0.2.10", "192.0.2.99"));
    }
    assert_eq!(bench.sent(), [arp_request(US, "192.0.2.10", "192.0.2.10")]);
    assert_eq!(bench.changes(), [(C::RxArp, 3), (C::TxArpRequest, 1), (C::AddressConflict, 3)]);
    bench.pass(Duration::from_secs(10));
    let address = v6("2001:db8::10");
    let advertisement = Neighbour::answer(address, THEM, v6("::")).0;
    bench.arrives(&neighbour(
        THEM,
        advertisement,
        v6("fe80::77"),
        v6("ff02::1"),
        MacAddr([0x33, 0x33, 0, 0, 0, 1]),
    ));
    assert_eq!(bench.sent().len(), 1);
    bench.assert_counted(&[C::RxNeighbour, C::TxAdvertisement, C::AddressConflict]);
    bench.pass(Duration::from_secs(10));
    let question = Neighbour::question(v6("fe80::ff:fe00:10"), Some(THEM));
    let to = v6("fe80::ff:fe00:10");
    bench.arrives(&neighbour(THEM, question, address, to, US));
    assert_eq!(bench.sent().len(), 1);
    bench.assert_counted(&[C::RxNeighbour, C::TxAdvertisement, C::AddressConflict]);
}

#[test]
fn answers_that_nobody_asked_for_are_not_believed() {
    let mut bench = Bench::new(config());
    bench.arrives(&arp_reply(THEM, v4("192.0.2.5"), US, v4("192.0.2.10")));
    bench.arrives(&advertisement(THEM, v6("2001:db8::5"), true));
    bench.assert_counted(&[C::RxArpOthers, C::RxNeighbourOthers]);
    for to in ["192.0.2.5", "2001:db8::5"] {
        bench.send(endpoint(ip(to), 9), b"");
        bench.assert_counted(&[
            C::TxWaiting,
            if to.contains(':') { C::TxSolicitation } else { C::TxArpRequest },
        ]);
    }
}

#[test]
fn a_router_that_takes_over_is_followed() {
    let mut bench = Bench::new(config());
    bench.know("192.0.2.1", ROUTER);
    bench.send(endpoint(ip("198.51.100.1"), 9), b"");
    assert_eq!(bench.sent()[0][..6], ROUTER.0);
    bench.arrives(&arp_request(THEM, "192.0.2.1", "192.0.2.1"));
    bench.send(endpoint(ip("198.51.100.1"), 9), b"");
    assert_eq!(bench.sent()[0][..6], THEM.0);
    // IPv6: only with the override flag (RFC 4861 §7.2.5).
    bench.know("fe80::1", ROUTER);
    let to = endpoint(ip("2001:db8:1::1"), 9);
    bench.arrives(&advertisement(THEM, v6("fe80::1"), false));
    bench.send(to, b"");
    assert_eq!(bench.sent()[0][..6], ROUTER.0);
    bench.arrives(&advertisement(THEM, v6("fe80::1"), true));
    bench.send(to, b"");
    assert_eq!(bench.sent()[0][..6], THEM.0);
}

/// A neighbour that has a new Ethernet address asks for us from there: what it answered before does not count any more.
#[test]
fn a_question_from_a_new_address_moves_the_neighbour() {
    let mut bench = Bench::new(config());
    bench.know("192.0.2.77", ROUTER);
    bench.arrives(&arp_request(THEM, "192.0.2.77", "192.0.2.10"));
    bench.sent();
    bench.know("2001:db8::77", ROUTER);
    let group = solicited_node(v6("2001:db8::10"));
    let question = Neighbour::question(v6("2001:db8::10"), Some(THEM));
    let mac = MacAddr(dataplane::inet::multicast_mac(group));
    bench.arrives(&neighbour(THEM, question, v6("2001:db8::77"), group, mac));
    bench.sent();
    for to in ["192.0.2.77", "2001:db8::77"] {
        bench.send(endpoint(ip(to), 9), b"");
        assert_eq!(bench.sent()[0][..6], THEM.0, "{to}");
    }
}

#[test]
fn a_listener_query_is_answered_with_our_groups() {
    let mut bench = Bench::new(config());
    let message = icmp6("fe80::1", "ff02::1", 130, 0, [0; 4], &[0; 20]);
    let query = ip6("fe80::1", "ff02::1", 58, 1, &message);
    for _ in 0..3 {
        let mut query = query.clone();
        query[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
        bench.arrives(&query);
    }
    assert_eq!(bench.changes(), [(C::RxListenerQuery, 3), (C::TxListenerReport, 2)]);
    let (source, to, _, report) = opened(&bench.sent()[0]);
    assert_eq!((source, to, report[0], report[8]), (ip("fe80::ff:fe00:10"), ip("ff02::16"), 143, 2));
    // Not from beyond the link.
    bench.arrives(&ip6("fe80::1", "ff02::1", 58, 64, &message));
    bench.assert_counted(&[C::DropIcmp]);
}
