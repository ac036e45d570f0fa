//! Receiving: `recvmmsg` into packets, and taking coalesced datagrams apart.
//!
//! Each message has two places to go: first the packet, then a scratch slot. What came alone fits the packet and stays there. What was coalesced is
//! brought together in the slot and handed out segment by segment, over several bursts if need be:
//!
//! ```text
//!   packet: | segment 0 | begin of the rest |         slot: |  …  | begin of the rest | end of the rest |  …  |
//!                         └──────────── copied to ────────────────┘                   ^ HALF: where the kernel goes on
//! ```

use std::fmt;
use std::mem::zeroed;
use std::os::fd::BorrowedFd;

use super::Address;
use crate::endpoint::Endpoint;
use crate::io::IoStats;
use crate::io::sys::{Control, Overflow, Refusal, each_control, receive};
use crate::packet::{BURST, Burst, Packet, Pool};

/// Longer than any datagram.
const HALF: usize = 1 << 16;
const SLOT: usize = 2 * HALF;

pub(super) struct Rx {
    messages: [libc::mmsghdr; BURST],
    places: [[libc::iovec; 2]; BURST],
    names: [Address; BURST],
    control: [Control; BURST],
    overflow: Overflow,
    /// A slot per message, empty without GRO. Pages of it that are never needed are never there.
    scratch: Vec<u8>,
    /// What is left in the slots, in order; those before `next` are done.
    pending: Vec<Pending>,
    next: usize,
    /// Segments per message lately: how many messages to ask for so that their segments fit a burst.
    coalesced: usize,
}

// SAFETY: the pointers in `messages` and `places` are set anew before each use and never followed between uses.
unsafe impl Send for Rx {}

/// What is left of a message.
#[derive(Clone, Copy)]
struct Pending {
    endpoint: Endpoint,
    /// Where in `scratch`.
    start: usize,
    end: usize,
    /// Length of all segments but the last.
    segment: usize,
    /// Segments left. One for an empty datagram.
    segments: usize,
}

impl Rx {
    pub(super) fn new(gro: bool) -> Box<Self> {
        Box::new(Self {
            // SAFETY: all zeros is a valid (empty) message header.
            messages: unsafe { zeroed() },
            // SAFETY: all zeros is a valid (empty) vector.
            places: unsafe { zeroed() },
            names: [Address::EMPTY; BURST],
            control: [Control::new(); BURST],
            overflow: Overflow::default(),
            scratch: if gro { vec![0; BURST * SLOT] } else { Vec::new() },
            pending: Vec::with_capacity(BURST),
            next: 0,
            coalesced: 1,
        })
    }

    pub(super) fn gro(&self) -> bool {
        !self.scratch.is_empty()
    }

    /// Whether received segments wait.
    pub(super) fn pending(&self) -> bool {
        self.next < self.pending.len()
    }

    pub(super) fn burst(
        &mut self,
        fd: BorrowedFd<'_>,
        pool: &Pool,
        out: &mut Burst,
        stats: &mut IoStats,
    ) -> usize {
        let before = out.len();
        self.deliver_pending(pool, out, stats);
        if !self.pending() && !out.is_full() {
            self.receive(fd, pool, out, stats);
        }
        out.len() - before
    }

    fn receive(&mut self, fd: BorrowedFd<'_>, pool: &Pool, out: &mut Burst, stats: &mut IoStats) {
        let mut packets = [const { None }; BURST];
        let want = (out.room() / self.coalesced).max(1).min(pool.free());
        if want == 0 {
            stats.rx_no_packet += 1;
            return;
        }
        for (i, place) in packets.iter_mut().enumerate().take(want) {
            let Some(mut packet) = pool.alloc() else { unreachable!("{want} are free") };
            self.prepare(i, &mut packet);
            *place = Some(packet);
        }
        // SAFETY: `prepare` set all pointers, to places that live in `self` and `packets` until after the call.
        let received = match unsafe { receive(fd, &mut self.messages[..want]) } {
            Ok(received) => received,
            Err(Refusal::Later) => 0,
            Err(_) => {
                stats.rx_errors += 1;
                0
            }
        };
        // Those not needed go back now, so that segments can have them.
        packets[received..].fill_with(|| None);
        let mut segments = 0;
        for (i, packet) in packets.into_iter().flatten().enumerate() {
            segments += self.take_message(i, packet, pool, out, stats);
        }
        if let Some(mean) = segments.checked_div(received) {
            self.coalesced = mean.clamp(1, BURST);
        }
    }

    /// Points message `i` at `packet` and its slot.
    fn prepare(&mut self, i: usize, packet: &mut Packet) {
        let room = packet.tailroom().min(HALF);
        let Some(space) = packet.append(room) else { unreachable!("that is the room there is") };
        self.places[i][0] = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: room };
        let gro = self.gro();
        if gro {
            let overflow = &mut self.scratch[i * SLOT + HALF..(i + 1) * SLOT];
            self.places[i][1] = libc::iovec { iov_base: overflow.as_mut_ptr().cast(), iov_len: HALF };
        }
        let header = &mut self.messages[i].msg_hdr;
        header.msg_name = (&raw mut self.names[i]).cast();
        header.msg_namelen = size_of::<Address>() as libc::socklen_t;
        header.msg_iov = self.places[i].as_mut_ptr();
        header.msg_iovlen = if gro { 2 } else { 1 };
        header.msg_control = self.control[i].0.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
        header.msg_flags = 0;
    }

    /// Delivers message `i`, received into `packet` and its slot, as far as there is room; the rest becomes pending. Returns how many segments it had.
    fn take_message(
        &mut self,
        i: usize,
        mut packet: Packet,
        pool: &Pool,
        out: &mut Burst,
        stats: &mut IoStats,
    ) -> usize {
        let message = &self.messages[i];
        let len = message.msg_len as usize;
        let mut segment = 0;
        // SAFETY: the kernel filled the message in, and its control buffer is in `self`.
        unsafe {
            each_control(&message.msg_hdr, |level, kind, data| match (level, kind, data.first_chunk()) {
                (libc::SOL_UDP, libc::UDP_GRO, Some(size)) => {
                    segment = usize::try_from(i32::from_ne_bytes(*size)).unwrap_or(0);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, Some(count)) => {
                    stats.rx_overflow += self.overflow.update(u32::from_ne_bytes(*count));
                }
                _ => {}
            });
        }
        let coalesced = (1..len).contains(&segment);
        if !coalesced {
            segment = len;
        }
        let in_packet = len.min(packet.len());
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 || (!coalesced && len > in_packet) {
            stats.rx_truncated += 1;
            return 1;
        }
        let endpoint = self.names[i].get();
        let segments = if coalesced { len.div_ceil(segment) } else { 1 };
        let direct = !self.pending() && !out.is_full() && segment <= in_packet;
        // What of the packet does not stay there joins what the kernel put in the slot.
        let keep = if direct { segment } else { 0 };
        let (start, end) = (i * SLOT + HALF - (in_packet - keep), i * SLOT + HALF + (len - in_packet));
        let left = segments - usize::from(direct);
        if left > 0 {
            let moved = &packet.data()[keep..in_packet];
            self.scratch[start..][..moved.len()].copy_from_slice(moved);
            self.pending.push(Pending { endpoint, start, end, segment, segments: left });
        }
        if direct {
            packet.truncate(segment);
            deliver(packet, endpoint, out, stats);
        } else {
            drop(packet);
        }
        self.deliver_pending(pool, out, stats);
        segments
    }

    fn deliver_pending(&mut self, pool: &Pool, out: &mut Burst, stats: &mut IoStats) {
        while let Some(pending) = self.pending.get_mut(self.next) {
            while pending.segments > 0 {
                if out.is_full() {
                    return;
                }
                let Some(mut packet) = pool.alloc() else {
                    stats.rx_no_packet += 1;
                    return;
                };
                let segment = &self.scratch[pending.start..pending.end];
                let segment = &segment[..segment.len().min(pending.segment)];
                pending.start += segment.len();
                pending.segments -= 1;
                if packet.copy_from(segment) {
                    deliver(packet, pending.endpoint, out, stats);
                } else {
                    stats.rx_truncated += 1;
                }
            }
            self.next += 1;
        }
        self.pending.clear();
        self.next = 0;
    }
}

fn deliver(mut packet: Packet, endpoint: Endpoint, out: &mut Burst, stats: &mut IoStats) {
    packet.meta.endpoint = endpoint;
    stats.rx_packets += 1;
    stats.rx_bytes += packet.len() as u64;
    if out.push(packet).is_err() {
        unreachable!("the caller looked for room");
    }
}

impl fmt::Debug for Rx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rx")
            .field("gro", &self.gro())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
