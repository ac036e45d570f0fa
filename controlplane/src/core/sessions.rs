//! Devices: their frames go to the authenticator, and what it wants done becomes commands, RADIUS requests and
//! accounting.

use std::{
    net::IpAddr,
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering},
};

use authenticator::{
    Environment, Input, Output, RadiusResult, ReasonCode, RestoreError, State, TerminateCause,
};
use dot11::MacAddr;
use matchmaker::Uuid;
use prost::Message as _;
use proto::{
    admin::session_change::Kind,
    control::SessionState,
    gateway::{self as pb, command, frame},
};

use super::{
    Connection, Core,
    accounting::{Account, Totals},
    ended::{Ended, Heard},
    mac, octets, os_entropy,
    timers::Subject,
};
use crate::{
    aaa::{AaaAnswer, Authenticate},
    clock::unix_ms,
};

/// Names a session: one device on one virtual BSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Of the virtual BSS.
    pub bssid: MacAddr,
    /// Of the device.
    pub mac: MacAddr,
}

/// One device on one virtual BSS.
pub(super) struct Session {
    pub station: authenticator::Station,
    /// Tells it from one that had the same name before.
    serial: u64,
    pub service: Uuid,
    pub totals: Totals,
    pub addresses: Vec<IpAddr>,
    pub since_unix_ms: i64,
    pub online_unix_ms: i64,
    pub rekeys: u32,
    pub rssi_dbm: i32,
    /// The RADIUS server that holds the EAP conversation.
    pub server: Option<radius::client::ServerId>,
    /// What RADIUS wants repeated in accounting (RFC 4372).
    pub chargeable_user_identity: Option<Vec<u8>>,
    /// The accounting session that has begun, as its start said it was.
    pub account: Option<Account>,
    /// The state that watchers saw last.
    shown: Option<State>,
    /// The gateway has the station.
    added: bool,
    /// The gateway has reported it since it attached.
    confirmed: bool,
    /// Why it ends, when it does.
    ended: Ended,
}

/// Downlink waits so long at most for a device that is about to replace its key: message 3 with all its
/// retransmissions.
const HOLD_FOR_MESSAGE_4_MS: u32 = 4_500;
/// After message 4 the device still has to hand its new key to its radio. The gateway knows that it has from the first frame under that
/// key; downlink waits so long at most for one that sends nothing.
const HOLD_AFTER_MESSAGE_4_MS: u32 = 500;
/// Frames sent under the old key before message 4 may still be under way.
const ACCEPT_OLD_KEY_MS: u32 = 1_000;
/// Addresses remembered of a device; the gateway keeps no more either.
const MAX_ADDRESSES: usize = 8;
/// Devices that are heard on one virtual BSS without being associated; a flood of invented addresses ends here.
const MAX_UNASSOCIATED: usize = 256;

impl SessionKey {
    /// Every device of a virtual BSS.
    pub fn all_of(bssid: MacAddr) -> RangeInclusive<SessionKey> {
        SessionKey { bssid, mac: MacAddr([0; 6]) }..=SessionKey { bssid, mac: MacAddr([0xff; 6]) }
    }
}

impl Session {
    fn new(station: authenticator::Station, service: Uuid, now_unix_ms: i64) -> Session {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Session {
            station,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            service,
            totals: Totals::default(),
            addresses: Vec::new(),
            since_unix_ms: now_unix_ms,
            online_unix_ms: 0,
            rekeys: 0,
            rssi_dbm: 0,
            server: None,
            chargeable_user_identity: None,
            account: None,
            shown: None,
            added: false,
            confirmed: true,
            ended: Ended::default(),
        }
    }

    fn blob(&self) -> Vec<u8> {
        let addresses = self
            .addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(a) => a.octets().to_vec(),
                IpAddr::V6(a) => a.octets().to_vec(),
            })
            .collect();
        SessionState {
            station: self.station.snapshot(),
            online_unix_ms: self.online_unix_ms,
            rekeys: self.rekeys,
            addresses,
            totals: self.totals.to_numbers(),
            chargeable_user_identity: self.chargeable_user_identity.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }
}

impl Core {
    /// A frame that the gateway left to control.
    pub(super) fn frame(&mut self, frame: pb::Frame) {
        let (Some(bssid), Some(mac)) = (mac(&frame.bssid), mac(&frame.mac)) else {
            self.counters.add("frames_malformed", 1);
            return;
        };
        let key = SessionKey { bssid, mac };
        if !self.sessions.contains_key(&key) && !self.introduce(key) {
            return;
        }
        if let Some(session) = self.sessions.get_mut(&key)
            && frame.rssi_dbm != 0
        {
            session.rssi_dbm = frame.rssi_dbm;
        }
        let protected = frame.was_protected;
        match frame.kind() {
            frame::Kind::Management => self.input(key, Input::Management { frame: &frame.data, protected }),
            frame::Kind::Eapol => {
                self.input(key, Input::Eapol { pdu: &frame.data, protected, group_pn: frame.group_pn });
            }
            frame::Kind::Unspecified => self.counters.add("frames_malformed", 1),
        }
        // EAPOL tells the BSS how far its group key has been used.
        self.drain_radio(bssid);
    }

    /// Makes a session for a device that a binding introduces; nothing of any other device is processed.
    fn introduce(&mut self, key: SessionKey) -> bool {
        let Some(radio) = self.radios.get(&key.bssid) else {
            self.counters.add("frames_on_unknown_bss", 1);
            return false;
        };
        let (service, at) = (radio.tunnel.service, radio.tunnel.radio);
        let now = self.clock.now();
        let introduced = self.bindings.find(service, key.mac, at).is_some()
            || self.introductions.device(key, service, now);
        if !introduced || self.introductions.refused(key.mac, now) {
            self.counters.add("frames_not_introduced", 1);
            return false;
        }
        let unassociated = self
            .sessions
            .range(SessionKey::all_of(key.bssid))
            .filter(|(_, session)| session.station.state() < State::Associated);
        if unassociated.count() >= MAX_UNASSOCIATED {
            self.counters.add("frames_too_many_unassociated", 1);
            return false;
        }
        self.prefetch_pmk(service, key.mac);
        let Some(entry) = self.services.get(&service) else { return false };
        let now = self.clock.now();
        let station = authenticator::Station::new(entry.authenticator.clone(), key.bssid, key.mac);
        self.sessions.insert(key, Session::new(station, service, unix_ms(now)));
        true
    }

    /// Gives the device's authenticator an input and carries out what follows from it.
    pub(super) fn input(&mut self, key: SessionKey, input: Input<'_>) {
        let now = self.clock.now();
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(radio) = self.radios.get_mut(&key.bssid) else { return };
        let Some(service) = self.services.get_mut(&session.service) else { return };
        let mut entropy = os_entropy;
        let mut environment = Environment {
            bss: &mut radio.bss,
            failures: &mut service.failures,
            pmks: &mut service.pmks,
            entropy: &mut entropy,
        };
        session.station.handle(now, &mut environment, input);
        let service = session.service;
        self.share_pmks(service);
        self.drain_session(key);
    }

    /// The same of an input that ends the session, or is meant to: whoever watches is told why.
    pub(super) fn end_session(&mut self, key: SessionKey, input: Input<'_>, why: impl Into<String>) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ended.because(why.into());
        }
        self.input(key, input);
    }

    fn drain_session(&mut self, key: SessionKey) {
        let mut heard = Heard::default();
        while let Some(output) = self.sessions.get_mut(&key).and_then(|session| session.station.poll_output())
        {
            heard.heed(&output);
            self.carry_out(key, output);
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        self.timers.set(Subject::Session(key), session.station.next_timeout());
        let state = session.station.state();
        session.ended.note(heard);
        let before = session.shown.replace(state);
        if before != Some(state) {
            self.publish(key, Kind::Updated, "");
        }
        if self.sessions.get(&key).is_some_and(|session| session.station.is_disposable()) {
            self.forget_session(key, before);
        }
    }

    /// `before`: where it stood until now.
    pub(super) fn forget_session(&mut self, key: SessionKey, before: Option<State>) {
        if let Some(session) = self.sessions.get(&key) {
            self.publish(key, Kind::Removed, &session.ended.reason(before));
            self.sessions.remove(&key);
        }
        self.timers.set(Subject::Session(key), None);
        self.timers.set(Subject::Interim(key), None);
        self.timers.set(Subject::Report(key), None);
    }

    fn carry_out(&mut self, key: SessionKey, output: Output) {
        match output {
            Output::SendManagement(data) => self.transmit(key, frame::Kind::Management, data, false, 0),
            Output::SendEapol { pdu, protect, hold_downlink } => {
                let hold = if hold_downlink { HOLD_FOR_MESSAGE_4_MS } else { 0 };
                self.transmit(key, frame::Kind::Eapol, pdu, protect, hold);
            }
            Output::AddStation { aid, qos, protect, pmf } => {
                let now = self.clock.now();
                let Some(session) = self.sessions.get_mut(&key) else { return };
                session.since_unix_ms = unix_ms(session.station.info().associated_since.unwrap_or(now));
                // The gateway's last word on what was before is still to come, or has come.
                if std::mem::replace(&mut session.added, true) || self.stops.contains_key(&key) {
                    session.totals.begin_anew();
                } else {
                    session.totals.begin_from_nothing();
                }
                let add = pb::StationAdd {
                    bssid: octets(&key.bssid.0),
                    mac: octets(&key.mac.0),
                    aid: aid.into(),
                    qos,
                    protect,
                    blob: session.blob(),
                    pmf,
                };
                self.counters.add("associations", 1);
                self.command_radio(key.bssid, command::Command::StationAdd(add));
            }
            Output::InstallKey { key_id, tk, replaces } => self.install_key(key, key_id, &tk, replaces),
            Output::OpenPort { vlan } => {
                // Only now has it proved who it is.
                self.leave_other_radios(key);
                let now = unix_ms(self.clock.now());
                let Some(session) = self.sessions.get_mut(&key) else { return };
                if session.online_unix_ms == 0 {
                    session.online_unix_ms = now;
                }
                let open = pb::PortOpen {
                    bssid: octets(&key.bssid.0),
                    mac: octets(&key.mac.0),
                    open: true,
                    vlan: vlan.unwrap_or(0).into(),
                    blob: session.blob(),
                };
                self.bind_automatically(key);
                self.counters.add("ports_opened", 1);
                self.command_radio(key.bssid, command::Command::PortOpen(open));
                self.publish(key, Kind::Updated, "");
            }
            Output::ClosePort => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.online_unix_ms = 0;
                }
                let close = pb::PortOpen {
                    bssid: octets(&key.bssid.0),
                    mac: octets(&key.mac.0),
                    ..Default::default()
                };
                self.command_radio(key.bssid, command::Command::PortOpen(close));
            }
            Output::RemoveStation => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.added = false;
                }
                let remove = pb::StationRemove { bssid: octets(&key.bssid.0), mac: octets(&key.mac.0) };
                self.command_radio(key.bssid, command::Command::StationRemove(remove));
            }
            Output::RadiusRequest { request, eap, state, identity } => {
                self.authenticate(key, request, eap, state, identity);
            }
            Output::GroupKeyInstalled { .. } => {
                self.counters.add("group_handshakes", 1);
                self.keep_blob(key);
            }
            Output::GroupKeyFailed { .. } => self.counters.add("group_handshakes_failed", 1),
            Output::AccountStart => self.account_start(key),
            Output::AccountStop { session, cause } => self.account_stop(key, session, cause),
            Output::Failed { kind, blocked_until } => {
                self.counters.add("authentications_failed", 1);
                if blocked_until.is_some() {
                    self.counters.add("devices_blocked", 1);
                    let service =
                        self.sessions.get(&key).and_then(|session| self.services.get(&session.service));
                    let failures = service.map_or(1, |service| service.config.max_failures);
                    self.report_failures(key, failures);
                }
                tracing::info!(client = %key.mac, bssid = %key.bssid, ?kind, blocked = blocked_until.is_some(), "authentication failed");
            }
            Output::Log(event) => {
                tracing::info!(client = %key.mac, bssid = %key.bssid, "{event}");
            }
        }
    }

    fn install_key(&mut self, key: SessionKey, key_id: u8, tk: &authenticator::Tk, replaces: bool) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if replaces {
            session.rekeys += 1;
        }
        let install = pb::KeyInstall {
            bssid: octets(&key.bssid.0),
            mac: octets(&key.mac.0),
            key_id: key_id.into(),
            tk: tk.as_bytes().to_vec(),
            blob: session.blob(),
            accept_old_ms: if replaces { ACCEPT_OLD_KEY_MS } else { 0 },
            hold_downlink_ms: if replaces { HOLD_AFTER_MESSAGE_4_MS } else { 0 },
        };
        self.counters.add(if replaces { "pairwise_rekeys" } else { "pairwise_keys_installed" }, 1);
        self.command_radio(key.bssid, command::Command::KeyInstall(install));
    }

    fn transmit(&mut self, key: SessionKey, kind: frame::Kind, data: Vec<u8>, protect: bool, hold: u32) {
        let transmit = pb::Transmit {
            kind: kind.into(),
            bssid: octets(&key.bssid.0),
            mac: octets(&key.mac.0),
            data,
            protect,
            hold_downlink_ms: hold,
        };
        self.command_radio(key.bssid, command::Command::Transmit(transmit));
    }

    /// To the gateway that has the virtual BSS, if it is attached.
    pub(super) fn command_radio(&mut self, bssid: MacAddr, command: command::Command) {
        if let Some(connection) = self.radios.get(&bssid).and_then(|radio| radio.connection) {
            self.command(connection, command);
        }
    }

    /// The gateway keeps what the next control process needs.
    pub(super) fn keep_blob(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let set = pb::BlobSet { bssid: octets(&key.bssid.0), mac: octets(&key.mac.0), blob: session.blob() };
        self.command_radio(key.bssid, command::Command::BlobSet(set));
    }

    /// A device that associates through one radio has left the others of the service.
    fn leave_other_radios(&mut self, key: SessionKey) {
        let Some(service) = self.sessions.get(&key).map(|session| session.service) else { return };
        let of_service = |other: &SessionKey| self.sessions.get(other).is_some_and(|s| s.service == service);
        let mut others = self.sessions.of_client(key.mac);
        others.retain(|other| *other != key && of_service(other));
        let Some(radio) = self.radios.get(&key.bssid).map(|radio| radio.tunnel.radio) else { return };
        for other in others {
            let gone = Input::Removed { cause: TerminateCause::UserRequest };
            self.end_session(other, gone, format!("it went online at radio {radio}"));
        }
    }

    fn authenticate(
        &mut self,
        key: SessionKey,
        request: u32,
        eap: Vec<u8>,
        state: Option<Vec<u8>>,
        identity: Vec<u8>,
    ) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(service) = self.services.get(&session.service) else { return };
        let Some(group) = service.config.radius.clone() else { return };
        let info = session.station.info();
        self.counters.add("radius_requests", 1);
        self.aaa.authenticate(Authenticate {
            key,
            serial: session.serial,
            request,
            group,
            ssid: service.config.ssid.clone(),
            eap,
            // A new conversation may go to any server; one under way belongs to the server that gave the State.
            server: state.as_ref().and(session.server),
            state,
            identity,
            akm: info.akm,
        });
    }

    pub(super) fn aaa_answer(&mut self, answer: AaaAnswer) {
        let AaaAnswer { key, serial, request, server, chargeable_user_identity, result } = answer;
        let Some(session) = self.sessions.get_mut(&key).filter(|session| session.serial == serial) else {
            // The device has gone; one that came back since asks for itself.
            return;
        };
        session.server = server;
        if let RadiusResult::Accept(_) = result {
            session.chargeable_user_identity = chargeable_user_identity;
        }
        self.input(key, Input::Radius { request, result });
    }

    pub(super) fn station_report(&mut self, connection: Connection, report: pb::StationReport) {
        let (Some(bssid), Some(mac)) = (mac(&report.bssid), mac(&report.mac)) else {
            self.counters.add("station_reports_malformed", 1);
            return;
        };
        let key = SessionKey { bssid, mac };
        match self.restore(key, &report.blob) {
            Ok(mut session) => {
                if let Some(known) = self.sessions.get_mut(&key) {
                    session.totals = known.totals.clone();
                    // What became of it here after the stream broke never reached the gateway.
                    let current = session.station.info().session.map(|(id, _)| id);
                    if let Some(other) =
                        known.account.as_ref().map(Account::id).filter(|id| Some(*id) != current)
                    {
                        self.account_stop(key, other, TerminateCause::LostCarrier);
                    }
                }
                if let Some(counters) = &report.counters {
                    session.totals.update(counters);
                    session.rssi_dbm = counters.rssi_dbm;
                }
                self.sessions.insert(key, session);
                self.adopt_account(key);
                self.counters.add("sessions_adopted", 1);
                self.drain_session(key);
                self.arm_interim(key);
            }
            Err(reason) => {
                tracing::warn!(client = %mac, %bssid, reason, "a gateway's session cannot be adopted and is closed");
                let gone = Input::Removed { cause: TerminateCause::NasError };
                self.end_session(key, gone, format!("what its gateway reported cannot be adopted: {reason}"));
                let remove = pb::StationRemove { bssid: report.bssid, mac: report.mac };
                self.command(connection, command::Command::StationRemove(remove));
            }
        }
    }

    fn restore(&mut self, key: SessionKey, blob: &[u8]) -> Result<Session, String> {
        let radio = self.radios.get_mut(&key.bssid).ok_or("its tunnel was not adopted")?;
        let introduced = radio.key.is_some()
            || self.bindings.find(radio.tunnel.service, key.mac, radio.tunnel.radio).is_some();
        if !introduced {
            return Err("no binding introduces it any more".to_owned());
        }
        let service =
            self.services.get(&radio.tunnel.service).ok_or("its service is no longer configured")?;
        let state = SessionState::decode(blob).map_err(|e| e.to_string())?;
        let now = self.clock.now();
        let station = authenticator::Station::restore(
            service.authenticator.clone(),
            key.bssid,
            key.mac,
            &state.station,
            now,
            &mut radio.bss,
        )
        .map_err(|e: RestoreError| e.to_string())?;
        let since = station.info().associated_since.unwrap_or(now);
        let mut session = Session::new(station, radio.tunnel.service, unix_ms(since));
        session.online_unix_ms = state.online_unix_ms;
        session.rekeys = state.rekeys;
        session.totals = Totals::from_numbers(&state.totals);
        session.chargeable_user_identity =
            Some(state.chargeable_user_identity).filter(|identity| !identity.is_empty());
        session.added = true;
        session.addresses = state.addresses.iter().filter_map(|octets| address(octets)).collect();
        Ok(session)
    }

    /// Before a gateway reports: what of its sessions is not in the report has been lost.
    pub(super) fn doubt_sessions_of(&mut self, gateway: &str) {
        for (key, session) in self.sessions.iter_mut() {
            if self.radios.get(&key.bssid).is_some_and(|radio| radio.gateway == gateway) {
                session.confirmed = false;
            }
        }
    }

    /// After it reported.
    pub(super) fn close_doubtful_sessions_of(&mut self, gateway: &str) {
        let lost: Vec<_> = self
            .sessions
            .iter()
            .filter(|(key, session)| {
                !session.confirmed
                    && self.radios.get(&key.bssid).is_some_and(|radio| radio.gateway == gateway)
            })
            .map(|(&key, _)| key)
            .collect();
        for key in lost {
            let gone = Input::Removed { cause: TerminateCause::LostCarrier };
            self.end_session(key, gone, "its gateway no longer has it");
        }
    }

    pub(super) fn station_idle(&mut self, idle: &pb::StationIdle) {
        let (Some(bssid), Some(mac)) = (mac(&idle.bssid), mac(&idle.mac)) else { return };
        // 802.11-2020 table 9-49, 4: disassociated due to inactivity.
        let input = Input::Disconnect { reason: ReasonCode(4), cause: TerminateCause::IdleTimeout };
        self.end_session(SessionKey { bssid, mac }, input, "it was silent for too long");
    }

    pub(super) fn station_address(&mut self, event: &pb::StationAddress) {
        let (Some(bssid), Some(mac)) = (mac(&event.bssid), mac(&event.mac)) else { return };
        let key = SessionKey { bssid, mac };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(address) = address(&event.address) else { return };
        if session.addresses.contains(&address) {
            return;
        }
        // RADIUS hears of the first of each family; a device that goes through addresses is not worth a record each.
        let first = session.addresses.iter().all(|known| known.is_ipv4() != address.is_ipv4());
        if session.addresses.len() == MAX_ADDRESSES {
            session.addresses.remove(0);
        }
        session.addresses.push(address);
        self.keep_blob(key);
        self.publish(key, Kind::Updated, "");
        if first {
            self.account_address(key, address);
        }
    }

    pub(super) fn decrypt_failures(&mut self, failures: &pb::DecryptFailures) {
        let (Some(bssid), Some(mac)) = (mac(&failures.bssid), mac(&failures.mac)) else { return };
        tracing::info!(client = %mac, %bssid, mic = failures.mic_failures, replays = failures.replays, "frames failed decryption");
    }

    pub(super) fn sessions_of_radio(&self, bssid: MacAddr) -> Vec<SessionKey> {
        self.sessions.range(SessionKey::all_of(bssid)).map(|(&key, _)| key).collect()
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}
