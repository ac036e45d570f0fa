//! Frames that pass, and what becomes of them on the way.

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::harness::*;
use dot11::amsdu::AmsduBuilder;
use dot11::build::management;
use dot11::ccmp::{self, Pn};
use dot11::llc::{self, EtherType};
use dot11::{Frame as Dot11, MacAddr, ManagementSubtype, SequenceControl};
use proto::tunnel::DataHeader as TunnelHeader;

/// One tunnel with some devices that have keys and open ports.
fn up(service: Service, devices: u32) -> (Bench, Tunnel, Vec<Device>) {
    up_with(Config::default(), service, devices)
}

fn up_with(config: Config, service: Service, devices: u32) -> (Bench, Tunnel, Vec<Device>) {
    let mut bench = Bench::new(config, 1);
    bench.welcome(std::slice::from_ref(&service));
    let tunnel = tunnel(0, &service);
    bench.open_tunnel(0, &tunnel, 30);
    let devices: Vec<_> = (1..=devices).map(|n| Device::new(&tunnel, mac(n), Some(tk(n as u8)))).collect();
    devices.iter().for_each(|device| bench.add_station(device));
    bench.changes();
    (bench, tunnel, devices)
}

fn pairwise(bench: &mut Bench) -> Vec<Vec<u8>> {
    bench.to_radio(0).into_iter().map(|(_, datagram)| datagram).collect()
}

#[test]
fn a_frame_goes_up_as_ethernet_and_an_answer_comes_down_sealed() {
    for qos in [None, Some(5)] {
        let (mut bench, tunnel, mut devices) = up(service(0), 0);
        let mut device = Device { qos, ..Device::new(&tunnel, mac(1), Some(tk(1))) };
        bench.add_station(&device);
        bench.changes();
        devices.clear();
        bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
        assert_eq!(bench.to_network(0), [ethernet(HOST, device.mac, 0, EtherType::ARP, b"up")]);
        assert_eq!(
            bench.changes(),
            [("ccmp_opened", 1), ("msdu_up", 1), ("network_tx", 1), ("tunnel_rx", 1)]
        );
        bench.from_network(0, &ethernet(device.mac, HOST, 0, EtherType::ARP, b"down"));
        let sent = bench.to_radio(0);
        let [(endpoint, datagram)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(*endpoint, tunnel.endpoint);
        let (header, pn, msdu) = device.open(datagram).unwrap();
        assert_eq!((header.addr1, header.addr2, header.addr3), (device.mac, tunnel.bssid, HOST));
        assert_eq!((pn, msdu), (1, llc::msdu(EtherType::ARP, b"down")));
        assert_eq!(header.control.is_qos_data(), qos.is_some());
        assert_eq!(
            bench.changes(),
            [("ccmp_sealed", 1), ("msdu_down", 1), ("network_rx", 1), ("tunnel_tx", 1)]
        );
        bench.command(CommandKind::CountersRequest { station: Some(device.key()) });
        bench.run();
        let counters = bench.events().into_iter().find_map(|event| match event {
            Event::Counters(counters) => Some(counters),
            _ => None,
        });
        let expected = Counters {
            station: device.key(),
            up_packets: 1,
            up_octets: 10,
            down_packets: 1,
            down_octets: 12,
            rssi_dbm: -55,
            idle_milliseconds: 0,
            tx_pn: 1,
        };
        assert_eq!(counters, Some(expected));
    }
}

#[test]
fn an_open_service_needs_no_key() {
    let (mut bench, tunnel, _) = up(service(0), 0);
    let mut device = Device::new(&tunnel, mac(1), None);
    bench.add_station(&device);
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!(bench.to_network(0).len(), 1);
    bench.from_network(0, &ethernet(device.mac, HOST, 0, EtherType::ARP, b"down"));
    let sent = pairwise(&mut bench);
    let (header, pn, _) = device.open(&sent[0]).unwrap();
    assert!(pn == 0 && !header.control.protected());
}

#[test]
fn other_llc_pdus_keep_their_length_form() {
    let (mut bench, tunnel, mut devices) = up(service(0), 1);
    let device = &mut devices[0];
    let pdu = [0x42, 0x42, 0x03, 1, 2, 3];
    let header = device.header(HOST);
    bench.from_radio(0, tunnel.endpoint, &tunnelled(&device.frame(header, &pdu)));
    let expected = [&HOST.0[..], &device.mac.0, &[0, 6], &pdu].concat();
    assert_eq!(bench.to_network(0), [expected]);
    // Padded to the shortest Ethernet frame on the way back.
    let down = [&device.mac.0[..], &HOST.0, &[0, 6], &pdu, &[0; 40]].concat();
    bench.from_network(0, &down);
    let sent = pairwise(&mut bench);
    assert_eq!(device.open(&sent[0]).unwrap().2, pdu);
}

#[test]
fn priorities_become_traffic_identifiers_with_counters_of_their_own() {
    let (mut bench, _, devices) = up(Service { vlan: 7, ..service(0) }, 1);
    let ip = |dscp: u8| [&[0x45, dscp << 2][..], &[0; 30]].concat();
    let frame = |vlan: u16, dscp| ethernet(devices[0].mac, HOST, vlan, EtherType::IPV4, &ip(dscp));
    // The tag's priority wins over the packet's DSCP.
    for frame in [frame(7, 46), frame(7, 0), frame(7 | 5 << 13, 46), frame(7, 46)] {
        bench.from_network(0, &frame);
    }
    let sent: Vec<_> = pairwise(&mut bench).iter().map(|d| devices[0].open(d).unwrap()).collect();
    let seen: Vec<_> = sent.iter().map(|(h, pn, _)| (h.qos.tid(), h.sequence.number(), *pn)).collect();
    // Priority 0 in a tag is a priority too.
    assert_eq!(seen, [(0, 0, 1), (0, 1, 2), (5, 0, 3), (0, 2, 4)]);
}

#[test]
fn vlans_of_services_and_of_single_stations_are_tagged_and_kept_apart() {
    let (mut bench, tunnel, mut devices) = up(Service { vlan: 10, ..service(0) }, 2);
    bench.command(CommandKind::PortOpen(PortOpen {
        station: devices[1].key(),
        open: true,
        vlan: 20,
        blob: Vec::new(),
    }));
    for device in &mut devices {
        bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    }
    let expected = [10, 20]
        .map(|vlan| ethernet(HOST, devices[usize::from(vlan == 20)].mac, vlan, EtherType::ARP, b"up"));
    assert_eq!(bench.to_network(0), expected);
    bench.changes();
    for vlan in [0, 10, 20] {
        bench.from_network(0, &ethernet(devices[1].mac, HOST, vlan, EtherType::ARP, b"down"));
        bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, vlan, EtherType::ARP, b"all"));
    }
    let sent = pairwise(&mut bench);
    let heard = |device: &Device| {
        sent.iter().filter_map(|d| device.open(d)).map(|(_, _, msdu)| msdu[8..].to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(heard(&devices[0]), [b"all"]);
    assert_eq!(heard(&devices[1]), [&b"down"[..], b"all"]);
    assert_eq!(bench.total(DropReason::UnknownVlan), 2);
    assert_eq!(bench.total(DropReason::UnknownDestination), 1);
}

#[test]
fn devices_reach_each_other_through_the_gateway() {
    let (mut bench, tunnel, mut devices) = up(service(0), 2);
    let datagram = {
        let to = devices[1].mac;
        devices[0].datagram(to, EtherType::ARP, b"hello")
    };
    bench.from_radio(0, tunnel.endpoint, &datagram);
    let sent = pairwise(&mut bench);
    let (header, _, msdu) = devices[1].open(&sent[0]).unwrap();
    assert_eq!((header.addr3, msdu), (devices[0].mac, llc::msdu(EtherType::ARP, b"hello")));
    assert!(bench.to_network(0).is_empty());
    assert_eq!(
        bench.changes(),
        [
            ("ccmp_opened", 1),
            ("ccmp_sealed", 1),
            ("hairpin", 1),
            ("msdu_down", 1),
            ("msdu_up", 1),
            ("tunnel_rx", 1),
            ("tunnel_tx", 1)
        ]
    );
}

#[test]
fn eapol_passes_in_clear_and_sealed_and_control_hears_which() {
    let (mut bench, tunnel, _) = up(service(0), 0);
    let mut device = Device::new(&tunnel, mac(1), None);
    bench.command(CommandKind::StationAdd(StationAdd {
        station: device.key(),
        aid: 1,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    let pdu = [2, 3, 0, 4, 1, 2, 3, 4];
    let in_clear = device.datagram(tunnel.bssid, EtherType::EAPOL, &pdu);
    bench.from_radio(0, tunnel.endpoint, &in_clear);
    bench.run();
    let expected = |was_protected| {
        Event::Frame(Frame {
            kind: FrameKind::Eapol,
            station: StationKey { bssid: tunnel.bssid, mac: mac(1) },
            data: pdu.to_vec(),
            was_protected,
            signal: Signal { rssi_dbm: -55, snr_db: 40, rate_100kbps: 540 },
            group_pn: 0,
        })
    };
    assert_eq!(bench.events(), [expected(false)]);
    // In clear, data is not heard, before the key or after it; EAPOL is, as message 4 of a rekey.
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"data"));
    bench.install(&device, tk(1), 0, 0);
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"data"));
    let in_clear = device.datagram(tunnel.bssid, EtherType::EAPOL, &pdu);
    bench.from_radio(0, tunnel.endpoint, &in_clear);
    assert!(bench.to_network(0).is_empty());
    assert_eq!((bench.events(), bench.total(DropReason::Unprotected)), (vec![expected(false)], 2));
    // One in clear does not pass for the first copy of a sealed one.
    device.tk = Some(tk(1));
    device.sequence -= 1;
    let mut sealed = device.datagram(tunnel.bssid, EtherType::EAPOL, &pdu);
    sealed[16 + 1] |= 0x08; // Retry
    bench.from_radio(0, tunnel.endpoint, &sealed);
    bench.run();
    assert_eq!(bench.events(), [expected(true)]);
    // Down: in clear if control says so, sealed if it does not, and the port may be closed.
    for protect in [false, true] {
        bench.command(CommandKind::Transmit(Transmit {
            kind: FrameKind::Eapol,
            station: device.key(),
            data: pdu.to_vec(),
            protect,
            hold_downlink_ms: 0,
        }));
    }
    let sent = pairwise(&mut bench);
    let opened: Vec<_> = sent.iter().map(|d| device.open(d).unwrap()).collect();
    assert_eq!((opened[0].1, opened[1].1), (0, 1));
    for (header, _, msdu) in opened {
        assert_eq!((header.addr3, msdu), (tunnel.bssid, llc::msdu(EtherType::EAPOL, &pdu)));
    }
}

#[test]
fn eapol_in_fragments_is_put_together_before_the_key_too() {
    let (mut bench, tunnel, _) = up(service(0), 0);
    let mut device = Device::new(&tunnel, mac(1), None);
    bench.command(CommandKind::StationAdd(StationAdd {
        station: device.key(),
        aid: 1,
        qos: false,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    let pdu: Vec<u8> = (0..200).collect();
    send_in_fragments(&mut bench, &mut device, tunnel.bssid, &llc::msdu(EtherType::EAPOL, &pdu), 70);
    let events = bench.events();
    let [Event::Frame(frame)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((frame.kind, frame.data.as_slice()), (FrameKind::Eapol, pdu.as_slice()));
}

fn send_in_fragments(bench: &mut Bench, device: &mut Device, to: MacAddr, msdu: &[u8], size: usize) {
    let header = device.header(to);
    let last = msdu.chunks(size).count() - 1;
    for (i, part) in msdu.chunks(size).enumerate() {
        let mut header = header;
        header.sequence = SequenceControl::new(header.sequence.number(), i as u8);
        header.control = header.control.with_more_fragments(i < last);
        let frame = device.frame(header, part);
        bench.from_radio(0, device.endpoint, &tunnelled(&frame));
    }
    bench.run();
}

#[test]
fn fragments_become_one_frame() {
    let (mut bench, _, mut devices) = up(service(0), 2);
    let payload: Vec<u8> = (0..1400).map(|i| i as u8).collect();
    for device in &mut devices {
        send_in_fragments(&mut bench, device, HOST, &llc::msdu(EtherType::ARP, &payload), 256);
    }
    let expected = [0, 1].map(|i: usize| ethernet(HOST, devices[i].mac, 0, EtherType::ARP, &payload));
    assert_eq!(bench.to_network(0), expected);
    assert_eq!(
        bench.changes(),
        [
            ("ccmp_opened", 12),
            ("defragmented", 2),
            ("fragment_rx", 12),
            ("msdu_up", 2),
            ("network_tx", 2),
            ("tunnel_rx", 12)
        ]
    );
}

#[test]
fn an_amsdu_comes_apart() {
    let (mut bench, tunnel, mut devices) = up(service(0), 2);
    let mut amsdu = AmsduBuilder::new();
    let to = [HOST, devices[1].mac, HOST];
    for (i, to) in to.into_iter().enumerate() {
        amsdu.push(to, devices[0].mac, &llc::msdu(EtherType::ARP, &[i as u8; 101])).unwrap();
    }
    let mut header = devices[0].header(tunnel.bssid);
    header.qos = header.qos.with_amsdu_present(true);
    let frame = devices[0].frame(header, &amsdu.finish());
    bench.from_radio(0, tunnel.endpoint, &tunnelled(&frame));
    let expected = [0, 2].map(|i| ethernet(HOST, devices[0].mac, 0, EtherType::ARP, &[i; 101]));
    assert_eq!(bench.to_network(0), expected);
    let sent = pairwise(&mut bench);
    assert_eq!(devices[1].open(&sent[0]).unwrap().2, llc::msdu(EtherType::ARP, &[1; 101]));
}

#[test]
fn long_frames_cross_a_narrow_path_in_fragments_both_ways() {
    for (endpoint, max) in [("192.0.2.1:40000", 1472), ("[2001:db8::1]:40000", 1452)] {
        let mut bench = Bench::new(Config::default(), 1);
        bench.welcome(&[service(0)]);
        let tunnel = Tunnel { endpoint: endpoint.parse().unwrap(), ..tunnel(0, &service(0)) };
        bench.open_tunnel(0, &tunnel, 30);
        let mut device = Device::new(&tunnel, mac(1), Some(tk(1)));
        bench.add_station(&device);
        bench.changes();
        let payload: Vec<u8> = (0..1500).map(|i| (i / 7) as u8).collect();
        let header = device.header(HOST);
        let frame = device.frame(header, &llc::msdu(EtherType::ARP, &payload));
        let mut parts = fragmented(&frame, 600, 77);
        parts.swap(0, 1);
        parts.iter().for_each(|part| bench.from_radio(0, tunnel.endpoint, part));
        assert_eq!(bench.to_network(0), [ethernet(HOST, device.mac, 0, EtherType::ARP, &payload)]);
        assert_eq!(bench.total(Forwarded::TunnelFragmentRx), parts.len() as u64);
        bench.from_network(0, &ethernet(device.mac, HOST, 0, EtherType::ARP, &payload));
        let sent = pairwise(&mut bench);
        assert!(sent.len() == 2 && sent.iter().all(|d| d.len() <= max), "{max}");
        assert_eq!(bench.total(Forwarded::TunnelFragmentTx), 2);
        let mut reassembler = proto::tunnel::Reassembler::new(proto::tunnel::Limits::default());
        let mut whole = None;
        for datagram in &sent {
            let (header, payload) = TunnelHeader::parse(datagram).unwrap();
            let frame = reassembler.push(0, &header, payload, std::time::Duration::ZERO).unwrap();
            whole = frame.map(|frame| tunnelled(frame.frame));
        }
        let (_, _, msdu) = device.open(&whole.unwrap()).unwrap();
        assert_eq!(msdu, llc::msdu(EtherType::ARP, &payload));
    }
}

#[test]
fn group_frames_reach_each_device_under_its_own_key_and_the_network() {
    let (mut bench, tunnel, mut devices) = up(service(0), 3);
    let frame = ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[1; 46]);
    bench.from_network(0, &frame);
    let sent = pairwise(&mut bench);
    assert_eq!(sent.len(), 3);
    for device in &devices {
        let heard: Vec<_> = sent.iter().filter_map(|d| device.open(d)).collect();
        assert!(heard.len() == 1 && heard[0].0.addr1 == device.mac && heard[0].1 == 1);
    }
    assert_eq!(
        bench.changes(),
        [("ccmp_sealed", 3), ("group_copy", 3), ("msdu_down", 3), ("network_rx", 1), ("tunnel_tx", 3)]
    );
    // From a device: to the network, and to the others.
    let datagram = devices[1].datagram(MacAddr::BROADCAST, EtherType::IPV4, &[0; 46]);
    bench.from_radio(0, tunnel.endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
    let sent = pairwise(&mut bench);
    let receivers: Vec<_> =
        (0..3).map(|i| sent.iter().filter(|d| devices[i].open(d).is_some()).count()).collect();
    assert_eq!(receivers, [1, 0, 1]);
}

#[test]
fn group_frames_of_an_isolated_service_stay_off_the_air() {
    let (mut bench, tunnel, mut devices) = up(Service { isolate: true, ..service(0) }, 2);
    let datagram = devices[0].datagram(MacAddr::BROADCAST, EtherType::IPV4, &[0; 46]);
    bench.from_radio(0, tunnel.endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
    assert!(pairwise(&mut bench).is_empty());
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[1; 46]));
    assert_eq!(pairwise(&mut bench).len(), 2);
}

#[test]
fn a_broadcast_to_more_devices_than_a_pass_takes_reaches_each_once() {
    let config = Config { fanout_per_pass: 7, ..Config::default() };
    let (mut bench, _, devices) = up_with(config, service(0), 100);
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[1; 46]));
    let mut sent = Vec::new();
    for _ in 0..100 {
        sent.extend(pairwise(&mut bench));
    }
    assert_eq!(sent.len(), 100);
    for device in &devices {
        assert_eq!(sent.iter().filter(|d| device.open(d).is_some()).count(), 1);
    }
}

#[test]
fn null_frames_are_taken_for_signs_of_life() {
    let (mut bench, tunnel, mut devices) = up(Service { idle_seconds: 5, ..service(0) }, 1);
    for _ in 0..5 {
        bench.advance(std::time::Duration::from_secs(3));
        let mut header = devices[0].header(tunnel.bssid);
        header.control = header.control.with_kind(dot11::FrameKind::Data(dot11::DataSubtype::QosNull));
        bench.from_radio(0, tunnel.endpoint, &tunnelled(&header.frame(&[])));
        bench.from_radio(0, tunnel.endpoint, &keep_alive(&tunnel));
        bench.run();
    }
    assert_eq!((bench.events(), bench.total(Forwarded::NullData)), (vec![], 5));
    bench.advance(std::time::Duration::from_millis(5_010));
    assert_eq!(bench.events(), [Event::StationIdle { station: devices[0].key(), idle_seconds: 5 }]);
    bench.advance(std::time::Duration::from_millis(5_010));
    assert_eq!(bench.events(), [Event::StationIdle { station: devices[0].key(), idle_seconds: 10 }]);
}

#[test]
fn management_frames_go_to_control_once_and_protected_ones_opened() {
    let (mut bench, tunnel, mut devices) = up(service(0), 1);
    let mut auth = management(
        ManagementSubtype::Authentication,
        tunnel.bssid,
        mac(9),
        tunnel.bssid,
        &[0, 0, 1, 0, 0, 0],
    );
    auth[22] = 0x30;
    bench.from_radio(0, tunnel.endpoint, &tunnelled(&auth));
    let mut retry = auth.clone();
    retry[1] |= 0x08;
    bench.from_radio(0, tunnel.endpoint, &tunnelled(&retry));
    bench.run();
    let events = bench.events();
    let [Event::Frame(frame)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((frame.kind, &frame.data, frame.was_protected), (FrameKind::Management, &auth, false));
    assert_eq!(frame.station, StationKey { bssid: tunnel.bssid, mac: mac(9) });
    let device = &mut devices[0];
    let disassociation =
        management(ManagementSubtype::Disassociation, tunnel.bssid, device.mac, tunnel.bssid, &[8, 0]);
    device.pn += 1;
    let sealed = ccmp::seal(&tk(1), 0, Pn::new(device.pn).unwrap(), &disassociation).unwrap();
    for _ in 0..2 {
        bench.from_radio(0, tunnel.endpoint, &tunnelled(&sealed));
    }
    bench.run();
    let events = bench.events();
    let [Event::Frame(frame)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&frame.data, frame.was_protected), (&disassociation, true));
    assert_eq!(bench.total(DropReason::Replay), 1);
    // Management has a replay counter of its own: data under the same numbers passes.
    device.pn = 0;
    let datagram = device.datagram(HOST, EtherType::ARP, b"data");
    bench.from_radio(0, tunnel.endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
}

#[test]
fn management_frames_of_control_get_sequence_numbers_and_protection() {
    let (mut bench, tunnel, devices) = up(service(0), 1);
    let frame = |to| management(ManagementSubtype::Deauthentication, to, tunnel.bssid, tunnel.bssid, &[3, 0]);
    for (to, protect) in [(mac(9), false), (mac(9), true), (devices[0].mac, false), (devices[0].mac, true)] {
        bench.command(CommandKind::Transmit(Transmit {
            kind: FrameKind::Management,
            station: StationKey { bssid: tunnel.bssid, mac: to },
            data: frame(to),
            protect,
            hold_downlink_ms: 0,
        }));
    }
    let sent = pairwise(&mut bench);
    let numbers: Vec<_> =
        sent.iter().map(|d| Dot11::parse(&d[8..]).unwrap().sequence().unwrap().number()).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    let protected: Vec<_> =
        sent.iter().map(|d| Dot11::parse(&d[8..]).unwrap().control().protected()).collect();
    assert_eq!(protected, [false, false, false, true]);
    let (header, plain) = ccmp::open(&tk(1), &sent[3][8..]).unwrap();
    assert_eq!((header.pn.value(), &plain[24..]), (1, &[3, 0][..]));
}

#[test]
fn a_frame_that_is_no_frame_is_refused_with_the_commands_number() {
    let (mut bench, tunnel, devices) = up(service(0), 1);
    let transmit = |kind, station: StationKey, data: &[u8]| {
        CommandKind::Transmit(Transmit {
            kind,
            station,
            data: data.to_vec(),
            protect: false,
            hold_downlink_ms: 0,
        })
    };
    let nobody = StationKey { bssid: tunnel.bssid, mac: mac(50) };
    let nowhere = StationKey { bssid: mac(51), mac: mac(50) };
    let commands = [
        transmit(FrameKind::Management, devices[0].key(), &[1, 2, 3]),
        transmit(FrameKind::Management, devices[0].key(), &[8; 30]),
        transmit(FrameKind::Eapol, nobody, &[2, 0, 0, 0]),
        transmit(FrameKind::Eapol, devices[0].key(), &[0; 5000]),
        CommandKind::StationRemove(nobody),
        CommandKind::TunnelClose { bssid: nowhere.bssid },
        CommandKind::CountersRequest { station: Some(nowhere) },
    ];
    let ids: Vec<_> = commands.into_iter().map(|command| bench.command(command)).collect();
    bench.run();
    let mut failed: Vec<_> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            Event::CommandFailed { command, .. } => command,
            other => panic!("{other:?}"),
        })
        .collect();
    failed.sort();
    assert_eq!(failed, ids);
    assert!(pairwise(&mut bench).is_empty());
}
