//! What the load generator found, for people and for programs.

use serde_json::{Value, json};

use super::traffic::Way;
use super::{BLOB, Over, Plan, ROUNDS, WINDOW};
use crate::bench::clock;
use crate::bench::flood::Outcome;
use crate::bench::section::{cell, table};

/// One line of the table.
pub struct Row {
    pub who: &'static str,
    pub over: Over,
    pub way: Way,
    pub octets: usize,
    pub outcome: Outcome,
    pub half: Outcome,
    /// Rate as a multiple of boringtun's, in the median of the rounds.
    pub times: Option<f64>,
}

/// The run with the middle rate.
pub fn middle_run(mut runs: Vec<Outcome>) -> Outcome {
    runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let at = runs.len() / 2;
    runs.swap_remove(at)
}

/// The middle one, if there is any.
pub fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Octets, cycles per packet of ours and of boringtun, and their ratio.
pub type MemoryRow = (usize, f64, f64, f64);

pub fn memory_text(rows: &[MemoryRow]) -> String {
    let unit = if clock::CYCLES { "cycles" } else { "nanoseconds" };
    let line = |(octets, ours, theirs, times): &MemoryRow| {
        [octets.to_string(), format!("{ours:.0}"), format!("{theirs:.0}"), format!("{times:.2}")]
    };
    format!(
        "\nThe same memory to memory, {unit} per packet, opened and sealed; as many stations as peers:\n\n{}",
        table(&["octets", "pipeline", "boringtun", "x boringtun"], rows.iter().map(line))
    )
}

/// A gateway, and what is to be said of it beside its rows.
pub struct About {
    pub over: Over,
    /// Seconds until its sessions were installed.
    pub installing: f64,
    /// What it dropped, by the names of its counters.
    pub dropped: Vec<(String, u64)>,
}

impl About {
    fn dropped(&self) -> String {
        match &self.dropped[..] {
            [] => "nothing".to_owned(),
            some => some.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", "),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let dropped: serde_json::Map<_, _> =
            self.dropped.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        json!({ "over": self.over.name(), "install_seconds": self.installing, "dropped": dropped })
    }
}

/// The table and what it means. `abouts`: of the gateway over UDP and of those on virtual ports, if any.
pub fn text(plan: &Plan, rows: &[Row], memory: f64, abouts: &[About]) -> String {
    let header = [
        "gateway",
        "over",
        "traffic",
        "octets",
        "Mpps",
        "Gbit/s",
        "loss",
        "x boringtun",
        "half rate: loss",
        "p50 us",
        "p99 us",
        "p99.9 us",
    ];
    let line = |row: &Row| {
        [
            row.who.to_owned(),
            row.over.name().to_owned(),
            row.way.name().to_owned(),
            row.octets.to_string(),
            format!("{:.3}", row.outcome.rate() / 1e6),
            format!("{:.2}", row.outcome.rate() * row.octets as f64 * 8.0 / 1e9),
            format!("{:.2} %", row.outcome.loss() * 100.0),
            cell(row.times, 2),
            format!("{:.2} %", row.half.loss() * 100.0),
            format!("{:.0}", row.half.microseconds(50.0)),
            format!("{:.0}", row.half.microseconds(99.0)),
            format!("{:.0}", row.half.microseconds(99.9)),
        ]
    };
    let each =
        |about: &About| format!("{}: {:.1} s, {}", about.over.name(), about.installing, about.dropped());
    let virtual_ports = if cfg!(feature = "dpdk") {
        "memif, vhost-user: shared memory between two processes, with DPDK at both ends, ordinary pages, one copy of each packet on each side. The\n\
         gateway is an IP host on its tunnel port, polls, and verifies and makes UDP checksums; the generator is its next hop, and has frames and\n\
         checksums ready-made. To or from the network, tagged frames of a second such port: every packet is opened or sealed, once.\n"
    } else {
        "memif and vhost-user are not built: feature `dpdk`.\n"
    };
    format!(
        "End to end. From device to device every packet is opened once and sealed once.\n\n{}\n\
         ttg: the real program with one worker and {} stations, installed by a scripted control over the real gRPC interface; packets are of\n\
         stations all over the table; {memory:.0} octets of resident memory per station, everything of the process over UDP counted, with {BLOB} octets\n\
         that control keeps there. Installed in, and dropped: {}.\n\
         UDP: sockets on loopback, with GSO and GRO. boringtun: its data path between {} peers, over the same UDP code.\n\
         {virtual_ports}\
         Generator and gateway have a core each, if the machine has no more to do. {ROUNDS} turns of each with {WINDOW} packets under way, the middle one;\n\
         then at half that rate, for the times under way. {}\n",
        table(&header, rows.iter().map(line)),
        plan.stations,
        abouts.iter().map(each).collect::<Vec<_>>().join("; "),
        plan.peers,
        kernel(),
    )
}

/// What this kernel has that could be compared with.
fn kernel() -> String {
    let has = |module: &str| {
        let loaded = std::path::Path::new("/sys/module").join(module).exists();
        let found = std::process::Command::new("modprobe").args(["-n", "-q", module]).status();
        loaded || found.is_ok_and(|status| status.success())
    };
    match (has("wireguard"), has("esp4")) {
        (false, false) => "This kernel has neither WireGuard nor IPsec.".to_owned(),
        (wireguard, esp) => {
            let names: Vec<_> = [("WireGuard", wireguard), ("IPsec", esp)]
                .iter()
                .filter(|(_, has)| *has)
                .map(|(n, _)| *n)
                .collect();
            format!("This kernel has {}, which is not measured here.", names.join(" and "))
        }
    }
}

pub fn json(row: &Row) -> Value {
    let outcome = |outcome: &Outcome| {
        json!({
            "packets_per_second": outcome.rate(), "sent": outcome.sent, "received": outcome.received, "loss": outcome.loss(),
            "microseconds": {
                "p50": outcome.microseconds(50.0), "p99": outcome.microseconds(99.0), "p99.9": outcome.microseconds(99.9),
            },
        })
    };
    json!({
        "gateway": row.who, "over": row.over.name(), "traffic": row.way.name(), "octets": row.octets, "times_boringtun": row.times,
        "full": outcome(&row.outcome), "half": outcome(&row.half),
    })
}
