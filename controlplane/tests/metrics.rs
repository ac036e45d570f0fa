//! What Prometheus scrapes of the daemon, taken apart as Prometheus does.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scrape(from: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&from, Duration::from_millis(200)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: control\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.contains(" 200 "), "{head}");
    Some(body.to_owned())
}

/// Types by name, and values by name and labels (exposition format 0.0.4).
fn parse(text: &str) -> (BTreeMap<&str, &str>, BTreeMap<&str, f64>) {
    let (mut types, mut values) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some((name, kind)) = comment.strip_prefix("TYPE ").and_then(|rest| rest.split_once(' ')) {
                assert!(types.insert(name, kind).is_none(), "{name} has two types");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
        assert!(series == name || series.ends_with("\"}"), "{line}");
        assert!(types.contains_key(name), "{line} has no type");
        assert!(values.insert(series, value.parse().expect(line)).is_none(), "{series} is there twice");
    }
    (types, values)
}

#[test]
fn the_matchmaker_counts_for_prometheus_too() {
    let directory = tempfile::tempdir().unwrap();
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = directory.path().join("controlplane.toml");
    let text = format!(
        "state = \"{}\"\nlisten = \"127.0.0.1:0\"\nmetrics = \"{at}\"\n[matchmaker]\nlisten = \"127.0.0.1:0\"\n\
         [[account]]\nid = \"info@example.org\"\n[[binding]]\nservice = \"6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001\"\n",
        directory.path().display()
    );
    fs::write(&path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_controlplane"));
    command.args(["run", "--config"]).arg(&path).stderr(Stdio::null());
    let _daemon = Daemon(command.spawn().unwrap());
    let began = Instant::now();
    let text = loop {
        match scrape(at).filter(|text| text.contains("ttg_matchmaker{what=\"instances\"}")) {
            Some(text) => break text,
            None => assert!(began.elapsed() < PATIENCE, "nothing is told of the matchmaker"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (types, values) = parse(&text);
    assert_eq!((types["ttg_matchmaker"], types["ttg_matchmaker_total"]), ("gauge", "counter"));
    let gauges = [
        ("accounts", 1.0),
        ("bindings", 1.0),
        ("radios", 0.0),
        ("services", 0.0),
        ("services_of_strangers", 0.0),
        ("instances", 0.0),
        ("introductions", 0.0),
        ("watchers", 0.0),
    ];
    for (what, value) in gauges {
        assert_eq!(values[&format!("ttg_matchmaker{{what=\"{what}\"}}")[..]], value, "{what}");
    }
    for what in
        ["look_ups", "offers", "introductions", "refused", "services_refused", "commits", "handshakes"]
    {
        assert_eq!(values[&format!("ttg_matchmaker_total{{what=\"{what}\"}}")[..]], 0.0, "{what}");
    }
}
