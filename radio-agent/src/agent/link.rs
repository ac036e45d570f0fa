//! The tunnel of a virtual BSS that matchmaking opened: found among the instance's endpoints, proved, kept alive.
//!
//! A gateway behind a symmetric NAT is at none of them: where it is for this radio is learnt from its punches.

use std::net::SocketAddr;
use std::time::Duration;

use proto::tunnel::{Hello, KeepAlive, Proof, Punch, SessionId, TunnelKey};

/// While a gateway is looked for, one endpoint after the other is asked at this interval. A device repeats its
/// authentication frame for about 600 ms before it gives up.
const TRY: Duration = Duration::from_millis(250);

/// A gateway of which nothing comes for so long is not there.
const TRY_FOR: Duration = Duration::from_secs(4);

/// An answered keep-alive is followed by the next after this, whether there are devices or not: without any, the tunnel goes
/// down soon.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Addresses that are asked, those learnt from punches included.
const MAX_ENDPOINTS: usize = 8;

/// A keep-alive that is not answered is repeated after this. The gateway is gone after three without an answer: 2.8 s
/// after the last answer.
pub const RETRY: Duration = Duration::from_millis(600);
/// So many.
pub const UNANSWERED: u32 = 3;

/// Nobody has the gateway's port, says its host (ICMP). That is a reason to ask at once, if it was not one lately, and is believed
/// when that keep-alive comes back too: only who saw it can quote it. Hosts say so only a few times in a second.
const REFUSED: u32 = 2;
const DOUBT_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying { next: Duration, until: Duration, sent: usize },
    Up { gateway: SocketAddr, unanswered: u32, refused: u32, next: Duration },
}

/// What the time demands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    KeepAlive(SocketAddr, Vec<u8>),
    /// The gateway is gone.
    Lost(SocketAddr),
    /// It never answered; with where it was likeliest to be.
    Silent(Option<SocketAddr>),
}

/// The gateway's end of a tunnel, as the matchmaker says.
#[derive(Debug)]
pub(super) struct OtherEnd {
    /// Which instance of the service.
    pub(super) instance: [u8; 16],
    pub(super) key: TunnelKey,
    /// The likeliest first.
    pub(super) endpoints: Vec<SocketAddr>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: SessionId,
    hello: Hello,
    end: OtherEnd,
    /// Of the last keep-alive.
    counter: u64,
    last: Vec<u8>,
    doubted: Duration,
    /// Of the last punch.
    punched: u64,
    /// Where a punch came from while the gateway was elsewhere: it may be there now.
    learnt: Option<SocketAddr>,
    state: State,
}

impl Link {
    pub(super) fn new(session: SessionId, hello: Hello, mut end: OtherEnd, now: Duration) -> Link {
        end.endpoints.truncate(MAX_ENDPOINTS);
        let state = State::Trying { next: now, until: now + TRY_FOR, sent: 0 };
        let (counter, last, doubted) = (0, Vec::new(), Duration::ZERO);
        Link { session, hello, end, counter, last, doubted, punched: 0, learnt: None, state }
    }

    /// Instance and key, if the tunnel is up.
    pub(super) fn other_end(&self) -> Option<([u8; 16], [u8; 16])> {
        self.up().map(|_| (self.end.instance, *self.end.key.as_bytes()))
    }

    /// The gateway, if it answers.
    pub(super) fn up(&self) -> Option<SocketAddr> {
        match self.state {
            State::Up { gateway, .. } => Some(gateway),
            State::Trying { .. } => None,
        }
    }

    /// Whether an introduction is to the tunnel's other end.
    pub(super) fn is_with(&self, key: &TunnelKey) -> bool {
        self.end.key == *key
    }

    pub(super) fn deadline(&self) -> Duration {
        match self.state {
            State::Trying { next, .. } | State::Up { next, .. } => next,
        }
    }

    pub(super) fn timeout(&mut self, now: Duration) -> Due {
        match &mut self.state {
            State::Trying { next, until, sent } if *next <= now => {
                let Some(to) = self.end.endpoints.get(*sent % self.end.endpoints.len().max(1)).copied()
                else {
                    return Due::Silent(None);
                };
                if *until <= now {
                    return Due::Silent(self.likeliest());
                }
                *next = now + TRY;
                *sent += 1;
                Due::KeepAlive(to, self.keep_alive())
            }
            State::Up { gateway, unanswered, refused, next } if *next <= now => {
                let gateway = *gateway;
                if *unanswered == UNANSWERED || *refused == REFUSED {
                    return Due::Lost(gateway);
                }
                *unanswered += 1;
                *next = now + RETRY;
                Due::KeepAlive(gateway, self.keep_alive())
            }
            _ => Due::Nothing,
        }
    }

    /// The gateway echoed a keep-alive. `None`: not ours; otherwise whether that brought the tunnel up.
    pub(super) fn echo(&mut self, from: SocketAddr, session: SessionId, now: Duration) -> Option<bool> {
        if session != self.session {
            return None;
        }
        let came_up = match self.state {
            State::Trying { sent, .. } if sent > 0 && self.end.endpoints.contains(&from) => true,
            State::Up { gateway, .. } if gateway == from || self.learnt == Some(from) => false,
            _ => return None,
        };
        self.state = State::Up { gateway: from, unanswered: 0, refused: 0, next: now + KEEP_ALIVE };
        Some(came_up)
    }

    /// A datagram to `to` came back, of which this much is quoted.
    pub(super) fn refused(&mut self, to: SocketAddr, quoted: &[u8], now: Duration) {
        let State::Up { gateway, unanswered, refused, next } = &mut self.state else { return };
        if *gateway != to {
            return;
        }
        if *unanswered > 0 && quoted == self.last {
            // Once for each keep-alive.
            self.last.clear();
            (*refused, *next) = (*refused + 1, now);
        } else if *unanswered < UNANSWERED && now >= self.doubted + DOUBT_AGAIN {
            (self.doubted, *refused, *next) = (now, 1, now);
        }
    }

    /// The gateway opens its NAT for us: the keep-alive that is to be sent to where it did from, at once. `None`: the punch is
    /// not one of this tunnel's, or an old one.
    pub(super) fn punch(&mut self, from: SocketAddr, punch: &Punch) -> Option<Vec<u8>> {
        let new = punch.session_id == self.session && punch.counter > self.punched;
        if !new || !punch.is_right(&self.end.key) {
            return None;
        }
        self.punched = punch.counter;
        match &mut self.state {
            State::Up { gateway, .. } if *gateway == from => {}
            State::Up { .. } => self.learnt = Some(from),
            State::Trying { sent, .. } => {
                if !self.end.endpoints.contains(&from) {
                    self.end.endpoints.truncate(MAX_ENDPOINTS - 1);
                    self.end.endpoints.insert(0, from);
                }
                *sent = (*sent).max(1);
            }
        }
        Some(self.keep_alive())
    }

    /// Where the gateway was looked for first.
    pub(super) fn likeliest(&self) -> Option<SocketAddr> {
        self.end.endpoints.first().copied()
    }

    fn keep_alive(&mut self) -> Vec<u8> {
        self.counter += 1;
        let proof = Proof::new(&self.end.key, &self.session, &self.hello, self.counter);
        let keep_alive = KeepAlive { session_id: self.session, hello: Some(self.hello), proof: Some(proof) };
        self.last = keep_alive.datagram();
        self.last.clone()
    }
}
