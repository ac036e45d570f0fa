//! What the demo shows: one line per device, redrawn in place on a terminal, printed on change elsewhere.

use std::io::{IsTerminal, Write};

use super::{devices::Progress, world::RADIO};

/// The screen.
pub struct Table {
    terminal: bool,
    drawn: usize,
    last: Vec<String>,
    told: usize,
}

/// Lines about offers, introductions, and what the radio decided.
const DECISIONS: usize = 20;

impl Table {
    pub fn new() -> Table {
        Table { terminal: std::io::stdout().is_terminal(), drawn: 0, last: Vec::new(), told: 0 }
    }

    /// Shows where everybody is; `rates` are octets per second up and down, as the gateway counts.
    /// Below, `decisions`: what the radio was offered, what it did and why, the newest last.
    pub fn show(&mut self, rows: &[Row], decisions: &[String]) {
        let mut out = std::io::stdout().lock();
        if self.terminal {
            if self.drawn > 0 {
                let _ = write!(out, "\x1b[{}A", self.drawn);
            }
            let _ = writeln!(
                out,
                "\x1b[2K{:<10} {:<18} {:<15} {:<14} {:<22} {:<15} {:>9} {:>9} {:>9}",
                "DEVICE", "ADDRESS", "NETWORK", "STATE", "IDENTITY", "IP", "PING", "UP/s", "DOWN/s"
            );
            for row in rows {
                let _ = writeln!(out, "\x1b[2K{}", row.line());
            }
            let newest = &decisions[decisions.len().saturating_sub(DECISIONS)..];
            for line in newest.iter().map(String::as_str).chain(std::iter::repeat("")).take(DECISIONS) {
                let _ = writeln!(out, "\x1b[2K  radio {RADIO}: {line}");
            }
            let _ = out.flush();
            self.drawn = rows.len() + 1 + DECISIONS;
            return;
        }
        for line in &decisions[self.told.min(decisions.len())..] {
            let _ = writeln!(out, "radio {RADIO}: {line}");
        }
        self.told = decisions.len();
        self.last.resize(rows.len(), String::new());
        for (row, last) in rows.iter().zip(&mut self.last) {
            let state = row.state_line();
            if state != *last {
                let _ = writeln!(out, "{state}");
                *last = state;
            }
        }
    }
}

/// One device.
pub struct Row {
    pub progress: Progress,
    pub identity: String,
    pub up: u64,
    pub down: u64,
}

impl Row {
    fn line(&self) -> String {
        let p = &self.progress;
        let ip = p.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let ping =
            p.round_trip.map_or_else(|| "-".to_owned(), |rtt| format!("{:.1} ms", rtt.as_secs_f64() * 1e3));
        format!(
            "{:<10} {:<18} {:<15} {:<14} {:<22} {ip:<15} {ping:>9} {:>9} {:>9}",
            p.name, p.mac, p.ssid, p.state, self.identity, self.up, self.down
        )
    }

    /// Without what changes all the time.
    fn state_line(&self) -> String {
        let p = &self.progress;
        let mut line = format!("{:<10} {} \"{}\": {}", p.name, p.mac, p.ssid, p.state);
        if let Some(address) = p.address {
            line.push_str(&format!(", {address}"));
        }
        if p.echoes > 0 {
            line.push_str(", reaches the network");
        }
        line
    }
}
