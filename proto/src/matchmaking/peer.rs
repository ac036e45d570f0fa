//! The side of a radio or a service instance: finds a matchmaker, speaks with it, asks again, changes to another.
//!
//! A [`Peer`] is driven by whoever has the socket and the clock. Give it what arrives ([`Peer::datagram`]) and what to
//! ask ([`Peer::request`]), then call [`Peer::poll_output`] until there is nothing more, and again at
//! [`Peer::deadline`] at the latest. `now` is the time since any fixed moment.
//!
//! What it holds is bounded: [`MAX_REQUESTS`] requests of at most [`MAX_REQUEST`] octets, [`MAX_ACKNOWLEDGEMENTS`] ids
//! of pushes to acknowledge, [`MAX_OUTPUTS`] outputs (beyond, pushes are left to be repeated), [`MAX_ADDRESSES`]
//! addresses, two sessions, one handshake.

mod hello;
mod outstanding;
mod session;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;

use self::hello::Hello;
use self::outstanding::Outstanding;
use self::session::Session;
use super::datagram::{Datagram, MAX_REQUEST, MAX_TICKET, MIN_TICKET, NO_COOKIE, VERSIONS};
use super::messages::{Acknowledge, Admission, Answer, Push, Request, answer, push, request};
use super::{Entropy, HandshakeError, Key, Keys, PublicKey, StaticSecret, canonical, check};

/// The most requests that wait for an answer.
pub const MAX_REQUESTS: usize = 64;
/// The most ids in an acknowledgement.
pub const MAX_ACKNOWLEDGEMENTS: usize = check::MAX_ITEMS;
/// The most outputs that wait to be taken.
pub const MAX_OUTPUTS: usize = 256;
/// The most addresses of the matchmaker; the rest is not tried.
pub const MAX_ADDRESSES: usize = 16;
/// Ids of pushes that are remembered, so that none is delivered twice.
const REMEMBERED: usize = 256;

/// A peer begins a handshake at most that often. After each round through all addresses in vain but
/// the first it waits twice as long, up to [`MAX_DOUBLINGS`] times: so that a matchmaker that comes back is not met by
/// all of its peers at once.
const HANDSHAKE_INTERVAL: Duration = Duration::from_secs(5);
const MAX_DOUBLINGS: u32 = 3;
/// How long a radio waits for an answer: a later one is of no use, because the device has gone on, or the next question
/// says more. Shorter than all repetitions together.
pub const RADIO_PATIENCE: Duration = Duration::from_secs(10);
/// Acknowledgements are collected for so long.
const ACKNOWLEDGE_DELAY: Duration = Duration::from_millis(20);
/// A request that is not accepted is sent again at once, but not for ever.
const MAX_REFUSALS: u8 = 3;

/// Who a peer is, and whom it trusts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its static key: its identity.
    pub secret: StaticSecret,
    /// The matchmaker's static key.
    pub matchmaker: PublicKey,
    /// Name and key of its account, if it has one.
    pub account: Option<(String, Key)>,
    /// For people, e.g. "radio-agent 0.1.0".
    pub software: String,
    /// Drawn when the process started.
    pub instance: u64,
    /// How long an answer is waited for before a request is given up.
    pub patience: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this.
    Send {
        /// There.
        to: SocketAddr,
        /// The datagram.
        datagram: Vec<u8>,
    },
    /// A request has its answer, which may be a `Failure`, or will have none.
    Answered {
        /// As [`Peer::request`] gave it.
        id: u32,
        /// The answer.
        answer: Result<answer::Answer, GaveUp>,
    },
    /// The matchmaker says something unasked. It is acknowledged, and comes once.
    Pushed(push::Push),
    /// The matchmaker lost what was registered, and is now in this epoch: register again.
    Epoch(u64),
    /// All addresses failed: look the matchmaker's name up again, and call [`Peer::set_addresses`].
    LookUpAddresses,
    /// For the log.
    Report(Report),
}

/// No answer came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GaveUp {
    /// From any address of the matchmaker, with all repetitions.
    #[error("no matchmaker answered")]
    Silence,
    /// What came is of no use: it breaks the rules of the message.
    #[error("the matchmaker's answer is malformed")]
    Malformed,
}

/// What somebody who looks after the peer should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Report {
    /// A handshake succeeded.
    #[error("matchmaker {address} knows us, at {endpoint}")]
    Admitted {
        /// Of the matchmaker.
        address: SocketAddr,
        /// Of this peer, as the matchmaker sees it.
        endpoint: String,
    },
    /// The Response cannot be read.
    #[error(
        "matchmaker {address} answers with other keys: check the name and the key of the account, and the matchmaker's key"
    )]
    OtherKeys {
        /// Of the matchmaker.
        address: SocketAddr,
    },
    /// No version in common.
    #[error(
        "matchmaker {address} speaks versions {theirs:?}, this software {VERSIONS:?}: update the older of them"
    )]
    Versions {
        /// Of the matchmaker.
        address: SocketAddr,
        /// What it speaks.
        theirs: Vec<u8>,
    },
    /// Nothing came back.
    #[error("matchmaker {address} does not answer")]
    Silent {
        /// Of the matchmaker.
        address: SocketAddr,
    },
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// [`MAX_REQUESTS`] wait already.
    #[error("{MAX_REQUESTS} requests wait for an answer already")]
    Full,
    /// It is longer than a datagram can carry.
    #[error("a request of {0} octets, at most {MAX_REQUEST} fit into a datagram: ask for less at a time")]
    TooLong(usize),
    /// The matchmaker would refuse it.
    #[error(transparent)]
    Malformed(#[from] check::Malformed),
}

/// See the module.
pub struct Peer {
    config: Config,
    jitter: u64,
    addresses: Vec<SocketAddr>,
    at: usize,
    /// Addresses that failed since the last success.
    failed: usize,
    /// Rounds through all of them since then.
    rounds: u32,
    hello: Option<Hello>,
    /// The next handshake begins then at the earliest.
    next_hello: Duration,
    session: Option<Session>,
    /// Answers and pushes under it may be on their way.
    previous: Option<Session>,
    requests: VecDeque<Outstanding>,
    next_id: u32,
    acknowledge: Vec<u32>,
    acknowledge_due: Duration,
    pushes: VecDeque<u32>,
    epoch: Option<u64>,
    endpoint: String,
    outputs: VecDeque<Output>,
}

impl Peer {
    /// One that has no addresses yet: it asks for them first.
    pub fn new(config: Config, entropy: Entropy<'_>) -> Peer {
        let mut seed = [0; 8];
        entropy(&mut seed);
        Peer {
            config,
            jitter: u64::from_le_bytes(seed) | 1,
            addresses: Vec::new(),
            at: 0,
            failed: 0,
            rounds: 0,
            hello: None,
            next_hello: Duration::ZERO,
            session: None,
            previous: None,
            requests: VecDeque::new(),
            next_id: 1,
            acknowledge: Vec::new(),
            acknowledge_due: Duration::ZERO,
            pushes: VecDeque::new(),
            epoch: None,
            endpoint: String::new(),
            outputs: VecDeque::from([Output::LookUpAddresses]),
        }
    }

    /// The addresses of the matchmaker's name, the one to be tried first in front. One that is in use stays in use if
    /// it is among them. None are no news: a name server that is away takes no matchmaker away.
    pub fn set_addresses(&mut self, addresses: &[SocketAddr]) {
        if addresses.is_empty() {
            return;
        }
        let current = self.address();
        self.addresses.clear();
        for address in addresses.iter().take(MAX_ADDRESSES) {
            if !self.addresses.contains(address) {
                self.addresses.push(*address);
            }
        }
        let kept = self.addresses.iter().position(|address| Some(*address) == current);
        self.at = kept.unwrap_or(0);
        self.failed = 0;
        if kept.is_none() {
            self.hello = None;
            self.moved();
        }
    }

    /// Where requests go at the moment.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.get(self.at).copied()
    }

    /// Where this peer is, as the matchmaker saw it in the last handshake; empty before.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether there is a ticket that, as far as is known, is good.
    pub fn is_admitted(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.refused)
    }

    /// Asks; the answer comes with this id.
    pub fn request(&mut self, request: request::Request, now: Duration) -> Result<u32, RequestError> {
        let request = Request { id: self.next_id, request: Some(request) };
        check::request(&request)?;
        self.ask(request, now, false)
    }

    /// No longer waits for this answer.
    pub fn forget(&mut self, id: u32) {
        self.requests.retain(|request| request.id != id);
    }

    /// Takes a datagram of matchmaking, which it opens in place. What is not for it, or is forged, has no effect.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &mut [u8], now: Duration) {
        // A socket for both families may say it in the other.
        let mut addresses = self.addresses.iter().copied();
        let Some(from) = addresses.find(|address| canonical(*address) == canonical(from)) else { return };
        let Ok(parsed) = Datagram::parse(bytes) else { return };
        match parsed {
            Datagram::Cookie { initiation, cookie } => {
                if let Some(hello) = self.hello.as_mut().filter(|hello| hello.is(from, initiation)) {
                    hello.cookie(*cookie, now);
                }
            }
            Datagram::Response { initiation, .. } => {
                let Some(hello) = self.hello.as_mut().filter(|hello| hello.is(from, initiation)) else {
                    return;
                };
                let finished = hello.finish(bytes);
                self.finished(from, finished, now);
            }
            Datagram::Versions { initiation, versions } => {
                if self.hello.as_ref().is_some_and(|hello| hello.is(from, initiation)) {
                    // This is the only version there is here, and it was the one that was offered.
                    self.report(Report::Versions { address: from, theirs: versions.to_vec() });
                    self.hello = None;
                    self.next_address(now);
                }
            }
            Datagram::NotAccepted { counter, echo, cookie } => {
                if Some(from) == self.address() {
                    self.not_accepted((counter, *echo), cookie, now);
                }
            }
            Datagram::Answer { nonce, .. } => {
                let nonce = *nonce;
                let text = [&self.session, &self.previous]
                    .into_iter()
                    .flatten()
                    .find_map(|session| session.open(&nonce, bytes));
                if let Some(answer) = text.and_then(|text| Answer::decode(&*text).ok()) {
                    if Some(from) == self.address() {
                        self.heard();
                    }
                    self.answer(answer);
                }
            }
            Datagram::Push { session: tail, nonce } => {
                let (tail, nonce) = (*tail, *nonce);
                let sessions = [&self.session, &self.previous].into_iter().flatten();
                let text = sessions
                    .filter(|session| session.tail() == tail)
                    .find_map(|session| session.open(&nonce, bytes));
                if let Some(push) = text.and_then(|text| Push::decode(&*text).ok()) {
                    self.push(push, now);
                }
            }
            Datagram::Initiation { .. } | Datagram::Request(_) | Datagram::Punch(_) => (),
        }
    }

    /// What is to be done next, if anything is.
    pub fn poll_output(&mut self, now: Duration, entropy: Entropy<'_>) -> Option<Output> {
        // Each round puts something into the queue, or moves what was due behind `now`.
        while self.outputs.is_empty() && self.deadline().is_some_and(|deadline| deadline <= now) {
            self.work(now, entropy);
        }
        self.outputs.pop_front()
    }

    /// When [`Peer::poll_output`] has something to do again; it may be in the past.
    pub fn deadline(&self) -> Option<Duration> {
        if !self.outputs.is_empty() {
            return Some(Duration::ZERO);
        }
        let hello = match &self.hello {
            Some(hello) => Some(hello.due),
            None => self.hello_due(),
        };
        let can_ask = self.can_ask();
        let patience = self.config.patience;
        let requests = self.requests.iter().map(|request| {
            let end = request.asked + patience;
            if can_ask { request.due.min(end) } else { end }
        });
        let acknowledge = (!self.acknowledge.is_empty()).then_some(self.acknowledge_due);
        requests.chain(hello).chain(acknowledge).min()
    }

    /// When the next handshake is to begin, if one is wanted and none is going on.
    fn hello_due(&self) -> Option<Duration> {
        self.address()?;
        let wanted = match &self.session {
            Some(session) if !session.refused => session.renew,
            _ => Duration::ZERO,
        };
        Some(wanted.max(self.next_hello))
    }

    fn handshake_interval(&mut self) -> Duration {
        match self.rounds.saturating_sub(1).min(MAX_DOUBLINGS) {
            0 => HANDSHAKE_INTERVAL,
            doublings => jittered((HANDSHAKE_INTERVAL.as_millis() as u64) << doublings, &mut self.jitter),
        }
    }

    fn can_ask(&self) -> bool {
        self.is_admitted() && self.address().is_some()
    }

    fn work(&mut self, now: Duration, entropy: Entropy<'_>) {
        if self.session.as_ref().is_some_and(|session| session.expires <= now) {
            self.previous = self.session.take();
        }
        if !self.acknowledge.is_empty() && self.acknowledge_due <= now {
            let pushes = std::mem::take(&mut self.acknowledge);
            let request = request::Request::Acknowledge(Acknowledge { pushes });
            // If there is no place the pushes come again.
            let _ = self.ask(Request { id: self.next_id, request: Some(request) }, now, true);
        }
        match self.hello.as_mut() {
            Some(hello) if hello.due <= now => match hello.next(now, &mut self.jitter) {
                Some(datagram) => {
                    let to = hello.address();
                    self.outputs.push_back(Output::Send { to, datagram });
                }
                None => {
                    let address = hello.address();
                    self.hello = None;
                    self.report(Report::Silent { address });
                    // Requests may have found that out before.
                    if Some(address) == self.address() {
                        self.next_address(now);
                    }
                }
            },
            Some(_) => (),
            None => {
                if self.hello_due().is_some_and(|due| due <= now) {
                    let address = self.address().expect("a handshake is due only if there is one");
                    self.next_hello = now + self.handshake_interval();
                    self.hello = Hello::new(&self.config, address, now, entropy);
                    if self.hello.is_none() {
                        self.report(Report::OtherKeys { address });
                    }
                }
            }
        }
        self.ask_again(now);
    }

    /// Sends, repeats and gives up requests.
    fn ask_again(&mut self, now: Duration) {
        let patience = self.config.patience;
        let mut silence = false;
        while let Some(at) = self.requests.iter().position(|request| request.asked + patience <= now) {
            let request = self.requests.remove(at).expect("it was just found");
            silence |= request.is_met_by_silence();
            if !request.silent {
                self.outputs.push_back(Output::Answered { id: request.id, answer: Err(GaveUp::Silence) });
            }
        }
        let in_vain = |request: &Outstanding| {
            request.due <= now && request.is_exhausted() && request.is_met_by_silence()
        };
        silence |= self.can_ask() && self.requests.iter().any(in_vain);
        if let Some(address) = self.address().filter(|_| silence) {
            self.report(Report::Silent { address });
            self.next_address(now);
        }
        if !self.can_ask() {
            return;
        }
        let (Some(session), Some(to)) = (self.session.as_mut(), self.addresses.get(self.at).copied()) else {
            return;
        };
        for request in self.requests.iter_mut().filter(|request| request.due <= now) {
            let datagram = session.seal(&request.text, &mut request.newest);
            request.due = now + jittered(request.interval(), &mut self.jitter);
            request.attempts += 1;
            self.outputs.push_back(Output::Send { to, datagram });
        }
    }

    fn ask(&mut self, request: Request, now: Duration, silent: bool) -> Result<u32, RequestError> {
        let octets = request.encoded_len();
        if octets > MAX_REQUEST {
            return Err(RequestError::TooLong(octets));
        }
        if self.requests.len() >= MAX_REQUESTS {
            return Err(RequestError::Full);
        }
        self.next_id = self.next_id.wrapping_add(1);
        self.requests.push_back(Outstanding::new(request.id, request.encode_to_vec(), now, silent));
        Ok(request.id)
    }

    fn finished(
        &mut self,
        from: SocketAddr,
        finished: Result<(Admission, Keys), HandshakeError>,
        now: Duration,
    ) {
        let (admission, keys) = match finished {
            Ok((admission, _)) if !(MIN_TICKET..=MAX_TICKET).contains(&admission.ticket.len()) => {
                return;
            }
            Ok(finished) => finished,
            Err(HandshakeError::Noise) => {
                // Perhaps another comes: this one can be anybody's.
                if self.hello.as_mut().is_some_and(Hello::first_failure) {
                    self.report(Report::OtherKeys { address: from });
                }
                return;
            }
            Err(_) => return,
        };
        self.hello = None;
        (self.failed, self.rounds) = (0, 0);
        self.at = self.addresses.iter().position(|address| *address == from).unwrap_or(self.at);
        self.heard();
        self.endpoint.clone_from(&admission.endpoint);
        self.in_epoch(admission.epoch);
        self.report(Report::Admitted { address: from, endpoint: admission.endpoint.clone() });
        self.previous = self.session.replace(Session::new(admission, keys, now, &mut self.jitter));
        self.again_at(now);
    }

    /// All requests begin from the first interval.
    fn again_at(&mut self, now: Duration) {
        self.requests.iter_mut().for_each(|request| request.again_at(now));
    }

    /// The address answers: whichever request is met by silence now is not the address's fault.
    fn heard(&mut self) {
        self.requests.iter_mut().for_each(|request| request.heard = true);
    }

    /// The address is another one: cookies are good for one matchmaker only.
    fn moved(&mut self) {
        for request in &mut self.requests {
            (request.heard, request.moved) = (false, true);
        }
        if let Some(session) = &mut self.session {
            session.cookie = None;
        }
    }

    fn next_address(&mut self, now: Duration) {
        self.failed += 1;
        self.at = (self.at + 1) % self.addresses.len().max(1);
        self.moved();
        self.again_at(now);
        if self.failed >= self.addresses.len() {
            self.failed = 0;
            self.rounds += 1;
            self.outputs.push_back(Output::LookUpAddresses);
        }
    }

    fn not_accepted(&mut self, newest: (u64, [u8; 8]), cookie: &[u8; 16], now: Duration) {
        let request = self.requests.iter_mut().find(|request| request.newest == Some(newest));
        let (Some(request), Some(session)) = (request, self.session.as_mut()) else { return };
        if *cookie == NO_COOKIE {
            session.refused = true;
            return;
        }
        session.cookie = Some(*cookie);
        request.newest = None;
        if request.refusals < MAX_REFUSALS {
            request.refusals += 1;
            // That one was no attempt: its answer came.
            request.attempts = request.attempts.saturating_sub(1);
            request.due = now;
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Some(at) = self.requests.iter().position(|request| request.id == answer.id) else { return };
        let request = self.requests.remove(at).expect("it was just found");
        (self.failed, self.rounds) = (0, 0);
        if let Some(session) = &mut self.session {
            session.cookie = None;
        }
        self.in_epoch(answer.epoch);
        if request.silent {
            return;
        }
        let checked = check::answer(&answer);
        let answer = answer.answer.filter(|_| checked.is_ok()).ok_or(GaveUp::Malformed);
        self.outputs.push_back(Output::Answered { id: request.id, answer });
    }

    fn in_epoch(&mut self, epoch: u64) {
        if self.epoch.replace(epoch).is_some_and(|last| last != epoch) {
            self.outputs.push_back(Output::Epoch(epoch));
        }
    }

    fn push(&mut self, push: Push, now: Duration) {
        let known = self.pushes.contains(&push.id);
        if self.acknowledge.len() >= MAX_ACKNOWLEDGEMENTS || !known && self.outputs.len() >= MAX_OUTPUTS {
            return;
        }
        if self.acknowledge.is_empty() {
            self.acknowledge_due = now + ACKNOWLEDGE_DELAY;
        }
        if !self.acknowledge.contains(&push.id) {
            self.acknowledge.push(push.id);
        }
        if known {
            return;
        }
        if self.pushes.len() >= REMEMBERED {
            self.pushes.pop_front();
        }
        self.pushes.push_back(push.id);
        // One that breaks the rules would not get better by being repeated: it is acknowledged and left.
        if check::push(&push).is_ok() {
            self.outputs.extend(push.push.map(Output::Pushed));
        }
    }

    fn report(&mut self, report: Report) {
        self.outputs.push_back(Output::Report(report));
    }
}

/// So many milliseconds, 25 % more or less. The numbers need not be good: they only keep peers from going in step.
fn jittered(milliseconds: u64, state: &mut u64) -> Duration {
    // xorshift64 (Marsaglia 2003).
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    Duration::from_micros(milliseconds * (750 + *state % 501))
}
