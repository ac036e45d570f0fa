//! Two workers with a queue each: what concerns one may arrive at the other.

use std::sync::Arc;
use std::time::Duration;

use dataplane::clock::Time;
use dataplane::endpoint::Endpoint;
use dataplane::io::PacketIo;
use dataplane::io::host::{Host, HostConfig, HostCounter as C};

use crate::bench::*;

const MOMENT: Duration = Duration::from_millis(1);

fn two(config: HostConfig) -> [Bench; 2] {
    let host = Arc::new(Host::new(config).unwrap());
    let start = Time::from_nanos(1 << 40);
    let mut benches = [0, 1].map(|worker| Bench::of(host.clone(), worker, start));
    for _ in 0..3 {
        benches.iter_mut().for_each(|bench| drop(bench.pass(Duration::from_secs(1))));
    }
    assert!(!benches[0].sent().is_empty() && benches[1].sent().is_empty(), "the first announces");
    benches.iter_mut().for_each(|bench| drop(bench.changes()));
    benches
}

fn to(address: &str) -> Endpoint {
    endpoint(ip(address), 40000)
}

#[test]
fn answers_at_the_other_worker_count() {
    let [mut first, mut second] = two(config());
    for (peer, answer, asked, heard) in [
        ("192.0.2.77", arp_reply(THEM, v4("192.0.2.77"), US, v4("192.0.2.10")), C::TxArpRequest, C::RxArp),
        ("2001:db8::77", advertisement(THEM, v6("2001:db8::77"), true), C::TxSolicitation, C::RxNeighbour),
    ] {
        second.send(to(peer), b"hello");
        second.assert_counted(&[C::TxWaiting, asked]);
        assert_eq!(second.io.deadline(), Some(second.now + Duration::from_millis(10)), "soon it looks again");
        assert_eq!(second.sent().len(), 1);
        first.now = second.now;
        first.arrives(&answer);
        first.assert_counted(&[heard]);
        second.pass(MOMENT);
        let sent = second.sent();
        assert_eq!((sent.len(), &sent[0][..6]), (1, &THEM.0[..]));
        second.assert_counted(&[C::WaitSent, C::NeighbourResolved]);
        // Now the first knows as well, without asking.
        first.send(to(peer), b"hello");
        first.assert_counted(&[C::TxDatagrams]);
        first.sent();
    }
}

#[test]
fn each_answers_for_all_addresses() {
    let mut benches = two(config());
    for bench in &mut benches {
        bench.arrives(&arp_request(THEM, "192.0.2.77", "192.0.2.11"));
        assert_eq!(bench.sent(), [arp_reply(US, v4("192.0.2.11"), THEM, v4("192.0.2.77"))]);
        let message = icmp6("2001:db8::77", "2001:db8::10", 128, 0, [0; 4], b"");
        bench.arrives(&ip6("2001:db8::77", "2001:db8::10", 58, 64, &message));
        assert_eq!(bench.sent().len(), 1);
    }
}

#[test]
fn probes_are_shared_and_moves_are_followed() {
    let [mut first, mut second] = two(config());
    second.send(to("198.51.100.1"), b"");
    first.arrives(&arp_reply(ROUTER, v4("192.0.2.1"), US, v4("192.0.2.10")));
    second.pass(MOMENT);
    first.send(to("198.51.100.1"), b"");
    // The router fails; its substitute announces itself, to the first worker only.
    [&mut first, &mut second].into_iter().for_each(|bench| drop(bench.pass(Duration::from_secs(1))));
    first.arrives(&arp_request(THEM, "192.0.2.1", "192.0.2.1"));
    second.pass(Duration::from_millis(200));
    for bench in [&mut first, &mut second] {
        bench.sent();
        bench.send(to("198.51.100.1"), b"");
        assert_eq!(bench.sent()[0][..6], THEM.0);
    }
}

#[test]
fn next_hops_and_path_mtus_are_shared() {
    let [mut first, mut second] = two(HostConfig { gateways: vec![], ..config() });
    first.arrives(&datagram("198.51.100.1", "192.0.2.10", (40000, 5247), b"hello"));
    second.send(to("198.51.100.1"), &[0; 1200]);
    assert_eq!(second.sent()[0][..6], THEM.0);
    first.arrives(&too_big4("192.0.2.10", 5247, "198.51.100.1", 1228, 1006));
    assert_eq!(second.io.path_mtu(to("198.51.100.1")), 1006);
    second.send(to("198.51.100.1"), &[0; 1200]);
    assert_eq!(second.sent().len(), 2);
    assert_eq!(second.changes(), [(C::TxDatagrams, 1), (C::TxFragmented, 1), (C::TxFragments, 2)]);
}

/// Fragments of two workers to one peer must not be taken for parts of one packet.
#[test]
fn fragment_identifications_differ() {
    let mut benches = two(HostConfig { mtu: 1280, gateways: vec![], ..config() });
    let mut seen = std::collections::HashSet::new();
    for bench in &mut benches {
        bench.arrives(&datagram("198.51.100.1", "192.0.2.10", (40000, 5247), b"hello"));
        for _ in 0..50 {
            bench.send(to("198.51.100.1"), &[0; 1300]);
            let id = bench.sent()[0][18..20].to_vec();
            assert!(seen.insert(id));
        }
    }
}
