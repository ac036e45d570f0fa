//! Each way a frame can end, with the counter that says so.

use dataplane::io::PacketIo;
use dataplane::io::host::{HostConfig, HostCounter as C};
use dot11::MacAddr;

use crate::bench::*;

const PORTS: (u16, u16) = (40000, 5247);

#[test]
fn datagrams_come_with_their_peer_and_our_address() {
    let mut bench = Bench::new(config());
    for (from, to, local) in [
        ("192.0.2.77", "192.0.2.10", 1),
        ("198.51.100.1", "192.0.2.11", 2),
        ("2001:db8::77", "2001:db8::10", 3),
        ("2001:db8:1::1", "2001:db8::10", 3),
        ("fe80::77", "fe80::ff:fe00:10", 4),
    ] {
        let got = bench.arrives(&datagram(from, to, PORTS, b"hello"));
        let [(peer, data)] = &got[..] else { panic!("{got:?}") };
        assert!(peer.is_same_peer(&endpoint(ip(from), 40000)), "{peer}");
        assert_eq!((peer.local, &data[..]), (local, &b"hello"[..]));
        bench.assert_counted(&[C::RxDatagrams]);
    }
    assert_eq!(bench.io.stats().rx_packets, 5);
    assert_eq!(bench.io.stats().rx_bytes, 25);
    assert!(bench.sent().is_empty());
}

#[test]
fn padding_is_cut_off_and_empty_datagrams_count() {
    let mut bench = Bench::new(config());
    let mut frame = datagram("192.0.2.77", "192.0.2.10", PORTS, b"");
    frame.resize(60, 0xee);
    assert_eq!(bench.arrives(&frame)[0].1, b"");
    let mut frame = datagram("2001:db8::77", "2001:db8::10", PORTS, b"x");
    frame.resize(100, 0xee);
    assert_eq!(bench.arrives(&frame)[0].1, b"x");
    // UDP may say less than IP (RFC 768 is silent; what is behind is nobody's).
    let mut inner = segment("192.0.2.77", "192.0.2.10", PORTS, b"ab");
    inner.extend_from_slice(b"surplus");
    assert_eq!(bench.arrives(&ip4("192.0.2.77", "192.0.2.10", 17, &inner))[0].1, b"ab");
    // IPv4 without checksum, and with options.
    let mut inner = segment("192.0.2.77", "192.0.2.10", PORTS, b"ab");
    inner[6..8].fill(0);
    assert_eq!(bench.arrives(&ip4("192.0.2.77", "192.0.2.10", 17, &inner))[0].1, b"ab");
    let options =
        [&[0, 0, 17, 0, 1, 4, 0, 0, 0, 0][2..], &segment("2001:db8::77", "2001:db8::10", PORTS, b"ab")]
            .concat();
    let options = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &options[8..]].concat();
    assert_eq!(bench.arrives(&ip6("2001:db8::77", "2001:db8::10", 60, 64, &options))[0].1, b"ab");
    assert_eq!(bench.changes(), [(C::RxDatagrams, 5)]);
}

/// One table row: a frame and the only counters that change.
fn check(bench: &mut Bench, what: &str, frame: &[u8], counters: &[C]) {
    assert!(bench.arrives(frame).is_empty(), "{what}");
    let expected: Vec<_> = counters.iter().map(|&counter| (counter, 1)).collect();
    assert_eq!(bench.changes(), expected, "{what}");
}

#[test]
fn each_wrong_frame_has_its_counter() {
    let mut bench = Bench::new(config());
    let good = datagram("192.0.2.77", "192.0.2.10", PORTS, b"hello");
    let good6 = datagram("2001:db8::77", "2001:db8::10", PORTS, b"hello");
    let with = |frame: &[u8], changes: &[(usize, u8)]| {
        let mut frame = frame.to_vec();
        changes.iter().for_each(|&(at, to)| frame[at] = to);
        frame
    };
    let to = |frame: &[u8], mac: MacAddr| [&mac.0, &frame[6..]].concat();
    let from = |source: &str| datagram(source, "192.0.2.10", PORTS, b"hello");
    let from6 = |source: &str| datagram(source, "2001:db8::10", PORTS, b"hello");
    let bare = |payload: &[u8]| ip4("192.0.2.77", "192.0.2.10", 17, payload);
    let group6 = |to: &str| {
        let segment = segment("2001:db8::77", to, PORTS, b"");
        ip6("2001:db8::77", to, 17, 64, &segment)
    };
    let echo = icmp4(8, 0, [0; 4], b"");
    let table: Vec<(&str, Vec<u8>, C)> = vec![
        ("13 octets", good[..13].to_vec(), C::DropShort),
        ("for another host", to(&good, THEM), C::DropOtherMac),
        ("from our own address", with(&good, &[(11, 0x10)]), C::DropSourceMac),
        ("from a group", with(&good, &[(6, 3)]), C::DropSourceMac),
        ("on a VLAN", tagged(good.clone(), 7), C::DropVlan),
        ("tagged twice", tagged(tagged(good.clone(), 0), 0), C::DropVlan),
        ("tagged by a provider", with(&tagged(good.clone(), 0), &[(12, 0x88), (13, 0xa8)]), C::DropVlan),
        ("LLDP", ethernet(US, THEM, 0x88cc, &[0; 50]), C::DropEtherType),
        ("802.3 with LLC", ethernet(US, THEM, 50, &[0; 50]), C::DropEtherType),
        ("IPv4 cut off", good[..40].to_vec(), C::DropIpHeader),
        ("IPv5", with(&good, &[(14, 0x55)]), C::DropIpHeader),
        ("wrong header checksum", with(&good, &[(24, !good[24])]), C::DropIpChecksum),
        ("IPv6 cut off", good6[..60].to_vec(), C::DropIpHeader),
        (
            "an IPv6 fragment",
            ip6("2001:db8::77", "2001:db8::10", 44, 64, &[17, 0, 0, 1, 0, 0, 0, 0]),
            C::DropFragment,
        ),
        (
            "an IPv6 routing header",
            ip6("2001:db8::77", "2001:db8::10", 43, 64, &[17, 0, 0, 1, 0, 0, 0, 0]),
            C::DropSourceRoute,
        ),
        (
            "unknown IPv6 option",
            ip6("2001:db8::77", "2001:db8::10", 60, 64, &[17, 0, 0xc7, 4, 0, 0, 0, 0]),
            C::DropOptions,
        ),
        ("from nobody", from("0.0.0.0"), C::DropMartian),
        ("from loopback", from("127.0.0.1"), C::DropMartian),
        ("from a group", from("224.0.0.1"), C::DropMartian),
        ("from everybody", from("255.255.255.255"), C::DropMartian),
        ("from all of the subnet", from("192.0.2.255"), C::DropMartian),
        ("from ourselves", from("192.0.2.11"), C::DropMartian),
        ("from nobody", from6("::"), C::DropMartian),
        ("from loopback", from6("::1"), C::DropMartian),
        ("from a group", from6("ff02::1"), C::DropMartian),
        ("from a mapped address", from6("::ffff:192.0.2.77"), C::DropMartian),
        ("from ourselves", from6("2001:db8::10"), C::DropMartian),
        ("IPv4 in a broadcast frame", to(&good, MacAddr::BROADCAST), C::DropLinkGroup),
        ("IPv6 in a multicast frame", to(&good6, MacAddr([0x33, 0x33, 0, 0, 0, 1])), C::DropLinkGroup),
        ("to another host", datagram("192.0.2.77", "192.0.2.12", PORTS, b""), C::DropOtherAddress),
        ("to another host", datagram("2001:db8::77", "2001:db8::11", PORTS, b""), C::DropOtherAddress),
        (
            "to all of the subnet",
            to(&datagram("192.0.2.77", "192.0.2.255", PORTS, b""), MacAddr::BROADCAST),
            C::RxGroup,
        ),
        (
            "to everybody",
            to(&datagram("192.0.2.77", "255.255.255.255", PORTS, b""), MacAddr::BROADCAST),
            C::RxGroup,
        ),
        ("to a group", datagram("192.0.2.77", "224.0.0.251", PORTS, b""), C::RxGroup),
        ("to a group", group6("ff02::fb"), C::RxGroup),
        ("UDP header cut off", bare(&[0; 7]), C::DropUdpHeader),
        ("UDP longer than its packet", bare(&[0x9c, 0x40, 0x14, 0x7f, 0, 9, 0, 0]), C::DropUdpHeader),
        ("UDP shorter than its header", bare(&[0x9c, 0x40, 0x14, 0x7f, 0, 7, 0, 0]), C::DropUdpHeader),
        ("wrong UDP checksum", with(&good, &[(46, !good[46])]), C::DropUdpChecksum),
        ("wrong UDP checksum", with(&good6, &[(66, !good6[66])]), C::DropUdpChecksum),
        ("no UDP checksum over IPv6", with(&good6, &[(60, 0), (61, 0)]), C::DropUdpChecksum),
        ("from port 0", datagram("192.0.2.77", "192.0.2.10", (0, 5247), b""), C::DropPort),
        ("ICMP cut off", ip4("192.0.2.77", "192.0.2.10", 1, &[8, 0, 0xf7, 0xff]), C::DropIcmp),
        ("wrong ICMP checksum", ip4("192.0.2.77", "192.0.2.10", 1, &[8, 0, 0, 0, 0, 0, 0, 0]), C::DropIcmp),
        (
            "wrong ICMPv6 checksum",
            ip6("2001:db8::77", "2001:db8::10", 58, 64, &[128, 0, 0, 0, 0, 0, 0, 0]),
            C::DropIcmp,
        ),
        (
            "echo to everybody",
            to(&ip4("192.0.2.77", "192.0.2.255", 1, &echo), MacAddr::BROADCAST),
            C::RxGroup,
        ),
        ("an echo reply", ip4("192.0.2.77", "192.0.2.10", 1, &icmp4(0, 0, [0; 4], b"")), C::RxIcmpOther),
        ("an error", ip4("192.0.2.77", "192.0.2.10", 1, &icmp4(3, 3, [0; 4], &good[14..42])), C::RxIcmpError),
        (
            "a redirect",
            ip4("192.0.2.77", "192.0.2.10", 1, &icmp4(5, 1, [0; 4], &good[14..42])),
            C::RxIcmpError,
        ),
    ];
    for (what, frame, counter) in &table {
        check(&mut bench, what, frame, &[*counter]);
    }
    assert_eq!(bench.sent(), Vec::<Vec<u8>>::new(), "no answer to any of them");
    assert_eq!(bench.io.stats().rx_packets, 0);
    // Fragments: the header's checksum has to be right for that.
    for fragment in [0x2000u16, 0x0001, 0x2001] {
        let header = dataplane::inet::ipv4::Write {
            source: v4("192.0.2.77"),
            destination: v4("192.0.2.10"),
            protocol: 17,
            total_len: 28,
            identification: 9,
            fragment,
        };
        let mut octets = [0; 28];
        header.to(octets.first_chunk_mut().unwrap());
        check(&mut bench, "an IPv4 fragment", &ethernet(US, THEM, 0x0800, &octets), &[C::DropFragment]);
    }
    let all_group = [("all nodes", "ff02::1"), ("all routers", "ff02::2")];
    for (what, to) in all_group {
        let message = icmp6("2001:db8::77", to, 128, 0, [0; 4], b"");
        check(&mut bench, what, &ip6("2001:db8::77", to, 58, 64, &message), &[C::RxIcmpOther]);
    }
}

#[test]
fn a_host_on_a_vlan_takes_and_sends_only_that() {
    let mut bench = Bench::new(HostConfig { vlan: Some(100), ..config() });
    let good = datagram("192.0.2.77", "192.0.2.10", PORTS, b"hello");
    assert_eq!(bench.arrives(&tagged(good.clone(), 100))[0].1, b"hello");
    assert_eq!(bench.arrives(&tagged(good.clone(), 100 | 5 << 13))[0].1, b"hello", "whatever the priority");
    assert_eq!(bench.changes(), [(C::RxDatagrams, 2)]);
    check(&mut bench, "untagged", &good, &[C::DropVlan]);
    check(&mut bench, "another VLAN", &tagged(good.clone(), 101), &[C::DropVlan]);
    check(&mut bench, "priority tag", &tagged(good, 0), &[C::DropVlan]);
    bench.arrives(&tagged(arp_request(THEM, "192.0.2.77", "192.0.2.10"), 100));
    let answer = bench.sent().remove(0);
    assert_eq!(answer[..18], tagged(ethernet(THEM, US, 0x0806, &[]), 100));
    // An untagged host takes priority tags.
    let mut bench = Bench::new(config());
    let good = datagram("192.0.2.77", "192.0.2.10", PORTS, b"hello");
    assert_eq!(bench.arrives(&tagged(good, 3 << 13))[0].1, b"hello");
}

#[test]
fn echo_is_answered_up_to_a_rate_and_a_size() {
    let mut bench = Bench::new(config());
    let message = icmp4(8, 0, [1, 2, 3, 4], b"some data");
    bench.arrives(&ip4("198.51.100.1", "192.0.2.11", 1, &message));
    let answer = bench.sent().remove(0);
    assert_eq!(answer[..12], ethernet(THEM, US, 0, &[])[..12], "back to where it came from");
    let (from, to, protocol, payload) = opened(&answer);
    assert_eq!((from, to, protocol), (ip("192.0.2.11"), ip("198.51.100.1"), 1));
    assert_eq!((payload[0], payload[1], &payload[4..]), (0, 0, &message[4..]));
    bench.assert_counted(&[C::RxEcho, C::TxEchoReply]);

    let message = icmp6("fe80::77", "2001:db8::10", 128, 0, [1, 2, 3, 4], b"some data");
    bench.arrives(&ip6("fe80::77", "2001:db8::10", 58, 64, &message));
    let (from, to, protocol, payload) = opened(&bench.sent().remove(0));
    assert_eq!((from, to, protocol), (ip("2001:db8::10"), ip("fe80::77"), 58));
    assert_eq!((payload[0], payload[1], &payload[4..]), (129, 0, &message[4..]));
    bench.assert_counted(&[C::RxEcho, C::TxEchoReply]);

    let long = icmp4(8, 0, [0; 4], &[0; 1472]);
    bench.arrives(&ip4("192.0.2.77", "192.0.2.10", 1, &long));
    assert_eq!(bench.sent().len(), 1);
    bench.assert_counted(&[C::RxEcho, C::TxEchoReply]);
    let longer = icmp4(8, 0, [0; 4], &[0; 1473]);
    check(
        &mut bench,
        "longer than the link takes",
        &ip4("192.0.2.77", "192.0.2.10", 1, &longer),
        &[C::DropEcho],
    );

    for _ in 0..250 {
        bench.arrives(&ip4("192.0.2.77", "192.0.2.10", 1, &message_of(8)));
        bench.sent();
    }
    assert_eq!(bench.changes(), [(C::RxEcho, 197), (C::DropEcho, 53), (C::TxEchoReply, 197)]);
    bench.pass(std::time::Duration::from_millis(10));
    for _ in 0..20 {
        bench.arrives(&ip4("192.0.2.77", "192.0.2.10", 1, &message_of(8)));
    }
    assert_eq!(bench.changes(), [(C::RxEcho, 10), (C::DropEcho, 10), (C::TxEchoReply, 10)]);
}

fn message_of(kind: u8) -> Vec<u8> {
    icmp4(kind, 0, [0; 4], b"")
}

#[test]
fn what_nobody_wants_is_refused_with_an_error_up_to_a_rate() {
    let mut bench = Bench::new(config());
    let closed = datagram("198.51.100.1", "192.0.2.11", (40000, 5246), &[7; 1000]);
    bench.arrives(&closed);
    let (from, to, protocol, error) = opened(&bench.sent().remove(0));
    assert_eq!((from, to, protocol), (ip("192.0.2.11"), ip("198.51.100.1"), 1));
    assert_eq!(
        (&error[..2], error.len()),
        (&[3, 3][..], 576 - 20),
        "port unreachable, no longer than anybody takes"
    );
    assert_eq!(error[8..], closed[14..14 + 548], "which");
    bench.assert_counted(&[C::DropPort, C::TxIcmpError]);

    let closed = datagram("2001:db8:1::1", "2001:db8::10", (40000, 53), b"who is there?");
    bench.arrives(&closed);
    let (from, to, _, error) = opened(&bench.sent().remove(0));
    assert_eq!((from, to), (ip("2001:db8::10"), ip("2001:db8:1::1")));
    assert_eq!((&error[..2], &error[4..8], &error[8..]), (&[1, 4][..], &[0; 4][..], &closed[14..]));
    bench.assert_counted(&[C::DropPort, C::TxIcmpError]);

    bench.arrives(&ip4("192.0.2.77", "192.0.2.10", 6, &[0; 20]));
    let (_, _, _, error) = opened(&bench.sent().remove(0));
    assert_eq!(error[..2], [3, 2], "protocol unreachable");
    bench.assert_counted(&[C::DropProtocol, C::TxIcmpError]);

    let options = [[6, 0, 1, 4, 0, 0, 0, 0], [0; 8]].concat();
    bench.arrives(&ip6("2001:db8::77", "2001:db8::10", 60, 64, &options));
    let (_, _, _, error) = opened(&bench.sent().remove(0));
    assert_eq!(
        (&error[..2], &error[4..8]),
        (&[4, 1][..], &[0, 0, 0, 40][..]),
        "unknown next header, and where it is said"
    );
    bench.assert_counted(&[C::DropProtocol, C::TxIcmpError]);

    for _ in 0..60 {
        bench.arrives(&closed);
    }
    assert_eq!(bench.changes(), [(C::DropPort, 60), (C::TxIcmpError, 46), (C::IcmpErrorLimited, 14)]);
}

#[test]
fn a_burst_that_is_full_is_continued() {
    let mut bench = Bench::new(config());
    for n in 0..40 {
        bench.put(&datagram("192.0.2.77", "192.0.2.10", PORTS, &[n]));
    }
    let mut burst = dataplane::packet::Burst::new();
    for _ in 0..29 {
        burst.push(bench.pool.alloc().unwrap()).unwrap();
    }
    assert_eq!(bench.io.rx_burst_at(bench.now, &bench.pool, &mut burst), 3);
    assert!(bench.io.rx_ready());
    drop(burst);
    let rest = bench.pass(std::time::Duration::ZERO);
    assert_eq!(rest.iter().map(|(_, data)| data[0]).collect::<Vec<_>>(), (3..40).collect::<Vec<_>>());
    assert_eq!(bench.changes(), [(C::RxDatagrams, 40)]);
}
