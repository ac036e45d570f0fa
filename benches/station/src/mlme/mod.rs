//! The device's MAC sublayer management entity: find the network, authenticate, (re)associate, notice the end.
//!
//! [`Mlme`] knows nothing of keys. It goes Idle → Scanning → Authenticating → Associating → Associated
//! (802.11-2020 §11.3), repeats unanswered requests, and reports what became of them. Open-system
//! authentication only.

mod bss;
mod request;

use std::time::Duration;

use dot11::element::Ssid;
use dot11::frame::management::{AssociationResponse, Authentication, Deauthentication};
use dot11::rsn::Pmk;
use dot11::{
    Akm, AuthenticationAlgorithm, Frame, FrameKind, MacAddr, ManagementSubtype, ReasonCode, StatusCode,
};

use crate::time::Time;

pub use bss::Bss;

/// What a device asks of its MLME; the same for any number of devices.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's name.
    pub ssid: Ssid,
    /// Take only this BSS; any of the right name otherwise.
    pub bssid: Option<MacAddr>,
    /// The authentication and key management suite to select; `None` for an open network.
    pub akm: Option<Akm>,
    /// Whether to ask for QoS where the BSS offers WMM.
    pub wmm: bool,
    /// Listen interval to announce, in beacon intervals.
    pub listen_interval: u16,
    /// How long to go on listening after the first suitable BSS, to choose the strongest. Zero takes the first.
    pub dwell: Duration,
    /// Time between probe requests while nothing suitable was heard.
    pub probe_interval: Duration,
    /// Probe requests before giving the scan up; scanning goes on for ever with `None`.
    pub probes: Option<u16>,
    /// How long to wait for the answer to an authentication or association request.
    pub response_timeout: Duration,
    /// How many times to send such a request before giving up.
    pub attempts: u8,
    /// Consider the BSS lost when no beacon was heard for so long, once one was.
    pub beacon_loss: Option<Duration>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            ssid: Ssid::WILDCARD,
            bssid: None,
            akm: None,
            wmm: true,
            listen_interval: 10,
            dwell: Duration::ZERO,
            probe_interval: Duration::from_millis(100),
            probes: None,
            response_timeout: Duration::from_millis(300),
            attempts: 4,
            beacon_loss: Some(Duration::from_secs(3)),
        }
    }
}

/// What the MLME is told with every call and does not keep itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The settings, the same at every call.
    pub config: &'a Config,
    /// A PMK of an earlier 802.1X authentication, offered by its PMKID in the association request
    /// (opportunistic key caching: 802.11-2020 §12.6.10.3 extended to every BSS of the network).
    pub cached_pmk: Option<&'a Pmk>,
}

/// Which exchange an answer is missing or negative for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking for a BSS.
    Scan,
    /// Open-system authentication.
    Authentication,
    /// Association or reassociation.
    Association,
}

/// What the MLME wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Transmit this management frame.
    Send(Vec<u8>),
    /// The association in [`Mlme::association`] began; keys of an earlier one are void.
    Associated,
    /// The access point said no. The MLME is idle again.
    Refused {
        /// Which request it refused.
        stage: Stage,
        /// Its reason (802.11-2020 Table 9-50).
        status: StatusCode,
    },
    /// Nobody answered. The MLME is idle again.
    NoAnswer(Stage),
    /// The access point ended the authentication or association. The MLME is idle again.
    Ended {
        /// Its reason (802.11-2020 Table 9-49).
        reason: ReasonCode,
    },
    /// No beacon for [`Config::beacon_loss`]. The MLME is idle again.
    BeaconsLost,
}

/// An association in force.
#[derive(Clone, Debug)]
pub struct Association {
    /// The BSS as its beacon or probe response described it.
    pub bss: Box<Bss>,
    /// Association identifier, 1 to 2007.
    pub aid: u16,
    /// The RSNE sent in the association request, as sent.
    pub own_rsne: Option<Box<[u8]>>,
    /// Whether it came about by reassociation.
    pub reassociated: bool,
    /// Whether both sides use QoS data frames.
    pub qos: bool,
    beacons_until: Option<Time>,
}

#[derive(Debug)]
enum State {
    Idle,
    Scanning {
        target: Option<MacAddr>,
        best: Option<Box<Bss>>,
        choose_at: Option<Time>,
        probe_at: Time,
        probes: u16,
    },
    Authenticating {
        bss: Box<Bss>,
        again_at: Time,
        sent: u8,
    },
    Associating {
        bss: Box<Bss>,
        again_at: Time,
        sent: u8,
        own_rsne: Option<Box<[u8]>>,
    },
    Associated(Association),
}

/// The MLME of one device.
#[derive(Debug)]
pub struct Mlme {
    mac: MacAddr,
    sequence: u16,
    /// The BSS that a reassociation leaves.
    leaving: Option<MacAddr>,
    state: State,
}

impl Mlme {
    /// An idle MLME for a device of address `mac`.
    pub fn new(mac: MacAddr) -> Mlme {
        Mlme { mac, sequence: 0, leaving: None, state: State::Idle }
    }

    /// The association in force, if any.
    pub fn association(&self) -> Option<&Association> {
        match &self.state {
            State::Associated(association) => Some(association),
            _ => None,
        }
    }

    /// Whether nothing is going on.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The next sequence number of sequence number space 1 (802.11-2020 §10.3.2.14.2), which management and
    /// non-QoS data frames share.
    pub fn next_sequence(&mut self) -> u16 {
        let number = self.sequence;
        self.sequence = (self.sequence + 1) & 0x0fff;
        number
    }

    /// Begins to look for the network and then to associate. Any association is given up without a word.
    pub fn connect(&mut self, now: Time, context: Context<'_>, out: &mut Vec<Output>) {
        self.leaving = None;
        self.scan(now, context, context.config.bssid, out);
    }

    /// Moves to another BSS of the network by reassociation: to `target`, or the strongest heard other than the
    /// present one. Without an association this is [`connect`](Mlme::connect).
    pub fn roam(&mut self, now: Time, context: Context<'_>, target: Option<MacAddr>, out: &mut Vec<Output>) {
        if let Some(association) = self.association() {
            self.leaving = Some(association.bss.bssid);
        }
        self.scan(now, context, target, out);
    }

    /// Tells the access point that the device leaves, if there is one to tell, and goes idle.
    pub fn leave(&mut self, reason: ReasonCode, out: &mut Vec<Output>) {
        let bssid = match &self.state {
            State::Idle | State::Scanning { .. } => self.leaving,
            State::Authenticating { bss, .. } | State::Associating { bss, .. } => Some(bss.bssid),
            State::Associated(association) => Some(association.bss.bssid),
        };
        if let Some(bssid) = bssid {
            out.push(Output::Send(request::deauthentication(self.mac, bssid, self.next_sequence(), reason)));
        }
        self.leaving = None;
        self.state = State::Idle;
    }

    /// Takes a received management frame, with its signal strength in dBm where known. Frames of other kinds,
    /// and management frames for others, are ignored.
    pub fn receive(
        &mut self,
        now: Time,
        context: Context<'_>,
        frame: &Frame<'_>,
        signal: Option<i8>,
        out: &mut Vec<Output>,
    ) {
        let FrameKind::Management(subtype) = frame.control().kind() else { return };
        if frame.addr1() != self.mac && !frame.addr1().is_group() {
            return;
        }
        match subtype {
            ManagementSubtype::Beacon | ManagementSubtype::ProbeResponse => {
                self.heard(now, context, frame, signal, out);
            }
            ManagementSubtype::Authentication => self.authentication(now, context, frame, out),
            ManagementSubtype::AssociationResponse | ManagementSubtype::ReassociationResponse => {
                let reassociated = subtype == ManagementSubtype::ReassociationResponse;
                self.association_response(context, frame, reassociated, out);
            }
            ManagementSubtype::Deauthentication | ManagementSubtype::Disassociation => self.ended(frame, out),
            _ => {}
        }
    }

    /// When [`timeout`](Mlme::timeout) is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Idle => None,
            State::Scanning { choose_at, probe_at, .. } => Some(choose_at.unwrap_or(*probe_at)),
            State::Authenticating { again_at, .. } | State::Associating { again_at, .. } => Some(*again_at),
            State::Associated(association) => association.beacons_until,
        }
    }

    /// Does what is due at `now`; harmless when nothing is.
    pub fn timeout(&mut self, now: Time, context: Context<'_>, out: &mut Vec<Output>) {
        if self.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        let config = context.config;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Scanning { best: Some(bss), .. } => self.authenticate(now, context, bss, 0, out),
            State::Scanning { target, probes, .. } => {
                if config.probes.is_some_and(|limit| probes >= limit) {
                    self.leaving = None;
                    return out.push(Output::NoAnswer(Stage::Scan));
                }
                let probe = request::probe(self.mac, self.next_sequence(), config);
                out.push(Output::Send(probe));
                self.state = State::Scanning {
                    target,
                    best: None,
                    choose_at: None,
                    probe_at: now + config.probe_interval,
                    probes: probes.saturating_add(1),
                };
            }
            State::Authenticating { bss, sent, .. } => self.authenticate(now, context, bss, sent, out),
            State::Associating { bss, sent, own_rsne, .. } => {
                self.associate(now, context, bss, sent, own_rsne, out)
            }
            State::Associated(_) => out.push(Output::BeaconsLost),
        }
    }

    fn scan(&mut self, now: Time, context: Context<'_>, target: Option<MacAddr>, out: &mut Vec<Output>) {
        self.state = State::Scanning { target, best: None, choose_at: None, probe_at: now, probes: 0 };
        self.timeout(now, context, out);
    }

    fn heard(
        &mut self,
        now: Time,
        context: Context<'_>,
        frame: &Frame<'_>,
        signal: Option<i8>,
        out: &mut Vec<Output>,
    ) {
        match &mut self.state {
            State::Associated(association) if frame.addr3() == Some(association.bss.bssid) => {
                association.beacons_until = context.config.beacon_loss.map(|wait| now + wait);
            }
            State::Scanning { target, best, choose_at, .. } => {
                let Some(bssid) = frame.addr3() else { return };
                let unwanted = match *target {
                    Some(target) => bssid != target,
                    None => self.leaving == Some(bssid),
                };
                if unwanted {
                    return;
                }
                let Some(bss) = Bss::of_beacon(frame, signal, context.config) else { return };
                if best.as_ref().is_none_or(|best| best.bssid == bss.bssid || best.signal < bss.signal) {
                    *best = Some(Box::new(bss));
                }
                choose_at.get_or_insert(now + context.config.dwell);
                self.timeout(now, context, out);
            }
            _ => {}
        }
    }

    /// Sends the request for the `sent + 1`th time, or gives up (802.11-2020 §11.3.4.2).
    fn authenticate(
        &mut self,
        now: Time,
        context: Context<'_>,
        bss: Box<Bss>,
        sent: u8,
        out: &mut Vec<Output>,
    ) {
        if sent >= context.config.attempts {
            return self.give_up(Stage::Authentication, out);
        }
        out.push(Output::Send(request::authentication(self.mac, bss.bssid, self.next_sequence())));
        let again_at = now + context.config.response_timeout;
        self.state = State::Authenticating { bss, again_at, sent: sent + 1 };
    }

    fn authentication(&mut self, now: Time, context: Context<'_>, frame: &Frame<'_>, out: &mut Vec<Output>) {
        let Ok(answer) = Authentication::parse(frame.body()) else { return };
        if !matches!(&self.state, State::Authenticating { bss, .. } if frame.addr2() == Some(bss.bssid))
            || answer.algorithm != AuthenticationAlgorithm::OPEN
            || answer.transaction != 2
        {
            return;
        }
        let State::Authenticating { bss, .. } = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        if answer.status != StatusCode::SUCCESS {
            self.leaving = None;
            return out.push(Output::Refused { stage: Stage::Authentication, status: answer.status });
        }
        let own_rsne = request::rsne(self.mac, &bss, context);
        self.associate(now, context, bss, 0, own_rsne, out);
    }

    /// Sends the request for the `sent + 1`th time, or gives up (802.11-2020 §11.3.5.2, §11.3.5.4).
    fn associate(
        &mut self,
        now: Time,
        context: Context<'_>,
        bss: Box<Bss>,
        sent: u8,
        own_rsne: Option<Box<[u8]>>,
        out: &mut Vec<Output>,
    ) {
        if sent >= context.config.attempts {
            return self.give_up(Stage::Association, out);
        }
        let sequence = self.next_sequence();
        let leaving = self.leaving;
        out.push(Output::Send(request::association(
            self.mac,
            sequence,
            &bss,
            context.config,
            leaving,
            own_rsne.as_deref(),
        )));
        let again_at = now + context.config.response_timeout;
        self.state = State::Associating { bss, again_at, sent: sent + 1, own_rsne };
    }

    fn association_response(
        &mut self,
        context: Context<'_>,
        frame: &Frame<'_>,
        reassociated: bool,
        out: &mut Vec<Output>,
    ) {
        let Ok(answer) = AssociationResponse::parse(frame.body()) else { return };
        if !matches!(&self.state, State::Associating { bss, .. } if frame.addr2() == Some(bss.bssid))
            || reassociated != self.leaving.is_some()
        {
            return;
        }
        let State::Associating { bss, own_rsne, .. } = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        self.leaving = None;
        if answer.status != StatusCode::SUCCESS {
            return out.push(Output::Refused { stage: Stage::Association, status: answer.status });
        }
        let qos = context.config.wmm && bss.wmm && answer.elements.has_wmm();
        self.state = State::Associated(Association {
            bss,
            aid: answer.aid,
            own_rsne,
            reassociated,
            qos,
            beacons_until: None,
        });
        out.push(Output::Associated);
    }

    fn ended(&mut self, frame: &Frame<'_>, out: &mut Vec<Output>) {
        let bssid = match &self.state {
            State::Authenticating { bss, .. } | State::Associating { bss, .. } => bss.bssid,
            State::Associated(association) => association.bss.bssid,
            State::Idle | State::Scanning { .. } => return,
        };
        let Ok(Deauthentication { reason }) = Deauthentication::parse(frame.body()) else { return };
        if frame.addr2() != Some(bssid) {
            return;
        }
        self.leaving = None;
        self.state = State::Idle;
        out.push(Output::Ended { reason });
    }

    fn give_up(&mut self, stage: Stage, out: &mut Vec<Output>) {
        self.leaving = None;
        self.state = State::Idle;
        out.push(Output::NoAnswer(stage));
    }
}
