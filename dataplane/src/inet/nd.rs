//! IPv6 neighbour discovery: solicitations and advertisements of neighbours (RFC 4861 §4.3, §4.4).

use std::net::Ipv6Addr;

use dot11::MacAddr;

use super::checksum::pseudo_ipv6;
use super::{ALL_NODES, protocol, solicited_node};

/// Type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// Type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// Hop limit that shows a packet to come from this link.
pub const HOP_LIMIT: u8 = 255;
/// Octets of either with one link-layer address option.
pub const LEN: usize = 32;
/// Without option.
pub const SHORT: usize = 24;

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// A question; an answer otherwise.
    pub solicitation: bool,
    /// Whom it is about.
    pub target: Ipv6Addr,
    /// Link-layer address option: of the source of a solicitation, of the target of an advertisement.
    pub mac: Option<MacAddr>,
    /// An advertisement that was asked for.
    pub solicited: bool,
    /// An advertisement that replaces what was known.
    pub overrides: bool,
}

/// What lies between the parser and the message that it does not see itself.
#[derive(Clone, Copy, Debug)]
pub struct Carrier {
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
    /// IPv6 hop limit.
    pub hop_limit: u8,
}

impl Neighbour {
    /// Reads an ICMPv6 message whose checksum is right; `None` if it is something else, or one that receivers must ignore (RFC 4861 §7.1).
    pub fn parse(carrier: Carrier, message: &[u8]) -> Option<Self> {
        let (fixed, mut options) = message.split_first_chunk::<SHORT>()?;
        let solicitation = match fixed[0] {
            SOLICITATION => true,
            ADVERTISEMENT => false,
            _ => return None,
        };
        let target: [u8; 16] = *fixed[8..].first_chunk()?;
        let target = Ipv6Addr::from(target);
        if fixed[1] != 0 || carrier.hop_limit != HOP_LIMIT || target.is_multicast() {
            return None;
        }
        let wanted = if solicitation { 1 } else { 2 };
        let mut mac = None;
        while let [kind, units, ..] = *options {
            let len = usize::from(units) * 8;
            let option = options.get(..len).filter(|option| !option.is_empty())?;
            if kind == wanted && units == 1 {
                mac = MacAddr::from_slice(&option[2..]).filter(|mac| !mac.is_group());
            }
            options = &options[len..];
        }
        let solicited = !solicitation && fixed[4] & 0x40 != 0;
        if solicitation && carrier.source.is_unspecified() {
            // Duplicate address detection.
            if carrier.destination != solicited_node(target) || mac.is_some() {
                return None;
            }
        }
        if solicited && carrier.destination.is_multicast() {
            return None;
        }
        Some(Self { solicitation, target, mac, solicited, overrides: !solicitation && fixed[4] & 0x20 != 0 })
    }

    /// Writes the message from `source` to `destination`, with checksum. Returns its length.
    pub fn write(&self, place: &mut [u8; LEN], source: Ipv6Addr, destination: Ipv6Addr) -> usize {
        *place = [0; LEN];
        place[0] = if self.solicitation { SOLICITATION } else { ADVERTISEMENT };
        place[4] = u8::from(self.solicited) << 6 | u8::from(self.overrides) << 5;
        place[8..24].copy_from_slice(&self.target.octets());
        let len = match self.mac {
            Some(mac) => {
                place[24..26].copy_from_slice(&[if self.solicitation { 1 } else { 2 }, 1]);
                place[26..].copy_from_slice(&mac.0);
                LEN
            }
            None => SHORT,
        };
        let checksum =
            pseudo_ipv6(source, destination, protocol::ICMPV6, len).octets(&place[..len]).checksum();
        place[2..4].copy_from_slice(&checksum.to_be_bytes());
        len
    }

    /// A question for `target`.
    pub fn question(target: Ipv6Addr, mac: Option<MacAddr>) -> Self {
        Self { solicitation: true, target, mac, solicited: false, overrides: false }
    }

    /// The answer that `target` is at `mac`. To everybody if who asks has no address yet.
    pub fn answer(target: Ipv6Addr, mac: MacAddr, asked_by: Ipv6Addr) -> (Self, Ipv6Addr) {
        let solicited = !asked_by.is_unspecified();
        let to = if solicited { asked_by } else { ALL_NODES };
        (Self { solicitation: false, target, mac: Some(mac), solicited, overrides: true }, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn carrier(source: &str, destination: &str) -> Carrier {
        Carrier { source: ip(source), destination: ip(destination), hop_limit: 255 }
    }

    #[test]
    fn what_is_written_is_read() {
        for (message, from, to) in [
            (Neighbour::question(ip("fe80::2"), Some(MAC)), "fe80::1", "ff02::1:ff00:2"),
            (Neighbour::question(ip("fe80::2"), None), "::", "ff02::1:ff00:2"),
            (Neighbour::answer(ip("fe80::2"), MAC, ip("fe80::1")).0, "fe80::2", "fe80::1"),
            (Neighbour::answer(ip("fe80::2"), MAC, ip("::")).0, "fe80::2", "ff02::1"),
        ] {
            let mut place = [0; LEN];
            let len = message.write(&mut place, ip(from), ip(to));
            let sum = pseudo_ipv6(ip(from), ip(to), protocol::ICMPV6, len).octets(&place[..len]);
            assert_eq!(sum.checksum(), 0);
            assert_eq!(Neighbour::parse(carrier(from, to), &place[..len]), Some(message));
        }
    }

    #[test]
    fn what_must_be_ignored_is() {
        let mut place = [0; LEN];
        let (from, to) = ("fe80::1", "ff02::1:ff00:2");
        let len = Neighbour::question(ip("fe80::2"), Some(MAC)).write(&mut place, ip(from), ip(to));
        let from_elsewhere = Carrier { hop_limit: 254, ..carrier(from, to) };
        assert_eq!(Neighbour::parse(from_elsewhere, &place[..len]), None);
        assert_eq!(Neighbour::parse(carrier("::", to), &place[..len]), None, "address of nobody");
        assert_eq!(Neighbour::parse(carrier("::", "fe80::2"), &place[..24]), None, "not to the group");
        assert_eq!(Neighbour::parse(carrier(from, to), &place[..23]), None);
        assert_eq!(Neighbour::parse(carrier(from, to), &place[..30]), None, "option cut off");
        let mut endless = place;
        endless[25] = 0;
        assert_eq!(Neighbour::parse(carrier(from, to), &endless), None);
        let mut group = place;
        group[8] = 0xff;
        assert_eq!(Neighbour::parse(carrier(from, to), &group), None);
        let answer = Neighbour::answer(ip("fe80::2"), MAC, ip("fe80::1")).0;
        answer.write(&mut place, ip("fe80::2"), ip("fe80::1"));
        assert_eq!(Neighbour::parse(carrier("fe80::2", "ff02::1"), &place), None, "asked for by a group");
    }
}
