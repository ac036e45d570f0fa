//! What the packet workers read from and write to, as configured.

use std::{error::Error, net::SocketAddr, os::fd::RawFd, sync::Arc};

#[cfg(feature = "dpdk")]
use dataplane::io::dpdk::DpdkIo;
use dataplane::{
    clock::Time,
    config::Config as WorkerConfig,
    handle::Handle,
    io::{
        IoError, IoStats, PacketIo,
        af_packet::AfPacketIo,
        af_xdp::{AfXdpConfig, AfXdpIo, Take},
        host::{CAPWAP_DATA, Host, HostError, HostIo},
        interface::Interface,
        reopen::{PortEvent, Reopen},
        tap::TapIo,
        udp::UdpIo,
    },
    packet::{Burst, Pool, PoolConfig},
    runtime::{self, Ports, RuntimeConfig, StartError},
    worker,
};

use crate::config::{Config, Device, Mode, Network, Tunnel};

/// Why there are no ports.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// A socket or an interface cannot be had.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The workers did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The tunnel port cannot be a host like this.
    #[error("tunnel: {0}")]
    Host(#[from] HostError),
    /// The link is narrower than configured.
    #[error(
        "the network interface `{name}` has an MTU of {mtu} octets, and {what} = {wanted}: lower that, or raise the interface's with \
         `ip link set {name} mtu {wanted}`"
    )]
    NarrowLink {
        /// The interface.
        name: String,
        /// What it takes.
        mtu: u32,
        /// The key.
        what: &'static str,
        /// Its value.
        wanted: u16,
    },
}

/// The tunnel side as it is opened, before it has a worker.
enum Opened {
    Udp(UdpIo),
    Host(EthernetIo, Arc<Host>),
}

/// The tunnel side, whichever it is.
enum TunnelIo {
    Udp(UdpIo),
    Host(Box<HostIo<EthernetIo>>),
}

impl Opened {
    fn take(self, worker: usize, pool: &Pool) -> TunnelIo {
        match self {
            Opened::Udp(io) => TunnelIo::Udp(io),
            Opened::Host(port, host) => {
                TunnelIo::Host(Box::new(HostIo::new(port, host, worker, pool.clone())))
            }
        }
    }
}

/// A port that moves Ethernet frames: the network side, or what is below the tunnel side.
enum EthernetIo {
    Tap(TapIo),
    AfPacket(Reopen<AfPacketIo>),
    AfXdp(Reopen<AfXdpIo>),
    #[cfg(feature = "dpdk")]
    Dpdk(DpdkIo),
}

impl EthernetIo {
    /// The packets of its worker, called in the worker's thread.
    fn pool(&self) -> Pool {
        // In the port's own memory, so that they need not be copied.
        #[cfg(feature = "dpdk")]
        if let EthernetIo::Dpdk(io) = self {
            return io.mempool().pool();
        }
        Pool::new(POOL)
    }
}

/// Packets of each worker: each fits the longest A-MSDU (7935 octets) with tunnel and Ethernet headers.
const POOL: PoolConfig = PoolConfig { packets: 8192, buffer: 9216, headroom: 128 };

/// Opens every socket and interface, so that what is missing is said before anything runs, and starts the workers. Returns the
/// addresses that radios send to.
pub fn start_workers(config: &Config) -> Result<(Handle, Vec<SocketAddr>), PortsError> {
    let (tunnels, listen) = match &config.tunnel {
        None => sockets(config)?,
        Some(tunnel) => hosts(config, tunnel)?,
    };
    let ports = tunnels.into_iter().zip(networks(config)?).map(|(tunnel, network)| {
        move |worker: usize| {
            let pool = network.pool();
            let tunnel = tunnel.take(worker, &pool);
            Ok::<_, Box<dyn Error + Send + Sync>>(Ports { pool, tunnel, network })
        }
    });
    let ports = ports.collect();
    let config = RuntimeConfig {
        worker: WorkerConfig {
            stations: config.stations.div_ceil(config.workers),
            path_mtu: config.path_mtu.into(),
            seed: getrandom::u64().unwrap_or_default(),
            ..WorkerConfig::default()
        },
        mode: match config.mode {
            Mode::Epoll => worker::Mode::Epoll,
            Mode::BusyPoll => worker::Mode::BusyPoll,
        },
        cores: config.cores.clone(),
    };
    Ok((runtime::start(config, ports)?, listen))
}

/// Sockets of the kernel, one for each worker.
fn sockets(config: &Config) -> Result<(Vec<Opened>, Vec<SocketAddr>), IoError> {
    let mut listen = config.listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], CAPWAP_DATA)));
    let mut tunnels = Vec::new();
    for _ in 0..config.workers {
        let socket = UdpIo::bind(listen, config.workers > 1)?;
        // Port 0 becomes a port of the system's choice, which the other workers share.
        listen = socket.local_addr();
        tunnels.push(Opened::Udp(socket));
    }
    Ok((tunnels, vec![listen]))
}

/// A port that the gateway is a host on.
fn hosts(config: &Config, tunnel: &Tunnel) -> Result<(Vec<Opened>, Vec<SocketAddr>), PortsError> {
    let name = tunnel.device.name();
    let interface = Interface::find(name)?;
    for (what, wanted) in [("tunnel.mtu", tunnel.mtu), ("path_mtu", Some(config.path_mtu))] {
        if let Some(wanted) = wanted.filter(|&wanted| u32::from(wanted) > interface.mtu) {
            return Err(PortsError::NarrowLink { name: name.to_owned(), mtu: interface.mtu, what, wanted });
        }
    }
    let mtu = u16::try_from(interface.mtu).unwrap_or(u16::MAX);
    let host = Arc::new(Host::new(tunnel.host(interface.mac, mtu))?);
    let listen = tunnel.addresses.iter().map(|prefix| (prefix.address, tunnel.port).into()).collect();
    let ports = match &tunnel.device {
        Device::AfPacket { name } => af_packet(name)?,
        Device::AfXdp { name, generic, exclusive } => {
            let take = if *exclusive {
                Take::Everything
            } else {
                Take::Addresses(host.addresses().map(|(address, _)| address).collect())
            };
            af_xdp(name, *generic, config.workers, take)?
        }
    };
    Ok((ports.into_iter().map(|port| Opened::Host(port, host.clone())).collect(), listen))
}

fn networks(config: &Config) -> Result<Vec<EthernetIo>, IoError> {
    Ok(match &config.network {
        Network::Tap { name } => {
            TapIo::open(name, config.workers)?.into_iter().map(EthernetIo::Tap).collect()
        }
        Network::AfPacket { name } => af_packet(name)?,
        Network::AfXdp { name, generic } => af_xdp(name, *generic, config.workers, Take::Everything)?,
        Network::Dpdk { device, mtu } => dpdk(config, device, *mtu)?,
    })
}

/// An interface through AF_PACKET, which has one queue.
fn af_packet(name: &str) -> Result<Vec<EthernetIo>, IoError> {
    let own = name.to_owned();
    let open = move || Ok(vec![AfPacketIo::open(&own)?]);
    Ok(Reopen::open(name, open, tell)?.into_iter().map(EthernetIo::AfPacket).collect())
}

/// An interface through AF_XDP, with a port for each worker.
fn af_xdp(name: &str, generic: bool, workers: usize, take: Take) -> Result<Vec<EthernetIo>, IoError> {
    let own = name.to_owned();
    let config = AfXdpConfig { workers, generic, take, ..AfXdpConfig::default() };
    let open = move || {
        let ports = AfXdpIo::open_with(&own, &config)?;
        for (worker, port) in ports.iter().enumerate() {
            tracing::info!(interface = own, worker, mode = %port.mode(), "AF_XDP");
        }
        Ok(ports)
    };
    Ok(Reopen::open(name, open, tell)?.into_iter().map(EthernetIo::AfXdp).collect())
}

/// Interfaces come and go: the operator shall know.
fn tell(event: PortEvent) {
    match event {
        PortEvent::Back(_) => tracing::info!("{event}"),
        PortEvent::Gone(_) | PortEvent::Refused(..) => tracing::warn!("{event}"),
    }
}

/// Does the same with the network side, whichever it is.
macro_rules! whichever {
    ($network:expr, $io:ident => $what:expr) => {
        match $network {
            EthernetIo::Tap($io) => $what,
            EthernetIo::AfPacket($io) => $what,
            EthernetIo::AfXdp($io) => $what,
            #[cfg(feature = "dpdk")]
            EthernetIo::Dpdk($io) => $what,
        }
    };
}

impl PacketIo for EthernetIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        whichever!(self, io => io.rx_burst(pool, out))
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        whichever!(self, io => io.tx_burst(burst))
    }

    fn poll_fd(&self) -> Option<RawFd> {
        whichever!(self, io => io.poll_fd())
    }

    fn rx_ready(&self) -> bool {
        whichever!(self, io => io.rx_ready())
    }

    fn deadline(&self) -> Option<Time> {
        whichever!(self, io => io.deadline())
    }

    fn stats(&self) -> IoStats {
        whichever!(self, io => io.stats())
    }

    fn each_counter(&self, give: &mut dyn FnMut(&'static str, u64)) {
        whichever!(self, io => io.each_counter(give))
    }
}

impl PacketIo for TunnelIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        match self {
            TunnelIo::Udp(io) => io.rx_burst(pool, out),
            TunnelIo::Host(io) => io.rx_burst(pool, out),
        }
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        match self {
            TunnelIo::Udp(io) => io.tx_burst(burst),
            TunnelIo::Host(io) => io.tx_burst(burst),
        }
    }

    fn poll_fd(&self) -> Option<RawFd> {
        match self {
            TunnelIo::Udp(io) => io.poll_fd(),
            TunnelIo::Host(io) => io.poll_fd(),
        }
    }

    fn rx_ready(&self) -> bool {
        match self {
            TunnelIo::Udp(io) => io.rx_ready(),
            TunnelIo::Host(io) => io.rx_ready(),
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            TunnelIo::Udp(io) => io.deadline(),
            TunnelIo::Host(io) => io.deadline(),
        }
    }

    fn stats(&self) -> IoStats {
        match self {
            TunnelIo::Udp(io) => io.stats(),
            TunnelIo::Host(io) => io.stats(),
        }
    }

    fn each_counter(&self, give: &mut dyn FnMut(&'static str, u64)) {
        match self {
            TunnelIo::Udp(io) => io.each_counter(give),
            TunnelIo::Host(io) => io.each_counter(give),
        }
    }
}

/// The device's queues, one for each worker, each with the memory of its worker's packets.
#[cfg(feature = "dpdk")]
fn dpdk(config: &Config, device: &str, mtu: Option<u16>) -> Result<Vec<EthernetIo>, IoError> {
    use dataplane::io::dpdk::{DpdkPort, Eal, EalConfig, Mempool, PortConfig};

    let name = device.split(',').next().unwrap_or_default();
    let eal = Eal::start(&EalConfig {
        no_huge: config.dpdk.no_huge,
        memory: config.dpdk.memory.unwrap_or(MEMORY + MEMORY_OF_WORKER * config.workers),
        // Virtual devices have names of letters.
        pci: if name.contains(':') { vec![name.to_owned()] } else { Vec::new() },
        arguments: config.dpdk.arguments.clone(),
    })?;
    let mempools = (0..config.workers).map(|_| Mempool::new(eal, POOL)).collect::<Result<Vec<_>, _>>()?;
    let queues = DpdkPort::open(&PortConfig { mtu, ..PortConfig::new(device) }, &mempools)?;
    let port = queues[0].port();
    let (driver, link) = (port.driver(), port.link());
    tracing::info!(
        dpdk = eal.version(),
        device = name,
        driver,
        mtu = port.mtu(),
        up = link.up,
        mbits = link.mbits,
        "DPDK"
    );
    if config.mode == Mode::Epoll {
        tracing::warn!(
            "mode = \"epoll\": there is nothing to sleep on with DPDK, so idle workers ask the device once a millisecond; mode = \"busy-poll\" is faster"
        );
    }
    Ok(queues.into_iter().map(EthernetIo::Dpdk).collect())
}

#[cfg(not(feature = "dpdk"))]
fn dpdk(_: &Config, device: &str, _: Option<u16>) -> Result<Vec<EthernetIo>, IoError> {
    Err(IoError::Dpdk {
        what: format!("open the device `{device}`"),
        reason: "this ttg was built without it".to_owned(),
        advice: "Build ttg with its default features, or configure another kind of network".to_owned(),
    })
}

/// MiB of DPDK's memory: for its own tables and the rings of queues, and for the packets of each worker.
#[cfg(feature = "dpdk")]
const MEMORY: usize = 128;
#[cfg(feature = "dpdk")]
const MEMORY_OF_WORKER: usize = 96;
