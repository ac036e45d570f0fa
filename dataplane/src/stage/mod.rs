//! The stages: what is done to packets between one I/O and the next, as methods of [`State`](crate::state::State).
//!
//! * [`uplink`]: tunnel → class → CCMP → replay → fragments → A-MSDU → Ethernet
//! * [`forward`]: where an Ethernet frame goes: the network, a station, a group, another worker
//! * [`proxy`]: ARP, neighbour discovery and DHCP, answered or aimed where they can be
//! * [`downlink`]: station → hold → 802.11 → CCMP → tunnel

pub mod downlink;
pub mod forward;
pub mod proxy;
pub mod uplink;
