//! The gateway as an IP host in network namespaces: AF_PACKET below it, and the kernel as its peer and router. Everything that crosses the link
//! is recorded, and `tshark` must find nothing wrong with it. Needs root.

mod peer;
mod scenes;
#[path = "../io_contract/world.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod world;
