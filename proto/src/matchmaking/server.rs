//! The matchmaker's side of the protocol: handshakes, tickets, replay windows, limits, pushes.
//!
//! One [`Server`] is driven by one thread. Several, on several cores or machines, serve one name if they have the same
//! static key, [`TicketKeys`] and epoch; each has its own windows and cookies, which costs a peer that goes from one to
//! another a round trip.
//!
//! `now` is Unix time, so that all of them mean the same by a ticket's end. If the clock is set, limits and
//! repetitions are off for as long, nothing else.

mod cookie;
mod counters;
mod limits;
mod offers;
mod opening;
mod pushes;
mod ticket;
mod window;

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;

pub use self::cookie::{Cookies, Proof};
pub use self::counters::{Counters, DropReason};
pub use self::limits::Rate;
use self::limits::{Bucket, Buckets, Keyed};
pub use self::offers::{OfferText, OffersText};
pub use self::opening::{Begun, Opening};
pub use self::pushes::{PushError, PushOutput};
use self::pushes::{Pushes, Way};
pub use self::ticket::{TICKET, Ticket, TicketError, TicketKey, TicketKeys};
use self::window::WindowTable;
use super::check;
use super::datagram::{self, Cookie, MAX_ANSWER, NO_COOKIE, kind};
use super::handshake::Responder;
use super::messages::{Admission, Answer, answer, push, request};
use super::seal::{self, Accelerated, Aead};
use super::{Entropy, Key, PublicKey, StaticSecret, canonical};

/// Names an account where its e-mail address is too long: whatever the caller has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub [u8; 16]);

/// An account as far as a handshake needs it.
#[derive(Debug, Clone)]
pub struct Account {
    /// What requests under it are marked with.
    pub id: AccountId,
    /// The pre-shared key.
    pub key: Key,
}

/// Where accounts are looked up, by e-mail address. A closure will do.
pub trait Accounts {
    /// The account of this name.
    fn account(&self, name: &str) -> Option<Account>;
}

impl<F: Fn(&str) -> Option<Account>> Accounts for F {
    fn account(&self, name: &str) -> Option<Account> {
        self(name)
    }
}

/// What a server lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams of one source: an IPv4 address, or a network of 64 bits of IPv6.
    pub source: Rate,
    /// Requests of one peer.
    pub peer: Rate,
    /// Handshakes without cookie.
    pub handshakes: Rate,
    /// Handshakes with cookie, beyond those.
    pub cookie_handshakes: Rate,
    /// Buckets for sources, and as many for peers; 8 octets each.
    pub buckets: usize,
    /// Peers whose replay windows are remembered; 32 octets each.
    pub windows: usize,
    /// Peers that pushes can be sent to.
    pub kept: usize,
    /// Pushes that wait for one peer's acknowledgement.
    pub waiting: usize,
}

impl Default for Limits {
    /// For a core: a source may be a carrier's NAT with many radios behind it.
    fn default() -> Limits {
        Limits {
            source: Rate { per_second: 20_000, burst: 40_000 },
            peer: Rate { per_second: 200, burst: 400 },
            handshakes: Rate { per_second: 500, burst: 500 },
            cookie_handshakes: Rate { per_second: 2000, burst: 2000 },
            buckets: 1 << 16,
            windows: 1 << 20,
            kept: 1 << 16,
            waiting: 1024,
        }
    }
}

/// What a server is made of.
pub struct Config {
    /// Its static key, which all peers know.
    pub secret: StaticSecret,
    /// What tickets are sealed under.
    pub tickets: TicketKeys,
    /// How long a ticket lasts.
    pub ticket_lifetime: Duration,
    /// Drawn when what was registered was lost.
    pub epoch: u64,
    /// What it lets through.
    pub limits: Limits,
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its static key: it is who it is by this.
    pub key: PublicKey,
    /// The account whose key it had in the handshake.
    pub account: Option<AccountId>,
    /// Drawn when its process started.
    pub instance: u64,
    /// Where it is, proved.
    pub endpoint: SocketAddr,
}

/// A request that is authentic, new and well-formed.
#[derive(Debug)]
pub struct Received {
    /// Who sent it.
    pub peer: PeerIdentity,
    /// What it asks.
    pub request: request::Request,
    /// What seals the answer.
    pub reply: ReplyToken,
}

/// What it takes to answer a request, now or later. An answer may be sent more than once, or not at all.
#[derive(Debug, Clone)]
pub struct ReplyToken {
    id: u32,
    counter: u64,
    down: Key,
    tail: [u8; 8],
    peer: PublicKey,
    endpoint: SocketAddr,
}

/// What comes of a datagram.
#[allow(
    clippy::large_enum_variant,
    reason = "it goes from one function to the next: a box would cost more than its size"
)]
#[derive(Debug)]
pub enum Outcome {
    /// Nothing.
    Dropped(DropReason),
    /// `out` is to be sent to the source. If there is a reason, nothing else was done.
    Reply(Option<DropReason>),
    /// To be answered with [`Server::answer`].
    Received(Received),
}

/// An answer or a push that does not fit into a datagram: its text may have [`MAX_ANSWER`] octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer of {octets} octets, at most {MAX_ANSWER} fit into a datagram")]
pub struct TooLong {
    /// Of its text.
    pub octets: usize,
}

/// Random nonces, drawn many at a time: drawing costs a system call. They are sent in clear, so none is secret.
struct Nonces {
    octets: [u8; 12 * 64],
    used: usize,
}

impl Nonces {
    fn next(&mut self, entropy: Entropy<'_>) -> [u8; 12] {
        if self.used == self.octets.len() {
            entropy(&mut self.octets);
            self.used = 0;
        }
        self.used += 12;
        self.octets[self.used - 12..self.used].try_into().expect("12 octets")
    }
}

/// See the module.
pub struct Server<A> {
    /// Where accounts are looked up.
    pub accounts: A,
    config: Config,
    windows: WindowTable,
    counters: Counters,
    cookies: Cookies,
    nonces: Nonces,
    keyed: Keyed,
    sources: Buckets,
    peers: Buckets,
    handshakes: Bucket,
    cookie_handshakes: Bucket,
    pushes: Pushes,
    last_serial: u64,
}

impl<A: Accounts> Server<A> {
    /// One that has seen nobody yet.
    pub fn new(config: Config, accounts: A, now: Duration, entropy: Entropy<'_>) -> Server<A> {
        let limits = config.limits;
        let mut secret = [0; 8];
        entropy(&mut secret);
        Server {
            accounts,
            config,
            windows: WindowTable::new(limits.windows),
            counters: Counters::default(),
            cookies: Cookies::new(now, entropy),
            nonces: Nonces { octets: [0; 768], used: 768 },
            keyed: Keyed::new(u64::from_be_bytes(secret)),
            sources: Buckets::new(limits.source, limits.buckets),
            peers: Buckets::new(limits.peer, limits.buckets),
            handshakes: Bucket::default(),
            cookie_handshakes: Bucket::default(),
            pushes: Pushes::new(limits.kept, limits.waiting),
            last_serial: 0,
        }
    }

    /// Takes a datagram, which it opens in place. What is to be sent back at once stands in `out`.
    pub fn datagram(
        &mut self,
        source: SocketAddr,
        bytes: &mut [u8],
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match self.begin(source, bytes, now, entropy, out) {
            Begun::Over(outcome) => outcome,
            Begun::Opening(opening) => self.end(&opening, bytes, now, entropy, out),
        }
    }

    /// Seals an answer into `out`; gives where to send it.
    pub fn answer(
        &mut self,
        reply: &ReplyToken,
        answer: answer::Answer,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Result<SocketAddr, TooLong> {
        let answer = Answer { id: reply.id, epoch: self.config.epoch, answer: Some(answer) };
        let octets = answer.encoded_len();
        if octets > MAX_ANSWER {
            return Err(TooLong { octets });
        }
        debug_assert_eq!(check::answer(&answer), Ok(()), "no peer takes {answer:?}");
        self.seal(reply, entropy, out, |out| answer.encode(out).expect("a vector grows"));
        Ok(reply.endpoint)
    }

    /// The same for `Offers`, which `write` adds as long as they fit; `withdrawn`: UUIDs that are to stand in it.
    pub fn answer_offers<'a>(
        &mut self,
        reply: &ReplyToken,
        (ttl_seconds, withdrawn): (u32, impl ExactSizeIterator<Item = &'a [u8; 16]>),
        write: impl FnOnce(&mut OffersText<'_>),
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> SocketAddr {
        let about = (reply.id, self.config.epoch);
        self.seal(reply, entropy, out, |out| {
            offers::answer(out, about, (ttl_seconds, withdrawn), write);
            debug_assert!(is_answer(&out[datagram::ANSWER_HEAD..]), "offers that no peer takes");
        });
        reply.endpoint
    }

    /// From now on pushes can be sent to who made this request. `false`: there are as many as may be.
    pub fn keep(&mut self, reply: &ReplyToken, entropy: Entropy<'_>) -> bool {
        let mut first = [0; 4];
        entropy(&mut first);
        self.pushes.keep(reply.peer, reply.way(), u32::from_be_bytes(first))
    }

    /// No more pushes to this peer, nor those that wait.
    pub fn let_go(&mut self, peer: &PublicKey) {
        self.pushes.let_go(peer);
    }

    /// Sends this to a peer that is kept until it acknowledges it.
    pub fn push(&mut self, peer: &PublicKey, push: push::Push, now: Duration) -> Result<u32, PushError> {
        let id = self.pushes.push(peer, push, now)?;
        self.counters.pushes += 1;
        Ok(id)
    }

    /// What is due; to be called until there is nothing, after each [`push`](Server::push) and at each
    /// [`deadline`](Server::deadline).
    pub fn poll_push(
        &mut self,
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Option<PushOutput> {
        let output = self.pushes.poll(now, &mut self.nonces, entropy, out)?;
        match output {
            PushOutput::Send(_) => self.counters.pushes_sent += 1,
            PushOutput::GaveUp { .. } => self.counters.pushes_given_up += 1,
        }
        Some(output)
    }

    /// When a push is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.pushes.deadline()
    }

    /// From now on tickets are sealed under this key. Those under the one before last are refused.
    pub fn rotate(&mut self, next: &TicketKey) {
        self.config.tickets.rotate(next);
    }

    /// What was registered was lost: all peers are to do it again.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.config.epoch = epoch;
    }

    /// What it did so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Seals what `write` puts behind the head of an answer.
    fn seal(
        &mut self,
        reply: &ReplyToken,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let nonce = self.nonces.next(entropy);
        datagram::downward(kind::ANSWER, &reply.counter.to_be_bytes(), &nonce, out);
        write(out);
        seal::seal(&Accelerated::new(&reply.down), &nonce, out, datagram::ANSWER_HEAD);
        self.counters.answers += 1;
    }

    fn handshake(
        &mut self,
        source: SocketAddr,
        cookie: &Cookie,
        noise: &[u8],
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, DropReason> {
        let limits = self.config.limits;
        let initiation = noise.first_chunk().expect("a Noise message of at least 8 octets");
        let proved = *cookie != NO_COOKIE && self.cookies.verify(cookie, Proof::Handshake, source);
        if proved {
            if !self.cookie_handshakes.take(limits.cookie_handshakes, now) {
                return Err(DropReason::HandshakeLimit);
            }
        } else if !self.handshakes.take(limits.handshakes, now) {
            datagram::cookie(initiation, &self.cookies.make(Proof::Handshake, source), out);
            return Err(DropReason::CookieWanted);
        }
        let responder = Responder::read(&self.config.secret, noise, entropy);
        let responder = responder.map_err(|_| DropReason::HandshakeInvalid)?;
        let identity = responder.identity().clone();
        let peer = responder.peer();
        let account = match identity.account.as_str() {
            "" => None,
            name => Some(self.accounts.account(name)),
        };
        let mut key = Key([0; 32]);
        match &account {
            None => (),
            Some(Some(account)) => key = account.key.clone(),
            // A key that nobody has.
            Some(None) => entropy(&mut key.0),
        }
        let (message, keys) = responder.finish(&key).map_err(|_| DropReason::HandshakeInvalid)?;
        let key = Accelerated::new(&keys.down);
        // In order of time, also between matchmakers as far as their clocks agree.
        let serial = (now.as_micros() as u64).max(self.last_serial + 1);
        self.last_serial = serial;
        let ticket = Ticket {
            keys,
            peer,
            account: account.iter().flatten().map(|account| account.id).next(),
            instance: identity.instance,
            serial,
            expires: (now + self.config.ticket_lifetime).as_secs(),
        };
        let admission = Admission {
            ticket: self.config.tickets.seal(&ticket, entropy).to_vec(),
            lifetime_seconds: self.config.ticket_lifetime.as_secs().try_into().unwrap_or(u32::MAX),
            epoch: self.config.epoch,
            endpoint: canonical(source).to_string(),
            cookie: self.cookies.make(fresh(&ticket), source).to_vec(),
        };
        let nonce = self.nonces.next(entropy);
        datagram::response(initiation, &message, &nonce, out);
        admission.encode(out).expect("a vector grows");
        seal::seal(&key, &nonce, out, datagram::RESPONSE_HEAD);
        debug_assert!(out.len() <= datagram::MAX_RESPONSE);
        if matches!(account, Some(None)) {
            return Err(DropReason::UnknownAccount);
        }
        self.counters.handshakes += 1;
        Ok(Outcome::Reply(None))
    }
}

/// Whether a peer takes this text of an answer.
fn is_answer(text: &[u8]) -> bool {
    Answer::decode(text).is_ok_and(|answer| check::answer(&answer).is_ok())
}

impl ReplyToken {
    fn way(&self) -> Way<'_> {
        Way { down: &self.down, tail: self.tail, endpoint: self.endpoint }
    }
}

fn fresh(ticket: &Ticket) -> Proof {
    let peer = *ticket.peer.0.first_chunk().expect("8 of 32 octets");
    Proof::Fresh { serial: ticket.serial, peer }
}

fn source_hash(keyed: &Keyed, source: SocketAddr) -> u64 {
    keyed.hash(&cookie::octets(source))
}
