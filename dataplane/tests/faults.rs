//! The world around a running gateway breaks: what is lost is counted, and the gateway goes on.
//!
//! Makes network namespaces and so needs root.

use std::net::UdpSocket;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::handle::Handle;
use dataplane::harness::*;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::af_xdp::{AfXdpConfig, AfXdpIo};
use dataplane::io::reopen::Reopen;
use dataplane::io::udp::UdpIo;
use dataplane::io::{IoError, PacketIo};
use dataplane::packet::{Burst, Pool, PoolConfig};
use dataplane::port_counters::Port;
use dataplane::runtime::{self, Ports, RuntimeConfig};
use dataplane::worker::Mode;
use dot11::ManagementSubtype;
use dot11::build::management;
use dot11::llc::EtherType;

const PATIENCE: Duration = Duration::from_secs(20);
const POOL: PoolConfig = PoolConfig { packets: 256, buffer: 2304, headroom: 128 };

/// A gateway between a UDP socket of loopback and one end of a veth, running in a namespace of its own.
struct World {
    handle: Handle,
    next_command: u64,
    gateway: std::net::SocketAddr,
    /// Where the other end of the veth is received, in that namespace.
    peer: AfPacketIo,
    pool: Pool,
}

/// A radio with one device behind it.
struct Radio {
    socket: UdpSocket,
    tunnel: Tunnel,
    device: Device,
}

impl World {
    fn new<N: PacketIo + Send + 'static>(
        config: Config,
        mode: Mode,
        pool: PoolConfig,
        network: fn(&str) -> Result<N, IoError>,
    ) -> Self {
        plug();
        let tunnel = UdpIo::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let gateway = tunnel.local_addr();
        let network = Reopen::open("net0", move || Ok(vec![network("net0")?]), |_| {}).unwrap().remove(0);
        let ports = move |_worker| Ok(Ports { pool: Pool::new(pool), tunnel, network });
        let config = RuntimeConfig { worker: config, mode, ..RuntimeConfig::default() };
        let handle = runtime::start(config, vec![ports]).unwrap();
        let peer = AfPacketIo::open("net1").unwrap();
        let mut world = Self { handle, next_command: 0, gateway, peer, pool: Pool::new(POOL) };
        world.command(CommandKind::Welcome(Welcome { services: vec![service(0)], ..Welcome::default() }));
        world
    }

    fn command(&mut self, kind: CommandKind) {
        self.next_command += 1;
        self.handle.send(Command { id: self.next_command, kind });
    }

    fn event(&mut self, mut wanted: impl FnMut(&Event) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(event) = self.handle.poll_event() {
                if wanted(&event) {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "the event does not come");
            std::thread::yield_now();
        }
    }

    /// A radio whose device is connected.
    fn radio(&mut self, n: u8, keepalive_timeout_seconds: u32) -> Radio {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let tunnel = Tunnel { endpoint: socket.local_addr().unwrap().into(), ..tunnel(n, &service(0)) };
        socket.send_to(&keep_alive(&tunnel), self.gateway).unwrap();
        self.event(|event| *event == Event::TunnelRequest(tunnel, None));
        self.command(CommandKind::TunnelAccept(TunnelAccept {
            tunnel,
            blob: Vec::new(),
            keepalive_timeout_seconds,
            key: None,
            counter: 0,
        }));
        let device = Device::new(&tunnel, mac(u32::from(n) + 1), Some(tk(n)));
        let (station, blob) = (device.key(), Vec::new());
        let add = StationAdd { station, aid: 1, qos: true, protect: true, blob: blob.clone(), pmf: false };
        self.command(CommandKind::StationAdd(add));
        self.install(&device, n, 0);
        self.command(CommandKind::PortOpen(PortOpen { station, open: true, vlan: 0, blob }));
        self.settle();
        let mut radio = Radio { socket, tunnel, device };
        radio.receive();
        radio
    }

    fn install(&mut self, device: &Device, n: u8, hold_downlink_ms: u32) {
        self.command(CommandKind::KeyInstall(KeyInstall {
            station: device.key(),
            key_id: 0,
            tk: tk(n),
            blob: Vec::new(),
            accept_old_ms: 0,
            hold_downlink_ms,
        }));
    }

    /// Waits until the worker has done every command so far.
    fn settle(&mut self) {
        self.handle.report();
        self.event(|event| *event == Event::Synced);
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.handle.counters().total(reason)
    }

    fn network_counter(&self, name: &str) -> u64 {
        self.handle.counters().port_totals(Port::Network)[name]
    }

    fn up(&self, radio: &mut Radio, payload: &[u8]) {
        let datagram = radio.device.datagram(HOST, EtherType::ARP, payload);
        radio.socket.send_to(&datagram, self.gateway).unwrap();
    }

    fn down(&mut self, device: &Device, payload: &[u8]) {
        let mut burst = Burst::new();
        let mut packet = self.pool.alloc().unwrap();
        assert!(packet.copy_from(&ethernet(device.mac, HOST, 0, EtherType::ARP, payload)));
        burst.push(packet).unwrap();
        assert_eq!(self.peer.tx_burst(&mut burst), 1);
    }

    /// Whether this payload comes out at the network within `time`.
    fn arrives(&mut self, payload: &[u8], time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut burst = Burst::new();
        loop {
            self.peer.rx_burst(&self.pool, &mut burst);
            if burst.drain().any(|packet| packet.data()[14..].starts_with(payload)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// Both ways are open for the radio's device.
    fn assert_goes_on(&mut self, radio: &mut Radio) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.up(radio, b"still up");
            if self.arrives(b"still up", Duration::from_millis(200)) {
                break;
            }
            assert!(Instant::now() < deadline, "{:?}", self.handle.counters().port_totals(Port::Network));
        }
        self.down(&radio.device, b"still down");
        while !radio.received().is_some_and(|msdu| msdu[8..].starts_with(b"still down")) {
            assert!(Instant::now() < deadline);
        }
        radio.socket.send_to(&keep_alive(&radio.tunnel), self.gateway).unwrap();
        radio.receive();
        assert!(!self.handle.is_damaged());
    }

    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{:?}", self.handle.counters().totals().collect::<Vec<_>>());
            std::thread::yield_now();
        }
    }
}

impl Radio {
    fn receive(&mut self) -> Vec<u8> {
        let mut datagram = [0; 4096];
        let len = self.socket.recv(&mut datagram).expect("the gateway answers");
        datagram[..len].to_vec()
    }

    /// What the next datagram carries to the device.
    fn received(&mut self) -> Option<Vec<u8>> {
        let datagram = self.receive();
        self.device.open(&datagram).map(|(_, _, msdu)| msdu)
    }
}

/// Runs the test on a thread in a new namespace.
fn in_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: no pointer goes in. It concerns this thread, and those that it starts.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "needs root for a network namespace");
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
            ip("link set lo up");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn ip(arguments: &str) -> String {
    let output = Process::new("ip").args(arguments.split_whitespace()).output().expect("`ip` of iproute2");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The veth of which the gateway has one end.
fn plug() {
    ip("link add net0 type veth peer name net1");
    ip("link set net0 up");
    ip("link set net1 up");
    let deadline = Instant::now() + PATIENCE;
    while ["net0", "net1"].iter().any(|end| !ip(&format!("link show {end}")).contains("state UP")) {
        assert!(Instant::now() < deadline, "the veth does not come up");
    }
}

fn af_packet(name: &str) -> Result<AfPacketIo, IoError> {
    AfPacketIo::open(name)
}

fn af_xdp(name: &str) -> Result<AfXdpIo, IoError> {
    let config = AfXdpConfig { frames: 256, ..AfXdpConfig::default() };
    Ok(AfXdpIo::open_with(name, &config)?.remove(0))
}

fn a_pulled_veth<N: PacketIo + Send + 'static>(network: fn(&str) -> Result<N, IoError>) {
    for mode in [Mode::Epoll, Mode::BusyPoll] {
        in_namespace(|| {
            let mut world = World::new(Config::default(), mode, POOL, network);
            let mut radio = world.radio(0, 60);
            world.assert_goes_on(&mut radio);
            for _ in 0..2 {
                let before = world.network_counter("tx_errors");
                ip("link delete net1");
                // The port is published now and then, so one asks until it shows.
                world.until(|world| {
                    world.up(&mut radio, b"lost");
                    world.network_counter("tx_errors") > before + 10
                });
                radio.socket.send_to(&keep_alive(&radio.tunnel), world.gateway).unwrap();
                radio.receive();
                plug();
                world.peer = AfPacketIo::open("net1").unwrap();
                world.assert_goes_on(&mut radio);
            }
            assert!(world.network_counter("rx_errors") >= 2);
            world.handle.stop();
        });
    }
}

#[test]
fn a_veth_pulled_from_a_packet_socket() {
    a_pulled_veth(af_packet);
}

#[test]
fn a_veth_pulled_from_af_xdp() {
    a_pulled_veth(af_xdp);
}

/// The radio, whose device everybody sends to, is gone from one moment to the next, in the middle of a fragmented frame.
#[test]
fn a_killed_generator() {
    in_namespace(|| {
        let mut world = World::new(Config::default(), Mode::Epoll, POOL, af_packet);
        let mut radio = world.radio(0, 1);
        let mut other = world.radio(1, 60);
        world.assert_goes_on(&mut radio);
        let header = radio.device.header(HOST);
        let frame = radio.device.frame(header, &dot11::llc::msdu(EtherType::ARP, &[7; 1000]));
        radio.socket.send_to(&fragmented(&frame, 300, 5)[0], world.gateway).unwrap();
        let Radio { socket, device, .. } = radio;
        drop(socket);
        let mut closed = false;
        world.until(|world| {
            world.down(&device, b"to nobody");
            while let Some(event) = world.handle.poll_event() {
                closed |= matches!(event, Event::TunnelDown { .. });
            }
            closed && world.dropped(DropReason::UnknownDestination) > 10
        });
        world.assert_goes_on(&mut other);
        let mut again = world.radio(0, 60);
        world.assert_goes_on(&mut again);
        world.handle.stop();
    });
}

/// Frames that wait for a key keep every packet of the pool.
#[test]
fn a_full_mempool() {
    in_namespace(|| {
        let pool = PoolConfig { packets: 48, ..POOL };
        let mut world = World::new(Config::default(), Mode::Epoll, pool, af_packet);
        let mut radios: Vec<_> = (0..4).map(|n| world.radio(n, 60)).collect();
        for (n, radio) in radios.iter().enumerate() {
            world.install(&radio.device, n as u8 + 100, 1500);
        }
        world.settle();
        world.until(|world| {
            for radio in &radios {
                world.down(&radio.device, b"held");
            }
            let empty = world.network_counter("rx_no_packet");
            empty > 0 || world.dropped(DropReason::NoBuffer) > 0
        });
        for (n, radio) in radios.iter_mut().enumerate() {
            let sequence = Device::new(&radio.tunnel, radio.device.mac, Some(tk(n as u8 + 100)));
            radio.device = sequence;
            world.assert_goes_on(radio);
        }
        world.handle.stop();
    });
}

/// Nobody takes the events.
#[test]
fn a_full_punt_ring() {
    in_namespace(|| {
        let config = Config { events: 4, ..Config::default() };
        let mut world = World::new(config, Mode::Epoll, POOL, af_packet);
        let mut radio = world.radio(0, 60);
        let mut n = 0;
        world.until(|world| {
            n += 1;
            let mac = mac(1000 + n);
            let bssid = radio.device.bssid;
            let subtype = ManagementSubtype::Authentication;
            let frame = management(subtype, bssid, mac, bssid, &[0, 0, 1, 0, 0, 0]);
            radio.socket.send_to(&tunnelled(&frame), world.gateway).unwrap();
            world.dropped(DropReason::PuntFull) > 20
        });
        world.assert_goes_on(&mut radio);
        // When they are taken, more come.
        let mut taken = 0;
        world.event(|event| {
            taken += u32::from(matches!(event, Event::Frame(_)));
            taken == 4
        });
        let before = world.handle.counters().total(Forwarded::PuntManagement);
        let frame = management(
            ManagementSubtype::Authentication,
            radio.device.bssid,
            mac(9000),
            radio.device.bssid,
            &[0, 0, 1, 0, 0, 0],
        );
        radio.socket.send_to(&tunnelled(&frame), world.gateway).unwrap();
        world.event(|event| matches!(event, Event::Frame(_)));
        assert!(world.handle.counters().total(Forwarded::PuntManagement) > before);
        world.handle.stop();
    });
}
