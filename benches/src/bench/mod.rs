//! `make bench`: what the gateway's pipeline achieves beside what it is made of, and how small the radio agent is.
//!
//! Whatever is compared is measured in turns within one run, so that what else the machine does meets all of it. Ratios
//! hold; absolute numbers are those of the machine at that moment.

mod agent;
mod ccm;
mod clock;
mod machine;
mod report;
mod throughput;

use std::fs;
use std::path::Path;

use anyhow::Context;

use clock::Clock;
use machine::Machine;
use report::Report;
use throughput::Plan;

/// Measures, prints the tables, and writes the results to `json`; [the report](report) says in which form.
///
/// # Errors
/// `agent` cannot be started or does not do its work; `json` cannot be written.
pub fn run(agent: &Path, json: &Path) -> anyhow::Result<()> {
    let machine = Machine::this();
    println!("{machine}\n");
    let agent = agent::measure(agent)?;
    let clock = Clock::start();
    let rows = throughput::measure(&Plan::FULL);
    let report = Report { machine, tsc_hz: clock.tsc_hz(), rows, agent };
    println!("{}\n{}", report.throughput(), report.agent());
    fs::write(json, report.json()).with_context(|| format!("cannot write {}", json.display()))?;
    println!("The same as JSON: {}", json.display());
    Ok(())
}
