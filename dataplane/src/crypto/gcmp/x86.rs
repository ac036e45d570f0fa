//! The three vectors of x86: 128 bits with AES-NI and PCLMULQDQ, 256 and 512 bits with VAES and VPCLMULQDQ.

use super::ghash::MODULUS;
use super::isa::{Block, Isa};
use super::kernel::{Task, run};
use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;

/// An instruction without operands in memory.
macro_rules! proven {
    ($instruction:expr) => {{
        // SAFETY: `self` proves that this processor has the instruction.
        unsafe { $instruction }
    }};
}

/// Declares one vector: the type that proves the features, its detection, the entry into the kernel and the operations.
macro_rules! vector {
    (
        $(#[$doc:meta])* $name:ident, $vector:ty, $lanes:literal blocks,
        groups of $groups:literal vectors, strides of $stride:literal vectors,
        features [$($feature:tt)+],
        enabled $enabled:tt,
        {
            xor $xor:ident, and $and:ident, add32 $add32:ident, add64 $add64:ident, shift_right64 $shr64:ident, sign32 $sar32:ident,
            permute $permute:ident, shuffle32 $shuffle:ident, shift_octets $shift:ident,
            round $round:ident, last $last:ident, multiply $clmul:ident,
        }
        { $($memory:item)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name(());

        impl $name {
            /// The proof, if this processor has what it takes.
            pub(super) fn detect() -> Option<Self> {
                ($(is_x86_feature_detected!($feature))&&+).then_some(Self(()))
            }

            /// Seals or opens frames whose keys have `ROUNDS` rounds.
            pub(super) fn run<'a, const ROUNDS: usize, const SEAL: bool>(self, tasks: impl Iterator<Item = Task<'a>>) {
                #[target_feature(enable = $enabled)]
                fn enter<'a, const ROUNDS: usize, const SEAL: bool>(isa: $name, tasks: impl Iterator<Item = Task<'a>>) {
                    run::<$name, $groups, $stride, ROUNDS, SEAL>(isa, tasks);
                }
                // SAFETY: there is a value of this type, so the features have been detected.
                unsafe { enter::<ROUNDS, SEAL>(self, tasks) }
            }
        }

        impl Isa for $name {
            const LANES: usize = $lanes;
            type V = $vector;

            $($memory)*

            #[inline(always)]
            fn xor(self, a: $vector, b: $vector) -> $vector {
                proven!($xor(a, b))
            }
            #[inline(always)]
            fn and(self, a: $vector, b: $vector) -> $vector {
                proven!($and(a, b))
            }
            #[inline(always)]
            fn add32(self, a: $vector, b: $vector) -> $vector {
                proven!($add32(a, b))
            }
            #[inline(always)]
            fn permute(self, v: $vector, table: $vector) -> $vector {
                proven!($permute(v, table))
            }
            #[inline(always)]
            fn swap_halves(self, v: $vector) -> $vector {
                proven!($shuffle::<0x4e>(v))
            }
            #[inline(always)]
            fn prefix_xor32(self, v: $vector) -> $vector {
                let v = self.xor(v, proven!($shift::<4>(v)));
                self.xor(v, proven!($shift::<8>(v)))
            }
            #[inline(always)]
            fn double(self, v: $vector) -> $vector {
                let modulus = self.splat(&MODULUS.to_le_bytes());
                // Bit 63 goes to bit 64; bit 127, if set, becomes the modulus.
                let carry = proven!($shift::<8>($shr64::<63>(v)));
                let overflow = proven!($shuffle::<0xff>($sar32::<31>(v)));
                self.xor(self.xor(proven!($add64(v, v)), carry), self.and(overflow, modulus))
            }
            #[inline(always)]
            fn aes_round(self, v: $vector, key: $vector) -> $vector {
                proven!($round(v, key))
            }
            #[inline(always)]
            fn aes_last(self, v: $vector, key: $vector) -> $vector {
                proven!($last(v, key))
            }
            #[inline(always)]
            fn mul_low(self, a: $vector, b: $vector) -> $vector {
                proven!($clmul::<0x00>(a, b))
            }
            #[inline(always)]
            fn mul_high(self, a: $vector, b: $vector) -> $vector {
                proven!($clmul::<0x11>(a, b))
            }
            #[inline(always)]
            fn mul_cross(self, a: $vector, b: $vector) -> $vector {
                proven!($xor($clmul::<0x01>(a, b), $clmul::<0x10>(a, b)))
            }
        }
    };
}

vector! {
    /// One block in a register: AES-NI, PCLMULQDQ and SSSE3, with the three-operand forms of AVX.
    AesNi, __m128i, 1 blocks, groups of 8 vectors, strides of 8 vectors,
    features ["aes" "pclmulqdq" "ssse3" "avx"],
    enabled "aes,pclmulqdq,ssse3,avx",
    {
        xor _mm_xor_si128, and _mm_and_si128, add32 _mm_add_epi32, add64 _mm_add_epi64, shift_right64 _mm_srli_epi64, sign32 _mm_srai_epi32,
        permute _mm_shuffle_epi8, shuffle32 _mm_shuffle_epi32, shift_octets _mm_slli_si128,
        round _mm_aesenc_si128, last _mm_aesenclast_si128, multiply _mm_clmulepi64_si128,
    }
    {
        #[inline(always)]
        fn zero(self) -> __m128i {
            proven!(_mm_setzero_si128())
        }
        #[inline(always)]
        fn splat(self, octets: &Block) -> __m128i {
            block(octets)
        }
        #[inline(always)]
        fn gather(self, blocks: &[&Block]) -> __m128i {
            self.splat(blocks[0])
        }
        #[inline(always)]
        fn load(self, octets: &[u8]) -> __m128i {
            assert!(octets.len() >= 16);
            // SAFETY: a value of this type proves the features; there are 16 octets to read.
            unsafe { _mm_loadu_si128(octets.as_ptr().cast()) }
        }
        #[inline(always)]
        fn load_some(self, octets: &[u8]) -> __m128i {
            self.load(octets)
        }
        #[inline(always)]
        fn store(self, v: __m128i, octets: &mut [u8]) {
            assert!(octets.len() >= 16);
            // SAFETY: a value of this type proves the features; there are 16 octets to write.
            unsafe { _mm_storeu_si128(octets.as_mut_ptr().cast(), v) }
        }
        #[inline(always)]
        fn store_some(self, v: __m128i, octets: &mut [u8]) {
            self.store(v, octets);
        }
        #[inline(always)]
        fn fold(self, v: __m128i) -> __m128i {
            v
        }
    }
}

vector! {
    /// Two blocks in a register: VAES, VPCLMULQDQ and AVX2.
    Vaes256, __m256i, 2 blocks, groups of 4 vectors, strides of 4 vectors,
    features ["vaes" "vpclmulqdq" "avx2"],
    enabled "vaes,vpclmulqdq,avx2",
    {
        xor _mm256_xor_si256, and _mm256_and_si256, add32 _mm256_add_epi32, add64 _mm256_add_epi64,
        shift_right64 _mm256_srli_epi64, sign32 _mm256_srai_epi32,
        permute _mm256_shuffle_epi8, shuffle32 _mm256_shuffle_epi32, shift_octets _mm256_slli_si256,
        round _mm256_aesenc_epi128, last _mm256_aesenclast_epi128, multiply _mm256_clmulepi64_epi128,
    }
    {
        #[inline(always)]
        fn zero(self) -> __m256i {
            proven!(_mm256_setzero_si256())
        }
        #[inline(always)]
        fn splat(self, octets: &Block) -> __m256i {
            proven!(_mm256_broadcastsi128_si256(block(octets)))
        }
        #[inline(always)]
        fn gather(self, blocks: &[&Block]) -> __m256i {
            proven!(_mm256_set_m128i(block(blocks[1]), block(blocks[0])))
        }
        #[inline(always)]
        fn load(self, octets: &[u8]) -> __m256i {
            assert!(octets.len() >= 32);
            // SAFETY: a value of this type proves the features; there are 32 octets to read.
            unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
        }
        #[inline(always)]
        fn load_some(self, octets: &[u8]) -> __m256i {
            if octets.len() >= 32 {
                return self.load(octets);
            }
            assert!(octets.len() >= 16);
            // SAFETY: a value of this type proves the features; there are 16 octets to read.
            unsafe { _mm256_zextsi128_si256(_mm_loadu_si128(octets.as_ptr().cast())) }
        }
        #[inline(always)]
        fn store(self, v: __m256i, octets: &mut [u8]) {
            assert!(octets.len() >= 32);
            // SAFETY: a value of this type proves the features; there are 32 octets to write.
            unsafe { _mm256_storeu_si256(octets.as_mut_ptr().cast(), v) }
        }
        #[inline(always)]
        fn store_some(self, v: __m256i, octets: &mut [u8]) {
            if octets.len() >= 32 {
                return self.store(v, octets);
            }
            assert!(octets.len() >= 16);
            // SAFETY: a value of this type proves the features; there are 16 octets to write.
            unsafe { _mm_storeu_si128(octets.as_mut_ptr().cast(), _mm256_castsi256_si128(v)) }
        }
        #[inline(always)]
        fn fold(self, v: __m256i) -> __m256i {
            proven!(_mm256_zextsi128_si256(_mm_xor_si128(
                _mm256_castsi256_si128(v),
                _mm256_extracti128_si256::<1>(v)
            )))
        }
    }
}

vector! {
    /// Four blocks in a register: VAES, VPCLMULQDQ and AVX-512.
    Vaes512, __m512i, 4 blocks, groups of 2 vectors, strides of 4 vectors,
    features ["vaes" "vpclmulqdq" "avx512f" "avx512bw" "avx512dq" "avx512vl"],
    enabled "vaes,vpclmulqdq,avx512f,avx512bw,avx512dq,avx512vl",
    {
        xor _mm512_xor_si512, and _mm512_and_si512, add32 _mm512_add_epi32, add64 _mm512_add_epi64,
        shift_right64 _mm512_srli_epi64, sign32 _mm512_srai_epi32,
        permute _mm512_shuffle_epi8, shuffle32 _mm512_shuffle_epi32, shift_octets _mm512_bslli_epi128,
        round _mm512_aesenc_epi128, last _mm512_aesenclast_epi128, multiply _mm512_clmulepi64_epi128,
    }
    {
        #[inline(always)]
        fn zero(self) -> __m512i {
            proven!(_mm512_setzero_si512())
        }
        #[inline(always)]
        fn splat(self, octets: &Block) -> __m512i {
            proven!(_mm512_broadcast_i32x4(block(octets)))
        }
        #[inline(always)]
        fn gather(self, blocks: &[&Block]) -> __m512i {
            let low = proven!(_mm256_set_m128i(block(blocks[1]), block(blocks[0])));
            let high = proven!(_mm256_set_m128i(block(blocks[3]), block(blocks[2])));
            proven!(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
        }
        #[inline(always)]
        fn load(self, octets: &[u8]) -> __m512i {
            assert!(octets.len() >= 64);
            // SAFETY: a value of this type proves the features; there are 64 octets to read.
            unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
        }
        #[inline(always)]
        fn load_some(self, octets: &[u8]) -> __m512i {
            // SAFETY: a value of this type proves the features; what the mask leaves out is not read.
            unsafe { _mm512_maskz_loadu_epi64(halves(octets.len()), octets.as_ptr().cast()) }
        }
        #[inline(always)]
        fn store(self, v: __m512i, octets: &mut [u8]) {
            assert!(octets.len() >= 64);
            // SAFETY: a value of this type proves the features; there are 64 octets to write.
            unsafe { _mm512_storeu_si512(octets.as_mut_ptr().cast(), v) }
        }
        #[inline(always)]
        fn store_some(self, v: __m512i, octets: &mut [u8]) {
            // SAFETY: a value of this type proves the features; what the mask leaves out is not written.
            unsafe { _mm512_mask_storeu_epi64(octets.as_mut_ptr().cast(), halves(octets.len()), v) }
        }
        #[inline(always)]
        fn fold(self, v: __m512i) -> __m512i {
            let half = proven!(_mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v)));
            let quarter = proven!(_mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half)));
            proven!(_mm512_zextsi128_si512(quarter))
        }
    }
}

#[inline(always)]
fn block(octets: &Block) -> __m128i {
    // SAFETY: SSE2 is part of x86-64, and there are 16 octets to read.
    unsafe { _mm_loadu_si128(octets.as_ptr().cast()) }
}

/// A mask of as many 64-bit halves of blocks as there are whole ones in so many octets.
#[inline(always)]
fn halves(octets: usize) -> u8 {
    ((1u16 << (octets / 8).min(8)) - 1) as u8
}
