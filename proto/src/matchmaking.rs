//! What radios and service instances say to the matchmaker, in datagrams. `README.md` of this crate has the protocol.
//!
//! Pure: time and entropy are arguments, datagrams are values. [`peer`] is the side of a radio or a service instance,
//! `server` (feature `matchmaking-server`) that of the matchmaker.
#![forbid(unsafe_code)]

pub mod check;
pub mod datagram;
mod handshake;
mod keys;
pub mod peer;
pub mod seal;
#[cfg(feature = "matchmaking-server")]
pub mod server;

pub use handshake::{HandshakeError, Initiator, Keys, PROLOGUE, PROTOCOL, Responder};
pub use keys::{Key, PublicKey, StaticSecret};

/// Where random octets come from: fills what it is given. They must be as good as `getrandom(2)`.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// An address as every socket writes it: IPv4 is IPv4.
fn canonical(address: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The messages: `ttg.matchmaking.v1`.
#[allow(missing_docs, reason = "generated; comments are in the .proto file")]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/ttg.matchmaking.v1.rs"));
}
