//! Where nonces and identifiers come from: a trait, and a generator that its seed determines.

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// A source of octets nobody else can predict (or, in a test, that the test can repeat).
pub trait Entropy {
    /// Fills the whole of `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// SHA-256 in counter mode over a seed: block `i` is SHA-256(seed ‖ i as 8 octets big-endian).
///
/// With a secret seed of 16 octets the output is unpredictable; with a known one a run can be repeated.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct SeedEntropy {
    seed: [u8; 16],
    counter: u64,
}

impl SeedEntropy {
    /// A generator that starts at block 0 of `seed`.
    pub fn new(seed: [u8; 16]) -> SeedEntropy {
        SeedEntropy { seed, counter: 0 }
    }
}

impl std::fmt::Debug for SeedEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeedEntropy(…)")
    }
}

impl From<u64> for SeedEntropy {
    /// For simulations, where devices are numbered and a run is to be repeatable.
    fn from(number: u64) -> SeedEntropy {
        let mut seed = [0; 16];
        seed[8..].copy_from_slice(&number.to_be_bytes());
        SeedEntropy::new(seed)
    }
}

impl Entropy for SeedEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed);
            hash.update(self.counter.to_be_bytes());
            self.counter += 1;
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_never_repeats_within_itself() {
        let (mut a, mut b, mut c) = (SeedEntropy::from(1), SeedEntropy::from(1), SeedEntropy::from(2));
        let mut x = [[0u8; 40]; 3];
        a.fill(&mut x[0]);
        b.fill(&mut x[1]);
        c.fill(&mut x[2]);
        assert_eq!(x[0], x[1]);
        assert_ne!(x[0], x[2]);
        assert_ne!(x[0][..8], x[0][32..]);
        let mut next = [0u8; 40];
        a.fill(&mut next);
        assert_ne!(next, x[0]);
    }
}
