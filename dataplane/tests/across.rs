//! From station to station: with many stations, destinations are looked up ahead; nothing comes out differently for it.

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::endpoint::Endpoint;
use dataplane::harness::*;
use dot11::amsdu::AmsduBuilder;
use dot11::llc::{self, EtherType};
use dot11::{MacAddr, SequenceControl};

const ABSENT: MacAddr = MacAddr([2, 0x77, 0, 0, 0, 1]);
const GROUP: MacAddr = MacAddr([3, 0x77, 0, 0, 0, 1]);

/// What came out of each burst, and all counters that are not of the stations' number.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    network: Vec<Vec<Vec<u8>>>,
    radio: Vec<Vec<(Endpoint, Vec<u8>)>>,
    hairpins: u64,
    drops: [u64; 5],
}

/// The first four devices say the same to each other, whatever else there is.
fn outcome(stations: u32) -> Outcome {
    let mut bench = Bench::new(Config { stations: stations as usize, ..Config::default() }, 1);
    let service = Service { group_to_unicast: false, proxy_arp: false, ..service(0) };
    bench.welcome(std::slice::from_ref(&service));
    let tunnel = tunnel(0, &service);
    bench.open_tunnel(0, &tunnel, 0);
    let mut devices: Vec<_> = (0..4).map(|n| Device::new(&tunnel, mac(n), Some(tk(n as u8 + 1)))).collect();
    for n in 4..stations {
        bench.add_station(&Device::new(&tunnel, mac(n), Some(tk(1))));
    }
    devices.iter().for_each(|device| bench.add_station(device));
    let port = |bench: &mut Bench, device: &Device, open, vlan| {
        let (station, blob) = (device.key(), Vec::new());
        bench.command(CommandKind::PortOpen(PortOpen { station, open, vlan, blob }));
        bench.run();
    };
    // The fourth is on another VLAN, where an address means somebody else.
    port(&mut bench, &devices[3], true, 7);
    bench.events();
    bench.to_radio(0);
    let (mut network, mut radio) = (Vec::new(), Vec::new());
    for round in 0..4 {
        if round == 3 {
            port(&mut bench, &devices[2], false, 0);
        }
        let to = [devices[1].mac, HOST, devices[2].mac, devices[3].mac, ABSENT, GROUP, devices[0].mac, HOST];
        let mut datagrams = Vec::new();
        for from in [0, 3, 1] {
            for (n, to) in to.into_iter().enumerate() {
                datagrams.push(devices[from].datagram(to, EtherType::IPV4, &[round, from as u8, n as u8]));
            }
            let mut header = devices[from].header(to[0]);
            let mut amsdu = AmsduBuilder::new();
            for to in [to[2], HOST, ABSENT] {
                amsdu.push(to, devices[from].mac, &llc::msdu(EtherType::IPV4, &[0xaa; 20])).unwrap();
            }
            header.qos = header.qos.with_amsdu_present(true);
            let frame = devices[from].frame(header, &amsdu.finish());
            datagrams.push(tunnelled(&frame));
            let header = devices[from].header(to[2]);
            for (n, part) in llc::msdu(EtherType::IPV4, &[0xbb; 90]).chunks(60).enumerate() {
                let mut header = header;
                header.sequence = SequenceControl::new(header.sequence.number(), n as u8);
                header.control = header.control.with_more_fragments(n == 0);
                datagrams.push(tunnelled(&devices[from].frame(header, part)));
            }
        }
        // One that was heard twice, and one that is nobody's.
        datagrams.push(datagrams[0].clone());
        *datagrams[9].last_mut().unwrap() ^= 1;
        for datagram in &datagrams {
            bench.from_radio(0, tunnel.endpoint, datagram);
        }
        network.push(bench.to_network(0));
        radio.push(bench.to_radio(0));
    }
    let drops = [
        DropReason::WrongAddresses,
        DropReason::Replay,
        DropReason::MicFailure,
        DropReason::UnknownDestination,
        DropReason::PortClosed,
    ];
    let drops = drops.map(|reason| bench.total(reason));
    Outcome { network, radio, hairpins: bench.total(Forwarded::Hairpin), drops }
}

#[test]
fn looking_ahead_changes_nothing_of_what_comes_out() {
    let (few, many) = (outcome(4), outcome(5000));
    assert!(few.hairpins > 20 && few.drops[..3].iter().all(|&drops| drops > 0), "{few:?}");
    assert_eq!(few, many);
}
