//! Datagrams on their way out: headers, next hops, neighbours that are slow or gone, narrow paths, a port that is full.

use std::time::Duration;

use dataplane::endpoint::Endpoint;
use dataplane::inet::{ipv4, ipv6};
use dataplane::io::PacketIo;
use dataplane::io::host::{HostConfig, HostCounter as C};
use dataplane::packet::Burst;

use crate::bench::*;

fn to(address: &str) -> Endpoint {
    endpoint(ip(address), 40000)
}

#[test]
fn a_datagram_leaves_from_the_address_its_peer_talks_to() {
    let mut bench = Bench::new(config());
    bench.know("192.0.2.77", THEM);
    bench.know("2001:db8::77", THEM);
    for (peer, local, source) in [
        ("192.0.2.77", 0, "192.0.2.10"),
        ("192.0.2.77", 1, "192.0.2.10"),
        ("192.0.2.77", 2, "192.0.2.11"),
        ("192.0.2.77", 3, "192.0.2.10"),
        ("2001:db8::77", 3, "2001:db8::10"),
        ("2001:db8::77", 0, "2001:db8::10"),
    ] {
        bench.send(to(peer).at(local), b"hello");
        let frame = bench.sent().remove(0);
        assert_eq!(frame[..12], ethernet(THEM, US, 0, &[])[..12]);
        let (from, destination, protocol, segment) = opened(&frame);
        assert_eq!((from, destination, protocol), (ip(source), ip(peer), 17), "{peer} {local}");
        assert_eq!(
            (&segment[..4], &segment[4..6], &segment[8..]),
            (&[0x14, 0x7f, 0x9c, 0x40][..], &[0, 13][..], &b"hello"[..])
        );
        if peer.contains(':') {
            assert_ne!(segment[6..8], [0, 0], "IPv6 needs the checksum");
        } else {
            assert_eq!(segment[6..8], [0, 0], "RFC 5415 §3.1");
            assert_eq!(frame[20..22], [0x40, 0], "must not be fragmented");
        }
        bench.assert_counted(&[C::TxDatagrams]);
    }
    assert_eq!(bench.io.stats().tx_packets, 8, "with the two that waited");
}

#[test]
fn each_peer_has_a_flow_label_of_its_own() {
    let mut bench = Bench::new(config());
    bench.know("fe80::1", ROUTER);
    let mut labels = std::collections::HashSet::new();
    for n in 0..100 {
        for _ in 0..2 {
            bench.send(endpoint(ip("2001:db8:1::1"), 1000 + n), b"");
        }
        let frames = bench.sent();
        let label = |frame: &[u8]| u32::from_be_bytes([0, frame[15] & 0xf, frame[16], frame[17]]);
        assert_eq!(label(&frames[0]), label(&frames[1]));
        assert_ne!(label(&frames[0]), 0);
        labels.insert(label(&frames[0]));
    }
    assert!(labels.len() >= 98, "{}", labels.len());
}

#[test]
fn beyond_the_link_the_gateway_is_asked_and_sent_to() {
    let mut bench = Bench::new(config());
    bench.send(to("198.51.100.1"), b"1");
    bench.send(to("203.0.113.1"), b"2");
    let frames = bench.sent();
    assert_eq!(frames, [arp_request(US, "192.0.2.10", "192.0.2.1")]);
    assert_eq!(bench.changes(), [(C::TxWaiting, 2), (C::TxArpRequest, 1)]);
    bench.arrives(&arp_reply(ROUTER, v4("192.0.2.1"), US, v4("192.0.2.10")));
    let frames = bench.sent();
    let destinations: Vec<_> = frames.iter().map(|frame| (frame[5], opened(frame).1)).collect();
    assert_eq!(destinations, [(ROUTER.0[5], ip("198.51.100.1")), (ROUTER.0[5], ip("203.0.113.1"))]);
    assert_eq!(bench.changes(), [(C::RxArp, 1), (C::WaitSent, 2), (C::NeighbourResolved, 1)]);
    bench.send(to("198.51.100.1"), b"3");
    assert_eq!(bench.sent().len(), 1);
    bench.assert_counted(&[C::TxDatagrams]);
}

#[test]
fn without_a_gateway_answers_go_where_the_question_came_from() {
    let mut bench = Bench::new(HostConfig { gateways: vec![], ..config() });
    for peer in ["198.51.100.1", "2001:db8:1::1"] {
        bench.send(to(peer), b"");
        bench.assert_counted(&[C::TxDropNoRoute]);
        let ours = if peer.contains(':') { "2001:db8::10" } else { "192.0.2.10" };
        let mut frame = datagram(peer, ours, (40000, 5247), b"hello");
        let endpoint = bench.arrives(&frame)[0].0;
        bench.send(endpoint, b"hello yourself");
        assert_eq!(bench.sent()[0][..6], THEM.0);
        // The router changed.
        frame[6..12].copy_from_slice(&ROUTER.0);
        bench.arrives(&frame);
        bench.send(endpoint, b"hello yourself");
        assert_eq!(bench.sent()[0][..6], ROUTER.0);
        assert_eq!(bench.changes(), [(C::RxDatagrams, 2), (C::TxDatagrams, 2)]);
        // Long ago is too long.
        bench.pass(Duration::from_secs(601));
        bench.send(endpoint, b"");
        bench.assert_counted(&[C::TxDropNoRoute]);
    }
    // With one for a family, that is used for it alone.
    let mut bench = Bench::new(HostConfig { gateways: vec![ip("192.0.2.1")], ..config() });
    bench.send(to("198.51.100.1"), b"");
    bench.send(to("2001:db8:1::1"), b"");
    assert_eq!(bench.changes(), [(C::TxWaiting, 1), (C::TxDropNoRoute, 1), (C::TxArpRequest, 1)]);
}

#[test]
fn a_neighbour_that_is_silent_costs_its_packets_only() {
    let mut bench = Bench::new(config());
    bench.know("192.0.2.77", THEM);
    for n in 0..20 {
        bench.send(to("192.0.2.5"), &[n]);
        bench.send(to("192.0.2.77"), &[n]);
    }
    assert_eq!(bench.sent().len(), 21);
    assert_eq!(
        bench.changes(),
        [(C::TxDatagrams, 20), (C::TxWaiting, 20), (C::WaitDropFull, 12), (C::TxArpRequest, 1)]
    );
    for _ in 0..3 {
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.sent().len(), 2, "asked twice more");
    assert_eq!(bench.changes(), [(C::WaitDropUnreachable, 8), (C::TxArpRequest, 2), (C::NeighbourFailed, 1)]);
    bench.send(to("192.0.2.5"), b"");
    bench.assert_counted(&[C::TxDropUnreachable]);
    assert_eq!(bench.io.stats().tx_errors, 21);
    bench.pass(Duration::from_secs(3));
    bench.send(to("192.0.2.5"), b"");
    bench.assert_counted(&[C::TxWaiting, C::TxArpRequest]);
}

#[test]
fn a_neighbour_in_use_is_probed_by_its_own_address() {
    for (address, counter) in [("192.0.2.77", C::TxArpRequest), ("2001:db8::77", C::TxSolicitation)] {
        let mut bench = Bench::new(config());
        bench.know(address, THEM);
        bench.pass(Duration::from_secs(31));
        bench.send(to(address), b"");
        bench.pass(Duration::from_secs(5));
        let frames = bench.sent();
        assert_eq!((frames.len(), &frames[1][..6]), (2, &THEM.0[..]));
        bench.assert_counted(&[C::TxDatagrams, counter]);
    }
}

#[test]
fn questions_are_limited_in_rate() {
    let mut bench = Bench::new(HostConfig { neighbours: 512, ..config() });
    for n in 1..=180u8 {
        if n != 10 && n != 11 {
            bench.send(to(&format!("192.0.2.{n}")), b"");
        }
    }
    assert_eq!(bench.changes(), [(C::TxWaiting, 178), (C::TxArpRequest, 100), (C::QuestionLimited, 78)]);
    bench.pass(Duration::from_millis(200));
    assert_eq!(bench.changes(), [(C::TxArpRequest, 78)]);
}

#[test]
fn wrong_datagrams_are_counted_and_hold_nothing_up() {
    let mut bench = Bench::new(HostConfig {
        addresses: vec!["192.0.2.10/24".parse().unwrap()],
        gateways: vec![],
        ..config()
    });
    bench.know("192.0.2.77", THEM);
    let mut burst = Burst::new();
    for endpoint in [Endpoint::NONE, to("2001:db8::1"), to("198.51.100.1"), to("192.0.2.77")] {
        let mut packet = bench.pool.alloc().unwrap();
        packet.copy_from(b"x");
        packet.meta.endpoint = endpoint;
        burst.push(packet).unwrap();
    }
    let mut packet = bench.pool.alloc().unwrap();
    packet.append(5);
    while packet.headroom() > 41 {
        packet.prepend(1);
    }
    packet.meta.endpoint = to("192.0.2.77");
    burst.push(packet).unwrap();
    assert_eq!(bench.io.tx_burst(&mut burst), 5);
    bench.assert_counted(&[
        C::TxDatagrams,
        C::TxDropNoEndpoint,
        C::TxDropNoSource,
        C::TxDropNoRoute,
        C::TxDropNoHeadroom,
    ]);
    assert_eq!(bench.sent().len(), 1);
    let stats = bench.io.stats();
    assert_eq!((stats.tx_packets, stats.tx_no_endpoint, stats.tx_errors), (2, 1, 3));
}

#[test]
fn a_full_port_gives_datagrams_back_as_they_were() {
    let mut bench = Bench::new(config());
    bench.know("192.0.2.77", THEM);
    bench.know("2001:db8::77", THEM);
    let peers = [to("192.0.2.77").at(2), to("2001:db8::77").at(3)];
    let packet = |bench: &Bench, n: usize| {
        let mut packet = bench.pool.alloc().unwrap();
        packet.copy_from(&[n as u8; 50]);
        packet.meta.endpoint = peers[n % 2];
        packet
    };
    // The wire holds 300.
    let mut left = Burst::new();
    let mut taken = 0;
    while left.is_empty() {
        (0..32).for_each(|n| left.push(packet(&bench, taken + n)).unwrap());
        taken += bench.io.tx_burst(&mut left);
    }
    assert_eq!((taken, left.len()), (300, 20));
    for (i, packet) in left.iter().enumerate() {
        assert_eq!((packet.data(), packet.meta.endpoint), (&[(300 + i) as u8; 50][..], peers[i % 2]));
    }
    assert_eq!(bench.io.tx_burst(&mut left), 0);
    assert_eq!(bench.changes(), [(C::TxDatagrams, 300)]);
    assert_eq!(bench.io.stats().tx_bytes, 300 * 50 + 2 * 14);
    // What the host has to say itself waits in a queue, up to a bound.
    for _ in 0..300 {
        bench.arrives(&arp_request(THEM, "192.0.2.77", "192.0.2.10"));
    }
    assert_eq!(bench.changes(), [(C::RxArp, 300), (C::TxArpReply, 288), (C::OwnDropFull, 12)]);
    assert_eq!(bench.io.deadline(), Some(bench.now + Duration::from_millis(1)));
    bench.sent();
    assert_eq!(bench.io.tx_burst(&mut left), 12, "after what the host owed");
    assert_eq!(bench.sent().len(), 300);
    assert_eq!(bench.io.tx_burst(&mut left), 8);
    assert_eq!(bench.changes(), [(C::TxDatagrams, 20)]);
}

/// Puts IP fragments together; returns what they were of, without IP header.
fn joined(frames: &[Vec<u8>], mtu: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut identification = None;
    for (i, frame) in frames.iter().enumerate() {
        let packet = &frame[14..];
        assert!(packet.len() <= mtu, "{} > {mtu}", packet.len());
        let last = i + 1 == frames.len();
        let (id, offset, more, part) = if packet[0] >> 4 == 4 {
            assert_eq!(dataplane::inet::checksum::Sum::ZERO.octets(&packet[..20]).checksum(), 0);
            let field = u16::from_be_bytes([packet[6], packet[7]]);
            assert_eq!(field & ipv4::DONT_FRAGMENT, 0);
            (
                packet[4..6].to_vec(),
                usize::from(field & 0x1fff) * 8,
                field & ipv4::MORE_FRAGMENTS != 0,
                &packet[20..],
            )
        } else {
            assert_eq!((packet[6], packet[40]), (ipv6::FRAGMENT_NEXT_HEADER, 17));
            assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len() - 40);
            let field = u16::from_be_bytes([packet[42], packet[43]]);
            (packet[44..48].to_vec(), usize::from(field & 0xfff8), field & 1 != 0, &packet[48..])
        };
        assert_eq!((offset, more), (whole.len(), !last));
        assert!(last || part.len() % 8 == 0);
        assert_eq!(*identification.get_or_insert(id.clone()), id);
        whole.extend_from_slice(part);
    }
    whole
}

#[test]
fn a_narrow_path_is_learnt_and_longer_datagrams_go_in_fragments() {
    let mut bench = Bench::new(config());
    bench.know("192.0.2.1", ROUTER);
    bench.know("fe80::1", ROUTER);
    let data: Vec<u8> = (0..1400).map(|n| n as u8).collect();
    for (peer, error, mtu, header) in [
        ("198.51.100.1", too_big4("192.0.2.10", 5247, "198.51.100.1", 1428, 1006), 1006, 20),
        ("2001:db8:1::1", too_big6("2001:db8::10", 5247, "2001:db8:1::1", 1300), 1300, 40),
    ] {
        let endpoint = to(peer);
        bench.send(endpoint, &data);
        assert_eq!(bench.sent().len(), 1);
        assert_eq!(bench.io.path_mtu(endpoint), 1500);
        bench.assert_counted(&[C::TxDatagrams]);
        bench.arrives(&error);
        assert_eq!(bench.io.path_mtu(endpoint), mtu);
        bench.assert_counted(&[C::RxPathMtu, C::PathMtuLowered]);
        bench.arrives(&error);
        bench.assert_counted(&[C::RxPathMtu]);
        bench.send(endpoint, &data);
        let whole = joined(&bench.sent(), mtu.into());
        assert_eq!(whole[8..], data);
        assert_eq!(bench.changes(), [(C::TxFragmented, 1), (C::TxFragments, 2)]);
        let fits = usize::from(mtu) - header - 8;
        bench.send(endpoint, &data[..fits]);
        assert_eq!(bench.sent().len(), 1);
        bench.assert_counted(&[C::TxDatagrams]);
        // Others are not concerned, and it is forgotten.
        assert_eq!(bench.io.path_mtu(to("203.0.113.9")), 1500);
        bench.pass(Duration::from_secs(600));
        assert_eq!(bench.io.path_mtu(endpoint), 1500);
        bench.sent();
        bench.changes();
    }
}

#[test]
fn path_mtus_of_packets_that_are_not_ours_are_not_believed() {
    let mut bench = Bench::new(config());
    let cut = {
        let mut frame = too_big4("192.0.2.10", 5247, "198.51.100.1", 1428, 1006);
        let payload = frame[34..34 + 8 + 20].to_vec();
        frame = ip4("198.51.100.254", "192.0.2.10", 1, &icmp4(3, 4, [0, 0, 3, 0xee], &payload[8..]));
        frame
    };
    for (what, frame) in [
        ("another's address", too_big4("192.0.2.12", 5247, "198.51.100.1", 1428, 1006)),
        ("another port", too_big4("192.0.2.10", 5246, "198.51.100.1", 1428, 1006)),
        ("less than any link has", too_big4("192.0.2.10", 5247, "198.51.100.1", 1428, 60)),
        ("no less than the packet", too_big4("192.0.2.10", 5247, "198.51.100.1", 1000, 1006)),
        ("without ports", cut),
        ("another's address", too_big6("2001:db8::12", 5247, "2001:db8:1::1", 1300)),
        ("another port", too_big6("2001:db8::10", 5246, "2001:db8:1::1", 1300)),
        ("less than any link has", too_big6("2001:db8::10", 5247, "2001:db8:1::1", 1279)),
    ] {
        bench.arrives(&frame);
        assert_eq!(bench.changes(), [(C::DropPathMtu, 1)], "{what}");
    }
    assert_eq!(bench.io.path_mtu(to("198.51.100.1")), 1500);
    assert_eq!(bench.io.path_mtu(to("2001:db8:1::1")), 1500);
}

/// What is longer than the link goes in fragments as well, also when it waited for its neighbour.
#[test]
fn datagrams_longer_than_the_link_go_in_fragments() {
    let mut bench = Bench::new(HostConfig { vlan: None, mtu: 1280, ..config() });
    let data: Vec<u8> = (0..3000).map(|n| n as u8).collect();
    for (peer, answer) in [
        ("192.0.2.77", arp_reply(THEM, v4("192.0.2.77"), US, v4("192.0.2.10"))),
        ("2001:db8::77", advertisement(THEM, v6("2001:db8::77"), true)),
    ] {
        bench.send(to(peer), &data);
        assert_eq!(bench.sent().len(), 1);
        bench.arrives(&answer);
        assert_eq!(joined(&bench.sent(), 1280)[8..], data);
        bench.changes();
        bench.send(to(peer), &data);
        assert_eq!(joined(&bench.sent(), 1280)[8..], data);
        assert_eq!(bench.changes(), [(C::TxFragmented, 1), (C::TxFragments, 3)]);
    }
    assert_eq!(bench.pool.in_use(), 0);
}

#[test]
fn an_empty_pool_costs_fragments_and_questions_and_is_counted() {
    let mut bench = Bench::new(HostConfig { mtu: 1280, ..config() });
    bench.know("192.0.2.77", THEM);
    let mut packet = bench.pool.alloc().unwrap();
    packet.copy_from(&[0; 2000]);
    packet.meta.endpoint = to("192.0.2.77");
    let held: Vec<_> = std::iter::from_fn(|| bench.pool.alloc()).collect();
    let mut burst = Burst::new();
    burst.push(packet).unwrap();
    bench.io.tx_burst(&mut burst);
    assert_eq!(bench.changes(), [(C::TxFragmented, 1), (C::OwnDropNoBuffer, 2)]);
    drop(held);
    let mut packet = bench.pool.alloc().unwrap();
    packet.copy_from(b"x");
    packet.meta.endpoint = to("192.0.2.5");
    let held: Vec<_> = std::iter::from_fn(|| bench.pool.alloc()).collect();
    burst.push(packet).unwrap();
    bench.io.tx_burst(&mut burst);
    bench.assert_counted(&[C::TxWaiting, C::OwnDropNoBuffer]);
    drop(held);
    // The next question goes.
    bench.pass(Duration::from_secs(1));
    bench.assert_counted(&[C::TxArpRequest]);
}
