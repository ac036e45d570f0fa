//! One AF_XDP socket: a receive and a transmit queue of an interface, its rings, and the memory that frames are in.

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::bpf::Hook;
use super::interface::{Interface, refused};
use super::ring::{Consumer, Mapping, Producer};
use crate::io::IoError;
use crate::io::sys::{Refusal, check, last_refusal, socket};

/// Octets of a frame's place in memory. The kernel keeps some of them in front of what it receives.
pub(super) const FRAME: usize = 4096;
/// Octets in front of a received frame: `XDP_PACKET_HEADROOM`.
const HEADROOM: usize = 256;

/// What became of an attempt to have the kernel send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kick {
    /// It takes everything.
    Done,
    /// There is something left to be sent.
    Later,
    /// The interface is down or gone.
    Down,
}

/// A socket on one queue. Half of the frames are for receiving and go round between the kernel and us; the others are for sending.
#[derive(Debug)]
pub(super) struct Queue {
    fd: OwnedFd,
    rx: Consumer<libc::xdp_desc>,
    fill: Producer<u64>,
    tx: Producer<libc::xdp_desc>,
    completion: Consumer<u64>,
    /// Frames to send in.
    free: Vec<u64>,
    memory: Mapping,
    /// Frames that are in the kernel's hands, to be sent.
    sending: u32,
    pub(super) zero_copy: bool,
}

impl Queue {
    /// Binds a socket with `frames` (a power of two) each for receiving and for sending to the queue. Nothing arrives there before
    /// [`Interface::hand_to`].
    pub(super) fn open(interface: &Interface, queue: u32, frames: u32) -> Result<Self, IoError> {
        let failed = |error| refused(&interface.name, error);
        let fd = socket(libc::AF_XDP, libc::SOCK_RAW, 0).map_err(failed)?;
        let memory = Mapping::anonymous(2 * frames as usize * FRAME).map_err(failed)?;
        register(&fd, &memory).map_err(failed)?;
        for ring in
            [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING, libc::XDP_TX_RING]
        {
            set(&fd, ring, &frames).map_err(failed)?;
        }
        let places = places(&fd).map_err(failed)?;
        let map = |place: &libc::xdp_ring_offset, entry: usize, offset: u64| {
            let len = place.desc as usize + frames as usize * entry;
            Mapping::of_socket(fd.as_fd(), len, offset as libc::off_t).map_err(failed)
        };
        let descriptor = size_of::<libc::xdp_desc>();
        let mut fill = Producer::new(map(&places.fr, 8, libc::XDP_UMEM_PGOFF_FILL_RING)?, &places.fr, frames);
        let completion =
            Consumer::new(map(&places.cr, 8, libc::XDP_UMEM_PGOFF_COMPLETION_RING)?, &places.cr, frames);
        let rx =
            Consumer::new(map(&places.rx, descriptor, libc::XDP_PGOFF_RX_RING as u64)?, &places.rx, frames);
        let tx =
            Producer::new(map(&places.tx, descriptor, libc::XDP_PGOFF_TX_RING as u64)?, &places.tx, frames);
        let address = |frame: u32| u64::from(frame) * FRAME as u64;
        for frame in 0..frames {
            fill.push(address(frame));
        }
        fill.publish();
        let zero_copy = bind(&fd, interface, queue).map_err(failed)?;
        let free = (frames..2 * frames).rev().map(address).collect();
        Ok(Self { fd, rx, fill, tx, completion, free, memory, sending: 0, zero_copy })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Passes at most `most` received frames to `take`, in order. How many.
    #[inline]
    pub(super) fn receive(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut n = 0;
        while n < most
            && let Some(frame) = self.rx.pop()
        {
            if let Some(octets) = self.octets(frame.addr, frame.len as usize) {
                // SAFETY: the range is in the memory, which the kernel zeroed or filled, and until the frame is in the FILL ring it is ours.
                take(unsafe { std::slice::from_raw_parts(octets.as_ptr(), frame.len as usize) });
            }
            // There is room: no more frames go round than the ring has entries.
            self.fill.push(frame.addr & !(FRAME as u64 - 1));
            n += 1;
        }
        if n > 0 {
            self.rx.release();
            self.fill.publish();
            if self.fill.needs_wakeup() {
                // SAFETY: no pointer goes in. What it answers does not matter: the flag stays set if it failed.
                unsafe {
                    libc::recvfrom(
                        self.fd.as_raw_fd(),
                        std::ptr::null_mut(),
                        0,
                        libc::MSG_DONTWAIT,
                        std::ptr::null_mut(),
                        std::ptr::null_mut(),
                    )
                };
            }
        }
        n
    }

    /// Puts a frame of at most [`FRAME`] octets into the ring, to be sent with the next [`kick`](Self::kick). False if there is no room now.
    #[inline]
    pub(super) fn put(&mut self, data: &[u8]) -> bool {
        let Some(address) = self.free.pop() else { return false };
        let Some(place) = self.octets(address, data.len()) else {
            self.free.push(address);
            return false;
        };
        // SAFETY: the range is in the memory, and a free frame is nobody else's.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(data).cast(), data.len()) };
        // There is room: there are no more frames to send in than the ring has entries.
        self.tx.push(libc::xdp_desc { addr: address, len: data.len() as u32, options: 0 });
        self.sending += 1;
        true
    }

    /// Takes back the frames that were sent.
    #[inline]
    pub(super) fn collect(&mut self) {
        let before = self.sending;
        while let Some(address) = self.completion.pop() {
            self.free.push(address & !(FRAME as u64 - 1));
            self.sending = self.sending.saturating_sub(1);
        }
        if self.sending != before {
            self.completion.release();
        }
    }

    /// Has the kernel send what was put.
    pub(super) fn kick(&mut self) -> Kick {
        self.tx.publish();
        if !self.tx.needs_wakeup() {
            return Kick::Done;
        }
        // In copy mode, one call sends a limited number of frames.
        for _ in 0..KICKS {
            if self.tx.pending() == 0 {
                return Kick::Done;
            }
            // SAFETY: no pointer goes in.
            let result = unsafe {
                libc::sendto(
                    self.fd.as_raw_fd(),
                    std::ptr::null(),
                    0,
                    libc::MSG_DONTWAIT,
                    std::ptr::null(),
                    0,
                )
            };
            if result < 0 {
                match last_refusal() {
                    Refusal::Later | Refusal::Again | Refusal::Other(libc::EBUSY) => {}
                    Refusal::TooLong | Refusal::Other(_) => return Kick::Down,
                }
            }
        }
        if self.tx.pending() == 0 { Kick::Done } else { Kick::Later }
    }

    /// The socket's own counters.
    pub(super) fn counters(&self) -> io::Result<libc::xdp_statistics> {
        get(&self.fd, libc::XDP_STATISTICS)
    }

    /// Where `len` octets from `address` on are, if they are in the memory.
    #[inline]
    fn octets(&self, address: u64, len: usize) -> Option<NonNull<u8>> {
        let address = usize::try_from(address).ok()?;
        if address.checked_add(len)? > self.memory.len() {
            return None;
        }
        // SAFETY: just checked.
        Some(unsafe { self.memory.start().add(address) })
    }
}

const KICKS: usize = 8;

const _: () = assert!(FRAME.is_power_of_two() && FRAME - HEADROOM >= 1518);

/// Makes `memory` what the socket's frames are in.
fn register(fd: &OwnedFd, memory: &Mapping) -> io::Result<()> {
    // SAFETY: all zeros is a valid registration.
    let mut registration: libc::xdp_umem_reg = unsafe { zeroed() };
    registration.addr = memory.start().as_ptr() as u64;
    registration.len = memory.len() as u64;
    registration.chunk_size = FRAME as u32;
    set(fd, libc::XDP_UMEM_REG, &registration)
}

/// Binds, without copies between driver and memory if the driver can; whether it can.
fn bind(fd: &OwnedFd, interface: &Interface, queue: u32) -> io::Result<bool> {
    let bind = |flags: u16| {
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags | libc::XDP_USE_NEED_WAKEUP,
            sxdp_ifindex: interface.index,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `len` octets are read from `address`.
        check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })
    };
    // The kernel frees a queue some time after its last socket was closed.
    let deadline = Instant::now() + Duration::from_secs(1);
    let bind = |flags| {
        loop {
            match bind(flags) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    };
    if interface.hook == Hook::Driver {
        match bind(libc::XDP_ZEROCOPY) {
            Ok(_) => return Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EPERM)) => {
                return Err(error);
            }
            // The driver has no zero-copy, or not on this queue.
            Err(_) => {}
        }
    }
    bind(libc::XDP_COPY).map(|_| false)
}

fn places(fd: &OwnedFd) -> io::Result<libc::xdp_mmap_offsets> {
    get(fd, libc::XDP_MMAP_OFFSETS)
}

/// Sets an option of the AF_XDP socket.
fn set<T>(fd: &OwnedFd, name: libc::c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `len` octets are read from `value`.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, (&raw const *value).cast(), len) })
        .map(drop)
}

/// Reads an option of the AF_XDP socket: one that is a structure of integers.
fn get<T: Copy>(fd: &OwnedFd, name: libc::c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: at most `len` octets are written to `value`.
    check(unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, value.as_mut_ptr().cast(), &raw mut len)
    })?;
    if (len as usize) < size_of::<T>() {
        // A kernel before 5.4 has shorter ones.
        return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
    }
    // SAFETY: integers are valid whatever their bits are.
    Ok(unsafe { value.assume_init() })
}
