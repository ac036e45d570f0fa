//! Pushes to the peers that are kept: repeated until they are acknowledged.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;

use super::super::datagram::{self, MAX_ANSWER, kind};
use super::super::messages::{Push, push};
use super::super::seal::{self, Accelerated, Aead};
use super::super::{Entropy, Key, PublicKey};
use super::Nonces;

/// Repetitions follow after these times, the last of them again and again.
const REPETITION: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
const ATTEMPTS: usize = 10;

/// Why a push is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// [`super::Server::keep`] first.
    #[error("the peer is not kept: it has not spoken, or was let go")]
    NotKept,
    /// As many wait as may.
    #[error("too many pushes wait for this peer's acknowledgement")]
    Full,
    /// Longer than [`MAX_ANSWER`].
    #[error("the push does not fit into a datagram")]
    TooLong,
}

/// What [`super::Server::poll_push`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutput {
    /// The datagram is to be sent there.
    Send(SocketAddr),
    /// Nobody acknowledged it in ten attempts.
    GaveUp {
        /// Whom it was for.
        peer: PublicKey,
        /// Which.
        id: u32,
    },
}

/// With whom and how to speak: of the peer's newest request.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub down: &'a Key,
    pub tail: [u8; 8],
    pub endpoint: SocketAddr,
}

pub(super) struct Pushes {
    kept: HashMap<PublicKey, Kept>,
    due: BTreeSet<(Duration, PublicKey, u32)>,
    max_kept: usize,
    max_waiting: usize,
}

struct Kept {
    key: Accelerated,
    tail: [u8; 8],
    endpoint: SocketAddr,
    next: u32,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    id: u32,
    text: Vec<u8>,
    attempts: usize,
    due: Duration,
}

impl Pushes {
    pub fn new(max_kept: usize, max_waiting: usize) -> Pushes {
        Pushes { kept: HashMap::new(), due: BTreeSet::new(), max_kept, max_waiting }
    }

    pub fn keep(&mut self, peer: PublicKey, way: Way<'_>, first: u32) -> bool {
        if self.kept.contains_key(&peer) {
            self.heard(&peer, way);
            return true;
        }
        if self.kept.len() >= self.max_kept {
            return false;
        }
        let Way { down, tail, endpoint } = way;
        let kept =
            Kept { key: Accelerated::new(down), tail, endpoint, next: first, waiting: VecDeque::new() };
        self.kept.insert(peer, kept);
        true
    }

    /// A kept peer spoke: under this ticket, from this address.
    pub fn heard(&mut self, peer: &PublicKey, way: Way<'_>) {
        if self.kept.is_empty() {
            return;
        }
        let Some(kept) = self.kept.get_mut(peer) else { return };
        kept.endpoint = way.endpoint;
        if kept.tail != way.tail {
            (kept.key, kept.tail) = (Accelerated::new(way.down), way.tail);
        }
    }

    pub fn let_go(&mut self, peer: &PublicKey) {
        for waiting in self.kept.remove(peer).into_iter().flat_map(|kept| kept.waiting) {
            self.due.remove(&(waiting.due, *peer, waiting.id));
        }
    }

    pub fn push(&mut self, peer: &PublicKey, push: push::Push, now: Duration) -> Result<u32, PushError> {
        let kept = self.kept.get_mut(peer).ok_or(PushError::NotKept)?;
        if kept.waiting.len() >= self.max_waiting {
            return Err(PushError::Full);
        }
        let push = Push { id: kept.next, push: Some(push) };
        if push.encoded_len() > MAX_ANSWER {
            return Err(PushError::TooLong);
        }
        kept.next = kept.next.wrapping_add(1);
        kept.waiting.push_back(Waiting { id: push.id, text: push.encode_to_vec(), attempts: 0, due: now });
        self.due.insert((now, *peer, push.id));
        Ok(push.id)
    }

    /// Forgets what is acknowledged; says how many.
    pub fn acknowledged(&mut self, peer: &PublicKey, ids: &[u32]) -> u64 {
        let Some(kept) = self.kept.get_mut(peer) else { return 0 };
        let before = kept.waiting.len();
        kept.waiting.retain(|waiting| {
            let acknowledged = ids.contains(&waiting.id);
            if acknowledged {
                self.due.remove(&(waiting.due, *peer, waiting.id));
            }
            !acknowledged
        });
        (before - kept.waiting.len()) as u64
    }

    pub fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, ..)| *due)
    }

    pub fn poll(
        &mut self,
        now: Duration,
        nonces: &mut Nonces,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Option<PushOutput> {
        let &(due, peer, id) = self.due.first()?;
        if due > now {
            return None;
        }
        self.due.pop_first();
        let kept = self.kept.get_mut(&peer)?;
        let at = kept.waiting.iter().position(|waiting| waiting.id == id)?;
        let waiting = &mut kept.waiting[at];
        if waiting.attempts == ATTEMPTS {
            kept.waiting.remove(at);
            return Some(PushOutput::GaveUp { peer, id });
        }
        waiting.due = now + REPETITION[waiting.attempts.min(REPETITION.len() - 1)];
        waiting.attempts += 1;
        self.due.insert((waiting.due, peer, id));
        let nonce = nonces.next(entropy);
        datagram::downward(kind::PUSH, &kept.tail, &nonce, out);
        out.extend_from_slice(&waiting.text);
        seal::seal(&kept.key, &nonce, out, datagram::ANSWER_HEAD);
        Some(PushOutput::Send(kept.endpoint))
    }
}
