//! One device on one virtual BSS: the public face of the state machine, and what its parts share.

mod association;
mod eap;
mod eapol;
mod group;
mod mlme;
mod pairwise;
mod session;
mod snapshot;
mod timers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dot11::rsn::{Akm, Pmk, Ptk};
use dot11::{MacAddr, ReasonCode};

use crate::{
    Bss, Discard, Entropy, Event, FailureKind, FailureTable, Input, Output, PmkCache, Service,
    TerminateCause, Time,
};
use timers::{Timer, Timers};

pub use session::SessionId;

/// What a station shares with others, lent to it for one call.
pub struct Environment<'a> {
    /// The BSS the device is on.
    pub bss: &'a mut Bss,
    /// Who failed how often at the service.
    pub failures: &'a mut FailureTable,
    /// The service's PMKs.
    pub pmks: &'a mut PmkCache,
    /// Keys and nonces come from here.
    pub entropy: &'a mut dyn Entropy,
}

/// Where a device stands (802.11-2020 §11.3.1: states 1 to 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// State 1.
    Unauthenticated,
    /// State 2: authenticated, not associated.
    Authenticated,
    /// State 3: associated; EAP or the 4-way handshake is under way, the port is closed.
    Associated,
    /// State 4: the port is open.
    Online,
}

/// What is known about a device.
#[derive(Clone, Debug)]
pub struct Info {
    /// Where it stands.
    pub state: State,
    /// Association id.
    pub aid: Option<u16>,
    /// It uses QoS data frames.
    pub qos: bool,
    /// The AKM it chose.
    pub akm: Option<Akm>,
    /// The name of the passphrase it proved to know.
    pub psk: Option<Arc<str>>,
    /// EAP identity, or the User-Name that RADIUS returned.
    pub identity: Option<Vec<u8>>,
    /// Class attributes, for accounting.
    pub class: Vec<Vec<u8>>,
    /// VLAN that overrides the service's.
    pub vlan: Option<u16>,
    /// Acct-Interim-Interval.
    pub interim_interval: Option<Duration>,
    /// When it associated.
    pub associated_since: Option<Time>,
    /// The accounting session under way, and since when.
    pub session: Option<(SessionId, Time)>,
}

/// A snapshot that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is of a version this build does not know.
    #[error("snapshot of unknown version {0}")]
    Version(u8),
    /// It ends early, or holds impossible values.
    #[error("malformed snapshot")]
    Malformed,
    /// It does not fit the service: its security or passphrases changed.
    #[error("the service changed since the snapshot was made")]
    ServiceChanged,
    /// The association id is taken.
    #[error("association id {0} is taken")]
    Aid(u16),
}

/// One device on one virtual BSS of one service.
#[derive(Debug)]
pub struct Station {
    service: Arc<Service>,
    bssid: MacAddr,
    mac: MacAddr,
    outputs: VecDeque<Output>,
    timers: Timers,
    /// State 2 or above.
    authenticated: bool,
    /// State 3 or above.
    association: Option<Association>,
    /// The last EAPOL-Key replay counter used (802.11-2020 §12.7.2). It never goes back while the value lives.
    replay_counter: u64,
    /// Names RADIUS requests, so that late answers are known as such.
    radius_request: u32,
    /// Who the device proved to be.
    credentials: session::Credentials,
    session: Option<session::Session>,
}

#[derive(Debug)]
struct Association {
    aid: u16,
    qos: bool,
    akm: Option<Akm>,
    /// RSNE and RSNX of the request, whole: message 2 must repeat them (802.11-2020 §12.7.6.3).
    rsne: Vec<u8>,
    rsnx: Vec<u8>,
    since: Time,
    /// The request and our answer, in case it is retransmitted.
    answered: Option<mlme::Answered>,
    /// The PMK in force, once it is known.
    pmk: Option<Pmk>,
    /// The pairwise key that is installed.
    keys: Option<Keys>,
    port_open: bool,
    eap: Option<eap::Conversation>,
    pairwise: Option<pairwise::Handshake>,
    group: Option<group::Handshake>,
    /// Generation of the group key that the device confirmed last.
    generation: Option<u64>,
}

#[derive(Debug)]
struct Keys {
    ptk: Ptk,
    /// Replay counter of the last EAPOL-Key request from the device (802.11-2020 §12.7.2).
    request_counter: Option<u64>,
}

impl Station {
    /// A device that was heard for the first time.
    pub fn new(service: Arc<Service>, bssid: MacAddr, mac: MacAddr) -> Station {
        Station {
            service,
            bssid,
            mac,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            authenticated: false,
            association: None,
            replay_counter: 0,
            radius_request: 0,
            credentials: session::Credentials::default(),
            session: None,
        }
    }

    /// The station as [`Station::snapshot`] left it. The EAPOL-Key replay counter is moved ahead by at least 2^16, and
    /// to `now` in microseconds: beyond anything sent after the snapshot was made, even if it is restored several times.
    /// A handshake that was under way starts anew: `next_timeout` is at once.
    ///
    /// # Errors
    /// [`RestoreError`]. The device is then best removed at the gateway, and comes back by itself.
    pub fn restore(
        service: Arc<Service>,
        bssid: MacAddr,
        mac: MacAddr,
        bytes: &[u8],
        now: Time,
        bss: &mut Bss,
    ) -> Result<Station, RestoreError> {
        snapshot::restore(Station::new(service, bssid, mac), bytes, now, bss)
    }

    /// What [`Station::restore`] needs, keys included. Secret. Below 1 KiB, unless RADIUS sent a lot of Class.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(self)
    }

    /// Handles one thing that happened. Drain [`Station::poll_output`], then the BSS's.
    pub fn handle(&mut self, now: Time, env: &mut Environment<'_>, input: Input<'_>) {
        match input {
            Input::Management { frame, .. } => self.management(now, env, frame),
            Input::Eapol { pdu, protected, group_pn } => {
                env.bss.note_group_pn(group_pn);
                self.eapol(now, env, pdu, protected);
            }
            Input::Class3Frame => {
                if self.association.is_none() {
                    self.class_error(now, ReasonCode::INVALID_CLASS3_FRAME);
                }
            }
            Input::Radius { request, result } => self.radius(now, env, request, result),
            Input::Timeout => self.timeout(now, env),
            Input::RekeyPairwise => self.rekey_pairwise(now, env),
            Input::GroupKey => self.offer_group_key(now, env),
            Input::Reauthenticate => self.reauthenticate(now, env),
            Input::Disconnect { reason, cause } => self.disconnect(now, env, reason, cause),
            Input::Removed { cause } => self.forget(now, env, cause),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Timeout`].
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The device.
    pub fn mac(&self) -> MacAddr {
        self.mac
    }

    /// The BSS it is on.
    pub fn bssid(&self) -> MacAddr {
        self.bssid
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match &self.association {
            Some(association) if association.port_open => State::Online,
            Some(_) => State::Associated,
            None if self.authenticated => State::Authenticated,
            None => State::Unauthenticated,
        }
    }

    /// Nothing is known that a new `Station` would not start with: it may be dropped.
    pub fn is_disposable(&self) -> bool {
        self.state() == State::Unauthenticated
            && self.outputs.is_empty()
            && self.timers.get(Timer::ClassError).is_none()
    }

    /// What is known about it.
    pub fn info(&self) -> Info {
        let association = self.association.as_ref();
        Info {
            state: self.state(),
            aid: association.map(|association| association.aid),
            qos: association.is_some_and(|association| association.qos),
            akm: association.and_then(|association| association.akm),
            psk: self.credentials.psk.clone(),
            identity: self.credentials.identity.clone(),
            class: self.credentials.class.clone(),
            vlan: self.credentials.vlan,
            interim_interval: self.credentials.interim_interval,
            associated_since: association.map(|association| association.since),
            session: self.session.as_ref().map(|session| (session.id, session.since)),
        }
    }

    fn timeout(&mut self, now: Time, env: &mut Environment<'_>) {
        for timer in Timer::ALL {
            if !self.timers.take_due(timer, now) {
                continue;
            }
            match timer {
                // A device in state 2 that never goes on takes no memory.
                Timer::Association => self.authenticated = false,
                Timer::ClassError => {}
                Timer::Resume => self.secure(now, env),
                Timer::EapResponse => self.eap_response_missing(now, env),
                Timer::EapTotal => self.eap_too_long(now, env),
                Timer::Radius => self.radius_missing(now, env),
                Timer::Pairwise => self.pairwise_answer_missing(now, env),
                Timer::Group => self.group_answer_missing(now, env),
                Timer::Session => self.session_over(now, env),
                Timer::PairwiseRekey => self.rekey_pairwise(now, env),
            }
        }
    }

    /// Counts a failure, and sends the device away when it was one too many. True if so.
    fn count_failure(&mut self, now: Time, env: &mut Environment<'_>, kind: FailureKind) -> bool {
        let blocked_until = env.failures.failed(now, self.mac);
        self.emit(Output::Failed { kind, blocked_until });
        if let Some(until) = blocked_until {
            self.log(Event::Blocked(until));
        }
        blocked_until.is_some()
    }

    /// Ends everything and says so to the device.
    fn disconnect(
        &mut self,
        now: Time,
        env: &mut Environment<'_>,
        reason: ReasonCode,
        cause: TerminateCause,
    ) {
        if self.authenticated {
            self.send_deauthentication(reason);
            self.log(Event::Disconnected(reason));
        }
        self.forget(now, env, cause);
    }

    /// Ends everything without a word to the device: state 1.
    fn forget(&mut self, now: Time, env: &mut Environment<'_>, cause: TerminateCause) {
        self.leave(now, env, cause);
        self.authenticated = false;
        self.timers.stop(Timer::Association);
    }

    /// Ends the association, if there is one: state 2.
    fn leave(&mut self, now: Time, env: &mut Environment<'_>, cause: TerminateCause) {
        if self.association.is_some() {
            self.abandon_handshakes(now, env);
            self.association = None;
            self.timers.stop_all();
            self.emit(Output::RemoveStation);
            env.bss.leave(now, env.entropy, self.mac);
            self.credentials = session::Credentials::default();
        }
        self.end_session(cause);
    }

    /// Stops EAP and the handshakes. A 4-way handshake that saw a wrong MIC counts as failed, however it ends.
    fn abandon_handshakes(&mut self, now: Time, env: &mut Environment<'_>) {
        let Some(association) = &mut self.association else { return };
        association.eap = None;
        association.group = None;
        let pairwise = association.pairwise.take();
        for timer in [Timer::EapResponse, Timer::EapTotal, Timer::Radius, Timer::Pairwise, Timer::Group] {
            self.timers.stop(timer);
        }
        if pairwise.is_some_and(|handshake| handshake.wrong_passphrase()) {
            self.count_failure(now, env, FailureKind::WrongPassphrase);
        }
    }

    fn next_replay_counter(&mut self) -> u64 {
        self.replay_counter += 1;
        self.replay_counter
    }

    /// Whether a pairwise key is installed, so that EAPOL travels encrypted.
    fn keyed(&self) -> bool {
        self.association.as_ref().is_some_and(|association| association.keys.is_some())
    }

    fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn log(&mut self, event: Event) {
        self.emit(Output::Log(event));
    }

    fn discard(&mut self, why: Discard) {
        self.log(Event::Discarded(why));
    }
}
