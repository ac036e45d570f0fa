//! aarch64 with the AES extension: one frame to a 128-bit register.
//!
//! AESE exclusive-ors the round key before SubBytes and ShiftRows, where x86 and the [`Isa`] do so after MixColumns: it gets zero for a key
//! here, and the compiler moves the exclusive or that precedes it in.

// The intrinsics do become part of the two functions with the feature, because everything between is `inline(always)`.
#![allow(unknown_lints, inline_always_mismatching_target_features)]

use std::arch::aarch64::*;

use super::Kernel;
use super::engine::{self, Isa};
use super::prepare::{self, Frames};
use crate::crypto::{OpenJob, SealJob};

/// AES extension: one frame to a 128-bit register.
struct Aes;

/// RotWord of the last word in each word (FIPS 197 §5.2).
static ROTATED: [u8; 16] = [13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12];
/// The last two octets exchanged.
static SWAPPED: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 14];

/// Whether the processor can run a kernel.
pub fn has(kernel: Kernel) -> bool {
    kernel == Kernel::Armv8 && std::arch::is_aarch64_feature_detected!("aes")
}

/// Seals at most a burst of CCMP-128; the bits of the other suites there are.
///
/// # Safety
/// The processor can run the kernel.
pub unsafe fn seal(kernel: Kernel, jobs: &mut [SealJob<'_>]) -> u8 {
    assert!(kernel == Kernel::Armv8, "no {} here", kernel.name());
    // SAFETY: as the caller says.
    unsafe { seal_aes(jobs) }
}

/// Opens at most a burst of CCMP-128; the bits of the other suites there are.
///
/// # Safety
/// The processor can run the kernel.
pub unsafe fn open(kernel: Kernel, jobs: &mut [OpenJob<'_>]) -> u8 {
    assert!(kernel == Kernel::Armv8, "no {} here", kernel.name());
    // SAFETY: as the caller says.
    unsafe { open_aes(jobs) }
}

/// # Safety
/// The processor has the AES extension.
#[target_feature(enable = "aes")]
unsafe fn seal_aes(jobs: &mut [SealJob<'_>]) -> u8 {
    let mut frames = Frames::new();
    let others = prepare::seal_jobs(jobs, &mut frames);
    // SAFETY: the processor has the extension, and `prepare` keeps what [`prepare::Frame`] promises.
    unsafe {
        engine::run::<Aes, 32, true>(&mut frames);
        prepare::sealed(&frames, jobs);
    }
    others
}

/// # Safety
/// The processor has the AES extension.
#[target_feature(enable = "aes")]
unsafe fn open_aes(jobs: &mut [OpenJob<'_>]) -> u8 {
    let mut frames = Frames::new();
    let others = prepare::open_jobs(jobs, &mut frames);
    // SAFETY: the processor has the extension, and `prepare` keeps what [`prepare::Frame`] promises.
    unsafe {
        engine::run::<Aes, 32, false>(&mut frames);
        prepare::opened(&frames, jobs);
    }
    others
}

// SAFETY: NEON and AES instructions only, which `seal` and `open` enable.
unsafe impl Isa for Aes {
    type V = uint8x16_t;
    const W: usize = 1;
    const SLOTS: usize = 4;

    #[inline(always)]
    unsafe fn gather(from: &[*mut u8; 4], offset: usize) -> uint8x16_t {
        // SAFETY: the caller has 16 octets there.
        unsafe { vld1q_u8(from[0].add(offset)) }
    }

    #[inline(always)]
    unsafe fn scatter(to: &[*mut u8; 4], offset: usize, v: uint8x16_t) {
        // SAFETY: the caller has 16 octets there.
        unsafe { vst1q_u8(to[0].add(offset), v) }
    }

    #[inline(always)]
    unsafe fn splat(block: u128) -> uint8x16_t {
        // SAFETY: both are 128 bits, of any value.
        unsafe { std::mem::transmute(block.to_le()) }
    }

    #[inline(always)]
    unsafe fn xor(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: NEON is part of the target.
        unsafe { veorq_u8(a, b) }
    }

    #[inline(always)]
    unsafe fn and(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: NEON is part of the target.
        unsafe { vandq_u8(a, b) }
    }

    #[inline(always)]
    unsafe fn round(state: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        // SAFETY: the AES extension is there.
        unsafe { veorq_u8(vaesmcq_u8(vaeseq_u8(state, vdupq_n_u8(0))), key) }
    }

    #[inline(always)]
    unsafe fn last_round(state: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        // SAFETY: the AES extension is there.
        unsafe { veorq_u8(vaeseq_u8(state, vdupq_n_u8(0)), key) }
    }

    #[inline(always)]
    unsafe fn add16(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: NEON is part of the target.
        unsafe { vreinterpretq_u8_u16(vaddq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b))) }
    }

    #[inline(always)]
    unsafe fn swap_last(v: uint8x16_t) -> uint8x16_t {
        // SAFETY: NEON is part of the target.
        unsafe { vqtbl1q_u8(v, vld1q_u8(SWAPPED.as_ptr())) }
    }

    #[inline(always)]
    unsafe fn next_key(key: uint8x16_t, constant: uint8x16_t) -> uint8x16_t {
        // With four equal words ShiftRows changes nothing: the last round is SubWord and the constant. The rest is each word
        // exclusive-ored with all before it.
        // SAFETY: the AES extension is there, NEON is part of the target.
        unsafe {
            let zero = vdupq_n_u8(0);
            let word = Self::last_round(vqtbl1q_u8(key, vld1q_u8(ROTATED.as_ptr())), constant);
            let key = veorq_u8(key, vextq_u8::<12>(zero, key));
            let key = veorq_u8(key, vextq_u8::<8>(zero, key));
            veorq_u8(key, word)
        }
    }
}
