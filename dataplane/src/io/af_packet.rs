//! Ethernet frames from and to a network interface, over a packet socket (packet(7)).
//!
//! The kernel gives frames in a form that is not the one on the wire, and this puts that right: a VLAN tag that was taken off is put back (the auxiliary
//! data has it), and a checksum that a local sender left to a network card that is not there is filled in (the header that `PACKET_VNET_HDR` puts in
//! front says where). Frames that the kernel merged (receive offloads, segments of a local sender) are not taken apart: they are longer than a packet,
//! and dropped and counted as such. Opening turns the interface's receive merging off as far as it is allowed to.

use std::fmt;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::sys::{
    Control, Overflow, Refusal, check, each_control, interface_index, interface_request, join, receive, send,
    set_buffers, set_option, socket,
};
use super::{IoError, IoStats, PacketIo, ethtool};
use crate::packet::{BURST, Burst, Packet, Pool};

/// A packet socket on one interface. Receives everything that arrives there, and nothing that is sent from this machine through it.
pub struct AfPacketIo {
    fd: OwnedFd,
    name: String,
    arrays: Box<Arrays>,
    overflow: Overflow,
    stats: IoStats,
}

impl AfPacketIo {
    /// Opens the interface, in promiscuous mode.
    ///
    /// # Errors
    /// [`IoError::NoSuchInterface`], [`IoError::MissingCapability`], [`IoError::BadName`], or [`IoError::System`].
    pub fn open(name: &str) -> Result<Self, IoError> {
        interface_request(name)?;
        let system = |source: io::Error| match source.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => IoError::NoSuchInterface(name.to_owned()),
            _ => IoError::of_call(
                format!("receive and send frames on the network interface `{name}`"),
                "CAP_NET_RAW",
                source,
            ),
        };
        // With protocol 0 it receives nothing until bound: nothing from other interfaces slips in.
        let fd = socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(system)?;
        let index = interface_index(name).map_err(system)?;
        for option in [PACKET_AUXDATA, libc::PACKET_IGNORE_OUTGOING, PACKET_VNET_HDR] {
            set_option(&fd, libc::SOL_PACKET, option, 1).map_err(system)?;
        }
        set_option(&fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1).map_err(system)?;
        set_buffers(&fd, BUFFER, BUFFER).map_err(system)?;
        join(&fd, index, libc::PACKET_MR_PROMISC).map_err(system)?;
        ethtool::stop_merging(&fd, name);
        // SAFETY: all zeros is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as _;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `len` octets are read from `address`.
        check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) }).map_err(system)?;
        Ok(Self {
            fd,
            name: name.to_owned(),
            arrays: Arrays::new(),
            overflow: Overflow::default(),
            stats: IoStats::default(),
        })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes message `i`, received into `packet`, the frame that was on the wire. Gives it back unless it must be dropped (which is counted).
    fn take_message(&mut self, i: usize, mut packet: Packet) -> Option<Packet> {
        let message = &self.arrays.messages[i];
        let mut tag = None;
        // SAFETY: the kernel filled the message in, and its control buffer is in `self`.
        unsafe {
            each_control(&message.msg_hdr, |level, kind, data| match (level, kind) {
                (libc::SOL_PACKET, PACKET_AUXDATA) => tag = vlan_tag(data),
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    if let Some(count) = data.first_chunk() {
                        self.stats.rx_overflow += self.overflow.update(u32::from_ne_bytes(*count));
                    }
                }
                _ => {}
            });
        }
        let len = (message.msg_len as usize).saturating_sub(size_of::<VnetHeader>());
        let header = self.arrays.headers[i];
        let merged = header.gso_type != 0;
        packet.truncate(len);
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 || merged {
            self.stats.rx_truncated += 1;
            return None;
        }
        if header.flags & VNET_NEEDS_CHECKSUM != 0 {
            fill_in_checksum(packet.data_mut(), header.checksum_start.into(), header.checksum_offset.into());
        }
        if let Some(tag) = tag
            && packet.len() >= ADDRESSES
        {
            if packet.prepend(tag.len()).is_none() {
                self.stats.rx_truncated += 1;
                return None;
            }
            let data = packet.data_mut();
            data.copy_within(tag.len()..tag.len() + ADDRESSES, 0);
            data[ADDRESSES..ADDRESSES + tag.len()].copy_from_slice(&tag);
        }
        Some(packet)
    }
}

impl PacketIo for AfPacketIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        if out.is_full() {
            return 0;
        }
        let want = out.room().min(pool.free());
        if want == 0 {
            self.stats.rx_no_packet += 1;
            return 0;
        }
        let mut packets = [const { None }; BURST];
        for (i, place) in packets.iter_mut().enumerate().take(want) {
            let Some(mut packet) = pool.alloc() else { unreachable!("{want} are free") };
            let room = packet.tailroom();
            let Some(space) = packet.append(room) else { unreachable!("that is the room there is") };
            self.arrays.prepare(i, space);
            self.arrays.allow_control(i);
            *place = Some(packet);
        }
        // SAFETY: `prepare` set all pointers, to places that live in `self` and `packets` until after the call.
        let received = match unsafe { receive(self.fd.as_fd(), &mut self.arrays.messages[..want]) } {
            Ok(received) => received,
            Err(Refusal::Later) => 0,
            Err(_) => {
                self.stats.rx_errors += 1;
                0
            }
        };
        packets[received..].fill_with(|| None);
        let before = out.len();
        for (i, packet) in packets.into_iter().flatten().enumerate() {
            let Some(packet) = self.take_message(i, packet) else { continue };
            self.stats.rx_packets += 1;
            self.stats.rx_bytes += packet.len() as u64;
            if out.push(packet).is_err() {
                unreachable!("there was room for {want}");
            }
        }
        out.len() - before
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let mut done = 0;
        while done < burst.len() {
            for (i, packet) in burst[done..].iter_mut().enumerate() {
                self.arrays.headers[i] = VnetHeader::default();
                self.arrays.prepare(i, packet.data_mut());
            }
            let messages = &mut self.arrays.messages[..burst.len() - done];
            // SAFETY: `prepare` set all pointers, to places that live in `self` and `burst` until after the call.
            match unsafe { send(self.fd.as_fd(), messages) } {
                Ok(sent) => {
                    self.stats.tx_packets += sent as u64;
                    self.stats.tx_bytes +=
                        burst[done..done + sent].iter().map(|p| p.len() as u64).sum::<u64>();
                    done += sent;
                }
                Err(Refusal::Later) => {
                    self.stats.tx_full += 1;
                    break;
                }
                Err(refusal) => {
                    match refusal {
                        Refusal::TooLong => self.stats.tx_oversize += 1,
                        _ if burst[done].len() < MIN_FRAME => self.stats.tx_undersize += 1,
                        _ => self.stats.tx_errors += 1,
                    }
                    done += 1;
                }
            }
        }
        drop(burst.drain_front(done));
        done
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.fd.as_raw_fd())
    }

    fn stats(&self) -> IoStats {
        self.stats
    }
}

impl fmt::Debug for AfPacketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfPacketIo")
            .field("name", &self.name)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

const PACKET_AUXDATA: libc::c_int = 8;
const PACKET_VNET_HDR: libc::c_int = 15;
const VNET_NEEDS_CHECKSUM: u8 = 1;
const BUFFER: usize = 8 << 20;
/// Destination and source address, behind which the tag goes.
const ADDRESSES: usize = 12;
/// Two addresses and a type: less is no Ethernet frame.
const MIN_FRAME: usize = 14;

/// `struct virtio_net_hdr`, in this machine's byte order.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct VnetHeader {
    flags: u8,
    gso_type: u8,
    header_len: u16,
    gso_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

const _: () = assert!(size_of::<VnetHeader>() == 10);

struct Arrays {
    messages: [libc::mmsghdr; BURST],
    places: [[libc::iovec; 2]; BURST],
    headers: [VnetHeader; BURST],
    control: [Control; BURST],
}

// SAFETY: the pointers in `messages` and `places` are set anew before each use and never followed between uses.
unsafe impl Send for Arrays {}

impl Arrays {
    fn new() -> Box<Self> {
        Box::new(Self {
            // SAFETY: all zeros is a valid (empty) message header.
            messages: unsafe { zeroed() },
            // SAFETY: all zeros is a valid (empty) vector.
            places: unsafe { zeroed() },
            headers: [VnetHeader::default(); BURST],
            control: [Control::new(); BURST],
        })
    }

    /// Points message `i` at its header and `space`.
    fn prepare(&mut self, i: usize, space: &mut [u8]) {
        self.places[i] = [
            libc::iovec { iov_base: (&raw mut self.headers[i]).cast(), iov_len: size_of::<VnetHeader>() },
            libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() },
        ];
        // SAFETY: all zeros is a valid (empty) message header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = self.places[i].as_mut_ptr();
        header.msg_iovlen = 2;
        self.messages[i].msg_hdr = header;
    }

    fn allow_control(&mut self, i: usize) {
        let header = &mut self.messages[i].msg_hdr;
        header.msg_control = self.control[i].0.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
    }
}

/// The tag that the kernel took off, from `struct tpacket_auxdata`: status 4, lengths 8, offsets 4, tag control information 2, tag protocol 2.
fn vlan_tag(auxdata: &[u8]) -> Option<[u8; 4]> {
    let auxdata: &[u8; 20] = auxdata.first_chunk()?;
    let status = u32::from_ne_bytes([auxdata[0], auxdata[1], auxdata[2], auxdata[3]]);
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let control = u16::from_ne_bytes([auxdata[16], auxdata[17]]).to_be_bytes();
    let protocol = if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
        u16::from_ne_bytes([auxdata[18], auxdata[19]])
    } else {
        libc::ETH_P_8021Q as u16
    };
    let protocol = protocol.to_be_bytes();
    Some([protocol[0], protocol[1], control[0], control[1]])
}

/// Completes a checksum that covers everything from `start` on: its field, at `start + offset`, holds the sum of the pseudo header (RFC 1071).
fn fill_in_checksum(frame: &mut [u8], start: usize, offset: usize) {
    let Some(covered) = frame.get_mut(start..) else { return };
    if covered.len() < offset + 2 {
        return;
    }
    let words =
        covered.chunks(2).map(|w| u64::from(u16::from_be_bytes([w[0], w.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // All zeros would mean "none" to UDP, and all ones is the same number.
    let checksum = match !(sum as u16) {
        0 => 0xffff,
        checksum => checksum,
    };
    covered[offset..offset + 2].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 §3: the words sum to ddf2.
    #[test]
    fn a_checksum_is_filled_in() {
        let mut frame = [0xff, 0xff, 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x00, 0x00];
        fill_in_checksum(&mut frame, 2, 8);
        assert_eq!(frame[10..], (!0xddf2u16).to_be_bytes());
        let mut odd = [0x00, 0x01, 0x00, 0x00, 0x05];
        fill_in_checksum(&mut odd, 0, 2);
        assert_eq!(odd[2..4], (!0x0501u16).to_be_bytes());
    }

    #[test]
    fn a_checksum_of_zero_is_all_ones_and_one_outside_of_the_frame_is_left() {
        let mut frame = [0xff, 0xff, 0x00, 0x00];
        fill_in_checksum(&mut frame, 0, 2);
        assert_eq!(frame, [0xff; 4]);
        let before = frame;
        fill_in_checksum(&mut frame, 9, 0);
        fill_in_checksum(&mut frame, 2, 1);
        assert_eq!(frame, before);
    }

    #[test]
    fn a_tag_comes_out_of_auxiliary_data() {
        let mut auxdata = [0; 20];
        assert_eq!(vlan_tag(&auxdata), None);
        auxdata[0..4].copy_from_slice(&(libc::TP_STATUS_VLAN_VALID).to_ne_bytes());
        auxdata[16..18].copy_from_slice(&0xa064u16.to_ne_bytes());
        assert_eq!(vlan_tag(&auxdata), Some([0x81, 0x00, 0xa0, 0x64]));
        auxdata[0..4]
            .copy_from_slice(&(libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID).to_ne_bytes());
        auxdata[18..20].copy_from_slice(&0x88a8u16.to_ne_bytes());
        assert_eq!(vlan_tag(&auxdata), Some([0x88, 0xa8, 0xa0, 0x64]));
        assert_eq!(vlan_tag(&auxdata[..19]), None);
    }
}
