//! The tunnel termination gateway as a library: configuration, packet workers, and the bridge to control.

pub mod bridge;
pub mod config;
pub mod gateway;
pub mod ports;
