//! What an operator can get wrong, and what the gateway says to it: one paragraph with what to do, and exit status 1.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Command, Output},
};

const NETWORK: &str = "network = { kind = \"tap\", name = \"ttgbad0\" }\n";

fn ttg(verb: &str, config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ttg")).arg(verb).arg("--config").arg(config).output().unwrap()
}

/// Runs the gateway with this configuration, which must be refused, and returns what it said.
fn refused(verb: &str, text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ttg.toml");
    fs::write(&path, text).unwrap();
    let output = ttg(verb, &path);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said.replace(&directory.path().display().to_string(), "DIR")
}

#[track_caller]
fn says(verb: &str, text: &str, parts: &[&str]) {
    let said = refused(verb, text);
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn a_missing_file() {
    let output = ttg("run", Path::new("/nowhere/ttg.toml"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("cannot read the configuration /nowhere/ttg.toml") && said.contains("--config"),
        "{said}"
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = format!("name = \"x\"\nlissten = \"0.0.0.0:5247\"\n{NETWORK}");
    says("run", &text, &["DIR/ttg.toml", "line 2", "unknown field `lissten`", "`listen`"]);
}

#[test]
fn a_value_of_the_wrong_form_is_named_with_its_line() {
    says("run", &format!("{NETWORK}listen = \"5247\"\n"), &["line 2", "listen = \"5247\"", "socket address"]);
    says(
        "run",
        "network = { kind = \"tun\", name = \"x\" }\n",
        &["unknown variant `tun`", "`tap`", "`af-packet`", "`af-xdp`", "`dpdk`"],
    );
}

#[test]
fn parts_that_do_not_go_together() {
    says("run", NETWORK, &["control is missing", "control = \"http://127.0.0.1:7400\"", "ttg standalone"]);
    says(
        "run",
        &format!("{NETWORK}control = \"http://192.0.2.1:7400\"\n"),
        &["192.0.2.1", "in clear", "https://", "[tls]"],
    );
    says("run", &format!("{NETWORK}control = \"127.0.0.1:7400\"\n"), &["not of the form https://HOST:PORT"]);
    says(
        "run",
        &format!("{NETWORK}control = \"https://control.example.org:7400\"\n"),
        &["needs [tls] with ca, certificate and key"],
    );
    let tls = "[tls]\nca = \"ca.pem\"\ncertificate = \"gateway.pem\"\nkey = \"gateway.key\"\n";
    says(
        "run",
        &format!("{NETWORK}control = \"http://127.0.0.1:7400\"\n{tls}"),
        &["is plain text, but there is [tls]"],
    );
    says("run", &format!("{NETWORK}workers = 0\n"), &["workers = 0: 1 to 64"]);
    says("run", &format!("{NETWORK}workers = 2\ncores = [0]\n"), &["cores names 1 CPUs for 2 workers"]);
    says("run", &format!("{NETWORK}path_mtu = 100\n"), &["path_mtu = 100: 576 or more"]);
    says(
        "run",
        "workers = 2\nnetwork = { kind = \"af-packet\", name = \"eth0\" }\n",
        &["one queue", "workers = 1"],
    );
    says(
        "standalone",
        &format!("[gateway]\ncontrol = \"http://127.0.0.1:1\"\n{NETWORK}[control]\n"),
        &["no meaning in standalone mode", "ttg run"],
    );
}

#[test]
fn a_port_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("control = \"http://127.0.0.1:1\"\nlisten = \"{address}\"\n{NETWORK}");
    says("run", &text, &[&address.port().to_string(), "in use", "ss -ulnp"]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("[gateway]\n{NETWORK}[control]\nlisten = \"{address}\"\n");
    says("standalone", &text, &[&address.to_string(), "for gRPC", "change `listen`"]);

    let text = format!("control = \"http://127.0.0.1:1\"\nmetrics = \"{address}\"\n{NETWORK}");
    says("run", &text, &[&address.to_string(), "cannot serve metrics", "Change `metrics`"]);
}

#[test]
fn an_interface_that_is_not_there() {
    let text = "control = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\nnetwork = { kind = \"af-packet\", name = \"nope0\" }\n";
    says("run", text, &["no network interface `nope0`", "ip link"]);
    says("run", &text.replace("af-packet", "af-xdp"), &["no network interface `nope0`", "ip link"]);
    let text = "control = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\nnetwork = { kind = \"tap\", name = \"far too long a name\" }\n";
    says("run", text, &["no name for a network interface"]);
}

#[cfg(feature = "dpdk")]
#[test]
fn a_device_that_dpdk_does_not_know() {
    let text = "control = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\n\
                network = { kind = \"dpdk\", device = \"net_nope0\" }\ndpdk = { no_huge = true }\n";
    says("run", text, &["cannot open the device `net_nope0`", "net_tap0,iface=NAME"]);
    says(
        "run",
        &text.replace("no_huge = true", "no_huge = true, memory = 16"),
        &["8192 packets", "more memory"],
    );
    says(
        "run",
        &text.replace("no_huge = true", "no_huge = true, hugepages = 3"),
        &["unknown field `hugepages`"],
    );
    let queues = text.replace("net_nope0", "net_af_packet0,iface=lo");
    says("run", &format!("workers = 2\n{queues}"), &["has 1 queues", "2 workers", "Configure 1 workers"]);

    let tunnel = format!(
        "control = \"http://127.0.0.1:1\"\n{NETWORK}dpdk = {{ no_huge = true }}\n[tunnel]\naddresses = [\"192.0.2.10/24\"]\n"
    );
    let device = |keys| format!("{tunnel}device = {{ kind = \"dpdk\", {keys} }}\n");
    says(
        "run",
        &device("device = \"net_nope0\""),
        &["cannot open the device `net_nope0`", "net_tap0,iface=NAME"],
    );
    says(
        "run",
        &device("device = \"net_tap0,iface=ttgbad1\", mtu = 1400"),
        &["`net_tap0` has an MTU of 1400", "path_mtu = 1500", "`mtu = 1500` in tunnel.device"],
    );
    let twice = device("device = \"net_tap0,iface=ttgbad1\"")
        .replace(NETWORK, "network = { kind = \"dpdk\", device = \"net_tap0,iface=ttgbad2\" }\n");
    says("run", &twice, &["cannot open the device `net_tap0", "open already", "Configure each device once"]);
}

#[cfg(not(feature = "dpdk"))]
#[test]
fn dpdk_in_a_gateway_without_it() {
    let text = "control = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\n\
                network = { kind = \"dpdk\", device = \"net_tap0\" }\n";
    says("run", text, &["cannot open the device `net_tap0`", "built without it", "default features"]);
}

/// As an ordinary user the gateway says which capability it lacks.
#[test]
fn a_missing_capability() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ttg.toml");
    fs::write(&path, format!("control = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\n{NETWORK}"))
        .unwrap();
    let with_xdp = directory.path().join("xdp.toml");
    let network = "network = { kind = \"af-xdp\", name = \"lo\" }\n";
    fs::write(&with_xdp, format!("control = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\n{network}"))
        .unwrap();
    // Root without its capabilities stands for an ordinary user, who could not read this checkout.
    for (path, capability) in [(&path, "CAP_NET_ADMIN"), (&with_xdp, "CAP_NET_RAW")] {
        let output = Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_ttg"), "run", "--config"])
            .arg(path)
            .output()
            .expect("setpriv, of Debian's util-linux (deploy/setup.sh installs it)");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(capability) && said.contains("AmbientCapabilities"), "{said}");
    }
}

/// A tunnel port of the gateway's own.
fn port(keys: &str) -> String {
    let device = "device = { kind = \"af-packet\", name = \"nope0\" }";
    format!("control = \"http://127.0.0.1:1\"\n{NETWORK}[tunnel]\n{device}\n{keys}\n")
}

#[test]
fn a_tunnel_port_that_makes_no_sense() {
    const ADDRESS: &str = "addresses = [\"192.0.2.10/24\"]";
    says("run", &port(ADDRESS), &["no network interface `nope0`", "ip link"]);
    says(
        "run",
        &port("addresses = [\"192.0.2.10\"]"),
        &["DIR/ttg.toml", "line 5", "`192.0.2.10`", "192.0.2.10/24"],
    );
    says("run", &port("addresses = []"), &["tunnel: there is no address"]);
    says(
        "run",
        &port(&format!("{ADDRESS}\nrouter = [\"192.0.2.1\"]")),
        &["unknown field `router`", "`gateway`"],
    );
    says(
        "run",
        &port(&format!("{ADDRESS}\ngateway = [\"10.0.0.1\"]")),
        &["gateway 10.0.0.1 is on none of the prefixes"],
    );
    says("run", &port(&format!("{ADDRESS}\nvlan = 5000")), &["VLAN 5000", "1 to 4094"]);
    says(
        "run",
        &port(&format!("{ADDRESS}\nmtu = 1400")),
        &["path_mtu = 1500 is more than tunnel.mtu = 1400"],
    );
    says("run", &port(&format!("{ADDRESS}\nmac = \"02:00\"")), &["not a MAC address"]);
    says(
        "run",
        &format!("listen = \"0.0.0.0:5247\"\n{}", port(ADDRESS)),
        &["listen", "tunnel", "remove one of them"],
    );
    says("run", &format!("workers = 2\n{}", port(ADDRESS)), &["workers = 2", "one queue"]);
    says(
        "run",
        &port(ADDRESS).replace("af-packet", "af-paket"),
        &["unknown variant `af-paket`", "`af-packet`", "`af-xdp`"],
    );
    says("run", &port(ADDRESS).replace("af-packet", "af-xdp"), &["no network interface `nope0`", "ip link"]);
}
