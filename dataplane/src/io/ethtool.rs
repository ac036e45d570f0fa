//! Settings of network interfaces that decide what frames look like when they arrive here (ethtool(8)).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::sys::{interface_ioctl, interface_request};

/// Turns generic and large receive offload off, which merge frames. An interface that has neither, or a process that may not, changes nothing.
pub(super) fn stop_merging(fd: &OwnedFd, name: &str) {
    let _ = set_value(fd, name, ETHTOOL_SGRO, 0);
    clear_flag(fd, name, FLAG_LRO);
}

/// Leaves VLAN tags in the frames that arrive. An interface that takes none out, or a process that may not, changes nothing.
pub(super) fn keep_tags(fd: &OwnedFd, name: &str) {
    clear_flag(fd, name, FLAG_RX_VLAN);
}

/// Receive queues in use; 1 if the driver does not say.
pub(super) fn receive_queues(fd: &OwnedFd, name: &str) -> u32 {
    /// `struct ethtool_channels`: the most there can be, and what there are, each of receive, transmit, other, combined.
    #[repr(C)]
    struct Channels {
        command: u32,
        most: [u32; 4],
        now: [u32; 4],
    }
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    let mut channels = Channels { command: ETHTOOL_GCHANNELS, most: [0; 4], now: [0; 4] };
    match call(fd, name, (&raw mut channels).cast()) {
        Ok(()) => (channels.now[0] + channels.now[3]).max(1),
        Err(_) => 1,
    }
}

const ETHTOOL_SGRO: u32 = 0x2c;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const FLAG_RX_VLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;
const SIOCETHTOOL: libc::Ioctl = 0x8946;

fn clear_flag(fd: &OwnedFd, name: &str, flag: u32) {
    if let Ok(flags) = set_value(fd, name, ETHTOOL_GFLAGS, 0)
        && flags & flag != 0
    {
        let _ = set_value(fd, name, ETHTOOL_SFLAGS, flags & !flag);
    }
}

/// A request with one value, which may be its answer.
fn set_value(fd: &OwnedFd, name: &str, command: u32, data: u32) -> io::Result<u32> {
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let mut value = Value { command, data };
    call(fd, name, (&raw mut value).cast())?;
    Ok(value.data)
}

fn call(fd: &OwnedFd, name: &str, data: *mut libc::c_char) -> io::Result<()> {
    let mut request = interface_request(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    request.ifr_ifru.ifru_data = data;
    interface_ioctl(fd.as_raw_fd(), SIOCETHTOOL, &mut request)
}
