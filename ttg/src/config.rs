//! The gateway daemon's configuration. `ttg run` reads one file; `ttg standalone` reads one with a `[gateway]` and
//! a `[control]` table.

use std::{net::SocketAddr, path::Path};

use controlplane::config::{self, ConfigError};
use serde::Deserialize;

/// The gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name this gateway goes by.
    #[serde(default = "defaults::name")]
    pub name: String,
    /// The control daemon, `http://ADDRESS:PORT`. Not in standalone mode.
    pub control: Option<String>,
    /// Where tunnels arrive, `ADDRESS:PORT`; RFC 5415's data port is 5247. `[::]:5247` takes IPv4 as well.
    #[serde(default = "defaults::listen")]
    pub listen: SocketAddr,
    /// Packet workers, one core each.
    #[serde(default = "defaults::workers")]
    pub workers: usize,
    /// CPU of each worker; empty: the scheduler's choice.
    #[serde(default)]
    pub cores: Vec<usize>,
    /// How workers wait.
    #[serde(default)]
    pub mode: Mode,
    /// Largest IP packet on the path to the radios, octets; longer frames are fragmented by CAPWAP.
    #[serde(default = "defaults::path_mtu")]
    pub path_mtu: u16,
    /// Stations there is room for, over all workers.
    #[serde(default = "defaults::stations")]
    pub stations: usize,
    /// Where Prometheus scrapes; absent: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The network behind the gateway.
    pub network: Network,
}

/// How a worker waits for packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Sleeps until something arrives: homes, tests, shared machines.
    #[default]
    Epoll,
    /// Never sleeps: lowest latency, a whole core per worker.
    BusyPoll,
}

/// Where decrypted frames go, as Ethernet; services with a VLAN are tagged.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Network {
    /// A TAP interface, made by the gateway.
    Tap {
        /// Its name.
        name: String,
    },
    /// An existing interface, through AF_PACKET.
    AfPacket {
        /// Its name.
        name: String,
    },
    /// An existing interface, through AF_XDP: all of its frames go to the gateway, past the kernel.
    AfXdp {
        /// Its name.
        name: String,
        /// Keep away from the driver's XDP.
        #[serde(default)]
        generic: bool,
    },
}

/// Both daemons in one process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standalone {
    /// The gateway's keys.
    pub gateway: Config,
    /// The control daemon's keys.
    pub control: config::Config,
}

/// Reads the configuration of `ttg run`.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let config: Config = config::parse(path)?;
    let wrong = config.check().err().or_else(|| {
        config.control.is_none().then(|| {
            "control is missing: name the control daemon, control = \"http://127.0.0.1:7400\", or use `ttg standalone`"
                .to_owned()
        })
    });
    match wrong {
        Some(message) => Err(ConfigError::Inconsistent { path: path.to_owned(), message }),
        None => Ok(config),
    }
}

/// Reads the configuration of `ttg standalone`.
pub fn load_standalone(path: &Path) -> Result<Standalone, ConfigError> {
    let config: Standalone = config::parse(path)?;
    let inconsistent = |message| ConfigError::Inconsistent { path: path.to_owned(), message };
    config.gateway.check().map_err(inconsistent)?;
    if config.gateway.control.is_some() {
        return Err(inconsistent(
            "control has no meaning in standalone mode: remove it, or use `ttg run`".to_owned(),
        ));
    }
    config.control.check().map_err(inconsistent)?;
    Ok(config)
}

impl Config {
    fn check(&self) -> Result<(), String> {
        if self.workers == 0 || self.workers > 64 {
            return Err(format!("workers = {}: 1 to 64", self.workers));
        }
        if !self.cores.is_empty() && self.cores.len() != self.workers {
            return Err(format!(
                "cores names {} CPUs for {} workers: one each, or none at all",
                self.cores.len(),
                self.workers
            ));
        }
        if self.workers > 1 && matches!(self.network, Network::AfPacket { .. }) {
            return Err(format!(
                "workers = {} with network.kind = \"af-packet\": that has one queue, so use workers = 1, or kind = \"tap\"",
                self.workers
            ));
        }
        if self.path_mtu < 576 {
            return Err(format!("path_mtu = {}: 576 or more", self.path_mtu));
        }
        if let Some(control) = &self.control {
            check_control(control)?;
        }
        Ok(())
    }
}

/// Keys cross this connection, so until it carries TLS it must not leave the machine.
fn check_control(url: &str) -> Result<(), String> {
    let authority = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("control = \"{url}\" is not of the form http://ADDRESS:PORT"))?;
    let address: SocketAddr = authority
        .trim_end_matches('/')
        .parse()
        .map_err(|_| format!("control = \"{url}\" is not of the form http://ADDRESS:PORT"))?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "control = \"{url}\" is another machine, and session keys would cross the network in clear: run the control \
             daemon here, or reach it through an encrypted tunnel that ends on a loopback address"
        ));
    }
    Ok(())
}

mod defaults {
    use std::net::SocketAddr;

    pub fn name() -> String {
        "ttg".to_owned()
    }
    pub fn listen() -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], 5247))
    }
    pub fn workers() -> usize {
        1
    }
    pub fn path_mtu() -> u16 {
        1500
    }
    pub fn stations() -> usize {
        65536
    }
}
