//! One handshake of a peer: its Initiation, repeated, with a cookie if one is wanted.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::datagram::{self, Cookie, NO_COOKIE};
use super::super::messages::{Admission, Identity};
use super::super::seal::Portable;
use super::super::{Entropy, HandshakeError, Initiator, Key, Keys};
use super::{Config, HANDSHAKE_INTERVAL, jittered};

/// After these times the Initiation is repeated.
const REPETITION: [u64; 2] = [500, 1000];
/// After which nothing is waited for.
const LAST: Duration = Duration::from_secs(2);
/// How often a cookie is followed at once.
const MAX_COOKIES: u8 = 3;

pub(super) struct Hello {
    initiator: Initiator,
    address: SocketAddr,
    cookie: Cookie,
    cookies: u8,
    began: Duration,
    attempts: usize,
    failed: bool,
    pub due: Duration,
}

impl Hello {
    /// `None` if there can be none: the matchmaker's key is no key, or a name is too long.
    pub fn new(config: &Config, address: SocketAddr, now: Duration, entropy: Entropy<'_>) -> Option<Hello> {
        let none = Key([0; 32]);
        let (account, key) = match &config.account {
            Some((name, key)) => (name.clone(), key),
            None => (String::new(), &none),
        };
        let identity = Identity { account, software: config.software.clone(), instance: config.instance };
        let initiator = Initiator::new(&config.secret, &config.matchmaker, key, &identity, entropy).ok()?;
        Some(Hello {
            initiator,
            address,
            cookie: NO_COOKIE,
            cookies: 0,
            began: now,
            attempts: 0,
            failed: false,
            due: now,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether something that names this Initiation comes from where it went.
    pub fn is(&self, from: SocketAddr, initiation: &[u8; 8]) -> bool {
        self.address == from && self.initiator.message().first_chunk() == Some(initiation)
    }

    /// What is to be sent now; `None` when it was sent often enough.
    pub fn next(&mut self, now: Duration, jitter: &mut u64) -> Option<Vec<u8>> {
        if self.attempts > REPETITION.len() {
            return None;
        }
        self.due = match REPETITION.get(self.attempts) {
            Some(milliseconds) => now + jittered(*milliseconds, jitter),
            None => (now + LAST).max(self.began + HANDSHAKE_INTERVAL),
        };
        self.attempts += 1;
        datagram::initiation(&self.cookie, self.initiator.message())
    }

    /// The Initiation is wanted again, with this.
    pub fn cookie(&mut self, cookie: Cookie, now: Duration) {
        self.cookie = cookie;
        if self.cookies < MAX_COOKIES {
            self.cookies += 1;
            self.attempts = self.attempts.saturating_sub(1);
            self.due = now;
        }
    }

    pub fn finish(&mut self, response: &mut [u8]) -> Result<(Admission, Keys), HandshakeError> {
        self.initiator.finish::<Portable>(response)
    }

    /// Whether this failure is the first.
    pub fn first_failure(&mut self) -> bool {
        !std::mem::replace(&mut self.failed, true)
    }
}
