//! The fault run in small: one round of each kind, and some more.

use std::process::Command;

/// Needs PostgreSQL and Redis (`deploy/setup.sh test`), and `controlplane` built beside it, which `cargo test --workspace` does.
#[test]
fn nothing_acknowledged_is_lost_and_nothing_appears() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_faults")).env("ROUNDS", "10").output().expect("the fault run runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    let all = said.lines().find(|line| line.starts_with("all")).expect("a table");
    let numbers: Vec<u64> = all.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] == 10 && numbers[1] > 200, "{said}");
    assert_eq!(numbers[2..4], [0, 0], "{said}");
}
