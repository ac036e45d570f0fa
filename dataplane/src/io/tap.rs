//! Ethernet frames to and from the kernel's network stack, over a TAP interface in the current network namespace.
//!
//! The interface has one queue per [`TapIo`]; the kernel spreads the flows that it sends us over them. One frame is one system call: the driver has no
//! call for several.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use super::sys::{Refusal, interface_ioctl, interface_request, last_refusal, socket};
use super::{IoError, IoStats, PacketIo};
use crate::packet::{Burst, Pool};

/// How a TAP interface is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// Queues, one for each worker. At least one.
    pub queues: usize,
    /// Octets of payload in a frame; `None` leaves the interface as it is (1500 when new).
    pub mtu: Option<u32>,
    /// Bring the interface up.
    pub up: bool,
}

impl Default for TapConfig {
    /// One queue, the kernel's MTU, up.
    fn default() -> Self {
        Self { queues: 1, mtu: None, up: true }
    }
}

/// One queue of a TAP interface. The interface goes when its last queue is dropped, unless it was made persistent from outside.
#[derive(Debug)]
pub struct TapIo {
    file: File,
    name: String,
    stats: IoStats,
}

impl TapIo {
    /// Makes the interface `name`, or opens it if it is there as a persistent one, with so many queues, and brings it up.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(name: &str, queues: usize) -> Result<Vec<Self>, IoError> {
        Self::open_with(name, TapConfig { queues, ..TapConfig::default() })
    }

    /// Makes the interface `name`, or opens it if it is there as a persistent one.
    ///
    /// # Errors
    /// [`IoError::NoTunDevice`], [`IoError::MissingCapability`], [`IoError::InterfaceBusy`], [`IoError::BadName`], or [`IoError::System`].
    pub fn open_with(name: &str, config: TapConfig) -> Result<Vec<Self>, IoError> {
        let queues =
            (0..config.queues.max(1)).map(|_| Self::open_queue(name)).collect::<Result<Vec<_>, _>>()?;
        let request = || interface_request(name);
        let failed = |what: &str| {
            let what = format!("{what} the TAP interface `{name}`");
            move |source| IoError::of_call(what, "CAP_NET_ADMIN", source)
        };
        let control: OwnedFd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0).map_err(failed("configure"))?;
        if let Some(mtu) = config.mtu {
            let mut request = request()?;
            request.ifr_ifru.ifru_mtu = i32::try_from(mtu).unwrap_or(i32::MAX);
            interface_ioctl(control.as_raw_fd(), libc::SIOCSIFMTU as _, &mut request)
                .map_err(failed(&format!("set the MTU {mtu} of")))?;
        }
        if config.up {
            let mut request = request()?;
            interface_ioctl(control.as_raw_fd(), libc::SIOCGIFFLAGS as _, &mut request)
                .map_err(failed("bring up"))?;
            // SAFETY: the request before wrote the flags.
            request.ifr_ifru.ifru_flags =
                unsafe { request.ifr_ifru.ifru_flags } | libc::IFF_UP as libc::c_short;
            interface_ioctl(control.as_raw_fd(), libc::SIOCSIFFLAGS as _, &mut request)
                .map_err(failed("bring up"))?;
        }
        Ok(queues)
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn open_queue(name: &str) -> Result<Self, IoError> {
        let mut request = interface_request(name)?;
        let what = || format!("create the TAP interface `{name}`");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(|source| match source.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => IoError::NoTunDevice,
                _ => IoError::of_call(what(), "CAP_NET_ADMIN", source),
            })?;
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        interface_ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request).map_err(|source| {
            match source.raw_os_error() {
                Some(libc::EBUSY | libc::EINVAL) => IoError::InterfaceBusy(name.to_owned()),
                _ => IoError::of_call(what(), "CAP_NET_ADMIN", source),
            }
        })?;
        Ok(Self { file, name: name.to_owned(), stats: IoStats::default() })
    }
}

impl PacketIo for TapIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        let before = out.len();
        while !out.is_full() {
            let Some(mut packet) = pool.alloc() else {
                self.stats.rx_no_packet += 1;
                break;
            };
            let room = packet.tailroom();
            let Some(space) = packet.append(room) else { unreachable!("that is the room there is") };
            // The driver cuts frames without saying so: an octet beyond the packet tells.
            let mut beyond = 0u8;
            let places = [
                libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: room },
                libc::iovec { iov_base: (&raw mut beyond).cast(), iov_len: 1 },
            ];
            // SAFETY: both places are valid for as many octets as they say.
            let got = unsafe { libc::readv(self.file.as_raw_fd(), places.as_ptr(), 2) };
            match usize::try_from(got) {
                Ok(got) if got > room => self.stats.rx_truncated += 1,
                Ok(got) => {
                    packet.truncate(got);
                    self.stats.rx_packets += 1;
                    self.stats.rx_bytes += got as u64;
                    if out.push(packet).is_err() {
                        unreachable!("it is not full");
                    }
                }
                Err(_) => match last_refusal() {
                    Refusal::Later => break,
                    Refusal::Again => {}
                    _ => {
                        self.stats.rx_errors += 1;
                        break;
                    }
                },
            }
        }
        out.len() - before
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let mut done = 0;
        while let Some(packet) = burst.get(done) {
            let data = packet.data();
            if data.len() < MIN_FRAME {
                self.stats.tx_undersize += 1;
                done += 1;
                continue;
            }
            // SAFETY: the octets are valid for as many as we say.
            let sent = unsafe { libc::write(self.file.as_raw_fd(), data.as_ptr().cast(), data.len()) };
            if sent >= 0 {
                self.stats.tx_packets += 1;
                self.stats.tx_bytes += data.len() as u64;
                done += 1;
                continue;
            }
            match last_refusal() {
                Refusal::Later => {
                    self.stats.tx_full += 1;
                    break;
                }
                Refusal::Again => {}
                Refusal::TooLong => {
                    self.stats.tx_oversize += 1;
                    done += 1;
                }
                Refusal::Other(_) => {
                    self.stats.tx_errors += 1;
                    done += 1;
                }
            }
        }
        drop(burst.drain_front(done));
        done
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.file.as_raw_fd())
    }

    fn stats(&self) -> IoStats {
        self.stats
    }
}

/// Two addresses and a type: less is no Ethernet frame.
const MIN_FRAME: usize = 14;
