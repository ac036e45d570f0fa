//! Devices on a radio agent's simulated air: its Unix SOCK_SEQPACKET socket, where every message either way is one
//! radiotap header and one 802.11 frame without frame check sequence.
//!
//! [`Air`] drives any number of devices from one loop; [`spawn`] drives one from a thread of its own. This is the
//! one part of the crate that does I/O and reads the clock.

mod socket;
mod thread;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dot11::radiotap;

use crate::device::{Command, Device, Event, Output};
use crate::time::{Time, earliest};

pub use thread::{Handle, spawn};

/// The longest message: a radiotap header and the longest frame.
const MAX_MESSAGE: usize = 16 * 1024;
/// How soon to try again when the agent has gone.
const RETRY: Duration = Duration::from_millis(250);
/// Messages taken from one device before the next has its turn.
const ROUND: usize = 64;
/// 54 Mbit/s, in units of 500 kbit/s.
const RATE: u8 = 108;

/// Where a device is, as the radio hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Strength in dBm with which the radio hears it.
    pub signal: i8,
    /// The channel's centre frequency in MHz.
    pub frequency: u16,
}

impl Default for Place {
    /// Near, on channel 6.
    fn default() -> Place {
        Place { signal: -45, frequency: 2437 }
    }
}

/// A device among those of an [`Air`], by order of addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub usize);

/// Devices that share an agent, and the loop that drives them.
pub struct Air {
    path: PathBuf,
    epoch: Instant,
    members: Vec<Member>,
    /// Interrupts [`poll`](Air::poll) when something arrives on it.
    wake: Option<UnixStream>,
    buffer: Vec<u8>,
    events: Vec<(DeviceId, Event)>,
    lost: u64,
}

struct Member {
    device: Device,
    header: [u8; 15],
    /// The connection, or when to try for one again.
    socket: Result<OwnedFd, Time>,
}

impl Air {
    /// Nobody yet on the air of the agent that listens at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Air {
        Air {
            path: path.into(),
            epoch: Instant::now(),
            members: Vec::new(),
            wake: None,
            buffer: vec![0; MAX_MESSAGE],
            events: Vec::new(),
            lost: 0,
        }
    }

    /// Time on this air, from its making on.
    pub fn now(&self) -> Time {
        Time::ZERO + self.epoch.elapsed()
    }

    /// Brings a device onto the air, where it does nothing before it is told to. When the agent goes away later, the
    /// device waits for it to come back.
    ///
    /// # Errors
    /// Nobody listens at the path.
    pub fn add(&mut self, device: Device, place: Place) -> io::Result<DeviceId> {
        let socket = Ok(socket::connect(&self.path)?);
        let header = radiotap::rx_header(RATE, place.frequency, place.signal);
        self.members.push(Member { device, header, socket });
        Ok(DeviceId(self.members.len() - 1))
    }

    /// A device.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.members.get(id.0).map(|member| &member.device)
    }

    /// Frames that could not be sent because the agent was gone or did not read.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Tells a device to do something.
    pub fn command(&mut self, id: DeviceId, command: Command) {
        let now = self.now();
        self.with(id.0, |device, out| device.command(now, command, out));
    }

    /// Waits until something happens or `timeout` has passed, lets the devices act on it, and returns their events.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Vec<(DeviceId, Event)>> {
        let now = self.now();
        let due = self.members.iter().fold(None, |due, member| {
            let retry = member.socket.as_ref().err().copied();
            earliest(earliest(due, member.device.next_timeout()), retry)
        });
        let wait = match (due.map(|due| due - now), timeout) {
            // What a command just told must not wait.
            _ if !self.events.is_empty() => Some(Duration::ZERO),
            (Some(due), Some(timeout)) => Some(due.min(timeout)),
            (due, timeout) => due.or(timeout),
        };
        let mut fds: Vec<RawFd> = Vec::with_capacity(self.members.len() + 1);
        let mut owners = Vec::with_capacity(self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            if let Ok(socket) = &member.socket {
                fds.push(socket.as_raw_fd());
                owners.push(index);
            }
        }
        fds.extend(self.wake.as_ref().map(|wake| wake.as_raw_fd()));
        let ready = socket::poll(&fds, wait)?;
        for (index, ready) in owners.iter().zip(&ready) {
            if *ready {
                self.read(*index);
            }
        }
        if self.wake.is_some() && ready.last() == Some(&true) {
            self.drain_wake();
        }
        self.expire();
        Ok(std::mem::take(&mut self.events))
    }

    fn read(&mut self, index: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..ROUND {
            let Some(Ok(socket)) = self.members.get(index).map(|member| &member.socket) else { break };
            match socket::receive(socket, &mut buffer) {
                Ok(0) => self.gone(index),
                Ok(len) => {
                    let message = &buffer[..len];
                    let Ok(header) = radiotap::parse(message) else { continue };
                    let Some(frame) = message.get(header.len..) else { continue };
                    let now = self.now();
                    self.with(index, |device, out| device.receive(now, frame, header.signal_dbm, out));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.gone(index),
            }
        }
        self.buffer = buffer;
    }

    fn expire(&mut self) {
        let now = self.now();
        for index in 0..self.members.len() {
            if self.members[index].socket.as_ref().is_err_and(|retry| *retry <= now) {
                self.members[index].socket = socket::connect(&self.path).map_err(|_| now + RETRY);
            }
            if self.members[index].device.next_timeout().is_some_and(|due| due <= now) {
                self.with(index, |device, out| device.timeout(now, out));
            }
        }
    }

    fn gone(&mut self, index: usize) {
        let retry = self.now() + RETRY;
        self.members[index].socket = Err(retry);
    }

    /// Lets a device do something and carries out what it wants.
    fn with(&mut self, index: usize, what: impl FnOnce(&mut Device, &mut Vec<Output>)) {
        let Some(member) = self.members.get_mut(index) else { return };
        let mut out = Vec::new();
        what(&mut member.device, &mut out);
        for output in out {
            match output {
                Output::Event(event) => self.events.push((DeviceId(index), event)),
                Output::Frame(frame) => {
                    let message = [&member.header[..], &frame].concat();
                    // A frame that does not get through is lost, as on real air.
                    if !member.socket.as_ref().is_ok_and(|socket| socket::send(socket, &message).is_ok()) {
                        self.lost += 1;
                    }
                }
            }
        }
    }

    fn drain_wake(&mut self) {
        use std::io::Read;
        let mut octets = [0; 64];
        while let Some(wake) = &mut self.wake
            && wake.read(&mut octets).is_ok_and(|len| len == octets.len())
        {}
    }
}
