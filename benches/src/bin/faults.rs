//! `make faults`: kills parts of the control plane, its databases and Redis, `ROUNDS` times (1000), and checks that nothing acknowledged is
//! lost and nothing appears that nobody asked for. `SEED` repeats a run, as far as times allow. INT and TERM end it early, with what was found so far.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use benches::faults::{self, report::Report};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str) -> anyhow::Result<Option<u64>> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("{name}={text} is not a number"))
}

fn run() -> anyhow::Result<bool> {
    let rounds = number("ROUNDS")?.unwrap_or(1000);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.subsec_nanos().into());
    let seed = number("SEED")?.unwrap_or(clock);
    let program = std::env::current_exe()?.with_file_name("controlplane");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = async {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
        };
        let mut progress = |round: u64, report: &Report| {
            if round.is_multiple_of(50) || round == rounds {
                eprintln!("{round} of {rounds} rounds, {:.0} s", report.took.as_secs_f64());
            }
        };
        faults::run(&program, rounds, seed, &mut progress, stop).await
    })?;
    println!("{}", report.text());
    if let Ok(path) = std::env::var("JSON") {
        std::fs::write(&path, format!("{:#}\n", report.json()))
            .with_context(|| format!("cannot write {path}"))?;
    }
    Ok(report.is_good())
}
