//! Ports whose interface is pulled and comes back.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dataplane::endpoint::Endpoint;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::af_xdp::{AfXdpConfig, AfXdpIo};
use dataplane::io::reopen::{PortEvent, Reopen};
use dataplane::io::{IoError, PacketIo};
use dataplane::packet::{Burst, Pool};
use dataplane::wake::Wait;

use crate::suite::{frame, frames, large_pool, push, receive, send_all};
use crate::world::{self, bring_up, fresh, ip};

const PATIENCE: Duration = Duration::from_secs(20);

fn af_packet(name: &str) -> Result<AfPacketIo, IoError> {
    AfPacketIo::open(name)
}

fn af_xdp_driver(name: &str) -> Result<AfXdpIo, IoError> {
    let config = AfXdpConfig { frames: 64, ..AfXdpConfig::default() };
    Ok(AfXdpIo::open_with(name, &config)?.remove(0))
}

fn af_xdp_generic(name: &str) -> Result<AfXdpIo, IoError> {
    let config = AfXdpConfig { frames: 64, generic: true, ..AfXdpConfig::default() };
    Ok(AfXdpIo::open_with(name, &config)?.remove(0))
}

fn open<T: PacketIo + Send + 'static>(
    name: &str,
    open: fn(&str) -> Result<T, IoError>,
) -> (Reopen<T>, Receiver<PortEvent>) {
    let (to, events) = channel();
    let own = name.to_owned();
    let report = move |event| {
        // Whoever listened may be gone by then.
        let _ = to.send(event);
    };
    (Reopen::open(name, move || Ok(vec![open(&own)?]), report).unwrap().remove(0), events)
}

/// Receives, as a worker does that has slept on the descriptor, until `enough`.
fn run<T: PacketIo + Send + 'static>(
    io: &mut Reopen<T>,
    pool: &Pool,
    mut enough: impl FnMut(&Reopen<T>, &Burst) -> bool,
) {
    let wait = Wait::new().unwrap();
    wait.add(io.poll_fd().unwrap()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut burst = Burst::new();
        io.rx_burst(pool, &mut burst);
        if enough(io, &burst) {
            return;
        }
        assert!(Instant::now() < deadline, "{:?}", io.stats());
        if burst.is_empty() {
            wait.sleep(Some(PATIENCE));
        }
    }
}

/// Two ends; only the first is opened by who is under test.
fn link(a: &str, b: &str) {
    ip(&format!("link add {a} type veth peer name {b}"));
    ip(&format!("link set {a} up"));
    bring_up(b);
}

fn pulled_under_traffic<T: PacketIo + Send + 'static>(how: fn(&str) -> Result<T, IoError>) {
    world::a_namespace(|| {
        let (a, b) = (fresh("a"), fresh("b"));
        link(&a, &b);
        let (mut io, events) = open(&a, how);
        let pool = large_pool();
        for round in 0..3 {
            let mut peer = AfPacketIo::open(&b).unwrap();
            send_all(&mut io, &pool, &frames(0, &[100; 5]), Endpoint::NONE);
            assert_eq!(receive(&mut peer, &pool, 5)[4].0, frame(4, 100));
            send_all(&mut peer, &pool, &frames(10, &[100; 5]), Endpoint::NONE);
            assert_eq!(receive(&mut io, &pool, 5)[4].0, frame(14, 100));
            // Frames wait to be received, and others are sent on.
            send_all(&mut peer, &pool, &frames(20, &[100; 5]), Endpoint::NONE);
            let before = io.stats();
            ip(&format!("link delete {b}"));
            let mut offered = 0;
            run(&mut io, &pool, |_, _| matches!(events.try_recv(), Ok(PortEvent::Gone(_))));
            run(&mut io, &pool, |io, _| io.port().is_none());
            for _ in 0..3 {
                let mut burst = Burst::new();
                push(&mut burst, &pool, &frame(30, 100), Endpoint::NONE);
                push(&mut burst, &pool, &frame(31, 100), Endpoint::NONE);
                offered += 2;
                assert_eq!((io.tx_burst(&mut burst), burst.len()), (2, 0));
            }
            let stats = io.stats();
            assert_eq!(stats.tx_errors - before.tx_errors, offered, "round {round}");
            assert!(stats.rx_errors > before.rx_errors, "round {round}");
            assert_eq!(pool.in_use(), 0);
            // It comes back, of another index, and down at first.
            link(&a, &b);
            run(&mut io, &pool, |io, _| io.port().is_some());
            match events.recv_timeout(PATIENCE).unwrap() {
                PortEvent::Back(name) => assert_eq!(name, a),
                other => panic!("{other}"),
            }
        }
        let stats = io.stats();
        assert!(stats.tx_packets >= 15 && stats.rx_packets >= 15, "{stats:?}");
    });
}

#[test]
fn a_packet_socket_comes_back() {
    pulled_under_traffic(af_packet);
}

#[test]
fn af_xdp_in_the_driver_comes_back() {
    pulled_under_traffic(af_xdp_driver);
}

#[test]
fn generic_af_xdp_comes_back() {
    pulled_under_traffic(af_xdp_generic);
}

/// Errors before the watcher had its turn are counted as well, and hold nothing up.
#[test]
fn what_is_sent_into_a_pulled_interface_is_counted() {
    fn check<T: PacketIo + Send + 'static>(how: fn(&str) -> Result<T, IoError>, given_to_the_kernel: u64) {
        world::a_namespace(|| {
            let (a, b) = (fresh("a"), fresh("b"));
            link(&a, &b);
            let mut io = how(&a).unwrap();
            let pool = large_pool();
            ip(&format!("link delete {b}"));
            for _ in 0..50 {
                send_all(&mut io, &pool, &frames(0, &[100; 32]), Endpoint::NONE);
                let mut burst = Burst::new();
                assert_eq!(io.rx_burst(&pool, &mut burst), 0);
            }
            let stats = io.stats();
            assert_eq!(stats.tx_errors + given_to_the_kernel, 1600, "{stats:?}");
            assert_eq!(stats.tx_packets, given_to_the_kernel, "{stats:?}");
            assert_eq!(pool.in_use(), 0);
        });
    }
    check(af_packet, 0);
    check(af_xdp_driver, 32);
    check(af_xdp_generic, 32);
}

/// Somebody else was faster.
#[test]
fn an_interface_that_is_back_and_busy_is_reported_once_and_tried_again() {
    world::a_namespace(|| {
        let (a, b) = (fresh("a"), fresh("b"));
        link(&a, &b);
        let (mut io, events) = open(&a, af_xdp_driver);
        let pool = large_pool();
        ip(&format!("link delete {b}"));
        run(&mut io, &pool, |io, _| io.port().is_none());
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), PortEvent::Gone(_)));
        let other = fresh("o");
        ip(&format!("link add {other} type veth peer name {b}"));
        ip(&format!("link set {other} up"));
        bring_up(&b);
        let holder = af_xdp_driver(&other).unwrap();
        // The name comes by renaming, with a program on it already.
        ip(&format!("link set {other} name {a}"));
        match events.recv_timeout(PATIENCE).unwrap() {
            PortEvent::Refused(_, IoError::XdpBusy(_)) => {}
            event => panic!("{event}"),
        }
        drop(holder);
        run(&mut io, &pool, |io, _| io.port().is_some());
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), PortEvent::Back(_)));
    });
}

#[test]
fn a_renamed_interface_stays_in_use() {
    world::a_namespace(|| {
        let (a, b) = (fresh("a"), fresh("b"));
        link(&a, &b);
        let (mut io, events) = open(&a, af_packet);
        let mut peer = AfPacketIo::open(&b).unwrap();
        ip(&format!("link set {a} name {}", fresh("n")));
        let pool = large_pool();
        send_all(&mut peer, &pool, &[frame(0, 100)], Endpoint::NONE);
        assert_eq!(receive(&mut io, &pool, 1)[0].0, frame(0, 100));
        drop(io);
        assert!(events.recv().is_err(), "nothing was reported, and the watcher has ended");
    });
}
