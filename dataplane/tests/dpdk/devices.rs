//! DPDK for this process, and two joined ends of its virtual devices.

use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::dpdk::{DpdkIo, DpdkPort, Eal, EalConfig, Mempool, PortConfig};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{Burst, Pool, PoolConfig};

use crate::links::Link;
use crate::world::{fresh, veth};

/// Tests take turns: they share DPDK's memory, and some count what is left of it.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn eal() -> Eal {
    Eal::start(&EalConfig { no_huge: true, memory: 128, ..EalConfig::default() }).unwrap()
}

pub fn mempool(packets: usize) -> Mempool {
    Mempool::new(eal(), PoolConfig { packets, ..PoolConfig::default() }).unwrap()
}

/// One queue of the device, with a mempool of its own.
pub fn open(device: &str) -> DpdkIo {
    let config = PortConfig { rx_descriptors: 256, tx_descriptors: 256, ..PortConfig::new(device) };
    DpdkPort::open(&config, &[mempool(4096)]).unwrap().remove(0)
}

/// An interface as a device. The driver takes it that blocks hold frames without gaps, and wants frames to fit our packets.
pub fn af_packet_device(interface: &str) -> String {
    format!("net_af_packet_{interface},iface={interface},blocksz=28672,framesz=1792,framecnt=512")
}

pub fn await_link(io: &DpdkIo) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !io.port().link().up {
        assert!(Instant::now() < deadline, "{} has no link", io.port().name());
        std::thread::yield_now();
    }
}

/// Two ports joined by shared memory.
pub fn memif_pair() -> (DpdkIo, DpdkIo) {
    let socket = format!("{}-{}", fresh("ttg-test"), std::process::id());
    let open = |role| {
        let name = fresh("net_memif");
        open(&format!("{name},role={role},rsize=8,socket={socket}"))
    };
    let (a, mut b) = (open("server"), open("client"));
    await_link(&a);
    await_link(&b);
    // By receiving the client gives the server something to send in.
    assert_eq!(b.rx_burst(&b.mempool().pool(), &mut Burst::new()), 0);
    (a, b)
}

pub fn memif() -> Link {
    let (a, b) = memif_pair();
    Link { shortest: 14, too_long: Some(1519), release: Some(Box::new(|| {})), ..Link::new(a, b) }
}

pub fn memif_without_copies() -> Link {
    let (a, b) = memif_pair();
    let (a, b) = (WithoutCopies::new(a), WithoutCopies::new(b));
    Link {
        shortest: 14,
        too_long: Some(1519),
        release: Some(Box::new(|| {})),
        moves: true,
        ..Link::new(a, b)
    }
}

/// DPDK's packet socket on one end, ours on the other.
pub fn af_packet() -> Link {
    let (a, b) = veth();
    let (a, b) = (open(&af_packet_device(&a)), AfPacketIo::open(&b).unwrap());
    Link { shortest: 14, too_long: Some(1519), ..Link::new(a, b) }
}

/// DPDK's packet sockets on both ends.
pub fn af_packet_without_copies() -> Link {
    let (a, b) = veth();
    let [a, b] = [a, b].map(|name| WithoutCopies::new(open(&af_packet_device(&name))));
    Link { shortest: 14, too_long: Some(1519), moves: true, ..Link::new(a, b) }
}

/// A TAP interface of DPDK's on one end, and on the other a packet socket that is the network stack.
pub fn tap() -> Link {
    let (tap, stack) = tap_and_stack();
    Link { shortest: 14, too_long: Some(1519), ..Link::new(tap, stack) }
}

pub fn tap_and_stack() -> (DpdkIo, AfPacketIo) {
    let name = fresh("dtap");
    let tap = open(&format!("net_tap_{name},iface={name}"));
    (tap, AfPacketIo::open(&name).unwrap())
}

/// Receives and sends packets of the port's own memory, whatever it is called with.
pub struct WithoutCopies {
    io: DpdkIo,
    pool: Pool,
}

impl WithoutCopies {
    pub fn new(io: DpdkIo) -> Self {
        let pool = io.mempool().pool();
        Self { io, pool }
    }
}

impl PacketIo for WithoutCopies {
    fn rx_burst(&mut self, _: &Pool, out: &mut Burst) -> usize {
        self.io.rx_burst(&self.pool, out)
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        for packet in burst.iter_mut() {
            let mut ours = self.pool.alloc().unwrap();
            // One that does not fit is too long for the port as well.
            if ours.copy_from(packet.data()) {
                *packet = ours;
            }
        }
        let sent = self.io.tx_burst(burst);
        assert_eq!(self.io.copies(), dataplane::io::dpdk::Copies::default());
        sent
    }

    fn poll_fd(&self) -> Option<RawFd> {
        self.io.poll_fd()
    }

    fn stats(&self) -> IoStats {
        self.io.stats()
    }
}
