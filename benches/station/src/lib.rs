//! A simulated Wi-Fi device: MLME, supplicant, EAP peer, data path and a small IPv4 host.
//!
//! Everything but the module `air` is pure: time, entropy and frames come in as arguments; frames, events and
//! deadlines go out as values. [`device::Device`] is the whole device; its parts can be used by themselves.
//!
//! Features: `eap-ttls` adds the EAP-TTLS peer (and rustls), `air` the runner that connects devices to a radio
//! agent's simulated air over its Unix socket.
#![cfg_attr(not(feature = "air"), forbid(unsafe_code))]
#![cfg_attr(feature = "air", deny(unsafe_code))]

#[cfg(feature = "air")]
pub mod air;
pub mod data;
pub mod device;
#[cfg(feature = "eap-ttls")]
pub mod eap;
pub mod entropy;
pub mod host;
pub mod mlme;
pub mod profile;
pub mod supplicant;
pub mod time;

pub use device::{Command, Device, Event, Output};
pub use profile::{DeviceConfig, Profile};
pub use time::Time;
