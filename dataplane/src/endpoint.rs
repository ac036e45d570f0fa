//! Where datagrams come from and go to, in one compact form for the packet path.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

/// The UDP address of a peer, and which of the gateway's own addresses it talks to. 24 octets without padding, in one canonical form: equal
/// endpoints are equal octets.
///
/// IPv4 addresses are kept as IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2), so one that a dual-stack socket reports in that form is the same
/// endpoint. Flow information does not count. All zeros is [`Endpoint::NONE`].
#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
pub struct Endpoint {
    address: [u8; 16],
    port: u16,
    /// Number of the gateway's own address that datagrams from this peer came in at, and that answers must leave from: NATs and stateful
    /// firewalls let nothing else back in. A backend that knows its addresses numbers them from 1, all workers' backends alike, and nobody else
    /// knows what a number means; 0 is the backend's own choice, as for a kernel socket. It is part of equality: a radio that turns to another
    /// of the gateway's addresses has moved. Control does not see it.
    pub local: u16,
    scope: u32,
}

const _: () = assert!(size_of::<Endpoint>() == 24 && align_of::<Endpoint>() == 8);

/// The first twelve octets of an IPv4-mapped address.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

impl Endpoint {
    /// Nowhere. Anything with port 0 is: no datagram can be answered there.
    pub const NONE: Self = Self { address: [0; 16], port: 0, local: 0, scope: 0 };

    /// Of an IPv4 address.
    #[inline]
    pub const fn v4(address: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = address;
        Self { address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d], port, local: 0, scope: 0 }
    }

    /// Of an IPv6 address; `scope` is the interface of a link-local one, 0 otherwise. An IPv4-mapped address has none.
    #[inline]
    pub fn v6(address: [u8; 16], port: u16, scope: u32) -> Self {
        let scope = if address.starts_with(&MAPPED) { 0 } else { scope };
        Self { address, port, local: 0, scope }
    }

    /// The same peer, at this address of the gateway's own.
    #[inline]
    pub const fn at(self, local: u16) -> Self {
        Self { local, ..self }
    }

    /// Whether it is nowhere.
    #[inline]
    pub const fn is_none(&self) -> bool {
        self.port == 0
    }

    /// Whether it is somewhere.
    #[inline]
    pub const fn is_some(&self) -> bool {
        self.port != 0
    }

    /// Itself, unless it is nowhere.
    #[inline]
    pub fn known(self) -> Option<Self> {
        self.is_some().then_some(self)
    }

    /// Whether datagrams there have an IPv6 header.
    #[inline]
    pub fn is_ipv6(&self) -> bool {
        !self.address.starts_with(&MAPPED)
    }

    /// The IPv4 address, if it is one.
    #[inline]
    pub fn ipv4(&self) -> Option<[u8; 4]> {
        let [.., a, b, c, d] = self.address;
        (!self.is_ipv6()).then_some([a, b, c, d])
    }

    /// The IPv6 address; of an IPv4 peer the mapped one.
    #[inline]
    pub const fn ipv6(&self) -> [u8; 16] {
        self.address
    }

    /// The UDP port.
    #[inline]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The interface of a link-local address; 0 otherwise.
    #[inline]
    pub const fn scope(&self) -> u32 {
        self.scope
    }

    /// Whether both are the same peer, at whichever of the gateway's addresses.
    #[inline]
    pub fn is_same_peer(&self, other: &Self) -> bool {
        self.at(0) == other.at(0)
    }

    /// A number that spreads endpoints over tables; not secret.
    #[inline]
    pub fn spread(&self) -> u64 {
        let [a, b, c] = self.words();
        let mixed = (a ^ b.rotate_left(29) ^ c.rotate_left(47)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    }

    /// Its octets, for copying between workers of one process.
    #[inline]
    pub fn to_octets(&self) -> [u8; 24] {
        let mut octets = [0; 24];
        for (to, word) in octets.chunks_exact_mut(8).zip(self.words()) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        octets
    }

    /// The reverse of [`to_octets`](Self::to_octets).
    #[inline]
    pub fn from_octets(octets: &[u8; 24]) -> Self {
        let [address @ .., p0, p1, l0, l1, s0, s1, s2, s3] = *octets;
        Self {
            address,
            port: u16::from_ne_bytes([p0, p1]),
            local: u16::from_ne_bytes([l0, l1]),
            scope: u32::from_ne_bytes([s0, s1, s2, s3]),
        }
    }

    #[inline]
    fn words(&self) -> [u64; 3] {
        let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = self.address;
        let ([p0, p1], [l0, l1]) = (self.port.to_ne_bytes(), self.local.to_ne_bytes());
        let [s0, s1, s2, s3] = self.scope.to_ne_bytes();
        [
            u64::from_ne_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            u64::from_ne_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
            u64::from_ne_bytes([p0, p1, l0, l1, s0, s1, s2, s3]),
        ]
    }
}

impl PartialEq for Endpoint {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Without a branch for each word.
        let ([a, b, c], [x, y, z]) = (self.words(), other.words());
        (a ^ x) | (b ^ y) | (c ^ z) == 0
    }
}

impl Eq for Endpoint {}

impl Hash for Endpoint {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().into_iter().for_each(|word| state.write_u64(word));
    }
}

impl From<SocketAddr> for Endpoint {
    #[inline]
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::v4(v4.ip().octets(), v4.port()),
            SocketAddr::V6(v6) => Self::v6(v6.ip().octets(), v6.port(), v6.scope_id()),
        }
    }
}

/// The peer; IPv4 as such.
impl From<Endpoint> for SocketAddr {
    #[inline]
    fn from(endpoint: Endpoint) -> Self {
        match endpoint.ipv4() {
            Some(ip) => (IpAddr::V4(Ipv4Addr::from(ip)), endpoint.port).into(),
            None => {
                SocketAddrV6::new(Ipv6Addr::from(endpoint.address), endpoint.port, 0, endpoint.scope).into()
            }
        }
    }
}

/// The peer's socket address.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&SocketAddr::from(*self), f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_none(), self.local) {
            (true, _) => f.write_str("nowhere"),
            (false, 0) => fmt::Display::fmt(self, f),
            (false, local) => write!(f, "{self} at local address {local}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<SocketAddr>().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn there_is_one_form_of_each() {
        let v4 = endpoint("192.0.2.1:5247");
        assert_eq!(v4, endpoint("[::ffff:192.0.2.1]:5247"));
        assert_eq!(v4, Endpoint::v6(v4.ipv6(), 5247, 9), "a mapped address has no scope");
        assert_eq!((v4.to_string(), v4.ipv4()), ("192.0.2.1:5247".to_owned(), Some([192, 0, 2, 1])));
        let v6 = endpoint("[fe80::1%3]:5247");
        let SocketAddr::V6(mut flow) = SocketAddr::from(v6) else { unreachable!() };
        flow.set_flowinfo(9);
        assert_eq!(Endpoint::from(SocketAddr::V6(flow)), v6);
        assert!(v6.is_ipv6() && !v4.is_ipv6());
        assert_eq!((v6.scope(), v6.to_string()), (3, "[fe80::1%3]:5247".to_owned()));
        assert_ne!(v6, endpoint("[fe80::1%4]:5247"));
    }

    #[test]
    fn the_own_address_is_part_of_it() {
        let here = endpoint("192.0.2.1:5247");
        assert_ne!(here, here.at(1));
        assert!(here.at(2).is_same_peer(&here.at(1)) && !here.is_same_peer(&endpoint("192.0.2.1:5248")));
        assert_eq!(here.at(1).to_string(), here.to_string());
        assert_eq!(format!("{:?}", here.at(1)), "192.0.2.1:5247 at local address 1");
    }

    #[test]
    fn nowhere_is_zeros() {
        assert_eq!((Endpoint::NONE.to_octets(), Endpoint::default()), ([0; 24], Endpoint::NONE));
        assert!(Endpoint::NONE.is_none() && Endpoint::NONE.known().is_none());
        assert!(endpoint("[::]:1").is_some());
    }

    proptest! {
        #[test]
        fn nothing_is_lost(address: [u8; 16], port: u16, local: u16, scope: u32, v4: bool) {
            let endpoint = if v4 {
                Endpoint::v4([address[0], address[1], address[2], address[3]], port)
            } else {
                Endpoint::v6(address, port, scope)
            };
            prop_assert_eq!(Endpoint::from(SocketAddr::from(endpoint)), endpoint);
            let endpoint = endpoint.at(local);
            prop_assert_eq!(Endpoint::from_octets(&endpoint.to_octets()), endpoint);
        }

        #[test]
        fn any_differing_octet_differs(octets: [u8; 24], at in 0usize..24, bit in 0u8..8) {
            let mut other = octets;
            other[at] ^= 1 << bit;
            prop_assert_ne!(Endpoint::from_octets(&octets), Endpoint::from_octets(&other));
        }
    }
}
