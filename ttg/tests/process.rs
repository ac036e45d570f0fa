//! The gateway as a process: it serves metrics, outlives control, and stops when told to.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway, killed when the test ends however it ends.
struct Ttg {
    child: Child,
    log: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

impl Ttg {
    fn start(verb: &str, text: &str) -> Ttg {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("ttg.toml");
        let log = directory.path().join("log");
        fs::write(&config, text.replace("DIR", &directory.path().display().to_string())).unwrap();
        let output = fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ttg"))
            .arg(verb)
            .arg("--config")
            .arg(&config)
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Ttg { child, log, _directory: directory }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(found) = look(&said) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{what} did not happen ({ended:?}):\n{said}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// TERM; it ends in order, and soon.
    fn stops(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it goes on after TERM:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{status}:\n{}", self.said());
    }
}

impl Drop for Ttg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn metrics(from: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&from, Duration::from_millis(200)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ttg\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[test]
fn standalone_serves_metrics_and_stops_in_order() {
    let (grpc, prometheus) = (free(), free());
    let tap = format!("ttgp{}", std::process::id());
    let text = format!(
        "[gateway]\nlisten = \"127.0.0.1:0\"\nmetrics = \"{prometheus}\"\nnetwork = {{ kind = \"tap\", name = \"{tap}\" }}\n\
         [control]\nlisten = \"{grpc}\"\nstate = \"DIR/state\"\n"
    );
    let mut ttg = Ttg::start("standalone", &text);
    ttg.until("attaching", |said| said.contains("gateway's sessions adopted").then_some(()));
    let interface = Path::new("/sys/class/net").join(&tap);
    assert!(interface.exists());
    let text = ttg.until("metrics", |_| {
        metrics(prometheus).filter(|text| text.contains("ttg_gateway_total{what=\"commands\"}"))
    });
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("ttg_gateway{what=\"stations\"} 0"), "{text}");
    for port in ["tunnel", "network"] {
        assert!(
            text.contains(&format!("ttg_port_total{{port=\"{port}\",what=\"rx_overflow\"}} 0")),
            "{text}"
        );
    }
    ttg.stops();
    assert!(!interface.exists(), "the TAP interface is still there");
}

#[test]
fn without_control_the_gateway_waits_and_says_so_once() {
    let nobody = free();
    let tap = format!("ttgq{}", std::process::id());
    let text = format!(
        "control = \"http://{nobody}\"\nlisten = \"127.0.0.1:0\"\nnetwork = {{ kind = \"tap\", name = \"{tap}\" }}\n"
    );
    let mut ttg = Ttg::start("run", &text);
    ttg.until("the complaint", |said| said.contains("control cannot be reached").then_some(()));
    // Now somebody listens there, but it is not control; after some attempts the gateway is still patient.
    let listener = TcpListener::bind(nobody).unwrap();
    for _ in 0..2 {
        drop(listener.accept().unwrap());
    }
    assert_eq!(ttg.said().matches("control cannot be reached").count(), 1, "{}", ttg.said());
    ttg.stops();
}

/// Runs `ip` in this thread's network namespace.
fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip, of iproute2");
    assert!(status.success(), "ip {arguments}");
}

/// The gateway as an IP host of its own: it answers for its addresses on an interface where the kernel has none, and counts it.
#[test]
fn a_tunnel_port_answers_for_its_addresses() {
    answers_through("kind = \"af-packet\", name = \"port\"", TAP);
}

/// The same with all frames taken from the kernel.
#[test]
fn a_tunnel_port_over_af_xdp_answers_for_its_addresses() {
    answers_through("kind = \"af-xdp\", name = \"port\", generic = true", TAP);
}

/// And through DPDK, alone and with the network there as well: one environment for both, and memory that they share.
#[cfg(feature = "dpdk")]
#[test]
fn a_tunnel_port_over_dpdk_answers_for_its_addresses() {
    const PORT: &str = "kind = \"dpdk\", device = \"net_af_packet0,iface=port\"";
    let text = answers_through(PORT, TAP);
    assert!(text.contains("ttg_port_total{port=\"tunnel\",what=\"rx_copied\"} 0"), "{text}");
    let text = answers_through(PORT, "kind = \"dpdk\", device = \"net_tap0,iface=ttgh0\"");
    for port in ["tunnel", "network"] {
        for what in ["rx_copied", "tx_copied"] {
            let none = format!("ttg_port_total{{port=\"{port}\",what=\"{what}\"}} 0");
            assert!(text.contains(&none), "{none} is missing in:\n{text}");
        }
    }
}

const TAP: &str = "kind = \"tap\", name = \"ttgh0\"";

/// A gateway with these sides answers and takes a datagram. Returns its metrics then.
fn answers_through(device: &'static str, network: &'static str) -> String {
    std::thread::spawn(move || {
        // SAFETY: no pointer goes in. It concerns this thread only, and what it starts.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "this test makes a network namespace and so needs root");
        ip("link set lo up");
        ip("link add radios type veth peer name port");
        ip("address add 192.0.2.1/24 dev radios");
        ip("link set radios up");
        ip("link set port up");
        let (grpc, prometheus) = (free(), free());
        let text = format!(
            "[gateway]\nmetrics = \"{prometheus}\"\nnetwork = {{ {network} }}\ndpdk = {{ no_huge = true }}\n\
             [gateway.tunnel]\ndevice = {{ {device} }}\nmac = \"02:00:00:00:00:10\"\n\
             addresses = [\"192.0.2.10/24\", \"2001:db8::10/64\"]\ngateway = [\"192.0.2.1\"]\n\
             [control]\nlisten = \"{grpc}\"\nstate = \"DIR/state\"\n"
        );
        let mut ttg = Ttg::start("standalone", &text);
        ttg.until("attaching", |said| said.contains("gateway's sessions adopted").then_some(()));
        assert!(ttg.said().contains("192.0.2.10:5247"), "{}", ttg.said());
        let ping = Command::new("ping").args(["-n", "-c", "1", "-W", "10", "192.0.2.10"]).output().unwrap();
        assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
        // A datagram that is no tunnel's goes the whole way to the worker.
        let radio = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
        // Without checksum: a veth would leave that to a network card which it has not, and only AF_PACKET makes up for it.
        let on: libc::c_int = 1;
        // SAFETY: as many octets are read as the number has.
        let result = unsafe {
            libc::setsockopt(
                radio.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NO_CHECK,
                (&raw const on).cast(),
                4,
            )
        };
        assert_eq!(result, 0);
        radio.send_to(&[0xff; 20], "192.0.2.10:5247").unwrap();
        let text = ttg.until("the counters", |_| {
            let text = metrics(prometheus)?;
            let has = |what: &str| text.lines().any(|line| line.starts_with("ttg_") && line.contains(what));
            (has("what=\"host_tx_echo_reply\"} 1")
                && has("what=\"host_rx_datagrams\"} 1")
                && has("what=\"drop_malformed_tunnel\"} 1"))
            .then(|| text.clone())
        });
        ttg.stops();
        text
    })
    .join()
    .unwrap()
}

/// Two workers on the two queues of a port of DPDK's; what DPDK has to say it says on standard error.
#[cfg(feature = "dpdk")]
#[test]
fn the_network_may_be_a_port_of_dpdk() {
    let (nobody, prometheus) = (free(), free());
    let tap = format!("ttgd{}", std::process::id());
    let text = format!(
        "control = \"http://{nobody}\"\nlisten = \"127.0.0.1:0\"\nworkers = 2\nmetrics = \"{prometheus}\"\n\
         network = {{ kind = \"dpdk\", device = \"net_tap0,iface={tap}\", mtu = 1400 }}\ndpdk = {{ no_huge = true }}\n"
    );
    let mut ttg = Ttg::start("run", &text);
    ttg.until("the complaint", |said| said.contains("control cannot be reached").then_some(()));
    let said = ttg.said();
    assert!(said.contains("net_tap") && said.contains("busy-poll"), "{said}");
    let interface = Path::new("/sys/class/net").join(&tap);
    assert_eq!(std::fs::read_to_string(interface.join("mtu")).unwrap().trim(), "1400");
    let text = ttg.until("metrics", |_| {
        metrics(prometheus).filter(|text| text.contains("port=\"network\",what=\"rx_copied\""))
    });
    assert!(text.contains("ttg_port_total{port=\"network\",what=\"rx_copied\"} 0"), "{text}");
    ttg.stops();
    assert!(!interface.exists(), "the TAP interface is still there");
}

/// Control in this process, behind TLS.
async fn control(
    directory: &Path,
    authority: &str,
) -> (SocketAddr, controlplane::Control, controlplane::grpc::Server) {
    let text = "state = \"DIR/state\"\nlisten = \"127.0.0.1:0\"\ntokens = \"DIR/tokens\"\n\
                [tls]\ncertificate = \"DIR/control.pem\"\nkey = \"DIR/control.key\"\ngateways = \"DIR/AUTHORITY.pem\"\n";
    let path = directory.join("controlplane.toml");
    let text = text.replace("DIR", &directory.display().to_string()).replace("AUTHORITY", authority);
    fs::write(&path, text).unwrap();
    let config = controlplane::config::load(&path).unwrap();
    let access = controlplane::grpc::Access::new(&config).unwrap();
    let listener = controlplane::grpc::bind(config.listen).await.unwrap();
    let at = listener.local_addr().unwrap();
    let control = controlplane::Control::start(config).await.unwrap().0;
    let server = controlplane::grpc::Server::start_for(listener, control.clone(), access);
    (at, control, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_shows_control_a_certificate() {
    let site = tempfile::tempdir().unwrap();
    let directory = site.path();
    let authority = tls::testkit::Authority::new(directory, "ca");
    authority.server("control", &["control.example.org"]);
    authority.client("gateway");
    tls::testkit::Authority::new(directory, "others");
    tls::testkit::secret(&directory.join("tokens"), &format!("ops admin {}\n", "a".repeat(40)));
    let tap = format!("ttgs{}", std::process::id());
    let config = |at: SocketAddr, ca: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\ncontrol = \"https://{at}\"\nnetwork = {{ kind = \"tap\", name = \"{tap}\" }}\n\
             [tls]\nca = \"SITE/{ca}.pem\"\ncertificate = \"SITE/gateway.pem\"\nkey = \"SITE/gateway.key\"\n\
             server_name = \"control.example.org\"\n"
        )
        .replace("SITE", &directory.display().to_string())
    };
    let (at, here, _server) = control(directory, "ca").await;
    let text = config(at, "ca");
    tokio::task::spawn_blocking(move || {
        let mut ttg = Ttg::start("run", &text);
        ttg.until("attaching", |said| said.contains("attached to control").then_some(()));
        ttg.stops();
    })
    .await
    .unwrap();
    assert!(here.ask(controlplane::core::Query::Gateways).await.is_some());

    // Control that is not of the authority, and control that wants gateways of another.
    let (other, _there, _server) = control(directory, "others").await;
    let cases = [
        (config(at, "others"), "not of the authority whose certificate was given"),
        (config(other, "ca"), "does not know the authority that signed the certificate"),
        (config(at, "ca").replace("gateway.key", "nowhere"), "cannot read the key"),
    ];
    tokio::task::spawn_blocking(move || {
        for (text, said) in cases {
            let mut ttg = Ttg::start("run", &text);
            ttg.until(said, |log| {
                (log.contains("control cannot be reached") && log.contains(said)).then_some(())
            });
        }
    })
    .await
    .unwrap();
}
