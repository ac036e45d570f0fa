//! UDP datagrams as packets, over the kernel's socket: a burst in and a burst out with one system call each.
//!
//! Runs of equally long datagrams to one endpoint go out as one segmented send (GSO, `UDP_SEGMENT`) and come in as one coalesced receive (GRO,
//! `UDP_GRO`), where the kernel does that. A datagram that came alone is received straight into its packet; only what was coalesced is copied.
//! Datagrams of zero length are packets of zero length.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::sys::{check, set_buffers, set_option, socket};
use super::{IoError, IoStats, PacketIo};
use crate::endpoint::Endpoint;
use crate::packet::{Burst, Pool};
use rx::Rx;
use tx::Tx;

mod rx;
mod tx;

/// How a UDP socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpConfig {
    /// Let several sockets of this user have the same port; the kernel spreads the peers over them. For a worker per core.
    pub reuse_port: bool,
    /// Octets of datagrams that the kernel queues before it drops. Without CAP_NET_ADMIN at most `net.core.rmem_max`.
    pub receive_buffer: usize,
    /// Octets on their way out. Without CAP_NET_ADMIN at most `net.core.wmem_max`.
    pub send_buffer: usize,
    /// Send runs as one segmented datagram, if the kernel can.
    pub gso: bool,
    /// Receive runs as one coalesced datagram, if the kernel can.
    pub gro: bool,
}

impl Default for UdpConfig {
    /// 8 MiB each way, GSO and GRO, a port of its own.
    fn default() -> Self {
        Self { reuse_port: false, receive_buffer: 8 << 20, send_buffer: 8 << 20, gso: true, gro: true }
    }
}

/// A UDP socket. Each received packet has its source in [`Meta::endpoint`](crate::packet::Meta); each packet to send goes to the endpoint that is there.
/// IPv4 peers of an IPv6 socket appear as, and are named by, their IPv4 address.
#[derive(Debug)]
pub struct UdpIo {
    fd: OwnedFd,
    local: SocketAddr,
    rx: Box<Rx>,
    tx: Box<Tx>,
    stats: IoStats,
}

impl UdpIo {
    /// Opens a socket at `address` (port 0: any free one) with the default configuration but for `reuse_port`.
    ///
    /// # Errors
    /// [`IoError::PortInUse`], [`IoError::AddressNotHere`], [`IoError::MissingCapability`] for ports below 1024, or [`IoError::System`].
    pub fn bind(address: SocketAddr, reuse_port: bool) -> Result<Self, IoError> {
        Self::bind_with(address, UdpConfig { reuse_port, ..UdpConfig::default() })
    }

    /// Opens a socket at `address` (port 0: any free one). An IPv6 wildcard address takes IPv4 peers as well.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with(address: SocketAddr, config: UdpConfig) -> Result<Self, IoError> {
        let system = |error| IoError::System { what: format!("open a UDP socket at {address}"), error };
        let domain = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        let fd = socket(domain, libc::SOCK_DGRAM, 0).map_err(system)?;
        if address.is_ipv6() {
            set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0).map_err(system)?;
        }
        if config.reuse_port {
            set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).map_err(system)?;
        }
        set_buffers(&fd, config.receive_buffer, config.send_buffer).map_err(system)?;
        set_option(&fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1).map_err(system)?;
        // A kernel that knows neither refuses these options, and we do without.
        let gso = config.gso && set_option(&fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        let gro = config.gro && set_option(&fd, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok();
        let Some((name, len)) = Address::new(address.into(), address.is_ipv6()) else {
            unreachable!("the family is the address's own")
        };
        // SAFETY: `len` octets are read from `name`.
        check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), len) }).map_err(|source| {
            match source.raw_os_error() {
                Some(libc::EADDRINUSE) => IoError::PortInUse(address),
                Some(libc::EADDRNOTAVAIL) => IoError::AddressNotHere(address),
                _ => IoError::of_call(format!("listen on {address}"), "CAP_NET_BIND_SERVICE", source),
            }
        })?;
        let mut name = Address::EMPTY;
        let mut len = size_of::<Address>() as libc::socklen_t;
        // SAFETY: at most `len` octets are written to `name`.
        check(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut name).cast(), &mut len) })
            .map_err(system)?;
        let local = name.get().known().map_or(address, SocketAddr::from);
        let tx = Tx::new(address.is_ipv6(), gso);
        Ok(Self { fd, local, rx: Rx::new(gro), tx, stats: IoStats::default() })
    }

    /// Where the socket listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Whether runs go out as one segmented datagram. Turns false when the kernel refuses to for good.
    pub fn gso(&self) -> bool {
        self.tx.gso()
    }

    /// Whether runs come in as one coalesced datagram.
    pub fn gro(&self) -> bool {
        self.rx.gro()
    }
}

impl PacketIo for UdpIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        self.rx.burst(self.fd.as_fd(), pool, out, &mut self.stats)
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        self.tx.burst(self.fd.as_fd(), burst, &mut self.stats)
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.fd.as_raw_fd())
    }

    fn rx_ready(&self) -> bool {
        self.rx.pending()
    }

    fn stats(&self) -> IoStats {
        self.stats
    }
}

/// A socket address as the kernel writes and reads it.
#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Address {
    const EMPTY: Self = Self {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// An endpoint as a socket of this family names it, and the length of that; `None` if an IPv4 socket cannot.
    fn new(endpoint: Endpoint, v6: bool) -> Option<(Self, libc::socklen_t)> {
        if v6 {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: endpoint.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: endpoint.ipv6() },
                sin6_scope_id: endpoint.scope(),
            };
            return Some((Self { v6: name }, size_of::<libc::sockaddr_in6>() as libc::socklen_t));
        }
        let name = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: endpoint.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(endpoint.ipv4()?) },
            sin_zero: [0; 8],
        };
        Some((Self { v4: name }, size_of::<libc::sockaddr_in>() as libc::socklen_t))
    }

    /// The address that the kernel wrote; [`Endpoint::NONE`] if it is none.
    fn get(&self) -> Endpoint {
        // SAFETY: both variants are plain integers that begin with the family, and every octet of the union is initialised.
        unsafe {
            match libc::c_int::from(self.v4.sin_family) {
                libc::AF_INET => {
                    Endpoint::v4(self.v4.sin_addr.s_addr.to_ne_bytes(), u16::from_be(self.v4.sin_port))
                }
                libc::AF_INET6 => {
                    let port = u16::from_be(self.v6.sin6_port);
                    Endpoint::v6(self.v6.sin6_addr.s6_addr, port, self.v6.sin6_scope_id)
                }
                _ => Endpoint::NONE,
            }
        }
    }
}
