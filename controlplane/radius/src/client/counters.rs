//! What happened with one server, counted (RFC 4668 §3, RFC 4670 §3).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one server at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Requests, retransmissions not counted.
    pub requests: u64,
    /// Retransmissions.
    pub retransmissions: u64,
    /// Believed replies.
    pub replies: u64,
    /// Requests given up without an answer.
    pub timeouts: u64,
    /// Replies with a wrong Response Authenticator or Message-Authenticator: forged, or the secret differs.
    pub bad_authenticators: u64,
    /// Replies of the secret's holder without the Message-Authenticator that is demanded.
    pub missing_message_authenticators: u64,
    /// Datagrams that are no RADIUS packets.
    pub malformed: u64,
    /// Replies of a code that does not answer the request.
    pub unknown_types: u64,
    /// Replies to nothing that is outstanding: late, repeated, or forged.
    pub unexpected: u64,
    /// Times that ICMP said nothing listens there.
    pub refused: u64,
    /// Requests outstanding now.
    pub pending: u64,
    /// It does not answer at present and is passed over.
    pub dead: bool,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    pub(crate) retransmissions: Counter,
    pub(crate) replies: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) bad_authenticators: Counter,
    pub(crate) missing_message_authenticators: Counter,
    pub(crate) malformed: Counter,
    pub(crate) unknown_types: Counter,
    pub(crate) unexpected: Counter,
    pub(crate) refused: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, pending: u64, dead: bool) -> ServerStats {
        ServerStats {
            requests: self.requests.get(),
            retransmissions: self.retransmissions.get(),
            replies: self.replies.get(),
            timeouts: self.timeouts.get(),
            bad_authenticators: self.bad_authenticators.get(),
            missing_message_authenticators: self.missing_message_authenticators.get(),
            malformed: self.malformed.get(),
            unknown_types: self.unknown_types.get(),
            unexpected: self.unexpected.get(),
            refused: self.refused.get(),
            pending,
            dead,
        }
    }
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
