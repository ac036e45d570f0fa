//! The gateway as an IP host on a wire in memory, with frames made by hand: exact counters, exact answers.

mod any_octets;
mod bench;
mod discovery;
mod receive;
mod send;
mod workers;
