//! The steering program on its interface, and what else holds for all queues of that.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::bpf::{self, Hook};
use super::program::{Take, XDP_PASS, steering};
use crate::io::sys::{interface_index, interface_ioctl, interface_request, join, socket};
use crate::io::{IoError, ethtool};

/// An interface that hands frames to the sockets in its map. Ends that when dropped.
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) queues: u32,
    pub(super) hook: Hook,
    /// Octets of the longest frame that may be sent.
    pub(super) longest: usize,
    map: OwnedFd,
    link: OwnedFd,
    /// Keeps the interface in promiscuous mode, and is for its settings.
    _control: OwnedFd,
}

impl Interface {
    /// Attaches the program: in the driver if that can, and in the kernel's generic path otherwise, or if only that is wanted.
    pub(super) fn open(name: &str, take: &Take, generic_only: bool) -> Result<Self, IoError> {
        interface_request(name)?;
        if !take.is_sensible() {
            return Err(IoError::BadSelection);
        }
        let failed = |error| refused(name, error);
        let control = socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(failed)?;
        let index = interface_index(name).map_err(failed)?;
        if take.beyond_own_address() {
            join(&control, index, libc::PACKET_MR_PROMISC).map_err(failed)?;
        }
        ethtool::keep_tags(&control, name);
        let queues = ethtool::receive_queues(&control, name);
        let longest = longest_frame(&control, name).map_err(failed)?;
        let map = bpf::socket_map(queues).map_err(failed)?;
        let program = bpf::load(&steering(take, map.as_raw_fd(), XDP_PASS)).map_err(failed)?;
        let attach = |hook| bpf::attach(program.as_fd(), index as u32, hook);
        let in_driver = if generic_only { None } else { Some(attach(Hook::Driver)) };
        let (link, hook) = match in_driver {
            Some(Ok(link)) => (link, Hook::Driver),
            Some(Err(error))
                if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST | libc::EPERM)) =>
            {
                return Err(failed(error));
            }
            // The driver has no XDP, or not with this configuration of the interface.
            Some(Err(_)) | None => (attach(Hook::Generic).map_err(failed)?, Hook::Generic),
        };
        if hook == Hook::Generic {
            // There, frames come after they were merged.
            ethtool::stop_merging(&control, name);
        }
        Ok(Self {
            name: name.to_owned(),
            index: index as u32,
            queues,
            hook,
            longest,
            map,
            link,
            _control: control,
        })
    }

    /// Hands the queue's frames to the socket from now on.
    pub(super) fn hand_to(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), IoError> {
        bpf::set_socket(self.map.as_fd(), queue, socket).map_err(|error| refused(&self.name, error))
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        // If that fails, closing the descriptor does it.
        let _ = bpf::detach(self.link.as_fd());
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interface")
            .field("name", &self.name)
            .field("hook", &self.hook)
            .finish_non_exhaustive()
    }
}

/// What a failed call on the way to AF_XDP on `name` means.
pub(super) fn refused(name: &str, error: io::Error) -> IoError {
    let what = format!("receive and send frames on the network interface `{name}` with AF_XDP");
    match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => IoError::NoSuchInterface(name.to_owned()),
        Some(libc::EBUSY | libc::EEXIST) => IoError::XdpBusy(name.to_owned()),
        Some(libc::EPERM | libc::EACCES) => match missing_capability() {
            Some(capability) => IoError::MissingCapability { what, capability },
            None => IoError::System { what, error },
        },
        Some(libc::ENOBUFS) => IoError::System {
            what: format!(
                "{what}: too little memory may be locked; set LimitMEMLOCK=infinity in the systemd unit, or \
                 `ulimit -l unlimited`, or give the process CAP_IPC_LOCK"
            ),
            error,
        },
        Some(libc::EAFNOSUPPORT) => IoError::System {
            what: format!("{what}: the kernel has no AF_XDP (CONFIG_XDP_SOCKETS); use af-packet instead"),
            error,
        },
        _ => IoError::System { what, error },
    }
}

/// The first of the capabilities needed that this thread lacks.
fn missing_capability() -> Option<&'static str> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    // Effective, permitted, inheritable; the lower 32 capabilities and the upper.
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: version 3 writes two times three words.
    if unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) } != 0 {
        return None;
    }
    [("CAP_NET_RAW", 13), ("CAP_NET_ADMIN", 12), ("CAP_BPF", 39)]
        .into_iter()
        .find(|&(_, number)| sets[number / 32][0] & 1 << (number % 32) == 0)
        .map(|(name, _)| name)
}

/// The MTU, an Ethernet header and one VLAN tag.
fn longest_frame(control: &OwnedFd, name: &str) -> io::Result<usize> {
    let mut request = interface_request(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    interface_ioctl(control.as_raw_fd(), libc::SIOCGIFMTU as _, &mut request)?;
    // SAFETY: the request wrote the MTU.
    Ok(unsafe { request.ifr_ifru.ifru_mtu } as usize + 14 + 4)
}
