//! What the packet workers read from and write to, as configured.

use std::{error::Error, net::SocketAddr, os::fd::RawFd};

use dataplane::{
    config::Config as WorkerConfig,
    handle::Handle,
    io::{
        IoError, IoStats, PacketIo,
        af_packet::AfPacketIo,
        af_xdp::{AfXdpConfig, AfXdpIo, Take},
        reopen::{PortEvent, Reopen},
        tap::TapIo,
        udp::UdpIo,
    },
    packet::{Burst, Pool, PoolConfig},
    runtime::{self, Ports, RuntimeConfig, StartError},
    worker,
};

use crate::config::{Config, Mode, Network};

/// Why there are no ports.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// A socket or an interface cannot be had.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The workers did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The network side, whichever it is.
enum NetworkIo {
    Tap(TapIo),
    AfPacket(Reopen<AfPacketIo>),
    AfXdp(Reopen<AfXdpIo>),
}

/// Packets of each worker.
const PACKETS: usize = 8192;
/// Fits the longest A-MSDU (7935 octets) with tunnel and Ethernet headers.
const BUFFER: usize = 9216;
const HEADROOM: usize = 128;

/// Opens every socket and interface, so that what is missing is said before anything runs, and starts the workers. Returns the
/// address that radios send to.
pub fn start_workers(config: &Config) -> Result<(Handle, SocketAddr), PortsError> {
    let mut networks = networks(config)?.into_iter();
    let mut listen = config.listen;
    let mut ports = Vec::new();
    for worker in 0..config.workers {
        let tunnel = UdpIo::bind(listen, config.workers > 1)?;
        if worker == 0 {
            // Port 0 becomes a port of the system's choice, which the other workers share.
            listen = tunnel.local_addr();
        }
        let Some(network) = networks.next() else { break };
        ports.push(move |_worker: usize| {
            let pool = Pool::new(PoolConfig { packets: PACKETS, buffer: BUFFER, headroom: HEADROOM });
            Ok::<_, Box<dyn Error + Send + Sync>>(Ports { pool, tunnel, network })
        });
    }
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

fn networks(config: &Config) -> Result<Vec<NetworkIo>, IoError> {
    Ok(match &config.network {
        Network::Tap { name } => TapIo::open(name, config.workers)?.into_iter().map(NetworkIo::Tap).collect(),
        Network::AfPacket { name } => {
            let own = name.clone();
            let open = move || Ok(vec![AfPacketIo::open(&own)?]);
            Reopen::open(name, open, tell)?.into_iter().map(NetworkIo::AfPacket).collect()
        }
        Network::AfXdp { name, generic } => {
            let (own, generic, workers) = (name.clone(), *generic, config.workers);
            let open = move || {
                let config =
                    AfXdpConfig { workers, generic, take: Take::Everything, ..AfXdpConfig::default() };
                let ports = AfXdpIo::open_with(&own, &config)?;
                for (worker, port) in ports.iter().enumerate() {
                    tracing::info!(interface = own, worker, mode = %port.mode(), "AF_XDP");
                }
                Ok(ports)
            };
            Reopen::open(name, open, tell)?.into_iter().map(NetworkIo::AfXdp).collect()
        }
    })
}

/// Interfaces come and go: the operator shall know.
fn tell(event: PortEvent) {
    match event {
        PortEvent::Back(_) => tracing::info!("{event}"),
        PortEvent::Gone(_) | PortEvent::Refused(..) => tracing::warn!("{event}"),
    }
}

impl PacketIo for NetworkIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        match self {
            NetworkIo::Tap(io) => io.rx_burst(pool, out),
            NetworkIo::AfPacket(io) => io.rx_burst(pool, out),
            NetworkIo::AfXdp(io) => io.rx_burst(pool, out),
        }
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        match self {
            NetworkIo::Tap(io) => io.tx_burst(burst),
            NetworkIo::AfPacket(io) => io.tx_burst(burst),
            NetworkIo::AfXdp(io) => io.tx_burst(burst),
        }
    }

    fn poll_fd(&self) -> Option<RawFd> {
        match self {
            NetworkIo::Tap(io) => io.poll_fd(),
            NetworkIo::AfPacket(io) => io.poll_fd(),
            NetworkIo::AfXdp(io) => io.poll_fd(),
        }
    }

    fn rx_ready(&self) -> bool {
        match self {
            NetworkIo::Tap(io) => io.rx_ready(),
            NetworkIo::AfPacket(io) => io.rx_ready(),
            NetworkIo::AfXdp(io) => io.rx_ready(),
        }
    }

    fn stats(&self) -> IoStats {
        match self {
            NetworkIo::Tap(io) => io.stats(),
            NetworkIo::AfPacket(io) => io.stats(),
            NetworkIo::AfXdp(io) => io.stats(),
        }
    }
}
