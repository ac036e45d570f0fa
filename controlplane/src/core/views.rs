//! What operators are shown, and what they may ask for.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use authenticator::{Input, ReasonCode, State, TerminateCause};
use dot11::MacAddr;
use matchmaker::Uuid;
use proto::admin::{self, session_change::Kind};

use tokio::sync::oneshot;

use super::{Core, Query, SessionsOf, SessionsPart, sessions::SessionKey};

/// Sessions that are looked at before devices are heard again: about a millisecond.
const LOOKED_AT: usize = 2000;

impl Core {
    pub(super) fn query(&mut self, query: Query) {
        match query {
            Query::Sessions { of, after, most, reply } => {
                answer(reply, self.some_sessions(of, after, most));
            }
            Query::Radios { after, most, reply } => answer(reply, self.some_radios(after, most)),
            Query::Radio { bssid, reply } => answer(reply, self.radio_view(bssid)),
            Query::WatchRadios(reply) => answer(reply, self.touched.subscribe()),
            Query::Services(reply) => answer(reply, self.list_services()),
            Query::Gateways(reply) => answer(reply, self.list_gateways()),
            Query::Bindings(reply) => answer(reply, self.list_bindings()),
            Query::Stats(reply) => answer(reply, self.stats()),
            Query::Watch(reply) => answer(reply, self.changes.subscribe()),
            Query::Disconnect { client, reason, reply } => {
                let keys = self.sessions.of_client(client);
                for &key in &keys {
                    let input =
                        Input::Disconnect { reason: ReasonCode(reason), cause: TerminateCause::AdminReset };
                    self.end_session(key, input, "an operator sent it away");
                }
                answer(reply, count(keys.len()));
            }
            Query::RekeyClient { client, reply } => {
                let mut keys = self.sessions.of_client(client);
                keys.retain(|key| self.sessions[key].station.state() == State::Online);
                for &key in &keys {
                    self.input(key, Input::RekeyPairwise);
                }
                answer(reply, count(keys.len()));
            }
            Query::RekeyService { service, reply } => answer(reply, self.rekey_service(service)),
            Query::Drain { gateway, drain, reply } => answer(reply, self.drain(&gateway, drain)),
        }
    }

    /// Tells watchers. Nobody watching is the usual case and costs nothing.
    pub(super) fn publish(&self, key: SessionKey, kind: Kind, reason: &str) {
        self.touch(key.bssid);
        if self.changes.receiver_count() == 0 {
            return;
        }
        if let Some(session) = self.view(key) {
            let change =
                admin::SessionChange { kind: kind.into(), session: Some(session), reason: reason.to_owned() };
            let _ = self.changes.send(change);
        }
    }

    /// A virtual BSS is there, is gone, or has another client: those who watch ask how it is.
    pub(super) fn touch(&self, bssid: MacAddr) {
        let _ = self.touched.send(bssid);
    }

    /// Looks at so many sessions at most that devices do not wait for it.
    fn some_sessions(&self, of: SessionsOf, after: Option<SessionKey>, most: usize) -> SessionsPart {
        let mut part = SessionsPart::default();
        let meant = |key: &SessionKey| {
            of.service.is_none_or(|uuid| self.sessions.get(key).is_some_and(|s| s.service == uuid))
        };
        if let Some(client) = of.client {
            let mut keys = self.sessions.of_client(client);
            keys.retain(|key| after.is_none_or(|after| *key > after) && meant(key));
            keys.sort_unstable();
            part.more = keys.get(most.wrapping_sub(1)).copied().filter(|_| keys.len() > most);
            part.sessions = keys.into_iter().take(most).filter_map(|key| self.view(key)).collect();
            return part;
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.sessions.range((from, Bound::Unbounded)).map(|(key, _)| *key).peekable();
        for looked_at in 1.. {
            let Some(key) = behind.next() else { break };
            part.sessions.extend(meant(&key).then(|| self.view(key)).flatten());
            if behind.peek().is_some() && (part.sessions.len() >= most || looked_at >= LOOKED_AT) {
                part.more = Some(key);
                break;
            }
        }
        part
    }

    fn view(&self, key: SessionKey) -> Option<admin::Session> {
        let session = self.sessions.get(&key)?;
        let radio = self.radios.get(&key.bssid);
        let info = session.station.info();
        let totals = session.totals.now();
        let service = self.services.get(&session.service);
        let state = match info.state {
            State::Unauthenticated => "heard",
            State::Authenticated => "authenticated",
            State::Associated => "associated",
            State::Online => "online",
        };
        let configured_vlan = service.map_or(0, |service| service.config.vlan);
        Some(admin::Session {
            client: key.mac.to_string(),
            service: session.service.to_string(),
            ssid: service.map(|service| service.config.ssid.clone()).unwrap_or_default(),
            bssid: key.bssid.to_string(),
            radio: radio.map(|radio| radio.tunnel.radio.to_string()).unwrap_or_default(),
            gateway: radio.map(|radio| radio.gateway.clone()).unwrap_or_default(),
            state: state.to_owned(),
            identity: super::accounting::user_name(&info),
            addresses: session.addresses.iter().map(ToString::to_string).collect(),
            since_unix_ms: session.since_unix_ms,
            online_unix_ms: session.online_unix_ms,
            up_packets: totals.up_packets,
            up_octets: totals.up_octets,
            down_packets: totals.down_packets,
            down_octets: totals.down_octets,
            rssi_dbm: session.rssi_dbm,
            vlan: info.vlan.unwrap_or(configured_vlan).into(),
            akm: info.akm.map(super::device::akm_name).unwrap_or_default().to_owned(),
            acct_session_id: info.session.map(|(id, _)| id.to_string()).unwrap_or_default(),
            rekeys: session.rekeys,
        })
    }

    fn some_radios(&self, after: Option<(MacAddr, MacAddr)>, most: usize) -> (Vec<admin::Radio>, bool) {
        let mut first = BTreeSet::new();
        for (bssid, radio) in &self.radios {
            let key = (radio.tunnel.radio, *bssid);
            if after.is_none_or(|after| key > after)
                && (first.len() <= most || first.last().is_some_and(|last| key < *last))
            {
                first.insert(key);
                if first.len() > most + 1 {
                    first.pop_last();
                }
            }
        }
        let more = first.len() > most;
        (first.into_iter().take(most).filter_map(|(_, bssid)| self.radio_view(bssid)).collect(), more)
    }

    fn radio_view(&self, bssid: MacAddr) -> Option<admin::Radio> {
        let radio = self.radios.get(&bssid)?;
        let service = self.services.get(&radio.tunnel.service);
        Some(admin::Radio {
            radio: radio.tunnel.radio.to_string(),
            bssid: bssid.to_string(),
            service: radio.tunnel.service.to_string(),
            ssid: service.map(|service| service.config.ssid.clone()).unwrap_or_default(),
            endpoint: radio.tunnel.endpoint.to_string(),
            gateway: radio.gateway.clone(),
            clients: count(self.sessions_of_radio(bssid).len()),
            since_unix_ms: radio.since_unix_ms,
        })
    }

    fn list_services(&self) -> Vec<admin::Service> {
        let now = self.clock.now();
        let mut clients: HashMap<Uuid, usize> = HashMap::new();
        for session in self.sessions.values() {
            *clients.entry(session.service).or_default() += 1;
        }
        let mut services: Vec<_> = self
            .services
            .iter()
            .map(|(uuid, service)| admin::Service {
                uuid: uuid.to_string(),
                ssid: service.config.ssid.clone(),
                security: service.config.security.name().to_owned(),
                vlan: service.config.vlan.into(),
                clients: count(clients.get(uuid).copied().unwrap_or_default()),
                blocked: count(service.failures.iter_blocked(now).count()),
            })
            .collect();
        services.sort_by(|a, b| (&a.ssid, &a.uuid).cmp(&(&b.ssid, &b.uuid)));
        services
    }

    fn list_gateways(&self) -> Vec<admin::Gateway> {
        let mut gateways: Vec<_> = self
            .gateways
            .values()
            .filter(|gateway| !gateway.name.is_empty())
            .map(|gateway| admin::Gateway {
                name: gateway.name.clone(),
                version: gateway.version.clone(),
                listen: gateway.listen.clone(),
                tunnels: gateway.stats.tunnels,
                stations: gateway.stats.stations,
                attached_unix_ms: gateway.attached_unix_ms,
                draining: gateway.draining,
            })
            .collect();
        gateways.sort_by(|a, b| a.name.cmp(&b.name));
        gateways
    }

    fn list_bindings(&self) -> Vec<admin::Binding> {
        self.bindings
            .iter()
            .map(|binding| admin::Binding {
                id: binding.id,
                service: binding.service.to_string(),
                client: binding.client.to_string(),
                radio: binding.radio.to_string(),
                origin: "configuration (standing)".to_owned(),
                ..admin::Binding::default()
            })
            .collect()
    }

    fn stats(&self) -> admin::GetStatsResponse {
        let mut control = self.counters.all();
        control.insert("sessions".to_owned(), self.sessions.len() as u64);
        control.insert("radios".to_owned(), self.radios.len() as u64);
        control.insert("accounting_pending".to_owned(), self.aaa.accounting_pending());
        let gateways = self
            .gateways
            .values()
            .filter(|gateway| !gateway.name.is_empty())
            .map(|gateway| {
                let counters = admin::GatewayCounters { counters: gateway.stats.counters.clone() };
                (gateway.name.clone(), counters)
            })
            .collect();
        admin::GetStatsResponse { control, gateways }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// An operator who went away before the answer is no reason for anything.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}
