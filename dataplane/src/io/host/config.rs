//! What an operator says about the gateway as an IP host on a port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use dot11::MacAddr;

use crate::inet::{is_ipv4_host, is_ipv6_host};

/// The host on one port, whatever number of queues it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// The port's Ethernet address.
    pub mac: MacAddr,
    /// Octets of the longest IP packet on this link.
    pub mtu: u16,
    /// The VLAN that everything is tagged with; `None`: untagged.
    pub vlan: Option<u16>,
    /// Our addresses, and what is on the link with them.
    pub addresses: Vec<Prefix>,
    /// Where everything else goes, at most one for each family. Without one, packets go back to where the peer's come from.
    pub gateways: Vec<IpAddr>,
    /// The UDP port that radios send to.
    pub port: u16,
    /// Verify UDP checksums. Not needed where the device has done so.
    pub verify_checksums: bool,
    /// Neighbours known at a time, per worker.
    pub neighbours: usize,
    /// Peers beyond the link whose next hop is learnt at a time, if there is no gateway to send to.
    pub learnt: usize,
    /// Peers whose path MTU is known to be less than the link's, at a time.
    pub paths: usize,
    /// Any number nobody outside knows: makes the order in tables, and fragment identifications, unpredictable.
    pub seed: u64,
}

/// RFC 5415's port for the data channel.
pub const CAPWAP_DATA: u16 = 5247;

impl HostConfig {
    /// A host with these addresses and nothing else said.
    pub fn new(mac: MacAddr, addresses: Vec<Prefix>) -> Self {
        Self {
            mac,
            mtu: 1500,
            vlan: None,
            addresses,
            gateways: Vec::new(),
            port: CAPWAP_DATA,
            verify_checksums: true,
            neighbours: 1024,
            learnt: 65536,
            paths: 65536,
            seed: 0x5bd1_e995_9e37_79b9,
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`HostError`] says what does not.
    pub fn check(&self) -> Result<(), HostError> {
        use HostError as E;
        if self.addresses.is_empty() {
            return Err(E::NoAddress);
        }
        if self.addresses.len() > MAX_ADDRESSES {
            return Err(E::ManyAddresses(self.addresses.len()));
        }
        for (i, prefix) in self.addresses.iter().enumerate() {
            if !is_host(prefix.address) || Some(prefix.address) == prefix.broadcast().map(IpAddr::V4) {
                return Err(E::NotAHost(prefix.address));
            }
            if self.addresses[..i].iter().any(|other| other.address == prefix.address) {
                return Err(E::Twice(prefix.address));
            }
        }
        for (i, &gateway) in self.gateways.iter().enumerate() {
            let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
            let family = |address: &IpAddr| address.is_ipv4() == gateway.is_ipv4();
            if !is_host(gateway) || self.addresses.iter().any(|prefix| prefix.address == gateway) {
                return Err(E::BadGateway(gateway));
            }
            if self.gateways[..i].iter().any(family) {
                return Err(E::ManyGateways);
            }
            if !link_local && !self.addresses.iter().any(|prefix| prefix.contains(gateway)) {
                return Err(E::DistantGateway(gateway));
            }
        }
        if self.mac.is_group() || self.mac == MacAddr::ZERO {
            return Err(E::BadMac(self.mac));
        }
        if self.vlan.is_some_and(|vlan| vlan == 0 || vlan > 4094) {
            return Err(E::BadVlan(self.vlan.unwrap_or_default()));
        }
        let least = if self.addresses.iter().any(|prefix| prefix.address.is_ipv6()) { 1280 } else { 576 };
        if self.mtu < least {
            return Err(E::SmallMtu(self.mtu, least));
        }
        if self.port == 0 {
            return Err(E::NoPort);
        }
        Ok(())
    }
}

/// More serve nobody, and are looked through one by one.
pub const MAX_ADDRESSES: usize = 32;

/// An address and how much of it the link has in common, as `192.0.2.10/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Our address.
    pub address: IpAddr,
    /// Bits.
    pub len: u8,
}

impl Prefix {
    /// Whether an address is on the same link.
    #[inline]
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.len)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.len)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }

    /// Its address for all hosts of the link, if it has one: not in /31 (RFC 3021) and /32.
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(own) if self.len < 31 => {
                Some(Ipv4Addr::from_bits(own.to_bits() | u32::MAX.checked_shr(self.len.into()).unwrap_or(0)))
            }
            _ => None,
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let wrong = || PrefixError(text.to_owned());
        let (address, len) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let len: u8 = len.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if len > most { Err(wrong()) } else { Ok(Self { address, len }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// A text that is not an address with its prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address with the length of its prefix: write it as 192.0.2.10/24 or 2001:db8::10/64"
)]
pub struct PrefixError(String);

/// Why a host cannot be set up like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It needs one.
    #[error("there is no address: name at least one, as 192.0.2.10/24")]
    NoAddress,
    /// More than make sense.
    #[error("{0} addresses are more than the {MAX_ADDRESSES} that one port can have")]
    ManyAddresses(usize),
    /// A group, loopback or broadcast address.
    #[error(
        "{0} is not an address that a host can have: it is a multicast, broadcast, loopback or reserved one"
    )]
    NotAHost(IpAddr),
    /// Named twice.
    #[error("the address {0} is there twice: remove one")]
    Twice(IpAddr),
    /// Not a host, or ourselves.
    #[error("{0} cannot be the gateway: it is an address of our own, or none that a host can have")]
    BadGateway(IpAddr),
    /// Two of one family.
    #[error("there are two gateways of one family: name one for IPv4 and one for IPv6 at most")]
    ManyGateways,
    /// It is not on the link.
    #[error(
        "the gateway {0} is on none of the prefixes of the addresses, so nothing can be sent to it: check both"
    )]
    DistantGateway(IpAddr),
    /// A group address or all zeros.
    #[error("{0} is not an Ethernet address that a port can have: it is a group address or all zeros")]
    BadMac(MacAddr),
    /// 802.1Q has 1 to 4094.
    #[error("VLAN {0} does not exist: 1 to 4094, or leave it out for untagged frames")]
    BadVlan(u16),
    /// IP demands more.
    #[error("an MTU of {0} octets is less than IP needs on a link: {1} or more")]
    SmallMtu(u16, u16),
    /// Zero.
    #[error("UDP port 0 does not exist: RFC 5415's port is 5247")]
    NoPort,
}

fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_ipv4_host(v4),
        IpAddr::V6(v6) => is_ipv6_host(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(addresses: &[&str], gateways: &[&str]) -> HostConfig {
        HostConfig {
            gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
            ..HostConfig::new(
                MacAddr([2, 0, 0, 0, 0, 1]),
                addresses.iter().map(|text| text.parse().unwrap()).collect(),
            )
        }
    }

    #[test]
    fn prefixes_are_read_and_compared() {
        let prefix: Prefix = "192.0.2.10/24".parse().unwrap();
        assert_eq!(
            (prefix.to_string(), prefix.broadcast()),
            ("192.0.2.10/24".into(), "192.0.2.255".parse().ok())
        );
        assert!(
            prefix.contains("192.0.2.255".parse().unwrap()) && !prefix.contains("192.0.3.0".parse().unwrap())
        );
        assert!(!prefix.contains("2001:db8::1".parse().unwrap()));
        let all: Prefix = "2001:db8::1/0".parse().unwrap();
        assert!(all.contains("fe80::1".parse().unwrap()) && all.broadcast().is_none());
        let one: Prefix = "192.0.2.1/32".parse().unwrap();
        assert!(one.contains("192.0.2.1".parse().unwrap()) && !one.contains("192.0.2.0".parse().unwrap()));
        assert_eq!("10.0.0.1/31".parse::<Prefix>().unwrap().broadcast(), None);
        for wrong in ["192.0.2.1", "192.0.2.1/33", "2001:db8::/129", "x/8", "192.0.2.1/-1", ""] {
            assert!(wrong.parse::<Prefix>().unwrap_err().to_string().contains("192.0.2.10/24"), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let ok = config(&["192.0.2.10/24", "2001:db8::10/64"], &["192.0.2.1", "fe80::1"]);
        assert_eq!(ok.check(), Ok(()));
        let refused =
            |addresses: &[&str], gateways: &[&str]| config(addresses, gateways).check().unwrap_err();
        assert_eq!(refused(&[], &[]), HostError::NoAddress);
        assert!(matches!(refused(&["192.0.2.255/24"], &[]), HostError::NotAHost(_)));
        assert!(matches!(refused(&["ff02::1/64"], &[]), HostError::NotAHost(_)));
        assert!(matches!(refused(&["192.0.2.1/24", "192.0.2.1/25"], &[]), HostError::Twice(_)));
        assert!(matches!(refused(&["192.0.2.1/24"], &["192.0.2.1"]), HostError::BadGateway(_)));
        assert!(matches!(refused(&["192.0.2.1/24"], &["192.0.3.1"]), HostError::DistantGateway(_)));
        assert_eq!(refused(&["192.0.2.1/24"], &["192.0.2.2", "192.0.2.3"]), HostError::ManyGateways);
        for (wrong, error) in [
            (HostConfig { mtu: 1279, ..ok.clone() }, HostError::SmallMtu(1279, 1280)),
            (HostConfig { vlan: Some(4095), ..ok.clone() }, HostError::BadVlan(4095)),
            (HostConfig { mac: MacAddr::BROADCAST, ..ok.clone() }, HostError::BadMac(MacAddr::BROADCAST)),
            (HostConfig { port: 0, ..ok.clone() }, HostError::NoPort),
        ] {
            assert_eq!(wrong.check(), Err(error));
        }
    }
}
