//! What `benches/tests/instructions.rs` counts the instructions of: CCMP with AES-NI, and finding stations. What is counted runs in functions of its own.
//!
//! `cargo run --release -p dataplane --example instructions seal 64`

use std::hint::black_box;

use dataplane::clock::Time;
use dataplane::crypto::{Kernel, OpenJob, SealJob};
use dataplane::endpoint::Endpoint;
use dataplane::packet::BURST;
use dataplane::station::{Cold, Hot, Key, StationId, StationTable};
use dataplane::tunnel::TunnelId;
use dot11::build::DataHeader;
use dot11::{MacAddr, QosControl};

/// Bursts per run.
const BURSTS: u64 = 20;
/// Octets behind a frame that the kernels may use.
const SPARE: usize = 16;
/// Stations to look among: more than the cache of any processor would make a difference to a count.
const STATIONS: u32 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["seal", octets] => crypto(octets.parse()?, false),
        ["open", octets] => crypto(octets.parse()?, true),
        ["find", stations] => find(stations.parse::<u32>()?.min(STATIONS)),
        _ => return Err("usage: instructions seal|open OCTETS, or find STATIONS".into()),
    }
    Ok(())
}

fn crypto(octets: usize, open: bool) {
    let kernel = Kernel::AesNi;
    let keys: [[u8; 16]; BURST] = std::array::from_fn(|n| [n as u8; 16]);
    let frames = (0..BURST).map(|n| {
        let mac = |m| MacAddr([2, 0, 0, 0, m, n as u8]);
        let header = DataHeader::to_ap(mac(1), mac(2), mac(3), Some(QosControl::new(0)));
        let mut frame = vec![0x55; header.len() + 8 + octets + 8 + SPARE];
        header.write(&mut frame);
        (header.len(), frame)
    });
    let mut frames: Vec<_> = frames.collect();
    for pn in 1..=BURSTS {
        let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
        for ((job, key), (header_len, buf)) in jobs.iter_mut().zip(&keys).zip(&mut frames) {
            // Not protected yet: sealing sets the bit.
            buf[1] &= !0x40;
            *job = SealJob { key, pn, header_len: *header_len, buf, spare: SPARE, ..SealJob::idle() };
        }
        if open {
            kernel.seal(&mut jobs)
        } else {
            counted_seal(kernel, &mut jobs)
        }
        assert!(jobs.iter().all(|job| job.done), "every frame is sealed");
        if !open {
            continue;
        }
        let mut jobs: [OpenJob<'_>; BURST] = std::array::from_fn(|_| OpenJob::idle());
        for ((job, key), (header_len, buf)) in jobs.iter_mut().zip(&keys).zip(&mut frames) {
            *job = OpenJob { key, header_len: *header_len, buf, spare: SPARE, ..OpenJob::idle() };
        }
        counted_open(kernel, &mut jobs);
        assert!(jobs.iter().all(|job| job.done), "every MIC is right");
    }
}

fn find(stations: u32) {
    let mut table = StationTable::new(stations as usize, 0x9e37_79b9_7f4a_7c15);
    let mut list = Vec::new();
    for n in 0..stations {
        let (bssid, mac) = key(n);
        let hot = Hot::new(mac, bssid, TunnelId(0), Endpoint::v4([192, 0, 2, 1], 5247), Time::ZERO);
        table.add(hot, Cold::default(), &mut list);
    }
    for burst in 0..BURSTS as u32 {
        let keys: [_; BURST] = std::array::from_fn(|n| {
            let (bssid, mac) = key((burst * BURST as u32 + n as u32).wrapping_mul(40_503_007) % stations);
            Key::new(bssid.0, mac.0)
        });
        let mut found = [None; BURST];
        counted_find(&table, &keys, &mut found);
        assert!(found.iter().all(Option::is_some), "every station is there");
    }
}

fn key(n: u32) -> (MacAddr, MacAddr) {
    let address = |first, n: u32| {
        let [a, b, c, d] = n.to_be_bytes();
        MacAddr([2, first, a, b, c, d])
    };
    (address(0xbb, n / 64), address(1, n))
}

#[inline(never)]
fn counted_seal(kernel: Kernel, jobs: &mut [SealJob<'_>]) {
    kernel.seal(black_box(jobs));
}

#[inline(never)]
fn counted_open(kernel: Kernel, jobs: &mut [OpenJob<'_>]) {
    kernel.open(black_box(jobs));
}

#[inline(never)]
fn counted_find(table: &StationTable, keys: &[Key], found: &mut [Option<StationId>]) {
    table.find_burst(black_box(keys), black_box(found));
}
