//! Packets per second that one core takes through the pipeline, memory to memory, beside the `ccm` crate.
//!
//! For a direction and a size, loads with few and with many stations and the bare crate take turns, the order changing
//! from round to round. A number is the median over the rounds, and a ratio the median of the rounds' ratios.

use std::time::Duration;

use dataplane::harness::{Load, Taken};
use dataplane::packet::BURST;
use dot11::llc::{self, EtherType};

use super::ccm::Bare;

/// What to measure, and how often.
pub struct Plan {
    /// Octets of payload of the Ethernet frames.
    pub octets: &'static [usize],
    /// Stations that frames are of.
    pub stations: &'static [usize],
    /// Rounds that count, after some that do not.
    pub rounds: usize,
    /// Octets of payload per turn, about: long enough to be measured, short enough to be rarely interrupted.
    pub turn: usize,
}

impl Plan {
    /// What `make bench` does: half a minute.
    pub const FULL: Plan =
        Plan { octets: &[64, 512, 1500], stations: &[32, 10_000], rounds: 201, turn: 500_000 };
}

/// Which way the packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Tunnel datagrams in, opened, Ethernet frames out.
    Uplink,
    /// Ethernet frames in, sealed, tunnel datagrams out.
    Downlink,
}

/// One line of the table. Times are of one packet, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which way.
    pub direction: Direction,
    /// Octets of payload of the Ethernet frames.
    pub octets: usize,
    /// Stations that the frames were of.
    pub stations: usize,
    /// Time in the pipeline.
    pub pipeline: f64,
    /// Time in the bare crate.
    pub ccm: f64,
    /// The pipeline's rate as a fraction of the bare crate's.
    pub of_ccm: f64,
}

/// Measures every combination.
pub fn measure(plan: &Plan) -> Vec<Row> {
    let mut loads: Vec<_> = plan.stations.iter().map(|&stations| Load::new(stations)).collect();
    let mut rows = Vec::new();
    for direction in [Direction::Uplink, Direction::Downlink] {
        for &octets in plan.octets {
            let samples = rounds(plan, direction, octets, &mut loads);
            let ccm: Vec<f64> = samples.iter().map(|sample| sample.ccm).collect();
            for (at, &stations) in plan.stations.iter().enumerate() {
                let pipeline = samples.iter().map(|sample| sample.pipeline[at]).collect();
                let of_ccm = samples.iter().map(|sample| sample.ccm / sample.pipeline[at]).collect();
                rows.push(Row {
                    direction,
                    octets,
                    stations,
                    pipeline: median(pipeline),
                    ccm: median(ccm.clone()),
                    of_ccm: median(of_ccm),
                });
            }
        }
    }
    rows
}

/// Times of a round, in nanoseconds per packet.
struct Sample {
    /// By load.
    pipeline: Vec<f64>,
    ccm: f64,
}

fn rounds(plan: &Plan, direction: Direction, octets: usize, loads: &mut [Load]) -> Vec<Sample> {
    // What CCMP protects is the MSDU: with its LLC and SNAP headers.
    let mut bare = Bare::new(llc::header(EtherType::ARP).len() + octets);
    let bursts = (plan.turn / (octets * BURST)).clamp(1, 64);
    let per_packet = |time: Duration| time.as_nanos() as f64 / (bursts * BURST) as f64;
    let warm_up = plan.rounds / 10 + 1;
    let mut samples = Vec::with_capacity(plan.rounds);
    for round in 0..warm_up + plan.rounds {
        let mut sample = Sample { pipeline: vec![0.0; loads.len()], ccm: 0.0 };
        let turns = loads.len() + 1;
        for turn in 0..turns {
            let whose = (turn + round) % turns;
            match loads.get_mut(whose) {
                Some(load) => {
                    let Taken { time, .. } = match direction {
                        Direction::Uplink => load.uplink(bursts, octets),
                        Direction::Downlink => load.downlink(bursts, octets),
                    };
                    sample.pipeline[whose] = per_packet(time);
                }
                None => {
                    sample.ccm = per_packet(match direction {
                        Direction::Uplink => bare.open(bursts),
                        Direction::Downlink => bare.seal(bursts),
                    });
                }
            }
        }
        if round >= warm_up {
            samples.push(sample);
        }
    }
    samples
}

/// Of an even number, the upper one of the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_its_line() {
        let plan = Plan { octets: &[64, 1500], stations: &[1, 100], rounds: 3, turn: 1 };
        let rows = measure(&plan);
        let what: Vec<_> = rows.iter().map(|row| (row.direction, row.octets, row.stations)).collect();
        let expected: Vec<_> = [Direction::Uplink, Direction::Downlink]
            .into_iter()
            .flat_map(|direction| [64, 1500].map(|octets| [1, 100].map(|n| (direction, octets, n))))
            .flatten()
            .collect();
        assert_eq!(what, expected);
        for row in rows {
            assert!(row.pipeline > 0.0 && row.ccm > 0.0 && row.of_ccm > 0.0, "{row:?}");
        }
    }

    #[test]
    fn a_median_is_not_moved_by_an_interruption() {
        assert_eq!(median(vec![3.0, 1e9, 1.0, 2.0, 2.5]), 2.5);
        assert_eq!(median(vec![2.0, 1.0]), 2.0);
        assert_eq!(median(vec![7.0]), 7.0);
    }
}
