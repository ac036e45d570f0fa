//! A data plane on the bench: workers on one thread, joined to a radio side and a network side in memory, under virtual time; and devices that
//! seal and open their own frames with the reference CCMP. For the tests of this crate and for benches.

mod load;

pub use load::{Direction, Load, Part, Taken};

use std::collections::BTreeMap;
use std::time::Duration;

use dot11::build::DataHeader;
use dot11::ccmp::{self, Pn};
use dot11::llc::{self, EtherType};
use dot11::{Frame, MacAddr, QosControl, SequenceControl};
use proto::tunnel::{DataHeader as TunnelHeader, FrameInfo, Header, Hello, KeepAlive, fragment};

use crate::clock::Time;
use crate::command::{
    Command, CommandKind, Event, Gtk, KeyInstall, PortOpen, Service, ServiceUuid, SessionId, StationAdd,
    StationKey, Tk, Tunnel, TunnelAccept, Welcome,
};
use crate::config::Config;
use crate::counters::{Reader, Slot};
use crate::directory::WorkerId;
use crate::endpoint::Endpoint;
use crate::handle::Handle;
use crate::io::PacketIo;
use crate::io::memory::MemoryIo;
use crate::packet::{Burst, Pool, PoolConfig};
use crate::runtime::{Ports, wire};
use crate::worker::{Pass, Worker};

/// Signal that the radios of the bench report.
pub const INFO: FrameInfo = FrameInfo { rssi: -55, snr: 40, rate: 540 };

/// A host on the network side.
pub const HOST: MacAddr = MacAddr([0x02, 0x11, 0, 0, 0, 1]);

/// A data plane and what is around it.
pub struct Bench {
    /// Where commands go in.
    pub handle: Handle,
    /// The workers; pass them by [`Bench::run`].
    pub workers: Vec<Worker<MemoryIo, MemoryIo>>,
    /// The time of the next pass.
    pub now: Time,
    radios: Vec<MemoryIo>,
    networks: Vec<MemoryIo>,
    pool: Pool,
    counters: Reader,
    seen: BTreeMap<&'static str, u64>,
    next_command: u64,
}

impl Bench {
    /// With so many workers, all idle.
    pub fn new(config: Config, workers: usize) -> Self {
        // Buffers as a gateway that takes A-MSDUs has them.
        Self::with_pool(config, workers, PoolConfig { packets: 4096, buffer: 4352, headroom: 128 })
    }

    /// With this pool for each worker and for the outside.
    ///
    /// # Panics
    /// If the system is out of file descriptors.
    pub fn with_pool(config: Config, workers: usize, pool: PoolConfig) -> Self {
        let now = Time::from_nanos(1_000_000_000_000);
        let (handle, seats) = wire(config, workers).expect("descriptors for a few rings");
        let (mut radios, mut networks) = (Vec::new(), Vec::new());
        let workers = seats
            .into_iter()
            .map(|seat| {
                let (radio, tunnel) = MemoryIo::pair(pool.packets);
                let (outside, network) = MemoryIo::pair(pool.packets);
                radios.push(radio);
                networks.push(outside);
                seat.take(Ports { pool: Pool::new(pool), tunnel, network }, now)
            })
            .collect();
        let counters = handle.counters();
        let seen = counters.totals().collect();
        Self {
            handle,
            workers,
            now,
            radios,
            networks,
            pool: Pool::new(pool),
            counters,
            seen,
            next_command: 0,
        }
    }

    /// Sends a command; its number.
    pub fn command(&mut self, kind: CommandKind) -> u64 {
        self.next_command += 1;
        self.handle.send(Command { id: self.next_command, kind });
        self.next_command
    }

    /// Passes every worker until none finds anything to do.
    pub fn run(&mut self) {
        loop {
            let mut busy = false;
            for worker in &mut self.workers {
                busy |= worker.pass(self.now) == Pass::Busy;
            }
            if !busy {
                return;
            }
        }
    }

    /// Lets time pass in ticks, with a run after each.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = (self.now + crate::tick::TICK).min(end);
            self.run();
        }
    }

    /// The events so far.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            while let Some(event) = self.handle.poll_event() {
                events.push(event);
            }
            // Events that waited for room in the ring.
            let before = events.len();
            self.run();
            while let Some(event) = self.handle.poll_event() {
                events.push(event);
            }
            if events.len() == before {
                return events;
            }
        }
    }

    /// A counter's sum over the workers.
    pub fn total(&self, counter: impl Into<Slot>) -> u64 {
        self.counters.total(counter)
    }

    /// What changed in the counters since the last call: name and difference, without what only says how much there is.
    pub fn changes(&mut self) -> Vec<(&'static str, i64)> {
        let now: BTreeMap<_, _> = self.counters.totals().collect();
        let changes = now.iter().map(|(&name, &value)| (name, value.wrapping_sub(self.seen[name]) as i64));
        let changes = changes.filter(|&(_, change)| change != 0).collect();
        self.seen = now;
        changes
    }

    /// A datagram arrives from a radio.
    ///
    /// # Panics
    /// If it is longer than a packet, or there are too many.
    pub fn from_radio(&mut self, worker: WorkerId, endpoint: Endpoint, datagram: &[u8]) {
        let mut packet = self.pool.alloc().expect("a packet");
        assert!(packet.copy_from(datagram), "it fits");
        packet.meta.endpoint = endpoint;
        send(&mut self.radios[worker], packet);
    }

    /// An Ethernet frame arrives from the network.
    ///
    /// # Panics
    /// If it is longer than a packet, or there are too many.
    pub fn from_network(&mut self, worker: WorkerId, frame: &[u8]) {
        let mut packet = self.pool.alloc().expect("a packet");
        assert!(packet.copy_from(frame), "it fits");
        send(&mut self.networks[worker], packet);
    }

    /// Runs, and takes the datagrams to radios.
    pub fn to_radio(&mut self, worker: WorkerId) -> Vec<(Endpoint, Vec<u8>)> {
        self.run();
        let mut burst = Burst::new();
        let mut datagrams = Vec::new();
        while self.radios[worker].rx_burst(&self.pool, &mut burst) > 0 {
            for packet in burst.drain() {
                datagrams.push((
                    packet.meta.endpoint.known().expect("datagrams have an endpoint"),
                    packet.data().to_vec(),
                ));
            }
            self.run();
        }
        datagrams
    }

    /// Runs, and takes the frames to the network.
    pub fn to_network(&mut self, worker: WorkerId) -> Vec<Vec<u8>> {
        self.run();
        let mut burst = Burst::new();
        let mut frames = Vec::new();
        while self.networks[worker].rx_burst(&self.pool, &mut burst) > 0 {
            frames.extend(burst.drain().map(|packet| packet.data().to_vec()));
            self.run();
        }
        frames
    }

    /// Tells the gateway its services.
    pub fn welcome(&mut self, services: &[Service]) {
        let services = services.to_vec();
        self.command(CommandKind::Welcome(Welcome { services, ..Welcome::default() }));
        self.run();
    }

    /// Brings a tunnel up by keep-alive, request and acceptance; takes the gateway's answer.
    ///
    /// # Panics
    /// If the gateway does not ask for it or does not answer.
    pub fn open_tunnel(&mut self, worker: WorkerId, tunnel: &Tunnel, keepalive_timeout_seconds: u32) {
        self.from_radio(worker, tunnel.endpoint, &keep_alive(tunnel));
        let asked = self.events().contains(&Event::TunnelRequest(*tunnel, None));
        assert!(asked, "the gateway asks about {tunnel:?}");
        self.command(CommandKind::TunnelAccept(TunnelAccept {
            tunnel: *tunnel,
            blob: b"tunnel".to_vec(),
            keepalive_timeout_seconds,
            key: None,
            counter: 0,
        }));
        let echo = KeepAlive { session_id: tunnel.session_id, hello: None, proof: None }.datagram();
        assert_eq!(self.to_radio(worker), [(tunnel.endpoint, echo)]);
    }

    /// Adds a device as associated; with a key, that is installed and the port opened.
    pub fn add_station(&mut self, device: &Device) {
        let station = device.key();
        self.command(CommandKind::StationAdd(StationAdd {
            station,
            aid: 1,
            qos: device.qos.is_some(),
            protect: device.tk.is_some(),
            blob: Vec::new(),
            pmf: false,
        }));
        if let Some(tk) = &device.tk {
            self.install(device, tk.clone(), 0, 0);
        }
        self.open_port(device);
        self.run();
    }

    /// Installs a key for a device.
    pub fn install(&mut self, device: &Device, tk: Tk, accept_old_ms: u32, hold_downlink_ms: u32) {
        self.command(CommandKind::KeyInstall(KeyInstall {
            station: device.key(),
            key_id: 0,
            tk,
            blob: b"key".to_vec(),
            accept_old_ms,
            hold_downlink_ms,
        }));
        self.run();
    }

    /// Opens a device's port.
    pub fn open_port(&mut self, device: &Device) {
        self.command(CommandKind::PortOpen(PortOpen {
            station: device.key(),
            open: true,
            vlan: 0,
            blob: Vec::new(),
        }));
        self.run();
    }
}

/// A device, with its side of the key and the counters that go with it.
#[derive(Clone, Debug)]
pub struct Device {
    /// The virtual BSS it is on.
    pub bssid: MacAddr,
    /// Its address.
    pub mac: MacAddr,
    /// Where its radio is.
    pub endpoint: Endpoint,
    /// TID of its frames; `None`: it sends without QoS control.
    pub qos: Option<u8>,
    /// The pairwise key.
    pub tk: Option<Tk>,
    /// The last packet number it used.
    pub pn: u64,
    /// The last sequence number it used.
    pub sequence: u16,
}

impl Device {
    /// On a tunnel, with QoS.
    pub fn new(tunnel: &Tunnel, mac: MacAddr, tk: Option<Tk>) -> Self {
        Self { bssid: tunnel.bssid, mac, endpoint: tunnel.endpoint, qos: Some(0), tk, pn: 0, sequence: 0 }
    }

    /// Its name in commands and events.
    pub fn key(&self) -> StationKey {
        StationKey { bssid: self.bssid, mac: self.mac }
    }

    /// The header of its next frame, with a new sequence number.
    pub fn header(&mut self, destination: MacAddr) -> DataHeader {
        self.sequence = (self.sequence + 1) % 4096;
        let qos = self.qos.map(QosControl::new);
        let mut header = DataHeader::to_ap(self.bssid, destination, self.mac, qos);
        header.sequence = SequenceControl::new(self.sequence, 0);
        header
    }

    /// A data frame as it is on the air: sealed under the next packet number if the device has a key.
    ///
    /// # Panics
    /// If it has used every packet number.
    pub fn frame(&mut self, header: DataHeader, body: &[u8]) -> Vec<u8> {
        let plain = header.frame(body);
        match self.tk.clone() {
            Some(tk) => {
                self.pn += 1;
                ccmp::seal(&tk, 0, Pn::new(self.pn).expect("48 bits"), &plain).expect("a data frame")
            }
            None => plain,
        }
    }

    /// The datagram of its next frame with this payload.
    pub fn datagram(&mut self, destination: MacAddr, ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
        let header = self.header(destination);
        tunnelled(&self.frame(header, &llc::msdu(ether_type, payload)))
    }

    /// Opens a datagram to it: header, packet number (0: it was not protected) and MSDU. `None` if the MIC is wrong or it is somebody else's.
    pub fn open(&self, datagram: &[u8]) -> Option<(DataHeader, u64, Vec<u8>)> {
        let (_, frame) = TunnelHeader::parse(datagram).ok()?;
        let (pn, plain) = match &self.tk {
            Some(tk) if Frame::parse(frame).ok()?.control().protected() => {
                let (header, plain) = ccmp::open(tk, frame).ok()?;
                (header.pn.value(), plain)
            }
            _ => (0, frame.to_vec()),
        };
        let frame = Frame::parse(&plain).ok()?;
        if frame.control().protected() || frame.addr1() != self.mac && !frame.addr1().is_group() {
            return None;
        }
        let header = DataHeader {
            control: frame.control(),
            duration: frame.duration(),
            addr1: frame.addr1(),
            addr2: frame.addr2()?,
            addr3: frame.addr3()?,
            sequence: frame.sequence()?,
            addr4: MacAddr::ZERO,
            qos: frame.qos().unwrap_or_default(),
            ht_control: 0,
        };
        Some((header, pn, frame.body().to_vec()))
    }
}

/// The `n`th virtual BSS of the bench, on an endpoint of its own.
pub fn tunnel(n: u8, service: &Service) -> Tunnel {
    Tunnel {
        session_id: SessionId([n + 1; 16]),
        bssid: MacAddr([0x02, 0xaa, 0, 0, 0, n]),
        radio: MacAddr([0x00, 0xaa, 0, 0, 0, n]),
        service: service.uuid,
        endpoint: Endpoint::v4([192, 0, 2, n + 1], 40_000),
    }
}

/// A service of the bench: no VLAN, nothing answered, nothing kept apart.
pub fn service(n: u8) -> Service {
    Service {
        uuid: ServiceUuid([n; 16]),
        ssid: format!("service-{n}"),
        vlan: 0,
        isolate: false,
        group_to_unicast: true,
        proxy_arp: false,
        idle_seconds: 0,
    }
}

/// The `n`th key of the bench.
pub fn tk(n: u8) -> Tk {
    Tk::new([n ^ 0x5a; 16])
}

/// The `n`th group key of the bench.
pub fn gtk(n: u8) -> Gtk {
    Gtk::new([n ^ 0xa5; 16])
}

/// The `n`th device address.
pub fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([0x06, 0x01, a, b, c, d])
}

/// A frame as the radio wraps it.
pub fn tunnelled(frame: &[u8]) -> Vec<u8> {
    [Header::received(INFO).encode().as_bytes(), frame].concat()
}

/// A frame as the radio wraps it for a narrow path: `max` octets of datagram at most.
///
/// # Panics
/// If `frame` is empty or longer than the tunnel takes.
pub fn fragmented(frame: &[u8], max: usize, id: u16) -> Vec<Vec<u8>> {
    let fragments = fragment(Header::received(INFO), frame, max, id).expect("a frame that can be sent");
    fragments.map(|fragment| fragment.datagram()).collect()
}

/// A radio's keep-alive.
pub fn keep_alive(tunnel: &Tunnel) -> Vec<u8> {
    let hello = Hello { bssid: tunnel.bssid, radio: tunnel.radio, service: tunnel.service };
    KeepAlive { session_id: tunnel.session_id, hello: Some(hello), proof: None }.datagram()
}

/// An Ethernet frame, tagged unless `vlan` is 0.
pub fn ethernet(
    destination: MacAddr,
    source: MacAddr,
    vlan: u16,
    ether_type: EtherType,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = [destination.0, source.0].concat();
    if vlan != 0 {
        frame.extend_from_slice(&[0x81, 0]);
        frame.extend_from_slice(&vlan.to_be_bytes());
    }
    frame.extend_from_slice(&ether_type.0.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn send(io: &mut MemoryIo, packet: crate::packet::Packet) {
    let mut burst = Burst::new();
    let _ = burst.push(packet);
    assert_eq!(io.tx_burst(&mut burst), 1, "room for a packet");
}
