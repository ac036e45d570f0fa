//! The load that benches use does what it says.

use dataplane::harness::Load;

#[test]
fn bursts_of_many_stations_pass_both_ways() {
    for stations in [1, 10_000] {
        let mut load = Load::new(stations);
        for payload in [28, 1500] {
            assert_eq!(load.uplink(10, payload).packets, 320);
            assert_eq!(load.downlink(10, payload).packets, 320);
        }
    }
}
