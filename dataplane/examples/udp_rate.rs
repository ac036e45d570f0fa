//! Measures UDP packet I/O over loopback: packets per second from one thread to another, with and without segmentation and coalescing.
//!
//! `cargo run --release -p dataplane --example udp_rate [SECONDS]`

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataplane::io::PacketIo;
use dataplane::io::udp::{UdpConfig, UdpIo};
use dataplane::packet::{Burst, Pool, PoolConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(2), |s| s.parse())?;
    println!("{:>6} {:>10} {:>12} {:>12} {:>9}", "octets", "offload", "sent/s", "received/s", "Gbit/s");
    for len in [64, 512, 1400] {
        for (name, gso, gro) in [("none", false, false), ("GSO", true, false), ("GSO + GRO", true, true)] {
            let config = UdpConfig { gso, gro, ..UdpConfig::default() };
            let (sent, received) = measure(len, config, Duration::from_secs(seconds))?;
            let gbits = received * len as f64 * 8.0 / 1e9;
            println!("{len:>6} {name:>10} {sent:>12.0} {received:>12.0} {gbits:>9.2}");
        }
    }
    Ok(())
}

/// Packets sent and received per second.
fn measure(len: usize, config: UdpConfig, time: Duration) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let bind = || UdpIo::bind_with(([127, 0, 0, 1], 0).into(), config);
    let (mut from, mut to) = (bind()?, bind()?);
    let there = to.local_addr();
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let (sent, received) = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let (pool, mut burst) = (Pool::new(PoolConfig::default()), Burst::new());
            while !stop.load(Ordering::Relaxed) {
                to.rx_burst(&pool, &mut burst);
                burst.clear();
            }
            to.stats().rx_packets
        });
        let (pool, mut burst) = (Pool::new(PoolConfig::default()), Burst::new());
        while start.elapsed() < time {
            while !burst.is_full() {
                let Some(mut packet) = pool.alloc() else { break };
                packet.append(len);
                packet.meta.endpoint = there.into();
                if burst.push(packet).is_err() {
                    break;
                }
            }
            from.tx_burst(&mut burst);
        }
        stop.store(true, Ordering::Relaxed);
        (from.stats().tx_packets, receiver.join().expect("the receiver runs to its end"))
    });
    let seconds = start.elapsed().as_secs_f64();
    Ok((sent as f64 / seconds, received as f64 / seconds))
}
