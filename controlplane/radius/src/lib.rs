//! RADIUS for an access point: a pure codec ([`packet`]), an authentication client with failover ([`client`]) and
//! accounting that survives restarts ([`accounting`]).
//!
//! [`packet`] has no socket, clock or random source of its own and is all there is without the feature `client`.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod accounting;
#[cfg(feature = "client")]
pub mod client;
pub mod packet;
#[cfg(feature = "testkit")]
pub mod testkit;
