//! The station table beside `hashbrown`: finding the stations of a burst of 32 frames by BSSID and address, and reading their state.

use std::hint::black_box;

use dataplane::clock::Time;
use dataplane::endpoint::Endpoint;
use dataplane::packet::BURST;
use dataplane::station::{self, Cold, Hot, StationTable};
use dataplane::tunnel::TunnelId;
use dot11::MacAddr;
use hashbrown::HashMap;
use serde_json::json;

use super::section::{Section, table};
use super::{clock, turns};

/// What to measure, and how often.
pub struct Plan {
    stations: &'static [usize],
    rounds: usize,
    /// Bursts per turn.
    bursts: usize,
}

impl Plan {
    /// What `make bench` does.
    pub const FULL: Plan = Plan { stations: &[1_000, 1_000_000, 4_000_000], rounds: 101, bursts: 64 };
}

type Key = (MacAddr, MacAddr);

/// Measures everything.
pub fn run(plan: &Plan) -> Section {
    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for &stations in plan.stations {
        let (ours, theirs) = tables(stations);
        let mut random = 1u64;
        for present in [true, false] {
            let samples = turns::take(2, plan.rounds, |whose| {
                let mut taken = 0;
                for _ in 0..plan.bursts {
                    let keys: [Key; BURST] = std::array::from_fn(|_| {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let n = (random >> 33) as usize % stations;
                        key(if present { n } else { n + stations })
                    });
                    let start = clock::now();
                    let found =
                        if whose == 0 { ours_find(&ours, &keys) } else { theirs_find(&theirs, &keys) };
                    taken += clock::now() - start;
                    assert_eq!(found, if present { BURST } else { 0 });
                }
                taken as f64 / (plan.bursts * BURST) as f64
            });
            let (a, b, ratio) = (samples.median(0), samples.median(1), samples.ratio(1, 0));
            let what = if present { "there" } else { "absent" };
            lines.push([
                what.to_owned(),
                stations.to_string(),
                format!("{a:.0}"),
                format!("{b:.0}"),
                format!("{ratio:.2}"),
            ]);
            values.push(json!({
                "stations": stations, "present": present, "cycles": a, "hashbrown_cycles": b, "times_hashbrown": ratio,
            }));
        }
    }
    let unit = if clock::CYCLES { "cycles" } else { "nanoseconds" };
    let text = format!(
        "The station table beside `hashbrown`, {unit} per look-up:\n\n{}\n\
         Look-ups come in bursts of 32 and are drawn at random; of a station found, what uplink reads of its {} octets is read. \"hashbrown\" is\n\
         a map from the same 12 octets to the same state, with the hash function that it brings, asked one key after the other.\n",
        table(&["keys", "stations", "ours", "hashbrown", "x hashbrown"], lines),
        size_of::<Hot>(),
    );
    Section { text, json: values.into(), goals: Vec::new() }
}

fn tables(stations: usize) -> (StationTable, HashMap<Key, Hot>) {
    let mut ours = StationTable::new(stations, 0x9e37_79b9_7f4a_7c15);
    let mut theirs = HashMap::with_capacity(stations);
    let mut list = Vec::new();
    let hot =
        |(bssid, mac): Key| Hot::new(mac, bssid, TunnelId(0), Endpoint::v4([192, 0, 2, 1], 5247), Time::ZERO);
    for n in 0..stations {
        let key = key(n);
        ours.add(hot(key), Cold::default(), &mut list);
        theirs.insert(key, hot(key));
    }
    (ours, theirs)
}

fn ours_find(table: &StationTable, keys: &[Key; BURST]) -> usize {
    let mut found = [None; BURST];
    let keys = keys.map(|(bssid, mac)| station::Key::new(bssid.0, mac.0));
    table.find_burst(&keys, &mut found);
    found.iter().flatten().map(|&id| touch(table.hot(id))).count()
}

fn theirs_find(table: &HashMap<Key, Hot>, keys: &[Key; BURST]) -> usize {
    keys.iter().filter_map(|key| table.get(key)).map(touch).count()
}

/// Reads something of the lines that uplink touches.
fn touch(hot: &Hot) {
    black_box((hot.key()[0], hot.last_seen, hot.up_packets));
}

/// The `n`th station: 64 to a BSS.
fn key(n: usize) -> Key {
    let address = |first, n: usize| {
        let [a, b, c, d] = (n as u32).to_be_bytes();
        MacAddr([2, first, a, b, c, d])
    };
    (address(0xbb, n / 64), address(1, n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_find_what_is_there_and_nothing_else() {
        let section = run(&Plan { stations: &[1, 1000], rounds: 3, bursts: 2 });
        assert_eq!(section.json.as_array().map(Vec::len), Some(4));
        assert!(section.text.contains("absent      1000"), "{}", section.text);
    }
}
