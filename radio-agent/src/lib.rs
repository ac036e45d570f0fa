//! The access point's daemon: a dumb radio behind UDP. It forwards raw 802.11 frames between the air and gateways,
//! holds no device's key and answers nothing above the MAC.
//!
//! [`agent`] decides, without I/O; [`backend`] is the air; [`event_loop`] connects the two with UDP and the clock;
//! [`config`] and [`arguments`] are what the operator says; [`daemon`] is what Unix wants of a daemon.

pub mod agent;
pub mod arguments;
pub mod backend;
pub mod config;
pub mod daemon;
pub mod event_loop;
mod resolver;
mod sys;
