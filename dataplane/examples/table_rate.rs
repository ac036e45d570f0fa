//! Measures the station index side by side with `hashbrown` (and its default, foldhash): look-ups in bursts of 32 in an order that no cache
//! foresees, and the longest that any one insertion takes while the table grows from nothing.
//!
//! `cargo run --release -p dataplane --example table_rate [KEYS...]`

use std::hint::black_box;
use std::time::Duration;

use dataplane::packet::BURST;
use dataplane::station::{Index, Key, StationId};
use hashbrown::HashMap;

/// Look-ups per round; rounds alternate between the two, and the median counts.
const LOOK_UPS: usize = 1 << 20;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![1_000, 1_000_000, 4_000_000];
    }
    println!(
        "{:>9} | {:>9} {:>9} {:>6} | {:>9} {:>9} | {:>12} {:>12}",
        "keys", "index", "hashbrown", "ratio", "unknown", "hashbrown", "longest ins.", "hashbrown"
    );
    for keys in sizes {
        measure(keys)?;
    }
    Ok(())
}

fn measure(keys: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (mut index, pages) = Index::reserve(keys, 2 * keys, 0x5bd1_e995_9e37_79b9)?;
    let mut map = HashMap::with_capacity(keys);
    for n in 0..keys {
        let (octets, key) = name(n);
        index.insert(key, StationId(n as u32));
        map.insert(octets, n as u32);
    }
    // Scattered names, made beforehand.
    let mut state = 1u64;
    let mut scattered = |from: usize| -> Vec<([u8; 12], Key)> {
        (0..LOOK_UPS)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                name(from + (state >> 33) as usize % keys)
            })
            .collect()
    };
    let (known, unknown) = (scattered(0), scattered(keys));
    let [hit, hit_map] = compare(&index, &map, &known);
    let [miss, miss_map] = compare(&index, &map, &unknown);
    let (slowest, slowest_map) = (longest_insertion(keys), longest_insertion_of_map(keys));
    println!(
        "{keys:>9} | {hit:>6.1} ns {hit_map:>6.1} ns {:>6.2} | {miss:>6.1} ns {miss_map:>6.1} ns | {slowest:>12.1?} {slowest_map:>12.1?} | {pages}; {:?}",
        hit_map / hit,
        index.stats()
    );
    Ok(())
}

/// Nanoseconds per look-up of each.
fn compare(index: &Index, map: &HashMap<[u8; 12], u32>, names: &[([u8; 12], Key)]) -> [f64; 2] {
    let (mut ours, mut theirs) = ([0.0; ROUNDS], [0.0; ROUNDS]);
    for (ours, theirs) in ours.iter_mut().zip(&mut theirs) {
        *ours = time(names, |names| {
            let keys: [Key; BURST] = std::array::from_fn(|i| names[i].1);
            let mut out = [None; BURST];
            index.get_burst(&keys, &mut out);
            black_box(out);
        });
        *theirs = time(names, |names| {
            let out: [Option<u32>; BURST] = std::array::from_fn(|i| map.get(&names[i].0).copied());
            black_box(out);
        });
    }
    [ours, theirs].map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn time(names: &[([u8; 12], Key)], mut burst: impl FnMut(&[([u8; 12], Key)])) -> f64 {
    let start = on_processor();
    names.chunks_exact(BURST).for_each(&mut burst);
    (on_processor() - start).as_nanos() as f64 / names.len() as f64
}

/// How long this thread has had a processor: what others do meanwhile does not count.
fn on_processor() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is written.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The longest of all while an index for few keys grows to many; the third longest, since the machine itself pauses at times.
fn longest_insertion(keys: usize) -> Duration {
    let mut index = Index::new(1024, 7);
    third_longest((0..keys).map(|n| {
        let start = on_processor();
        index.insert(name(n).1, StationId(n as u32));
        on_processor() - start
    }))
}

fn longest_insertion_of_map(keys: usize) -> Duration {
    let mut map = HashMap::new();
    third_longest((0..keys).map(|n| {
        let start = on_processor();
        map.insert(name(n).0, n as u32);
        on_processor() - start
    }))
}

fn third_longest(times: impl Iterator<Item = Duration>) -> Duration {
    let mut longest = [Duration::ZERO; 3];
    for time in times {
        if time > longest[2] {
            longest[2] = time;
            longest.sort_by(|a, b| b.cmp(a));
        }
    }
    longest[2]
}

/// A BSSID of a thousand devices each, and a device.
fn name(n: usize) -> ([u8; 12], Key) {
    let ([.., a, b, c, d], [.., x, y]) = ((n as u64).to_be_bytes(), (n as u64 / 1000).to_be_bytes());
    let (bssid, mac) = ([2, 0xbb, 0, 0, x, y], [2, 0, a, b, c, d]);
    let mut octets = [0; 12];
    octets[..6].copy_from_slice(&bssid);
    octets[6..].copy_from_slice(&mac);
    (octets, Key::new(bssid, mac))
}
