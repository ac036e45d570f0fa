//! Attached gateways: coming, going, and adopting what they have when they come (back).
//!
//! What a gateway reports is the truth. A control process that was restarted knows nothing else; one that only lost
//! the stream throws its own picture away, since commands may have been lost with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use authenticator::{TerminateCause, Time};
use matchmaker::Uuid;
use prost::Message as _;
use proto::gateway::{self as pb, Command, Event, command, event};
use tokio::sync::mpsc;

use super::{Connection, Core, Drained, octets, timers::Subject};
use crate::clock::unix_ms;

/// One attachment.
pub(super) struct GatewayEntry {
    commands: mpsc::Sender<Vec<Command>>,
    /// Waits for the next flush.
    pub queue: Vec<Command>,
    pub name: String,
    pub epoch: u64,
    pub version: String,
    pub listen: Vec<String>,
    pub attached_unix_ms: i64,
    pub stats: pb::GatewayStats,
    /// Its report is complete: commands may flow.
    synced: bool,
    /// An operator wants it empty: no newcomers.
    pub draining: bool,
}

/// A gateway that went away; its sessions go on there, if it lives.
pub(super) struct LostGateway {
    pub name: String,
    deadline: Time,
}

/// So long a gateway's sessions are taken to go on without us.
pub(super) const ADOPTION: Duration = Duration::from_secs(60);
/// Octets of commands in one message, far below what a gateway takes.
const BATCH: usize = 1 << 20;
/// Totals of every station this often.
const COUNTERS_INTERVAL_SECONDS: u32 = 5;

impl GatewayEntry {
    /// False: the gateway does not keep up, or is gone.
    pub fn send(&mut self) -> bool {
        if !self.synced {
            return true;
        }
        let mut queue = std::mem::take(&mut self.queue).into_iter().peekable();
        while queue.peek().is_some() {
            let mut octets = 0;
            let mut batch = Vec::new();
            while let Some(command) =
                queue.next_if(|command| octets == 0 || octets + command.encoded_len() <= BATCH)
            {
                octets += command.encoded_len();
                batch.push(command);
            }
            if self.commands.try_send(batch).is_err() {
                return false;
            }
        }
        true
    }
}

impl Core {
    pub(super) fn attached(&mut self, connection: Connection, commands: mpsc::Sender<Vec<Command>>) {
        let entry = GatewayEntry {
            commands,
            queue: Vec::new(),
            name: String::new(),
            epoch: 0,
            version: String::new(),
            listen: Vec::new(),
            attached_unix_ms: unix_ms(self.clock.now()),
            stats: pb::GatewayStats { counters: BTreeMap::new(), tunnels: 0, stations: 0 },
            synced: false,
            draining: false,
        };
        self.gateways.insert(connection, entry);
    }

    pub(super) fn detached(&mut self, connection: Connection) {
        let Some(gateway) = self.gateways.remove(&connection) else { return };
        self.unregister_gateway(connection);
        if gateway.name.is_empty() {
            return;
        }
        tracing::warn!(gateway = gateway.name, "gateway detached; its sessions go on without control");
        self.counters.add("gateway_detached", 1);
        for radio in self.radios.values_mut().filter(|radio| radio.connection == Some(connection)) {
            radio.connection = None;
        }
        self.lost.push(LostGateway { name: gateway.name, deadline: self.clock.now() + ADOPTION });
        self.arm_lost();
    }

    pub(super) fn gateway_event(&mut self, connection: Connection, event: Event) {
        let Some(event) = event.event else {
            self.counters.add("gateway_events_unknown", 1);
            return;
        };
        if !self
            .gateways
            .get(&connection)
            .is_some_and(|g| matches!(event, event::Event::Hello(_)) || !g.name.is_empty())
        {
            self.counters.add("gateway_events_before_hello", 1);
            return;
        }
        // Before its report is complete, what a gateway's devices do would be taken for the deeds of strangers. All of it is
        // repeated.
        let synced = self.gateways.get(&connection).is_some_and(|gateway| gateway.synced);
        let early = matches!(
            event,
            event::Event::Frame(_)
                | event::Event::TunnelRequest(_)
                | event::Event::StationIdle(_)
                | event::Event::StationAddress(_)
                | event::Event::Datagram(_)
        );
        if early && !synced {
            self.counters.add("gateway_events_before_synced", 1);
            return;
        }
        match event {
            event::Event::Hello(hello) => self.hello(connection, hello),
            event::Event::TunnelReport(report) => self.tunnel_report(connection, report),
            event::Event::StationReport(report) => self.station_report(connection, report),
            event::Event::Synced(_) => self.synced(connection),
            event::Event::TunnelRequest(request) => self.tunnel_request(connection, request),
            event::Event::TunnelDown(down) => self.tunnel_down(connection, &down),
            event::Event::Frame(frame) => self.frame(frame),
            event::Event::StationIdle(idle) => self.station_idle(&idle),
            event::Event::StationAddress(address) => self.station_address(&address),
            event::Event::Counters(counters) => self.station_counters(&counters),
            event::Event::CommandFailed(failed) => {
                self.counters.add("gateway_commands_failed", 1);
                tracing::debug!(
                    command = failed.command,
                    reason = failed.reason,
                    "gateway refused a command"
                );
            }
            event::Event::GatewayStats(stats) => {
                if let Some(gateway) = self.gateways.get_mut(&connection) {
                    gateway.stats = stats;
                }
            }
            event::Event::Datagram(datagram) => self.matchmaking_datagram(connection, datagram),
            event::Event::DecryptFailures(failures) => self.decrypt_failures(&failures),
        }
    }

    fn hello(&mut self, connection: Connection, hello: pb::Hello) {
        if hello.gateway.is_empty() {
            tracing::warn!("a gateway without a name was turned away");
            self.gateways.remove(&connection);
            return;
        }
        let older = self.gateways.iter().find(|(c, g)| **c != connection && g.name == hello.gateway);
        if let Some((&older, entry)) = older {
            if entry.epoch != hello.epoch {
                tracing::warn!(gateway = hello.gateway, "a second gateway of this name replaces the first");
            }
            self.detached(older);
        }
        let Some(gateway) = self.gateways.get_mut(&connection) else { return };
        tracing::info!(gateway = hello.gateway, version = hello.version, "gateway attached");
        gateway.draining = self.draining.contains(&hello.gateway);
        gateway.name = hello.gateway;
        gateway.epoch = hello.epoch;
        gateway.version = hello.version;
        gateway.listen = hello.listen;
        let welcome = pb::Welcome {
            control_epoch: self.epoch,
            services: self.services.iter().map(|(uuid, entry)| service(uuid, &entry.config)).collect(),
            counters_interval_seconds: COUNTERS_INTERVAL_SECONDS,
        };
        // Before Synced nothing but this may be sent, so it does not wait in the queue.
        let welcome = Command { id: 0, command: Some(command::Command::Welcome(welcome)) };
        let _ = gateway.commands.try_send(vec![welcome]);
        let name = gateway.name.clone();
        for radio in self.radios.values_mut().filter(|radio| radio.gateway == name) {
            radio.unconfirmed = true;
        }
        self.doubt_sessions_of(&name);
        self.lost.retain(|lost| lost.name != name);
        self.arm_lost();
    }

    fn synced(&mut self, connection: Connection) {
        let Some(gateway) = self.gateways.get_mut(&connection) else { return };
        gateway.synced = true;
        let name = gateway.name.clone();
        let stale: Vec<_> = self
            .radios
            .iter()
            .filter(|(_, radio)| radio.gateway == name && radio.unconfirmed)
            .map(|(&bssid, _)| bssid)
            .collect();
        for bssid in stale {
            self.close_radio(bssid, TerminateCause::LostCarrier, "the gateway no longer has it");
        }
        self.close_doubtful_sessions_of(&name);
        // Devices that were adopted with an old group key are offered the new one.
        let bssids: Vec<_> =
            self.radios.iter().filter(|(_, radio)| radio.gateway == name).map(|(&bssid, _)| bssid).collect();
        for bssid in bssids {
            self.drain_radio(bssid);
        }
        self.register_gateway(connection);
        tracing::info!(gateway = name, sessions = self.sessions.len(), "gateway's sessions adopted");
    }

    /// Sessions of gateways that did not come back in time have ended.
    pub(super) fn give_up_lost_gateways(&mut self) {
        let now = self.clock.now();
        let (gone, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.lost).into_iter().partition(|lost| lost.deadline <= now);
        self.lost = waiting;
        for lost in gone {
            let radios: Vec<_> = self
                .radios
                .iter()
                .filter(|(_, radio)| radio.gateway == lost.name && radio.connection.is_none())
                .map(|(&bssid, _)| bssid)
                .collect();
            for bssid in radios {
                self.close_radio(bssid, TerminateCause::LostCarrier, "its gateway did not come back");
            }
        }
        self.arm_lost();
    }

    /// An operator wants the gateway empty, or not any more.
    pub(super) fn drain(&mut self, name: &str, drain: bool) -> Drained {
        if self.matchmaker.is_none() {
            return Drained::NoMatchmaker;
        }
        let attached = self.gateways.values_mut().find(|gateway| gateway.name == name);
        // One that went away while it was to be empty can be let take newcomers when it is back.
        if attached.is_none() && (drain || !self.draining.contains(name)) {
            return Drained::NoGateway;
        }
        let changed = if drain { self.draining.insert(name.to_owned()) } else { self.draining.remove(name) };
        if let Some(gateway) = attached {
            gateway.draining = drain;
        }
        if changed {
            // The matchmaker hears it now, not with the next renewal.
            self.renew_registrations();
        }
        Drained::Done { changed, all: self.draining.clone() }
    }

    /// Somebody wants these gateways empty, perhaps at another process.
    pub(super) fn drained(&mut self, all: BTreeSet<String>) {
        self.draining = all;
        let mut changed = false;
        for gateway in self.gateways.values_mut() {
            let draining = self.draining.contains(&gateway.name);
            changed |= std::mem::replace(&mut gateway.draining, draining) != draining;
        }
        if changed {
            self.renew_registrations();
        }
    }

    fn arm_lost(&mut self) {
        self.timers.set(Subject::LostGateways, self.lost.iter().map(|lost| lost.deadline).min());
    }
}

fn service(uuid: &Uuid, config: &crate::config::Service) -> pb::Service {
    pb::Service {
        uuid: octets(uuid.as_bytes()),
        ssid: config.ssid.clone(),
        vlan: config.vlan.into(),
        isolate: config.isolate,
        group_to_unicast: config.group_to_unicast,
        proxy_arp: config.proxy_arp,
        idle_seconds: config.idle_seconds,
    }
}
