//! Data plane of the gateway: packets, packet I/O, and what is done to packets between one I/O and the next.

pub mod capture;
pub mod clock;
pub mod command;
pub mod config;
pub mod counters;
pub mod crypto;
pub mod directory;
pub mod handle;
pub mod handoff;
pub mod io;
pub mod limit;
pub mod packet;
pub mod pin;
pub mod prefetch;
pub mod ring;
pub mod service;
pub mod station;
pub mod tunnel;
pub mod wake;
pub mod wire;
