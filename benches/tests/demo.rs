//! The demo as a check: real programs, three simulated devices, RADIUS, DHCP and traffic through the gateway.

use std::process::Command;

/// Needs root, FreeRADIUS and dnsmasq (`deploy/setup.sh test`), and `ttg` and `radio-agent` built beside the demo, which
/// `cargo test --workspace` does.
#[test]
fn three_devices_get_online_and_are_accounted_for() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo")).env("ONCE", "1").output().expect("the demo runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    for line in ["laptop", "phone", "tablet"] {
        let reached = said
            .lines()
            .any(|l| l.starts_with(line) && l.contains("10.77.0.") && l.contains("reaches the network"));
        assert!(reached, "{line} did not get online:\n{said}");
    }
    assert!(said.contains("were accounted for"), "{said}");
    // It all came about by matchmaking, and is told.
    let radio = |rest: &str| {
        let told =
            |line: &str| line.strip_prefix("radio 02:aa:00:00:00:00: ").is_some_and(|line| fits(line, rest));
        assert!(said.lines().any(told), "`{rest}` is missing:\n{said}");
    };
    for (device, network) in [
        ("02:00:00:00:00:11", "home of alice"),
        ("02:00:00:00:00:12", "home of alice"),
        ("02:00:00:00:00:14", "home of carol"),
    ] {
        radio(&format!("\"{network}\" offered for {device} by binding *"));
    }
    radio("\"operator\" offered for anybody by binding *");
    for network in ["home of alice", "operator"] {
        radio(&format!("bss *: \"{network}\" shown because binding *"));
    }
    for device in ["02:00:00:00:00:11", "02:00:00:00:00:12", "02:00:00:00:00:13"] {
        radio(&format!("bss *: {device} begins, asking for an introduction"));
        radio(&format!("bss *: {device} is introduced"));
    }
    radio(
        "\"home of carol\" for 02:00:00:00:00:14: binding *, not shown because \u{2212}78 dBm < \u{2212}72 dBm",
    );
    // Nor was it on the air, or anybody connected to it.
    assert!(
        !said.contains("\"home of carol\" shown") && !said.contains("02:00:00:00:00:14 is introduced"),
        "{said}"
    );
}

/// Whether it is this, with one word for each `*`.
fn fits(line: &str, pattern: &str) -> bool {
    let (line, pattern): (Vec<&str>, Vec<&str>) = (line.split(' ').collect(), pattern.split(' ').collect());
    let word = |(word, pattern): (&&str, &&str)| match pattern.strip_prefix('*') {
        Some(end) => word.len() > end.len() && word.ends_with(end),
        None => word == pattern,
    };
    line.len() == pattern.len() && line.iter().zip(&pattern).all(word)
}
