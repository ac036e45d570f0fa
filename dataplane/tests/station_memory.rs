//! What a million stations take, all in: counted by the allocator and by the station table itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use dataplane::address::AddressTable;
use dataplane::clock::Time;
use dataplane::command::{ServiceUuid, SessionId, Tunnel};
use dataplane::endpoint::Endpoint;
use dataplane::station::{Cold, Hot, StationTable};
use dataplane::tunnel::TunnelTable;
use dot11::MacAddr;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

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

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(taken(size), Ordering::Relaxed);
        LIVE.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STATIONS: u32 = 1_000_000;
const PER_TUNNEL: u32 = 64;
/// Control's state of a session: keys, nonces, addresses, accounting.
const BLOB: usize = 256;

fn address(prefix: u16, n: u32) -> MacAddr {
    let ([p, q], [a, b, c, d]) = (prefix.to_be_bytes(), n.to_be_bytes());
    MacAddr([p, q, a, b, c, d])
}

#[test]
fn a_station_takes_less_than_a_kibibyte_all_in() {
    let before = LIVE.load(Ordering::Relaxed);
    let mut stations = StationTable::new(STATIONS as usize, 0x0123_4567_89ab_cdef);
    let (mut tunnels, mut addresses) = (TunnelTable::new(), AddressTable::default());
    for n in 0..STATIONS {
        let bssid = address(0x02bb, n / PER_TUNNEL);
        let endpoint = Endpoint::v4((n / PER_TUNNEL).to_be_bytes(), 5247);
        if n % PER_TUNNEL == 0 {
            let (session_id, service) = (SessionId([1; 16]), ServiceUuid([2; 16]));
            let tunnel = Tunnel { session_id, bssid, radio: bssid, service, endpoint };
            tunnels.add(tunnel, 0, vec![7; BLOB], None, Time::ZERO);
        }
        let tunnel = tunnels.find(bssid).unwrap();
        let hot = Hot::new(address(0x0200, n), bssid, tunnel, endpoint, Time::ZERO);
        let [a, b, c, d] = n.to_be_bytes();
        let own = [
            IpAddr::V4(Ipv4Addr::new(10, b, c, d)),
            IpAddr::V6(Ipv6Addr::new(
                0xfe80,
                0,
                0,
                0,
                0,
                0,
                u16::from(a) << 8 | u16::from(b),
                u16::from(c) << 8 | u16::from(d),
            )),
        ];
        let mut cold = Cold::default();
        (cold.blob, cold.addresses) = (vec![7; BLOB], own.to_vec());
        let id = stations.add(hot, cold, &mut tunnels.get_mut(tunnel).unwrap().stations);
        stations.join_segment(id, 7);
        own.into_iter().for_each(|own| addresses.insert(7, own, id));
    }
    let heap = LIVE.load(Ordering::Relaxed) - before;
    let memory = stations.memory();
    // Cold state is on the heap and counted there.
    let all = heap + memory.hot + memory.index;
    let each = all / STATIONS as usize;
    println!("{memory}; all in {each} octets each; {:?}", stations.index_stats());
    assert!(each <= 1024, "{each} octets each");
    assert_eq!((stations.len(), tunnels.len(), addresses.len()), (1_000_000, 15_625, 2_000_000));
    assert!(stations.index_stats().iter().all(|stats| stats.longest_probe <= dataplane::station::MAX_PROBE));
    assert_eq!(memory.stations, STATIONS as usize);
    // What it says is what was set up for it.
    assert!(memory.to_string().contains("for 1000000 stations ("));
}
