//! A monitor interface as a packet socket: receives everything, injects frames as they are.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::OwnedFd;

use dot11::{MacAddr, radiotap};
use proto::tunnel::FrameInfo;

use super::{MAX_MESSAGE, ROUND, filter, reception};
use crate::sys;

/// <linux/if_packet.h>: do not loop back what this machine sends.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// NOSEQNO keeps the frame as it is: without it the kernel writes its own sequence number and a zero fragment number,
/// which CCMP's additional authentication data covers.
const TX_HEADER: [u8; 10] = radiotap::tx_header(radiotap::TX_FLAG_NOSEQNO);

#[derive(Debug)]
pub(super) struct Monitor {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Monitor {
    /// On the interface with this index. `strangers`: what tells who is near is heard as well.
    pub(super) fn open(index: u32, bssids: &[MacAddr], strangers: bool) -> io::Result<Monitor> {
        // Protocol 0: nothing arrives before filter and interface are set.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        filter::attach(&socket, bssids, strangers)?;
        sys::set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1 as &libc::c_int)?;
        sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &(256 << 10) as &libc::c_int)?;
        // SAFETY: all zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index as libc::c_int;
        sys::bind(&socket, &address, size_of::<libc::sockaddr_ll>())?;
        Ok(Monitor { socket, buffer: vec![0; MAX_MESSAGE] })
    }

    pub(super) fn pollfd(&self) -> libc::pollfd {
        sys::pollfd(&self.socket)
    }

    pub(super) fn receive(&mut self, heard: &mut dyn FnMut(&[u8], FrameInfo)) -> io::Result<()> {
        for _ in 0..2 * ROUND {
            let Some(len) = sys::receive(&self.socket, &mut self.buffer, false)? else { break };
            if let Some((frame, info)) = self.buffer.get(..len).and_then(reception) {
                heard(frame, info);
            }
        }
        Ok(())
    }

    /// Full queues lose the frame, as any radio does.
    pub(super) fn inject(&mut self, frame: &[u8]) -> io::Result<()> {
        match sys::send(&self.socket, &[&TX_HEADER, frame]) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS)) => Ok(()),
            sent => sent.map(drop),
        }
    }
}
