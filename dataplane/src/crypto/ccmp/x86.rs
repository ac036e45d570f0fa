//! x86-64: AES-NI one frame to a register, VAES two or four.

use std::arch::x86_64::*;

use super::Kernel;
use super::engine::{self, Isa};
use super::prepare::{self, Frames};
use crate::crypto::{OpenJob, SealJob};

/// Whether the processor can run a kernel.
pub fn has(kernel: Kernel) -> bool {
    let aes_ni = is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1");
    let vaes256 = aes_ni
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("vaes");
    let vaes512 = vaes256
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    match kernel {
        Kernel::AesNi => aes_ni,
        Kernel::Vaes256 => vaes256,
        Kernel::Vaes512 => vaes512,
        Kernel::Portable | Kernel::Armv8 => false,
    }
}

/// Seals at most a burst of CCMP-128; the bits of the other suites there are.
///
/// # Safety
/// The processor can run the kernel.
pub unsafe fn seal(kernel: Kernel, jobs: &mut [SealJob<'_>]) -> u8 {
    // SAFETY: [`has`] looks for the features that these are compiled for.
    unsafe {
        match kernel {
            Kernel::AesNi => seal_aes_ni(jobs),
            Kernel::Vaes256 => seal_vaes256(jobs),
            Kernel::Vaes512 => seal_vaes512(jobs),
            Kernel::Portable | Kernel::Armv8 => unreachable!("no {} here", kernel.name()),
        }
    }
}

/// Opens at most a burst of CCMP-128; the bits of the other suites there are.
///
/// # Safety
/// The processor can run the kernel.
pub unsafe fn open(kernel: Kernel, jobs: &mut [OpenJob<'_>]) -> u8 {
    // SAFETY: [`has`] looks for the features that these are compiled for.
    unsafe {
        match kernel {
            Kernel::AesNi => open_aes_ni(jobs),
            Kernel::Vaes256 => open_vaes256(jobs),
            Kernel::Vaes512 => open_vaes512(jobs),
            Kernel::Portable | Kernel::Armv8 => unreachable!("no {} here", kernel.name()),
        }
    }
}

/// AES-NI: one frame to a 128-bit register.
struct AesNi;
/// VAES with AVX2: two frames to a 256-bit register.
struct Vaes256;
/// VAES with AVX-512: four frames to a 512-bit register.
struct Vaes512;

/// Puts octets 13, 14, 15, 12 into each word: RotWord of the last word (FIPS 197 §5.2), whose low octet is the first.
const ROTATED: i32 = 0x0c0f_0e0d;
/// Exchanges octets 14 and 15.
const SWAPPED: (i64, i64) = (0x0706_0504_0302_0100, 0x0e0f_0d0c_0b0a_0908);

/// The kernel's two ways in. All of it is compiled for these features, the reading of headers too.
macro_rules! entries {
    ($isa:ident, $groups:literal, $features:literal, $seal:ident, $open:ident) => {
        /// Seals at most a burst of CCMP-128; the bits of the other suites there are.
        ///
        /// # Safety
        /// The processor has these features.
        #[target_feature(enable = $features)]
        unsafe fn $seal(jobs: &mut [SealJob<'_>]) -> u8 {
            let mut frames = Frames::new();
            let others = prepare::seal_jobs(jobs, &mut frames);
            // SAFETY: the processor has the features, and `prepare` keeps what [`prepare::Frame`] promises.
            unsafe {
                engine::run::<$isa, $groups, true>(&mut frames);
                prepare::sealed(&frames, jobs);
            }
            others
        }

        /// Opens at most a burst of CCMP-128; the bits of the other suites there are.
        ///
        /// # Safety
        /// The processor has these features.
        #[target_feature(enable = $features)]
        unsafe fn $open(jobs: &mut [OpenJob<'_>]) -> u8 {
            let mut frames = Frames::new();
            let others = prepare::open_jobs(jobs, &mut frames);
            // SAFETY: the processor has the features, and `prepare` keeps what [`prepare::Frame`] promises.
            unsafe {
                engine::run::<$isa, $groups, false>(&mut frames);
                prepare::opened(&frames, jobs);
            }
            others
        }
    };
}

entries!(AesNi, 32, "aes,ssse3,sse4.1", seal_aes_ni, open_aes_ni);
entries!(Vaes256, 16, "aes,avx2,bmi1,bmi2,vaes", seal_vaes256, open_vaes256);
entries!(Vaes512, 8, "aes,avx2,bmi1,bmi2,vaes,avx512f,avx512bw,avx512vl", seal_vaes512, open_vaes512);

// SAFETY: SSE2, SSSE3 and AES instructions only, which `seal_aes_ni` and `open_aes_ni` enable.
unsafe impl Isa for AesNi {
    type V = __m128i;
    const W: usize = 1;
    const SLOTS: usize = 4;

    #[inline(always)]
    unsafe fn gather(from: &[*mut u8; 4], offset: usize) -> __m128i {
        // SAFETY: the caller has 16 octets there.
        unsafe { _mm_loadu_si128(from[0].add(offset).cast()) }
    }

    #[inline(always)]
    unsafe fn scatter(to: &[*mut u8; 4], offset: usize, v: __m128i) {
        // SAFETY: the caller has 16 octets there.
        unsafe { _mm_storeu_si128(to[0].add(offset).cast(), v) }
    }

    #[inline(always)]
    unsafe fn splat(block: u128) -> __m128i {
        // SAFETY: both are 128 bits, of any value.
        unsafe { std::mem::transmute(block) }
    }

    #[inline(always)]
    unsafe fn xor(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: part of every x86-64.
        unsafe { _mm_xor_si128(a, b) }
    }

    #[inline(always)]
    unsafe fn and(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: part of every x86-64.
        unsafe { _mm_and_si128(a, b) }
    }

    #[inline(always)]
    unsafe fn round(state: __m128i, key: __m128i) -> __m128i {
        // SAFETY: AES-NI is there.
        unsafe { _mm_aesenc_si128(state, key) }
    }

    #[inline(always)]
    unsafe fn last_round(state: __m128i, key: __m128i) -> __m128i {
        // SAFETY: AES-NI is there.
        unsafe { _mm_aesenclast_si128(state, key) }
    }

    #[inline(always)]
    unsafe fn add16(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: part of every x86-64.
        unsafe { _mm_add_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn swap_last(v: __m128i) -> __m128i {
        // SAFETY: SSSE3 is there.
        unsafe { _mm_shuffle_epi8(v, _mm_set_epi64x(SWAPPED.1, SWAPPED.0)) }
    }

    #[inline(always)]
    unsafe fn next_key(key: __m128i, constant: __m128i) -> __m128i {
        // With four equal words ShiftRows changes nothing: the last round is SubWord and the constant. The rest is each word
        // exclusive-ored with all before it.
        // SAFETY: SSSE3 and AES-NI are there.
        unsafe {
            let word = _mm_aesenclast_si128(_mm_shuffle_epi8(key, _mm_set1_epi32(ROTATED)), constant);
            let key = _mm_xor_si128(key, _mm_bslli_si128::<4>(key));
            let key = _mm_xor_si128(key, _mm_bslli_si128::<8>(key));
            _mm_xor_si128(key, word)
        }
    }
}

// SAFETY: AVX2 and VAES instructions only, which `seal_vaes256` and `open_vaes256` enable.
unsafe impl Isa for Vaes256 {
    type V = __m256i;
    const W: usize = 2;
    const SLOTS: usize = 4;

    #[inline(always)]
    unsafe fn gather(from: &[*mut u8; 4], offset: usize) -> __m256i {
        // SAFETY: the caller has 16 octets at each.
        unsafe {
            let v = _mm256_castsi128_si256(_mm_loadu_si128(from[0].add(offset).cast()));
            _mm256_inserti128_si256::<1>(v, _mm_loadu_si128(from[1].add(offset).cast()))
        }
    }

    #[inline(always)]
    unsafe fn scatter(to: &[*mut u8; 4], offset: usize, v: __m256i) {
        // SAFETY: the caller has 16 octets at each.
        unsafe {
            _mm_storeu_si128(to[0].add(offset).cast(), _mm256_castsi256_si128(v));
            _mm_storeu_si128(to[1].add(offset).cast(), _mm256_extracti128_si256::<1>(v));
        }
    }

    #[inline(always)]
    unsafe fn splat(block: u128) -> __m256i {
        // SAFETY: AVX2 is there.
        unsafe { _mm256_broadcastsi128_si256(AesNi::splat(block)) }
    }

    #[inline(always)]
    unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: AVX2 is there.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: AVX2 is there.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn round(state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: VAES is there.
        unsafe { _mm256_aesenc_epi128(state, key) }
    }

    #[inline(always)]
    unsafe fn last_round(state: __m256i, key: __m256i) -> __m256i {
        // SAFETY: VAES is there.
        unsafe { _mm256_aesenclast_epi128(state, key) }
    }

    #[inline(always)]
    unsafe fn add16(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: AVX2 is there.
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn swap_last(v: __m256i) -> __m256i {
        // SAFETY: AVX2 is there.
        unsafe { _mm256_shuffle_epi8(v, _mm256_set_epi64x(SWAPPED.1, SWAPPED.0, SWAPPED.1, SWAPPED.0)) }
    }

    #[inline(always)]
    unsafe fn next_key(key: __m256i, constant: __m256i) -> __m256i {
        // SAFETY: AVX2 and VAES are there. As for AES-NI.
        unsafe {
            let word =
                _mm256_aesenclast_epi128(_mm256_shuffle_epi8(key, _mm256_set1_epi32(ROTATED)), constant);
            let key = _mm256_xor_si256(key, _mm256_bslli_epi128::<4>(key));
            let key = _mm256_xor_si256(key, _mm256_bslli_epi128::<8>(key));
            _mm256_xor_si256(key, word)
        }
    }
}

// SAFETY: AVX-512 F and BW and VAES instructions only, which `seal_vaes512` and `open_vaes512` enable.
unsafe impl Isa for Vaes512 {
    type V = __m512i;
    const W: usize = 4;
    const SLOTS: usize = 2;

    #[inline(always)]
    unsafe fn gather(from: &[*mut u8; 4], offset: usize) -> __m512i {
        // SAFETY: the caller has 16 octets at each.
        unsafe {
            let v = _mm512_castsi128_si512(_mm_loadu_si128(from[0].add(offset).cast()));
            let v = _mm512_inserti32x4::<1>(v, _mm_loadu_si128(from[1].add(offset).cast()));
            let v = _mm512_inserti32x4::<2>(v, _mm_loadu_si128(from[2].add(offset).cast()));
            _mm512_inserti32x4::<3>(v, _mm_loadu_si128(from[3].add(offset).cast()))
        }
    }

    #[inline(always)]
    unsafe fn scatter(to: &[*mut u8; 4], offset: usize, v: __m512i) {
        // SAFETY: the caller has 16 octets at each.
        unsafe {
            _mm_storeu_si128(to[0].add(offset).cast(), _mm512_castsi512_si128(v));
            _mm_storeu_si128(to[1].add(offset).cast(), _mm512_extracti32x4_epi32::<1>(v));
            _mm_storeu_si128(to[2].add(offset).cast(), _mm512_extracti32x4_epi32::<2>(v));
            _mm_storeu_si128(to[3].add(offset).cast(), _mm512_extracti32x4_epi32::<3>(v));
        }
    }

    #[inline(always)]
    unsafe fn splat(block: u128) -> __m512i {
        // SAFETY: AVX-512 is there.
        unsafe { _mm512_broadcast_i32x4(AesNi::splat(block)) }
    }

    #[inline(always)]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: AVX-512 is there.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: AVX-512 is there.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn round(state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: VAES is there.
        unsafe { _mm512_aesenc_epi128(state, key) }
    }

    #[inline(always)]
    unsafe fn last_round(state: __m512i, key: __m512i) -> __m512i {
        // SAFETY: VAES is there.
        unsafe { _mm512_aesenclast_epi128(state, key) }
    }

    #[inline(always)]
    unsafe fn add16(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: AVX-512 BW is there.
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn swap_last(v: __m512i) -> __m512i {
        // SAFETY: AVX-512 BW is there.
        unsafe { _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_set_epi64x(SWAPPED.1, SWAPPED.0))) }
    }

    #[inline(always)]
    unsafe fn next_key(key: __m512i, constant: __m512i) -> __m512i {
        // SAFETY: AVX-512 BW and VAES are there. As for AES-NI.
        unsafe {
            let word =
                _mm512_aesenclast_epi128(_mm512_shuffle_epi8(key, _mm512_set1_epi32(ROTATED)), constant);
            let key = _mm512_xor_si512(key, _mm512_bslli_epi128::<4>(key));
            let key = _mm512_xor_si512(key, _mm512_bslli_epi128::<8>(key));
            _mm512_xor_si512(key, word)
        }
    }
}
