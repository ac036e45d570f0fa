//! The vector of ARMv8: 128 bits, with the AES and PMULL instructions of the cryptographic extension.

// The intrinsics do become part of `enter`, which has the features, because everything between is `inline(always)`.
#![allow(unknown_lints, inline_always_mismatching_target_features)]

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::ghash::MODULUS;
use super::isa::{Block, Isa};
use super::kernel::{Task, run};

/// An instruction without operands in memory.
macro_rules! proven {
    ($instruction:expr) => {{
        // SAFETY: `self` proves that this processor has the instruction.
        unsafe { $instruction }
    }};
}

/// One block in a register.
#[derive(Clone, Copy)]
pub(super) struct Armv8(());

impl Armv8 {
    /// The proof, if this processor has what it takes.
    pub(super) fn detect() -> Option<Self> {
        (is_aarch64_feature_detected!("aes") && is_aarch64_feature_detected!("pmull")).then_some(Self(()))
    }

    /// Seals or opens frames whose keys have `ROUNDS` rounds.
    pub(super) fn run<'a, const ROUNDS: usize, const SEAL: bool>(
        self,
        tasks: impl Iterator<Item = Task<'a>>,
    ) {
        #[target_feature(enable = "neon,aes")]
        fn enter<'a, const ROUNDS: usize, const SEAL: bool>(
            isa: Armv8,
            tasks: impl Iterator<Item = Task<'a>>,
        ) {
            run::<Armv8, 8, 8, ROUNDS, SEAL>(isa, tasks);
        }
        // SAFETY: there is a value of this type, so the features have been detected.
        unsafe { enter::<ROUNDS, SEAL>(self, tasks) }
    }
}

impl Isa for Armv8 {
    const LANES: usize = 1;
    type V = uint8x16_t;

    #[inline(always)]
    fn zero(self) -> uint8x16_t {
        proven!(vdupq_n_u8(0))
    }
    #[inline(always)]
    fn splat(self, block: &Block) -> uint8x16_t {
        // SAFETY: a value of this type proves the features; there are 16 octets to read.
        unsafe { vld1q_u8(block.as_ptr()) }
    }
    #[inline(always)]
    fn gather(self, blocks: &[&Block]) -> uint8x16_t {
        self.splat(blocks[0])
    }
    #[inline(always)]
    fn load(self, octets: &[u8]) -> uint8x16_t {
        assert!(octets.len() >= 16);
        // SAFETY: a value of this type proves the features; there are 16 octets to read.
        unsafe { vld1q_u8(octets.as_ptr()) }
    }
    #[inline(always)]
    fn load_some(self, octets: &[u8]) -> uint8x16_t {
        self.load(octets)
    }
    #[inline(always)]
    fn store(self, v: uint8x16_t, octets: &mut [u8]) {
        assert!(octets.len() >= 16);
        // SAFETY: a value of this type proves the features; there are 16 octets to write.
        unsafe { vst1q_u8(octets.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_some(self, v: uint8x16_t, octets: &mut [u8]) {
        self.store(v, octets);
    }
    #[inline(always)]
    fn fold(self, v: uint8x16_t) -> uint8x16_t {
        v
    }

    #[inline(always)]
    fn xor(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        proven!(veorq_u8(a, b))
    }
    #[inline(always)]
    fn and(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        proven!(vandq_u8(a, b))
    }
    #[inline(always)]
    fn add32(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        proven!(vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b))))
    }
    #[inline(always)]
    fn permute(self, v: uint8x16_t, table: uint8x16_t) -> uint8x16_t {
        proven!(vqtbl1q_u8(v, table))
    }
    #[inline(always)]
    fn swap_halves(self, v: uint8x16_t) -> uint8x16_t {
        proven!(vextq_u8::<8>(v, v))
    }
    #[inline(always)]
    fn prefix_xor32(self, v: uint8x16_t) -> uint8x16_t {
        let v = self.xor(v, proven!(vextq_u8::<12>(vdupq_n_u8(0), v)));
        self.xor(v, proven!(vextq_u8::<8>(vdupq_n_u8(0), v)))
    }
    #[inline(always)]
    fn double(self, v: uint8x16_t) -> uint8x16_t {
        let modulus = self.splat(&MODULUS.to_le_bytes());
        // Bit 63 goes to bit 64; bit 127, if set, becomes the modulus.
        let doubled = proven!(vreinterpretq_u8_u64(vshlq_n_u64::<1>(vreinterpretq_u64_u8(v))));
        let bits = proven!(vreinterpretq_u8_u64(vshrq_n_u64::<63>(vreinterpretq_u64_u8(v))));
        let carry = proven!(vextq_u8::<8>(vdupq_n_u8(0), bits));
        let sign = proven!(vshrq_n_s32::<31>(vreinterpretq_s32_u8(v)));
        let overflow = proven!(vreinterpretq_u8_s32(vdupq_laneq_s32::<3>(sign)));
        self.xor(self.xor(doubled, carry), self.and(overflow, modulus))
    }

    // AESE adds its key before the round, not after it: zero, and the key by itself.
    #[inline(always)]
    fn aes_round(self, v: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        self.xor(proven!(vaesmcq_u8(vaeseq_u8(v, vdupq_n_u8(0)))), key)
    }
    #[inline(always)]
    fn aes_last(self, v: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        self.xor(proven!(vaeseq_u8(v, vdupq_n_u8(0))), key)
    }

    #[inline(always)]
    fn mul_low(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        let (a, b) = proven!((vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
        proven!(vreinterpretq_u8_p128(vmull_p64(vgetq_lane_u64::<0>(a), vgetq_lane_u64::<0>(b))))
    }
    #[inline(always)]
    fn mul_high(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        proven!(vreinterpretq_u8_p128(vmull_high_p64(vreinterpretq_p64_u8(a), vreinterpretq_p64_u8(b))))
    }
    #[inline(always)]
    fn mul_cross(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        let swapped = self.swap_halves(b);
        self.xor(self.mul_low(a, swapped), self.mul_high(a, swapped))
    }
}
