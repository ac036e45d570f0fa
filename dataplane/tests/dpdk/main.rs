//! DPDK ports: the contract of every packet I/O backend, and what they have of their own. On virtual devices and without huge pages.
//!
//! Tests with veth pairs and TAP interfaces make their own network namespace and so need root; without it they fail and say so.

mod devices;
mod failures;
#[allow(dead_code, reason = "the others are of other backends")]
#[path = "../io_contract/links.rs"]
mod links;
mod ports;
#[path = "../io_contract/suite.rs"]
mod suite;
#[allow(dead_code, reason = "shared with other backends")]
#[path = "../io_contract/world.rs"]
mod world;

/// One module of tests per pair of devices: every case of the suite, in both directions.
macro_rules! contract {
    ($($devices:ident in $place:ident;)*) => {$(
        mod $devices {
            use crate::{devices, suite, world};

            contract!(@case $devices $place keeps_order);
            contract!(@case $devices $place fills_only_the_room_that_there_is);
            contract!(@case $devices $place survives_an_empty_pool);
            contract!(@case $devices $place drops_what_is_longer_than_a_packet);
            contract!(@case $devices $place takes_or_counts_short_packets);
            contract!(@case $devices $place counts_what_is_too_long_to_send);
            contract!(@case $devices $place is_readable_when_something_is_there);
            contract!(@case $devices $place leaves_the_unsent_at_the_front);
        }
    )*};
    (@case $devices:ident $place:ident $case:ident) => {
        #[test]
        fn $case() {
            let _turn = devices::turn();
            world::$place(|| {
                suite::$case(devices::$devices());
                suite::$case(devices::$devices().reversed());
            });
        }
    };
}

contract! {
    memif in here;
    memif_without_copies in here;
    af_packet in a_namespace;
    af_packet_without_copies in a_namespace;
    tap in a_namespace;
}
