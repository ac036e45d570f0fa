//! What silent radios and bindings take, all in: counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

mod common;

use common::mac;
use matchmaker::objects::KeyId;
use matchmaker::presence::Location;
use matchmaker::{Bindings, Matchmaker, Pattern, Seed, Settings, Uuid};
use visibility::Band;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
/// One measures at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The octets of an allocation with what a common allocator adds: a header, and rounding to 16.
fn taken(size: usize) -> usize {
    (size + 8).next_multiple_of(16)
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_silent_radio_takes_at_most_200_octets() {
    let _turn = TURN.lock().unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    // What is known of clients has a size of its own.
    let settings = Settings { sightings: 2, ..Settings::default() };
    let mut m = Matchmaker::new(settings, Seed::new([5; 16]));
    let peer = m.peer(None, KeyId([1; 16])).unwrap();
    let mut worst = 0.0f64;
    // Places come in runs of 4096, which tell among few.
    for n in 1..=500_000u32 {
        let neighbours: Vec<_> = (1..=8).map(|other| mac(0, n.saturating_sub(other))).collect();
        let mut said = common::registration(mac(0, n), Band::Ghz5, &neighbours);
        said.location = Some(Location { latitude_e7: 1, longitude_e7: 2, civic: "".into() });
        m.register_radio(peer, &said, Duration::ZERO).unwrap();
        drop((said, neighbours));
        if n >= 100_000 && n % 1000 == 0 {
            worst = worst.max((LIVE.load(Ordering::Relaxed) - before) as f64 / f64::from(n));
        }
    }
    println!("at most {worst:.0} octets each; {:?}", m.memory().1);
    assert!(worst <= 200.0, "{worst} octets each");
}

#[test]
fn a_binding_takes_at_most_80_octets() {
    let _turn = TURN.lock().unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    let mut bindings = Bindings::new(Seed::new([5; 16]));
    let mut worst = 0.0f64;
    for n in 1..=500_000u32 {
        let (client, radio) = (Pattern::Exactly(mac(0, n)), Pattern::Exactly(mac(4, n)));
        let (client, radio) = match n % 10 {
            0 => (Pattern::Any, radio),
            1 => (client, radio),
            _ => (client, Pattern::Any),
        };
        bindings.add(Uuid::from_u128(u128::from(n / 1000)), client, radio).unwrap();
        if n >= 100_000 && n % 1000 == 0 {
            worst = worst.max((LIVE.load(Ordering::Relaxed) - before) as f64 / f64::from(n));
        }
    }
    println!("at most {worst:.0} octets each; {:?}", bindings.memory());
    assert!(worst <= 80.0, "{worst} octets each");
    let memory = bindings.memory();
    let counted = (LIVE.load(Ordering::Relaxed) - before) as f64;
    let said = (memory.places + memory.index + memory.others) as f64;
    assert!((0.99..1.01).contains(&(said / counted)), "says {said}, takes {counted}");
}
