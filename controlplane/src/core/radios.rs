//! Virtual BSSes on radios: who may open a tunnel, group keys, and what goes when a tunnel goes.

use std::{collections::HashMap, net::SocketAddr};

use authenticator::{BssOutput, Input, RestoreError, TerminateCause};
use dot11::MacAddr;
use matchmaker::Uuid;
use prost::Message as _;
use proto::{
    control::TunnelState,
    gateway::{self as pb, command},
    tunnel::{Proof, TunnelKey},
};

use super::{
    Connection, Core,
    introductions::{self, Proved},
    mac, octets, os_entropy,
    registration::is_possible_bssid,
    reports::Used,
    sessions::SessionKey,
    timers::Subject,
};
use crate::clock::unix_ms;

/// A virtual BSS: one service on one radio, through one tunnel.
pub(super) struct Bss {
    pub tunnel: Tunnel,
    /// The gateway that has the tunnel, by name; it may be away for a while.
    pub gateway: String,
    pub connection: Option<Connection>,
    pub bss: authenticator::Bss,
    pub since_unix_ms: i64,
    /// Its gateway attached again and has not reported it yet.
    pub unconfirmed: bool,
    /// Of the matchmaker's introduction; none if it is a standing one.
    pub key: Option<TunnelKey>,
    /// By devices of its in sessions that are over.
    pub used: HashMap<MacAddr, Used>,
}

/// `ttg.gateway.v1.Tunnel`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tunnel {
    pub session_id: [u8; 16],
    pub bssid: MacAddr,
    pub radio: MacAddr,
    pub service: Uuid,
    pub endpoint: SocketAddr,
}

/// Seconds of silence after which a tunnel is down: three keep-alives of five seconds.
const KEEPALIVE_TIMEOUT_SECONDS: u32 = 15;
/// Seconds for which a refused radio is not asked about again.
const REFUSAL_SECONDS: u32 = 10;

impl Tunnel {
    fn check(tunnel: Option<pb::Tunnel>) -> Option<Tunnel> {
        let tunnel = tunnel?;
        Some(Tunnel {
            session_id: tunnel.session_id.try_into().ok()?,
            bssid: mac(&tunnel.bssid)?,
            radio: mac(&tunnel.radio)?,
            service: Uuid::from_slice(&tunnel.service).ok()?,
            endpoint: tunnel.endpoint.parse().ok()?,
        })
    }

    fn message(&self) -> pb::Tunnel {
        pb::Tunnel {
            session_id: octets(&self.session_id),
            bssid: octets(&self.bssid.0),
            radio: octets(&self.radio.0),
            service: octets(self.service.as_bytes()),
            endpoint: self.endpoint.to_string(),
        }
    }
}

impl Core {
    pub(super) fn tunnel_request(&mut self, connection: Connection, request: pb::TunnelRequest) {
        let Some(tunnel) = Tunnel::check(request.tunnel.clone()) else {
            self.counters.add("tunnel_requests_malformed", 1);
            return;
        };
        match self.admit(&tunnel, introductions::proof(&request)) {
            Ok(Some(proved)) => self.accept(connection, tunnel, proved),
            Ok(None) => self.wait_for_introduction(connection, tunnel.bssid, request),
            Err(reason) => {
                self.counters.add("tunnels_refused", 1);
                tracing::warn!(radio = %tunnel.radio, bssid = %tunnel.bssid, endpoint = %tunnel.endpoint, reason, "tunnel refused");
                let refuse = pb::TunnelRefuse {
                    tunnel: Some(tunnel.message()),
                    reason,
                    retry_seconds: REFUSAL_SECONDS,
                };
                self.command(connection, command::Command::TunnelRefuse(refuse));
            }
        }
    }

    /// With what the tunnel may be accepted; `None`: not now, but perhaps in a moment.
    fn admit(&self, tunnel: &Tunnel, proof: Option<Proof>) -> Result<Option<Proved>, String> {
        if !self.services.contains_key(&tunnel.service) {
            return Err(format!("there is no service {}", tunnel.service));
        }
        if !is_possible_bssid(tunnel.bssid) {
            return Err(format!("{} is not a possible BSSID", tunnel.bssid));
        }
        let proved = if self.bindings.radio_may_show(tunnel.service, tunnel.radio) {
            Some(None)
        } else if self.matchmaker.is_none() {
            return Err(format!("no binding lets radio {} show service {}", tunnel.radio, tunnel.service));
        } else {
            self.introductions.tunnel(tunnel, proof, self.clock.now())
        };
        match self.radios.get(&tunnel.bssid) {
            Some(other) if other.tunnel.radio != tunnel.radio || other.tunnel.service != tunnel.service => {
                Err(format!("BSSID {} is in use by radio {}", tunnel.bssid, other.tunnel.radio))
            }
            // Everything in a keep-alive but the session id is public: while the radio is heard, nobody elsewhere is it.
            Some(other)
                if other.tunnel.session_id != tunnel.session_id
                    && other.tunnel.endpoint.ip() != tunnel.endpoint.ip()
                    && !matches!(proved, Some(Some(_))) =>
            {
                Err(format!("radio {} is still heard from {}", tunnel.radio, other.tunnel.endpoint))
            }
            _ => Ok(proved),
        }
    }

    fn accept(&mut self, connection: Connection, tunnel: Tunnel, proved: Proved) {
        let bssid = tunnel.bssid;
        if let Some((_, counter)) = &proved {
            self.introductions.used(bssid, &tunnel.session_id, *counter);
        }
        if let Some(known) = self.radios.get(&bssid) {
            if known.tunnel.session_id == tunnel.session_id && known.connection == Some(connection) {
                let accept = accept_command(&tunnel, tunnel_blob(known), proved);
                self.command(connection, accept);
                return;
            }
            self.close_radio(bssid, TerminateCause::LostCarrier, "the radio opened it anew");
        }
        let Some(service) = self.services.get(&tunnel.service) else { return };
        let Some(gateway) = self.gateways.get(&connection) else { return };
        let now = self.clock.now();
        let bss = authenticator::Bss::new(service.authenticator.clone(), bssid, now, &mut os_entropy);
        tracing::info!(radio = %tunnel.radio, %bssid, ssid = service.config.ssid, endpoint = %tunnel.endpoint, gateway = gateway.name, "tunnel up");
        self.counters.add("tunnels_accepted", 1);
        let entry = Bss {
            gateway: gateway.name.clone(),
            connection: Some(connection),
            bss,
            since_unix_ms: unix_ms(now),
            unconfirmed: false,
            key: proved.as_ref().map(|(key, _)| key.clone()),
            tunnel: tunnel.clone(),
            used: HashMap::new(),
        };
        let accept = accept_command(&tunnel, tunnel_blob(&entry), proved);
        self.radios.insert(bssid, entry);
        self.touch(bssid);
        self.command(connection, accept);
        self.drain_radio(bssid);
    }

    pub(super) fn tunnel_report(&mut self, connection: Connection, report: pb::TunnelReport) {
        let Some(tunnel) = Tunnel::check(report.tunnel) else {
            self.counters.add("tunnel_reports_malformed", 1);
            return;
        };
        let bssid = tunnel.bssid;
        match self.adopt(connection, tunnel, &report.blob) {
            Ok(mut entry) => {
                entry.bss.note_group_pn(report.group_pn);
                self.radios.insert(bssid, entry);
                self.touch(bssid);
                self.drain_radio(bssid);
                self.counters.add("tunnels_adopted", 1);
            }
            Err(reason) => {
                tracing::warn!(%bssid, reason, "a gateway's tunnel cannot be adopted and is closed");
                self.close_radio(bssid, TerminateCause::NasError, &reason);
                self.command(
                    connection,
                    command::Command::TunnelClose(pb::TunnelClose { bssid: octets(&bssid.0) }),
                );
            }
        }
    }

    fn adopt(&self, connection: Connection, tunnel: Tunnel, blob: &[u8]) -> Result<Bss, String> {
        let service = self.services.get(&tunnel.service).ok_or("its service is no longer configured")?;
        let gateway = self.gateways.get(&connection).ok_or("its gateway is gone")?;
        let state = TunnelState::decode(blob).map_err(|e| e.to_string())?;
        let key = state.key.as_slice().try_into().ok().map(TunnelKey::new);
        if key.is_none() && !self.bindings.radio_may_show(tunnel.service, tunnel.radio) {
            return Err("no binding lets its radio show the service any more".to_owned());
        }
        let now = self.clock.now();
        let bss = authenticator::Bss::restore(service.authenticator.clone(), tunnel.bssid, &state.bss, now)
            .map_err(|e: RestoreError| e.to_string())?;
        Ok(Bss {
            gateway: gateway.name.clone(),
            connection: Some(connection),
            bss,
            since_unix_ms: state.since_unix_ms,
            unconfirmed: false,
            key,
            tunnel,
            used: HashMap::new(),
        })
    }

    pub(super) fn tunnel_down(&mut self, connection: Connection, down: &pb::TunnelDown) {
        let Some(bssid) = mac(&down.bssid) else { return };
        let known = self.radios.get(&bssid);
        if known.is_some_and(|r| {
            r.connection == Some(connection) && r.tunnel.session_id[..] == down.session_id[..]
        }) {
            self.counters.add("tunnels_down", 1);
            self.introductions.used(bssid, &down.session_id, down.counter);
            self.close_radio(bssid, TerminateCause::LostCarrier, &down.reason);
        }
    }

    /// The tunnel is gone, or was never adopted: so are its sessions.
    pub(super) fn close_radio(&mut self, bssid: MacAddr, cause: TerminateCause, reason: &str) {
        if !self.radios.contains_key(&bssid) {
            return;
        }
        let why = match reason {
            "" => "its tunnel is gone".to_owned(),
            reason => format!("its tunnel is gone: {reason}"),
        };
        for key in self.sessions_of_radio(bssid) {
            self.end_session(key, Input::Removed { cause }, why.as_str());
            // One that would rather wait for something has nothing left to wait for.
            self.forget_session(key, None);
        }
        if let Some(radio) = self.radios.remove(&bssid) {
            self.touch(bssid);
            tracing::info!(radio = %radio.tunnel.radio, %bssid, reason, "tunnel down");
        }
        self.timers.set(Subject::Radio(bssid), None);
    }

    /// Makes a new group key for every virtual BSS of the service.
    pub(super) fn rekey_service(&mut self, service: Uuid) -> u32 {
        let bssids: Vec<_> = self
            .radios
            .iter()
            .filter(|(_, r)| r.tunnel.service == service)
            .map(|(&bssid, _)| bssid)
            .collect();
        let now = self.clock.now();
        for &bssid in &bssids {
            if let Some(radio) = self.radios.get_mut(&bssid) {
                radio.bss.request_rekey(now, &mut os_entropy);
            }
            self.drain_radio(bssid);
        }
        u32::try_from(bssids.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn radio_timeout(&mut self, bssid: MacAddr) {
        let now = self.clock.now();
        if let Some(radio) = self.radios.get_mut(&bssid) {
            radio.bss.handle_timeout(now, &mut os_entropy);
        }
        self.drain_radio(bssid);
    }

    /// Carries out what a BSS wants done, and arms its timer.
    pub(super) fn drain_radio(&mut self, bssid: MacAddr) {
        while let Some(output) = self.radios.get_mut(&bssid).and_then(|radio| radio.bss.poll_output()) {
            match output {
                BssOutput::InstallGroupKey { key, transmit } => {
                    let Some(radio) = self.radios.get(&bssid) else { return };
                    let install = pb::GroupKeyInstall {
                        bssid: octets(&bssid.0),
                        key_id: key.key_id.into(),
                        gtk: key.gtk.as_bytes().to_vec(),
                        blob: tunnel_blob(radio),
                        transmit,
                    };
                    if let Some(connection) = radio.connection {
                        self.command(connection, command::Command::GroupKeyInstall(install));
                    }
                    self.counters.add("group_keys_installed", 1);
                }
                BssOutput::Offer { mac } => self.input(SessionKey { bssid, mac }, Input::GroupKey),
            }
        }
        let timeout = self.radios.get(&bssid).and_then(|radio| radio.bss.next_timeout());
        self.timers.set(Subject::Radio(bssid), timeout);
    }
}

fn tunnel_blob(radio: &Bss) -> Vec<u8> {
    let key = radio.key.as_ref().map_or_else(Vec::new, |key| key.as_bytes().to_vec());
    TunnelState { bss: radio.bss.snapshot(), since_unix_ms: radio.since_unix_ms, key }.encode_to_vec()
}

fn accept_command(tunnel: &Tunnel, blob: Vec<u8>, proved: Proved) -> command::Command {
    let (key, counter) =
        proved.map_or_else(Default::default, |(key, counter)| (key.as_bytes().to_vec(), counter));
    command::Command::TunnelAccept(pb::TunnelAccept {
        key,
        counter,
        tunnel: Some(tunnel.message()),
        blob,
        keepalive_timeout_seconds: KEEPALIVE_TIMEOUT_SECONDS,
    })
}
