//! What every packet I/O backend promises, asserted for each of them, and what each has of its own.
//!
//! Tests of TAP interfaces and packet sockets make their own network namespace and so need root; without it they fail and say so.

mod af_xdp;
mod errors;
mod ethernet;
mod links;
mod reopen;
mod suite;
mod udp;
mod world;

/// One module of tests per backend: every case of the suite, in both directions.
macro_rules! contract {
    ($($backend:ident in $place:ident;)*) => {$(
        mod $backend {
            use crate::{links, suite, world};

            contract!(@case $backend $place keeps_order);
            contract!(@case $backend $place fills_only_the_room_that_there_is);
            contract!(@case $backend $place survives_an_empty_pool);
            contract!(@case $backend $place drops_what_is_longer_than_a_packet);
            contract!(@case $backend $place takes_or_counts_short_packets);
            contract!(@case $backend $place counts_what_is_too_long_to_send);
            contract!(@case $backend $place is_readable_when_something_is_there);
            contract!(@case $backend $place leaves_the_unsent_at_the_front);
        }
    )*};
    (@case $backend:ident $place:ident $case:ident) => {
        #[test]
        fn $case() {
            world::$place(|| {
                suite::$case(links::$backend());
                suite::$case(links::$backend().reversed());
            });
        }
    };
}

contract! {
    memory in here;
    memory_with_wake in here;
    channel in here;
    host in here;
    pcap in here;
    udp_v4 in here;
    udp_v6 in here;
    udp_from_v4_to_v6 in here;
    udp_without_offload in here;
    udp_gso_without_gro in here;
    udp_stalled in a_namespace;
    udp_stalled_without_offload in a_namespace;
    af_packet in a_namespace;
    af_packet_stalled in a_namespace;
    tap in a_namespace;
    af_xdp_generic in a_namespace;
    af_xdp_driver in a_namespace;
    af_xdp_and_af_packet in a_namespace;
    af_packet_reopening in a_namespace;
    af_xdp_reopening in a_namespace;
}
