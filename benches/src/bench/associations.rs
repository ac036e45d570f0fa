//! Complete associations a second: authentication, association, four-way handshake, the port open.
//!
//! Gateway and control are the real programs, joined by their real gRPC connection over loopback. This process is the radios and the devices:
//! devices with the state machines of the `station` crate, on tunnels of one UDP socket. Radios answer probes themselves, as real ones do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use dataplane::io::PacketIo;
use dataplane::io::udp::UdpIo;
use dataplane::packet::{Burst, Pool, PoolConfig};
use dot11::beacon::BssTemplate;
use dot11::element::{Rsn, RsnCapabilities, Ssid};
use dot11::{Akm, Frame, FrameKind, MacAddr, ManagementSubtype};
use proto::tunnel::{DataHeader, FrameInfo, Header, Hello, KeepAlive, ServiceUuid, SessionId};
use serde_json::json;
use station::{Command, Device, DeviceConfig, Event, Output, Profile, Time};

use super::daemons::{Daemon, free_tcp, free_udp, gateway};
use super::section::{Goal, Section, Target, table};

/// How much to do.
pub struct Plan {
    /// Virtual BSSes, each with a tunnel.
    bsses: usize,
    /// Devices.
    devices: usize,
    /// Of these at a time on their way.
    window: usize,
    /// No new devices after this.
    time: Duration,
}

impl Plan {
    /// What `make bench` does.
    pub const FULL: Plan = Plan { bsses: 64, devices: 30_000, window: 512, time: Duration::from_secs(8) };
}

const SSID: &str = "bench";
const PASSPHRASE: &str = "correct horse battery";
const SERVICE: &str = "4ae9582b-0581-4ef7-b675-b3cbce03b6a7";
const SERVICE_UUID: ServiceUuid = ServiceUuid([
    0x4a, 0xe9, 0x58, 0x2b, 0x05, 0x81, 0x4e, 0xf7, 0xb6, 0x75, 0xb3, 0xcb, 0xce, 0x03, 0xb6, 0xa7,
]);
const INFO: FrameInfo = FrameInfo { rssi: -50, snr: 40, rate: 540 };
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts everything, lets devices associate, ends everything.
///
/// # Errors
/// A program does not start, or devices do not come online.
pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let directory = tempfile::tempdir()?;
    let (control_at, gateway_at) = (free_tcp()?, free_udp()?);
    let state = directory.path().join("state");
    let config = format!(
        "listen = \"{control_at}\"\nstate = \"{}\"\n\n[[service]]\nuuid = \"{SERVICE}\"\nssid = \"{SSID}\"\nsecurity = \"psk\"\n\
         passphrases = [{{ name = \"bench\", passphrase = \"{PASSPHRASE}\" }}]\n\n[[binding]]\nservice = \"{SERVICE}\"\n",
        state.display()
    );
    let mut control = Daemon::start(directory.path(), "controlplane", &config)?;
    control.wait("control listens", || std::net::TcpStream::connect(control_at).is_ok())?;
    let config = gateway(control_at, gateway_at, plan.devices, "epoll");
    let mut gateway = Daemon::start(directory.path(), "ttg", &config)?;
    let mut air = Air::new(gateway_at, plan)?;
    gateway.wait("the tunnels open", || air.open_tunnels())?;
    let before = (control.cpu()?, gateway.cpu()?);
    let started = Instant::now();
    air.run(plan).with_context(|| format!("control:\n{}\ngateway:\n{}", control.words(), gateway.words()))?;
    let wall = started.elapsed().as_secs_f64();
    let (control, gateway) = (control.cpu()?.since(before.0), gateway.cpu()?.since(before.1));
    if air.online == 0 || air.failed > air.online / 100 {
        bail!(
            "{} devices came online and {} did not; the last: {:?}",
            air.online,
            air.failed,
            air.last_failure
        );
    }
    let n = air.online as f64;
    let per_core = n / control.total().max(gateway.total());
    let micros = |seconds: f64| format!("{:.0}", seconds / n * 1e6);
    let line = |what: &str, cpu: super::daemons::Cpu| {
        let rate = format!("{:.0}", n / cpu.total());
        [what.to_owned(), micros(cpu.user), micros(cpu.system), micros(cpu.total()), rate]
    };
    air.latencies.sort_unstable();
    let percentile = |percent: usize| {
        let at = air.latencies.len().saturating_sub(1) * percent / 100;
        air.latencies.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    let text = format!(
        "Complete associations (authentication to four-way handshake done), real gateway and control over gRPC:\n\n{}\n\
         Processor time of the whole processes, {n:.0} devices on {} BSSes, {} at a time. \"a second, one core\": if it had a core to itself.\n\
         Here gateway, control and the devices (this process) share the machine's cores: {:.0} a second by the clock; from authentication to\n\
         open port {:.1} ms in the median, {:.1} ms at the 99th percentile.\n",
        table(
            &["microseconds of processor", "user", "system", "both", "a second, one core"],
            [line("control", control), line("gateway", gateway)]
        ),
        plan.bsses,
        plan.window,
        n / wall,
        percentile(50),
        percentile(99),
    );
    let json = json!({
        "associations": air.online, "failed": air.failed, "seconds": wall, "per_second": n / wall, "per_second_per_core": per_core,
        "control_seconds": [control.user, control.system], "gateway_seconds": [gateway.user, gateway.system],
        "milliseconds": { "p50": percentile(50), "p99": percentile(99) },
    });
    let goal = Goal::new("complete associations a second, one core each", per_core, Target::AtLeast(5000.0));
    Ok(Section { text, json, goals: vec![goal] })
}

/// The radios and the devices.
struct Air {
    io: UdpIo,
    pool: Pool,
    burst: Burst,
    to_send: Vec<Vec<u8>>,
    gateway: SocketAddr,
    bsses: Vec<Bss>,
    profile: Arc<Profile>,
    devices: Vec<Option<Running>>,
    epoch: Instant,
    in_flight: usize,
    online: usize,
    failed: usize,
    last_failure: Option<Event>,
    latencies: Vec<Duration>,
}

struct Bss {
    template: BssTemplate,
    session_id: SessionId,
    open: bool,
}

struct Running {
    device: Device,
    bss: usize,
    since: Instant,
}

impl Air {
    fn new(gateway: SocketAddr, plan: &Plan) -> anyhow::Result<Air> {
        let ssid = Ssid::try_from(SSID)?;
        let bss = |n: usize| {
            let bssid = MacAddr([0x02, 0xbb, 0, 0, (n >> 8) as u8, n as u8]);
            // What control says of itself in message 3, to the octet.
            let capabilities = RsnCapabilities::default().with_16_ptksa_replay_counters();
            let rsn = Rsn { capabilities, ..Rsn::ccmp(&[Akm::Psk]) };
            let template = BssTemplate::new(bssid, ssid, 6, Some(rsn));
            Bss { template, session_id: SessionId((n as u128 + 1).to_be_bytes()), open: false }
        };
        Ok(Air {
            io: UdpIo::bind("127.0.0.1:0".parse()?, false)?,
            pool: Pool::new(PoolConfig::default()),
            burst: Burst::new(),
            to_send: Vec::new(),
            gateway,
            bsses: (0..plan.bsses).map(bss).collect(),
            profile: Arc::new(Profile::psk(SSID, PASSPHRASE, Akm::Psk)?),
            devices: Vec::new(),
            epoch: Instant::now(),
            in_flight: 0,
            online: 0,
            failed: 0,
            last_failure: None,
            latencies: Vec::new(),
        })
    }

    /// Asks for those that are not open; whether all are.
    fn open_tunnels(&mut self) -> bool {
        for bss in self.bsses.iter().filter(|bss| !bss.open) {
            let hello = Hello { bssid: bss.template.bssid, radio: bss.template.bssid, service: SERVICE_UUID };
            self.to_send
                .push(KeepAlive { session_id: bss.session_id, hello: Some(hello), proof: None }.datagram());
        }
        self.send();
        self.receive();
        self.bsses.iter().all(|bss| bss.open)
    }

    fn run(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut last_progress = (0, started);
        let mut next_timeouts = started;
        loop {
            let now = Instant::now();
            let more = now - started < plan.time && self.devices.len() < plan.devices;
            while more && self.in_flight < plan.window && self.devices.len() < plan.devices {
                self.start_device();
            }
            if !more && self.in_flight == 0 {
                return Ok(());
            }
            let received = self.receive();
            if now >= next_timeouts {
                next_timeouts = now + Duration::from_millis(20);
                self.timeouts();
            }
            self.send();
            if self.online != last_progress.0 {
                last_progress = (self.online, now);
            } else if now - last_progress.1 > PATIENCE {
                bail!(
                    "{} devices came online and {} were refused; then nothing happened",
                    self.online,
                    self.failed
                );
            }
            if received == 0 {
                // Leaves the core to those who have something to do.
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    fn start_device(&mut self) {
        let n = self.devices.len();
        let [a, b, c, d] = (n as u32).to_be_bytes();
        let config = DeviceConfig::new(MacAddr([0x06, 0x01, a, b, c, d]), self.profile.clone());
        let mut seed = [0x5a; 16];
        seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
        let device = Device::new(config, seed);
        let bss = n % self.bsses.len();
        self.devices.push(Some(Running { device, bss, since: Instant::now() }));
        self.in_flight += 1;
        self.with(n, |device, now, out| device.command(now, Command::Connect, out));
    }

    /// Lets a device do something, and does what comes of it; what it asks of the air is answered at once.
    fn with(&mut self, n: usize, act: impl FnOnce(&mut Device, Time, &mut Vec<Output>)) {
        let now = Time::ZERO + self.epoch.elapsed();
        let Some(Some(running)) = self.devices.get_mut(n) else { return };
        let mut out = Vec::new();
        act(&mut running.device, now, &mut out);
        let mut outputs = std::collections::VecDeque::from(out);
        while let Some(output) = outputs.pop_front() {
            let Some(Some(running)) = self.devices.get_mut(n) else { return };
            match output {
                Output::Frame(frame) if is_probe(&frame) => {
                    let template = &self.bsses[running.bss].template;
                    let response = template.probe_response(running.device.mac(), 0);
                    let mut out = Vec::new();
                    running.device.receive(now, &response, Some(-50), &mut out);
                    outputs.extend(out);
                }
                Output::Frame(frame) => {
                    let header = Header::received(INFO).encode();
                    self.to_send.push([header.as_bytes(), &frame].concat());
                }
                Output::Event(Event::Online) => {
                    self.latencies.push(running.since.elapsed());
                    self.online += 1;
                    self.end(n);
                }
                Output::Event(
                    event @ (Event::Refused { .. } | Event::NoAnswer(_) | Event::Disconnected { .. }),
                ) => {
                    self.failed += 1;
                    self.last_failure = Some(event);
                    self.end(n);
                }
                Output::Event(_) => {}
            }
        }
    }

    /// What an online device still has to send has been taken from it before.
    fn end(&mut self, n: usize) {
        self.devices[n] = None;
        self.in_flight -= 1;
    }

    fn timeouts(&mut self) {
        let now = Time::ZERO + self.epoch.elapsed();
        let due = |(n, running): (usize, &Option<Running>)| {
            running.as_ref()?.device.next_timeout().filter(|&at| at <= now).map(|_| n)
        };
        let due: Vec<_> = self.devices.iter().enumerate().filter_map(due).collect();
        for n in due {
            self.with(n, |device, now, out| device.timeout(now, out));
        }
    }

    fn receive(&mut self) -> usize {
        let mut burst = std::mem::replace(&mut self.burst, Burst::new());
        let received = self.io.rx_burst(&self.pool, &mut burst);
        for packet in burst.drain() {
            let Ok((header, payload)) = DataHeader::parse(packet.data()) else { continue };
            if header.keep_alive() {
                if let Ok(echo) = KeepAlive::parse(payload)
                    && let Some(bss) = self.bsses.iter_mut().find(|bss| bss.session_id == echo.session_id)
                {
                    bss.open = true;
                }
                continue;
            }
            let Ok(frame) = Frame::parse(payload) else { continue };
            let MacAddr([0x06, 0x01, a, b, c, d]) = frame.addr1() else { continue };
            let n = u32::from_be_bytes([a, b, c, d]) as usize;
            self.with(n, |device, now, out| device.receive(now, payload, Some(-50), out));
        }
        self.burst = burst;
        received
    }

    fn send(&mut self) {
        let mut burst = Burst::new();
        for datagram in self.to_send.drain(..) {
            let Some(mut packet) = self.pool.alloc() else { continue };
            packet.copy_from(&datagram);
            packet.meta.endpoint = self.gateway.into();
            // There is room: a full burst is sent.
            let _ = burst.push(packet);
            if burst.is_full() {
                self.io.tx_burst(&mut burst);
                burst.clear();
            }
        }
        self.io.tx_burst(&mut burst);
    }
}

fn is_probe(frame: &[u8]) -> bool {
    Frame::parse(frame)
        .is_ok_and(|frame| frame.kind() == FrameKind::Management(ManagementSubtype::ProbeRequest))
}
