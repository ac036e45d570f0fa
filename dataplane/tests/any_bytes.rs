//! Whatever arrives: nothing panics, nothing that was not sent by a device is delivered, nothing leaves unsealed, no packet number comes twice.

use std::collections::{HashMap, HashSet};

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::harness::*;
use dataplane::packet::PoolConfig;
use dot11::amsdu::AmsduBuilder;
use dot11::llc::{self, EtherType};
use dot11::{MacAddr, SequenceControl};
use proptest::prelude::*;

fn up(workers: usize) -> (Bench, Vec<Tunnel>, Vec<Device>) {
    let pool = PoolConfig { packets: 256, buffer: 4352, headroom: 128 };
    let mut bench = Bench::with_pool(Config { stations: 16, ..Config::default() }, workers, pool);
    let service = Service { proxy_arp: true, group_to_unicast: true, ..service(0) };
    bench.welcome(std::slice::from_ref(&service));
    let tunnels: Vec<_> = (0..workers).map(|n| tunnel(n as u8, &service)).collect();
    let mut devices = Vec::new();
    for (worker, tunnel) in tunnels.iter().enumerate() {
        bench.open_tunnel(worker, tunnel, 0);
        let device = Device::new(tunnel, mac(worker as u32 + 1), Some(tk(worker as u8 + 1)));
        bench.add_station(&device);
        devices.push(device);
    }
    (bench, tunnels, devices)
}

/// Datagrams of every kind that a radio sends for a device, and the Ethernet frames that they may become.
fn genuine(device: &mut Device) -> (Vec<Vec<u8>>, HashSet<Vec<u8>>) {
    let mut datagrams = Vec::new();
    let mut frames = HashSet::new();
    let mut may_become = |mac: MacAddr, payload: &[u8]| {
        frames.insert(ethernet(HOST, mac, 0, EtherType::IPV4, payload));
    };
    for n in 0..3 {
        let payload = [n; 80];
        datagrams.push(device.datagram(HOST, EtherType::IPV4, &payload));
        may_become(device.mac, &payload);
    }
    let long: Vec<u8> = (0..250).collect();
    may_become(device.mac, &long);
    let header = device.header(HOST);
    for (i, part) in llc::msdu(EtherType::IPV4, &long).chunks(100).enumerate() {
        let mut header = header;
        header.sequence = SequenceControl::new(header.sequence.number(), i as u8);
        header.control = header.control.with_more_fragments(i < 2);
        datagrams.push(tunnelled(&device.frame(header, part)));
    }
    let mut amsdu = AmsduBuilder::new();
    for n in 10..13 {
        amsdu.push(HOST, device.mac, &llc::msdu(EtherType::IPV4, &[n; 50])).unwrap();
        may_become(device.mac, &[n; 50]);
    }
    let mut header = device.header(device.bssid);
    header.qos = header.qos.with_amsdu_present(true);
    let frame = device.frame(header, &amsdu.finish());
    datagrams.push(tunnelled(&frame));
    let payload = [9; 200];
    may_become(device.mac, &payload);
    let header = device.header(HOST);
    let frame = device.frame(header, &llc::msdu(EtherType::IPV4, &payload));
    datagrams.extend(fragmented(&frame, 120, 3));
    (datagrams, frames)
}

/// How to change a datagram: which, and at which places by what.
type Edit = (prop::sample::Index, Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    prop::collection::vec(
        (any::<prop::sample::Index>(), places, prop::option::weighted(0.1, any::<prop::sample::Index>())),
        1..60,
    )
}

fn edited(originals: &[Vec<u8>], (which, places, cut): &Edit) -> Vec<u8> {
    let mut datagram = which.get(originals).clone();
    for (place, change) in places {
        // The front is where the structure is.
        let reach = if change % 2 == 0 { datagram.len().min(60) } else { datagram.len() };
        datagram[place.index(reach)] ^= change;
    }
    if let Some(cut) = cut {
        datagram.truncate(cut.index(datagram.len()).max(1));
    }
    datagram
}

fn only_sealed_and_in_order(bench: &mut Bench, devices: &[Device]) -> Result<(), TestCaseError> {
    let mut last: HashMap<MacAddr, u64> = HashMap::new();
    for worker in 0..devices.len() {
        for (_, datagram) in bench.to_radio(worker) {
            if datagram[3] & 0x08 != 0 {
                continue; // a keep-alive's echo
            }
            if datagram[3] & 0x80 != 0 {
                continue; // a CAPWAP fragment of a sealed frame
            }
            if datagram[8] == 0xc0 {
                continue; // a deauthentication of somebody unknown
            }
            let opened = devices.iter().find_map(|d| d.open(&datagram).map(|o| (d.mac, o)));
            let Some((mac, (header, pn, _))) = opened else {
                return Err(TestCaseError::fail(format!("not sealed for a device: {datagram:02x?}")));
            };
            prop_assert!(header.control.from_ds() && pn > 0);
            let before = last.insert(mac, pn).unwrap_or(0);
            prop_assert!(pn > before, "{} after {}", pn, before);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changed_datagrams_deliver_nothing_that_was_not_sent(edits in edits(), workers in 1usize..3) {
        let (mut bench, tunnels, mut devices) = up(workers);
        let (mut originals, may) = genuine(&mut devices[0]);
        originals.push(keep_alive(&tunnels[0]));
        for (i, edit) in edits.iter().enumerate() {
            bench.from_radio(i % workers, tunnels[0].endpoint, &edited(&originals, edit));
            if i % 7 == 0 {
                bench.run();
            }
        }
        let mut delivered = HashSet::new();
        for worker in 0..workers {
            for frame in bench.to_network(worker) {
                prop_assert!(may.contains(&frame), "{:02x?}", frame);
                prop_assert!(delivered.insert(frame), "delivered twice");
            }
        }
        only_sealed_and_in_order(&mut bench, &devices)?;
        for worker in &bench.workers {
            // Only incomplete MSDUs may still hold packets.
            prop_assert!(worker.state.pool.in_use() <= 8);
        }
    }

    #[test]
    fn any_octets_from_a_radio(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..40)) {
        let (mut bench, tunnels, _) = up(1);
        for datagram in &datagrams {
            bench.from_radio(0, tunnels[0].endpoint, datagram);
            // Behind a right tunnel header, and behind the header of a device's frame.
            bench.from_radio(0, tunnels[0].endpoint, &tunnelled(datagram));
        }
        prop_assert!(bench.to_network(0).is_empty());
    }

    #[test]
    fn any_frames_from_the_network_leave_sealed(edits in edits(), noise in prop::collection::vec(any::<u8>(), 1..100)) {
        let (mut bench, _, devices) = up(2);
        let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &HOST.0, &[10, 0, 0, 1], &[0; 6], &[10, 0, 0, 2]].concat();
        let mut dhcp = vec![0x45, 0, 1, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 255, 255, 255, 255, 0, 67, 0, 68, 1, 0, 0, 0, 2, 1, 6];
        dhcp.resize(28 + 28, 0);
        dhcp.extend_from_slice(&devices[0].mac.0);
        dhcp.resize(28 + 236, 0);
        dhcp.extend_from_slice(&[99, 130, 83, 99, 53, 1, 5, 255]);
        dhcp[28 + 16..28 + 20].copy_from_slice(&[10, 0, 0, 9]);
        let mut nd = vec![0x60, 0, 0, 0, 0, 24, 58, 255];
        nd.resize(8 + 32, 0xfe);
        nd.extend_from_slice(&[135, 0, 0, 0, 0, 0, 0, 0]);
        nd.resize(64, 1);
        let originals = [
            ethernet(devices[0].mac, HOST, 0, EtherType::IPV4, &[0x45; 60]),
            ethernet(devices[1].mac, HOST, 0, EtherType::IPV6, &[0x60; 1500]),
            ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &arp),
            ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &dhcp),
            ethernet(MacAddr([0x33, 0x33, 0xff, 1, 1, 1]), HOST, 0, EtherType::IPV6, &nd),
            ethernet(devices[0].mac, HOST, 3, EtherType::IPV4, &[0x45; 60]),
            noise,
        ];
        for (i, edit) in edits.iter().enumerate() {
            bench.from_network(i % 2, &edited(&originals, edit));
        }
        only_sealed_and_in_order(&mut bench, &devices)?;
        bench.to_network(0);
        bench.to_network(1);
        for worker in &bench.workers {
            prop_assert_eq!(worker.state.pool.in_use(), 0);
        }
    }
}
