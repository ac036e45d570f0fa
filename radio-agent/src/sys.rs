//! The few system calls that the standard library has not, each in a safe wrapper.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Gives the result of a system call, or its error.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_size(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A socket; `kind` without the flags that every socket of ours has (close on exec).
pub(crate) fn socket(domain: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is new and nobody else's.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol))?)) }
}

/// Binds to an address that is one of the `sockaddr` structures.
pub(crate) fn bind<A: Copy>(fd: &impl AsRawFd, address: &A, len: usize) -> io::Result<()> {
    assert!(len <= size_of::<A>());
    // SAFETY: `address` is valid for `len` octets, which the kernel only reads.
    check(unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(address).cast(), len as libc::socklen_t) })?;
    Ok(())
}

/// Sets an option to a plain value.
pub(crate) fn set_option<T: Copy>(
    fd: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is valid for `len` octets; options with pointers in them (filters) point to live memory during
    // the call, after which the kernel has its own copy.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len) })?;
    Ok(())
}

/// Sends without waiting and without SIGPIPE.
pub(crate) fn send(fd: &impl AsRawFd, parts: &[&[u8]]) -> io::Result<usize> {
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 2];
    assert!(parts.len() <= vectors.len());
    for (vector, part) in vectors.iter_mut().zip(parts) {
        *vector = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
    }
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    // SAFETY: the vectors point to `parts`, which live and are only read.
    check_size(unsafe { libc::sendmsg(fd.as_raw_fd(), &message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}

/// Receives one message; `Ok(None)` when none is there, or with `wait` until the socket's time-out. A message longer
/// than `buffer` gives its true length.
pub(crate) fn receive(fd: &impl AsRawFd, buffer: &mut [u8], wait: bool) -> io::Result<Option<usize>> {
    let flags = libc::MSG_TRUNC | if wait { 0 } else { libc::MSG_DONTWAIT };
    loop {
        // SAFETY: `buffer` is valid for writes of its length.
        let got = unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        match check_size(got) {
            Ok(len) => return Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// A listening SOCK_SEQPACKET socket at `path`.
pub(crate) fn listen_seqpacket(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK, 0)?;
    let (address, len) = unix_address(path)?;
    bind(&fd, &address, len)?;
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), 64) })?;
    Ok(fd)
}

/// Whether somebody listens on the SOCK_SEQPACKET socket at `path`.
pub(crate) fn is_served(path: &Path) -> bool {
    let connected = || -> io::Result<()> {
        let fd = socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0)?;
        let (address, len) = unix_address(path)?;
        let address = std::ptr::from_ref(&address).cast();
        // SAFETY: `address` is valid for `len` octets, which the kernel only reads.
        check(unsafe { libc::connect(fd.as_raw_fd(), address, len as libc::socklen_t) })?;
        Ok(())
    };
    connected().is_ok()
}

/// The next connection, if there is one.
pub(crate) fn accept(fd: &impl AsRawFd) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: accept4 takes null for an address that is not wanted; the descriptor is new and nobody else's.
    let accepted = unsafe {
        check(libc::accept4(fd.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags))
            .map(|fd| OwnedFd::from_raw_fd(fd))
    };
    match accepted {
        Ok(fd) => Ok(Some(fd)),
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn unix_address(path: &Path) -> io::Result<(libc::sockaddr_un, usize)> {
    // SAFETY: all zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let octets = path.as_os_str().as_bytes();
    if octets.len() >= address.sun_path.len() || octets.contains(&0) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in address.sun_path.iter_mut().zip(octets) {
        *to = *from as libc::c_char;
    }
    Ok((address, size_of::<libc::sa_family_t>() + octets.len() + 1))
}

/// A UDP socket on a free port, for IPv6 and IPv4 both where the kernel has both. Says whether it takes IPv6. What comes back
/// is kept for [`returned`].
pub(crate) fn udp_socket() -> io::Result<(UdpSocket, bool)> {
    let both = || -> io::Result<UdpSocket> {
        let fd = socket(libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, 0)?;
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &0 as &libc::c_int)?;
        // SAFETY: all zero is a valid sockaddr_in6; it is the unspecified address, port 0.
        let mut address: libc::sockaddr_in6 = unsafe { zeroed() };
        address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
        bind(&fd, &address, size_of::<libc::sockaddr_in6>())?;
        set_option(&fd, libc::SOL_IPV6, libc::IPV6_RECVERR, &1 as &libc::c_int)?;
        set_option(&fd, libc::SOL_IP, libc::IP_RECVERR, &1 as &libc::c_int)?;
        Ok(UdpSocket::from(fd))
    };
    if let Ok(socket) = both() {
        return Ok((socket, true));
    }
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.set_nonblocking(true)?;
    set_option(&socket, libc::SOL_IP, libc::IP_RECVERR, &1 as &libc::c_int)?;
    Ok((socket, false))
}

/// A datagram that came back.
pub(crate) struct Returned {
    /// Where it was sent to.
    pub(crate) to: SocketAddr,
    /// Octets of it that are quoted, at the beginning of the buffer.
    pub(crate) len: usize,
    /// Its host says that nobody has that port.
    pub(crate) refused: bool,
}

/// The next datagram that came back with an ICMP message, or was too long for the path; `None` when there is none.
pub(crate) fn returned(socket: &UdpSocket, buffer: &mut [u8]) -> Option<Returned> {
    // Place for an error, the address of who reports it, and their header, aligned as headers must be.
    let mut control = [0u64; 16];
    // SAFETY: all zero is a valid sockaddr_storage and a valid msghdr.
    let (mut to, mut message): (libc::sockaddr_storage, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = std::ptr::from_mut(&mut to).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the message points to `to`, `buffer` and `control`, which live and are valid for writes of their lengths.
    let len = check_size(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) }).ok()?;
    let mut refused = false;
    // SAFETY: the kernel has written a valid sequence of headers of `msg_controllen` octets, which the macros walk; an error
    // follows those of these two types, and may be read at any alignment.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            let kind = ((*header).cmsg_level, (*header).cmsg_type);
            if matches!(kind, (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)) {
                let error = libc::CMSG_DATA(header).cast::<libc::sock_extended_err>().read_unaligned();
                refused = error.ee_errno == libc::ECONNREFUSED as u32;
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    // SAFETY: the kernel has written an address of the family that it names; all zero is a valid one of either.
    let to = unsafe {
        match libc::c_int::from(to.ss_family) {
            libc::AF_INET => {
                let address = std::ptr::from_ref(&to).cast::<libc::sockaddr_in>().read();
                let octets = address.sin_addr.s_addr.to_ne_bytes();
                SocketAddr::from((octets, u16::from_be(address.sin_port)))
            }
            _ => {
                let address = std::ptr::from_ref(&to).cast::<libc::sockaddr_in6>().read();
                SocketAddr::from((address.sin6_addr.s6_addr, u16::from_be(address.sin6_port)))
            }
        }
    };
    Some(Returned { to: unmapped(to), len, refused })
}

/// An IPv4 address in the form that a socket for both takes.
pub(crate) fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        v6 => v6,
    }
}

/// The inverse of [`mapped`].
pub(crate) fn unmapped(address: SocketAddr) -> SocketAddr {
    let v4 = |ip: &Ipv6Addr| ip.to_ipv4_mapped();
    match address {
        SocketAddr::V6(v6) => v4(v6.ip()).map_or(address, |ip| SocketAddr::from((ip, v6.port()))),
        v4 => v4,
    }
}

/// A descriptor to wait for input on.
pub(crate) fn pollfd(fd: &impl AsRawFd) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Waits until one of `fds` is ready, or for `timeout`.
pub(crate) fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up: waking early would only be waking twice.
    let milliseconds = timeout
        .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
    // SAFETY: `fds` is valid for its length.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, milliseconds) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Blocks these signals and gives a descriptor to read them from.
pub(crate) fn signals(wanted: &[libc::c_int]) -> io::Result<OwnedFd> {
    // SAFETY: sigemptyset initialises the set before anything reads it; the descriptor is new and nobody else's.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        for signal in wanted {
            libc::sigaddset(&mut set, *signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))?;
        let fd = check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The next signal, if one came.
pub(crate) fn next_signal(fd: &impl AsRawFd) -> Option<libc::c_int> {
    // SAFETY: all zero is a valid signalfd_siginfo, and `info` is valid for a write of its size.
    let (info, got) = unsafe {
        let mut info: libc::signalfd_siginfo = zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        let got = libc::read(fd.as_raw_fd(), std::ptr::from_mut(&mut info).cast(), size);
        (info, got == size as isize)
    };
    got.then_some(info.ssi_signo as libc::c_int)
}

/// A counter that wakes [`poll`].
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is new and nobody else's.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?)) }
}

/// Wakes who waits on an [`eventfd`].
pub(crate) fn wake(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` is valid for a read of its length. It can fail only when the counter is full: awake already.
    unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Resets an [`eventfd`].
pub(crate) fn clear(fd: &impl AsRawFd) {
    let mut count = [0u8; 8];
    // SAFETY: `count` is valid for a write of its length.
    unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Fills `buffer` from the kernel's random source.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let mut at = 0;
    while at < buffer.len() {
        let rest = &mut buffer[at..];
        // SAFETY: `rest` is valid for writes of its length.
        match check_size(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) }) {
            Ok(len) => at += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sets a network interface up.
pub(crate) fn set_up(name: &str) -> io::Result<()> {
    let fd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut request = interface_request(name);
    let raw: RawFd = fd.as_raw_fd();
    // SAFETY: both requests read and write only the ifreq, whose flags every interface has.
    unsafe {
        check(libc::ioctl(raw, libc::SIOCGIFFLAGS as _, &mut request))?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        check(libc::ioctl(raw, libc::SIOCSIFFLAGS as _, &request))?;
    }
    Ok(())
}

/// Sets the longest packet that a network interface takes.
pub(crate) fn set_mtu(name: &str, octets: libc::c_int) -> io::Result<()> {
    let fd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut request = interface_request(name);
    request.ifr_ifru.ifru_mtu = octets;
    // SAFETY: the request reads only the ifreq.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCSIFMTU as _, &request) })?;
    Ok(())
}

fn interface_request(name: &str) -> libc::ifreq {
    // SAFETY: all zero is a valid ifreq, and the name stays terminated.
    let mut request: libc::ifreq = unsafe { zeroed() };
    let last = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..last].iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    request
}
