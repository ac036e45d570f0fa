//! GHASH over vectors (NIST SP 800-38D §6.4), computed as POLYVAL (RFC 8452 §3).
//!
//! GHASH counts the bits of a block from the wrong end. With every block reversed octet by octet, and the key H once multiplied by x, the
//! same sum is POLYVAL's: 128-bit numbers, least significant octet first, modulo x¹²⁸ + x¹²⁷ + x¹²⁶ + x¹²¹ + 1, each product divided by
//! x¹²⁸. Its modulus ends in a one and 63 zeros, so the low 64 bits of a product go away by adding themselves times the modulus: one
//! carry-less product by [`FOLD`] and an exchange of halves, twice.
//!
//! ```text
//! product, 64-bit limbs     | high    high  |         ("high")
//!                                | mid  mid |          ("mid": both cross products)
//!                                     | low    low |   ("low")
//! ```
//!
//! The sum over blocks is taken before that reduction: one for as many blocks as there are powers of H.

use super::isa::{Block, Isa};

/// x⁶³ + x⁶² + x⁵⁷, which is (modulus − 1 − x¹²⁸) / x⁶⁴, as the low half.
const FOLD: Block = 0xc200_0000_0000_0000_u128.to_le_bytes();
/// The modulus without x¹²⁸.
pub(super) const MODULUS: u128 = 0xc200_0000_0000_0000_0000_0000_0000_0001;

/// An unreduced sum of products.
#[derive(Clone, Copy)]
pub(super) struct Sum<I: Isa> {
    low: I::V,
    mid: I::V,
    high: I::V,
}

impl<I: Isa> Sum<I> {
    /// Nothing yet.
    #[inline(always)]
    pub(super) fn new(isa: I) -> Self {
        Self { low: isa.zero(), mid: isa.zero(), high: isa.zero() }
    }

    /// Adds the products of the lanes.
    #[inline(always)]
    pub(super) fn add(&mut self, isa: I, a: I::V, b: I::V) {
        self.low = isa.xor(self.low, isa.mul_low(a, b));
        self.mid = isa.xor(self.mid, isa.mul_cross(a, b));
        self.high = isa.xor(self.high, isa.mul_high(a, b));
    }

    /// The sum, each lane by itself.
    #[inline(always)]
    pub(super) fn reduce(self, isa: I) -> I::V {
        let fold = isa.splat(&FOLD);
        let mid = isa.xor(self.mid, isa.xor(isa.swap_halves(self.low), isa.mul_low(self.low, fold)));
        isa.xor(self.high, isa.xor(isa.swap_halves(mid), isa.mul_low(mid, fold)))
    }
}

/// The product of two numbers, each lane by itself.
#[inline(always)]
pub(super) fn multiply<I: Isa>(isa: I, a: I::V, b: I::V) -> I::V {
    let mut sum = Sum::new(isa);
    sum.add(isa, a, b);
    sum.reduce(isa)
}
