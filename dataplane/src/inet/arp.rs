//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use dot11::MacAddr;

/// Octets of an ARP packet.
pub const LEN: usize = 28;

/// Hardware type Ethernet, protocol IPv4, lengths of their addresses.
const PREFIX: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// A question; an answer otherwise.
    pub request: bool,
    /// Who sends it.
    pub sender_mac: MacAddr,
    /// The sender's address; 0.0.0.0 in a probe (RFC 5227 §2.1).
    pub sender: Ipv4Addr,
    /// In an answer: who asked.
    pub target_mac: MacAddr,
    /// Whom it is about.
    pub target: Ipv4Addr,
}

impl Arp {
    /// From what follows the Ethernet header; `None` if it is something else. Other operations than question and answer are not read.
    #[inline]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let arp = payload.first_chunk::<LEN>()?;
        let request = match (arp[..6] == PREFIX, arp[6], arp[7]) {
            (true, 0, 1) => true,
            (true, 0, 2) => false,
            _ => return None,
        };
        let ip = |at: usize| Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]);
        Some(Self {
            request,
            sender_mac: MacAddr::from_slice(&arp[8..])?,
            sender: ip(14),
            target_mac: MacAddr::from_slice(&arp[18..])?,
            target: ip(24),
        })
    }

    /// The packet's octets.
    pub fn encode(&self) -> [u8; LEN] {
        let mut arp = [0; LEN];
        arp[..6].copy_from_slice(&PREFIX);
        arp[7] = if self.request { 1 } else { 2 };
        arp[8..14].copy_from_slice(&self.sender_mac.0);
        arp[14..18].copy_from_slice(&self.sender.octets());
        arp[18..24].copy_from_slice(&self.target_mac.0);
        arp[24..].copy_from_slice(&self.target.octets());
        arp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let arp = Arp {
            request: true,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender: Ipv4Addr::new(192, 0, 2, 1),
            target_mac: MacAddr::ZERO,
            target: Ipv4Addr::new(192, 0, 2, 2),
        };
        let mut octets = arp.encode();
        assert_eq!(octets[..8], [0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(Arp::parse(&octets), Some(arp));
        assert_eq!(Arp::parse(&octets[..27]), None);
        octets[7] = 2;
        assert_eq!(Arp::parse(&octets), Some(Arp { request: false, ..arp }));
        for (at, wrong) in [(7, 3), (6, 1), (1, 6), (4, 8)] {
            let mut octets = octets;
            octets[at] = wrong;
            assert_eq!(Arp::parse(&octets), None, "octet {at}");
        }
    }
}
