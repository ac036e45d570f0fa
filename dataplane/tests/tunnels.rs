//! Tunnels come up when control says so, follow their radio, and go when it falls silent.

use std::time::Duration;

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::endpoint::Endpoint;
use dataplane::harness::*;
use dot11::MacAddr;
use dot11::llc::EtherType;
use proto::tunnel::{Hello, KeepAlive, Punch};

fn up() -> (Bench, Tunnel, Device) {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(&[service(0)]);
    let tunnel = tunnel(0, &service(0));
    bench.open_tunnel(0, &tunnel, 10);
    let device = Device::new(&tunnel, mac(1), Some(tk(1)));
    bench.add_station(&device);
    bench.changes();
    (bench, tunnel, device)
}

fn accept(tunnel: Tunnel) -> CommandKind {
    CommandKind::TunnelAccept(TunnelAccept {
        tunnel,
        blob: b"again".to_vec(),
        keepalive_timeout_seconds: 10,
        key: None,
        counter: 0,
    })
}

fn echo(tunnel: &Tunnel) -> Vec<u8> {
    KeepAlive { session_id: tunnel.session_id, hello: None, proof: None }.datagram()
}

#[test]
fn nothing_passes_before_control_introduced_the_tunnel() {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(&[service(0)]);
    let tunnel = tunnel(0, &service(0));
    let mut device = Device::new(&tunnel, mac(1), None);
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"early"));
    let parts = fragmented(&[0x88; 900], 300, 1);
    parts.iter().for_each(|part| bench.from_radio(0, tunnel.endpoint, part));
    bench.from_radio(0, tunnel.endpoint, &keep_alive(&tunnel));
    assert!(bench.to_radio(0).is_empty() && bench.to_network(0).is_empty());
    assert_eq!(bench.events(), [Event::TunnelRequest(tunnel, None)]);
    assert_eq!(bench.total(DropReason::UnknownTunnel), 1 + parts.len() as u64);
    let id = bench.command(accept(Tunnel { service: ServiceUuid([9; 16]), ..tunnel }));
    assert_eq!(bench.events(), [Event::CommandFailed { command: id, reason: "no such service" }]);
    bench.command(accept(tunnel));
    assert_eq!(bench.to_radio(0), [(tunnel.endpoint, echo(&tunnel))]);
    bench.from_radio(0, tunnel.endpoint, &keep_alive(&tunnel));
    assert_eq!(bench.to_radio(0), [(tunnel.endpoint, echo(&tunnel))]);
}

#[test]
fn an_endpoint_moves_only_with_the_sessions_own_keep_alive() {
    let (mut bench, tunnel, mut device) = up();
    let moved: Endpoint = "198.51.100.7:7000".parse().unwrap();
    let down = ethernet(device.mac, HOST, 0, EtherType::ARP, b"down");
    // Data from elsewhere moves nothing; neither does another session's keep-alive.
    bench.from_radio(0, moved, &device.datagram(HOST, EtherType::ARP, b"up"));
    bench.from_radio(0, moved, &keep_alive(&Tunnel { session_id: SessionId([9; 16]), ..tunnel }));
    bench.from_network(0, &down);
    let sent = bench.to_radio(0);
    assert_eq!(sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [tunnel.endpoint]);
    assert_eq!(bench.total(DropReason::WrongEndpoint), 1);
    let stolen = Tunnel { session_id: SessionId([9; 16]), endpoint: moved, ..tunnel };
    assert_eq!(bench.events(), [Event::TunnelRequest(stolen, None)]);
    bench.from_radio(0, moved, &keep_alive(&tunnel));
    assert_eq!(bench.to_radio(0), [(moved, echo(&tunnel))]);
    bench.from_network(0, &down);
    bench.from_radio(0, moved, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!(bench.to_radio(0)[0].0, moved);
    assert_eq!(bench.to_network(0).len(), 1);
    // Fragments too, and no longer from the old place.
    let header = device.header(HOST);
    let frame = device.frame(header, &dot11::llc::msdu(EtherType::ARP, &[1; 500]));
    for part in fragmented(&frame, 200, 3) {
        bench.from_radio(0, moved, &part);
        bench.from_radio(0, tunnel.endpoint, &part);
    }
    assert_eq!(bench.to_network(0).len(), 1);
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert!(bench.to_network(0).is_empty());
    assert_eq!((bench.total(DropReason::WrongEndpoint), bench.total(Forwarded::TunnelMoved)), (2, 1));
}

/// The keep-alive of a tunnel as its radio makes it: with the tunnel's key.
fn proved(tunnel: &Tunnel, key: &TunnelKey, counter: u64) -> Vec<u8> {
    let hello = Hello { bssid: tunnel.bssid, radio: tunnel.radio, service: tunnel.service };
    let proof = Some(Proof::new(key, &tunnel.session_id, &hello, counter));
    KeepAlive { session_id: tunnel.session_id, hello: Some(hello), proof }.datagram()
}

/// Whoever is on the way sees session ids, and whole keep-alives.
#[test]
fn a_tunnel_with_a_key_heeds_only_keep_alives_that_prove_it_and_each_once() {
    let (mut bench, _, _) = up();
    let tunnel = tunnel(1, &service(0));
    let (key, other) = (TunnelKey::new([7; 16]), TunnelKey::new([8; 16]));
    let moved: Endpoint = "198.51.100.7:7000".parse().unwrap();
    bench.from_radio(0, tunnel.endpoint, &proved(&tunnel, &key, 5));
    let hello = Hello { bssid: tunnel.bssid, radio: tunnel.radio, service: tunnel.service };
    let proof = Some(Proof::new(&key, &tunnel.session_id, &hello, 5));
    assert_eq!(bench.events(), [Event::TunnelRequest(tunnel, proof)], "control can judge it");
    bench.command(CommandKind::TunnelAccept(TunnelAccept {
        tunnel,
        blob: Vec::new(),
        keepalive_timeout_seconds: 10,
        key: Some(key.clone()),
        counter: 5,
    }));
    assert_eq!(bench.to_radio(0), [(tunnel.endpoint, echo(&tunnel))]);
    let wrong =
        [keep_alive(&tunnel), proved(&tunnel, &key, 5), proved(&tunnel, &key, 4), proved(&tunnel, &other, 6)];
    for (n, datagram) in wrong.iter().enumerate() {
        bench.from_radio(0, moved, datagram);
        bench.from_radio(0, tunnel.endpoint, datagram);
        assert!(bench.to_radio(0).is_empty(), "{n}");
        assert_eq!(bench.total(DropReason::KeepAliveProof), 2 * (n as u64 + 1));
    }
    // They do not keep it alive either, and the right one does, from wherever it comes.
    bench.advance(Duration::from_secs(9));
    assert!(bench.to_radio(0).iter().all(|(_, datagram)| Punch::parse(datagram).is_some()));
    bench.from_radio(0, moved, &proved(&tunnel, &key, 6));
    assert_eq!(bench.to_radio(0), [(moved, echo(&tunnel))]);
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.total(Forwarded::TunnelDown), 1, "the first tunnel, which nobody kept alive");
    bench.from_radio(0, moved, &proved(&tunnel, &key, 6));
    bench.advance(Duration::from_secs(2));
    assert_eq!(bench.total(Forwarded::TunnelDown), 2, "one that is repeated keeps nothing alive");
    let last = bench.events().pop();
    assert!(
        matches!(last, Some(Event::TunnelDown { counter: 6, .. })),
        "control knows which came last: {last:?}"
    );
}

/// A NAT of the gateway that was started again lets nothing in before something went out.
#[test]
fn a_radio_whose_keep_alives_are_late_is_sent_punches() {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(&[service(0)]);
    let (tunnel, key) = (tunnel(1, &service(0)), TunnelKey::new([7; 16]));
    bench.command(CommandKind::TunnelAccept(TunnelAccept {
        tunnel,
        blob: Vec::new(),
        keepalive_timeout_seconds: 15,
        key: Some(key.clone()),
        counter: 5,
    }));
    assert_eq!(bench.to_radio(0), [(tunnel.endpoint, echo(&tunnel))]);
    bench.advance(Duration::from_secs(1));
    assert!(bench.to_radio(0).is_empty());
    bench.advance(Duration::from_millis(300));
    let sent = bench.to_radio(0);
    let [(to, datagram)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(*to, tunnel.endpoint);
    let punch = Punch::parse(datagram).unwrap();
    assert!(punch.is_right(&key) && punch.session_id == tunnel.session_id);
    assert_eq!(bench.total(Forwarded::Punch), 1);
    bench.from_radio(0, tunnel.endpoint, &proved(&tunnel, &key, 6));
    assert_eq!(bench.to_radio(0), [(tunnel.endpoint, echo(&tunnel))]);
    bench.advance(Duration::from_secs(1));
    assert!(bench.to_radio(0).is_empty());
}

#[test]
fn among_many_tunnels_the_late_ones_are_sent_punches_as_often() {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(&[service(0)]);
    let key = TunnelKey::new([7; 16]);
    let numbered = |n: u32| {
        let [_, _, a, b] = n.to_be_bytes();
        let bssid = MacAddr([2, 0xaa, 1, 1, a, b]);
        Tunnel { bssid, endpoint: Endpoint::v4([198, 51, a, b], 40_000), ..tunnel(1, &service(0)) }
    };
    let all = 8000;
    for n in 0..all {
        // Those of the configuration have no key, and are sent none. The last three have one.
        let key = Some(key.clone()).filter(|_| n >= all - 3);
        let tunnel = numbered(n);
        let (blob, counter) = (Vec::new(), 0);
        let accept = TunnelAccept { tunnel, blob, keepalive_timeout_seconds: 60, key, counter };
        bench.command(CommandKind::TunnelAccept(accept));
        bench.to_radio(0);
    }
    assert_eq!(bench.total(Forwarded::Tunnels), u64::from(all));
    bench.advance(Duration::from_secs(9));
    let sent = bench.to_radio(0);
    for n in all - 3..all {
        let to = numbered(n).endpoint;
        let punches = sent.iter().filter(|(at, _)| *at == to).count();
        // For three seconds, but for the one in which it is noticed.
        assert!((7..=10).contains(&punches), "{punches} to {n}");
    }
    assert!(sent.iter().all(|(_, datagram)| Punch::parse(datagram).is_some()));
}

#[test]
fn datagrams_of_matchmaking_go_to_control_and_back() {
    let config = Config { datagrams_per_second: 2, ..Config::default() };
    let mut bench = Bench::new(config, 2);
    let peer: Endpoint = "198.51.100.7:7000".parse().unwrap();
    let datagram = Datagram { peer, data: vec![0x85, 1, 2, 3] };
    for _ in 0..3 {
        bench.from_radio(1, peer, &datagram.data);
    }
    bench.from_radio(1, peer, &[0x85; Datagram::MAX + 1]);
    assert_eq!(bench.events(), vec![Event::Datagram(datagram.clone()); 2]);
    assert_eq!(bench.total(DropReason::DatagramLimited), 1);
    assert_eq!(bench.total(DropReason::MalformedTunnel), 1);
    bench.command(CommandKind::Datagram(datagram.clone()));
    assert_eq!(bench.to_radio(0), [(peer, datagram.data.clone())]);
    // Control does not get at tunnels this way.
    for data in [vec![], vec![0, 0x10, 0x42, 8], vec![0x85; Datagram::MAX + 1]] {
        let id = bench.command(CommandKind::Datagram(Datagram { peer, data }));
        let reason = "not a datagram of matchmaking";
        assert_eq!(bench.events(), [Event::CommandFailed { command: id, reason }]);
    }
}

#[test]
fn answers_leave_from_the_address_that_the_radio_talks_to() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.welcome(&[service(0)]);
    let tunnel = tunnel(0, &service(0));
    let [one, two] = [1, 2].map(|local| tunnel.endpoint.at(local));
    bench.from_radio(1, one, &keep_alive(&tunnel));
    assert_eq!(bench.events(), [Event::TunnelRequest(Tunnel { endpoint: one, ..tunnel }, None)]);
    // Control knows the radio's address only.
    bench.command(accept(tunnel));
    assert_eq!(bench.to_radio(1), [(one, echo(&tunnel))]);
    let mut device = Device::new(&tunnel, mac(1), Some(tk(1)));
    bench.add_station(&device);
    let down = ethernet(device.mac, HOST, 0, EtherType::ARP, b"down");
    bench.from_network(1, &down);
    assert_eq!(bench.to_radio(1)[0].0, one);
    // Through another worker, whose backend numbers alike; at another of our addresses it is no longer the same tunnel.
    bench.from_radio(0, one, &device.datagram(HOST, EtherType::ARP, b"up"));
    bench.from_radio(0, two, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!((bench.to_network(1).len(), bench.total(DropReason::WrongEndpoint)), (1, 1));
    bench.from_radio(0, two, &keep_alive(&tunnel));
    bench.from_network(1, &down);
    let sent: Vec<_> = bench.to_radio(1).into_iter().map(|(to, _)| to).collect();
    assert_eq!((sent, bench.total(Forwarded::TunnelMoved)), (vec![two, two], 1));
    // Another peer than the one that asked keeps what control says.
    let other =
        Tunnel { endpoint: "198.51.100.7:7000".parse().unwrap(), session_id: SessionId([9; 16]), ..tunnel };
    bench.from_radio(1, two, &keep_alive(&Tunnel { session_id: other.session_id, ..tunnel }));
    assert!(bench.events().contains(&Event::TunnelRequest(Tunnel { endpoint: two, ..other }, None)));
    bench.command(accept(other));
    assert_eq!(bench.to_radio(1), [(other.endpoint, echo(&other))]);
}

#[test]
fn a_silent_tunnel_goes_with_its_stations_and_their_last_totals() {
    let (mut bench, tunnel, mut device) = up();
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.events(), []);
    bench.from_radio(0, tunnel.endpoint, &keep_alive(&tunnel));
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.events(), []);
    bench.advance(Duration::from_millis(1020));
    let events = bench.events();
    let [Event::Counters(counters), Event::TunnelDown { bssid, session_id, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((counters.station, counters.up_packets), (device.key(), 1));
    assert_eq!((*bssid, *session_id), (tunnel.bssid, tunnel.session_id));
    assert_eq!((bench.total(Forwarded::Tunnels), bench.total(Forwarded::Stations)), (0, 0));
    // It may come back.
    bench.to_radio(0);
    bench.open_tunnel(0, &tunnel, 10);
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!(bench.total(DropReason::UnknownStation), 0);
    bench.run();
    assert_eq!(bench.total(DropReason::UnknownStation), 1);
}

#[test]
fn a_new_session_of_a_known_bss_replaces_the_old_one() {
    let (mut bench, tunnel, mut device) = up();
    let renewed = Tunnel { session_id: SessionId([7; 16]), ..tunnel };
    bench.open_tunnel(0, &renewed, 10);
    let events = bench.events();
    assert!(matches!(events[..], [Event::Counters(_)]), "{events:?}");
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert!(bench.to_network(0).is_empty());
    assert_eq!(bench.total(DropReason::UnknownStation), 1);
    // Accepted again, it keeps what it has.
    bench.add_station(&device);
    bench.command(accept(renewed));
    device.pn = 0;
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!(bench.to_network(0).len(), 1);
}

#[test]
fn a_flood_of_strangers_reaches_control_at_a_limited_rate() {
    let config = Config { requests_per_second: 20, ..Config::default() };
    let mut bench = Bench::new(config, 1);
    bench.welcome(&[service(0)]);
    for n in 0..2000u32 {
        let [a, b, c, d] = n.to_be_bytes();
        let stranger = Tunnel { bssid: MacAddr([2, 9, a, b, c, d]), ..tunnel(0, &service(0)) };
        bench.from_radio(0, stranger.endpoint, &keep_alive(&stranger));
        if n % 200 == 0 {
            bench.run();
        }
    }
    bench.run();
    assert_eq!(bench.events().len(), 20);
    assert_eq!(bench.total(DropReason::RequestLimited), 1980);
    bench.advance(Duration::from_secs(1));
    let stranger = tunnel(3, &service(0));
    for _ in 0..5 {
        bench.from_radio(0, stranger.endpoint, &keep_alive(&stranger));
        bench.run();
    }
    assert_eq!(bench.events(), [Event::TunnelRequest(stranger, None)], "each session once a second");
}

#[test]
fn a_refused_tunnel_asks_again_only_after_its_time() {
    let (mut bench, tunnel, _) = up();
    bench.command(CommandKind::TunnelRefuse(TunnelRefuse {
        tunnel,
        reason: "the service moved".into(),
        retry_seconds: 5,
    }));
    bench.from_radio(0, tunnel.endpoint, &keep_alive(&tunnel));
    bench.run();
    assert!(matches!(bench.events()[..], [Event::Counters(_)]), "it was up, and is not any more");
    assert_eq!(bench.total(DropReason::TunnelRefused), 1);
    bench.advance(Duration::from_millis(5010));
    bench.from_radio(0, tunnel.endpoint, &keep_alive(&tunnel));
    bench.run();
    assert_eq!(bench.events(), [Event::TunnelRequest(tunnel, None)]);
}

#[test]
fn a_withdrawn_service_takes_its_tunnels_down() {
    let (mut bench, tunnel, _) = up();
    bench.welcome(&[service(1)]);
    let events = bench.events();
    let [Event::Counters(_), Event::TunnelDown { bssid, reason, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*bssid, *reason), (tunnel.bssid, "its service is no longer served here"));
}

#[test]
fn a_service_that_changes_its_vlan_takes_its_stations_along() {
    let (mut bench, tunnel, mut device) = up();
    bench.welcome(&[Service { vlan: 30, ..service(0) }]);
    bench.from_radio(0, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!(bench.to_network(0), [ethernet(HOST, device.mac, 30, EtherType::ARP, b"up")]);
    bench.from_network(0, &ethernet(device.mac, HOST, 30, EtherType::ARP, b"down"));
    assert_eq!(bench.to_radio(0).len(), 1);
}

#[test]
fn a_report_names_everything_that_lives_and_then_says_so() {
    for workers in [1, 3] {
        let mut bench = Bench::new(Config { events: 3, ..Config::default() }, workers);
        bench.welcome(&[service(0)]);
        let mut expected = Vec::new();
        for n in 0..6 {
            let tunnel = tunnel(n, &service(0));
            bench.open_tunnel(usize::from(n) % workers, &tunnel, 10);
            for m in 0..4 {
                let device = Device::new(&tunnel, mac(u32::from(n * 10 + m)), Some(tk(m)));
                bench.add_station(&device);
                expected.push(device.key());
            }
        }
        bench.events();
        bench.handle.report();
        bench.run();
        let events = bench.events();
        assert_eq!(events.last(), Some(&Event::Synced));
        let tunnels =
            events.iter().filter(|event| matches!(event, Event::TunnelReport(r) if r.blob == b"tunnel"));
        assert_eq!(tunnels.count(), 6);
        let mut stations: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::StationReport(report) => {
                    assert!(report.port_open && report.blob == b"key");
                    Some(report.station)
                }
                _ => None,
            })
            .collect();
        stations.sort();
        expected.sort();
        assert_eq!(stations, expected);
        assert_eq!(events.len(), 6 + 24 + 1);
        for station in &expected {
            let tunnel = events
                .iter()
                .position(|e| matches!(e, Event::TunnelReport(r) if r.tunnel.bssid == station.bssid));
            let own =
                events.iter().position(|e| matches!(e, Event::StationReport(r) if r.station == *station));
            assert!(tunnel < own, "a tunnel comes before its stations");
        }
    }
}

#[test]
fn totals_come_at_each_interval_and_on_request() {
    let (mut bench, tunnel, device) = up();
    let other = Device::new(&tunnel, mac(2), Some(tk(2)));
    bench.add_station(&other);
    bench.command(CommandKind::Welcome(Welcome {
        services: vec![service(0)],
        counters_interval_seconds: 2,
        ..Welcome::default()
    }));
    bench.advance(Duration::from_millis(6100));
    let reported = |events: Vec<Event>| {
        let mut stations: Vec<_> = events
            .into_iter()
            .map(|event| match event {
                Event::Counters(counters) => counters.station,
                other => panic!("{other:?}"),
            })
            .collect();
        stations.sort();
        stations
    };
    let both = [device.key(), other.key()];
    assert_eq!(reported(bench.events()), [[both[0]; 3], [both[1]; 3]].concat());
    bench.command(CommandKind::CountersRequest { station: None });
    bench.run();
    assert_eq!(reported(bench.events()), both);
}

#[test]
fn blobs_come_back_as_they_were_given() {
    let (mut bench, tunnel, device) = up();
    for mac in [None, Some(device.mac)] {
        bench.command(CommandKind::BlobSet { bssid: tunnel.bssid, mac, blob: vec![u8::from(mac.is_some())] });
    }
    bench.handle.report();
    bench.run();
    let blobs: Vec<_> = bench
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::TunnelReport(report) => Some(report.blob),
            Event::StationReport(report) => Some(report.blob),
            _ => None,
        })
        .collect();
    assert_eq!(blobs, [[0], [1]]);
}
