//! How small the radio agent is: octets of the static binary, and memory when it is up and idle.
//!
//! It runs on simulated air with two virtual BSSes, against a gateway that only answers keep-alives. One device listens,
//! and when it has heard both BSSes beacon for a while, the system is asked how much memory the agent has.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use dot11::{Frame, FrameKind, MacAddr, ManagementSubtype, radiotap};
use proto::tunnel::{DataHeader, KeepAlive};
use serde_json::json;
use socket2::{Domain, SockAddr, Socket, Type};

use super::section::{Goal, Section, Target, table};

/// The binary is to have no more octets.
pub const BINARY_TARGET: u64 = 1_600_000;
/// Its resident memory is to have no more octets.
pub const RSS_TARGET: u64 = 3_000_000;

/// What is shown on the air.
pub const BSSIDS: [MacAddr; 2] = [MacAddr([2, 0xaa, 0, 0, 0, 1]), MacAddr([2, 0xaa, 0, 0, 0, 2])];

/// Beacons of each BSS after which the agent counts as up and idle: three seconds of them.
const BEACONS: u64 = 30;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Octets of the binary.
    pub binary: u64,
    /// Whether it needs no shared library.
    pub is_static: bool,
    /// Octets of resident memory, up and idle.
    pub rss: u64,
    /// The most there was until then.
    pub peak_rss: u64,
}

/// Measures it, and says what is met.
///
/// # Errors
/// As [`measure`].
pub fn run(binary: &Path) -> anyhow::Result<Section> {
    Ok(measure(binary)?.section())
}

impl Agent {
    fn section(&self) -> Section {
        let kind = if self.is_static { "static binary" } else { "binary, NOT static" };
        let lines = [
            (kind, self.binary, BINARY_TARGET),
            ("idle RSS", self.rss, RSS_TARGET),
            ("peak RSS", self.peak_rss, RSS_TARGET),
        ];
        let megabytes = |octets: u64| octets as f64 / 1e6;
        let goal = |&(what, octets, target): &(&str, u64, u64)| {
            Goal::new(
                format!("radio agent, {what}: MB"),
                megabytes(octets),
                Target::AtMost(megabytes(target)),
            )
        };
        let cells = |(what, octets, target): &(&str, u64, u64)| {
            [(*what).to_owned(), format!("{:.2}", megabytes(*octets)), format!("{:.2}", megabytes(*target))]
        };
        let text = format!(
            "The radio agent, with {} virtual BSSes on simulated air, in MB (10^6 octets):\n\n{}",
            BSSIDS.len(),
            table(&["radio agent", "MB", "target"], lines.iter().map(cells))
        );
        let json = json!({
            "binary": self.binary, "binary_target": BINARY_TARGET, "static": self.is_static,
            "rss": self.rss, "peak_rss": self.peak_rss, "rss_target": RSS_TARGET,
        });
        Section { text, json, goals: lines.iter().map(goal).collect() }
    }
}

/// Starts the agent, waits until it is up, looks, ends it.
///
/// # Errors
/// The binary cannot be read or started, ends by itself, or does not beacon.
fn measure(binary: &Path) -> anyhow::Result<Agent> {
    let image = fs::read(binary).with_context(|| format!("cannot read the agent {}", binary.display()))?;
    let directory = tempfile::tempdir()?;
    let gateway = UdpSocket::bind("127.0.0.1:0")?;
    gateway.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut running = Running::start(binary, directory.path(), &gateway)?;
    let done = AtomicBool::new(false);
    let status = std::thread::scope(|scope| {
        scope.spawn(|| answer(&gateway, &done));
        let status = running.idle();
        done.store(true, Ordering::Relaxed);
        status
    })?;
    let octets = |field| kibibytes(&status, field).map(|kibibytes| kibibytes * 1024);
    let missing = || format!("no VmRSS or VmHWM in the agent's status:\n{status}");
    Ok(Agent {
        binary: image.len() as u64,
        is_static: !has_interpreter(&image),
        rss: octets("VmRSS").with_context(missing)?,
        peak_rss: octets("VmHWM").with_context(missing)?,
    })
}

/// The gateway's part: echoes keep-alives, without what the radio says of itself.
fn answer(gateway: &UdpSocket, done: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !done.load(Ordering::Relaxed) {
        let Ok((len, from)) = gateway.recv_from(&mut buffer) else { continue };
        let Ok((header, payload)) = DataHeader::parse(&buffer[..len]) else { continue };
        if header.keep_alive()
            && let Ok(asked) = KeepAlive::parse(payload)
        {
            let echo = KeepAlive { session_id: asked.session_id, hello: None, proof: None };
            // If it is lost, the agent asks again.
            let _ = gateway.send_to(&echo.datagram(), from);
        }
    }
}

/// The agent's process; it ends when this is dropped.
struct Running {
    child: Child,
    air: PathBuf,
    log: PathBuf,
}

impl Running {
    fn start(binary: &Path, directory: &Path, gateway: &UdpSocket) -> anyhow::Result<Running> {
        let (air, log) = (directory.join("air"), directory.join("log"));
        let gateway = gateway.local_addr()?;
        let mut text = format!("[backend]\nkind = \"air\"\nsocket = \"{}\"\nchannel = 6\n", air.display());
        for (n, bssid) in BSSIDS.into_iter().enumerate() {
            text.push_str(&format!(
                "\n[[bss]]\nbssid = \"{bssid}\"\nssid = \"bench {n}\"\nsecurity = \"psk\"\n\
                 service = \"4ae9582b-0581-4ef7-b675-b3cbce03b6a{n}\"\ngateway = \"{gateway}\"\n"
            ));
        }
        let config = directory.join("radio-agent.toml");
        fs::write(&config, text)?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start the agent {}", binary.display()))?;
        Ok(Running { child, air, log })
    }

    /// Listens until every BSS has sent its beacons; what the system then says of the process.
    fn idle(&mut self) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut device = self.attach(deadline)?;
        let mut beacons: BTreeMap<MacAddr, u64> = BSSIDS.map(|bssid| (bssid, 0)).into();
        let mut message = vec![0; 16 * 1024];
        while beacons.values().any(|&heard| heard < BEACONS) {
            if Instant::now() > deadline {
                bail!("the agent does not beacon; heard: {beacons:?}; its last words:\n{}", self.words());
            }
            match device.read(&mut message) {
                Ok(0) => bail!("the agent has ended; its last words:\n{}", self.words()),
                Ok(len) => {
                    if let Some(heard) = beacon(&message[..len]).and_then(|bssid| beacons.get_mut(&bssid)) {
                        *heard += 1;
                    }
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error).context("the simulated air"),
            }
        }
        let status = format!("/proc/{}/status", self.child.id());
        fs::read_to_string(&status).with_context(|| format!("cannot read {status}"))
    }

    /// A device on the air, as soon as the agent listens.
    fn attach(&mut self, deadline: Instant) -> anyhow::Result<Socket> {
        let address = SockAddr::unix(&self.air)?;
        loop {
            let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            match socket.connect(&address) {
                Ok(()) => return Ok(socket),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| {
                        format!("the agent does not listen; its last words:\n{}", self.words())
                    });
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the agent ended ({status}); its last words:\n{}", self.words());
            }
        }
    }

    fn words(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whose beacon a message of the air is, if it is one.
fn beacon(message: &[u8]) -> Option<MacAddr> {
    let frame = Frame::parse(message.get(radiotap::parse(message).ok()?.len..)?).ok()?;
    let is_beacon = frame.kind() == FrameKind::Management(ManagementSubtype::Beacon);
    frame.addr2().filter(|_| is_beacon)
}

/// A field of /proc/PID/status that is in KiB.
fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Whether a 64-bit little-endian ELF image has a program header of type PT_INTERP, which names the dynamic linker.
fn has_interpreter(image: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let u16_at = |at: usize| image.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let offset = image.get(32..40).and_then(|b| usize::try_from(u64::from_le_bytes(b.try_into().ok()?)).ok());
    let (Some(offset), Some(size), Some(count)) = (offset, u16_at(54), u16_at(56)) else { return false };
    (0..count).any(|n| {
        let at = size.checked_mul(n).and_then(|at| at.checked_add(offset));
        at.and_then(|at| image.get(at..)?.first_chunk())
            .is_some_and(|&kind| u32::from_le_bytes(kind) == PT_INTERP)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_systems_words() {
        let status =
            "Name:\tradio-agent\nVmHWM:\t    1840 kB\nVmRSS:\t    1836 kB\nRssAnon:\t 300 kB\nThreads:\t1\n";
        assert_eq!(kibibytes(status, "VmRSS"), Some(1836));
        assert_eq!(kibibytes(status, "VmHWM"), Some(1840));
        assert_eq!(kibibytes(status, "Vm"), None);
        assert_eq!(kibibytes(status, "Threads"), None);
        let own = fs::read_to_string("/proc/self/status").unwrap();
        assert!(kibibytes(&own, "VmRSS").unwrap() > 0);
    }

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        // This one, as tests are built.
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(has_interpreter(&own), !cfg!(target_feature = "crt-static"));
        assert!(!has_interpreter(&own[..60]));
        assert!(!has_interpreter(&[0xff; 64]));
    }

    #[test]
    fn an_agent_that_ends_by_itself_is_told_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("agent");
        fs::copy("/bin/false", &binary).unwrap();
        let error = format!("{:#}", measure(&binary).unwrap_err());
        assert!(error.contains("the agent ended") && error.contains("exit status: 1"), "{error}");
        let error = format!("{:#}", measure(&directory.path().join("none")).unwrap_err());
        assert!(error.contains("cannot read the agent"), "{error}");
    }

    #[test]
    fn the_table_says_how_small_it_is() {
        let mut agent = Agent { binary: 1_523_056, is_static: true, rss: 3_000_001, peak_rss: 3_000_000 };
        let section = agent.section();
        let lines: Vec<_> = section.text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "radio agent      MB  target",
                "static binary  1.52    1.60",
                "idle RSS       3.00    3.00",
                "peak RSS       3.00    3.00",
            ]
        );
        assert_eq!(section.goals.iter().map(Goal::is_met).collect::<Vec<_>>(), [true, false, true]);
        agent.is_static = false;
        assert!(agent.section().text.contains("NOT static"));
    }

    #[test]
    fn only_beacons_count() {
        let message = |subtype| {
            let frame = dot11::build::management(subtype, MacAddr::BROADCAST, BSSIDS[0], BSSIDS[0], &[0; 12]);
            [&radiotap::rx_header(108, 2437, -40)[..], &frame].concat()
        };
        assert_eq!(beacon(&message(ManagementSubtype::Beacon)), Some(BSSIDS[0]));
        assert_eq!(beacon(&message(ManagementSubtype::ProbeResponse)), None);
        assert_eq!(beacon(&[]), None);
    }
}
