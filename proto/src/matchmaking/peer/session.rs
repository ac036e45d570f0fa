//! What a handshake brought: a ticket, and the keys to speak with whoever can open it.

use std::time::Duration;

use super::super::Keys;
use super::super::datagram::{self, ANSWER_HEAD, Cookie};
use super::super::messages::Admission;
use super::super::seal::{self, Aead, Portable, counter_nonce};
use super::jittered;

pub(super) struct Session {
    up: Portable,
    down: Portable,
    ticket: Vec<u8>,
    counter: u64,
    /// With which requests are sent until one is answered.
    pub cookie: Option<Cookie>,
    /// When another handshake is to be made.
    pub renew: Duration,
    pub expires: Duration,
    /// The matchmaker does not take the ticket.
    pub refused: bool,
}

impl Session {
    pub fn new(admission: Admission, keys: Keys, now: Duration, jitter: &mut u64) -> Session {
        let lifetime = Duration::from_secs(admission.lifetime_seconds.into());
        Session {
            up: Portable::new(&keys.up),
            down: Portable::new(&keys.down),
            ticket: admission.ticket,
            counter: 0,
            cookie: admission.cookie.try_into().ok(),
            // From 0.45 to 0.75 of it.
            renew: now + jittered(u64::from(admission.lifetime_seconds) * 600, jitter),
            expires: now + lifetime,
            refused: false,
        }
    }

    /// What pushes name it by.
    pub fn tail(&self) -> [u8; 8] {
        self.ticket.last_chunk().copied().unwrap_or_default()
    }

    /// A datagram with this request, and what a Not accepted would repeat of it.
    pub fn seal(&mut self, text: &[u8], newest: &mut Option<(u64, [u8; 8])>) -> Vec<u8> {
        let mut out = Vec::with_capacity(datagram::MAX_DATAGRAM);
        datagram::request(self.cookie.as_ref(), &self.ticket, self.counter, &mut out);
        let head = out.len();
        out.extend_from_slice(text);
        seal::seal(&self.up, &counter_nonce(self.counter), &mut out, head);
        *newest = out.last_chunk().map(|echo| (self.counter, *echo));
        self.counter += 1;
        out
    }

    /// The text of an answer or a push. The datagram stays as it is if it is not under this session's key.
    pub fn open(&self, nonce: &[u8; 12], datagram: &[u8]) -> Option<Vec<u8>> {
        let mut copy = datagram.to_vec();
        let text = seal::open(&self.down, nonce, &mut copy, ANSWER_HEAD).ok()?;
        Some(text.to_vec())
    }
}
