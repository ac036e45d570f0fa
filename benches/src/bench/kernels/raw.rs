//! The wall: as many AES blocks as a burst of CCMP has (2n + 4 for n blocks of body: MAC and counter stream, B0 and two of additional data, S0), through
//! independent chains at the width that is fastest here, under one key that was expanded before. Nothing is read, written or compared.

use super::Contender;
use super::work::Work;

/// The loop.
pub struct Raw(fn(usize));

impl Raw {
    /// With the fastest width there is; `None`: not on this processor.
    pub fn new() -> Option<Raw> {
        let widths = widths();
        let time = |width: &fn(usize)| {
            let once = |_| {
                let start = super::super::clock::now();
                width(10_000);
                super::super::clock::now() - start
            };
            (0..20).map(once).min()
        };
        widths.into_iter().min_by_key(time).map(Raw)
    }
}

/// AES blocks of a CCMP frame with a body of so many octets and 22 or 24 of additional data.
pub fn blocks(body: usize) -> usize {
    2 * body.div_ceil(16) + 4
}

impl Contender for Raw {
    fn name(&self) -> &'static str {
        "raw AES"
    }

    fn seal(&mut self, work: &mut Work) {
        self.0(work.frames.iter().map(|frame| blocks(frame.len)).sum());
    }

    fn open(&mut self, work: &mut Work) -> usize {
        self.seal(work);
        work.frames.len()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn widths() -> Vec<fn(usize)> {
    Vec::new()
}

#[cfg(target_arch = "x86_64")]
fn widths() -> Vec<fn(usize)> {
    let mut widths: Vec<fn(usize)> = Vec::new();
    if is_x86_feature_detected!("aes") {
        widths.push(x86::aes_ni);
    }
    if is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2") {
        widths.push(x86::vaes_256);
    }
    if is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx512f") {
        widths.push(x86::vaes_512);
    }
    widths
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "intrinsics")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// A loop over chains of registers with `$lanes` blocks each.
    macro_rules! width {
        ($name:ident, $inner:ident, $features:literal, $lanes:literal, $chains:literal, $register:ty, $zero:ident, $round:ident, $last:ident) => {
            pub fn $name(blocks: usize) {
                // SAFETY: only listed where the processor has the features.
                unsafe { $inner(blocks) }
            }

            #[target_feature(enable = $features)]
            fn $inner(blocks: usize) {
                let keys: [$register; 10] = black_box([$zero(); 10]);
                let mut state: [$register; $chains] = black_box([$zero(); $chains]);
                for _ in 0..blocks.div_ceil($lanes * $chains) {
                    for key in &keys[..9] {
                        for block in &mut state {
                            *block = $round(*block, *key);
                        }
                    }
                    for block in &mut state {
                        *block = $last(*block, keys[9]);
                    }
                }
                black_box(state);
            }
        };
    }

    width!(
        aes_ni,
        aes_ni_loop,
        "aes",
        1,
        8,
        __m128i,
        _mm_setzero_si128,
        _mm_aesenc_si128,
        _mm_aesenclast_si128
    );
    width!(
        vaes_256,
        vaes_256_loop,
        "vaes,avx2",
        2,
        8,
        __m256i,
        _mm256_setzero_si256,
        _mm256_aesenc_epi128,
        _mm256_aesenclast_epi128
    );
    width!(
        vaes_512,
        vaes_512_loop,
        "vaes,avx512f",
        4,
        8,
        __m512i,
        _mm512_setzero_si512,
        _mm512_aesenc_epi128,
        _mm512_aesenclast_epi128
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_ccmp() {
        assert_eq!((blocks(0), blocks(1), blocks(16), blocks(1500)), (4, 6, 6, 192));
    }

    #[test]
    fn more_blocks_take_longer() {
        let Some(Raw(run)) = Raw::new() else { return };
        let time = |blocks| {
            let start = super::super::super::clock::now();
            run(blocks);
            super::super::super::clock::now() - start
        };
        assert!((0..10).map(|_| time(1_000_000)).min() > (0..10).map(|_| time(100_000)).min());
    }
}
