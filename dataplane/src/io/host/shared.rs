//! What the workers of one port have in common: the configuration, the state of the addresses, and what they heard.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering};

use dot11::MacAddr;

use super::board::Board;
use super::config::{HostConfig, HostError, Prefix};
use super::pmtu::PathMtus;
use super::route::Routes;
use crate::inet::mapped;

/// The host on one port: made once, given to the [`HostIo`](super::HostIo) of each queue.
#[derive(Debug)]
pub struct Host {
    pub(super) config: HostConfig,
    pub(super) addresses: Vec<Own>,
    pub(super) routes: Routes,
    pub(super) paths: PathMtus,
    pub(super) neighbours: Board,
}

/// One of our addresses.
#[derive(Debug)]
pub(super) struct Own {
    /// In the form of [`mapped`].
    pub address: Ipv6Addr,
    pub prefix: Prefix,
    state: AtomicU8,
}

/// Whether an address of ours can be used (RFC 4862 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// Being checked: somebody else may have it.
    Tentative,
    /// In use.
    Assigned,
    /// Somebody else has it, so it is not used.
    Duplicate,
}

impl Host {
    /// Sets up what the workers share.
    ///
    /// # Errors
    /// [`HostError`] if the configuration makes no sense.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        config.check()?;
        let mut prefixes = config.addresses.clone();
        // Every IPv6 interface has one (RFC 4291 §2.8); made of the Ethernet address (RFC 4291 appendix A).
        if prefixes.iter().any(|prefix| prefix.address.is_ipv6()) {
            let own = Prefix { address: IpAddr::V6(link_local(config.mac)), len: 64 };
            if !prefixes.iter().any(|prefix| prefix.address == own.address) {
                prefixes.push(own);
            }
        }
        let routes = Routes::new(&config.addresses, &config.gateways, config.learnt, config.seed);
        let paths = PathMtus::new(config.mtu, config.paths, config.seed.rotate_left(7));
        let neighbours = Board::new(config.neighbours.saturating_mul(4), config.seed.rotate_left(13));
        let addresses = prefixes.into_iter().map(Own::new).collect();
        Ok(Self { config, addresses, routes, paths, neighbours })
    }

    /// The configuration.
    pub fn config(&self) -> &HostConfig {
        &self.config
    }

    /// Our addresses with their state. The place in the list plus one is [`Endpoint::local`](crate::endpoint::Endpoint).
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, AddressState)> + '_ {
        self.addresses.iter().map(|own| (own.prefix.address, own.state()))
    }

    /// The place of an address of ours.
    #[inline]
    pub(super) fn find(&self, address: Ipv6Addr) -> Option<usize> {
        self.addresses.iter().position(|own| own.address == address)
    }

    /// Whether `address` is one of ours in use.
    pub(super) fn is_in_use(&self, address: Ipv6Addr) -> bool {
        self.find(address).is_some_and(|i| self.addresses[i].state() == AddressState::Assigned)
    }

    /// Our address to talk to `peer` from: the one it talks to if that is known and in use, otherwise one of the same link, otherwise any that
    /// reaches as far.
    #[inline]
    pub(super) fn source(&self, local: u16, peer: Ipv6Addr) -> Option<Ipv6Addr> {
        if let Some(own) = self.addresses.get(usize::from(local).wrapping_sub(1)) {
            let same_family = own.is_ipv4() == peer.to_ipv4_mapped().is_some();
            if same_family && own.state() == AddressState::Assigned {
                return Some(own.address);
            }
        }
        let plain = peer.to_canonical();
        let far = !peer.is_unicast_link_local();
        let usable = |own: &&Own| {
            own.state() == AddressState::Assigned
                && own.prefix.address.is_ipv4() == plain.is_ipv4()
                && !(far && own.address.is_unicast_link_local())
        };
        let near = self.addresses.iter().filter(usable).find(|own| own.prefix.contains(plain));
        near.or_else(|| self.addresses.iter().find(usable)).map(|own| own.address)
    }

    /// Whether `address` means all hosts of a link of ours.
    #[inline]
    pub(super) fn is_subnet_broadcast(&self, address: std::net::Ipv4Addr) -> bool {
        self.addresses.iter().any(|own| own.prefix.broadcast() == Some(address))
    }
}

impl Own {
    fn new(prefix: Prefix) -> Self {
        let state = if prefix.address.is_ipv4() { AddressState::Assigned } else { AddressState::Tentative };
        Self { address: mapped(prefix.address), prefix, state: AtomicU8::new(state as u8) }
    }

    pub fn is_ipv4(&self) -> bool {
        self.prefix.address.is_ipv4()
    }

    #[inline]
    pub fn state(&self) -> AddressState {
        match self.state.load(Ordering::Relaxed) {
            0 => AddressState::Tentative,
            1 => AddressState::Assigned,
            _ => AddressState::Duplicate,
        }
    }

    /// Ends the check, one way or the other. False if it had ended before.
    pub fn decide(&self, state: AddressState) -> bool {
        let tentative = AddressState::Tentative as u8;
        self.state.compare_exchange(tentative, state as u8, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv6Addr {
        mapped(text.parse().unwrap())
    }

    #[test]
    fn the_source_is_where_the_peer_talks_to_or_the_nearest() {
        let addresses = ["192.0.2.10/24", "2001:db8::10/64", "10.0.0.1/8", "192.0.2.11/24"];
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let host = Host::new(HostConfig::new(mac, addresses.map(|a| a.parse().unwrap()).to_vec())).unwrap();
        assert_eq!(host.addresses().last().unwrap().0, IpAddr::V6(ip("fe80::ff:fe00:1")));
        assert_eq!(host.source(0, ip("2001:db8::1")), None, "not yet in use");
        assert!(host.addresses.iter().all(|own| own.decide(AddressState::Assigned) != own.is_ipv4()));
        for (local, peer, source) in [
            (4, "192.0.2.1", "192.0.2.11"),
            (4, "198.51.100.1", "192.0.2.11"),
            (2, "192.0.2.1", "192.0.2.10"),
            (9, "10.1.1.1", "10.0.0.1"),
            (0, "198.51.100.1", "192.0.2.10"),
            (0, "2001:db9::1", "2001:db8::10"),
            (0, "fe80::1", "fe80::ff:fe00:1"),
        ] {
            assert_eq!(host.source(local, ip(peer)), Some(ip(source)), "{local} {peer}");
        }
    }

    #[test]
    fn a_check_ends_once() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let host = Host::new(HostConfig::new(mac, vec!["2001:db8::10/64".parse().unwrap()])).unwrap();
        assert!(!host.is_in_use(ip("2001:db8::10")));
        assert!(host.addresses[0].decide(AddressState::Duplicate));
        assert!(!host.addresses[0].decide(AddressState::Assigned));
        assert_eq!(host.addresses().next().unwrap().1, AddressState::Duplicate);
    }
}
