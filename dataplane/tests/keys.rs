//! Keys come, are replaced under traffic, and go: no loss, no replay, no packet number twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::harness::*;
use dot11::MacAddr;
use dot11::llc::EtherType;

fn up(service: Service) -> (Bench, Tunnel, Device) {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(std::slice::from_ref(&service));
    let tunnel = tunnel(0, &service);
    bench.open_tunnel(0, &tunnel, 30);
    let device = Device::new(&tunnel, mac(1), Some(tk(1)));
    bench.add_station(&device);
    bench.changes();
    (bench, tunnel, device)
}

/// One datagram of the radio, by itself.
fn receive(bench: &mut Bench, tunnel: &Tunnel, datagram: &[u8]) {
    bench.from_radio(0, tunnel.endpoint, datagram);
    bench.run();
}

fn message_3(bench: &mut Bench, device: &Device, hold_downlink_ms: u32) {
    bench.command(CommandKind::Transmit(Transmit {
        kind: FrameKind::Eapol,
        station: device.key(),
        data: vec![2, 3, 0, 1, 0x33],
        protect: true,
        hold_downlink_ms,
    }));
    bench.run();
}

fn down(device: &Device, n: u8) -> Vec<u8> {
    ethernet(device.mac, HOST, 0, EtherType::ARP, &[n; 20])
}

/// First octets of the payloads that a device can open.
fn heard(bench: &mut Bench, device: &Device) -> Vec<u8> {
    bench.to_radio(0).iter().filter_map(|(_, d)| device.open(d)).map(|(_, _, msdu)| msdu[8]).collect()
}

#[test]
fn a_key_is_replaced_under_traffic_without_loss() {
    let (mut bench, tunnel, mut device) = up(service(0));
    for _ in 0..5 {
        bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"old"));
    }
    assert_eq!(bench.to_network(0).len(), 5);
    bench.from_network(0, &down(&device, 1));
    bench.run();
    message_3(&mut bench, &device, 500);
    bench.from_network(0, &down(&device, 4));
    assert_eq!(heard(&mut bench, &device), [1, 2], "message 3 behind the rest, and nothing after it");
    // Message 4 arrives; frames that the device queued before it are still under the old key.
    let mut late: Vec<_> = (0..4).map(|_| device.datagram(HOST, EtherType::ARP, b"late")).collect();
    bench.install(&device, tk(2), 1000, 40);
    bench.from_network(0, &down(&device, 3));
    assert!(bench.to_radio(0).is_empty(), "the device may not have installed its side yet");
    bench.from_radio(0, tunnel.endpoint, &late.remove(0));
    assert_eq!(bench.to_network(0).len(), 1);
    assert!(bench.to_radio(0).is_empty(), "what it sends under the old key does not tell");
    let mut renewed = Device { tk: Some(tk(2)), pn: 0, ..device.clone() };
    let mut new: Vec<_> = (0..7).map(|_| renewed.datagram(HOST, EtherType::ARP, b"new")).collect();
    bench.from_radio(0, tunnel.endpoint, &new.remove(0));
    assert_eq!(bench.to_network(0).len(), 1);
    assert_eq!(
        heard(&mut bench, &renewed),
        [4, 3],
        "now it has: what waited goes under the new key, in order"
    );
    for datagram in [new.remove(0), late.remove(0), new.remove(0), late.remove(0), new.remove(0)] {
        bench.from_radio(0, tunnel.endpoint, &datagram);
    }
    assert_eq!(bench.to_network(0).len(), 5, "both keys are good for a while");
    assert_eq!((bench.total(Forwarded::Opened), bench.total(Forwarded::OpenedOld)), (9, 3));
    // Old frames replayed, and old ones after the grace.
    let replayed = late[0].clone();
    bench.from_radio(0, tunnel.endpoint, &late.remove(0));
    bench.from_radio(0, tunnel.endpoint, &replayed);
    assert_eq!((bench.to_network(0).len(), bench.total(DropReason::Replay)), (1, 1));
    let too_late = device.datagram(HOST, EtherType::ARP, b"late");
    bench.advance(Duration::from_millis(1000));
    bench.from_radio(0, tunnel.endpoint, &too_late);
    assert!(bench.to_network(0).is_empty());
    assert_eq!(bench.total(DropReason::MicFailure), 1);
    for datagram in new {
        bench.from_radio(0, tunnel.endpoint, &datagram);
    }
    assert_eq!(bench.to_network(0).len(), 3);
}

/// The device has sent message 4 and uses the new key; here that is not installed yet.
#[test]
fn frames_under_a_key_that_is_on_its_way_wait_for_it() {
    let (mut bench, tunnel, mut device) = up(service(0));
    for _ in 0..3 {
        receive(&mut bench, &tunnel, &device.datagram(HOST, EtherType::ARP, b"old"));
    }
    bench.to_network(0);
    message_3(&mut bench, &device, 500);
    receive(&mut bench, &tunnel, &device.datagram(HOST, EtherType::ARP, b"old"));
    assert_eq!(bench.to_network(0).len(), 1, "the present key is still good");
    let mut renewed = Device { tk: Some(tk(2)), pn: 0, ..device.clone() };
    // The first four numbers were used under the present key, the others would be new under it.
    let sent: Vec<_> = (0..8u8).map(|n| renewed.datagram(HOST, EtherType::ARP, &[n; 20])).collect();
    for datagram in &sent {
        receive(&mut bench, &tunnel, datagram);
    }
    receive(&mut bench, &tunnel, &sent[7]);
    assert!(bench.to_network(0).is_empty());
    bench.install(&device, tk(2), 1000, 40);
    let came: Vec<_> = bench.to_network(0).iter().map(|frame| frame[14]).collect();
    assert_eq!(came, (0..8).collect::<Vec<_>>(), "all, in order, once");
    assert_eq!((bench.total(Forwarded::Parked), bench.total(DropReason::Replay)), (9, 1));
    assert_eq!(bench.total(DropReason::MicFailure), 0);
    receive(&mut bench, &tunnel, &renewed.datagram(HOST, EtherType::ARP, b"new"));
    assert_eq!((bench.to_network(0).len(), bench.total(Forwarded::Parked)), (1, 9), "nothing waits any more");
}

/// An operator is impatient, or a guest system slow: the next key comes while the last but one is still accepted.
#[test]
fn a_key_may_follow_while_the_one_before_is_still_accepted() {
    let (mut bench, tunnel, mut device) = up(service(0));
    for key in 2..6 {
        message_3(&mut bench, &device, 500);
        receive(&mut bench, &tunnel, &device.datagram(HOST, EtherType::ARP, b"present"));
        assert_eq!(bench.to_network(0).len(), 1, "the present key is good");
        let mut renewed = Device { tk: Some(tk(key)), pn: 0, ..device.clone() };
        for _ in 0..3 {
            receive(&mut bench, &tunnel, &renewed.datagram(HOST, EtherType::ARP, b"early"));
        }
        assert!(bench.to_network(0).is_empty());
        bench.install(&renewed, tk(key), 1000, 40);
        assert_eq!(bench.to_network(0).len(), 3, "what came early");
        receive(&mut bench, &tunnel, &device.datagram(HOST, EtherType::ARP, b"late"));
        assert_eq!(bench.to_network(0).len(), 1, "the replaced key is good for a while");
        bench.advance(Duration::from_millis(300));
        device = renewed;
    }
    assert_eq!((bench.total(DropReason::Replay), bench.total(DropReason::MicFailure)), (0, 0));
    assert_eq!(bench.total(Forwarded::Parked), 12);
}

#[test]
fn frames_wait_no_longer_than_their_time_and_a_bounded_number() {
    let (mut bench, tunnel, mut device) = up(service(0));
    for _ in 0..40 {
        bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"old"));
    }
    bench.to_network(0);
    message_3(&mut bench, &device, 2000);
    let mut renewed = Device { tk: Some(tk(2)), pn: 0, ..device.clone() };
    for _ in 0..41 {
        bench.from_radio(0, tunnel.endpoint, &renewed.datagram(HOST, EtherType::ARP, b"new"));
        bench.run();
    }
    assert_eq!((bench.total(Forwarded::Parked), bench.total(DropReason::HoldFull)), (32, 9));
    bench.advance(Duration::from_millis(990));
    assert_eq!(bench.total(DropReason::Replay), 0);
    bench.advance(Duration::from_millis(30));
    assert_eq!(bench.total(DropReason::Replay), 32, "without the key they are what they look like");
    // And those of a station that goes do not come out for the next one in its place.
    bench.from_radio(0, tunnel.endpoint, &renewed.datagram(HOST, EtherType::ARP, b"new"));
    bench.run();
    bench.command(CommandKind::StationRemove(device.key()));
    bench.run();
    assert_eq!(bench.total(DropReason::HoldLost), 1);
}

#[test]
fn the_first_frames_of_a_device_wait_for_key_and_port() {
    let service = service(0);
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(std::slice::from_ref(&service));
    let tunnel = tunnel(0, &service);
    bench.open_tunnel(0, &tunnel, 30);
    let mut device = Device::new(&tunnel, mac(1), Some(tk(1)));
    bench.command(CommandKind::StationAdd(StationAdd {
        station: device.key(),
        aid: 1,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    bench.run();
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"first"));
    bench.run();
    bench.install(&device, tk(1), 0, 0);
    assert!(bench.to_network(0).is_empty());
    bench.open_port(&device);
    assert_eq!(bench.to_network(0).len(), 1);
    assert_eq!((bench.total(Forwarded::Parked), bench.total(DropReason::PortClosed)), (1, 0));
}

#[test]
fn a_hold_ends_with_the_key_or_with_its_time_and_is_bounded() {
    let (mut bench, _, device) = up(service(0));
    message_3(&mut bench, &device, 100);
    heard(&mut bench, &device);
    for n in 0..70 {
        bench.from_network(0, &down(&device, n));
    }
    assert!(heard(&mut bench, &device).is_empty());
    assert_eq!((bench.total(Forwarded::Held), bench.total(DropReason::HoldFull)), (64, 6));
    bench.advance(Duration::from_millis(120));
    assert_eq!(heard(&mut bench, &device), (0..64).collect::<Vec<_>>(), "no key came: the old one goes on");
    message_3(&mut bench, &device, 10_000);
    heard(&mut bench, &device);
    bench.from_network(0, &down(&device, 9));
    assert!(heard(&mut bench, &device).is_empty());
    bench.install(&device, tk(2), 0, 0);
    let renewed = Device { tk: Some(tk(2)), ..device };
    assert_eq!(heard(&mut bench, &renewed), [9]);
    bench.from_network(0, &down(&renewed, 10));
    assert_eq!(heard(&mut bench, &renewed), [10]);
}

/// It has the new key long before the time is over, as a rule, and no traffic that would tell.
#[test]
fn a_device_that_only_listens_waits_its_time_and_loses_nothing() {
    let (mut bench, _, device) = up(service(0));
    message_3(&mut bench, &device, 1000);
    heard(&mut bench, &device);
    bench.install(&device, tk(2), 1000, 500);
    let renewed = Device { tk: Some(tk(2)), ..device };
    bench.from_network(0, &down(&renewed, 1));
    bench.advance(Duration::from_millis(490));
    assert!(heard(&mut bench, &renewed).is_empty());
    bench.advance(Duration::from_millis(20));
    assert_eq!(heard(&mut bench, &renewed), [1]);
    // The next key, under more than may wait.
    message_3(&mut bench, &renewed, 1000);
    heard(&mut bench, &renewed);
    bench.install(&renewed, tk(3), 1000, 500);
    let renewed = Device { tk: Some(tk(3)), ..renewed };
    for n in 0..64 {
        bench.from_network(0, &down(&renewed, n));
    }
    assert!(heard(&mut bench, &renewed).is_empty());
    bench.from_network(0, &down(&renewed, 64));
    assert_eq!(heard(&mut bench, &renewed), (0..=64).collect::<Vec<_>>());
    assert_eq!(bench.total(DropReason::HoldFull), 0);
}

#[test]
fn a_key_in_use_is_not_installed_again() {
    let (mut bench, tunnel, mut device) = up(service(0));
    bench.from_network(0, &down(&device, 1));
    let first = bench.to_radio(0);
    assert_eq!(device.open(&first[0].1).unwrap().1, 1);
    let datagram = device.datagram(HOST, EtherType::ARP, b"up");
    bench.from_radio(0, tunnel.endpoint, &datagram);
    assert_eq!(bench.to_network(0).len(), 1);
    bench.install(&device, tk(1), 1000, 0);
    bench.from_network(0, &down(&device, 2));
    let second = bench.to_radio(0);
    assert_eq!(device.open(&second[0].1).unwrap().1, 2, "numbers go on");
    bench.from_radio(0, tunnel.endpoint, &datagram);
    assert_eq!((bench.to_network(0).len(), bench.total(DropReason::Replay)), (0, 1));
    // Nor is the one that was just replaced.
    bench.install(&device, tk(2), 1000, 0);
    bench.events();
    bench.install(&device, tk(1), 1000, 0);
    assert!(matches!(bench.events()[..], [Event::CommandFailed { .. }]));
}

#[test]
fn a_group_key_covers_a_bss_and_its_numbers_increase_across_replacement() {
    let grouped = Service { group_to_unicast: false, ..service(0) };
    let (mut bench, tunnel, _) = up(grouped);
    let other = Device::new(&tunnel, mac(2), Some(tk(2)));
    bench.add_station(&other);
    let install = |bench: &mut Bench, key_id, n| {
        bench.command(CommandKind::GroupKeyInstall(GroupKeyInstall {
            bssid: tunnel.bssid,
            key_id,
            gtk: gtk(n),
            blob: vec![n],
            transmit: true,
        }));
    };
    let broadcast = ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[1; 46]);
    bench.from_network(0, &broadcast);
    assert!(bench.to_radio(0).is_empty());
    assert_eq!(bench.total(DropReason::NoDownlinkKey), 1, "protected stations, but no group key");
    let mut seen = Vec::new();
    for (key_id, n) in [(1, 1), (1, 1), (2, 2), (1, 3)] {
        install(&mut bench, key_id, n);
        for _ in 0..2 {
            bench.from_network(0, &broadcast);
        }
        let sent = bench.to_radio(0);
        assert_eq!(sent.len(), 2, "one frame for the whole BSS");
        for (_, datagram) in sent {
            let (header, _) =
                dot11::ccmp::open(&Tk::new(*gtk(n).as_bytes()), &datagram[8..]).expect("the MIC is right");
            seen.push((header.key_id, header.pn.value()));
        }
    }
    assert_eq!(seen, [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (1, 1), (1, 2)]);
    // What control hears of it with a frame.
    let auth = dot11::build::management(
        dot11::ManagementSubtype::Authentication,
        tunnel.bssid,
        mac(7),
        tunnel.bssid,
        &[0, 0, 1, 0, 0, 0],
    );
    bench.from_radio(0, tunnel.endpoint, &tunnelled(&auth));
    bench.run();
    let pn = bench.events().into_iter().find_map(|event| match event {
        Event::Frame(frame) => Some(frame.group_pn),
        _ => None,
    });
    assert_eq!(pn, Some(2));
}

#[test]
fn packet_numbers_increase_strictly_under_every_key() {
    let grouped = Service { group_to_unicast: false, ..service(0) };
    let (mut bench, tunnel, device) = up(grouped);
    let mut sent = Vec::new();
    for round in 0..40u8 {
        match round % 8 {
            2 => bench.install(&device, tk(1 + round / 8), 500, 0),
            5 => message_3(&mut bench, &device, 30),
            6 => {
                bench.command(CommandKind::GroupKeyInstall(GroupKeyInstall {
                    bssid: tunnel.bssid,
                    key_id: 1 + round % 2,
                    gtk: gtk(round / 16),
                    blob: Vec::new(),
                    transmit: true,
                }));
            }
            _ => {}
        }
        for n in 0..5 {
            bench.from_network(0, &down(&device, n));
            bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[1; 46]));
        }
        bench.advance(Duration::from_millis(20));
        sent.extend(bench.to_radio(0));
    }
    let keys: Vec<_> = (0..8).flat_map(|n| [tk(n), Tk::new(*gtk(n).as_bytes())]).collect();
    let mut last: HashMap<usize, u64> = HashMap::new();
    let mut under = HashSet::new();
    for (_, datagram) in &sent {
        let opened = keys.iter().enumerate().find_map(|(i, key)| {
            dot11::ccmp::open(key, &datagram[8..]).ok().map(|(header, _)| (i, header.pn.value()))
        });
        let (key, pn) = opened.expect("everything is sealed under some key");
        let before = last.insert(key, pn).unwrap_or(0);
        assert!(pn > before, "{pn} after {before}");
        under.insert(key);
    }
    assert!(sent.len() > 300 && under.len() >= 7, "{} frames under {} keys", sent.len(), under.len());
}

#[test]
fn two_copies_in_one_burst_pass_once() {
    let (mut bench, tunnel, mut device) = up(service(0));
    let datagram = device.datagram(HOST, EtherType::ARP, b"once");
    for _ in 0..3 {
        bench.from_radio(0, tunnel.endpoint, &datagram);
    }
    assert_eq!((bench.to_network(0).len(), bench.total(DropReason::Replay)), (1, 2));
}

#[test]
fn each_traffic_identifier_has_its_own_window_and_forgeries_do_not_move_it() {
    let (mut bench, tunnel, mut device) = up(service(0));
    let mut frames = Vec::new();
    for tid in [3, 0, 15] {
        device.qos = Some(tid);
        device.pn = 100;
        frames.push(device.datagram(HOST, EtherType::ARP, &[tid]));
    }
    // A forgery far ahead.
    device.pn = 1 << 40;
    let mut forged = device.datagram(HOST, EtherType::ARP, b"forged");
    *forged.last_mut().unwrap() ^= 0x80;
    bench.from_radio(0, tunnel.endpoint, &forged);
    for frame in &frames {
        bench.from_radio(0, tunnel.endpoint, frame);
    }
    assert_eq!(bench.to_network(0).len(), 3);
    assert_eq!(bench.total(DropReason::MicFailure), 1);
    bench.advance(Duration::from_millis(50));
    let failures = bench.events().into_iter().find(|event| matches!(event, Event::DecryptFailures { .. }));
    let expected = Event::DecryptFailures { station: device.key(), mic_failures: 1, replays: 0 };
    assert_eq!(failures, Some(expected));
}

#[test]
fn a_device_that_associates_anew_begins_without_a_key() {
    let (mut bench, tunnel, mut device) = up(service(0));
    let datagram = device.datagram(HOST, EtherType::ARP, b"old");
    bench.command(CommandKind::StationAdd(StationAdd {
        station: device.key(),
        aid: 1,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    bench.from_radio(0, tunnel.endpoint, &datagram);
    bench.from_network(0, &down(&device, 1));
    assert!(bench.to_network(0).is_empty() && bench.to_radio(0).is_empty());
    bench.advance(Duration::from_millis(1010));
    assert_eq!((bench.total(Forwarded::Parked), bench.total(DropReason::NoKey)), (1, 1));
    assert_eq!(bench.total(DropReason::UnknownDestination), 1, "its port is closed again");
}
