//! What radios and service instances say to the matchmaker, in datagrams. `README.md` of this crate has the protocol.

/// The messages: `ttg.matchmaking.v1`.
#[allow(missing_docs)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/ttg.matchmaking.v1.rs"));
}
