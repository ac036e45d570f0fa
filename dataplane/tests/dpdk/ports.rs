//! What DPDK ports have of their own: ownership of packets, queues, tags, checksums, closing.

use std::net::UdpSocket;

use dataplane::endpoint::Endpoint;
use dataplane::io::dpdk::{Copies, DpdkPort, Offloads, PortConfig};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{BURST, Burst};

use crate::devices::{await_link, eal, memif_pair, mempool, open, tap_and_stack, turn};
use crate::suite::{assert_nothing_more, frame, large_pool, receive, send_all};
use crate::world::{self, ip};

/// A packet goes in at one port and out at another without being copied, grown and shrunk on the way; and all memory comes back.
#[test]
fn packets_pass_from_port_to_port_as_they_are() {
    let _turn = turn();
    let ((mut from, mut a), (mut b, mut to)) = (memif_pair(), memif_pair());
    let pool = a.mempool().pool();
    let other = large_pool();
    for number in 0..200 {
        send_all(&mut from, &other, &[frame(number, 100)], Endpoint::NONE);
        let mut burst = Burst::new();
        while burst.is_empty() {
            a.rx_burst(&pool, &mut burst);
        }
        let packet = &mut burst[0];
        assert_eq!(packet.data(), frame(number, 100));
        packet.prepend(40).unwrap().fill(0xaa);
        packet.append(400).unwrap().fill(0xbb);
        packet.trim_front(20);
        assert_eq!(b.tx_burst(&mut burst), 1);
        let got = receive(&mut to, &other, 1).remove(0).0;
        assert_eq!(
            (&got[..20], &got[20..120], &got[120..]),
            (&[0xaa; 20][..], &frame(number, 100)[..], &[0xbb; 400][..])
        );
    }
    assert_eq!((a.copies(), b.copies()), (Copies::default(), Copies::default()));
    assert_eq!((from.copies(), to.copies()), (Copies { rx: 0, tx: 200 }, Copies { rx: 200, tx: 0 }));
    assert_eq!(pool.in_use(), 0);
    let mempools = [&from, &a, &b, &to].map(|io| io.mempool().clone());
    drop(pool);
    drop((from, a, b, to));
    for mempool in mempools {
        assert_eq!(mempool.available(), mempool.config().packets);
    }
}

/// A worker is another thread than the one that opens ports, and packets may outlive both port and pool.
#[test]
fn ports_go_to_their_workers_threads() {
    let _turn = turn();
    let (mut a, mut b) = memif_pair();
    let mempool = b.mempool().clone();
    std::thread::spawn(move || {
        let (pool_a, pool_b) = (a.mempool().pool(), b.mempool().pool());
        let mut received = Vec::new();
        for number in 0..3000 {
            let mut burst = Burst::new();
            let mut packet = pool_a.alloc().unwrap();
            assert!(packet.copy_from(&frame(number, 700)));
            burst.push(packet).unwrap();
            assert_eq!(a.tx_burst(&mut burst), 1);
            while burst.is_empty() {
                b.rx_burst(&pool_b, &mut burst);
            }
            assert_eq!(burst[0].data(), frame(number, 700));
            if number % 10 == 0 {
                received.extend(burst.drain());
            }
        }
        assert_eq!(pool_b.in_use(), 300);
        drop((a, b, pool_a, pool_b));
        assert!(received.iter().zip(0..).all(|(packet, i)| packet.data() == frame(i * 10, 700)));
    })
    .join()
    .unwrap();
    assert_eq!(mempool.available(), mempool.config().packets);
}

/// The contract's cases would do for packets that are all alike; here each burst has some of both memories and some that cannot be sent.
#[test]
fn a_burst_may_be_mixed() {
    let _turn = turn();
    let (mut a, mut b) = memif_pair();
    let (own, pool) = (large_pool(), a.mempool().pool());
    for _ in 0..20 {
        let (mut burst, mut expected) = (Burst::new(), Vec::new());
        for i in 0..BURST as u32 {
            let mut packet = if i % 3 == 0 { &own } else { &pool }.alloc().unwrap();
            let len = [100, 13, 300, 1519, 60][i as usize % 5];
            assert!(packet.copy_from(&frame(i, len)));
            burst.push(packet).unwrap();
            if (14..=1518).contains(&len) {
                expected.push(frame(i, len));
            }
        }
        assert_eq!(a.tx_burst(&mut burst), BURST);
        let got: Vec<_> = receive(&mut b, &own, expected.len()).into_iter().map(|r| r.0).collect();
        assert_eq!(got, expected);
        assert_eq!((own.in_use(), pool.in_use()), (0, 0));
    }
    let stats = a.stats();
    assert_eq!((stats.tx_packets, stats.tx_undersize, stats.tx_oversize), (20 * 19, 20 * 7, 20 * 6));
}

#[test]
fn vlan_tags_survive() {
    let _turn = turn();
    world::a_namespace(|| {
        let (a, b) = world::veth();
        let [mut a, mut b] = [a, b].map(|name| open(&crate::devices::af_packet_device(&name)));
        let pool = b.mempool().pool();
        let tagged = |number, len, tags: &[[u8; 4]]| {
            let mut frame = frame(number, len);
            frame.splice(12..12, tags.concat());
            frame
        };
        let frames = [
            tagged(0, 300, &[]),
            tagged(1, 300, &[[0x81, 0x00, 0xa0, 0x64]]),
            tagged(2, 1514, &[[0x81, 0x00, 0x00, 0x64]]),
        ];
        send_all(&mut a, &large_pool(), &frames, Endpoint::NONE);
        let received: Vec<_> = receive(&mut b, &pool, frames.len()).into_iter().map(|r| r.0).collect();
        assert_eq!(received, frames);
    });
}

/// The kernel spreads flows over the queues of a TAP interface, which go to workers of their own.
#[test]
fn queues_share_the_flows() {
    let _turn = turn();
    world::a_namespace(|| {
        let mempools = [mempool(2048), mempool(2048)];
        let config = PortConfig {
            rx_descriptors: 256,
            tx_descriptors: 256,
            ..PortConfig::new("net_tap_dtq,iface=dtq")
        };
        let mut queues = DpdkPort::open(&config, &mempools).unwrap();
        ip("address add 192.0.2.1/24 dev dtq");
        ip("neighbour add 192.0.2.2 lladdr 02:00:00:00:00:0b dev dtq");
        let sockets: Vec<_> = (0..64).map(|_| UdpSocket::bind("192.0.2.1:0").unwrap()).collect();
        for socket in sockets.iter().cycle().take(256) {
            socket.send_to(&[1; 50], "192.0.2.2:9").unwrap();
        }
        let pools = mempools.each_ref().map(|mempool| mempool.pool());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let mut got = [0, 0];
        while got[0] + got[1] < 256 {
            for ((queue, pool), got) in queues.iter_mut().zip(&pools).zip(&mut got) {
                *got += queue.rx_burst(pool, &mut Burst::new());
            }
            assert!(std::time::Instant::now() < deadline, "{got:?} of 256 arrived");
        }
        assert!(got[0] > 0 && got[1] > 0, "{got:?}");
        assert_eq!(queues[0].stats().rx_packets, got[0] as u64);
    });
}

#[test]
fn checksums_are_left_to_the_device() {
    let _turn = turn();
    world::a_namespace(|| {
        let config = PortConfig { checksums: true, ..PortConfig::new("net_tap_dtc,iface=dtc") };
        let mut tap = DpdkPort::open(&config, &[mempool(4096)]).unwrap().remove(0);
        let on = Offloads { rx_ipv4: true, rx_udp: true, tx_ipv4: true, tx_udp: true };
        assert_eq!((tap.port().offloads(), tap.port().driver()), (on, "net_tap"));
        let mut stack = dataplane::io::af_packet::AfPacketIo::open("dtc").unwrap();
        let pool = tap.mempool().pool();
        for (tags, good) in [(0, v4()), (1, v4()), (0, v6()), (2, v6())] {
            let with_tags = |mut frame: Vec<u8>| {
                for _ in 0..tags {
                    frame.splice(12..12, [0x81, 0, 0, 5]);
                }
                frame
            };
            let mut bad = good.clone();
            let udp = if good[14] >> 4 == 4 { 34 } else { 54 };
            bad[udp + 6..udp + 8].fill(0xee);
            if udp == 34 {
                bad[24..26].fill(0xee);
            }
            send_all(&mut tap, &pool, &[with_tags(bad.clone())], Endpoint::NONE);
            assert_eq!(receive(&mut stack, &pool, 1)[0].0, with_tags(good.clone()));
            // And the other way: what is wrong is dropped.
            if tags == 0 {
                let before = tap.stats().rx_errors;
                send_all(&mut stack, &pool, &[bad, good.clone()], Endpoint::NONE);
                assert_eq!(receive(&mut tap, &pool, 1)[0].0, good);
                assert_eq!(tap.stats().rx_errors, before + 1);
            }
        }
        // What is no IP, or a fragment, or cut short, goes as it is.
        let mut fragment = v4();
        fragment[20] |= 0x20;
        let sum = !ones(&[&fragment[14..24], &fragment[26..34]]);
        fragment[24..26].copy_from_slice(&sum.to_be_bytes());
        let mut without = v4();
        without[40..42].fill(0);
        for other in [frame(0, 60), fragment, without, v4()[..40].to_vec()] {
            send_all(&mut tap, &pool, std::slice::from_ref(&other), Endpoint::NONE);
            let got = receive(&mut stack, &pool, 1).remove(0).0;
            assert_eq!(got.len(), other.len());
            assert_eq!(got[26..], other[26..]);
        }
    });
}

#[test]
fn a_port_can_be_opened_again() {
    let _turn = turn();
    world::a_namespace(|| {
        for round in 0..3 {
            let device = "net_tap_dto,iface=dto";
            let mut tap = open(device);
            assert!(tap.port().link().up);
            let error = DpdkPort::open(&PortConfig::new(device), &[mempool(512)]).unwrap_err().to_string();
            assert!(error.contains("`net_tap_dto,iface=dto`") && error.contains("open already"), "{error}");
            send_all(&mut tap, &large_pool(), &[frame(round, 100)], Endpoint::NONE);
            assert_eq!(tap.stats(), IoStats { tx_packets: 1, tx_bytes: 100, ..IoStats::default() });
            drop(tap);
            assert!(!ip("link show").contains("dto"));
        }
        let (tap, _stack) = tap_and_stack();
        assert_eq!((tap.port().mtu(), tap.port().mac().len()), (1500, 6));
    });
}

#[test]
fn the_mtu_is_as_configured() {
    let _turn = turn();
    world::a_namespace(|| {
        let config = PortConfig { mtu: Some(1400), ..PortConfig::new("net_tap_dtm,iface=dtm") };
        let mut tap = DpdkPort::open(&config, &[mempool(4096)]).unwrap().remove(0);
        assert_eq!(tap.port().mtu(), 1400);
        let shown = ip("link show dtm");
        assert!(shown.contains("mtu 1400"), "{shown}");
        send_all(&mut tap, &large_pool(), &[frame(0, 1419), frame(1, 1418)], Endpoint::NONE);
        assert_eq!((tap.stats().tx_packets, tap.stats().tx_oversize), (1, 1));
    });
}

/// A device that makes packets as fast as it can, and takes all.
#[test]
fn a_source_and_sink_of_frames() {
    let _turn = turn();
    let mut null = open(&format!("{},size=64", world::fresh("net_null")));
    await_link(&null);
    let pool = null.mempool().pool();
    let mut burst = Burst::new();
    for _ in 0..1000 {
        assert_eq!(null.rx_burst(&pool, &mut burst), BURST);
        assert_eq!(null.tx_burst(&mut burst), BURST);
    }
    assert_eq!(pool.in_use(), 0);
    let stats = null.stats();
    assert_eq!((stats.rx_packets, stats.rx_bytes, stats.tx_packets), (32_000, 64 * 32_000, 32_000));
    assert!(eal().version().starts_with("DPDK "));
    // What it received from itself.
    let mut ring = open(&world::fresh("net_ring"));
    send_all(&mut ring, &pool, &[frame(7, 200)], Endpoint::NONE);
    let pool = ring.mempool().pool();
    assert_eq!(receive(&mut ring, &pool, 1)[0].0, frame(7, 200));
    assert_nothing_more(&mut ring, &pool);
}

/// A UDP datagram in IPv4 in Ethernet, with right checksums.
fn v4() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 60, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let sum = !ones(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = udp(&packet[12..20]);
    [&frame(0, 12)[..], &[8, 0], &packet, &udp].concat()
}

/// The same in IPv6.
fn v6() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 40, 17, 64];
    for last in [1, 2] {
        packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    let udp = udp(&packet[8..40]);
    [&frame(0, 12)[..], &[0x86, 0xdd], &packet, &udp].concat()
}

fn udp(addresses: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x14, 0x7f, 0x14, 0x80, 0, 40, 0, 0];
    datagram.extend(0..32);
    let sum = !ones(&[addresses, &[0, 17, 0, 40], &datagram]);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// Sum of 16-bit words as RFC 1071 has it.
fn ones(parts: &[&[u8]]) -> u16 {
    let words = parts.concat();
    let mut sum: u32 = words.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
