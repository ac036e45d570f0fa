//! The gateway on DPDK's ports, tunnel side and network side: shared memory between it and this process, which is the router to the radios and the
//! network behind.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::RawFd;
use std::time::Instant;

use anyhow::bail;
use dataplane::endpoint::Endpoint;
use dataplane::io::dpdk::{DpdkIo, DpdkPort, Eal, EalConfig, Mempool, PortConfig};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{Burst, Pool, PoolConfig};
use dot11::MacAddr;

use super::traffic::{Traffic, Way};
use super::{About, BLOB, Over, PATIENCE, Plan, ROUNDS, Row, TOLD, WINDOW, middle_run};
use crate::bench::daemons::Daemon;
use crate::bench::flood::{Flood, Pace};
use crate::bench::next_hop::{Link, NextHop};
use crate::bench::script::{Script, Sessions, drops};

const LINK: Link = Link {
    own: MacAddr([0x02, 0xcc, 0, 0, 0, 2]),
    router: Ipv4Addr::new(10, 0, 2, 1),
    radios: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 5247),
    gateway_mac: MacAddr([0x02, 0xcc, 0, 0, 0, 3]),
    gateway: SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 3), 5247),
};

/// Our end and the gateway's end of a link that both find by `place`.
fn devices(over: Over, number: usize, place: &str) -> (String, String) {
    match over {
        Over::Memif => {
            let end = |role| format!("net_memif{number},role={role},rsize=11,socket={place}-{number}");
            (end("server"), end("client"))
        }
        _ => (
            format!("net_vhost{number},iface={place}-{number},queues=1"),
            format!("net_virtio_user{number},path={place}-{number},queues=1,queue_size=1024"),
        ),
    }
}

/// Measures a gateway on ports of this kind: rows, and what else there is to say.
pub fn run(over: Over, plan: &Plan) -> anyhow::Result<(Vec<Row>, About)> {
    let sessions =
        Sessions { stations: plan.stations, per_bss: 64, endpoint: LINK.radios.into(), blob: BLOB };
    let directory = tempfile::tempdir()?;
    // Abstract names have room for 107 octets, and so have paths of sockets.
    let place = directory.path().join("port").display().to_string();
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..2).map(|number| devices(over, number, &place)).unzip();
    let eal = Eal::start(&EalConfig { no_huge: true, memory: 256, ..EalConfig::default() })?;
    let mempool = Mempool::new(eal, PoolConfig { packets: 16384, ..PoolConfig::default() })?;
    let open = |device: &String| -> anyhow::Result<DpdkIo> {
        Ok(DpdkPort::open(&PortConfig::new(device), std::slice::from_ref(&mempool))?.remove(0))
    };
    let (tunnel, network) = (NextHop::new(open(&ours[0])?, LINK), open(&ours[1])?);
    let mut flood = Flood::new(Ports { tunnel, network, way: Way::Devices }, mempool.pool());
    let script = Script::start(sessions)?;
    let started = Instant::now();
    let config = config(&script, plan.stations, &theirs);
    let mut daemon = Daemon::start(directory.path(), "ttg", &config)?;
    daemon.wait_for("sessions are installed", PATIENCE, || script.installed() == plan.stations)?;
    let installing = started.elapsed().as_secs_f64();
    daemon.wait("the ports are joined", || flood.io().is_up())?;
    let mut traffic = Traffic::new(sessions);
    // Control knows no numbers of the gateway's addresses: at which one a tunnel arrives, its radio says.
    let keep_alives = LINK.frames(&traffic.keep_alives());
    // It asks until it is answered: the first go unanswered while the gateway looks for its next hop.
    let mut tell = || {
        let pace = Pace::Window(64);
        let told = flood.run(Endpoint::NONE, &keep_alives, pace, |received| traffic.answered(received));
        told.received == told.sent
    };
    if !(tell() || tell()) {
        bail!("not all keep-alives are answered; ttg says:\n{}", daemon.words());
    }
    let mut rows = Vec::new();
    for way in [Way::Devices, Way::Up, Way::Down] {
        flood.io().way = way;
        for &(octets, packets) in plan.runs {
            let mut measure = |pace| {
                let prepared = traffic.prepare(way, octets, packets);
                let frames = match way {
                    Way::Down => prepared.datagrams(),
                    _ => &LINK.frames(prepared.datagrams()),
                };
                flood.drain();
                flood.run(Endpoint::NONE, frames, pace, |received| prepared.whose(received))
            };
            let outcome = middle_run((0..ROUNDS).map(|_| measure(Pace::Window(WINDOW))).collect());
            if outcome.received == 0 {
                std::thread::sleep(TOLD);
                bail!("nothing came back {}; ttg dropped {:?}", way.name(), drops(&script.counters()));
            }
            let half = measure(Pace::Rate(outcome.rate() / 2.0));
            rows.push(Row { who: "ttg", over, way, octets, outcome, half, times: None });
        }
    }
    std::thread::sleep(TOLD);
    let about = About { over, installing, dropped: drops(&script.counters()) };
    drop(daemon);
    Ok((rows, about))
}

fn config(script: &Script, stations: usize, devices: &[String]) -> String {
    format!(
        "name = \"bench\"\ncontrol = \"http://{}\"\nstations = {stations}\nmode = \"busy-poll\"\n\
         [network]\nkind = \"dpdk\"\ndevice = \"{}\"\n\
         [tunnel]\ndevice = {{ kind = \"dpdk\", device = \"{}\" }}\naddresses = [\"{}/24\"]\ngateway = [\"{}\"]\nmac = \"{}\"\n\
         [dpdk]\nno_huge = true\n",
        script.address(),
        devices[1],
        devices[0],
        LINK.gateway.ip(),
        LINK.router,
        LINK.gateway_mac,
    )
}

/// The router and the network, one of which sends and one of which receives what is counted.
struct Ports {
    tunnel: NextHop<DpdkIo>,
    network: DpdkIo,
    way: Way,
}

impl Ports {
    fn is_up(&self) -> bool {
        [self.tunnel.port(), &self.network].iter().all(|io| io.port().link().up)
    }
}

impl PacketIo for Ports {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        // Both, always: who is asked for its address answers, and rings stay empty.
        let mut aside = Burst::new();
        match self.way {
            Way::Up => {
                self.tunnel.rx_burst(pool, &mut aside);
                self.network.rx_burst(pool, out)
            }
            Way::Devices | Way::Down => {
                self.network.rx_burst(pool, &mut aside);
                self.tunnel.rx_burst(pool, out)
            }
        }
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        match self.way {
            Way::Down => self.network.tx_burst(burst),
            Way::Devices | Way::Up => self.tunnel.tx_burst(burst),
        }
    }

    fn poll_fd(&self) -> Option<RawFd> {
        None
    }

    fn stats(&self) -> IoStats {
        self.tunnel.stats()
    }
}
