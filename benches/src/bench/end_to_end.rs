//! The load generator: a real gateway with very many sessions, and traffic through it from device to device.
//!
//! `ttg run` is the real program. Sessions are installed through the interface that control uses (`ttg.gateway.v1`, Attach, over loopback TCP), by a
//! [control process that follows a script](super::script). Frames go up from one device and down to another, so every packet is opened once
//! and sealed once; radios and devices are this process. Beside it a userspace WireGuard gateway does the same between its peers, over the
//! same UDP code.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dataplane::crypto::{self, SealJob};
use dataplane::packet::BURST;
use dot11::build::DataHeader;
use dot11::ccmp::{CcmpHeader, HEADER_LEN, MIC_LEN};
use dot11::llc::{self, EtherType};
use dot11::{Frame, QosControl, SequenceControl};
use proto::tunnel::{DataHeader as TunnelHeader, FrameInfo, Header};
use serde_json::{Value, json};

use super::daemons::{Daemon, free_udp, gateway};
use super::flood::{Datagrams, Flood, Outcome, Pace};
use super::script::{Script, Sessions, drops};
use super::section::{Goal, Section, Target, table};

/// What to measure.
pub struct Plan {
    stations: usize,
    /// Octets of payload and packets of a run.
    runs: &'static [(usize, usize)],
    /// WireGuard's peers.
    peers: usize,
}

impl Plan {
    /// What `make bench` does.
    pub const FULL: Plan =
        Plan { stations: 1_000_000, runs: &[(64, 200_000), (512, 100_000), (1400, 60_000)], peers: 1000 };
}

/// Of any local kind, so that nobody learns addresses from it.
const LOCAL: EtherType = EtherType(0x88b5);
const INFO: FrameInfo = FrameInfo { rssi: -50, snr: 40, rate: 540 };
/// Octets that control keeps at the gateway for a device on a network with a passphrase, about.
const BLOB: usize = 224;
/// Packets under way at a time.
const WINDOW: usize = 1024;
/// Turns of each.
const ROUNDS: usize = 3;
/// How long sessions may take to install.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line of the table.
struct Row {
    who: &'static str,
    octets: usize,
    outcome: Outcome,
    half: Outcome,
    /// Rate as a multiple of boringtun's, in the median of the rounds.
    times: Option<f64>,
}

/// Starts everything, measures, ends everything.
///
/// # Errors
/// A program does not start, or sessions are not installed.
pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut flood = Flood::new()?;
    let sessions = Sessions { stations: plan.stations, per_bss: 64, endpoint: flood.address(), blob: BLOB };
    let directory = tempfile::tempdir()?;
    let script = Script::start(sessions)?;
    let to = free_udp()?;
    let started = Instant::now();
    let config = gateway(script.address(), to, plan.stations, "epoll");
    let mut daemon = Daemon::start(directory.path(), "ttg", &config)?;
    daemon.wait_for("sessions are installed", PATIENCE, || script.installed() == plan.stations)?;
    let installing = started.elapsed().as_secs_f64();
    let memory = daemon.rss()? as f64 / plan.stations as f64;
    let mut rows = Vec::new();
    let mut traffic = Traffic { sessions, pn: 0 };
    let mut wireguard = WireGuard::new(plan.peers)?;
    for &(octets, packets) in plan.runs {
        // In turns: who waits for his takes no time, as both sleep or are stopped then.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(traffic.measure(&mut flood, to, octets, packets, Pace::Window(WINDOW)));
            theirs.extend(wireguard.measure(&mut flood, octets, packets, Pace::Window(WINDOW))?);
        }
        let times = middle(ours.iter().zip(&theirs).map(|(a, b)| a.rate() / b.rate()).collect());
        let outcome = middle_run(ours);
        let half = traffic.measure(&mut flood, to, octets, packets, Pace::Rate(outcome.rate() / 2.0));
        rows.push(Row { who: "ttg", octets, outcome, half, times });
        if let Some(outcome) = theirs.pop().map(|last| middle_run(theirs.into_iter().chain([last]).collect()))
        {
            let half = wireguard.measure(&mut flood, octets, packets, Pace::Rate(outcome.rate() / 2.0))?;
            rows.extend(half.map(|half| Row { who: "boringtun", octets, outcome, half, times: Some(1.0) }));
        }
    }
    // The gateway tells its counters once a second.
    std::thread::sleep(Duration::from_millis(1100));
    let dropped = drops(&script.counters());
    drop(daemon);
    let memory_rows = memory_to_memory(plan)?;
    let goal = Goal::new("memory of the gateway per station, octets", memory, Target::AtMost(1024.0));
    Ok(Section {
        text: text(plan, &rows, installing, memory, &dropped) + &memory_text(&memory_rows),
        json: json!({
            "stations": plan.stations, "install_seconds": installing, "octets_per_station": memory,
            "blob_octets": BLOB, "dropped": dropped.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "runs": rows.iter().map(json).collect::<Vec<_>>(),
            "memory_to_memory": memory_rows.iter().map(|(octets, ours, theirs, times)| json!({
                "octets": octets, "cycles": ours, "boringtun_cycles": theirs, "times_boringtun": times,
            })).collect::<Vec<_>>(),
        }),
        goals: vec![goal],
    })
}

/// The devices' side.
struct Traffic {
    sessions: Sessions,
    /// Above every packet number that any device used.
    pn: u64,
}

impl Traffic {
    fn measure(
        &mut self,
        flood: &mut Flood,
        to: SocketAddr,
        octets: usize,
        packets: usize,
        pace: Pace,
    ) -> Outcome {
        let sessions = self.sessions;
        let (datagrams, order) = self.datagrams(octets, packets);
        flood.drain();
        flood.run(to, &datagrams, pace, |datagram| {
            let (header, frame) = TunnelHeader::parse(datagram).ok()?;
            let frame = Frame::parse(frame).ok().filter(|_| !header.keep_alive())?;
            let to = sessions.of_mac(frame.addr1())?;
            CcmpHeader::parse(frame.body()).ok()?;
            Some(order[to] as usize)
        })
    }

    /// Sealed datagrams of devices all over the table, each to another device, and which of them each device gets.
    fn datagrams(&mut self, payload: usize, count: usize) -> (Datagrams, Vec<u32>) {
        let stations = self.sessions.stations;
        let encoded = Header::received(INFO).encode();
        let tunnel = encoded.as_bytes();
        let body = llc::msdu(LOCAL, &vec![0x55; payload]);
        let (header_len, first) = (26, self.pn as usize);
        let len = tunnel.len() + header_len + HEADER_LEN + body.len() + MIC_LEN;
        let (mut octets, mut order) = (vec![0; len * count], vec![u32::MAX; stations]);
        for (chunk, burst) in octets.chunks_mut(len * BURST).enumerate() {
            let keys: [[u8; 16]; BURST] =
                std::array::from_fn(|i| self.sessions.key(place(first + chunk * BURST + i, stations)));
            let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
            let mut filled = 0;
            for (i, (datagram, job)) in burst.chunks_mut(len).zip(&mut jobs).enumerate() {
                let k = chunk * BURST + i;
                let (from, to) = (place(first + k, stations), place(first + k + count, stations));
                order[to] = k as u32;
                self.pn += 1;
                let (bssid, qos) = (self.sessions.bssid(from), Some(QosControl::new(0)));
                let mut header =
                    DataHeader::to_ap(bssid, self.sessions.mac(to), self.sessions.mac(from), qos);
                header.sequence = SequenceControl::new((self.pn % 4096) as u16, 0);
                datagram[..tunnel.len()].copy_from_slice(tunnel);
                let frame = &mut datagram[tunnel.len()..];
                header.write(frame);
                let start = header_len + HEADER_LEN;
                frame[start..start + body.len()].copy_from_slice(&body);
                *job = SealJob { key: &keys[i], pn: self.pn, header_len, buf: frame, ..SealJob::idle() };
                filled += 1;
            }
            crypto::seal(&mut jobs[..filled]);
            assert!(jobs[..filled].iter().all(|job| job.done), "every frame is sealed");
        }
        (Datagrams { len, octets }, order)
    }
}

/// The `k`th of the devices, in an order that no cache foresees.
fn place(k: usize, stations: usize) -> usize {
    // A prime above any number of stations: the stride visits them all.
    (k as u64 * 40_503_007 % stations as u64) as usize
}

/// WireGuard's part, if it was built in.
#[cfg(feature = "peers")]
struct WireGuard {
    peers: super::wireguard::Peers,
    gateway: Option<super::wireguard::Gateway>,
    /// Counter that each peer's next datagram will have.
    next: Vec<u64>,
}

#[cfg(feature = "peers")]
impl WireGuard {
    fn new(peers: usize) -> anyhow::Result<WireGuard> {
        let next = vec![0; peers];
        let mut peers = super::wireguard::Peers::new(peers)?;
        let gateway = Some(peers.gateway());
        Ok(WireGuard { peers, gateway, next })
    }

    fn measure(
        &mut self,
        flood: &mut Flood,
        octets: usize,
        packets: usize,
        pace: Pace,
    ) -> anyhow::Result<Option<Outcome>> {
        use super::wireguard::{Running, whose};
        let Some(gateway) = self.gateway.take() else { return Ok(None) };
        // With an IPv4 header as much as our payload.
        let datagrams = self.peers.datagrams(packets, octets - 20)?;
        let running = Running::start(gateway)?;
        flood.drain();
        let first = self.next.clone();
        let next = &mut self.next;
        let outcome = flood.run(running.address, &datagrams, pace, |datagram| whose(datagram, &first, next));
        self.gateway = Some(running.stop());
        Ok(Some(outcome))
    }
}

/// WireGuard's part, if it was built in.
#[cfg(not(feature = "peers"))]
struct WireGuard;

#[cfg(not(feature = "peers"))]
impl WireGuard {
    fn new(_: usize) -> anyhow::Result<WireGuard> {
        Ok(WireGuard)
    }

    fn measure(&mut self, _: &mut Flood, _: usize, _: usize, _: Pace) -> anyhow::Result<Option<Outcome>> {
        Ok(None)
    }
}

/// The run with the middle rate.
fn middle_run(mut runs: Vec<Outcome>) -> Outcome {
    runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let at = runs.len() / 2;
    runs.swap_remove(at)
}

/// The middle one, if there is any.
fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Octets, cycles per packet of ours and of boringtun, and their ratio.
type MemoryRow = (usize, f64, f64, f64);

/// The same without sockets: up and down through the stages, open and seal through boringtun, in turns.
#[cfg(feature = "peers")]
fn memory_to_memory(plan: &Plan) -> anyhow::Result<Vec<MemoryRow>> {
    use super::wireguard::{Peers, memory};
    use super::{clock, turns};
    use dataplane::harness::Load;
    const BURSTS: usize = 32;
    let packets = BURSTS * BURST;
    let (mut load, mut peers) = (Load::new(plan.peers), Peers::new(plan.peers)?);
    let mut gateway = peers.gateway();
    let hz = clock::hz();
    let mut rows = Vec::new();
    for &(octets, _) in plan.runs {
        let mut failed = None;
        let samples = turns::take(2, 31, |whose| {
            let time = if whose == 0 {
                load.uplink(BURSTS, octets).time + load.downlink(BURSTS, octets).time
            } else {
                let datagrams = peers.datagrams(packets, octets - 20);
                let time = datagrams.and_then(|datagrams| memory(&mut gateway, &datagrams));
                time.unwrap_or_else(|error| {
                    failed = Some(error);
                    Duration::ZERO
                })
            };
            time.as_secs_f64() * hz / packets as f64
        });
        if let Some(error) = failed {
            return Err(error);
        }
        rows.push((octets, samples.median(0), samples.median(1), samples.ratio(1, 0)));
    }
    Ok(rows)
}

#[cfg(not(feature = "peers"))]
fn memory_to_memory(_: &Plan) -> anyhow::Result<Vec<MemoryRow>> {
    Ok(Vec::new())
}

fn memory_text(rows: &[MemoryRow]) -> String {
    let unit = if super::clock::CYCLES { "cycles" } else { "nanoseconds" };
    let line = |(octets, ours, theirs, times): &MemoryRow| {
        [octets.to_string(), format!("{ours:.0}"), format!("{theirs:.0}"), format!("{times:.2}")]
    };
    format!(
        "\nThe same memory to memory, {unit} per packet, opened and sealed; as many stations as peers:\n\n{}",
        table(&["octets", "pipeline", "boringtun", "x boringtun"], rows.iter().map(line))
    )
}

fn text(plan: &Plan, rows: &[Row], installing: f64, memory: f64, dropped: &[(String, u64)]) -> String {
    let header = [
        "gateway",
        "octets",
        "Mpps",
        "Gbit/s",
        "loss",
        "x boringtun",
        "half rate: loss",
        "p50 us",
        "p99 us",
        "p99.9 us",
    ];
    let line = |row: &Row| {
        [
            row.who.to_owned(),
            row.octets.to_string(),
            format!("{:.3}", row.outcome.rate() / 1e6),
            format!("{:.2}", row.outcome.rate() * row.octets as f64 * 8.0 / 1e9),
            format!("{:.2} %", row.outcome.loss() * 100.0),
            super::section::cell(row.times, 2),
            format!("{:.2} %", row.half.loss() * 100.0),
            format!("{:.0}", row.half.microseconds(50.0)),
            format!("{:.0}", row.half.microseconds(99.0)),
            format!("{:.0}", row.half.microseconds(99.9)),
        ]
    };
    let dropped = match dropped {
        [] => "nothing".to_owned(),
        some => some.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", "),
    };
    format!(
        "End to end over UDP (GSO and GRO) on loopback, from device to device: every packet is opened once and sealed once.\n\n{}\n\
         ttg: the real program with one worker and {} stations, installed by a scripted control over the real gRPC interface in {installing:.1} s;\n\
         packets are of stations all over the table; {memory:.0} octets of resident memory per station, everything of the process counted,\n\
         with {BLOB} octets that control keeps there. ttg dropped: {dropped}. boringtun: its data path between {} peers, over the same UDP code.\n\
         Generator and gateway have a core each, if the machine has no more to do. {ROUNDS} turns of each with {WINDOW} packets under way, the middle one; then at half that rate,\n\
         for the times under way. {}\n",
        table(&header, rows.iter().map(line)),
        plan.stations,
        plan.peers,
        kernel(),
    )
}

/// What this kernel has that could be compared with.
fn kernel() -> String {
    let has = |module: &str| {
        let loaded = std::path::Path::new("/sys/module").join(module).exists();
        let found = std::process::Command::new("modprobe").args(["-n", "-q", module]).status();
        loaded || found.is_ok_and(|status| status.success())
    };
    match (has("wireguard"), has("esp4")) {
        (false, false) => "This kernel has neither WireGuard nor IPsec.".to_owned(),
        (wireguard, esp) => {
            let names: Vec<_> = [("WireGuard", wireguard), ("IPsec", esp)]
                .iter()
                .filter(|(_, has)| *has)
                .map(|(n, _)| *n)
                .collect();
            format!("This kernel has {}, which is not measured here.", names.join(" and "))
        }
    }
}

fn json(row: &Row) -> Value {
    let outcome = |outcome: &Outcome| {
        json!({
            "packets_per_second": outcome.rate(), "sent": outcome.sent, "received": outcome.received, "loss": outcome.loss(),
            "microseconds": {
                "p50": outcome.microseconds(50.0), "p99": outcome.microseconds(99.0), "p99.9": outcome.microseconds(99.9),
            },
        })
    };
    json!({ "gateway": row.who, "octets": row.octets, "times_boringtun": row.times, "full": outcome(&row.outcome), "half": outcome(&row.half) })
}
