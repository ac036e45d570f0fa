//! Several control processes behind one name, of which one hangs, or has a host that is gone: a gateway is attached to another soon. Real
//! processes; the name is in a file of hosts that only they see.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// README: a gateway notices within 5 s that its control process is silent, and is attached to another within two more. Others compute, too.
const SOON: Duration = Duration::from_secs(7 + 8);

/// A running `ttg`, killed when the test ends however it ends.
struct Ttg {
    child: Child,
    log: std::path::PathBuf,
}

impl Ttg {
    fn start(directory: &Path, verb: &str, name: &str, text: &str) -> Ttg {
        let config = directory.join(format!("{name}.toml"));
        let log = directory.join(format!("{name}.log"));
        fs::write(&config, text.replace("DIR", &directory.display().to_string())).unwrap();
        let output = fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttg"));
        command.arg(verb).arg("--config").arg(&config).env("NO_COLOR", "1");
        let child = command.stderr(output).stdin(Stdio::null()).spawn().unwrap();
        Ttg { child, log }
    }

    fn said(&self, what: &str) -> bool {
        fs::read_to_string(&self.log).unwrap_or_default().contains(what)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Ttg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives what it took.
fn until(what: &str, all: &[&Ttg], mut look: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !look() {
        if began.elapsed() > PATIENCE {
            let logs: Vec<_> =
                all.iter().map(|ttg| fs::read_to_string(&ttg.log).unwrap_or_default()).collect();
            panic!("{what} did not happen:\n{}", logs.join("\n---\n"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip, of iproute2");
    assert!(status.success(), "ip {arguments}");
}

/// This thread, and what it starts, see these hosts, and a network where 192.0.2.0/24 swallows everything.
fn elsewhere(hosts: &Path) {
    // SAFETY: no pointer goes in. It concerns this thread only, and what it starts.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    assert_eq!(result, 0, "this test makes namespaces and so needs root");
    for arguments in [&["--make-rprivate", "/"][..], &["--bind", hosts.to_str().unwrap(), "/etc/hosts"]] {
        assert!(Command::new("mount").args(arguments).status().unwrap().success(), "mount {arguments:?}");
    }
    ip("link set lo up");
    ip("link add v0 type veth peer name v1");
    ip("address add 192.0.2.1/24 dev v0");
    ip("link set v0 up");
    ip("link set v1 up");
    for gone in 4..8 {
        ip(&format!("neighbour add 192.0.2.{gone} lladdr 02:00:00:00:00:4{gone} dev v0 nud permanent"));
    }
}

/// With all of its keys; `number` is in its address.
fn control(directory: &Path, number: u8) -> Ttg {
    let text = format!(
        "[gateway]\nname = \"own\"\nlisten = \"127.0.0.{number}:0\"\nnetwork = {{ kind = \"tap\", name = \"own{number}\" }}\n\
         [control]\nlisten = \"127.0.0.{number}:7400\"\nstate = \"DIR/state{number}\"\ntokens = \"DIR/tokens\"\n\
         [control.tls]\ncertificate = \"DIR/control.pem\"\nkey = \"DIR/control.key\"\ngateways = \"DIR/ca.pem\"\n"
    );
    Ttg::start(directory, "standalone", &format!("control{number}"), &text)
}

fn gateway(directory: &Path, name: &str, control: &str) -> Ttg {
    let text = format!(
        "name = \"{name}\"\nlisten = \"127.0.0.1:0\"\ncontrol = \"https://{control}.example.org:7400\"\n\
         network = {{ kind = \"tap\", name = \"{name}\" }}\n\
         [tls]\nca = \"DIR/ca.pem\"\ncertificate = \"DIR/gateway.pem\"\nkey = \"DIR/gateway.key\"\n\
         server_name = \"control.example.org\"\n"
    );
    Ttg::start(directory, "run", name, &text)
}

/// Which of the two control processes says that it has this gateway.
fn has<'a>(controls: &'a [Ttg; 2], gateway: &Ttg, name: &str) -> (&'a Ttg, &'a Ttg) {
    let attached = format!("gateway=\"{name}\"");
    let [one, other] = controls;
    until("attaching", &[one, other, gateway], || controls.iter().any(|control| control.said(&attached)));
    if one.said(&attached) { (one, other) } else { (other, one) }
}

fn test() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let hosts = "127.0.0.1 localhost\n127.0.0.2 control.example.org\n127.0.0.3 control.example.org\n\
                 192.0.2.4 gone.example.org\n192.0.2.5 gone.example.org\n192.0.2.6 gone.example.org\n\
                 192.0.2.7 gone.example.org\n127.0.0.2 gone.example.org\n127.0.0.3 gone.example.org\n";
    fs::write(directory.join("hosts"), hosts).unwrap();
    elsewhere(&directory.join("hosts"));
    let authority = tls::testkit::Authority::new(directory, "ca");
    authority.server("control", &["control.example.org"]);
    authority.client("gateway");
    tls::testkit::secret(&directory.join("tokens"), &format!("ops admin {}\n", "a".repeat(40)));
    let controls = [control(directory, 2), control(directory, 3)];
    for control in &controls {
        until("starting", &[control], || control.said("gateway=\"own\""));
    }

    // Four of six addresses are gone, so the first usually is.
    for name in ["g1", "g2"] {
        let gateway = gateway(directory, name, "gone");
        let took = until("attaching", &[&gateway], || gateway.said("attached to control"));
        assert!(took < SOON, "{name} was attached after {took:?}");
    }

    let gateway = gateway(directory, "g3", "control");
    let (has, other) = has(&controls, &gateway, "g3");
    has.signal("-STOP");
    let took = until("attaching elsewhere", &[other, &gateway], || other.said("gateway=\"g3\""));
    assert!(took < SOON, "the gateway was attached elsewhere after {took:?}");
    println!("attached elsewhere after {took:?}");
    // Stopped processes heed no TERM.
    has.signal("-CONT");
}

#[test]
fn a_gateway_leaves_a_control_process_that_hangs_and_passes_hosts_that_are_gone() {
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}
