//! In place of `dpdk.rs` in a gateway that was built without DPDK: says so.

use std::os::fd::RawFd;

use dataplane::{
    io::{IoError, IoStats, PacketIo, interface::Interface},
    packet::{Burst, Pool},
};

use crate::config::Config;

/// Opens nothing.
pub struct Ports;

/// There is none.
pub enum DpdkIo {}

impl Ports {
    /// The configuration may name devices of DPDK nevertheless.
    pub fn new(_: &Config) -> Self {
        Self
    }

    /// Refuses.
    pub fn open(&mut self, device: &str, _: Option<u16>) -> Result<Vec<DpdkIo>, IoError> {
        Err(IoError::Dpdk {
            what: format!("open the device `{device}`"),
            reason: "this ttg was built without it".to_owned(),
            advice: "Build ttg with its default features, or configure another kind".to_owned(),
        })
    }
}

/// Name and link of a queue's device.
pub fn link(queue: &DpdkIo) -> (&str, Interface) {
    match *queue {}
}

/// The packets of a queue's worker.
pub fn pool(queue: &DpdkIo) -> Pool {
    match *queue {}
}

impl PacketIo for DpdkIo {
    fn rx_burst(&mut self, _: &Pool, _: &mut Burst) -> usize {
        match *self {}
    }

    fn tx_burst(&mut self, _: &mut Burst) -> usize {
        match *self {}
    }

    fn poll_fd(&self) -> Option<RawFd> {
        match *self {}
    }

    fn stats(&self) -> IoStats {
        match *self {}
    }
}
