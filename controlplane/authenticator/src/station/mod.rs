//! One device on one virtual BSS: the public face of the state machine.

use std::sync::Arc;
use std::time::Duration;

use crate::{Akm, Bss, Entropy, FailureTable, Input, MacAddr, Output, PmkCache, Service, Time};

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

/// Names one accounting session, from its start to its stop. Drawn at random; `Display` is 16 hexadecimal digits, fit for
/// Acct-Session-Id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionId(pub u64);

impl core::fmt::Display for SessionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016X}", self.0)
    }
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
}

impl Station {
    /// A device that was heard for the first time.
    pub fn new(service: Arc<Service>, bssid: MacAddr, mac: MacAddr, _now: Time) -> Station {
        Station { service, bssid, mac }
    }

    /// The station as [`Station::snapshot`] left it. The EAPOL-Key replay counter is moved ahead by 2^16, beyond
    /// anything sent after the snapshot was made. A handshake that was under way starts anew; drain the outputs.
    pub fn restore(
        service: Arc<Service>,
        bssid: MacAddr,
        mac: MacAddr,
        _bytes: &[u8],
        now: Time,
        _bss: &mut Bss,
    ) -> Result<Station, RestoreError> {
        Ok(Station::new(service, bssid, mac, now))
    }

    /// What [`Station::restore`] needs, keys included. Secret; at most 1 KiB unless RADIUS sent a lot of Class.
    pub fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Handles one thing that happened. Drain [`Station::poll_output`], then the BSS's.
    pub fn handle(&mut self, _now: Time, _env: &mut Environment<'_>, _input: Input<'_>) {
        let _ = &self.service;
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to give [`Input::Timeout`].
    pub fn next_timeout(&self) -> Option<Time> {
        None
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
        State::Unauthenticated
    }

    /// Nothing is known that a new `Station` would not start with: it may be dropped.
    pub fn is_disposable(&self) -> bool {
        true
    }

    /// What is known about it.
    pub fn info(&self) -> Info {
        Info {
            state: self.state(),
            aid: None,
            qos: false,
            akm: None,
            psk: None,
            identity: None,
            class: Vec::new(),
            vlan: None,
            interim_interval: None,
            associated_since: None,
            session: None,
        }
    }
}
