//! Several workers: packets find their station wherever they arrive.

use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::endpoint::Endpoint;
use dataplane::harness::*;
use dataplane::io::PacketIo;
use dataplane::io::channel::ChannelIo;
use dataplane::packet::{Burst, Pool, PoolConfig};
use dataplane::runtime::{self, Ports, RuntimeConfig, StartError};
use dataplane::wake::Wait;
use dataplane::worker::Mode;
use dot11::MacAddr;
use dot11::llc::EtherType;

/// Workers with one tunnel and one device each.
fn up(workers: usize, service: Service) -> (Bench, Vec<Tunnel>, Vec<Device>) {
    let mut bench = Bench::new(Config::default(), workers);
    bench.welcome(std::slice::from_ref(&service));
    let tunnels: Vec<_> = (0..workers).map(|n| tunnel(n as u8, &service)).collect();
    let mut devices = Vec::new();
    for (worker, tunnel) in tunnels.iter().enumerate() {
        bench.open_tunnel(worker, tunnel, 30);
        let device = Device::new(tunnel, mac(worker as u32 + 1), Some(tk(worker as u8)));
        bench.add_station(&device);
        devices.push(device);
    }
    bench.events();
    bench.changes();
    (bench, tunnels, devices)
}

#[test]
fn a_packet_that_arrives_at_any_worker_is_dealt_with_by_its_owner() {
    let (mut bench, tunnels, mut devices) = up(3, service(0));
    for at in 0..3 {
        for owner in 0..3 {
            let datagram = devices[owner].datagram(HOST, EtherType::ARP, b"up");
            bench.from_radio(at, tunnels[owner].endpoint, &datagram);
            assert_eq!(bench.to_network(owner).len(), 1);
            bench.from_network(at, &ethernet(devices[owner].mac, HOST, 0, EtherType::ARP, b"down"));
            let sent = bench.to_radio(owner);
            assert!(sent.len() == 1 && devices[owner].open(&sent[0].1).is_some());
            let handed = i64::from(at != owner) * 2;
            let changes = bench.changes();
            let tx = changes.iter().find(|(name, _)| *name == "handoff_tx").map_or(0, |c| c.1);
            assert_eq!(tx, handed);
            assert!(changes.iter().all(|(name, _)| !name.starts_with("drop_")), "{changes:?}");
        }
    }
}

#[test]
fn fragments_that_arrive_elsewhere_are_put_together_there_and_handed_over() {
    let (mut bench, tunnels, mut devices) = up(2, service(0));
    let header = devices[0].header(HOST);
    let frame = devices[0].frame(header, &dot11::llc::msdu(EtherType::ARP, &[7; 1000]));
    for part in fragmented(&frame, 300, 5) {
        bench.from_radio(1, tunnels[0].endpoint, &part);
    }
    assert_eq!(bench.to_network(0).len(), 1);
    assert_eq!(bench.total(Forwarded::HandoffTx), 1);
    // The radio's address changes: every worker hears of it.
    let moved: Endpoint = "198.51.100.9:1".parse().unwrap();
    bench.from_radio(1, moved, &keep_alive(&tunnels[0]));
    assert_eq!(bench.to_radio(0).len(), 1);
    bench.events();
    let header = devices[0].header(HOST);
    let frame = devices[0].frame(header, &dot11::llc::msdu(EtherType::ARP, &[8; 1000]));
    for part in fragmented(&frame, 300, 6) {
        bench.from_radio(1, moved, &part);
    }
    assert_eq!(bench.to_network(0).len(), 1);
}

#[test]
fn fragments_to_one_radio_do_not_mix_whatever_bss_and_worker_they_are_of() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.welcome(&[service(0)]);
    let endpoint = tunnel(0, &service(0)).endpoint;
    let mut devices = Vec::new();
    for (n, worker) in [(0, 0), (1, 0), (2, 1)] {
        let tunnel = Tunnel { endpoint, ..tunnel(n, &service(0)) };
        bench.open_tunnel(worker, &tunnel, 30);
        let device = Device::new(&tunnel, mac(u32::from(n) + 1), Some(tk(n)));
        bench.add_station(&device);
        devices.push((worker, device));
    }
    bench.changes();
    for (n, (worker, device)) in devices.iter().enumerate() {
        let frame = ethernet(device.mac, HOST, 0, EtherType::IPV4, &[n as u8; 1500]);
        bench.from_network(*worker, &frame);
    }
    let sent = [bench.to_radio(0), bench.to_radio(1)].concat();
    assert_eq!(
        bench.changes(),
        [
            ("ccmp_sealed", 3),
            ("msdu_down", 3),
            ("network_rx", 3),
            ("tunnel_fragment_tx", 6),
            ("tunnel_tx", 6)
        ]
    );
    // The radio knows the gateway's address only, and all first fragments come before the second ones.
    let mut reassembler = proto::tunnel::Reassembler::new(proto::tunnel::Limits::default());
    let mut whole = Vec::new();
    for (_, datagram) in sent.iter().step_by(2).chain(sent.iter().skip(1).step_by(2)) {
        let (header, payload) = proto::tunnel::DataHeader::parse(datagram).unwrap();
        let frame = reassembler.push((), &header, payload, Duration::ZERO).unwrap();
        whole.extend(frame.map(|frame| tunnelled(frame.frame)));
    }
    assert_eq!(whole.len(), 3);
    for (n, (_, device)) in devices.iter().enumerate() {
        let (_, _, msdu) = device.open(&whole[n]).unwrap();
        assert_eq!(msdu, dot11::llc::msdu(EtherType::IPV4, &[n as u8; 1500]));
    }
}

#[test]
fn devices_of_different_workers_reach_each_other_unless_isolated() {
    for isolate in [false, true] {
        let (mut bench, tunnels, mut devices) = up(3, Service { isolate, ..service(0) });
        let to = devices[2].mac;
        bench.from_radio(0, tunnels[0].endpoint, &devices[0].datagram(to, EtherType::ARP, b"hi"));
        assert_eq!(bench.to_radio(2).len(), usize::from(!isolate));
        assert_eq!(bench.total(DropReason::Isolated), u64::from(isolate));
        let group = devices[0].datagram(MacAddr::BROADCAST, EtherType::IPV4, &[0; 46]);
        bench.from_radio(0, tunnels[0].endpoint, &group);
        assert_eq!(bench.to_network(0).len(), 1);
        let heard: Vec<_> = (0..3).map(|w| bench.to_radio(w).len()).collect();
        assert_eq!(heard, if isolate { [0, 0, 0] } else { [0, 1, 1] });
        bench.from_network(1, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[0; 46]));
        let heard: Vec<_> = (0..3).map(|w| bench.to_radio(w).len()).collect();
        assert_eq!(heard, [1, 1, 1]);
    }
}

#[test]
fn arp_is_answered_by_whoever_knows() {
    let (mut bench, tunnels, mut devices) = up(2, Service { proxy_arp: true, ..service(0) });
    let arp = |sender: MacAddr, from: u8, to: u8| {
        [&[0, 1, 8, 0, 6, 4, 0, 1][..], &sender.0, &[10, 0, 0, from], &[0; 6], &[10, 0, 0, to]].concat()
    };
    let mac = devices[1].mac;
    let datagram = devices[1].datagram(MacAddr::BROADCAST, EtherType::ARP, &arp(mac, 5, 5));
    bench.from_radio(1, tunnels[1].endpoint, &datagram);
    bench.to_network(1);
    bench.to_radio(0);
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::ARP, &arp(HOST, 1, 5)));
    let answers = bench.to_network(1);
    assert!(answers.len() == 1 && MacAddr::from_slice(&answers[0]) == Some(HOST));
    // A device of the other worker asks; the answer comes back to it.
    let mac = devices[0].mac;
    let datagram = devices[0].datagram(MacAddr::BROADCAST, EtherType::ARP, &arp(mac, 4, 5));
    bench.from_radio(0, tunnels[0].endpoint, &datagram);
    let sent = bench.to_radio(0);
    assert!(sent.iter().any(|(_, d)| devices[0].open(d).is_some_and(|(_, _, msdu)| msdu[8 + 7] == 2)));
}

#[test]
fn what_the_network_says_of_its_addresses_is_known_to_every_worker() {
    let (mut bench, tunnels, mut devices) = up(2, Service { proxy_arp: true, ..service(0) });
    let arp = |operation: u8, sender: MacAddr, from: u8, target: MacAddr, to: u8| {
        let sender = [&sender.0[..], &[10, 0, 0, from]].concat();
        [&[0, 1, 8, 0, 6, 4, 0, operation][..], &sender, &target.0, &[10, 0, 0, to]].concat()
    };
    let (attacker, victim) = (devices[1].mac, devices[0].mac);
    let claim =
        devices[1].datagram(MacAddr::BROADCAST, EtherType::ARP, &arp(1, attacker, 1, MacAddr::ZERO, 1));
    bench.from_radio(1, tunnels[1].endpoint, &claim);
    assert_eq!(bench.to_network(1).len(), 1);
    bench.to_radio(0);
    assert_eq!(bench.workers[1].state.addresses.len(), 1);
    bench.changes();
    // The router's answer to a device of one worker.
    let answer = ethernet(victim, HOST, 0, EtherType::ARP, &arp(2, HOST, 1, victim, 4));
    for _ in 0..2 {
        bench.from_network(0, &answer);
    }
    assert_eq!(bench.to_radio(0).len(), 2);
    assert_eq!(
        bench.changes(),
        [
            ("address_conflict", 1),
            ("ccmp_sealed", 2),
            ("handoff_rx", 1),
            ("handoff_tx", 1),
            ("msdu_down", 2),
            ("network_rx", 2),
            ("tunnel_tx", 2),
        ]
    );
    assert!(bench.workers[1].state.addresses.is_empty());
    let question =
        devices[0].datagram(MacAddr::BROADCAST, EtherType::ARP, &arp(1, victim, 4, MacAddr::ZERO, 1));
    bench.from_radio(0, tunnels[0].endpoint, &question);
    assert_eq!((bench.to_network(0).len(), bench.to_radio(0).len()), (1, 0));
    assert_eq!(bench.total(Forwarded::ProxyArp), 0);
}

#[test]
fn a_device_is_no_dhcp_server_at_any_worker() {
    let (mut bench, tunnels, mut devices) = up(2, service(0));
    let mut bootp = vec![0; 236];
    bootp[..3].copy_from_slice(&[2, 1, 6]);
    bootp[16..20].copy_from_slice(&[10, 0, 0, 1]);
    bootp[28..34].copy_from_slice(&devices[1].mac.0);
    bootp.extend_from_slice(&[99, 130, 83, 99, 53, 1, 5, 255]);
    let ip = [&[0x45, 0, 1, 16, 0, 0, 0, 0, 64, 17, 0, 0][..], &[0; 4], &[255; 4]].concat();
    let acknowledged = [&ip[..], &[0, 67, 0, 68, 0, 252, 0, 0], &bootp].concat();
    let datagram = devices[0].datagram(MacAddr::BROADCAST, EtherType::IPV4, &acknowledged);
    bench.from_radio(0, tunnels[0].endpoint, &datagram);
    assert_eq!((bench.to_network(0).len(), bench.to_radio(1).len()), (1, 1));
    assert_eq!(bench.total(Forwarded::DhcpToUnicast), 0);
    assert!(bench.workers[1].state.addresses.is_empty());
    // The network's server is one.
    bench.from_network(0, &ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &acknowledged));
    assert_eq!((bench.to_radio(0).len(), bench.to_radio(1).len()), (0, 1));
    assert_eq!(bench.total(Forwarded::DhcpToUnicast), 1);
    assert_eq!(bench.workers[1].state.addresses.len(), 1);
}

#[test]
fn a_radio_that_comes_back_elsewhere_is_owned_there() {
    let (mut bench, tunnels, mut devices) = up(2, service(0));
    let renewed = Tunnel {
        session_id: SessionId([0x77; 16]),
        endpoint: "198.51.100.1:5".parse().unwrap(),
        ..tunnels[0]
    };
    bench.open_tunnel(1, &renewed, 30);
    assert!(matches!(bench.events()[..], [Event::Counters(_)]), "the old session's last totals");
    let mut device = Device::new(&renewed, devices.remove(0).mac, Some(tk(9)));
    bench.add_station(&device);
    bench.changes();
    bench.from_radio(1, renewed.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
    assert_eq!(bench.to_network(1).len(), 1);
    bench.from_network(0, &ethernet(device.mac, HOST, 0, EtherType::ARP, b"down"));
    assert_eq!(bench.to_radio(1).len(), 1);
    assert_eq!(bench.total(Forwarded::HandoffTx), 2, "one was the keep-alive, to the old owner");
    bench.command(CommandKind::TunnelClose { bssid: renewed.bssid });
    bench.run();
    bench.from_network(0, &ethernet(device.mac, HOST, 0, EtherType::ARP, b"down"));
    bench.run();
    assert_eq!(bench.total(DropReason::UnknownDestination), 1);
}

#[test]
fn a_device_that_roams_to_another_workers_radio_is_found_there_at_once() {
    let (mut bench, tunnels, devices) = up(2, service(0));
    let roamed = Device::new(&tunnels[1], devices[0].mac, Some(tk(7)));
    bench.add_station(&roamed);
    for worker in 0..2 {
        bench.from_network(worker, &ethernet(roamed.mac, HOST, 0, EtherType::ARP, b"down"));
    }
    assert_eq!((bench.to_radio(0).len(), bench.to_radio(1).len()), (0, 2));
    bench.command(CommandKind::StationRemove(devices[0].key()));
    bench.run();
    for worker in 0..2 {
        bench.from_network(worker, &ethernet(roamed.mac, HOST, 0, EtherType::ARP, b"down"));
    }
    assert_eq!((bench.to_radio(0).len(), bench.to_radio(1).len()), (0, 2));
}

/// The outside of a worker that runs in a thread.
struct Outside {
    radio: ChannelIo,
    network: ChannelIo,
    pool: Pool,
}

impl Outside {
    fn send(&mut self, radio: bool, endpoint: Endpoint, octets: &[u8]) {
        let mut packet = self.pool.alloc().expect("a packet");
        assert!(packet.copy_from(octets));
        packet.meta.endpoint = endpoint;
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        let io = if radio { &mut self.radio } else { &mut self.network };
        assert_eq!(io.tx_burst(&mut burst), 1);
    }

    fn receive(&mut self, radio: bool) -> Vec<Vec<u8>> {
        let io = if radio { &mut self.radio } else { &mut self.network };
        let mut burst = Burst::new();
        let wait = Wait::new().unwrap();
        wait.add(io.poll_fd().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while io.rx_burst(&self.pool, &mut burst) == 0 {
            assert!(Instant::now() < deadline, "nothing came");
            wait.sleep(Some(Duration::from_secs(1)));
        }
        burst.drain().map(|packet| packet.data().to_vec()).collect()
    }
}

fn event(handle: &mut dataplane::handle::Handle) -> Event {
    let wait = Wait::new().unwrap();
    wait.add(handle.as_raw_fd()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(event) = handle.poll_event() {
            return event;
        }
        assert!(Instant::now() < deadline, "no event came");
        wait.sleep(Some(Duration::from_secs(1)));
    }
}

#[test]
fn threads_run_sleep_wake_and_stop() {
    for mode in [Mode::Epoll, Mode::BusyPoll] {
        let mut outsides = Vec::new();
        let pool = PoolConfig { packets: 256, buffer: 2304, headroom: 128 };
        let ports: Vec<_> = (0..2)
            .map(|_| {
                let (radio, tunnel) = ChannelIo::pair(64, 2304).unwrap();
                let (outside, network) = ChannelIo::pair(64, 2304).unwrap();
                outsides.push(Outside { radio, network: outside, pool: Pool::new(pool) });
                move |_worker| Ok(Ports { pool: Pool::new(pool), tunnel, network })
            })
            .collect();
        let config = RuntimeConfig { mode, ..RuntimeConfig::default() };
        let mut handle = runtime::start(config, ports).unwrap();
        let mut id = 0;
        let mut command = |handle: &mut dataplane::handle::Handle, kind| {
            id += 1;
            handle.send(Command { id, kind });
        };
        command(
            &mut handle,
            CommandKind::Welcome(Welcome { services: vec![service(0)], ..Welcome::default() }),
        );
        let tunnel = tunnel(0, &service(0));
        outsides[1].send(true, tunnel.endpoint, &keep_alive(&tunnel));
        assert_eq!(event(&mut handle), Event::TunnelRequest(tunnel, None));
        let accept =
            TunnelAccept { tunnel, blob: Vec::new(), keepalive_timeout_seconds: 60, key: None, counter: 0 };
        command(&mut handle, CommandKind::TunnelAccept(accept));
        outsides[1].receive(true);
        let mut device = Device::new(&tunnel, mac(1), Some(tk(1)));
        let station = device.key();
        let blob = Vec::new();
        let add = StationAdd { station, aid: 1, qos: true, protect: true, blob: blob.clone(), pmf: false };
        command(&mut handle, CommandKind::StationAdd(add));
        command(
            &mut handle,
            CommandKind::KeyInstall(KeyInstall {
                station,
                key_id: 0,
                tk: tk(1),
                blob: blob.clone(),
                accept_old_ms: 0,
                hold_downlink_ms: 0,
            }),
        );
        command(&mut handle, CommandKind::PortOpen(PortOpen { station, open: true, vlan: 0, blob }));
        // Every worker has done what came before its report.
        handle.report();
        assert!(matches!(event(&mut handle), Event::TunnelReport(_)));
        assert!(matches!(event(&mut handle), Event::StationReport(_)));
        assert_eq!(event(&mut handle), Event::Synced);
        // It arrives at the wrong worker, and leaves by the right one.
        let mut numbers = HashSet::new();
        for _ in 0..20 {
            outsides[0].send(true, tunnel.endpoint, &device.datagram(HOST, EtherType::ARP, b"up"));
            assert_eq!(outsides[1].receive(false)[0][14..], *b"up");
            outsides[1].send(false, Endpoint::NONE, &ethernet(device.mac, HOST, 0, EtherType::ARP, b"down"));
            for datagram in outsides[1].receive(true) {
                assert!(numbers.insert(device.open(&datagram).unwrap().1));
            }
        }
        assert_eq!(numbers.len(), 20);
        let counters = handle.counters();
        assert_eq!(counters.total(Forwarded::HandoffRx), 20);
        assert!(!handle.is_damaged());
        handle.stop();
    }
}

#[test]
fn a_data_plane_that_cannot_start_says_why_and_leaves_nothing_running() {
    let refuse = |worker| -> Result<Ports<ChannelIo, ChannelIo>, _> {
        Err(format!("port of worker {worker} is in use").into())
    };
    let error = runtime::start(RuntimeConfig::default(), vec![refuse]).err().unwrap();
    assert_eq!(error.to_string(), "cannot open the ports of worker 0: port of worker 0 is in use");
    let config = RuntimeConfig { cores: vec![100_000], ..RuntimeConfig::default() };
    assert!(matches!(runtime::start(config, vec![refuse]), Err(StartError::Pin { core: 100_000, .. })));
    let none: Vec<fn(usize) -> _> = vec![refuse; 0];
    assert!(matches!(runtime::start(RuntimeConfig::default(), none), Err(StartError::NoWorker)));
}
