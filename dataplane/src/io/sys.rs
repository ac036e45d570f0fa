//! What the socket backends have in common: checked calls, options, interface requests, message arrays.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::IoError;

/// The system's error where a call says that there is one.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A new non-blocking socket.
pub(super) fn socket(domain: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointer goes in.
    let fd =
        check(unsafe { libc::socket(domain, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets a socket option that is one C `int`.
pub(super) fn set_option(
    fd: &OwnedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `len` octets are read from `value`.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) }).map(drop)
}

/// Asks for `bytes` of socket buffer: beyond the system's limit if this process may, up to it otherwise.
pub(super) fn set_buffers(fd: &OwnedFd, receive: usize, send: usize) -> io::Result<()> {
    let options =
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, receive), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send)];
    for (force, ask, bytes) in options {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        if set_option(fd, libc::SOL_SOCKET, force, bytes).is_err() {
            set_option(fd, libc::SOL_SOCKET, ask, bytes)?;
        }
    }
    Ok(())
}

/// What a refused receive or send means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing there, or no room now.
    Later,
    /// A signal handler ran: nothing happened yet.
    Again,
    /// The packet is too long.
    TooLong,
    /// Anything else.
    Other(i32),
}

/// Why the last call failed.
pub(super) fn last_refusal() -> Refusal {
    match io::Error::last_os_error().raw_os_error().unwrap_or(0) {
        libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => Refusal::Later,
        libc::EINTR => Refusal::Again,
        libc::EMSGSIZE => Refusal::TooLong,
        other => Refusal::Other(other),
    }
}

/// `recvmmsg` without waiting. Returns how many messages arrived.
///
/// # Safety
/// Every pointer in `messages` is valid for what the kernel writes there.
pub(super) unsafe fn receive(fd: BorrowedFd<'_>, messages: &mut [libc::mmsghdr]) -> Result<usize, Refusal> {
    loop {
        // SAFETY: the caller's promise; the count is that of the slice.
        let n = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                messages.as_mut_ptr(),
                messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if n >= 0 {
            return Ok(n as usize);
        }
        match last_refusal() {
            Refusal::Again => {}
            refusal => return Err(refusal),
        }
    }
}

/// `sendmmsg` without waiting. Returns how many messages went; a refusal is about the first.
///
/// # Safety
/// Every pointer in `messages` is valid for what the kernel reads there.
pub(super) unsafe fn send(fd: BorrowedFd<'_>, messages: &mut [libc::mmsghdr]) -> Result<usize, Refusal> {
    loop {
        // SAFETY: the caller's promise; the count is that of the slice.
        let n = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                messages.as_mut_ptr(),
                messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        if n > 0 {
            return Ok(n as usize);
        }
        if n == 0 {
            return Err(Refusal::Later);
        }
        match last_refusal() {
            Refusal::Again => {}
            refusal => return Err(refusal),
        }
    }
}

/// Room for control messages, aligned as their header wants.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub [u8; 64]);

impl Control {
    pub(super) const fn new() -> Self {
        Self([0; 64])
    }
}

/// Calls `f` with level, type and data of each control message of `message`.
///
/// # Safety
/// `message` was filled in by the kernel, and its control buffer is still there.
pub(super) unsafe fn each_control(
    message: &libc::msghdr,
    mut f: impl FnMut(libc::c_int, libc::c_int, &[u8]),
) {
    // SAFETY: the caller's promise is what CMSG_FIRSTHDR and CMSG_NXTHDR ask for, and the kernel's `cmsg_len` stays inside of the buffer.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = next.as_ref() {
            let len = header.cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize);
            f(header.cmsg_level, header.cmsg_type, std::slice::from_raw_parts(libc::CMSG_DATA(next), len));
            next = libc::CMSG_NXTHDR(message, next);
        }
    }
}

/// Follows the kernel's count of packets dropped for want of room in a socket (`SO_RXQ_OVFL`), which wraps at 2³².
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overflow(u32);

impl Overflow {
    /// Takes the count in; returns how many are new.
    pub(super) fn update(&mut self, count: u32) -> u64 {
        let new = count.wrapping_sub(self.0);
        self.0 = count;
        new.into()
    }
}

/// A request about the interface `name`, to be filled in.
pub(super) fn interface_request(name: &str) -> Result<libc::ifreq, IoError> {
    let valid = (1..libc::IFNAMSIZ).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'))
        && name != "."
        && name != "..";
    if !valid {
        return Err(IoError::BadName(name.to_owned()));
    }
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// The index of the interface `name` in this network namespace.
pub(super) fn interface_index(name: &str) -> io::Result<libc::c_int> {
    let name = CString::new(name)?;
    // SAFETY: the name is a C string.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index as libc::c_int),
    }
}

/// Lets the packet socket's interface receive more than its own, for as long as the socket is open: `PACKET_MR_PROMISC` or `PACKET_MR_ALLMULTI`.
pub(super) fn join(fd: &OwnedFd, interface: libc::c_int, what: libc::c_int) -> io::Result<()> {
    let request =
        libc::packet_mreq { mr_ifindex: interface, mr_type: what as _, mr_alen: 0, mr_address: [0; 8] };
    // SAFETY: as many octets are read as the structure has.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            size_of_val(&request) as libc::socklen_t,
        )
    })
    .map(drop)
}

/// An `ioctl` that takes an interface request.
pub(super) fn interface_ioctl(fd: RawFd, code: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every code that the backends use reads and writes at most one `ifreq`.
    check(unsafe { libc::ioctl(fd, code, &raw mut *request) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_refuses_are_refused() {
        for bad in ["", "sixteen-octets-x", "a b", "a/b", "a:b", "tap%d", ".", "..", "tæp", "a\n"] {
            assert!(matches!(interface_request(bad), Err(IoError::BadName(_))), "{bad:?}");
        }
        assert!(interface_request("fifteen-octets-").is_ok());
    }

    #[test]
    fn the_overflow_count_wraps() {
        let mut overflow = Overflow::default();
        assert_eq!(overflow.update(u32::MAX - 1), u64::from(u32::MAX) - 1);
        assert_eq!(overflow.update(3), 5);
        assert_eq!(overflow.update(3), 0);
    }
}
