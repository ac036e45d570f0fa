//! The demo's world: a RADIUS server, a network behind the gateway in a namespace of its own, the gateway, the radio.
//! Everything is a real program, on loopback or in that namespace, and goes when the world is dropped.

use std::{
    fs::{self, File},
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use radius::testkit::{FreeRadius, FreeRadiusConfig, User};
use tempfile::TempDir;

/// One of the demo's networks.
pub struct Network {
    /// What devices see.
    pub ssid: &'static str,
    /// Of the service.
    pub uuid: &'static str,
    /// Of its virtual BSS on the demo's radio.
    pub bssid: &'static str,
    /// For people who look at the configuration; empty: by RADIUS.
    pub passphrase: &'static str,
    /// Devices that see it, wherever they are; `*`: all of them.
    pub members: &'static [&'static str],
    /// Of its bindings.
    pub policy: &'static str,
}

/// What is behind the gateway: a /24 with DHCP. Both networks end there; a VLAN for each would need a kernel with 802.1Q.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Somebody's home, and an operator's network.
pub const NETWORKS: [Network; 2] = [
    Network {
        ssid: "home of alice",
        uuid: "4ae9582b-0581-4ef7-b675-b3cbce03b6a7",
        bssid: "02:aa:00:00:00:01",
        passphrase: "correct horse battery",
        members: &["02:00:00:00:00:11", "02:00:00:00:00:12"],
        policy: "min_rssi_dbm = -72",
    },
    Network {
        ssid: "operator",
        uuid: "5e5d0125-15b6-4907-9d91-49613689a913",
        bssid: "02:aa:00:00:00:02",
        passphrase: "",
        members: &["*"],
        policy: "",
    },
];

/// Home of a device that passes by outside: too far away for the network to be shown. Only with a matchmaker, who offers it all the same.
pub const FAR: Network = Network {
    ssid: "home of carol",
    uuid: "c1d7a2b4-3a0e-4a57-8f0e-2f6f5f0f7d14",
    bssid: "02:aa:00:00:00:03",
    passphrase: "quiet street at night",
    members: &["02:00:00:00:00:14"],
    policy: "min_rssi_dbm = -72",
};

/// Who is known to the operator's RADIUS server.
pub const USER: (&str, &str) = ("bob@operator.example", "staple");

const SECRET: &str = "demo-secret";
/// The demo's radio.
pub const RADIO: &str = "02:aa:00:00:00:00";

/// How gateway and control run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `ttg standalone`.
    Standalone,
    /// `ttg run` and `controlplane run`.
    Apart,
}

/// How radio and gateway find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// Each is configured for the other: the radio shows the networks always.
    Fixed,
    /// Through the matchmaker: the radio shows what a device near needs.
    Matchmaker,
}

/// Where gateway and control listen, on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// The usual ports where they are free, so that `ttgctl` finds the demo by itself.
    Usual,
    /// Any, for worlds that are not alone.
    Any,
}

/// Everything that runs.
pub struct World {
    agent: Child,
    gateway: Child,
    control: Option<Child>,
    dhcp: Child,
    namespace: Namespace,
    /// How they found each other.
    pub meeting: Meeting,
    /// The AAA server.
    pub radius: FreeRadius,
    /// URL of the admin interface.
    pub admin: String,
    /// Socket of the simulated air.
    pub air: PathBuf,
    /// Logs and configuration, for who wants to look.
    pub directory: TempDir,
}

/// A network namespace that is deleted on drop.
struct Namespace(String);

impl World {
    /// Starts it all; on failure what was started is stopped again.
    pub fn start(shape: Shape, ports: Ports, meeting: Meeting) -> anyhow::Result<World> {
        if !is_root()? {
            bail!("needs root, for network namespaces and a TAP interface: run it with sudo");
        }
        let directory =
            tempfile::Builder::new().prefix("ttg-demo-").tempdir().context("no temporary directory")?;
        let path = directory.path().to_owned();
        let radius = FreeRadius::start(&FreeRadiusConfig {
            secret: SECRET.to_owned(),
            users: vec![User::new(USER.0, USER.1)],
            default_eap: "ttls".to_owned(),
        })
        .context("FreeRADIUS")?;

        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id() % 1_000_000, WORLDS.fetch_add(1, Ordering::Relaxed));
        let tap = format!("ttgd{id}");
        let admin = free_tcp(ports)?;
        let tunnel = free_udp(ports)?;
        let (gateway_keys, control_keys) =
            (gateway_keys(&tap, tunnel), control_keys(&path, admin, &radius, meeting));
        let mut control = None;
        let command = match shape {
            Shape::Standalone => {
                let control_keys =
                    control_keys.replace("[[", "[[control.").replace("[matchmaker]", "[control.matchmaker]");
                let text = format!("[gateway]\n{gateway_keys}\n[control]\n{control_keys}");
                fs::write(path.join("standalone.toml"), text)?;
                ("standalone", path.join("standalone.toml"))
            }
            Shape::Apart => {
                fs::write(path.join("controlplane.toml"), control_keys)?;
                control = Some(start_control(&path)?);
                fs::write(path.join("ttg.toml"), format!("control = \"http://{admin}\"\n{gateway_keys}"))?;
                ("run", path.join("ttg.toml"))
            }
        };
        let mut gateway = spawn(&path, "ttg", sibling("ttg")?.arg(command.0).arg("--config").arg(command.1))?;
        let up = wait_for(&mut gateway, &path.join("ttg.log"), "gateway", || {
            std::net::TcpStream::connect_timeout(&admin, Duration::from_millis(200)).is_ok()
                && Path::new("/sys/class/net").join(&tap).exists()
        });
        let namespace = up.and_then(|()| Namespace::with(&format!("ttg-demo-{id}"), &tap));
        let started = namespace.and_then(|namespace| {
            let dhcp = spawn(&path, "dnsmasq", &mut dnsmasq(&namespace.0, &path, &tap))?;
            Ok((namespace, dhcp))
        });
        let (namespace, dhcp) = match started {
            Ok(started) => started,
            Err(error) => {
                control.iter_mut().for_each(stop);
                stop(&mut gateway);
                return Err(error);
            }
        };
        let air = path.join("air");
        let matchmaker = match meeting {
            Meeting::Fixed => Ok(None),
            Meeting::Matchmaker => matchmaker(&path, shape, &mut gateway).map(Some),
        };
        let agent = matchmaker.and_then(|matchmaker| {
            fs::write(path.join("radio-agent.toml"), radio_agent(&air, tunnel, matchmaker.as_ref()))?;
            start_agent(&path)
        });
        let mut world = match agent {
            Ok(agent) => World {
                agent,
                gateway,
                control,
                dhcp,
                namespace,
                meeting,
                radius,
                admin: format!("http://{admin}"),
                air,
                directory,
            },
            Err(error) => {
                control.iter_mut().for_each(stop);
                stop(&mut gateway);
                return Err(error);
            }
        };
        let log = world.directory.path().join("radio-agent.log");
        let air = world.air.clone();
        wait_for(&mut world.agent, &log, "radio agent", || air.exists())?;
        Ok(world)
    }

    /// Kills control without a word, as a crash or `kill -9` does. Only where it runs [`Shape::Apart`].
    pub fn kill_control(&mut self) -> anyhow::Result<()> {
        let control = self.control.as_mut().context("control is part of the gateway")?;
        control.kill()?;
        control.wait()?;
        Ok(())
    }

    /// Starts control again.
    pub fn restart_control(&mut self) -> anyhow::Result<()> {
        self.control = Some(start_control(self.directory.path())?);
        Ok(())
    }

    /// Kills the radio agent without a word, and starts it again.
    pub fn restart_agent(&mut self) -> anyhow::Result<()> {
        self.agent.kill()?;
        self.agent.wait()?;
        let path = self.directory.path();
        self.agent = start_agent(path)?;
        Ok(())
    }

    /// A daemon that ended by itself, with what it said last.
    pub fn casualty(&mut self) -> Option<String> {
        let directory = self.directory.path();
        for (name, child) in
            [("ttg", &mut self.gateway), ("radio-agent", &mut self.agent), ("dnsmasq", &mut self.dhcp)]
        {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(format!(
                    "{name} ended ({status}):\n{}",
                    tail(&directory.join(format!("{name}.log")))
                ));
            }
        }
        None
    }

    /// What the matchmaker offered, what the radio showed or not and why, and who was introduced: a line each, so far, as the radio agent
    /// logged it; services by the names of their networks.
    pub fn decisions(&self) -> Vec<String> {
        const TOLD: [&str; 8] =
            ["registered for", "offered", "shown", "off the air", "begins", "introduced", "tunnel", "gone"];
        let text = fs::read_to_string(self.directory.path().join("radio-agent.log")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.strip_prefix("radio-agent: "));
        let named = |line: &str| {
            let name = |line: String, network: &Network| {
                line.replace(&format!("service {}", network.uuid), &format!("\"{}\"", network.ssid))
            };
            NETWORKS.iter().chain([&FAR]).fold(line.to_owned(), name)
        };
        lines.filter(|line| TOLD.iter().any(|word| line.contains(word))).map(named).collect()
    }

    /// Last lines of a daemon's log.
    pub fn log(&self, name: &str) -> String {
        tail(&self.directory.path().join(format!("{name}.log")))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Who depends on others goes first.
        let control = self.control.as_mut();
        for child in [&mut self.agent, &mut self.gateway].into_iter().chain(control).chain([&mut self.dhcp]) {
            stop(child);
        }
        let _ = &self.namespace;
    }
}

impl Namespace {
    /// Makes the namespace and moves the gateway's TAP there: the network behind the gateway is not this machine's.
    fn with(name: &str, tap: &str) -> anyhow::Result<Namespace> {
        ip(&["netns", "add", name])?;
        let namespace = Namespace(name.to_owned());
        ip(&["link", "set", tap, "netns", name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "link", "set", tap, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{ROUTER}/24"), "dev", tap])?;
        Ok(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.0]);
    }
}

fn start_control(path: &Path) -> anyhow::Result<Child> {
    spawn(
        path,
        "controlplane",
        sibling("controlplane")?.arg("run").arg("--config").arg(path.join("controlplane.toml")),
    )
}

fn start_agent(path: &Path) -> anyhow::Result<Child> {
    spawn(
        path,
        "radio-agent",
        sibling("radio-agent")?.arg("-v").arg("--config").arg(path.join("radio-agent.toml")),
    )
}

/// Where the matchmaker is and its public key, as the daemon that it is in says.
fn matchmaker(path: &Path, shape: Shape, daemon: &mut Child) -> anyhow::Result<(String, String)> {
    let log = path.join(match shape {
        Shape::Standalone => "ttg.log",
        Shape::Apart => "controlplane.log",
    });
    let find = || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let line = text.lines().find(|line| line.contains("matchmaker is up"))?;
        let word = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.map(|word| word.trim_matches('"').to_owned())
        };
        Some((word("listen=")?, word("key=")?))
    };
    wait_for(daemon, &log, "matchmaker", || find().is_some())?;
    // Who looks before they are there is told that there is nothing, which is good for a minute.
    let registered = || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let line = |uuid| text.contains(&format!("registered with the matchmaker service={uuid}"));
        NETWORKS.iter().chain([&FAR]).all(|network| line(network.uuid))
    };
    wait_for(daemon, &log, "networks", registered)?;
    find().context("the matchmaker does not say where it is")
}

fn gateway_keys(tap: &str, tunnel: SocketAddr) -> String {
    format!(
        r#"name = "demo"
listen = "{tunnel}"
network = {{ kind = "tap", name = "{tap}" }}
"#
    )
}

fn control_keys(path: &Path, admin: SocketAddr, radius: &FreeRadius, meeting: Meeting) -> String {
    let mut text = format!(
        r#"listen = "{admin}"
state = "{}"
name = "ttg-demo"

[[radius]]
name = "aaa"
auth = ["{}"]
acct = ["{}"]
secret = "{SECRET}"
"#,
        path.join("state").display(),
        radius.authentication(),
        radius.accounting(),
    );
    if meeting == Meeting::Matchmaker {
        text.push_str("\n[matchmaker]\nlisten = \"127.0.0.1:0\"\n");
    }
    let far = (meeting == Meeting::Matchmaker).then_some(&FAR);
    for Network { ssid, uuid, passphrase, members, policy, .. } in NETWORKS.iter().chain(far) {
        let security = if passphrase.is_empty() {
            "security = \"eap\"".to_owned()
        } else {
            format!(
                "security = \"psk\"\npassphrases = [{{ name = \"family\", passphrase = \"{passphrase}\" }}]"
            )
        };
        text.push_str(&format!(
            r#"
[[service]]
uuid = "{uuid}"
ssid = "{ssid}"
{security}
radius = "aaa"
"#
        ));
        match meeting {
            Meeting::Fixed => text.push_str(&binding(uuid, "*", RADIO, "")),
            Meeting::Matchmaker => {
                members.iter().for_each(|client| text.push_str(&binding(uuid, client, "*", policy)))
            }
        }
    }
    text
}

fn binding(service: &str, client: &str, radio: &str, policy: &str) -> String {
    format!(
        "\n[[binding]]\nservice = \"{service}\"\nclient = \"{client}\"\nradio = \"{radio}\"\npolicy = {{ {policy} }}\n"
    )
}

fn radio_agent(air: &Path, tunnel: SocketAddr, matchmaker: Option<&(String, String)>) -> String {
    let mut text = format!(
        r#"radio = "{RADIO}"

[backend]
kind = "air"
socket = "{}"
channel = 6
"#,
        air.display()
    );
    if let Some((server, key)) = matchmaker {
        let secret = air.with_file_name("radio.key");
        let secret = secret.display();
        text.push_str(&format!(
            "\n[matchmaking]\nserver = \"{server}\"\nkey = \"{key}\"\nsecret_file = \"{secret}\"\n"
        ));
        return text;
    }
    for Network { ssid, uuid, bssid, passphrase, .. } in &NETWORKS {
        let security = if passphrase.is_empty() { "eap" } else { "psk" };
        text.push_str(&format!(
            r#"
[[bss]]
bssid = "{bssid}"
ssid = "{ssid}"
service = "{uuid}"
security = "{security}"
gateway = "{tunnel}"
"#
        ));
    }
    text
}

fn dnsmasq(namespace: &str, path: &Path, tap: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"]);
    command.args(["--port=0", "--log-dhcp", "--log-facility=-", "--no-ping", "--bind-interfaces"]);
    command.args(["--user=root", "--group=root", "--pid-file="]);
    command.arg(format!("--dhcp-leasefile={}", path.join("leases").display()));
    let [a, b, c, _] = ROUTER.octets();
    command.arg(format!("--interface={tap}"));
    command.arg(format!("--dhcp-range={a}.{b}.{c}.100,{a}.{b}.{c}.199,255.255.255.0,1h"));
    command
}

/// A program that was built together with this one; tests lie one folder below the programs.
fn sibling(name: &str) -> anyhow::Result<Command> {
    let this = std::env::current_exe()?;
    let mut folder = this.parent().unwrap_or(Path::new("."));
    if folder.ends_with("deps") {
        folder = folder.parent().unwrap_or(folder);
    }
    let path = folder.join(name);
    if !path.exists() {
        bail!(
            "{} is not there: build it with `cargo build`, or start the demo with `make demo`",
            path.display()
        );
    }
    Ok(Command::new(path))
}

fn spawn(directory: &Path, name: &str, command: &mut Command) -> anyhow::Result<Child> {
    let log = File::create(directory.join(format!("{name}.log")))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C on the terminal is for the demo, which stops the others in order.
    command.process_group(0);
    command
        .spawn()
        .with_context(|| format!("cannot start {name}: is it installed? deploy/setup.sh demo does it"))
}

fn wait_for(child: &mut Child, log: &Path, what: &str, ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready() {
        if let Some(status) = child.try_wait()? {
            bail!("the {what} ended ({status}):\n{}", tail(log));
        }
        if Instant::now() > deadline {
            bail!("the {what} did not get ready:\n{}", tail(log));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn tail(log: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.read_to_string(&mut text);
    }
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// TERM first, so that sessions end in order; KILL when that takes too long.
fn stop(child: &mut Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip (package iproute2)")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn is_root() -> anyhow::Result<bool> {
    let output = Command::new("id").arg("-u").output().context("id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn free_tcp(ports: Ports) -> anyhow::Result<SocketAddr> {
    let usual = if ports == Ports::Usual { 7400 } else { 0 };
    let listener =
        TcpListener::bind(("127.0.0.1", usual)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok(listener.local_addr()?)
}

fn free_udp(ports: Ports) -> anyhow::Result<SocketAddr> {
    let usual = if ports == Ports::Usual { 5247 } else { 0 };
    let socket = UdpSocket::bind(("127.0.0.1", usual)).or_else(|_| UdpSocket::bind(("127.0.0.1", 0)))?;
    Ok(socket.local_addr()?)
}
