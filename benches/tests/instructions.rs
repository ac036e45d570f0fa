//! The packet path's inner parts take no more instructions than they did: CCMP with AES-NI, and finding stations, counted by callgrind.
//!
//! Instructions do not depend on what else the machine does. They do depend on the compiler: when it changes, so may the budgets below.
//! Callgrind knows no VAES, so it is the AES-NI kernel that is watched; the others are made from the same source.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::path::PathBuf;
use std::process::Command;

/// Bursts that the example runs, of 32 each.
const PACKETS: u64 = 20 * 32;
/// More than a budget by so many hundredths is too much. Who needs less may lower the budget.
const TOLERANCE: u64 = 4;

/// What is run, the function counted, and instructions per packet.
const BUDGETS: [(&str, &str, &str, u64); 5] = [
    ("seal", "64", "counted_seal", 706),
    ("seal", "1500", "counted_seal", 4104),
    ("open", "64", "counted_open", 697),
    ("open", "1500", "counted_open", 4365),
    ("find", "100000", "counted_find", 97),
];

#[test]
fn instructions_stay_within_their_budgets() {
    let program = build();
    let mut wrong = Vec::new();
    for (what, size, function, budget) in BUDGETS {
        let counted = count(&program, what, size, function) / PACKETS;
        println!("{what} {size}: {counted} instructions per packet, budget {budget}");
        if counted > budget * (100 + TOLERANCE) / 100 {
            wrong.push(format!(
                "{what} {size} takes {counted} instructions per packet; its budget in benches/tests/instructions.rs is {budget}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The example of `dataplane`, made like what is installed.
fn build() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "-p",
            "dataplane",
            "--example",
            "instructions",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo");
    assert!(status.success(), "the example does not build");
    target.join("release/examples/instructions")
}

fn count(program: &PathBuf, what: &str, size: &str, function: &str) -> u64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{function}*"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([what, size])
        .output()
        .expect("valgrind is not installed: deploy/setup.sh test installs it");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let text = std::fs::read_to_string(&out).expect("callgrind's counts");
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|totals| totals.trim().parse().ok()).unwrap_or_else(|| panic!("no totals in\n{text}"))
}
