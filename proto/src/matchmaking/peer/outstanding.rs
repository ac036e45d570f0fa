//! A request of a peer that waits for its answer.

use std::time::Duration;

/// What a request without answer is repeated after; the last is how long its last repetition is waited for.
const REPETITION: [u64; 5] = [500, 1000, 2000, 4000, 4000];
pub(super) struct Outstanding {
    pub id: u32,
    /// Encoded.
    pub text: Vec<u8>,
    pub asked: Duration,
    pub attempts: usize,
    pub due: Duration,
    pub refusals: u8,
    /// Counter and last octets of the newest datagram.
    pub newest: Option<(u64, [u8; 8])>,
    /// An answer to anything has come from the address since this was asked there.
    pub heard: bool,
    /// It was asked at another address before.
    pub moved: bool,
    /// An acknowledgement, of whose answer nobody waits.
    pub silent: bool,
}

impl Outstanding {
    pub fn new(id: u32, text: Vec<u8>, now: Duration, silent: bool) -> Outstanding {
        Outstanding {
            id,
            text,
            asked: now,
            attempts: 0,
            due: now,
            refusals: 0,
            newest: None,
            heard: false,
            moved: false,
            silent,
        }
    }

    /// It begins from the first interval.
    pub fn again_at(&mut self, now: Duration) {
        (self.attempts, self.refusals, self.due, self.newest) = (0, 0, now, None);
    }

    /// What the next repetition is waited for, in milliseconds.
    pub fn interval(&self) -> u64 {
        REPETITION[self.attempts.min(REPETITION.len() - 1)]
    }

    /// Its end says that the address is silent: it was repeated in vain, or had all of its time there.
    pub fn is_met_by_silence(&self) -> bool {
        !self.heard && (self.is_exhausted() || !self.moved && self.attempts > 0)
    }

    pub fn is_exhausted(&self) -> bool {
        self.attempts >= REPETITION.len()
    }
}
