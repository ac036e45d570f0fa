//! Which packet numbers have been heard under one key, from one side, for one TID.

/// Remembers the last [`Seen::WINDOW`] numbers; what is older counts as heard.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Highest heard so far; 0: none (packet number 0 is never sent).
    highest: u64,
    /// Bit n of the whole: `highest - n` was heard.
    bits: [u64; Seen::WORDS],
}

impl Default for Seen {
    fn default() -> Self {
        Seen { highest: 0, bits: [0; Seen::WORDS] }
    }
}

impl Seen {
    const WORDS: usize = 16;
    /// Far more than the longest block-ack window (1024 frames in 802.11be) could delay a frame.
    pub const WINDOW: u64 = 64 * Seen::WORDS as u64;

    /// Notes a number; false when it was heard before.
    pub fn note(&mut self, number: u64) -> bool {
        if number > self.highest {
            self.shift(number - self.highest);
            self.highest = number;
            self.bits[0] |= 1;
            return true;
        }
        let age = self.highest - number;
        if age >= Seen::WINDOW {
            return false;
        }
        let (word, bit) = ((age / 64) as usize, 1 << (age % 64));
        let fresh = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        fresh
    }

    fn shift(&mut self, by: u64) {
        if by >= Seen::WINDOW {
            self.bits = [0; Seen::WORDS];
            return;
        }
        let (words, bits) = ((by / 64) as usize, (by % 64) as u32);
        for to in (0..Seen::WORDS).rev() {
            let from = |back: usize| to.checked_sub(words + back).map_or(0, |word| self.bits[word]);
            self.bits[to] = if bits == 0 { from(0) } else { from(0) << bits | from(1) >> (64 - bits) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_a_set_would(numbers in proptest::collection::vec(1u64..3000, 1..400)) {
            let mut seen = Seen::default();
            let mut model = std::collections::BTreeSet::new();
            for number in numbers {
                let highest = model.last().copied().unwrap_or(0);
                let too_old = highest >= number + Seen::WINDOW;
                prop_assert_eq!(seen.note(number), !too_old && !model.contains(&number));
                if !too_old {
                    model.insert(number);
                }
            }
        }
    }
}
