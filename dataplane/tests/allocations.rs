//! Passing packets allocates nothing: counted by the allocator itself, after one round in which scratch space may settle.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::harness::*;
use dot11::amsdu::AmsduBuilder;
use dot11::llc::{self, EtherType};
use dot11::{MacAddr, SequenceControl};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a thread-local without destructor only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Passes of all workers until they are idle; what these allocated.
fn allocated(bench: &mut Bench) -> u64 {
    let before = ALLOCATIONS.get();
    bench.run();
    ALLOCATIONS.get() - before
}

#[test]
fn packets_pass_without_allocation() {
    let mut bench = Bench::new(Config::default(), 2);
    let service = service(0);
    bench.welcome(std::slice::from_ref(&service));
    let mut devices = Vec::new();
    for n in 0..2 {
        let tunnel = tunnel(n, &service);
        bench.open_tunnel(n.into(), &tunnel, 30);
        for m in 0..8 {
            let device = Device::new(&tunnel, mac(u32::from(n * 8 + m)), Some(tk(n * 8 + m)));
            bench.add_station(&device);
            devices.push(device);
        }
    }
    bench.events();
    for round in 0..4u8 {
        // Each device: to the network, to each other, broadcast, in fragments, as A-MSDU, in CAPWAP fragments, replayed, keep-alive.
        for i in 0..devices.len() {
            let (to, endpoint, at) = (devices[(i + 9) % 16].mac, devices[i].endpoint, i % 2);
            let device = &mut devices[i];
            let mut datagrams = vec![
                device.datagram(HOST, EtherType::IPV4, &[0; 800]),
                device.datagram(to, EtherType::IPV4, &[0; 800]),
                device.datagram(MacAddr::BROADCAST, EtherType::IPV4, &[0; 80]),
            ];
            // One whose replay counter is made with the first frame.
            device.qos = Some(12);
            datagrams.push(device.datagram(HOST, EtherType::IPV4, &[0; 80]));
            device.qos = Some(0);
            let header = device.header(HOST);
            for (n, part) in llc::msdu(EtherType::IPV4, &[0; 500]).chunks(300).enumerate() {
                let mut header = header;
                header.sequence = SequenceControl::new(header.sequence.number(), n as u8);
                header.control = header.control.with_more_fragments(n == 0);
                datagrams.push(tunnelled(&device.frame(header, part)));
            }
            let mut amsdu = AmsduBuilder::new();
            for _ in 0..3 {
                amsdu.push(HOST, device.mac, &llc::msdu(EtherType::IPV4, &[0; 100])).unwrap();
            }
            let mut header = device.header(HOST);
            header.qos = header.qos.with_amsdu_present(true);
            let frame = device.frame(header, &amsdu.finish());
            datagrams.extend(fragmented(&frame, 200, i as u16));
            datagrams.push(datagrams[0].clone());
            datagrams.push(keep_alive(&tunnel((i / 8) as u8, &service)));
            for datagram in &datagrams {
                bench.from_radio(at, endpoint, datagram);
            }
            let mac = devices[i].mac;
            bench.from_network(at, &ethernet(mac, HOST, 0, EtherType::IPV4, &[0; 1500]));
        }
        bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[0; 60]));
        // News of an address on the network, which both workers note.
        let arp = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &HOST.0, &[10, 0, 0, round], &[0; 10]].concat();
        bench.from_network(0, &ethernet(devices[0].mac, HOST, 0, EtherType::ARP, &arp));
        let n = allocated(&mut bench);
        assert!(round == 0 || n == 0, "{n} allocations in round {round}");
        let delivered = bench.to_network(0).len() + bench.to_network(1).len();
        assert_eq!(delivered, 16 * 7, "it was work");
        let sent = bench.to_radio(0).len() + bench.to_radio(1).len();
        assert!(sent > 16 * 17, "{sent}");
        assert_eq!(bench.events(), Vec::<Event>::new());
    }
}
