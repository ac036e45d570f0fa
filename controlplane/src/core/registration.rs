//! The services of each attached gateway at the matchmaker: registered, kept registered, with their load; and what is reported of their devices.
//!
//! The matchmaker is in this process, or elsewhere. Elsewhere it is spoken to through the gateway, from the socket that its tunnels use: so what
//! opens a NAT for one opens it for the other, and the matchmaker sees where radios have to send.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::Duration,
};

use authenticator::Time;
use dot11::MacAddr;
use matchmaker::Uuid;
use proto::{
    gateway::{self as pb, command},
    matchmaking::{
        Key, PublicKey, StaticSecret,
        check::MAX_ENDPOINTS,
        messages::{self as mm, answer::Answer, failure::Reason, request::Request},
        peer::{self, Output, Peer},
    },
};
use sha2::{Digest, Sha256};

use super::{
    Connection, Core, Message, device, octets, os_entropy, random_u64, sessions::SessionKey, timers::Subject,
};
use crate::{
    config,
    matchmaking::{self, Local, Matchmaking},
};

/// Where services are registered.
pub(crate) enum Matchmaker {
    /// Nowhere: bindings of the configuration introduce.
    None,
    /// In this process.
    Local(Matchmaking),
    /// Elsewhere.
    Remote(Box<Remote>),
}

/// A matchmaker elsewhere, and who we are there.
pub(crate) struct Remote {
    server: String,
    key: PublicKey,
    secret: StaticSecret,
    account: Option<(String, Key)>,
}

/// One gateway at the matchmaker.
#[derive(Default)]
pub(super) struct Registration {
    peer: Option<Box<Peer>>,
    asked: HashMap<u32, Asked>,
    /// Services that the matchmaker has.
    registered: HashSet<Uuid>,
    last_id: u32,
}

/// What an answer is about.
#[derive(Debug)]
pub(super) enum Asked {
    Register(Uuid),
    Load(Uuid),
    /// It has to be there in the end.
    Report(Box<mm::Accounting>),
    Other,
}

/// Registrations are renewed and load is said that often: a third of what the matchmaker gives an instance.
const INTERVAL: Duration = Duration::from_secs(5);
/// An answer that did not come by the next but one time will not.
const MAX_ASKED: usize = 1024;

impl Matchmaker {
    /// As configured.
    pub fn remote(config: &config::Matchmaking, secret: StaticSecret) -> Matchmaker {
        let account = config
            .account
            .as_ref()
            .map(|name| (name.clone(), Key(config.account_key.as_ref().map_or([0; 32], |key| key.0))));
        Matchmaker::Remote(Box::new(Remote {
            server: config.server.clone(),
            key: config.key.0,
            secret,
            account,
        }))
    }

    /// The one of this process.
    pub fn local(&self) -> Option<&Matchmaking> {
        match self {
            Matchmaker::Local(local) => Some(local),
            _ => None,
        }
    }

    /// Whether anybody introduces.
    pub fn is_none(&self) -> bool {
        matches!(self, Matchmaker::None)
    }
}

impl Core {
    /// The gateway's report is complete: its services are open to radios.
    pub(super) fn register_gateway(&mut self, connection: Connection) {
        if self.matchmaker.is_none() {
            return;
        }
        let mut registration = Registration::default();
        if let Matchmaker::Remote(remote) = &self.matchmaker {
            let config = peer::Config {
                secret: remote.secret.clone(),
                matchmaker: remote.key,
                account: remote.account.clone(),
                software: concat!("ttg ", env!("CARGO_PKG_VERSION")).to_owned(),
                instance: random_u64(),
                patience: Duration::from_secs(20),
            };
            registration.peer = Some(Box::new(Peer::new(config, &mut os_entropy)));
        }
        self.registrations.insert(connection, registration);
        self.renew_registrations();
    }

    /// The gateway went.
    pub(super) fn unregister_gateway(&mut self, connection: Connection) {
        let Some(registration) = self.registrations.remove(&connection) else { return };
        self.unanswered(registration.asked.into_values());
        self.timers.set(Subject::Peer(connection), None);
        self.say_gone(connection);
    }

    /// Says again which services there are, and how much they have to do.
    pub(super) fn renew_registrations(&mut self) {
        let now = self.clock.now();
        self.introductions.expire(now);
        let connections: Vec<_> = self.registrations.keys().copied().collect();
        for connection in connections {
            let services: Vec<_> = self.services.keys().copied().collect();
            for uuid in services {
                let known = self
                    .registrations
                    .get(&connection)
                    .is_some_and(|registration| registration.registered.contains(&uuid));
                let (request, asked) = if known {
                    (self.load(connection, uuid), Asked::Load(uuid))
                } else {
                    (self.registration(connection, uuid), Asked::Register(uuid))
                };
                if let Some(request) = request {
                    self.ask(connection, request, asked);
                }
            }
            self.drain_peer(connection);
        }
        self.send_reports();
        self.timers.set(Subject::Matchmaking, Some(now + INTERVAL));
    }

    /// No answer will come.
    fn unanswered(&mut self, asked: impl IntoIterator<Item = Asked>) {
        for asked in asked {
            if let Asked::Report(report) = asked {
                self.reported(*report, None);
            }
        }
    }

    fn registration(&self, connection: Connection, uuid: Uuid) -> Option<Request> {
        let gateway = self.gateways.get(&connection)?;
        let config = &self.services.get(&uuid)?.config;
        let remote = matches!(self.matchmaker, Matchmaker::Remote(_));
        let usable = |text: &&String| {
            // Elsewhere "any address" means nothing; where our datagrams come from is seen there.
            text.parse::<SocketAddr>().is_ok_and(|at| !(remote && at.ip().is_unspecified()))
        };
        Some(Request::RegisterService(mm::RegisterService {
            service: octets(uuid.as_bytes()),
            instance: instance(&gateway.name, uuid).to_vec(),
            ssid: config.ssid.clone(),
            security: match config.security {
                config::Security::Open => mm::Security::Open,
                config::Security::Psk | config::Security::PskSha256 => mm::Security::Personal,
                config::Security::Eap | config::Security::EapSha256 => mm::Security::Enterprise,
            }
            .into(),
            template: device::beacon_elements(config),
            capture_url: String::new(),
            load_permille: self.load_permille(connection),
            endpoints: gateway.listen.iter().filter(usable).take(MAX_ENDPOINTS).cloned().collect(),
            reset: false,
        }))
    }

    fn load(&self, connection: Connection, uuid: Uuid) -> Option<Request> {
        let gateway = self.gateways.get(&connection)?;
        Some(Request::Load(mm::Load {
            service: octets(uuid.as_bytes()),
            instance: instance(&gateway.name, uuid).to_vec(),
            load_permille: self.load_permille(connection),
            sessions: self.online.of(&gateway.name, uuid),
            admissions_per_second: self.admissions_per_second,
            draining: gateway.draining,
        }))
    }

    /// How full the gateway is, in thousandths of the devices it has room for.
    fn load_permille(&self, connection: Connection) -> u32 {
        let stations = self.gateways.get(&connection).map_or(0, |gateway| gateway.stats.stations);
        u32::try_from(stations * 1000 / self.capacity.max(1)).unwrap_or(u32::MAX)
    }

    /// A device failed too often at one of our services.
    pub(super) fn report_failures(&mut self, key: SessionKey, failures: u32) {
        let Some(radio) = self.radios.get(&key.bssid) else { return };
        let Some(connection) = radio.connection else { return };
        let request = Request::AuthenticationFailures(mm::AuthenticationFailures {
            service: octets(radio.tunnel.service.as_bytes()),
            client: octets(&key.mac.0),
            radio: octets(&radio.tunnel.radio.0),
            failures,
        });
        self.ask_surely(connection, request);
    }

    /// A device that came through a wildcard binding proved who it is: it gets a binding of its own, where the service wants that.
    pub(super) fn bind_automatically(&mut self, key: SessionKey) {
        let Some(radio) = self.radios.get(&key.bssid) else { return };
        let (service, connection) = (radio.tunnel.service, radio.connection);
        let wanted = self.services.get(&service).is_some_and(|entry| entry.config.auto_bind);
        if !wanted || self.introductions.is_specific(key) != Some(false) {
            return;
        }
        let Some(connection) = connection else { return };
        let request = Request::AutoBind(mm::AutoBind {
            service: octets(service.as_bytes()),
            client: octets(&key.mac.0),
            radio: Vec::new(),
            cause: mm::auto_bind::Cause::Remote.into(),
        });
        self.ask_surely(connection, request);
    }

    /// Whether it is under way.
    pub(super) fn ask(&mut self, connection: Connection, request: Request, asked: Asked) -> bool {
        let now = self.mm_now();
        let Some(registration) = self.registrations.get_mut(&connection) else { return false };
        let id = match (&self.matchmaker, &mut registration.peer) {
            (Matchmaker::Local(local), _) => {
                registration.last_id = registration.last_id.wrapping_add(1);
                let id = registration.last_id;
                let message = matchmaking::Message::Request { local: Local { connection, id }, request };
                local.messages.try_send(message).is_ok().then_some(id)
            }
            (Matchmaker::Remote(_), Some(peer)) => peer.request(request, now).ok(),
            _ => None,
        };
        let Some(id) = id else {
            self.counters.add("matchmaker_behind", 1);
            return false;
        };
        let forgotten = match registration.asked.len() >= MAX_ASKED {
            true => std::mem::take(&mut registration.asked),
            false => HashMap::new(),
        };
        registration.asked.insert(id, asked);
        self.unanswered(forgotten.into_values());
        true
    }

    /// The matchmaker answers.
    pub(super) fn answered(&mut self, connection: Connection, id: u32, answer: Answer) {
        let Some(registration) = self.registrations.get_mut(&connection) else { return };
        let Some(asked) = registration.asked.remove(&id) else { return };
        let registered = match (&asked, &answer) {
            (Asked::Register(uuid), Answer::Registered(_)) => Some(*uuid),
            _ => None,
        };
        match (asked, answer) {
            (Asked::Report(report), answer) => self.reported(*report, Some(&answer)),
            (Asked::Register(uuid), Answer::Registered(_)) => {
                registration.registered.insert(uuid);
                self.counters.add("services_registered", 1);
                tracing::info!(service = %uuid, "registered with the matchmaker");
            }
            (Asked::Load(uuid), Answer::Failure(failure)) => {
                registration.registered.remove(&uuid);
                if failure.reason() != Reason::NotRegistered {
                    tracing::warn!(service = %uuid, reason = failure.text, "the matchmaker does not take the load of a service");
                }
            }
            (Asked::Register(uuid), Answer::Failure(failure)) => {
                tracing::warn!(service = %uuid, reason = failure.text, "the matchmaker does not register a service");
            }
            (Asked::Other, Answer::Failure(failure)) => {
                tracing::debug!(reason = failure.text, "the matchmaker refuses a report");
            }
            _ => {}
        }
        // One that is to be empty gets no newcomers until the next renewal either.
        if let Some(uuid) = registered
            && self.gateways.get(&connection).is_some_and(|gateway| gateway.draining)
            && let Some(load) = self.load(connection, uuid)
        {
            self.ask(connection, load, Asked::Load(uuid));
        }
    }

    /// A datagram of the matchmaker, from the gateway's socket.
    pub(super) fn matchmaking_datagram(&mut self, connection: Connection, mut datagram: pb::Datagram) {
        let now = self.mm_now();
        let peer = self.registrations.get_mut(&connection).and_then(|r| r.peer.as_mut());
        let (Some(peer), Ok(from)) = (peer, datagram.peer.parse()) else {
            self.counters.add("datagrams_without_matchmaking", 1);
            return;
        };
        peer.datagram(from, &mut datagram.data, now);
        self.drain_peer(connection);
    }

    /// The matchmaker's name has these addresses now; none: it could not be looked up.
    pub(super) fn matchmaker_resolved(&mut self, connection: Connection, addresses: &[SocketAddr]) {
        if let Some(peer) = self.registrations.get_mut(&connection).and_then(|r| r.peer.as_mut()) {
            peer.set_addresses(addresses);
            if addresses.is_empty() {
                self.look_matchmaker_up(connection);
            }
        }
        self.drain_peer(connection);
    }

    /// Does what the conversation with a matchmaker elsewhere demands.
    pub(super) fn drain_peer(&mut self, connection: Connection) {
        let now = self.mm_now();
        loop {
            let Some(peer) = self.registrations.get_mut(&connection).and_then(|r| r.peer.as_mut()) else {
                return;
            };
            let Some(output) = peer.poll_output(now, &mut os_entropy) else { break };
            match output {
                Output::Send { to, datagram } => {
                    let datagram = pb::Datagram { peer: to.to_string(), data: datagram };
                    self.command(connection, command::Command::Datagram(datagram));
                }
                Output::Answered { id, answer: Ok(answer) } => self.answered(connection, id, answer),
                Output::Answered { id, answer: Err(gave_up) } => {
                    tracing::warn!(%gave_up, "the matchmaker does not answer");
                    let registration = self.registrations.get_mut(&connection);
                    let asked = registration.and_then(|registration| registration.asked.remove(&id));
                    self.unanswered(asked);
                }
                Output::Pushed(push) => self.pushed(connection, push),
                Output::Epoch(_) => {
                    if let Some(registration) = self.registrations.get_mut(&connection) {
                        registration.registered.clear();
                    }
                    self.timers.set(Subject::Matchmaking, Some(self.clock.now()));
                }
                Output::LookUpAddresses => self.look_matchmaker_up(connection),
                Output::Report(report) => tracing::info!("{report}"),
            }
        }
        let deadline = self.registrations.get(&connection).and_then(|r| r.peer.as_ref()?.deadline());
        self.timers.set(Subject::Peer(connection), deadline.map(|at| Time::default() + at));
    }

    fn look_matchmaker_up(&self, connection: Connection) {
        let Matchmaker::Remote(remote) = &self.matchmaker else { return };
        let (server, messages) = (remote.server.clone(), self.messages.clone());
        tokio::spawn(async move {
            let addresses: Vec<SocketAddr> = match tokio::net::lookup_host(&server).await {
                Ok(found) => found.collect(),
                Err(error) => {
                    tracing::warn!(server, %error, "cannot look the matchmaker up; trying again");
                    tokio::time::sleep(INTERVAL).await;
                    Vec::new()
                }
            };
            if let Some(messages) = messages.upgrade() {
                let _ = messages.send(Message::MatchmakerResolved { connection, addresses }).await;
            }
        });
    }

    /// Time as the conversation with the matchmaker counts it.
    fn mm_now(&self) -> Duration {
        Duration::from_micros(self.clock.now().0)
    }
}

/// Names a gateway as an instance of a service: the same after a restart.
fn instance(gateway: &str, service: Uuid) -> [u8; 16] {
    let digest = Sha256::new().chain_update(service.as_bytes()).chain_update(gateway).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

/// Whether it is one that a radio may use for itself.
pub(super) fn is_possible_bssid(bssid: MacAddr) -> bool {
    !bssid.is_group() && bssid != MacAddr::ZERO
}
