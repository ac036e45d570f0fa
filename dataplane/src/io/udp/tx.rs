//! Sending: runs of packets to one endpoint as one message each, all of them with one `sendmmsg`.

use std::fmt;
use std::mem::zeroed;
use std::os::fd::BorrowedFd;

use super::Address;
use crate::endpoint::Endpoint;
use crate::io::IoStats;
use crate::io::sys::{Control, Refusal, send};
use crate::packet::{BURST, Burst, Packet};

/// Octets in a segmented datagram: with its headers still an IP packet.
const MAX_RUN: usize = 65_000;

pub(super) struct Tx {
    v6: bool,
    gso: bool,
    messages: [libc::mmsghdr; BURST],
    pieces: [libc::iovec; BURST],
    names: [Address; BURST],
    control: [Control; BURST],
    runs: [Run; BURST],
    refused: Refused,
}

// SAFETY: the pointers in `messages` and `pieces` are set anew before each use and never followed between uses.
unsafe impl Send for Tx {}

/// Packets that go as one message.
#[derive(Clone, Copy, Default)]
struct Run {
    packets: usize,
    bytes: usize,
}

impl Tx {
    pub(super) fn new(v6: bool, gso: bool) -> Box<Self> {
        Box::new(Self {
            v6,
            gso,
            // SAFETY: all zeros is a valid (empty) message header.
            messages: unsafe { zeroed() },
            // SAFETY: all zeros is a valid (empty) vector.
            pieces: unsafe { zeroed() },
            names: [Address::EMPTY; BURST],
            control: [Control::new(); BURST],
            runs: [Run::default(); BURST],
            refused: Refused::new(),
        })
    }

    pub(super) fn gso(&self) -> bool {
        self.gso
    }

    pub(super) fn burst(&mut self, fd: BorrowedFd<'_>, burst: &mut Burst, stats: &mut IoStats) -> usize {
        let mut done = 0;
        while done < burst.len() {
            let messages = self.build(&mut burst[done..]);
            if messages == 0 {
                stats.tx_no_endpoint += 1;
                done += 1;
                continue;
            }
            // SAFETY: `build` set all pointers, to places that live in `self` and `burst` until after the call.
            match unsafe { send(fd, &mut self.messages[..messages]) } {
                Ok(sent) => {
                    for run in &self.runs[..sent] {
                        stats.tx_packets += run.packets as u64;
                        stats.tx_bytes += run.bytes as u64;
                        done += run.packets;
                    }
                }
                Err(Refusal::Later) => {
                    stats.tx_full += 1;
                    break;
                }
                Err(refusal) if self.runs[0].packets > 1 => self.separate(&burst[done], refusal),
                Err(refusal) => {
                    match refusal {
                        Refusal::TooLong => stats.tx_oversize += 1,
                        _ => stats.tx_errors += 1,
                    }
                    done += 1;
                }
            }
        }
        drop(burst.drain_front(done));
        done
    }

    /// Builds messages for `packets` up to the first that cannot be sent. Returns how many.
    fn build(&mut self, packets: &mut [Packet]) -> usize {
        let (mut messages, mut at) = (0, 0);
        while at < packets.len() {
            let Some(endpoint) = packets[at].meta.endpoint.known() else { break };
            let Some((name, name_len)) = Address::new(endpoint, self.v6) else { break };
            let run = self.run(&packets[at..]);
            let pieces = &mut self.pieces[at..at + run.packets];
            for (piece, packet) in pieces.iter_mut().zip(&mut packets[at..]) {
                let data = packet.data_mut();
                *piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
            }
            self.names[messages] = name;
            let header = &mut self.messages[messages].msg_hdr;
            header.msg_name = (&raw mut self.names[messages]).cast();
            header.msg_namelen = name_len;
            header.msg_iov = pieces.as_mut_ptr();
            header.msg_iovlen = run.packets as _;
            if run.packets > 1 {
                header.msg_control = self.control[messages].0.as_mut_ptr().cast();
                header.msg_controllen =
                    set_segment(&mut self.control[messages], packets[at].len() as u16) as _;
            } else {
                header.msg_control = std::ptr::null_mut();
                header.msg_controllen = 0;
            }
            self.runs[messages] = run;
            messages += 1;
            at += run.packets;
        }
        messages
    }

    /// How many packets at the front can go as one message: all to one endpoint, all as long as the first but the last, which may be shorter.
    fn run(&self, packets: &[Packet]) -> Run {
        let (segment, endpoint) = (packets[0].len(), packets[0].meta.endpoint);
        let mut run = Run { packets: 1, bytes: segment };
        if !self.gso || segment == 0 || self.refused.contains(endpoint, segment) {
            return run;
        }
        for packet in &packets[1..] {
            let len = packet.len();
            if len == 0 || len > segment || run.bytes + len > MAX_RUN || packet.meta.endpoint != endpoint {
                break;
            }
            run.packets += 1;
            run.bytes += len;
            if len < segment {
                break;
            }
        }
        run
    }

    /// The kernel refused the run that begins with `first`: from now on its packets go one by one.
    fn separate(&mut self, first: &Packet, refusal: Refusal) {
        match refusal {
            // The way out cannot do the checksums that segmentation needs.
            Refusal::Other(libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT) => self.gso = false,
            // Segments are never cut into IP fragments, so these exceed the MTU of the path. Or the reason is another, which will show.
            _ => self.refused.insert(first.meta.endpoint, first.len()),
        }
    }
}

/// Writes the control message that gives the length of a segment. Returns the length of control messages.
fn set_segment(control: &mut Control, segment: u16) -> usize {
    // SAFETY: neither reads anything but its argument.
    let (len, space) = unsafe { (libc::CMSG_LEN(2), libc::CMSG_SPACE(2)) };
    let header = control.0.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: `Control` is aligned for a header and has room for one with two octets of data.
    unsafe {
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = len as _;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment);
    }
    space as usize
}

/// Endpoints whose path takes no segments of some length, as far as remembered: forgetting one costs a refused call.
struct Refused {
    entries: [Option<(Endpoint, usize)>; Self::ENTRIES],
}

impl Refused {
    const ENTRIES: usize = 64;

    fn new() -> Self {
        Self { entries: [None; Self::ENTRIES] }
    }

    fn contains(&self, endpoint: Endpoint, segment: usize) -> bool {
        self.entries[Self::slot(endpoint)].is_some_and(|(e, least)| e == endpoint && segment >= least)
    }

    fn insert(&mut self, endpoint: Endpoint, segment: usize) {
        self.entries[Self::slot(endpoint)] = Some((endpoint, segment));
    }

    fn slot(endpoint: Endpoint) -> usize {
        endpoint.spread() as usize % Self::ENTRIES
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("v6", &self.v6).field("gso", &self.gso).finish_non_exhaustive()
    }
}
