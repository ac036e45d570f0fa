//! Bindings to what the gateway uses of DPDK: the functions of `shim/shim.h`, which says what each does and may be given.
//!
//! DPDK's fast functions are inline C, so Rust cannot call them. The shim makes them callable, a burst at a time: what crosses the language
//! boundary is an array of packets, not a packet.

#![allow(missing_docs, non_camel_case_types)]

include!(concat!(env!("OUT_DIR"), "/shim.rs"));
