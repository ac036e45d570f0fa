//! Ethernet frames from and to a network interface that stays with the kernel, over AF_XDP sockets.
//!
//! A small XDP program on the interface ([`Take`]) decides which frames are ours; they go past the kernel's network stack into memory that we share
//! with it, in the best of three ways that the driver has: by the card itself (zero-copy), copied by the driver, or copied by the kernel's generic path.
//! [`AfXdpIo::mode`] says which. Everything else goes on to the kernel. The program goes with the last of the interface's ports, or with the process.
//!
//! Frames are as they are on the wire, so what a virtual interface leaves to hardware that it has not is missing: the peer of a veth that we
//! are on must fill in its checksums and VLAN tags, and not leave segmentation to others (`ethtool -K PEER tx off gso off tso off txvlan off`).

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use super::{IoError, IoStats, PacketIo};
use crate::packet::{Burst, Pool};
use crate::wake::Wait;
use bpf::Hook;
use interface::{Interface, refused};
use queue::{FRAME, Kick, Queue};

pub use program::Take;

mod asm;
mod bpf;
mod interface;
mod program;
mod queue;
mod ring;

/// How an interface is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfXdpConfig {
    /// Workers that share the interface's receive queues. At most as many as it has queues get frames.
    pub workers: usize,
    /// What is ours.
    pub take: Take,
    /// Frames for receiving, and as many for sending, per queue: a power of two. Each takes 4 KiB of locked memory.
    pub frames: u32,
    /// Keep away from the driver's XDP: for drivers that have it and should not.
    pub generic: bool,
}

impl Default for AfXdpConfig {
    /// Everything, for one worker, with 2 × 2048 frames a queue, in the best way there is.
    fn default() -> Self {
        Self { workers: 1, take: Take::Everything, frames: 2048, generic: false }
    }
}

/// Which way frames take. Displays as a few words for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfXdpMode {
    /// The card reads and writes our memory.
    ZeroCopy,
    /// The driver hands frames over, which are copied once.
    Driver,
    /// The kernel's generic receive path hands frames over, which are copied once.
    Generic,
}

/// Some receive queues of an interface, and a transmit queue. It can move to its worker, but not be shared.
pub struct AfXdpIo {
    queues: Vec<Queue>,
    /// The queue that is asked first next time.
    next: usize,
    /// More than one descriptor to sleep on.
    wait: Option<Wait>,
    /// What was put could not all be sent yet.
    kick_again: bool,
    /// The interface was down when something was last to be sent.
    down: bool,
    stats: IoStats,
    interface: Arc<Interface>,
}

impl AfXdpIo {
    /// Opens the interface for one worker, taking everything.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(name: &str) -> Result<Self, IoError> {
        Ok(Self::open_with(name, &AfXdpConfig::default())?.remove(0))
    }

    /// Opens the interface: one port per worker, each with its share of the receive queues.
    ///
    /// # Errors
    /// [`IoError::NoSuchInterface`], [`IoError::MissingCapability`], [`IoError::BadName`], [`IoError::XdpBusy`], [`IoError::BadSelection`],
    /// [`IoError::TooFewQueues`], or [`IoError::System`].
    pub fn open_with(name: &str, config: &AfXdpConfig) -> Result<Vec<Self>, IoError> {
        let interface = Arc::new(Interface::open(name, &config.take, config.generic)?);
        let workers = config.workers.max(1);
        if workers > interface.queues as usize {
            return Err(IoError::TooFewQueues {
                interface: name.to_owned(),
                queues: interface.queues,
                workers,
            });
        }
        let frames = config.frames.clamp(64, 1 << 15).next_power_of_two();
        let mut ports: Vec<Vec<Queue>> = (0..workers).map(|_| Vec::new()).collect();
        for queue in 0..interface.queues {
            ports[queue as usize % workers].push(Queue::open(&interface, queue, frames)?);
        }
        // All of them are there: now frames may come.
        for (first, queues) in ports.iter().enumerate() {
            for (queue, number) in queues.iter().zip((first as u32..).step_by(workers)) {
                interface.hand_to(number, queue.fd().as_fd())?;
            }
        }
        ports.into_iter().map(|queues| Self::new(queues, interface.clone())).collect()
    }

    fn new(queues: Vec<Queue>, interface: Arc<Interface>) -> Result<Self, IoError> {
        let mut wait = None;
        if queues.len() > 1 {
            let failed = |error| refused(&interface.name, error);
            let all = Wait::new().map_err(failed)?;
            for queue in &queues {
                all.add(queue.fd().as_raw_fd()).map_err(failed)?;
            }
            wait = Some(all);
        }
        let stats = IoStats::default();
        Ok(Self { queues, next: 0, wait, kick_again: false, down: false, stats, interface })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.interface.name
    }

    /// Which way frames take: the worst, if it differs between the queues.
    pub fn mode(&self) -> AfXdpMode {
        match self.interface.hook {
            Hook::Driver if self.queues.iter().all(|queue| queue.zero_copy) => AfXdpMode::ZeroCopy,
            Hook::Driver => AfXdpMode::Driver,
            Hook::Generic => AfXdpMode::Generic,
        }
    }

    /// Has the kernel send what was put into the transmit ring.
    fn kick(&mut self) {
        let kick = self.queues[TRANSMIT].kick();
        self.kick_again = kick == Kick::Later;
        self.down = kick == Kick::Down;
    }
}

impl PacketIo for AfXdpIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        if self.kick_again {
            self.kick();
        }
        if out.is_full() {
            return 0;
        }
        if pool.free() == 0 {
            self.stats.rx_no_packet += 1;
            return 0;
        }
        let before = out.len();
        for _ in 0..self.queues.len() {
            let queue = self.next;
            self.next = if queue + 1 == self.queues.len() { 0 } else { queue + 1 };
            let queue = &mut self.queues[queue];
            let stats = &mut self.stats;
            queue.receive(out.room().min(pool.free()), |frame| {
                let Some(mut packet) = pool.alloc() else { unreachable!("no more are taken than are free") };
                if !packet.copy_from(frame) {
                    stats.rx_truncated += 1;
                    return;
                }
                stats.rx_packets += 1;
                stats.rx_bytes += frame.len() as u64;
                if out.push(packet).is_err() {
                    unreachable!("no more are taken than there is room for");
                }
            });
        }
        out.len() - before
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        if burst.is_empty() {
            return 0;
        }
        if self.down {
            // What was put before it went down is still there, and goes first when it is up again.
            self.kick();
            if self.down {
                self.stats.tx_errors += burst.len() as u64;
                let lost = burst.len();
                burst.clear();
                return lost;
            }
        }
        let queue = &mut self.queues[TRANSMIT];
        queue.collect();
        let mut done = 0;
        let mut full = false;
        for packet in burst.iter() {
            let data = packet.data();
            if data.len() < MIN_FRAME {
                self.stats.tx_undersize += 1;
            } else if data.len() > self.interface.longest.min(FRAME) {
                self.stats.tx_oversize += 1;
            } else if queue.put(data) {
                self.stats.tx_packets += 1;
                self.stats.tx_bytes += data.len() as u64;
            } else {
                full = true;
                break;
            }
            done += 1;
        }
        self.stats.tx_full += u64::from(full);
        self.kick();
        drop(burst.drain_front(done));
        done
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(match &self.wait {
            Some(wait) => wait.as_raw_fd(),
            None => self.queues[0].fd().as_raw_fd(),
        })
    }

    /// Also while something is to be sent that could not be yet: whoever sleeps on the descriptor would not be woken for that.
    fn rx_ready(&self) -> bool {
        self.kick_again
    }

    fn stats(&self) -> IoStats {
        let mut stats = self.stats;
        for queue in &self.queues {
            let Ok(counters) = queue.counters() else { continue };
            stats.rx_overflow += counters.rx_dropped + counters.rx_ring_full;
            stats.rx_starved += counters.rx_fill_ring_empty_descs;
            stats.rx_errors += counters.rx_invalid_descs;
            stats.tx_errors += counters.tx_invalid_descs;
        }
        stats
    }
}

impl fmt::Debug for AfXdpIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfXdpIo")
            .field("name", &self.name())
            .field("mode", &self.mode())
            .field("queues", &self.queues.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AfXdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCopy => "driver, zero-copy",
            Self::Driver => "driver, copying",
            Self::Generic => "generic, copying",
        })
    }
}

/// The queue of a port through which it sends.
const TRANSMIT: usize = 0;
/// Two addresses and a type: less is no Ethernet frame.
const MIN_FRAME: usize = 14;
