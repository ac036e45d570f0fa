//! Whatever arrives: nothing panics, every frame is counted once, nothing is kept, and what is sent is right.

use std::time::Duration;

use dataplane::inet::nd::Neighbour;
use dataplane::io::PacketIo;
use dot11::MacAddr;
use proptest::prelude::*;

use crate::bench::*;

/// One frame of each kind that is looked at.
fn originals() -> Vec<Vec<u8>> {
    let group = dataplane::inet::solicited_node(v6("2001:db8::10"));
    let mac = MacAddr(dataplane::inet::multicast_mac(group));
    vec![
        datagram("192.0.2.77", "192.0.2.10", (40000, 5247), b"hello"),
        datagram("2001:db8::77", "2001:db8::10", (40000, 5247), b"hello"),
        datagram("198.51.100.1", "192.0.2.11", (40000, 53), b"hello"),
        datagram("2001:db8:1::1", "2001:db8::10", (40000, 53), b"hello"),
        arp_request(THEM, "192.0.2.77", "192.0.2.10"),
        arp_reply(THEM, v4("192.0.2.1"), US, v4("192.0.2.10")),
        neighbour(THEM, Neighbour::question(v6("2001:db8::10"), Some(THEM)), v6("fe80::77"), group, mac),
        advertisement(THEM, v6("fe80::1"), true),
        ip4("192.0.2.77", "192.0.2.10", 1, &icmp4(8, 0, [0; 4], b"data")),
        ip6(
            "2001:db8::77",
            "2001:db8::10",
            58,
            64,
            &icmp6("2001:db8::77", "2001:db8::10", 128, 0, [0; 4], b"data"),
        ),
        too_big4("192.0.2.10", 5247, "198.51.100.1", 1428, 1006),
        too_big6("2001:db8::10", 5247, "2001:db8:1::1", 1300),
        ip6("2001:db8::77", "2001:db8::10", 0, 64, &[60, 0, 5, 2, 0, 0, 1, 0, 17, 0, 1, 4, 0, 0, 0, 0]),
        tagged(arp_request(THEM, "192.0.2.77", "192.0.2.10"), 0),
    ]
}

fn check(frames: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(config());
    let start = bench.io.host_stats().rx_total();
    for peer in ["192.0.2.77", "198.51.100.1", "2001:db8:1::1"] {
        bench.send(endpoint(ip(peer), 9), &[0; 1400]);
    }
    for frame in frames {
        for (endpoint, data) in bench.arrives(frame) {
            prop_assert!(endpoint.is_some() && data.len() <= frame.len());
        }
        for sent in bench.sent() {
            prop_assert!(sent.len() >= 42 && sent.len() <= 1514);
            prop_assert_eq!(&sent[6..12], &US.0);
            let fragment = match sent[12..14] {
                [0x08, 0x00] => u16::from_be_bytes([sent[20], sent[21]]) & 0x3fff != 0,
                [0x86, 0xdd] => sent[20] == 44,
                _ => true,
            };
            if !fragment {
                opened(&sent);
            }
        }
    }
    prop_assert_eq!(bench.io.host_stats().rx_total() - start, frames.len() as u64);
    for _ in 0..5 {
        bench.pass(Duration::from_secs(2));
    }
    bench.sent();
    prop_assert_eq!(bench.pool.in_use(), 0);
    prop_assert!(bench.io.stats().rx_packets <= frames.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..20)) {
        let mut all = frames.clone();
        // And behind headers that get them further.
        for ether_type in [0x0800, 0x86dd, 0x0806, 0x8100] {
            all.extend(frames.iter().map(|frame| ethernet(US, THEM, ether_type, frame)));
        }
        all.extend(frames.iter().map(|frame| ip4("192.0.2.77", "192.0.2.10", 17, frame)));
        all.extend(frames.iter().map(|frame| ip4("192.0.2.77", "192.0.2.10", 1, frame)));
        for next in [0, 17, 43, 44, 58, 60] {
            all.extend(frames.iter().map(|frame| ip6("2001:db8::77", "2001:db8::10", next, 255, frame)));
        }
        all.extend(frames.iter().map(|f| {
            let kind = f.first().copied().unwrap_or(0);
            ip4("192.0.2.77", "192.0.2.10", 1, &icmp4(kind, 4, [0, 0, 4, 0], f))
        }));
        all.extend(frames.iter().map(|f| {
            let kind = f.first().copied().unwrap_or(0);
            ip6("fe80::77", "2001:db8::10", 58, 255, &icmp6("fe80::77", "2001:db8::10", kind, 0, [0, 0, 4, 0], f))
        }));
        check(&all)?;
    }

    #[test]
    fn changed_frames(edits in prop::collection::vec(
        (any::<prop::sample::Index>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), prop::option::weighted(0.2, any::<prop::sample::Index>())),
        1..60,
    )) {
        let originals = originals();
        let frames: Vec<_> = edits.iter().map(|(which, places, cut)| {
            let mut frame = which.get(&originals).clone();
            for (place, change) in places {
                let at = place.index(frame.len());
                frame[at] ^= change;
            }
            if let Some(cut) = cut {
                frame.truncate(cut.index(frame.len()));
            }
            frame
        }).collect();
        check(&frames)?;
    }
}
