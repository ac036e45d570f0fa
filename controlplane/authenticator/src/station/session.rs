//! The controlled port and the accounting session behind it.

use std::sync::Arc;
use std::time::Duration;

use dot11::ReasonCode;

use super::timers::Timer;
use super::{Environment, Station};
use crate::{Entropy, Output, TerminateCause, Time};

/// How soon an authentication is tried again that could not begin.
const RETRY: Duration = Duration::from_secs(1);

/// Names one accounting session, from its start to its stop. Drawn at random; `Display` is 16 hexadecimal digits, fit
/// for Acct-Session-Id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionId(pub u64);

impl core::fmt::Display for SessionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// Who the device proved to be, and what that entitles it to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub psk: Option<Arc<str>>,
    pub identity: Option<Vec<u8>>,
    pub class: Vec<Vec<u8>>,
    pub vlan: Option<u16>,
    pub interim_interval: Option<Duration>,
    /// When the session ends by RADIUS's word, and whether the device is to authenticate again then.
    pub session_end: Option<(Time, bool)>,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub id: SessionId,
    pub since: Time,
    /// Whose session it is, and on which VLAN.
    pub owner: Owner,
}

/// What must stay the same for a session to go on across a new association or authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub psk: Option<Arc<str>>,
    pub identity: Option<Vec<u8>>,
    pub vlan: Option<u16>,
}

impl Station {
    /// The device proved who it is (or need not): data may pass. A session of the same owner goes on.
    pub(super) fn open_port(&mut self, now: Time, entropy: &mut dyn Entropy) {
        let Some(association) = &mut self.association else { return };
        let owner = Owner {
            psk: self.credentials.psk.clone(),
            identity: self.credentials.identity.clone(),
            vlan: self.credentials.vlan,
        };
        let same_owner = self.session.as_ref().is_some_and(|session| session.owner == owner);
        let was_open = std::mem::replace(&mut association.port_open, true);
        self.timers.set_or_stop(Timer::Session, self.credentials.session_end.map(|(at, _)| at));
        if was_open && same_owner {
            return;
        }
        self.emit(Output::OpenPort { vlan: owner.vlan });
        if same_owner {
            return;
        }
        self.end_session(TerminateCause::UserRequest);
        let mut id = [0; 8];
        entropy.fill(&mut id);
        self.session = Some(Session { id: SessionId(u64::from_be_bytes(id)), since: now, owner });
        self.emit(Output::AccountStart);
    }

    pub(super) fn end_session(&mut self, cause: TerminateCause) {
        if let Some(session) = self.session.take() {
            self.emit(Output::AccountStop { session: session.id, cause });
        }
    }

    /// Session-Timeout (RFC 3580 §3.17): the session ends, or the device authenticates again.
    pub(super) fn session_over(&mut self, now: Time, env: &mut Environment<'_>) {
        let again = matches!(self.credentials.session_end, Some((_, true)));
        if again {
            // Should the pairwise key be changing just now, the timer comes round.
            self.timers.set(Timer::Session, now + RETRY);
            self.reauthenticate(now, env);
        } else {
            let reason = ReasonCode::INVALID_AUTHENTICATION;
            env.pmks.remove(self.mac);
            self.disconnect(now, env, reason, TerminateCause::SessionTimeout);
        }
    }
}
