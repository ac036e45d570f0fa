//! What the packet workers read from and write to, as configured.

use std::{error::Error, net::SocketAddr, os::fd::RawFd, sync::Arc};

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

use dpdk::DpdkIo;

use crate::config::{Config, Device, Mode, Network, Tunnel};

#[cfg(feature = "dpdk")]
mod dpdk;
#[cfg(not(feature = "dpdk"))]
#[path = "ports/no_dpdk.rs"]
mod dpdk;

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
         {raise}"
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
        /// How to raise it.
        raise: String,
    },
}

/// The tunnel side as it is opened, before it has a worker.
enum Opened {
    Udp(UdpIo),
    Host(Box<EthernetIo>, Arc<Host>),
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
                TunnelIo::Host(Box::new(HostIo::new(*port, host, worker, pool.clone())))
            }
        }
    }
}

/// A port that moves Ethernet frames: the network side, or what is below the tunnel side.
enum EthernetIo {
    Tap(TapIo),
    AfPacket(Reopen<AfPacketIo>),
    AfXdp(Reopen<AfXdpIo>),
    Dpdk(DpdkIo),
}

/// The packets of a worker with these ports, called in the worker's thread.
fn pool(tunnel: &Opened, network: &EthernetIo) -> Pool {
    let below = match tunnel {
        Opened::Host(port, _) => Some(&**port),
        Opened::Udp(_) => None,
    };
    match (network, below) {
        // In the memory of DPDK's ports, so that they need not be copied. A worker's ports share it.
        (EthernetIo::Dpdk(queue), _) | (_, Some(EthernetIo::Dpdk(queue))) => dpdk::pool(queue),
        _ => Pool::new(POOL),
    }
}

/// Packets of each worker: each fits the longest A-MSDU (7935 octets) with tunnel and Ethernet headers.
const POOL: PoolConfig = PoolConfig { packets: 8192, buffer: 9216, headroom: 128 };

/// Opens every socket and interface, so that what is missing is said before anything runs, and starts the workers. Returns the
/// addresses that radios send to.
pub fn start_workers(config: &Config) -> Result<(Handle, Vec<SocketAddr>), PortsError> {
    let mut dpdk = dpdk::Ports::new(config);
    let (tunnels, listen) = match &config.tunnel {
        None => sockets(config)?,
        Some(tunnel) => hosts(config, tunnel, &mut dpdk)?,
    };
    let ports = tunnels.into_iter().zip(networks(config, &mut dpdk)?).map(|(tunnel, network)| {
        move |worker: usize| {
            let pool = pool(&tunnel, &network);
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
fn hosts(
    config: &Config,
    tunnel: &Tunnel,
    dpdk: &mut dpdk::Ports,
) -> Result<(Vec<Opened>, Vec<SocketAddr>), PortsError> {
    let listen = tunnel.addresses.iter().map(|prefix| (prefix.address, tunnel.port).into()).collect();
    let (ports, host) = match &tunnel.device {
        Device::AfPacket { name } => {
            let host = host(config, tunnel, name, Interface::find(name)?)?;
            (af_packet(name)?, host)
        }
        Device::AfXdp { name, generic, exclusive } => {
            let host = host(config, tunnel, name, Interface::find(name)?)?;
            let take = if *exclusive {
                Take::Everything
            } else {
                Take::Addresses(host.addresses().map(|(address, _)| address).collect())
            };
            (af_xdp(name, *generic, config.workers, take)?, host)
        }
        Device::Dpdk { device, mtu } => {
            let queues = dpdk.open(device, *mtu)?;
            let (name, link) = dpdk::link(&queues[0]);
            let host = host(config, tunnel, name, link)?;
            (queues.into_iter().map(EthernetIo::Dpdk).collect(), host)
        }
    };
    Ok((ports.into_iter().map(|port| Opened::Host(Box::new(port), host.clone())).collect(), listen))
}

/// The host on a link, which has to be as wide as configured.
fn host(config: &Config, tunnel: &Tunnel, name: &str, link: Interface) -> Result<Arc<Host>, PortsError> {
    for (what, wanted) in [("tunnel.mtu", tunnel.mtu), ("path_mtu", Some(config.path_mtu))] {
        if let Some(wanted) = wanted.filter(|&wanted| u32::from(wanted) > link.mtu) {
            let raise = match tunnel.device {
                Device::Dpdk { .. } => format!("`mtu = {wanted}` in tunnel.device"),
                _ => format!("`ip link set {name} mtu {wanted}`"),
            };
            return Err(PortsError::NarrowLink { name: name.to_owned(), mtu: link.mtu, what, wanted, raise });
        }
    }
    Ok(Arc::new(Host::new(tunnel.host(link.mac, u16::try_from(link.mtu).unwrap_or(u16::MAX)))?))
}

fn networks(config: &Config, dpdk: &mut dpdk::Ports) -> Result<Vec<EthernetIo>, IoError> {
    Ok(match &config.network {
        Network::Tap { name } => {
            TapIo::open(name, config.workers)?.into_iter().map(EthernetIo::Tap).collect()
        }
        Network::AfPacket { name } => af_packet(name)?,
        Network::AfXdp { name, generic } => af_xdp(name, *generic, config.workers, Take::Everything)?,
        Network::Dpdk { device, mtu } => dpdk.open(device, *mtu)?.into_iter().map(EthernetIo::Dpdk).collect(),
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
