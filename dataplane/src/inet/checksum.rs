//! The Internet checksum (RFC 1071).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A sum in one's complement, as it grows. It is kept in this machine's byte order and put right at the end (RFC 1071 §2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// With these octets, which begin at an even place: before them only parts of even length may have been added.
    #[inline]
    pub fn octets(self, octets: &[u8]) -> Self {
        let mut sum = self.0;
        let (words, rest) = octets.as_chunks::<4>();
        for word in words {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// With a number of 16 bits.
    #[inline]
    pub fn number(self, number: u16) -> Self {
        Self(self.0 + u64::from(number.to_be()))
    }

    /// The sum, in 16 bits.
    #[inline]
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::from_be(sum as u16)
    }

    /// The checksum. Over what contains its own right checksum it is 0.
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// The pseudo header of UDP and others over IPv4 (RFC 768).
#[inline]
pub fn pseudo_ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, len: usize) -> Sum {
    Sum::ZERO
        .octets(&source.octets())
        .octets(&destination.octets())
        .number(protocol.into())
        .number(len as u16)
}

/// The pseudo header over IPv6 (RFC 8200 §8.1).
#[inline]
pub fn pseudo_ipv6(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, len: usize) -> Sum {
    let addresses = Sum::ZERO.octets(&source.octets()).octets(&destination.octets());
    addresses.number((len >> 16) as u16).number(len as u16).number(next_header.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of RFC 1071 §3.
    #[test]
    fn the_example_of_the_rfc() {
        let sum = Sum::ZERO.octets(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!((sum.fold(), sum.checksum()), (0xddf2, !0xddf2));
    }

    proptest! {
        /// As the definition says it, whatever the parts.
        #[test]
        fn any_parts_give_the_sum_of_the_whole(octets in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
            let cut = (cut * 2).min(octets.len() & !1);
            let mut plain = 0u32;
            for word in octets.chunks(2) {
                plain += u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
                plain = (plain & 0xffff) + (plain >> 16);
            }
            let parts = Sum::ZERO.octets(&octets[..cut]).octets(&octets[cut..]);
            prop_assert_eq!(parts.fold(), plain as u16);
            prop_assert_eq!(parts.number(0x1234).fold(), Sum::ZERO.octets(&[0x12, 0x34]).octets(&octets).fold());
        }
    }
}
