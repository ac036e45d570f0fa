//! Ports of DPDK, as configured: one environment for all of them, and memory for each worker, which all its queues share: what one port received
//! another sends without a copy.

pub use dataplane::io::dpdk::DpdkIo;
use dataplane::{
    io::{
        IoError,
        dpdk::{DpdkPort, Eal, EalConfig, Mempool, PortConfig},
        interface::Interface,
    },
    packet::Pool,
};
use dot11::MacAddr;

use super::POOL;
use crate::config::{Config, Mode};

/// What ports are opened with, made for the first of them.
pub struct Ports<'a> {
    config: &'a Config,
    started: Option<(Eal, Vec<Mempool>)>,
}

impl<'a> Ports<'a> {
    /// Starts nothing yet.
    pub fn new(config: &'a Config) -> Self {
        Self { config, started: None }
    }

    /// Opens a device with a queue for each worker.
    pub fn open(&mut self, device: &str, mtu: Option<u16>) -> Result<Vec<DpdkIo>, IoError> {
        let (eal, mempools) = match &mut self.started {
            Some(started) => started,
            none => none.insert(start(self.config)?),
        };
        // Checksums stay ours: whoever is an IP host on the port does all of them.
        let queues = DpdkPort::open(&PortConfig { mtu, ..PortConfig::new(device) }, mempools)?;
        let port = queues[0].port();
        let (name, driver, link) = (port.name(), port.driver(), port.link());
        tracing::info!(
            dpdk = eal.version(),
            device = name,
            driver,
            mtu = port.mtu(),
            up = link.up,
            mbits = link.mbits,
            "DPDK"
        );
        Ok(queues)
    }
}

/// Name and link of a queue's device.
pub fn link(queue: &DpdkIo) -> (&str, Interface) {
    let port = queue.port();
    (port.name(), Interface { mac: MacAddr(port.mac()), mtu: port.mtu().into() })
}

/// The packets of a queue's worker, called in the worker's thread.
pub fn pool(queue: &DpdkIo) -> Pool {
    queue.mempool().pool()
}

/// Starts DPDK for all devices of the configuration, and makes the workers' memory.
fn start(config: &Config) -> Result<(Eal, Vec<Mempool>), IoError> {
    let eal = Eal::start(&EalConfig {
        no_huge: config.dpdk.no_huge,
        memory: config.dpdk.memory.unwrap_or(MEMORY + MEMORY_OF_WORKER * config.workers),
        // Virtual devices have names of letters.
        pci: config.dpdk_devices().filter(|name| name.contains(':')).map(Into::into).collect(),
        arguments: config.dpdk.arguments.clone(),
    })?;
    if config.mode == Mode::Epoll {
        tracing::warn!(
            "mode = \"epoll\": there is nothing to sleep on with DPDK, so idle workers ask the device once a millisecond; mode = \"busy-poll\" is faster"
        );
    }
    let mempools = (0..config.workers).map(|_| Mempool::new(eal, POOL)).collect::<Result<_, _>>()?;
    Ok((eal, mempools))
}

/// MiB of DPDK's memory: for its own tables and the rings of queues, and for the packets of each worker.
const MEMORY: usize = 128;
const MEMORY_OF_WORKER: usize = 96;
