//! A virtual BSS of the configuration: its gateway is fixed, and while that answers it is on the air.

use std::net::SocketAddr;
use std::time::Duration;

use proto::tunnel::SessionId;

use super::link::{KEEP_ALIVE, RETRY, UNANSWERED};
use super::stations::Stations;
use super::template::Template;

/// A gateway that has not answered yet is asked again after this.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Without devices an answered keep-alive is followed by the next after this: the BSS is on the air all the time, and so are
/// many, so it is not more than a NAT wants. With devices it is [`KEEP_ALIVE`].
pub const WITHOUT_DEVICES: Duration = Duration::from_secs(5);

/// A gateway that does not answer is looked up again after so many keep-alives.
const LOOK_UP_AGAIN: u32 = 10;

/// Where a virtual BSS stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// The gateway's address is not known yet.
    LookingUp,
    /// The gateway is asked and has not answered yet; the BSS is closed.
    Asking { gateway: SocketAddr, session: Option<SessionId>, sent: u32, next: Duration },
    /// The gateway answers; the BSS is open.
    Up { gateway: SocketAddr, session: SessionId, answered: Duration, unanswered: u32, next: Duration },
}

/// What the time demands of a BSS.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    KeepAlive(SocketAddr, SessionId),
    /// The gateway's address is to be looked up again, and asked meanwhile.
    LookUp(SocketAddr, SessionId),
    /// The gateway is gone.
    Lost(SocketAddr),
}

#[derive(Debug)]
pub(super) struct Bss {
    pub(super) template: Template,
    pub(super) tunnel: Tunnel,
    /// Sequence number of the next probe response.
    pub(super) sequence: u16,
    pub(super) stations: Stations,
}

impl Bss {
    pub(super) fn new(template: Template) -> Bss {
        Bss { template, tunnel: Tunnel::LookingUp, sequence: 0, stations: Stations::default() }
    }

    /// The gateway, if the BSS is open.
    pub(super) fn open(&self) -> Option<SocketAddr> {
        match self.tunnel {
            Tunnel::Up { gateway, .. } => Some(gateway),
            _ => None,
        }
    }

    /// The gateway's address is known, or known anew.
    pub(super) fn resolved(&mut self, address: SocketAddr, now: Duration) {
        match &mut self.tunnel {
            Tunnel::LookingUp => self.ask(address, now),
            Tunnel::Asking { gateway, .. } if *gateway != address => self.ask(address, now),
            Tunnel::Asking { .. } | Tunnel::Up { .. } => {}
        }
    }

    /// Begins to ask `gateway`, from `when` on.
    pub(super) fn ask(&mut self, gateway: SocketAddr, when: Duration) {
        self.tunnel = Tunnel::Asking { gateway, session: None, sent: 0, next: when };
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let tunnel = match self.tunnel {
            Tunnel::LookingUp => None,
            Tunnel::Asking { next, .. } | Tunnel::Up { next, .. } => Some(next),
        };
        tunnel.into_iter().chain(self.stations.deadline()).min()
    }

    /// `draw` gives a new session id.
    pub(super) fn timeout(&mut self, now: Duration, draw: &mut dyn FnMut() -> SessionId) -> Due {
        match &mut self.tunnel {
            Tunnel::Asking { gateway, session, sent, next } if *next <= now => {
                let session = *session.get_or_insert_with(draw);
                *next = now + ASK_AGAIN;
                *sent += 1;
                if sent.is_multiple_of(LOOK_UP_AGAIN) {
                    Due::LookUp(*gateway, session)
                } else {
                    Due::KeepAlive(*gateway, session)
                }
            }
            Tunnel::Up { gateway, session, unanswered, next, .. } if *next <= now => {
                if *unanswered == UNANSWERED {
                    let gateway = *gateway;
                    self.ask(gateway, now);
                    return Due::Lost(gateway);
                }
                *unanswered += 1;
                *next = now + RETRY;
                Due::KeepAlive(*gateway, *session)
            }
            _ => Due::Nothing,
        }
    }

    /// The gateway echoed a keep-alive. `None`: not ours; otherwise whether that opened the BSS.
    pub(super) fn echo(&mut self, from: SocketAddr, echoed: SessionId, now: Duration) -> Option<bool> {
        let opened = match self.tunnel {
            Tunnel::Asking { gateway, session, .. } if gateway == from && session == Some(echoed) => true,
            Tunnel::Up { gateway, session, .. } if gateway == from && session == echoed => false,
            _ => return None,
        };
        let next = now + if self.stations.is_empty() { WITHOUT_DEVICES } else { KEEP_ALIVE };
        self.tunnel = Tunnel::Up { gateway: from, session: echoed, answered: now, unanswered: 0, next };
        Some(opened)
    }

    /// A device speaks to the BSS: if the gateway is gone, it is to be known as soon as with devices. So it is asked as with
    /// devices from now on, whoever speaks.
    pub(super) fn hurry(&mut self, now: Duration) {
        if let Tunnel::Up { answered, unanswered: 0, next, .. } = &mut self.tunnel {
            *next = (*next).min(now.max(*answered + KEEP_ALIVE));
        }
    }

    /// Forgets all devices; says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        self.stations.clear()
    }
}
