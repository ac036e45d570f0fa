//! One virtual BSS: its tunnel and the devices associated in it.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use proto::tunnel::SessionId;

use super::template::Template;
use super::{Output, Station};

/// A keep-alive that is not answered is repeated after this.
pub const RETRY: Duration = Duration::from_secs(1);

/// An answered keep-alive is followed by the next after this.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// So many keep-alives without an answer, [`RETRY`] apart, mean that the gateway is gone.
pub const UNANSWERED: u32 = 3;

/// A gateway that does not answer is looked up again after so many keep-alives.
const LOOK_UP_AGAIN: u32 = 10;

/// Devices that one virtual BSS holds; the one not heard for longest gives way.
pub const MAX_STATIONS: usize = 128;

/// Where a virtual BSS stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// The gateway's address is not known yet.
    LookingUp,
    /// The gateway is asked and has not answered yet; the BSS is closed.
    Asking { gateway: SocketAddr, session: Option<SessionId>, sent: u32, next: Duration },
    /// The gateway answers; the BSS is open.
    Up { gateway: SocketAddr, session: SessionId, unanswered: u32, next: Duration },
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
struct Associated {
    address: MacAddr,
    heard: Duration,
}

#[derive(Debug)]
pub(super) struct Bss {
    pub(super) template: Template,
    pub(super) tunnel: Tunnel,
    /// Sequence number of the next probe response.
    pub(super) sequence: u16,
    stations: Vec<Associated>,
}

impl Bss {
    pub(super) fn new(template: Template) -> Bss {
        Bss { template, tunnel: Tunnel::LookingUp, sequence: 0, stations: Vec::new() }
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
        match self.tunnel {
            Tunnel::LookingUp => None,
            Tunnel::Asking { next, .. } | Tunnel::Up { next, .. } => Some(next),
        }
    }

    /// `draw` gives a new session id.
    pub(super) fn timeout(&mut self, now: Duration, draw: &mut dyn FnMut() -> SessionId) -> Due {
        match &mut self.tunnel {
            Tunnel::Asking { gateway, session, sent, next } if *next <= now => {
                let session = *session.get_or_insert_with(draw);
                *next = now + RETRY;
                *sent += 1;
                if sent.is_multiple_of(LOOK_UP_AGAIN) {
                    Due::LookUp(*gateway, session)
                } else {
                    Due::KeepAlive(*gateway, session)
                }
            }
            Tunnel::Up { gateway, session, unanswered, next } if *next <= now => {
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
        self.tunnel = Tunnel::Up { gateway: from, session: echoed, unanswered: 0, next: now + KEEP_ALIVE };
        Some(opened)
    }

    pub(super) fn heard(&mut self, address: MacAddr, now: Duration) {
        if let Some(station) = self.stations.iter_mut().find(|station| station.address == address) {
            station.heard = now;
        }
    }

    /// The gateway let `station` in: what the backend has to do.
    pub(super) fn associated(&mut self, bss: usize, station: Station, now: Duration) -> Vec<Output> {
        let address = station.address;
        let mut outputs = Vec::new();
        let stations = &mut self.stations;
        let old = match stations.iter().position(|known| known.address == address) {
            // Associated again: everything the kernel knew of it is out of date.
            Some(at) => Some(at),
            None if stations.len() < MAX_STATIONS => None,
            None => (0..stations.len()).min_by_key(|&at| stations[at].heard),
        };
        if let Some(at) = old {
            outputs.push(Output::RemoveStation { bss, address: stations.swap_remove(at).address });
        }
        stations.push(Associated { address, heard: now });
        outputs.push(Output::AddStation { bss, station });
        outputs
    }

    /// Whether `address` was associated; it is not any more.
    pub(super) fn gone(&mut self, address: MacAddr) -> bool {
        let at = self.stations.iter().position(|station| station.address == address);
        at.map(|at| self.stations.swap_remove(at)).is_some()
    }

    /// Forgets all devices; says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.stations.is_empty();
        self.stations.clear();
        any
    }
}
