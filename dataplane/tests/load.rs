//! The load that benches use does what it says.

use dataplane::harness::{Direction, Load, Part};

#[test]
fn bursts_of_many_stations_pass_every_way() {
    for stations in [1, 10_000] {
        let mut load = Load::new(stations);
        for payload in [28, 1500] {
            assert_eq!(load.uplink(10, payload).packets, 320);
            assert_eq!(load.downlink(10, payload).packets, 320);
            if stations > 1 {
                assert_eq!(load.across(10, payload).packets, 320);
            }
        }
    }
}

#[test]
fn parts_are_measured_by_themselves_and_leave_nothing_behind() {
    let mut load = Load::with_blobs(100, 200);
    for direction in [Direction::Uplink, Direction::Downlink, Direction::Across] {
        for part in [Part::Crypto, Part::LookUp, Part::Whole] {
            assert_eq!(load.run(direction, part, 3, 64).packets, 96, "{direction:?} {part:?}");
        }
    }
}
