//! The contract: one function for each promise of `PacketIo`.

use std::time::{Duration, Instant};

use dataplane::endpoint::Endpoint;
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{BURST, Burst, Pool, PoolConfig};
use dataplane::wake::Wait;

use crate::links::Link;

/// What was sent is received, each packet as it was, in order, and counted.
pub fn keeps_order(mut link: Link) {
    if let Some(release) = &mut link.release {
        release();
    }
    let pool = large_pool();
    let lengths: Vec<_> = std::iter::repeat_n(200, 70)
        .chain((0..100).map(|i| 18 + (i * 157) % 1483))
        .chain(std::iter::repeat_n(1500, 64))
        .chain([300, 300, 300, 299, 300, 301, 18])
        .collect();
    let frames = frames(0, &lengths);
    let mut received = Vec::new();
    for some in frames.chunks(BURST) {
        send_all(&mut *link.a, &pool, some, link.endpoints.0);
        received.extend(receive(&mut *link.b, &pool, some.len()));
    }
    for (i, (got, sent)) in received.iter().zip(&frames).enumerate() {
        assert_eq!(got.0, *sent, "packet {i}");
        assert_eq!(got.1, link.endpoints.1, "packet {i}");
    }
    assert_eq!(pool.in_use(), 0);
    assert_nothing_more(&mut *link.b, &pool);
    let (packets, bytes) = (frames.len() as u64, frames.iter().map(|f| f.len() as u64).sum());
    assert_eq!(link.a.stats(), IoStats { tx_packets: packets, tx_bytes: bytes, ..IoStats::default() });
    assert_eq!(link.b.stats(), IoStats { rx_packets: packets, rx_bytes: bytes, ..IoStats::default() });
    // Nothing comes back to the sender.
    assert_nothing_more(&mut *link.a, &pool);
}

/// A burst that holds packets already is filled up, and what does not fit comes next time.
pub fn fills_only_the_room_that_there_is(mut link: Link) {
    let pool = large_pool();
    let frames = frames(0, &[100; 10]);
    send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
    let mut burst = Burst::new();
    for _ in 0..BURST - 3 {
        burst.push(pool.alloc().unwrap()).unwrap();
    }
    let deadline = deadline();
    let mut got = 0;
    while got < 3 {
        await_readable(&*link.b, deadline);
        got += link.b.rx_burst(&pool, &mut burst);
    }
    assert_eq!((got, burst.len()), (3, BURST));
    assert_eq!(link.b.rx_burst(&pool, &mut burst), 0);
    let first: Vec<_> = burst.drain().skip(BURST - 3).map(|p| p.data().to_vec()).collect();
    assert_eq!(first, frames[..3]);
    let rest: Vec<_> = receive(&mut *link.b, &pool, 7).into_iter().map(|r| r.0).collect();
    assert_eq!(rest, frames[3..]);
    assert_eq!(link.b.stats().rx_packets, 10);
    assert_eq!(link.b.stats().rx_dropped(), 0);
}

/// With no packet to receive into, what arrives waits.
pub fn survives_an_empty_pool(mut link: Link) {
    if link.moves {
        return;
    }
    let (pool, few) = (large_pool(), Pool::new(PoolConfig { packets: 4, ..PoolConfig::default() }));
    let frames = frames(0, &[100; 20]);
    send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
    let deadline = deadline();
    let mut received = Vec::new();
    while received.len() < 20 {
        let mut burst = Burst::new();
        let want = (20 - received.len()).min(4);
        while burst.len() < want {
            await_readable(&*link.b, deadline);
            link.b.rx_burst(&few, &mut burst);
        }
        if want == 4 && received.len() + 4 < 20 {
            let before = link.b.stats();
            assert_eq!(link.b.rx_burst(&few, &mut burst), 0);
            assert_eq!(link.b.stats(), IoStats { rx_no_packet: before.rx_no_packet + 1, ..before });
        }
        received.extend(burst.drain().map(|p| p.data().to_vec()));
    }
    assert_eq!(received, frames);
    assert_eq!(few.in_use(), 0);
    let stats = link.b.stats();
    let expected =
        IoStats { rx_packets: 20, rx_bytes: 2000, rx_no_packet: stats.rx_no_packet, ..IoStats::default() };
    assert_eq!(stats, expected);
}

/// What does not fit a packet is dropped and counted, and its neighbours are not.
pub fn drops_what_is_longer_than_a_packet(mut link: Link) {
    if link.moves {
        return;
    }
    let pool = large_pool();
    let small = Pool::new(PoolConfig { packets: 64, buffer: 16 + 256, headroom: 16 });
    let frames = frames(0, &[100, 257, 1000, 256, 1000, 1000, 100]);
    send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
    let received: Vec<_> = receive(&mut *link.b, &small, 3).into_iter().map(|r| r.0).collect();
    assert_eq!(received, [frames[0].clone(), frames[3].clone(), frames[6].clone()]);
    assert_nothing_more(&mut *link.b, &small);
    assert_eq!(
        link.b.stats(),
        IoStats { rx_packets: 3, rx_bytes: 456, rx_truncated: 4, ..IoStats::default() }
    );
    assert_eq!(small.in_use(), 0);
}

/// Packets down to the shortest go, and shorter ones do not hold up the others.
pub fn takes_or_counts_short_packets(mut link: Link) {
    let pool = large_pool();
    let mut frames = frames(0, &[100, 18, 18, 100]);
    frames[1].truncate(link.shortest);
    frames[2].truncate(link.shortest.saturating_sub(1));
    let shorter = u64::from(link.shortest > 0);
    send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
    let sent = link.a.stats();
    assert_eq!((sent.tx_packets, sent.tx_undersize, sent.tx_dropped()), (4 - shorter, shorter, shorter));
    if shorter > 0 {
        frames.remove(2);
    }
    let received: Vec<_> = receive(&mut *link.b, &pool, frames.len()).into_iter().map(|r| r.0).collect();
    assert_eq!(received, frames);
}

/// What can never be sent is dropped and counted, and its neighbours are not.
pub fn counts_what_is_too_long_to_send(mut link: Link) {
    let Some(too_long) = link.too_long else { return };
    let pool = Pool::new(PoolConfig { packets: 64, buffer: 1 << 17, headroom: 128 });
    let mut frames = frames(0, &[100, too_long, 100, too_long, too_long]);
    send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
    assert_eq!(
        link.a.stats(),
        IoStats { tx_packets: 2, tx_bytes: 200, tx_oversize: 3, ..IoStats::default() }
    );
    frames.retain(|f| f.len() == 100);
    let received: Vec<_> = receive(&mut *link.b, &pool, 2).into_iter().map(|r| r.0).collect();
    assert_eq!(received, frames);
    assert_nothing_more(&mut *link.b, &pool);
}

/// The descriptor is readable, or the backend says itself that it is ready, exactly while there is something to receive.
pub fn is_readable_when_something_is_there(mut link: Link) {
    let pool = large_pool();
    let frames = frames(0, &[100; 5]);
    for _ in 0..3 {
        let Some(fd) = link.b.poll_fd() else {
            // To be polled: it need only not claim that there is nothing.
            send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
            receive(&mut *link.b, &pool, 5);
            assert_nothing_more(&mut *link.b, &pool);
            continue;
        };
        let wait = Wait::new().unwrap();
        wait.add(fd).unwrap();
        assert!(!link.b.rx_ready() && !wait.sleep(Some(Duration::ZERO)));
        send_all(&mut *link.a, &pool, &frames, link.endpoints.0);
        let mut left = 5;
        while left > 0 {
            assert!(link.b.rx_ready() || wait.sleep(Some(Duration::from_secs(10))), "{left} are missing");
            let mut burst = Burst::new();
            for _ in 0..BURST - 2 {
                burst.push(pool.alloc().unwrap()).unwrap();
            }
            left -= link.b.rx_burst(&pool, &mut burst);
        }
        assert_nothing_more(&mut *link.b, &pool);
        assert!(!link.b.rx_ready() && !wait.sleep(Some(Duration::ZERO)));
    }
}

/// What cannot be sent now stays in the burst, in order, from its front on; and goes later, in order.
pub fn leaves_the_unsent_at_the_front(mut link: Link) {
    let Some(mut release) = link.release.take() else { return };
    let pool = large_pool();
    let mut next = 0;
    let mut burst = Burst::new();
    let mut sent = 0;
    // Until it is full.
    loop {
        assert!(next < 3000, "it is never full");
        while !burst.is_full() {
            let frame = frame(next, 600);
            next += 1;
            push(&mut burst, &pool, &frame, link.endpoints.0);
        }
        let taken = link.a.tx_burst(&mut burst);
        sent += taken;
        assert_eq!(burst.len(), BURST - taken);
        assert_eq!(link.a.stats().tx_packets, sent as u64);
        if taken < BURST {
            break;
        }
        assert_eq!(link.a.stats().tx_full, 0);
    }
    assert_eq!(link.a.stats().tx_full, 1);
    for (i, packet) in burst.iter().enumerate() {
        assert_eq!(packet.data(), frame(sent as u32 + i as u32, 600));
    }
    release();
    let mut received = 0;
    let deadline = deadline();
    while received < next {
        if !burst.is_empty() {
            link.a.tx_burst(&mut burst);
        }
        let mut out = Burst::new();
        link.b.rx_burst(&pool, &mut out);
        for packet in out.drain() {
            assert_eq!(packet.data(), frame(received, 600));
            received += 1;
        }
        assert!(Instant::now() < deadline, "{received} of {next} arrived");
        std::thread::yield_now();
    }
    assert_eq!((link.a.stats().tx_packets, link.a.stats().tx_dropped()), (next.into(), 0));
    assert_eq!(pool.in_use(), 0);
}

pub fn large_pool() -> Pool {
    Pool::new(PoolConfig { packets: 4000, ..PoolConfig::default() })
}

/// An Ethernet frame of the local experimental type with a number, followed by a pattern of that.
pub fn frame(number: u32, len: usize) -> Vec<u8> {
    let head = [0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a, 0x88, 0xb5];
    let pattern = (0..).map(|i: u32| (i.wrapping_mul(7) ^ number) as u8);
    head.into_iter().chain(number.to_be_bytes()).chain(pattern).take(len).collect()
}

pub fn frames(first: u32, lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().zip(first..).map(|(&len, number)| frame(number, len)).collect()
}

pub fn push(burst: &mut Burst, pool: &Pool, frame: &[u8], endpoint: Endpoint) {
    let mut packet = pool.alloc().unwrap();
    if !packet.copy_from(frame) {
        panic!("a frame of {} octets does not fit", frame.len());
    }
    packet.meta.endpoint = endpoint;
    burst.push(packet).unwrap();
}

/// Sends all of it, which must be possible at once.
pub fn send_all(io: &mut dyn PacketIo, pool: &Pool, frames: &[Vec<u8>], endpoint: Endpoint) {
    for some in frames.chunks(BURST) {
        let mut burst = Burst::new();
        for frame in some {
            push(&mut burst, pool, frame, endpoint);
        }
        assert_eq!(io.tx_burst(&mut burst), some.len());
        assert!(burst.is_empty());
    }
}

/// Waits for so many packets and returns their octets and endpoints.
pub fn receive(io: &mut dyn PacketIo, pool: &Pool, count: usize) -> Vec<(Vec<u8>, Endpoint)> {
    let deadline = deadline();
    let mut received = Vec::new();
    while received.len() < count {
        await_readable(io, deadline);
        let mut burst = Burst::new();
        io.rx_burst(pool, &mut burst);
        received.extend(burst.drain().map(|p| (p.data().to_vec(), p.meta.endpoint)));
    }
    assert_eq!(received.len(), count);
    received
}

pub fn assert_nothing_more(io: &mut dyn PacketIo, pool: &Pool) {
    let mut burst = Burst::new();
    assert_eq!(io.rx_burst(pool, &mut burst), 0);
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn await_readable(io: &dyn PacketIo, deadline: Instant) {
    assert!(Instant::now() < deadline, "nothing arrives any more; so far {:?}", io.stats());
    if io.rx_ready() {
        return;
    }
    match io.poll_fd() {
        Some(fd) => {
            let wait = Wait::new().unwrap();
            wait.add(fd).unwrap();
            wait.sleep(Some(deadline.saturating_duration_since(Instant::now())));
        }
        None => std::thread::yield_now(),
    }
}
