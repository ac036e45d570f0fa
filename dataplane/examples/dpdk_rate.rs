//! Measures DPDK's virtual devices: packets per second through a device that makes and takes them for nothing, which is what our own code costs, and from
//! one thread to another through shared memory, with packets of DPDK's memory and with packets of our own, which are copied.
//!
//! `cargo run --release -p dataplane --features dpdk --example dpdk_rate [SECONDS]`

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dataplane::io::PacketIo;
use dataplane::io::dpdk::{DpdkIo, DpdkPort, Eal, EalConfig, Mempool, PortConfig};
use dataplane::packet::{Burst, Pool, PoolConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let time = Duration::from_secs(std::env::args().nth(1).map_or(Ok(2), |s| s.parse())?);
    let eal = Eal::start(&EalConfig { no_huge: true, memory: 128, ..EalConfig::default() })?;
    println!("{:>10} {:>6} {:>10} {:>12}", "device", "octets", "memory", "packets/s");
    for len in [64, 512, 1500] {
        let rate = through_null(&mut open(eal, &format!("net_null0,size={len}"))?, time);
        println!("{:>10} {len:>6} {:>10} {rate:>12.0}", "null", "DPDK's");
        for copied in [false, true] {
            let rate = through_memory(eal, len, copied, time)?;
            println!("{:>10} {len:>6} {:>10} {rate:>12.0}", "memif", if copied { "own" } else { "DPDK's" });
        }
    }
    Ok(())
}

fn open(eal: Eal, device: &str) -> Result<DpdkIo, Box<dyn Error>> {
    let mempool = Mempool::new(eal, PoolConfig { packets: 8192, ..PoolConfig::default() })?;
    Ok(DpdkPort::open(&PortConfig::new(device), &[mempool])?.remove(0))
}

/// Received and sent again.
fn through_null(io: &mut DpdkIo, time: Duration) -> f64 {
    let (pool, mut burst) = (io.mempool().pool(), Burst::new());
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..64 {
            io.rx_burst(&pool, &mut burst);
            io.tx_burst(&mut burst);
        }
    }
    io.stats().tx_packets as f64 / start.elapsed().as_secs_f64()
}

/// Received at the other end.
fn through_memory(eal: Eal, len: usize, copied: bool, time: Duration) -> Result<f64, Box<dyn Error>> {
    let socket = format!("ttg-rate-{}", std::process::id());
    let mut to = open(eal, &format!("net_memif0,role=server,socket={socket}"))?;
    let mut from = open(eal, &format!("net_memif1,role=client,socket={socket}"))?;
    while !(to.port().link().up && from.port().link().up) {
        std::thread::yield_now();
    }
    let pool_for = |io: &DpdkIo| if copied { Pool::new(PoolConfig::default()) } else { io.mempool().pool() };
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let (pool, mut burst) = (pool_for(&to), Burst::new());
            while !stop.load(Relaxed) {
                to.rx_burst(&pool, &mut burst);
                burst.clear();
            }
            to.stats().rx_packets
        });
        let (pool, mut burst) = (pool_for(&from), Burst::new());
        while start.elapsed() < time {
            while !burst.is_full() {
                let Some(mut packet) = pool.alloc() else { break };
                packet.append(len);
                if burst.push(packet).is_err() {
                    break;
                }
            }
            from.tx_burst(&mut burst);
        }
        stop.store(true, Relaxed);
        receiver.join().expect("the receiver runs to its end")
    });
    Ok(received as f64 / start.elapsed().as_secs_f64())
}
