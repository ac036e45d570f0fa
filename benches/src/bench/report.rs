//! The results: tables for people, JSON for programs.
//!
//! ```json
//! {
//!   "schema": 1,                             // changes when the meaning of anything here does
//!   "machine": {
//!     "cpu": "…", "cores": 2,                // processor, cores that could be used
//!     "features": ["aes", "vaes"],           // of the processor, those that matter to CCMP
//!     "kernel": "…", "rustc": "…",
//!     "tsc_hz": 2600000000.0                 // the time stamp counter's rate; null: there is none
//!   },
//!   "throughput": [{                         // medians; one core, memory to memory
//!     "direction": "uplink",                 // or "downlink"
//!     "octets": 64,                          // payload of an Ethernet frame; CCMP protects 8 more
//!     "stations": 32,                        // that the frames were of, each under its own key
//!     "pipeline": {                          // datagram to Ethernet frame or back
//!       "packets_per_second": 0.0,
//!       "bits_per_second": 0.0,              // of the payload
//!       "nanoseconds_per_packet": 0.0,
//!       "cycles_per_packet": 0.0,            // of the time stamp counter; null: there is none
//!       "cycles_per_octet": 0.0              // of the payload; likewise
//!     },
//!     "ccm": { … },                          // the same of the bare `ccm` crate: 32 keys, as many octets and AAD
//!     "of_ccm": 0.0                          // packets per second of the pipeline / of the crate
//!   }, …],
//!   "radio_agent": {                         // octets; memory with two virtual BSSes on the air and no traffic
//!     "binary": 0, "binary_target": 1600000, "static": true,
//!     "rss": 0, "peak_rss": 0, "rss_target": 3000000
//!   }
//! }
//! ```

use serde_json::{Value, json};

use super::agent::{Agent, BINARY_TARGET, BSSIDS, RSS_TARGET};
use super::machine::Machine;
use super::throughput::{Direction, Row};

/// All that a run found.
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// The time stamp counter's rate.
    pub tsc_hz: Option<f64>,
    /// The pipeline beside the `ccm` crate.
    pub rows: Vec<Row>,
    /// The radio agent.
    pub agent: Agent,
}

impl Report {
    /// The table of the pipeline.
    pub fn throughput(&self) -> String {
        let header = [
            "direction",
            "octets",
            "stations",
            "Mpps",
            "Gbit/s",
            "ns/pkt",
            "cyc/pkt",
            "cyc/octet",
            "ccm Mpps",
            "ccm ns/pkt",
            "ccm cyc/pkt",
            "of ccm",
        ];
        let cell = |value: Option<f64>, decimals: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
        };
        let line = |row: &Row| {
            let (ours, ccm) = (self.rate(row, row.pipeline), self.rate(row, row.ccm));
            [
                row.direction.name().to_owned(),
                row.octets.to_string(),
                row.stations.to_string(),
                format!("{:.3}", ours.packets / 1e6),
                format!("{:.2}", ours.bits / 1e9),
                format!("{:.0}", ours.nanoseconds),
                cell(ours.cycles, 0),
                cell(ours.cycles_per_octet, 2),
                format!("{:.3}", ccm.packets / 1e6),
                format!("{:.0}", ccm.nanoseconds),
                cell(ccm.cycles, 0),
                format!("{:.2}", row.of_ccm),
            ]
        };
        let cycles = self.tsc_hz.map_or_else(String::new, |hz| {
            format!("\nCycles (cyc) are of the time stamp counter: {:.3} GHz.", hz / 1e9)
        });
        format!(
            "The pipeline on one core, memory to memory, beside the bare `ccm` crate:\n\n{}\n\
             Octets are the payload of an Ethernet frame, of which Gbit/s and cyc/octet are counted; CCMP protects 8 more\n\
             (LLC/SNAP). Every frame of a burst of 32 is another station's, under another key. `ccm` encrypts or decrypts\n\
             as many octets with as much AAD under 32 keys expanded before, and does nothing else. \"of ccm\" is the\n\
             pipeline's rate divided by that of `ccm`. Medians of turns taken in one run.{cycles}\n",
            table(&header, self.rows.iter().map(line)),
        )
    }

    /// The table of the radio agent.
    pub fn agent(&self) -> String {
        let Agent { binary, is_static, rss, peak_rss } = self.agent;
        let line = |what: &str, octets: u64, target: u64| {
            let verdict = if octets <= target { "met" } else { "MISSED" };
            [what.to_owned(), megabytes(octets), megabytes(target), verdict.to_owned()]
        };
        let kind = if is_static { "static binary" } else { "binary, NOT static" };
        let lines = [
            line(kind, binary, BINARY_TARGET),
            line("idle RSS", rss, RSS_TARGET),
            line("peak RSS", peak_rss, RSS_TARGET),
        ];
        format!(
            "The radio agent, with {} virtual BSSes on simulated air, in MB (10^6 octets):\n\n{}",
            BSSIDS.len(),
            table(&["radio agent", "MB", "target", ""], lines)
        )
    }

    /// Everything, with a newline at the end.
    pub fn json(&self) -> String {
        let Machine { cpu, cores, features, kernel, rustc } = &self.machine;
        let rows: Vec<_> = self.rows.iter().map(|row| self.row(row)).collect();
        let value = json!({
            "schema": 1,
            "machine": {
                "cpu": cpu, "cores": cores, "features": features, "kernel": kernel, "rustc": rustc,
                "tsc_hz": self.tsc_hz,
            },
            "throughput": rows,
            "radio_agent": {
                "binary": self.agent.binary,
                "binary_target": BINARY_TARGET,
                "static": self.agent.is_static,
                "rss": self.agent.rss,
                "peak_rss": self.agent.peak_rss,
                "rss_target": RSS_TARGET,
            },
        });
        format!("{value:#}\n")
    }

    fn row(&self, row: &Row) -> Value {
        json!({
            "direction": row.direction.name(),
            "octets": row.octets,
            "stations": row.stations,
            "pipeline": self.rate(row, row.pipeline).json(),
            "ccm": self.rate(row, row.ccm).json(),
            "of_ccm": row.of_ccm,
        })
    }

    fn rate(&self, row: &Row, nanoseconds: f64) -> Rate {
        let octets = row.octets as f64;
        let packets = 1e9 / nanoseconds;
        let cycles = self.tsc_hz.map(|hz| nanoseconds * hz / 1e9);
        Rate {
            packets,
            bits: packets * octets * 8.0,
            nanoseconds,
            cycles,
            cycles_per_octet: cycles.map(|cycles| cycles / octets),
        }
    }
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Uplink => "uplink",
            Direction::Downlink => "downlink",
        }
    }
}

/// The same time said in several ways.
struct Rate {
    /// Per second.
    packets: f64,
    /// Of payload, per second.
    bits: f64,
    /// Per packet.
    nanoseconds: f64,
    /// Per packet.
    cycles: Option<f64>,
    cycles_per_octet: Option<f64>,
}

impl Rate {
    fn json(&self) -> Value {
        json!({
            "packets_per_second": self.packets,
            "bits_per_second": self.bits,
            "nanoseconds_per_packet": self.nanoseconds,
            "cycles_per_packet": self.cycles,
            "cycles_per_octet": self.cycles_per_octet,
        })
    }
}

fn megabytes(octets: u64) -> String {
    format!("{:.2}", octets as f64 / 1e6)
}

/// Columns as wide as their widest cell; the first is aligned to the left, the others to the right.
fn table<const N: usize>(header: &[&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for line in lines {
        let mut cells = line.iter().zip(widths);
        let first = cells.next().map(|(cell, width)| format!("{cell:<width$}")).unwrap_or_default();
        let line = cells.fold(first, |line, (cell, width)| format!("{line}  {cell:>width$}"));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tsc_hz: Option<f64>) -> Report {
        let machine = Machine {
            cpu: "a processor".into(),
            cores: 2,
            features: vec!["aes", "vaes"],
            kernel: "6.1.0".into(),
            rustc: "rustc 1.95.0".into(),
        };
        let row = Row {
            direction: Direction::Uplink,
            octets: 64,
            stations: 32,
            pipeline: 500.0,
            ccm: 250.0,
            of_ccm: 0.5,
        };
        let other = Row { direction: Direction::Downlink, octets: 1500, stations: 10_000, ..row };
        let agent = Agent { binary: 1_523_056, is_static: true, rss: 3_000_001, peak_rss: 3_000_000 };
        Report { machine, tsc_hz, rows: vec![row, other], agent }
    }

    #[test]
    fn the_pipelines_table_lines_up() {
        let text = report(Some(2e9)).throughput();
        let lines: Vec<_> = text.lines().skip(2).take(3).collect();
        assert_eq!(
            lines,
            [
                "direction  octets  stations   Mpps  Gbit/s  ns/pkt  cyc/pkt  cyc/octet  ccm Mpps  ccm ns/pkt  ccm cyc/pkt  of ccm",
                "uplink         64        32  2.000    1.02     500     1000      15.62     4.000         250          500    0.50",
                "downlink     1500     10000  2.000   24.00     500     1000       0.67     4.000         250          500    0.50",
            ]
        );
        assert!(text.contains("2.000 GHz"), "{text}");
    }

    #[test]
    fn without_a_counter_there_are_no_cycles() {
        let text = report(None).throughput();
        let cells: Vec<_> = text.lines().nth(3).unwrap().split_whitespace().collect();
        assert_eq!(
            cells,
            ["uplink", "64", "32", "2.000", "1.02", "500", "-", "-", "4.000", "250", "-", "0.50"]
        );
        assert!(!text.contains("GHz"), "{text}");
    }

    #[test]
    fn the_agents_table_says_what_is_met() {
        let mut report = report(None);
        let lines: Vec<_> = report.agent().lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "radio agent      MB  target",
                "static binary  1.52    1.60     met",
                "idle RSS       3.00    3.00  MISSED",
                "peak RSS       3.00    3.00     met",
            ]
        );
        report.agent.is_static = false;
        assert!(report.agent().contains("NOT static"));
    }

    #[test]
    fn the_json_is_as_documented() {
        let value: Value = serde_json::from_str(&report(Some(2e9)).json()).unwrap();
        let rate = |nanoseconds: f64, factor: f64| {
            json!({
                "packets_per_second": 2e6 * factor,
                "bits_per_second": 2e6 * factor * 64.0 * 8.0,
                "nanoseconds_per_packet": nanoseconds,
                "cycles_per_packet": nanoseconds * 2.0,
                "cycles_per_octet": nanoseconds * 2.0 / 64.0,
            })
        };
        assert_eq!(
            value["throughput"][0],
            json!({
                "direction": "uplink", "octets": 64, "stations": 32,
                "pipeline": rate(500.0, 1.0), "ccm": rate(250.0, 2.0), "of_ccm": 0.5,
            })
        );
        assert_eq!(value["throughput"][1]["direction"], "downlink");
        assert_eq!(value["schema"], 1);
        assert_eq!(
            value["machine"],
            json!({
                "cpu": "a processor", "cores": 2, "features": ["aes", "vaes"], "kernel": "6.1.0",
                "rustc": "rustc 1.95.0", "tsc_hz": 2e9,
            })
        );
        assert_eq!(
            value["radio_agent"],
            json!({
                "binary": 1_523_056, "binary_target": 1_600_000, "static": true,
                "rss": 3_000_001, "peak_rss": 3_000_000, "rss_target": 3_000_000,
            })
        );
        let value: Value = serde_json::from_str(&report(None).json()).unwrap();
        assert_eq!(value["machine"]["tsc_hz"], Value::Null);
        assert_eq!(value["throughput"][0]["pipeline"]["cycles_per_packet"], Value::Null);
    }
}
