//! The air: frames are lost, doubled, held up, changed and sent again.

use std::time::Duration;

use authenticator::Entropy;

use super::{Direction, Fate, World, flip};

impl World {
    pub(super) fn send(&mut self, direction: Direction, frame: Vec<u8>) {
        let number = self.sent.len();
        self.sent.push((direction, frame.clone()));
        let hop = Duration::from_millis(2);
        let mut copies = vec![(hop, frame)];
        if let Some((chosen, fate)) = self.fate
            && chosen == number
        {
            let (_, frame) = copies[0].clone();
            match fate {
                Fate::Lost => copies.clear(),
                Fate::Twice => copies.push((hop, frame)),
                Fate::Late(delay) => copies[0].0 = delay,
                Fate::Corrupted(bit) => flip(&mut copies[0].1, bit),
                Fate::Replayed(delay) => copies.push((delay, frame)),
            }
        }
        if self.percent(self.faults.loss) {
            copies.clear();
        }
        if self.percent(self.faults.duplication) {
            copies.extend(copies.clone());
        }
        for (delay, mut frame) in copies {
            let mut at = self.now + delay;
            if self.percent(self.faults.reordering) {
                at = at + Duration::from_micros(self.random() % 300_000);
            }
            if self.percent(self.faults.corruption) {
                let bit = self.random() as usize;
                flip(&mut frame, bit);
            }
            self.serial += 1;
            self.air.insert((at, self.serial), (direction, frame));
        }
    }

    pub(super) fn percent(&mut self, percent: u8) -> bool {
        percent > 0 && self.random() % 100 < u64::from(percent)
    }

    pub(super) fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}
