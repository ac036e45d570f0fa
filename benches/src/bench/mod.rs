//! `make bench`: what the gateway achieves, beside what others achieve and beside what was aimed at.
//!
//! Whatever is compared is measured in turns within one run, so that what else the machine does meets all of it. Ratios
//! hold; absolute numbers are those of the machine at that moment.
//!
//! The JSON file has the same:
//!
//! ```json
//! {
//!   "schema": 3,                             // changes when the meaning of anything here does
//!   "machine": {
//!     "cpu": "…", "cores": 2,                // processor, cores that could be used
//!     "features": ["aes", "vaes"],           // of the processor, those that matter to CCMP
//!     "kernel": "…", "rustc": "…",
//!     "tsc_hz": 2600000000.0                 // cycles in a second; null: nanoseconds are counted instead
//!   },
//!   "kernels": […], "table": […], …          // by bench, as each says in its file
//!   "seconds": { "kernels": 12.3, … },       // that each took
//!   "goals": [{                              // "at_most" where less is better
//!     "what": "…", "measured": 1.0, "at_least": 2.0, "met": false
//!   }, …]
//! }
//! ```

mod agent;
#[cfg(feature = "daemons")]
mod associations;
mod city;
mod clock;
#[cfg(feature = "daemons")]
mod daemons;
#[cfg(feature = "daemons")]
#[cfg_attr(not(feature = "dpdk"), allow(dead_code, reason = "some is for ports of DPDK alone"))]
mod end_to_end;
#[cfg(feature = "daemons")]
#[cfg_attr(not(feature = "dpdk"), allow(dead_code, reason = "some is for ports of DPDK alone"))]
mod flood;
mod kernels;
mod machine;
mod matchmaking;
#[cfg(feature = "daemons")]
#[cfg_attr(not(feature = "dpdk"), allow(dead_code, reason = "some is for ports of DPDK alone"))]
mod next_hop;
mod pipeline;
#[cfg(feature = "daemons")]
#[cfg_attr(not(feature = "dpdk"), allow(dead_code, reason = "some is for ports of DPDK alone"))]
mod script;
pub(crate) mod section;
mod table;
mod turns;
#[cfg(all(feature = "daemons", feature = "peers"))]
mod wireguard;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::{Map, json};

use machine::Machine;
use section::Section;

/// What to run on.
pub struct Options<'a> {
    /// The radio agent as it is put on access points.
    pub agent: &'a Path,
    /// File to write the results to.
    pub json: &'a Path,
    /// Names of the benches to run, separated by commas; empty: all.
    pub only: &'a str,
}

/// A bench by its name.
type Bench = (&'static str, fn(&Options<'_>) -> anyhow::Result<Section>);

/// All of them, in the order in which they run.
const BENCHES: &[Bench] = &[
    ("kernels", |_| Ok(kernels::run(&kernels::Plan::FULL))),
    ("table", |_| Ok(table::run(&table::Plan::FULL))),
    ("pipeline", |_| Ok(pipeline::run(&pipeline::Plan::FULL))),
    #[cfg(feature = "daemons")]
    ("associations", |_| associations::run(&associations::Plan::FULL)),
    #[cfg(feature = "daemons")]
    ("end-to-end", |_| end_to_end::run(&end_to_end::Plan::FULL)),
    ("matchmaking", |_| matchmaking::run(&matchmaking::Plan::FULL)),
    ("city", |_| Ok(city::run(&city::Plan::FULL))),
    ("agent", |options| agent::run(options.agent)),
];

/// Measures, prints the tables, and writes the results to a file.
///
/// # Errors
/// A bench is not known, or what it measures does not do its work; the file cannot be written.
pub fn run(options: &Options<'_>) -> anyhow::Result<()> {
    let chosen = choose(options.only)?;
    let machine = Machine::this();
    println!("{machine}\n");
    let started = Instant::now();
    let (mut goals, mut seconds, mut results) = (Vec::new(), Map::new(), Map::new());
    let Machine { cpu, cores, features, kernel, rustc } = &machine;
    let tsc_hz = clock::CYCLES.then(clock::hz);
    let this = json!({
        "cpu": cpu, "cores": cores, "features": features, "kernel": kernel, "rustc": rustc, "tsc_hz": tsc_hz,
    });
    results.insert("schema".to_owned(), json!(3));
    results.insert("machine".to_owned(), this);
    for (name, bench) in chosen {
        let start = Instant::now();
        let section = bench(options).with_context(|| format!("the bench `{name}`"))?;
        let taken = start.elapsed().as_secs_f64();
        println!("== {name} ({taken:.0} s)\n\n{}", section.text);
        results.insert(name.to_owned(), section.json);
        seconds.insert(name.to_owned(), json!(taken));
        goals.extend(section.goals);
    }
    println!("== goals\n\n{}", section::goals(&goals));
    results.insert("seconds".to_owned(), seconds.into());
    results.insert("goals".to_owned(), section::goals_json(&goals));
    let text = format!("{:#}\n", serde_json::Value::from(results));
    fs::write(options.json, text).with_context(|| format!("cannot write {}", options.json.display()))?;
    let taken = started.elapsed().as_secs();
    println!("All of this took {taken} s. The same as JSON: {}", options.json.display());
    Ok(())
}

fn choose(only: &str) -> anyhow::Result<Vec<Bench>> {
    let names: Vec<_> = only.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = names.iter().find(|name| BENCHES.iter().all(|(known, _)| known != *name)) {
        let known: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        bail!("there is no bench `{unknown}`; there are {}", known.join(", "));
    }
    Ok(BENCHES.iter().filter(|(name, _)| names.is_empty() || names.contains(name)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_can_be_chosen() {
        let names = |only| choose(only).unwrap().iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names("").len(), BENCHES.len());
        assert_eq!(names("table, kernels"), ["kernels", "table"]);
        let error = choose("kernel").unwrap_err().to_string();
        assert!(error.starts_with("there is no bench `kernel`; there are kernels, table"), "{error}");
    }
}
