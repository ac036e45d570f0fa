//! Matchmaker, gateway and radio agent, each in its place, and a phone on the simulated air.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use dot11::{Akm, MacAddr, ReasonCode};
use station::{
    Command as Do, Device, DeviceConfig, Event, Profile,
    air::{Air, DeviceId, Place as Spot},
    host,
};
use tempfile::TempDir;

use crate::net::{MATCHMAKER, Nat, Net, Place};

const SERVICE: &str = "4ae9582b-0581-4ef7-b675-b3cbce03b6a7";
const PHONE: MacAddr = MacAddr([0x00, 0x5e, 0x53, 0, 0, 0x11]);
const PHONE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 5);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Between two pings of the phone.
const PING: Duration = Duration::from_millis(100);
/// For what takes no time but this machine's.
const PATIENCE: Duration = Duration::from_secs(40);

pub struct World {
    name: String,
    // The order in which they go.
    agent: Child,
    gateway: Child,
    matchmaker: Child,
    air: Air,
    directory: TempDir,
    pub net: Net,
    /// The phone pings.
    pub pings: bool,
    next_ping: Instant,
    sequence: u16,
    /// Pings answered.
    pub echoes: u32,
    /// When the last one was.
    pub last_echo: Instant,
    /// Associations so far.
    pub associations: u32,
    /// Keys are there.
    pub online: bool,
}

impl World {
    /// All of it runs, the gateway is registered, and the phone looks for its network.
    pub fn new(gateway: Nat, radio: Nat) -> World {
        let net = Net::new(gateway, radio);
        let directory = tempfile::Builder::new().prefix("ttg-nat-").tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("matchmaker.toml"), matchmaker(&path("records"))).unwrap();
        let mut starting = Starting(Vec::new());
        let said = starting.run(&directory, &net, Place::Internet, "matchmaker", &["controlplane", "run"]);
        let key = wait("the matchmaker", || {
            let text = said();
            let line = text.lines().find(|line| line.contains("matchmaker is up"))?.to_owned();
            line.split_whitespace().find_map(|word| word.strip_prefix("key=").map(str::to_owned))
        });
        let key = key.trim_matches('"');
        fs::write(path("gateway.toml"), standalone(&path("state"), key)).unwrap();
        let said = starting.run(&directory, &net, Place::Gateway, "gateway", &["ttg", "standalone"]);
        wait("the gateway's registration", || {
            said().contains("registered with the matchmaker").then_some(())
        });
        net.ip(Place::Gateway, &format!("link set ttg0 up\naddr add {ROUTER}/24 dev ttg0\n"));
        fs::write(path("radio.toml"), agent(&path("air"), key)).unwrap();
        let _ = starting.run(&directory, &net, Place::Radio, "radio", &["radio-agent", "-v"]);
        wait("the radio agent", || PathBuf::from(path("air")).exists().then_some(()));

        let mut air = Air::new(path("air"));
        let mask = Ipv4Addr::new(255, 255, 255, 0);
        let addressing = host::Addressing::Static { address: PHONE_ADDRESS, mask, router: None };
        let host = host::Config { addressing, ..host::Config::default() };
        let profile = Profile::psk("home", "correct horse", Akm::Psk).unwrap().with_host(host);
        let profile = Profile { reconnect: Some(Duration::from_secs(1)), ..profile };
        let phone = Device::new(DeviceConfig::new(PHONE, Arc::new(profile)), [7; 16]);
        let id = air.add(phone, Spot { signal: -50, ..Spot::default() }).unwrap();
        air.command(id, Do::Connect);
        let [matchmaker, gateway_process, agent] =
            std::mem::take(&mut starting.0).try_into().expect("three were started");
        World {
            name: format!("gateway {gateway:?}, radio {radio:?}"),
            agent,
            gateway: gateway_process,
            matchmaker,
            air,
            directory,
            net,
            pings: true,
            next_ping: Instant::now(),
            sequence: 0,
            echoes: 0,
            last_echo: Instant::now(),
            associations: 0,
            online: false,
        }
    }

    /// Lets the phone live until what is waited for happens.
    pub fn until(&mut self, what: &str, mut happened: impl FnMut(&World) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !happened(self) {
            assert!(Instant::now() < deadline, "{}: {what} did not happen\n{}", self.name, self.logs());
            self.step();
        }
    }

    /// Lets so much time pass.
    pub fn wait(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step();
        }
    }

    /// So many more pings are answered, on the same association.
    pub fn pings_pass(&mut self, what: &str) {
        let (echoes, associations) = (self.echoes, self.associations);
        self.until(what, |world| world.echoes >= echoes + 3);
        assert_eq!(
            self.associations,
            associations,
            "{}: {what}: it associated again\n{}",
            self.name,
            self.logs()
        );
    }

    /// The network behind the gateway reaches the phone, which says nothing by itself.
    pub fn is_reached(&mut self) {
        let mut ping = self.net.command(Place::Gateway, "ping");
        ping.args(["-n", "-q", "-c", "1", "-W", "5", &PHONE_ADDRESS.to_string()]).stdout(Stdio::null());
        let mut ping = ping.spawn().unwrap();
        let mut status = None;
        self.until("the end of a ping", |_| {
            status = ping.try_wait().unwrap();
            status.is_some()
        });
        let reached = status.is_some_and(|status| status.success());
        assert!(reached, "{}: the phone is not reached\n{}", self.name, self.logs());
    }

    pub fn leave(&mut self) {
        self.air.command(DeviceId(0), Do::Disconnect(ReasonCode::LEAVING_NETWORK_DEAUTH));
        self.until("leaving", |world| world.said("radio").contains("left"));
    }

    pub fn come_back(&mut self) {
        self.air.command(DeviceId(0), Do::Connect);
    }

    fn step(&mut self) {
        if self.pings && self.online && Instant::now() >= self.next_ping {
            self.next_ping = Instant::now() + PING;
            self.sequence = self.sequence.wrapping_add(1);
            self.air.command(DeviceId(0), Do::Ping { to: ROUTER, sequence: self.sequence, size: 100 });
        }
        for (_, event) in self.air.poll(Some(Duration::from_millis(20))).unwrap() {
            match event {
                Event::Associated { .. } => self.associations += 1,
                Event::Online => self.online = true,
                Event::EchoReply { .. } => {
                    self.echoes += 1;
                    self.last_echo = Instant::now();
                }
                Event::Disconnected { .. } | Event::BeaconsLost | Event::NoAnswer(_) => self.online = false,
                _ => {}
            }
        }
    }

    /// The log of `matchmaker`, `gateway` or `radio`.
    pub fn said(&self, who: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{who}.log"))).unwrap_or_default()
    }

    fn logs(&self) -> String {
        let of = |who| {
            let said = self.said(who);
            let lines: Vec<_> = said.lines().collect();
            format!("--- {who}\n{}\n", lines[lines.len().saturating_sub(20)..].join("\n"))
        };
        let flows = |place| {
            let output = self.net.command(place, "conntrack").args(["-L", "-p", "udp"]).output();
            output
                .map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (a, b) = (flows(Place::RouterA), flows(Place::RouterB));
        [of("matchmaker"), of("gateway"), of("radio"), format!("--- router A\n{a}--- router B\n{b}")].concat()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.gateway, &mut self.matchmaker] {
            end(child);
        }
    }
}

/// What was started so far; it ends if the rest does not start.
struct Starting(Vec<Child>);

impl Starting {
    /// Gives how to read what it says.
    fn run(
        &mut self,
        directory: &TempDir,
        net: &Net,
        place: Place,
        name: &str,
        command: &[&str],
    ) -> impl Fn() -> String + use<> {
        let log = directory.path().join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let mut run = net.command(place, program(command[0]));
        run.args(&command[1..]).arg("--config").arg(directory.path().join(format!("{name}.toml")));
        run.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        self.0.push(run.spawn().unwrap());
        move || fs::read_to_string(&log).unwrap_or_default()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(end);
    }
}

/// `ip netns exec` becomes the program, so this is the program itself.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One that was built together with this test, which lies one folder below.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(path.exists(), "{} is not there: `cargo test --workspace` builds it", path.display());
    path
}

fn matchmaker(state: &str) -> String {
    format!(
        "listen = \"127.0.0.1:7400\"\nstate = \"{state}\"\n\n[matchmaker]\nlisten = \"{MATCHMAKER}:5248\"\n\n\
         [[binding]]\nservice = \"{SERVICE}\"\nclient = \"{PHONE}\"\nradio = \"*\"\n"
    )
}

fn standalone(state: &str, key: &str) -> String {
    format!(
        "[gateway]\nlisten = \"0.0.0.0:5247\"\nnetwork = {{ kind = \"tap\", name = \"ttg0\" }}\n\n\
         [control]\nlisten = \"127.0.0.1:7400\"\nstate = \"{state}\"\n\n\
         [control.matchmaking]\nserver = \"{MATCHMAKER}:5248\"\nkey = \"{key}\"\n\n\
         [[control.service]]\nuuid = \"{SERVICE}\"\nssid = \"home\"\nsecurity = \"psk\"\n\
         passphrases = [{{ name = \"family\", passphrase = \"correct horse\" }}]\n"
    )
}

fn agent(air: &str, key: &str) -> String {
    format!(
        "radio = \"00:bb:00:00:00:07\"\n\n[backend]\nkind = \"air\"\nsocket = \"{air}\"\nchannel = 6\n\n\
         [matchmaking]\nserver = \"{MATCHMAKER}:5248\"\nkey = \"{key}\"\nsecret_file = \"{air}.key\"\n"
    )
}

/// Everything may happen at the same time, so many at a time.
pub fn each<T: Copy + Send + Sync>(of: &[T], at_a_time: usize, run: impl Fn(T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time.min(of.len()) {
            scope.spawn(|| {
                while let Some(&one) = of.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    run(one);
                }
            });
        }
    });
}
