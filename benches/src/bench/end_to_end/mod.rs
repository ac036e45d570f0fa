//! The load generator: a real gateway with very many sessions, and traffic through it from device to device.
//!
//! `ttg run` is the real program. Sessions are installed through the interface that control uses (`ttg.gateway.v1`, Attach, over loopback TCP), by a
//! [control process that follows a script](super::script). Frames go up from one device and down to another, so every packet is opened once
//! and sealed once; radios and devices are this process. Beside it a userspace WireGuard gateway does the same between its peers, over the
//! same UDP code. Then come gateways on ports of DPDK (`virtual_ports.rs`), with traffic to and from the network too.

use std::time::{Duration, Instant};

use serde_json::json;

use super::daemons::{Daemon, free_udp, gateway};
use super::flood::{Flood, Outcome, Pace};
use super::script::{Script, Sessions, drops};
use super::section::{Goal, Section, Target};
use report::{About, MemoryRow, Row, middle, middle_run};
use traffic::{Traffic, Way};

mod report;
mod traffic;
#[cfg(feature = "dpdk")]
mod virtual_ports;

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

/// Octets that control keeps at the gateway for a device on a network with a passphrase, about.
const BLOB: usize = 224;
/// Packets under way at a time.
const WINDOW: usize = 1024;
/// Turns of each.
const ROUNDS: usize = 3;
/// The gateway tells its counters once a second.
const TOLD: Duration = Duration::from_millis(1100);
/// How long sessions may take to install.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the generator and a gateway are joined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Sockets on loopback.
    Udp,
    /// Shared memory, by DPDK's net_memif at both ends.
    Memif,
    /// Shared memory, by DPDK's net_vhost here and net_virtio_user at the gateway.
    VhostUser,
}

impl Over {
    /// As the tables say it.
    fn name(self) -> &'static str {
        match self {
            Over::Udp => "UDP",
            Over::Memif => "memif",
            Over::VhostUser => "vhost-user",
        }
    }
}

/// Starts everything, measures, ends everything.
///
/// # Errors
/// A program does not start, or sessions are not installed.
pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut flood = Flood::udp()?;
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
    let mut traffic = Traffic::new(sessions);
    let mut wireguard = WireGuard::new(plan.peers)?;
    let mut measure = |flood: &mut Flood, octets, packets, pace| {
        let prepared = traffic.prepare(Way::Devices, octets, packets);
        flood.drain();
        flood.run(to.into(), prepared.datagrams(), pace, |received| prepared.whose(received))
    };
    let (over, way) = (Over::Udp, Way::Devices);
    for &(octets, packets) in plan.runs {
        // In turns: who waits for his takes no time, as both sleep or are stopped then.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(measure(&mut flood, octets, packets, Pace::Window(WINDOW)));
            theirs.extend(wireguard.measure(&mut flood, octets, packets, Pace::Window(WINDOW))?);
        }
        let times = middle(ours.iter().zip(&theirs).map(|(a, b)| a.rate() / b.rate()).collect());
        let outcome = middle_run(ours);
        let half = measure(&mut flood, octets, packets, Pace::Rate(outcome.rate() / 2.0));
        rows.push(Row { who: "ttg", over, way, octets, outcome, half, times });
        if let Some(outcome) = theirs.pop().map(|last| middle_run(theirs.into_iter().chain([last]).collect()))
        {
            let half = wireguard.measure(&mut flood, octets, packets, Pace::Rate(outcome.rate() / 2.0))?;
            let who = "boringtun";
            rows.extend(half.map(|half| Row { who, over, way, octets, outcome, half, times: Some(1.0) }));
        }
    }
    std::thread::sleep(TOLD);
    let about = About { over, installing, dropped: drops(&script.counters()) };
    drop(daemon);
    drop(script);
    let (more, mut abouts) = past_the_kernel(plan)?;
    rows.extend(more);
    abouts.insert(0, about);
    let memory_rows = memory_to_memory(plan)?;
    let goal = Goal::new("memory of the gateway per station, octets", memory, Target::AtMost(1024.0));
    Ok(Section {
        text: report::text(plan, &rows, memory, &abouts) + &report::memory_text(&memory_rows),
        json: json!({
            "stations": plan.stations, "octets_per_station": memory, "blob_octets": BLOB,
            "gateways": abouts.iter().map(About::json).collect::<Vec<_>>(),
            "runs": rows.iter().map(report::json).collect::<Vec<_>>(),
            "memory_to_memory": memory_rows.iter().map(|(octets, ours, theirs, times)| json!({
                "octets": octets, "cycles": ours, "boringtun_cycles": theirs, "times_boringtun": times,
            })).collect::<Vec<_>>(),
        }),
        goals: vec![goal],
    })
}

/// Gateways on ports of DPDK, if that was built in.
#[cfg(feature = "dpdk")]
fn past_the_kernel(plan: &Plan) -> anyhow::Result<(Vec<Row>, Vec<About>)> {
    use anyhow::Context;
    let (mut rows, mut abouts) = (Vec::new(), Vec::new());
    for over in [Over::Memif, Over::VhostUser] {
        let (more, about) =
            virtual_ports::run(over, plan).with_context(|| format!("over {}", over.name()))?;
        rows.extend(more);
        abouts.push(about);
    }
    Ok((rows, abouts))
}

#[cfg(not(feature = "dpdk"))]
fn past_the_kernel(_: &Plan) -> anyhow::Result<(Vec<Row>, Vec<About>)> {
    Ok((Vec::new(), Vec::new()))
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
        let outcome =
            flood.run(running.address.into(), &datagrams, pace, |datagram| whose(datagram, &first, next));
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

/// The same without sockets: up and down through the stages, open and seal through boringtun, in turns.
#[cfg(feature = "peers")]
fn memory_to_memory(plan: &Plan) -> anyhow::Result<Vec<MemoryRow>> {
    use super::wireguard::{Peers, memory};
    use super::{clock, turns};
    use dataplane::harness::Load;
    use dataplane::packet::BURST;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs root, and `ttg` built beside this, which `cargo test --workspace` does.
    #[test]
    fn a_small_plan_has_a_line_for_everything() {
        let plan = Plan { stations: 500, runs: &[(64, 400), (1400, 400)], peers: 10 };
        let section = run(&plan).unwrap();
        let runs = section.json["runs"].as_array().unwrap();
        let found = |over: Over, way: Way| {
            let right = |run: &&serde_json::Value| {
                (run["over"].as_str(), run["traffic"].as_str()) == (Some(over.name()), Some(way.name()))
                    && run["gateway"] == "ttg"
            };
            let runs: Vec<_> = runs.iter().filter(right).collect();
            // Nothing is too much for the window, so nothing is lost.
            assert!(runs.iter().all(|run| run["full"]["received"] == 400), "{runs:?}");
            runs.len()
        };
        assert_eq!(found(Over::Udp, Way::Devices), plan.runs.len());
        for over in [Over::Memif, Over::VhostUser] {
            for way in [Way::Devices, Way::Up, Way::Down] {
                let expected = if cfg!(feature = "dpdk") { plan.runs.len() } else { 0 };
                assert_eq!(found(over, way), expected, "{} {}", over.name(), way.name());
            }
        }
    }
}
