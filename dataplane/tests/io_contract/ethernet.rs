//! What TAP interfaces and packet sockets have of their own.

use std::net::UdpSocket;

use dataplane::endpoint::Endpoint;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::tap::{TapConfig, TapIo};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{Burst, Pool, PoolConfig};

use crate::suite::{assert_nothing_more, frame, large_pool, receive, send_all};
use crate::world::{self, ip, veth};

/// The kernel takes tags off; whoever receives must see the frame as it was on the wire.
#[test]
fn vlan_tags_survive() {
    world::a_namespace(|| {
        let (a, b) = veth();
        let (mut a, mut b) = (AfPacketIo::open(&a).unwrap(), AfPacketIo::open(&b).unwrap());
        let pool = large_pool();
        let tagged = |number, tags: &[[u8; 4]]| {
            let mut frame = frame(number, 300);
            frame.splice(12..12, tags.concat());
            frame
        };
        let frames = [
            tagged(0, &[]),
            tagged(1, &[[0x81, 0x00, 0xa0, 0x64]]),
            tagged(2, &[[0x88, 0xa8, 0x00, 0x07], [0x81, 0x00, 0x00, 0x64]]),
            tagged(3, &[[0x81, 0x00, 0x00, 0x00]]),
        ];
        send_all(&mut a, &pool, &frames, Endpoint::NONE);
        let received: Vec<_> = receive(&mut b, &pool, frames.len()).into_iter().map(|r| r.0).collect();
        assert_eq!(received, frames);
        // A full frame with a tag is still a full frame.
        let full = {
            let mut full = frame(4, 1514);
            full.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
            full
        };
        send_all(&mut a, &pool, std::slice::from_ref(&full), Endpoint::NONE);
        assert_eq!(receive(&mut b, &pool, 1)[0].0, full);
    });
}

#[test]
fn a_tag_that_does_not_fit_is_a_counted_drop() {
    world::a_namespace(|| {
        let (a, b) = veth();
        let (mut a, mut b) = (AfPacketIo::open(&a).unwrap(), AfPacketIo::open(&b).unwrap());
        let pool = large_pool();
        let tight = Pool::new(PoolConfig { packets: 32, buffer: 2000, headroom: 0 });
        let mut tagged = frame(0, 300);
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
        send_all(&mut a, &pool, &[tagged, frame(1, 300)], Endpoint::NONE);
        assert_eq!(receive(&mut b, &tight, 1)[0].0, frame(1, 300));
        assert_eq!(
            b.stats(),
            IoStats { rx_packets: 1, rx_bytes: 300, rx_truncated: 1, ..IoStats::default() }
        );
    });
}

/// Local senders leave checksums to a network card; a virtual link has none.
#[test]
fn checksums_are_filled_in() {
    world::a_namespace(|| {
        let (a, b) = veth();
        ip(&format!("address add 192.0.2.1/24 dev {a}"));
        ip(&format!("neighbour add 192.0.2.2 lladdr 02:00:00:00:00:0b dev {a}"));
        let mut io = AfPacketIo::open(&b).unwrap();
        let pool = large_pool();
        let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
        socket.send_to(&frame(0, 333), "192.0.2.2:5247").unwrap();
        let frame = receive(&mut io, &pool, 1).remove(0).0;
        let (header, datagram) = frame[14..].split_at(20);
        assert_eq!(sum(header, 0), 0xffff);
        let pseudo_header = sum(&header[12..20], 17 + datagram.len() as u32);
        assert_eq!(sum(datagram, pseudo_header), 0xffff);
    });
}

/// Frames that the kernel merged are longer than any packet may be.
#[test]
fn merged_frames_are_dropped_and_counted() {
    world::a_namespace(|| {
        let (a, b) = veth();
        ip(&format!("address add 192.0.2.1/24 dev {a}"));
        ip(&format!("neighbour add 192.0.2.2 lladdr 02:00:00:00:00:0b dev {a}"));
        let mut io = AfPacketIo::open(&b).unwrap();
        let pool = large_pool();
        let mut udp = dataplane::io::udp::UdpIo::bind("192.0.2.1:0".parse().unwrap(), false).unwrap();
        let there = "192.0.2.2:5247".parse().unwrap();
        send_all(&mut udp, &pool, &[frame(0, 100), frame(1, 100), frame(2, 100), frame(3, 101)], there);
        // The last does not belong to the run.
        assert_eq!(receive(&mut io, &pool, 1)[0].0[42..], frame(3, 101));
        assert_eq!((io.stats().rx_packets, io.stats().rx_truncated), (1, 1));
    });
}

#[test]
fn a_packet_socket_sees_one_interface_and_not_what_it_sends() {
    world::a_namespace(|| {
        let ((a, b), (c, d)) = (veth(), veth());
        let [mut a, mut b, mut c, mut d] = [a, b, c, d].map(|name| AfPacketIo::open(&name).unwrap());
        let pool = large_pool();
        send_all(&mut a, &pool, &[frame(0, 100)], Endpoint::NONE);
        assert_eq!(receive(&mut b, &pool, 1)[0].0, frame(0, 100));
        for io in [&mut a, &mut c, &mut d] {
            assert_nothing_more(io, &pool);
        }
    });
}

#[test]
fn an_interface_that_is_down_is_counted_and_recovers() {
    world::a_namespace(|| {
        let (a, b) = veth();
        let (mut io_a, mut io_b) = (AfPacketIo::open(&a).unwrap(), AfPacketIo::open(&b).unwrap());
        let pool = large_pool();
        ip(&format!("link set {a} down"));
        send_all(&mut io_a, &pool, &[frame(0, 100), frame(1, 100)], Endpoint::NONE);
        assert_nothing_more(&mut io_a, &pool);
        let stats = io_a.stats();
        assert_eq!((stats.tx_packets, stats.tx_errors), (0, 2));
        world::bring_up(&a);
        send_all(&mut io_a, &pool, &[frame(2, 100)], Endpoint::NONE);
        assert_eq!(receive(&mut io_b, &pool, 1)[0].0, frame(2, 100));
    });
}

#[test]
fn a_tap_interface_has_the_name_and_mtu_asked_for_and_goes_with_its_queues() {
    world::a_namespace(|| {
        let config = TapConfig { queues: 2, mtu: Some(1400), up: true };
        let queues = TapIo::open_with("ttg-test", config).unwrap();
        assert_eq!((queues.len(), queues[0].name()), (2, "ttg-test"));
        let shown = ip("link show ttg-test");
        assert!(shown.contains("mtu 1400") && shown.contains(",UP"), "{shown}");
        drop(queues);
        assert!(!ip("link show").contains("ttg-test"));
        let down = TapIo::open_with("ttg-test", TapConfig { up: false, ..TapConfig::default() }).unwrap();
        assert!(!ip("link show ttg-test").contains(",UP"));
        drop(down);
    });
}

/// The kernel spreads flows over the queues; together they have everything, each flow in order.
#[test]
fn the_queues_of_a_tap_interface_share_the_flows() {
    world::a_namespace(|| {
        let mut queues = TapIo::open("ttg-test", 2).unwrap();
        ip("address add 192.0.2.1/24 dev ttg-test");
        ip("neighbour add 192.0.2.2 lladdr 02:00:00:00:00:0b dev ttg-test");
        let pool = large_pool();
        let sockets: Vec<_> = (0..64).map(|_| UdpSocket::bind("192.0.2.1:0").unwrap()).collect();
        for number in 0..4u8 {
            for socket in &sockets {
                socket.send_to(&[number; 50], "192.0.2.2:9").unwrap();
            }
        }
        let mut next = std::collections::HashMap::new();
        let mut got = 0;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while got < 256 {
            for queue in &mut queues {
                let mut burst = Burst::new();
                got += queue.rx_burst(&pool, &mut burst);
                for packet in burst.iter() {
                    let port = [packet.data()[34], packet.data()[35]];
                    let expected = next.entry(port).or_insert(0);
                    assert_eq!(packet.data()[42], *expected);
                    *expected += 1;
                }
            }
            assert!(std::time::Instant::now() < deadline, "{got} of 256 arrived");
        }
        // That one of them got all has a chance of 2 in 2⁶⁴.
        assert!(queues.iter().all(|queue| queue.stats().rx_packets > 0));
    });
}

/// Sum of 16-bit words as RFC 1071 has it.
fn sum(octets: &[u8], start: u32) -> u32 {
    let words = octets.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], *w.get(1).unwrap_or(&0)])));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}
