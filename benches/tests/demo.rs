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
}
