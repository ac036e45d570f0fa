//! The pipeline of one worker, memory to memory, with few and with very many stations: what it takes as a whole, and what of that is CCMP and
//! the station table.

use dataplane::harness::{Direction, Load, Part};
use dataplane::packet::BURST;
use serde_json::json;

use super::clock;
use super::section::{Goal, Section, Target, cell, table};
use super::turns;

/// What to measure, and how often.
pub struct Plan {
    /// Octets of payload of the Ethernet frames.
    octets: &'static [usize],
    /// Stations that frames are of; the first is what the others are compared with.
    stations: &'static [usize],
    /// Rounds that count.
    rounds: usize,
    /// Octets of payload per turn, about: long enough to be measured, short enough to be rarely interrupted.
    turn: usize,
}

impl Plan {
    /// What `make bench` does.
    pub const FULL: Plan = Plan {
        octets: &[64, 512, 1500],
        stations: &[1_000, 10_000, 1_000_000, 4_000_000],
        rounds: 41,
        turn: 200_000,
    };
}

const PARTS: [Part; 3] = [Part::Whole, Part::Crypto, Part::LookUp];

/// One line; times are cycles per packet.
struct Row {
    direction: Direction,
    octets: usize,
    stations: usize,
    whole: f64,
    crypto: f64,
    look_up: f64,
    /// The whole less CCMP.
    added: f64,
    /// The whole, as a multiple of that with the fewest stations.
    of_few: f64,
}

/// Measures everything.
pub fn run(plan: &Plan) -> Section {
    let mut loads: Vec<_> = plan.stations.iter().map(|&stations| Load::new(stations)).collect();
    let hz = clock::hz();
    let mut rows = Vec::new();
    for direction in [Direction::Uplink, Direction::Downlink] {
        for &octets in plan.octets {
            rows.extend(measure(plan, direction, octets, &mut loads, hz));
        }
    }
    Section { text: text(&rows, hz), json: rows.iter().map(json).collect(), goals: goals(&rows) }
}

fn measure(plan: &Plan, direction: Direction, octets: usize, loads: &mut [Load], hz: f64) -> Vec<Row> {
    let bursts = (plan.turn / (octets * BURST)).clamp(1, 64);
    let samples = turns::take(loads.len() * PARTS.len(), plan.rounds, |whose| {
        let load = &mut loads[whose / PARTS.len()];
        let taken = load.run(direction, PARTS[whose % PARTS.len()], bursts, octets);
        taken.time.as_secs_f64() * hz / taken.packets as f64
    });
    let row = |(at, load): (usize, &Load)| {
        let (whole, crypto, look_up) = (at * PARTS.len(), at * PARTS.len() + 1, at * PARTS.len() + 2);
        Row {
            direction,
            octets,
            stations: load.stations(),
            whole: samples.median(whole),
            crypto: samples.median(crypto),
            look_up: samples.median(look_up),
            added: samples.difference(whole, crypto),
            of_few: samples.ratio(whole, 0),
        }
    };
    loads.iter().enumerate().map(row).collect()
}

/// The goals.
fn goals(rows: &[Row]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for row in rows {
        let what = format!("{}, {} octets, {} stations", name(row.direction), row.octets, row.stations);
        if row.stations == 1_000_000 {
            let what = format!("{what}: cycles added to CCMP");
            goals.push(Goal::new(what, row.added, Target::AtMost(120.0)));
        }
        let most = match (row.stations, row.octets) {
            (4_000_000, 64) => 1.6,
            (4_000_000, 1500) => 1.15,
            _ => continue,
        };
        goals.push(Goal::new(format!("{what}: times that with 1000"), row.of_few, Target::AtMost(most)));
    }
    goals
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Uplink => "uplink",
        Direction::Downlink => "downlink",
        Direction::Across => "across",
    }
}

fn text(rows: &[Row], hz: f64) -> String {
    let header = [
        "direction",
        "octets",
        "stations",
        "Mpps",
        "Gbit/s",
        "whole",
        "CCMP",
        "look-up",
        "rest",
        "added",
        "x 1000 stations",
    ];
    let line = |row: &Row| {
        let packets = hz / row.whole;
        [
            name(row.direction).to_owned(),
            row.octets.to_string(),
            row.stations.to_string(),
            format!("{:.3}", packets / 1e6),
            format!("{:.2}", packets * row.octets as f64 * 8.0 / 1e9),
            format!("{:.0}", row.whole),
            format!("{:.0}", row.crypto),
            format!("{:.0}", row.look_up),
            format!("{:.0}", row.added - row.look_up),
            format!("{:.0}", row.added),
            cell(Some(row.of_few), 2),
        ]
    };
    let unit = if clock::CYCLES { "cycles" } else { "nanoseconds" };
    format!(
        "The pipeline on one core, memory to memory; {unit} per packet:\n\n{}\n\
         Octets are the payload of an Ethernet frame; CCMP protects 8 more (LLC/SNAP). Every frame of a burst of 32 is another station's, under\n\
         another key, in an order that no cache foresees. \"whole\": from burst to burst. \"CCMP\": sealing or opening the same frames, alone, with\n\
         keys in the cache. \"look-up\": finding the stations and reading their state, alone. \"added\": whole less CCMP; \"rest\": that less\n\
         look-up. Making the packets is not counted. {:.3} GHz.\n",
        table(&header, rows.iter().map(line)),
        hz / 1e9,
    )
}

fn json(row: &Row) -> serde_json::Value {
    json!({
        "direction": name(row.direction), "octets": row.octets, "stations": row.stations, "cycles": row.whole,
        "crypto_cycles": row.crypto, "look_up_cycles": row.look_up, "added_cycles": row.added,
        "times_few_stations": row.of_few,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_its_line() {
        let section = run(&Plan { octets: &[64, 1500], stations: &[1, 100], rounds: 3, turn: 1 });
        let rows = section.json.as_array().unwrap();
        assert_eq!(rows.len(), 8);
        assert_eq!((&rows[0]["direction"], &rows[7]["direction"]), (&"uplink".into(), &"downlink".into()));
        assert!(rows.iter().all(|row| row["cycles"].as_f64() > Some(0.0)), "{rows:?}");
    }
}
