//! The gateway daemon's configuration. `ttg run` reads one file; `ttg standalone` reads one with a `[gateway]` and
//! a `[control]` table.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use controlplane::config::{self, ConfigError};
use dataplane::io::host::{HostConfig, Prefix};
use dot11::MacAddr;
use serde::{Deserialize, Deserializer, de::Error};

/// The gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name this gateway goes by.
    #[serde(default = "defaults::name")]
    pub name: String,
    /// The control daemon, `https://HOST:PORT`, or `http://ADDRESS:PORT` on this machine. Not in standalone mode.
    pub control: Option<String>,
    /// What is shown to the control daemon, and believed, over https.
    pub tls: Option<Tls>,
    /// Where tunnels arrive, `ADDRESS:PORT`; RFC 5415's data port is 5247, which is taken at all IPv4 addresses if nothing is said. `[::]:5247`
    /// takes IPv6 as well.
    pub listen: Option<SocketAddr>,
    /// Where tunnels arrive instead, past the kernel: a port that the gateway is an IP host on.
    pub tunnel: Option<Tunnel>,
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
    /// How DPDK is started, if there is a port of it.
    #[serde(default)]
    pub dpdk: Dpdk,
}

/// TLS towards the control daemon. Files are read whenever it is reached for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate of the authority that signed the control daemon's.
    pub ca: PathBuf,
    /// This gateway's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The name in the control daemon's certificate, if it is not the one in `control`.
    pub server_name: Option<String>,
}

/// DPDK's environment, of which a process has one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dpdk {
    /// Ordinary memory instead of huge pages: for virtual devices and tests.
    pub no_huge: bool,
    /// MiB of memory; absent: what the workers' packets need.
    pub memory: Option<usize>,
    /// More arguments of DPDK's own command line.
    pub arguments: Vec<String>,
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

/// A port that the gateway is an IP host on: it answers ARP and neighbour discovery there itself. What a router upstream has to do is said in
/// [`dataplane::io::host`]. The kernel must have no address there, and not forward.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// What moves the frames.
    pub device: Device,
    /// The gateway's addresses with the lengths of their prefixes: `192.0.2.10/24`.
    #[serde(deserialize_with = "texts")]
    pub addresses: Vec<Prefix>,
    /// Routers to radios beyond the link, one for each family; without one, answers go back to where a radio's packets come from.
    #[serde(default)]
    pub gateway: Vec<IpAddr>,
    /// VLAN of all frames; absent: untagged.
    pub vlan: Option<u16>,
    /// Largest IP packet on the link, octets; absent: what the device says.
    pub mtu: Option<u16>,
    /// UDP port that radios send to.
    #[serde(default = "defaults::port")]
    pub port: u16,
    /// Ethernet address; absent: the device's own.
    #[serde(default, deserialize_with = "text")]
    pub mac: Option<MacAddr>,
}

/// What moves Ethernet frames for the tunnel side.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Device {
    /// An existing interface, through AF_PACKET.
    AfPacket {
        /// Its name.
        name: String,
    },
    /// An existing interface, through AF_XDP.
    AfXdp {
        /// Its name.
        name: String,
        /// Keep away from the driver's XDP.
        #[serde(default)]
        generic: bool,
        /// All frames are the gateway's. Otherwise those to its addresses are, and the kernel keeps the rest; what goes to all IPv6 nodes is
        /// then the kernel's, so a switch that snoops multicast listener discovery needs the gateway's groups configured.
        #[serde(default)]
        exclusive: bool,
    },
    /// A port of DPDK.
    Dpdk {
        /// As for the network.
        device: String,
        /// Octets of payload in a frame; absent: as the device has it.
        mtu: Option<u16>,
    },
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
    /// A port of DPDK.
    Dpdk {
        /// PCI address (`0000:03:00.0`), or virtual device with its arguments (`net_tap0,iface=dtap0`).
        device: String,
        /// Octets of payload in a frame; absent: as the device has it.
        mtu: Option<u16>,
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
    if config.gateway.control.is_some() || config.gateway.tls.is_some() {
        return Err(inconsistent(
            "control and tls of [gateway] have no meaning in standalone mode: remove them, or use `ttg run`"
                .to_owned(),
        ));
    }
    config.control.check().map_err(inconsistent)?;
    Ok(config)
}

impl Config {
    /// What is shown to the control daemon, and believed.
    pub fn tls_files(&self) -> tls::client::Files {
        let Some(tls) = &self.tls else { return tls::client::Files::default() };
        let (certificate, key) = (tls.certificate.clone(), tls.key.clone());
        tls::client::Files {
            ca: Some(tls.ca.clone()),
            identity: Some(tls::files::Identity { certificate, key }),
            server_name: tls.server_name.clone(),
        }
    }

    /// DPDK's devices, without their arguments.
    pub fn dpdk_devices(&self) -> impl Iterator<Item = &str> {
        let network = match &self.network {
            Network::Dpdk { device, .. } => Some(device),
            _ => None,
        };
        let tunnel = match self.tunnel.as_ref().map(|tunnel| &tunnel.device) {
            Some(Device::Dpdk { device, .. }) => Some(device),
            _ => None,
        };
        [network, tunnel].into_iter().flatten().map(|device| device.split(',').next().unwrap_or_default())
    }

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
        if let Some(tunnel) = &self.tunnel {
            self.check_tunnel(tunnel)?;
        }
        if self.path_mtu < 576 {
            return Err(format!("path_mtu = {}: 576 or more", self.path_mtu));
        }
        if let Some(control) = &self.control {
            check_control(control, self.tls.is_some())?;
        }
        Ok(())
    }
}

impl Config {
    fn check_tunnel(&self, tunnel: &Tunnel) -> Result<(), String> {
        if let Some(listen) = self.listen {
            return Err(format!(
                "listen = \"{listen}\" and tunnel are both there: tunnels arrive at the kernel's socket or at a port of the \
                 gateway's own, so remove one of them"
            ));
        }
        if self.workers > 1 && matches!(tunnel.device, Device::AfPacket { .. }) {
            return Err(format!(
                "workers = {} with tunnel.device.kind = \"af-packet\": that has one queue, so use workers = 1, or kind = \"af-xdp\"",
                self.workers
            ));
        }
        // The device's own values are looked up when it is opened; until then any will do.
        let mac = tunnel.mac.unwrap_or(MacAddr([2, 0, 0, 0, 0, 0]));
        tunnel.host(mac, 1500).check().map_err(|error| format!("tunnel: {error}"))?;
        match tunnel.mtu {
            Some(mtu) if mtu < self.path_mtu => Err(format!(
                "path_mtu = {} is more than tunnel.mtu = {mtu}: no path is wider than its first link",
                self.path_mtu
            )),
            _ => Ok(()),
        }
    }
}

impl Tunnel {
    /// The host on a device with this Ethernet address and MTU, which count where nothing else is configured.
    pub fn host(&self, mac: MacAddr, mtu: u16) -> HostConfig {
        HostConfig {
            mtu: self.mtu.unwrap_or(mtu),
            vlan: self.vlan,
            gateways: self.gateway.clone(),
            port: self.port,
            seed: getrandom::u64().unwrap_or_default(),
            ..HostConfig::new(self.mac.unwrap_or(mac), self.addresses.clone())
        }
    }
}

/// Reads values that are written as text.
fn texts<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    Vec::<String>::deserialize(from)?.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// Reads one.
fn text<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

/// Keys cross this connection, so without TLS it must not leave the machine.
fn check_control(url: &str, tls: bool) -> Result<(), String> {
    let malformed = || {
        format!(
            "control = \"{url}\" is not of the form https://HOST:PORT, or http://ADDRESS:PORT on this machine"
        )
    };
    if let Some(authority) = url.strip_prefix("https://") {
        let port =
            authority.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        return match (port, tls) {
            (None, _) => Err(malformed()),
            (Some(_), true) => Ok(()),
            (Some(_), false) => Err(format!(
                "control = \"{url}\" needs [tls] with ca, certificate and key (README.md shows how to make them)"
            )),
        };
    }
    let authority = url.strip_prefix("http://").ok_or_else(malformed)?;
    let address: SocketAddr = authority.trim_end_matches('/').parse().map_err(|_| malformed())?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "control = \"{url}\" is another machine, and session keys would cross the network in clear: use https:// and [tls], with \
             [tls] in the control daemon's configuration as well"
        ));
    }
    if tls {
        return Err(format!(
            "control = \"{url}\" is plain text, but there is [tls]: use https://, or remove [tls]"
        ));
    }
    Ok(())
}

mod defaults {
    pub fn name() -> String {
        "ttg".to_owned()
    }
    pub fn port() -> u16 {
        dataplane::io::host::CAPWAP_DATA
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
