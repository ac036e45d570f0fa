//! A fast keyed hash. Addresses come from the air, so whoever sends must not be able to choose where they go in a table.

use std::hash::{BuildHasher, Hasher};

/// The key: secret, drawn when the process starts.
#[derive(Clone, Copy)]
pub struct Seed {
    a: u64,
    b: u64,
}

impl Seed {
    /// From 16 random octets.
    pub fn new(entropy: [u8; 16]) -> Seed {
        let [a, b] = [0, 8].map(|at| {
            let mut half = [0; 8];
            half.copy_from_slice(&entropy[at..at + 8]);
            u64::from_le_bytes(half)
        });
        // The factors must not be zero, whatever was drawn.
        Seed { a: a ^ 0x9e37_79b9_7f4a_7c15, b: b ^ 0xd1b5_4a32_d192_ed03 | 1 }
    }
}

impl Default for Seed {
    fn default() -> Seed {
        Seed::new([0; 16])
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Of two numbers.
#[inline]
pub(crate) fn hash_pair(seed: Seed, a: u64, b: u64) -> u64 {
    let once = fold(a ^ seed.a, b ^ seed.b);
    fold(once ^ seed.b, 0x2545_f491_4f6c_dd1d ^ seed.a)
}

/// The two halves of the product.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Hashes what it is given, eight octets at a time.
pub struct KeyedHasher {
    seed: Seed,
    state: u64,
}

impl Hasher for KeyedHasher {
    fn finish(&self) -> u64 {
        fold(self.state ^ self.seed.a, 0x2545_f491_4f6c_dd1d ^ self.seed.b)
    }

    fn write(&mut self, octets: &[u8]) {
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.seed.b).wrapping_add(self.seed.a);
    }
}

impl BuildHasher for Seed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { seed: *self, state: self.a }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_addresses_are_spread_and_the_key_matters() {
        let seed = Seed::new([3; 16]);
        let mut buckets = [0u32; 256];
        for n in 0..65_536u64 {
            buckets[(hash_pair(seed, n, 1 << 63) & 255) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (160..360).contains(&n)), "{buckets:?}");
        assert_ne!(hash_pair(seed, 1, 2), hash_pair(Seed::default(), 1, 2));
        assert_ne!(hash_pair(seed, 1, 2), hash_pair(seed, 2, 1));
        assert_ne!(seed.hash_one([1u8, 2, 3]), seed.hash_one([1u8, 2, 4]));
    }
}
