//! What fails is counted or said, and the others go on.

use dataplane::endpoint::Endpoint;
use dataplane::io::dpdk::{DpdkPort, Eal, EalConfig, Mempool, PortConfig};
use dataplane::io::{IoError, PacketIo};
use dataplane::packet::{BURST, Burst, PoolConfig};

use crate::devices::{af_packet_device, eal, memif_pair, mempool, open, turn};
use crate::suite::{assert_nothing_more, frame, large_pool, push, receive, send_all};
use crate::world::{self, ip};

fn assert_says(error: &IoError, parts: &[&str]) {
    let text = error.to_string();
    assert!(matches!(error, IoError::Dpdk { .. }), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}

/// Somebody holds every packet: receiving stops and is counted, and goes on when they are back.
#[test]
fn an_exhausted_mempool() {
    let _turn = turn();
    world::a_namespace(|| {
        let (a, b) = world::veth();
        let (mut a, mut b) = (open(&af_packet_device(&a)), open(&af_packet_device(&b)));
        let (own, pool) = (large_pool(), b.mempool().pool());
        let held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
        assert_eq!((b.mempool().available(), pool.stats().exhausted), (0, 1));
        let frames: Vec<_> = (0..40).map(|i| frame(i, 100)).collect();
        send_all(&mut a, &own, &frames, Endpoint::NONE);
        let mut burst = Burst::new();
        while b.stats().rx_no_packet == 0 {
            assert_eq!(b.rx_burst(&pool, &mut burst), 0);
        }
        // Nor is there a packet to send a foreign one in.
        let mut unsent = Burst::new();
        push(&mut unsent, &own, &frame(99, 100), Endpoint::NONE);
        assert_eq!((b.tx_burst(&mut unsent), unsent.len(), b.stats().tx_full), (0, 1, 1));
        drop(held);
        send_all(&mut a, &own, &[frame(40, 100)], Endpoint::NONE);
        // This driver leaves where it is what it has no packet for.
        let got = receive(&mut b, &pool, 41).into_iter().map(|r| r.0);
        assert!(got.eq((0..41).map(|i| frame(i, 100))));
        assert_eq!(b.tx_burst(&mut unsent), 1);
        assert_eq!(receive(&mut a, &own, 1)[0].0, frame(99, 100));
        assert_eq!(b.stats().tx_errors, 0);
    });
}

#[test]
fn a_deleted_interface() {
    let _turn = turn();
    world::a_namespace(|| {
        let (a, b) = world::veth();
        let (mut io, _peer) = (open(&af_packet_device(&a)), open(&af_packet_device(&b)));
        let (other, mut to) = memif_pair();
        let pool = large_pool();
        send_all(&mut io, &pool, &[frame(0, 100)], Endpoint::NONE);
        ip(&format!("link delete {a}"));
        let before = io.stats();
        for i in 0..1000u32 {
            let mut burst = Burst::new();
            for _ in 0..BURST {
                push(&mut burst, &pool, &frame(i, 100), Endpoint::NONE);
            }
            io.tx_burst(&mut burst);
            assert_nothing_more(&mut io, &pool);
        }
        let stats = io.stats();
        // They are gone and counted, or still here and that is counted.
        let accounted = stats.tx_errors - before.tx_errors + (stats.tx_packets - before.tx_packets);
        assert!(accounted > 0 || stats.tx_full > 0, "{stats:?}");
        // The other ports go on, and this one can be closed.
        let mut from = other;
        send_all(&mut from, &pool, &[frame(1, 100)], Endpoint::NONE);
        assert_eq!(receive(&mut to, &pool, 1)[0].0, frame(1, 100));
        let mempool = io.mempool().clone();
        drop(io);
        assert_eq!(mempool.available(), mempool.config().packets);
        assert_eq!(pool.in_use(), 0);
    });
}

/// The other end of shared memory goes away.
#[test]
fn a_peer_that_ends() {
    let _turn = turn();
    let (mut a, b) = memif_pair();
    let pool = a.mempool().pool();
    drop(b);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while a.port().link().up {
        assert!(std::time::Instant::now() < deadline, "the link stays up");
        std::thread::yield_now();
    }
    let mut burst = Burst::new();
    push(&mut burst, &large_pool(), &frame(0, 100), Endpoint::NONE);
    assert_eq!((a.tx_burst(&mut burst), a.stats().tx_full), (0, 1));
    assert_nothing_more(&mut a, &pool);
}

#[test]
fn devices_that_cannot_be_opened() {
    let _turn = turn();
    let refused = |device: &str, config: fn(PortConfig) -> PortConfig, queues: usize| {
        DpdkPort::open(&config(PortConfig::new(device)), &vec![mempool(512); queues]).unwrap_err()
    };
    let same = |config| config;
    assert_says(&refused("eth0", same, 1), &["open the device `eth0`", "net_tap0,iface=NAME"]);
    assert_says(&refused("net_nosuch0", same, 1), &["`net_nosuch0`", "virtual device"]);
    assert_says(&refused("0000:99:00.0", same, 1), &["`0000:99:00.0`", "PCI address"]);
    assert_says(&refused("", same, 1), &["open the device ``"]);
    assert_says(&refused("net_af_packet_x,iface=no-such", same, 1), &["`net_af_packet_x,iface=no-such`"]);
    assert_says(
        &refused("net_null_q,size=64", same, 5000),
        &["has 1024 queues", "5000 workers", "Configure 1024 workers"],
    );
    let jumbo = |config| PortConfig { mtu: Some(9000), ..config };
    assert_says(
        &refused("net_null_m", jumbo, 1),
        &["frames need packets of 9154 octets", "have 2048", "smaller MTU"],
    );
    // A refused device is free again.
    let device = "net_null_m";
    assert!(DpdkPort::open(&PortConfig::new(device), &[mempool(4096)]).is_ok());
}

#[test]
fn more_memory_than_there_is() {
    let _turn = turn();
    let error = Mempool::new(eal(), PoolConfig { packets: 1 << 20, ..PoolConfig::default() }).unwrap_err();
    assert_says(&error, &["a pool of 1048576 packets of 2048 octets", "more memory"]);
    let error = Mempool::new(eal(), PoolConfig { buffer: 70_000, ..PoolConfig::default() }).unwrap_err();
    assert_says(&error, &["65535"]);
    let error = Eal::start(&EalConfig::default()).unwrap_err();
    assert_says(&error, &["start a second time", "once per process"]);
}
