//! What UDP sockets have of their own.

use std::net::UdpSocket;

use dataplane::endpoint::Endpoint;
use dataplane::io::udp::{UdpConfig, UdpIo};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{Burst, PoolConfig};

use crate::suite::{assert_nothing_more, frames, large_pool, push, receive, send_all};
use crate::world;

fn loopback(config: UdpConfig) -> (UdpIo, UdpIo) {
    let bind = || UdpIo::bind_with("127.0.0.1:0".parse().unwrap(), config).unwrap();
    (bind(), bind())
}

/// Packets that the loopback interface of this namespace has sent.
fn sent_on_loopback() -> u64 {
    let text = world::ip("-s -o link show lo");
    let (_, sent) = text.split_once("TX:").unwrap();
    sent.split_whitespace().skip_while(|word| word.parse::<u64>().is_err()).nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_run_is_one_packet_to_the_kernel() {
    world::a_namespace(|| {
        for (gso, packets) in [(true, 1), (false, 32)] {
            let (mut a, mut b) = loopback(UdpConfig { gso, ..UdpConfig::default() });
            let pool = large_pool();
            let frames = frames(0, &[1400; 32]);
            let before = sent_on_loopback();
            send_all(&mut a, &pool, &frames, Endpoint::from(b.local_addr()));
            assert_eq!(sent_on_loopback() - before, packets);
            let received: Vec<_> = receive(&mut b, &pool, 32).into_iter().map(|r| r.0).collect();
            assert_eq!(received, frames);
            assert_eq!((a.gso(), b.gro()), (gso, true));
        }
    });
}

/// Runs of two senders come interleaved, longer than a burst, and into a pool that is too small for them.
#[test]
fn coalesced_datagrams_come_apart_in_order_over_several_bursts() {
    world::here(|| {
        let (mut a, mut b) = loopback(UdpConfig::default());
        let (mut c, _) = loopback(UdpConfig::default());
        let pool = large_pool();
        let few = dataplane::packet::Pool::new(PoolConfig { packets: 5, ..PoolConfig::default() });
        let of_a = frames(0, &[500; 96]);
        let of_c = frames(1000, &[64; 96]);
        for i in (0..96).step_by(32) {
            send_all(&mut a, &pool, &of_a[i..i + 32], Endpoint::from(b.local_addr()));
            send_all(&mut c, &pool, &of_c[i..i + 32], Endpoint::from(b.local_addr()));
        }
        let received = receive(&mut b, &few, 192);
        let from = |io: &UdpIo| -> Vec<_> {
            received.iter().filter(|r| r.1 == io.local_addr().into()).map(|r| r.0.clone()).collect()
        };
        assert_eq!(from(&a), of_a);
        assert_eq!(from(&c), of_c);
        assert!(b.stats().rx_no_packet > 0);
        assert_eq!((b.stats().rx_packets, b.stats().rx_dropped()), (192, 0));
    });
}

/// A segmented datagram may not exceed the MTU, so such runs go one by one, as IP fragments.
#[test]
fn runs_longer_than_the_mtu_go_one_by_one() {
    world::a_namespace(|| {
        world::ip("link set lo mtu 1500");
        let (mut a, mut b) = loopback(UdpConfig::default());
        let pool = large_pool();
        for lengths in [[1800; 10], [1000; 10]] {
            let frames = frames(0, &lengths);
            send_all(&mut a, &pool, &frames, Endpoint::from(b.local_addr()));
            let received: Vec<_> = receive(&mut b, &pool, 10).into_iter().map(|r| r.0).collect();
            assert_eq!(received, frames);
        }
        assert!(a.gso());
        assert_eq!(a.stats(), IoStats { tx_packets: 20, tx_bytes: 28_000, ..IoStats::default() });
        let before = sent_on_loopback();
        send_all(&mut a, &pool, &frames(0, &[1000; 10]), Endpoint::from(b.local_addr()));
        assert_eq!(sent_on_loopback() - before, 1, "shorter runs still go as one");
    });
}

#[test]
fn packets_without_a_usable_endpoint_are_counted() {
    world::here(|| {
        let (mut a, mut b) = loopback(UdpConfig::default());
        let pool = large_pool();
        let mut burst = Burst::new();
        let sent = frames(0, &[100, 101, 102, 103, 104]);
        let there = Endpoint::from(b.local_addr());
        let v6: Endpoint = "[::1]:9".parse().unwrap();
        for (frame, endpoint) in sent.iter().zip([Endpoint::NONE, there, v6, there, Endpoint::NONE]) {
            push(&mut burst, &pool, frame, endpoint);
        }
        assert_eq!(a.tx_burst(&mut burst), 5);
        assert_eq!(
            a.stats(),
            IoStats { tx_packets: 2, tx_bytes: 204, tx_no_endpoint: 3, ..IoStats::default() }
        );
        let received: Vec<_> = receive(&mut b, &pool, 2).into_iter().map(|r| r.0).collect();
        assert_eq!(received, [sent[1].clone(), sent[3].clone()]);
    });
}

#[test]
fn what_the_system_refuses_is_counted() {
    world::a_namespace(|| {
        let mut io = UdpIo::bind("0.0.0.0:0".parse().unwrap(), false).unwrap();
        let pool = large_pool();
        // There is no route in a new namespace.
        send_all(&mut io, &pool, &frames(0, &[100; 3]), "192.0.2.1:5247".parse().unwrap());
        assert_eq!(io.stats(), IoStats { tx_errors: 3, ..IoStats::default() });
    });
}

#[test]
fn packets_dropped_by_a_full_socket_are_counted() {
    world::here(|| {
        let config = UdpConfig { gso: false, gro: false, receive_buffer: 20_000, ..UdpConfig::default() };
        let (mut a, mut b) = loopback(config);
        let pool = large_pool();
        let there = Endpoint::from(b.local_addr());
        send_all(&mut a, &pool, &frames(0, &[1000; 256]), there);
        let mut received = 0;
        loop {
            let mut burst = Burst::new();
            match b.rx_burst(&pool, &mut burst) {
                0 => break,
                n => received += n,
            }
        }
        assert!(received < 256);
        // The count comes with the next packet.
        send_all(&mut a, &pool, &frames(0, &[1000]), there);
        receive(&mut b, &pool, 1);
        assert_eq!(b.stats().rx_overflow, 256 - received as u64);
        assert_eq!(b.stats().rx_packets, received as u64 + 1);
    });
}

#[test]
fn sockets_of_one_port_share_it() {
    world::here(|| {
        let mut first = UdpIo::bind("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let mut second = UdpIo::bind(first.local_addr(), true).unwrap();
        assert_eq!(first.local_addr(), second.local_addr());
        let pool = large_pool();
        for _ in 0..64 {
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            sender.send_to(b"hello", first.local_addr()).unwrap();
        }
        let (mut got, deadline) = (0, std::time::Instant::now() + std::time::Duration::from_secs(10));
        while got < 64 {
            for io in [&mut first, &mut second] {
                got += io.rx_burst(&pool, &mut Burst::new());
            }
            assert!(std::time::Instant::now() < deadline, "{got} of 64 arrived");
        }
        // That one of them got all has a chance of 2 in 2⁶⁴.
        assert!(first.stats().rx_packets > 0 && second.stats().rx_packets > 0);
    });
}

/// An IPv6 socket speaks with IPv4 peers under their IPv4 addresses, both ways.
#[test]
fn an_ipv6_wildcard_socket_answers_ipv4_peers() {
    world::here(|| {
        let mut io = UdpIo::bind("[::]:0".parse().unwrap(), false).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"hello", ("127.0.0.1", io.local_addr().port())).unwrap();
        let pool = large_pool();
        let received = receive(&mut io, &pool, 1);
        assert_eq!(received, [(b"hello".to_vec(), peer.local_addr().unwrap().into())]);
        send_all(&mut io, &pool, &frames(0, &[100]), received[0].1);
        let mut answer = [0; 200];
        assert_eq!(peer.recv(&mut answer).unwrap(), 100);
        assert_nothing_more(&mut io, &pool);
    });
}

/// It can be opened on one thread and used on another.
#[test]
fn a_socket_can_move_to_its_worker() {
    fn is_send<T: Send>() {}
    is_send::<UdpIo>();
    is_send::<dataplane::io::tap::TapIo>();
    is_send::<dataplane::io::af_packet::AfPacketIo>();
    is_send::<dataplane::io::channel::ChannelIo>();
}
