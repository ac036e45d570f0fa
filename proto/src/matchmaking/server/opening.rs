//! Takes datagrams apart: in two halves, because what is remembered of a million peers comes from memory, and can be fetched for many at once.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use prost::Message;

use super::super::datagram::{self, Cookie, Datagram, MIN_INITIATION, NO_COOKIE, SealedRequest, kind};
use super::super::messages::{Done, Failure, Request, answer, request};
use super::super::seal::{self, Accelerated, Aead, counter_nonce};
use super::super::{Entropy, canonical, check};
use super::window::Window;
use super::{
    Accounts, DropReason, Outcome, PeerIdentity, Received, ReplyToken, Server, Ticket, fresh, source_hash,
};

/// A request with a ticket of this matchmaker's, which is opened next.
pub struct Opening {
    source: SocketAddr,
    /// Of the source.
    hash: u64,
    /// Of its key.
    who: u64,
    ticket: Ticket,
}

impl Opening {
    /// Whence it came.
    pub fn source(&self) -> SocketAddr {
        self.source
    }
}

/// What comes of the first half of taking a datagram.
#[allow(
    clippy::large_enum_variant,
    reason = "it goes from one function to the next: a box would cost more than its size"
)]
pub enum Begun {
    /// That was all.
    Over(Outcome),
    /// The second half is [`Server::end`].
    Opening(Opening),
}

impl<A: Accounts> Server<A> {
    /// The first half of [`datagram`](Server::datagram), for who takes many at a time: with a million peers, what is remembered of one comes from
    /// memory, and it can be fetched for all of them at once before the second half.
    pub fn begin(
        &mut self,
        source: SocketAddr,
        bytes: &[u8],
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Begun {
        self.counters.received += 1;
        self.cookies.tick(now, entropy);
        out.clear();
        self.take(source, bytes, now, entropy, out).unwrap_or_else(|reason| Begun::Over(self.dropped(reason)))
    }

    /// Reads something of what the second half needs of each.
    pub fn fetch<'a>(&self, openings: impl Iterator<Item = &'a Opening>) {
        let touch =
            |all, opening: &Opening| all ^ self.windows.touch(opening.who) ^ self.peers.touch(opening.who);
        std::hint::black_box(openings.fold(0, touch));
    }

    /// The second half, with the same octets.
    pub fn end(
        &mut self,
        opening: &Opening,
        bytes: &mut [u8],
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        out.clear();
        self.admit(opening, bytes, now, entropy, out).unwrap_or_else(|reason| self.dropped(reason))
    }

    fn dropped(&mut self, reason: DropReason) -> Outcome {
        self.counters.drop(reason);
        if reason.is_answered() { Outcome::Reply(Some(reason)) } else { Outcome::Dropped(reason) }
    }

    fn take(
        &mut self,
        source: SocketAddr,
        bytes: &[u8],
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Begun, DropReason> {
        let network = self.keyed.hash(network(source).as_slice());
        if !self.sources.take(network, now) {
            return Err(DropReason::SourceLimit);
        }
        match Datagram::parse(bytes) {
            Ok(Datagram::Initiation { cookie, noise }) => {
                if bytes.len() < MIN_INITIATION {
                    return Err(DropReason::InitiationShort);
                }
                self.handshake(source, cookie, noise, now, entropy, out).map(Begun::Over)
            }
            Ok(Datagram::Request(sealed)) => {
                let ticket = self.config.tickets.open(sealed.ticket).map_err(|_| DropReason::TicketInvalid);
                let ticket = ticket.and_then(|ticket| match now.as_secs() < ticket.expires {
                    true => Ok(ticket),
                    false => Err(DropReason::TicketExpired),
                });
                let ticket = ticket.inspect_err(|_| not_accepted(&sealed, bytes, &NO_COOKIE, out))?;
                let (who, hash) = (self.keyed.hash(&ticket.peer.0), source_hash(&self.keyed, source));
                Ok(Begun::Opening(Opening { source, hash, who, ticket }))
            }
            Ok(_) => Err(DropReason::NotForServer),
            Err(datagram::DatagramError::Version { .. }) if bytes[0] == kind::INITIATION => {
                if bytes.len() < MIN_INITIATION {
                    return Err(DropReason::InitiationShort);
                }
                datagram::versions(datagram::initiation_id(bytes).expect("so long"), out);
                Err(DropReason::OtherVersion)
            }
            Err(_) => Err(DropReason::NotMatchmaking),
        }
    }

    /// Everything about a request that can be told before it is opened, and then that.
    fn admit(
        &mut self,
        opening: &Opening,
        bytes: &mut [u8],
        now: Duration,
        entropy: Entropy<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, DropReason> {
        let Opening { source, hash, who, ticket } = opening;
        let Ok(Datagram::Request(sealed)) = Datagram::parse(bytes) else {
            return Err(DropReason::NotMatchmaking);
        };
        let window = self.windows.find(*who);
        if window.is_some_and(|window| window.serial() > ticket.serial) {
            not_accepted(&sealed, bytes, &NO_COOKIE, out);
            return Err(DropReason::TicketOld);
        }
        let window = window.filter(|window| window.serial() == ticket.serial);
        let is_new = window.is_none_or(|window| window.is_new(sealed.counter));
        let unproved = match sealed.cookie {
            Some(cookie) if !self.cookies.verify(cookie, fresh(ticket), *source) => {
                Some(DropReason::CookieInvalid)
            }
            None if window.is_none_or(|window| !window.is_from(*hash)) => Some(DropReason::NotFresh),
            _ if !is_new => return Err(DropReason::Replayed),
            _ => None,
        };
        if let Some(reason) = unproved {
            not_accepted(&sealed, bytes, &self.cookies.make(fresh(ticket), *source), out);
            return Err(reason);
        }
        let (head, counter) = (Datagram::Request(sealed).head(), sealed.counter);
        let tail = *sealed.ticket.last_chunk().expect("a ticket of its length");
        let key = Accelerated::new(&ticket.keys.up);
        let text = seal::open(&key, &counter_nonce(counter), bytes, head).map_err(|_| DropReason::Forged)?;
        let window = match window {
            Some(mut window) => {
                window.accept(counter, *hash);
                window
            }
            None => Window::new(ticket.serial, counter, *hash),
        };
        self.windows.put(*who, window);
        // Only now: nobody else can use up what the peer may do.
        if !self.peers.take(*who, now) {
            return Err(DropReason::PeerLimit);
        }
        let request = Request::decode(&*text).map_err(|_| DropReason::Undecodable)?;
        let reply = ReplyToken {
            id: request.id,
            counter,
            down: ticket.keys.down.clone(),
            tail,
            peer: ticket.peer,
            endpoint: *source,
        };
        self.pushes.heard(&ticket.peer, reply.way());
        if let Err(malformed) = check::request(&request) {
            let failure = answer::Answer::Failure(Failure::from(malformed));
            self.answer(&reply, failure, entropy, out).expect("a short text");
            return Err(DropReason::Malformed);
        }
        match request.request {
            Some(request::Request::Acknowledge(acknowledge)) => {
                let acknowledged = self.pushes.acknowledged(&ticket.peer, &acknowledge.pushes);
                self.counters.pushes_acknowledged += acknowledged;
                self.answer(&reply, answer::Answer::Done(Done {}), entropy, out).expect("no text");
                Ok(Outcome::Reply(None))
            }
            Some(request) => {
                self.counters.requests += 1;
                let peer = PeerIdentity {
                    key: ticket.peer,
                    account: ticket.account,
                    instance: ticket.instance,
                    endpoint: canonical(*source),
                };
                Ok(Outcome::Received(Received { peer, request, reply }))
            }
            None => Err(DropReason::Undecodable),
        }
    }
}

/// Tells who sent this to do it again, with this cookie; with a handshake, if it is none.
fn not_accepted(sealed: &SealedRequest<'_>, bytes: &[u8], cookie: &Cookie, out: &mut Vec<u8>) {
    let echo = bytes.last_chunk().expect("a request has a tag");
    datagram::not_accepted(sealed.counter, echo, cookie, out);
}

/// What of an address one customer has.
fn network(source: SocketAddr) -> [u8; 8] {
    match source.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(ip) => *ip.octets().first_chunk().expect("8 of 16 octets"),
    }
}
