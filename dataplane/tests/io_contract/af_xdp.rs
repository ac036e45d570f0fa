//! What AF_XDP ports have of their own.

use std::net::IpAddr;

use dataplane::endpoint::Endpoint;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::af_xdp::{AfXdpConfig, AfXdpIo, AfXdpMode, Take};
use dataplane::io::{IoError, IoStats, PacketIo};

use crate::suite::{assert_nothing_more, frame, frames, large_pool, receive, send_all};
use crate::world::{self, fresh, ip, veth};

const TO: [u8; 4] = [192, 0, 2, 1];

/// A UDP datagram to 192.0.2.1 with a number.
fn datagram(number: u8, port: u16) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 1]);
    frame.extend(TO);
    frame.extend([0x12, 0x34, (port >> 8) as u8, port as u8, 0, 9, 0, 0, number]);
    frame
}

fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend([0x02, 0, 0, 0, 0, 0x0a, 198, 51, 100, 1, 0, 0, 0, 0, 0, 0]);
    frame.extend(TO);
    frame
}

fn config(take: Take, generic: bool) -> AfXdpConfig {
    AfXdpConfig { take, generic, frames: 64, ..AfXdpConfig::default() }
}

/// The kernel goes on to have what is not ours: here a packet socket on the same interface sees it.
#[test]
fn the_kernel_keeps_what_is_not_taken() {
    let address: IpAddr = TO.into();
    let tagged = {
        let mut frame = datagram(3, 5247);
        frame.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
        frame
    };
    let all = [datagram(0, 5247), datagram(1, 22), arp(), tagged.clone(), frame(0, 60), datagram(2, 5247)];
    let ports = Take::UdpPorts { ports: vec![5247], addresses: vec![address] };
    let cases = [(ports, vec![0, 3, 5]), (Take::Addresses(vec![address]), vec![0, 1, 2, 3, 5])];
    for (take, ours) in cases {
        for generic in [false, true] {
            world::a_namespace(|| {
                let (a, b) = veth();
                let mut peer = AfPacketIo::open(&a).unwrap();
                let mut xdp = AfXdpIo::open_with(&b, &config(take.clone(), generic)).unwrap().remove(0);
                let mut kernel = AfPacketIo::open(&b).unwrap();
                let pool = large_pool();
                send_all(&mut peer, &pool, &all, Endpoint::NONE);
                let part = |ours_too: bool| {
                    all.iter()
                        .enumerate()
                        .filter(|(i, _)| ours.contains(i) == ours_too)
                        .map(|(_, frame)| frame.clone())
                        .collect::<Vec<_>>()
                };
                for (io, expected) in
                    [(&mut xdp as &mut dyn PacketIo, part(true)), (&mut kernel, part(false))]
                {
                    let got: Vec<_> =
                        receive(io, &pool, expected.len()).into_iter().map(|packet| packet.0).collect();
                    assert_eq!(got, expected, "{take:?}");
                    assert_nothing_more(io, &pool);
                }
            });
        }
    }
}

#[test]
fn the_program_goes_with_the_last_port_and_another_is_not_replaced() {
    world::a_namespace(|| {
        let (a, _) = veth();
        for generic in [false, true, false] {
            let config = AfXdpConfig { generic, frames: 64, ..AfXdpConfig::default() };
            let ports = AfXdpIo::open_with(&a, &config).unwrap();
            let mode = if generic { AfXdpMode::Generic } else { AfXdpMode::Driver };
            assert_eq!((ports[0].mode(), ports[0].name()), (mode, &*a));
            assert!(ip(&format!("link show {a}")).contains("xdp"), "it is there");
            for other in [false, true] {
                let error =
                    AfXdpIo::open_with(&a, &AfXdpConfig { generic: other, ..config.clone() }).unwrap_err();
                assert!(matches!(error, IoError::XdpBusy(_)), "{error}");
                assert!(error.to_string().contains(&format!("ip link set {a} xdp off")), "{error}");
            }
            drop(ports);
            assert!(!ip(&format!("link show {a}")).contains("xdp"), "it is gone");
        }
    });
}

#[test]
fn queues_are_shared_among_workers_and_none_is_forgotten() {
    world::a_namespace(|| {
        let (a, b) = (fresh("a"), fresh("b"));
        let queues = "numrxqueues 3 numtxqueues 3";
        ip(&format!("link add {a} {queues} type veth peer name {b} {queues}"));
        ip(&format!("link set {a} up"));
        world::bring_up(&b);
        let config = |workers| AfXdpConfig { workers, frames: 64, ..AfXdpConfig::default() };
        let mut senders = AfXdpIo::open_with(&a, &config(3)).unwrap();
        let pool = large_pool();
        // A veth takes what is sent on a queue in on the queue of the same number.
        for workers in [1, 2, 3] {
            let mut receivers = AfXdpIo::open_with(&b, &config(workers)).unwrap();
            assert_eq!(receivers.len(), workers);
            for (number, sender) in senders.iter_mut().enumerate() {
                let frames = frames(number as u32 * 100, &[100; 5]);
                send_all(sender, &pool, &frames, Endpoint::NONE);
                let got = receive(&mut receivers[number % workers], &pool, 5);
                assert_eq!(got.into_iter().map(|packet| packet.0).collect::<Vec<_>>(), frames);
            }
            for receiver in &mut receivers {
                assert_nothing_more(receiver, &pool);
            }
        }
        let error = AfXdpIo::open_with(&b, &config(4)).unwrap_err();
        assert!(matches!(error, IoError::TooFewQueues { queues: 3, workers: 4, .. }), "{error}");
    });
}

/// What the kernel could not place is in its own counters.
#[test]
fn what_nobody_takes_is_counted_as_overflow() {
    for generic in [false, true] {
        world::a_namespace(|| {
            let (a, b) = veth();
            let mut peer = AfPacketIo::open(&a).unwrap();
            let mut io = AfXdpIo::open_with(&b, &config(Take::Everything, generic)).unwrap().remove(0);
            let pool = large_pool();
            for first in (0..96).step_by(32) {
                send_all(&mut peer, &pool, &frames(first, &[100; 32]), Endpoint::NONE);
            }
            let got = receive(&mut io, &pool, 64);
            assert_eq!(got[63].0, frame(63, 100));
            assert_nothing_more(&mut io, &pool);
            let stats = io.stats();
            assert_eq!((stats.rx_packets, stats.rx_overflow), (64, 32), "{stats:?}");
            assert!(stats.rx_starved > 0, "{stats:?}");
            send_all(&mut peer, &pool, &[frame(99, 100)], Endpoint::NONE);
            assert_eq!(receive(&mut io, &pool, 1)[0].0, frame(99, 100));
        });
    }
}

#[test]
fn an_interface_that_is_down_is_counted_and_recovers() {
    for generic in [false, true] {
        world::a_namespace(|| {
            let (a, b) = veth();
            let mut io = AfXdpIo::open_with(&a, &config(Take::Everything, generic)).unwrap().remove(0);
            let mut peer = AfPacketIo::open(&b).unwrap();
            let pool = large_pool();
            send_all(&mut io, &pool, &[frame(0, 100)], Endpoint::NONE);
            assert_eq!(receive(&mut peer, &pool, 1)[0].0, frame(0, 100));
            ip(&format!("link set {a} down"));
            send_all(&mut io, &pool, &frames(1, &[100; 3]), Endpoint::NONE);
            send_all(&mut io, &pool, &frames(4, &[100; 4]), Endpoint::NONE);
            assert_nothing_more(&mut io, &pool);
            // The first three were given to the kernel before that could tell; it has them still.
            let stats = io.stats();
            assert_eq!((stats.tx_packets, stats.tx_errors), (4, 4), "{stats:?}");
            world::bring_up(&a);
            world::bring_up(&b);
            send_all(&mut io, &pool, &[frame(9, 100)], Endpoint::NONE);
            let got: Vec<_> = receive(&mut peer, &pool, 4).into_iter().map(|packet| packet.0).collect();
            assert_eq!(got, [frame(1, 100), frame(2, 100), frame(3, 100), frame(9, 100)]);
            assert_eq!(
                io.stats(),
                IoStats { tx_packets: 5, tx_bytes: 500, tx_errors: 4, ..IoStats::default() }
            );
        });
    }
}

#[test]
fn nothing_or_too_much_is_refused() {
    world::a_namespace(|| {
        let (a, _) = veth();
        let no_ports = Take::UdpPorts { ports: vec![], addresses: vec![] };
        for take in [no_ports, Take::Addresses(vec![]), Take::Addresses(vec![TO.into(); 65])] {
            let error = AfXdpIo::open_with(&a, &config(take, false)).unwrap_err();
            assert!(matches!(error, IoError::BadSelection), "{error}");
        }
    });
}
