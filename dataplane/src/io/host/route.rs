//! Where a packet goes next: to its destination on the link, to the gateway, or back to where the peer's packets come from.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dot11::MacAddr;

use super::board::Board;
use super::config::Prefix;
use super::neighbours::{noted, of_note};
use crate::clock::Time;
use crate::inet::mapped;

/// The next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// A neighbour: the destination itself or a gateway.
    Neighbour(Ipv6Addr),
    /// As learnt from the peer's packets.
    Learnt,
}

/// Prefixes and gateways, and next hops that were learnt. All workers of a port share one.
#[derive(Debug)]
pub struct Routes {
    prefixes: Vec<Prefix>,
    gateways: [Option<Ipv6Addr>; 2],
    learnt: Board,
}

/// How long a next hop is believed that no packet came from.
const AGE: Duration = Duration::from_secs(600);
/// Between renewals of a note that is right: writing costs the other workers.
const RENEW: Duration = Duration::from_secs(10);

impl Routes {
    /// As configured.
    pub fn new(prefixes: &[Prefix], gateways: &[IpAddr], learnt: usize, seed: u64) -> Self {
        let gateway = |v4: bool| gateways.iter().find(|g| g.is_ipv4() == v4).map(|&g| mapped(g));
        let gateways = [gateway(true), gateway(false)];
        // With a gateway for each family that there are addresses of, nothing is learnt.
        let learns = prefixes.iter().any(|prefix| gateways[usize::from(prefix.address.is_ipv6())].is_none());
        Self {
            prefixes: prefixes.to_vec(),
            gateways,
            learnt: Board::new(if learns { learnt } else { 1 }, seed),
        }
    }

    /// The next hop on the way to `destination`.
    #[inline]
    pub fn hop(&self, destination: Ipv6Addr) -> Hop {
        let plain = destination.to_canonical();
        let on_link =
            destination.is_unicast_link_local() || self.prefixes.iter().any(|prefix| prefix.contains(plain));
        match (on_link, self.gateways[usize::from(plain.is_ipv6())]) {
            (true, _) => Hop::Neighbour(destination),
            (false, Some(gateway)) => Hop::Neighbour(gateway),
            (false, None) => Hop::Learnt,
        }
    }

    /// Gateways.
    pub fn gateways(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.gateways.iter().flatten().copied()
    }

    /// Whether `address` is worth knowing as a neighbour.
    pub fn is_neighbour(&self, address: Ipv6Addr) -> bool {
        self.hop(address) == Hop::Neighbour(address) || self.gateways().any(|gateway| gateway == address)
    }

    /// Notes where a packet of a peer beyond the link came from.
    #[inline]
    pub fn learn(&self, peer: Ipv6Addr, from: MacAddr, now: Time) {
        let value = noted(from, false);
        if self.learnt.read(peer).is_none_or(|note| note.value != value || now.since(note.at) >= RENEW) {
            self.learnt.write(peer, value, now);
        }
    }

    /// Where packets of this peer came from.
    #[inline]
    pub fn learnt(&self, peer: Ipv6Addr, now: Time) -> Option<MacAddr> {
        self.learnt.read(peer).filter(|note| now.since(note.at) < AGE).and_then(of_note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv6Addr {
        mapped(text.parse().unwrap())
    }

    fn routes(gateways: &[&str]) -> Routes {
        let prefixes = ["192.0.2.10/24", "2001:db8::10/64"].map(|text| text.parse().unwrap());
        let gateways: Vec<_> = gateways.iter().map(|text| text.parse().unwrap()).collect();
        Routes::new(&prefixes, &gateways, 64, 1)
    }

    #[test]
    fn the_link_comes_before_the_gateway() {
        let routes = routes(&["192.0.2.1", "fe80::1"]);
        for (to, hop) in [
            ("192.0.2.77", "192.0.2.77"),
            ("198.51.100.1", "192.0.2.1"),
            ("2001:db8::77", "2001:db8::77"),
            ("2001:db8:0:1::77", "fe80::1"),
            ("fe80::77", "fe80::77"),
        ] {
            assert_eq!(routes.hop(ip(to)), Hop::Neighbour(ip(hop)), "{to}");
        }
        assert!(routes.is_neighbour(ip("fe80::1")) && routes.is_neighbour(ip("192.0.2.5")));
        assert!(!routes.is_neighbour(ip("198.51.100.1")));
    }

    #[test]
    fn without_a_gateway_packets_go_back_where_they_come_from_for_a_while() {
        let (routes, peer) = (routes(&["192.0.2.1"]), ip("2001:db8:9::1"));
        let (first, second) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        let now = Time::from_nanos(5);
        assert_eq!((routes.hop(peer), routes.learnt(peer, now)), (Hop::Learnt, None));
        routes.learn(peer, first, now);
        assert_eq!(routes.learnt(peer, now), Some(first));
        routes.learn(peer, second, now);
        assert_eq!(routes.learnt(peer, now + Duration::from_secs(599)), Some(second));
        assert_eq!(routes.learnt(peer, now + AGE), None);
    }
}
