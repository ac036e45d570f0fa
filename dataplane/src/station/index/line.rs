//! The entries of a cache line, all compared with a key at once.

use super::{Entry, Key, LINE};

/// Bits that stand for an entry.
pub(super) const BITS: usize = 4;

/// What a line has, each a bit at [`BITS`] times the number of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    /// Entries of the key; gaps are none, whatever it is.
    pub(super) found: u32,
    /// Gaps.
    pub(super) gaps: u32,
}

/// Compares a line with a key.
#[inline(always)]
pub(super) fn compare(line: &[Entry; LINE], key: Key) -> Compared {
    /// The lowest bit of each entry.
    const EACH: u32 = 0x1111;
    let words = equal(line, key);
    let gaps = words >> 3 & EACH;
    Compared { found: words & words >> 1 & words >> 2 & EACH & !gaps, gaps }
}

/// Which words of the entries are those of a key at place 0: a bit for each.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn equal(line: &[Entry; LINE], key: Key) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi32, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32,
        _mm_set_epi64x,
    };
    let entries: *const __m128i = line.as_ptr().cast();
    // SAFETY: the instructions are part of every x86-64; there are four entries, each of 16 octets without padding.
    unsafe {
        let key = _mm_set_epi64x(key.low.into(), key.high.cast_signed());
        let a = _mm_cmpeq_epi32(_mm_loadu_si128(entries), key);
        let b = _mm_cmpeq_epi32(_mm_loadu_si128(entries.add(1)), key);
        let c = _mm_cmpeq_epi32(_mm_loadu_si128(entries.add(2)), key);
        let d = _mm_cmpeq_epi32(_mm_loadu_si128(entries.add(3)), key);
        // A word of all ones becomes an octet of all ones.
        let octets = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
        _mm_movemask_epi8(octets).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
use one_by_one as equal;

/// The same, on any processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn one_by_one(line: &[Entry; LINE], key: Key) -> u32 {
    let mut bits = 0;
    for (n, entry) in line.iter().enumerate() {
        let high = entry.high ^ key.high;
        let equal = [high as u32 == 0, high >> 32 == 0, entry.low == key.low, entry.place == 0];
        for (word, equal) in equal.into_iter().enumerate() {
            bits |= u32::from(equal) << (n * BITS + word);
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few values, so that words are often equal, and each half of a number by itself.
    fn key() -> impl Strategy<Value = Key> {
        let word = || prop_oneof![Just(0u32), Just(1), Just(u32::MAX), Just(0x8000)];
        (word(), word(), word()).prop_map(|(a, b, low)| Key { high: u64::from(a) << 32 | u64::from(b), low })
    }

    proptest! {
        #[test]
        fn a_line_has_what_its_entries_are(
            entries in proptest::array::uniform4((key(), prop_oneof![Just(0u32), Just(1), Just(u32::MAX)])),
            key in key(),
        ) {
            let line = entries.map(|(Key { high, low }, place)| Entry { high, low, place });
            let bits = |is: fn(&Entry, Key) -> bool| {
                (0..LINE).fold(0, |bits, n| bits | u32::from(is(&line[n], key)) << (n * BITS))
            };
            let expected = Compared {
                found: bits(|entry, key| entry.key() == key && entry.place != 0),
                gaps: bits(|entry, _| entry.place == 0),
            };
            prop_assert_eq!(compare(&line, key), expected);
            prop_assert_eq!(equal(&line, key), one_by_one(&line, key));
        }
    }
}
