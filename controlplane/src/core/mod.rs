//! The core: one task that owns every object of the control daemon and handles one message at a time. No lock, no
//! shared state; what waits (RADIUS, disk) runs elsewhere and answers with a message.

mod accounting;
mod device;
mod ended;
mod gateways;
mod introductions;
mod pmks;
mod radios;
mod registration;
mod reports;
mod session_map;
mod sessions;
mod timers;
mod unsent;
mod views;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use authenticator::TerminateCause;
use dot11::MacAddr;
use matchmaker::{Bindings, Uuid};
use proto::{
    admin,
    gateway::{Command, Event, command},
    matchmaking::messages::{answer, push},
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    Sessions, StartError,
    aaa::{Aaa, AaaAnswer},
    clock::Clock,
    config::{self, Config},
    matchmaking::presence,
};

use self::{
    gateways::GatewayEntry,
    radios::Bss,
    timers::{Subject, Timers},
};

pub(crate) use self::registration::Matchmaker;
pub use self::sessions::SessionKey;

/// Names one attachment of a gateway; a gateway that attaches again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection(u64);

impl Connection {
    /// A name that no other connection has.
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Connection(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What reaches the core.
pub(crate) enum Message {
    Attached {
        connection: Connection,
        commands: mpsc::Sender<Vec<Command>>,
    },
    Events {
        connection: Connection,
        events: Vec<Event>,
    },
    Detached {
        connection: Connection,
    },
    Aaa(AaaAnswer),
    Matchmaking {
        connection: Connection,
        said: Said,
    },
    /// All gateways that are to be empty, as it is on record.
    Drained(BTreeSet<String>),
    /// Of what processes share.
    Presence(presence::ForCore),
    MatchmakerResolved {
        connection: Connection,
        addresses: Vec<std::net::SocketAddr>,
    },
    Query(Query),
    Shutdown {
        done: oneshot::Sender<()>,
        sessions: Sessions,
    },
}

/// What the matchmaker of this process says to the services of a gateway.
#[derive(Debug)]
pub(crate) enum Said {
    Answer(u32, answer::Answer),
    Push(push::Push),
}

/// What operators ask; each carries where the answer goes.
#[allow(missing_docs)]
pub enum Query {
    /// Up to so many by BSSID and device, behind one; the last that was looked at, if there may be more.
    Sessions {
        of: SessionsOf,
        after: Option<SessionKey>,
        most: usize,
        reply: oneshot::Sender<SessionsPart>,
    },
    /// Up to so many by radio and BSSID, behind one; whether there are more.
    Radios {
        after: Option<(MacAddr, MacAddr)>,
        most: usize,
        reply: oneshot::Sender<(Vec<admin::Radio>, bool)>,
    },
    Radio {
        bssid: MacAddr,
        reply: oneshot::Sender<Option<admin::Radio>>,
    },
    WatchRadios(oneshot::Sender<broadcast::Receiver<MacAddr>>),
    Services(oneshot::Sender<Vec<admin::Service>>),
    Gateways(oneshot::Sender<Vec<admin::Gateway>>),
    Bindings(oneshot::Sender<Vec<admin::Binding>>),
    Stats(oneshot::Sender<admin::GetStatsResponse>),
    Watch(oneshot::Sender<broadcast::Receiver<admin::SessionChange>>),
    Disconnect {
        client: MacAddr,
        reason: u16,
        reply: oneshot::Sender<u32>,
    },
    RekeyClient {
        client: MacAddr,
        reply: oneshot::Sender<u32>,
    },
    RekeyService {
        service: Uuid,
        reply: oneshot::Sender<u32>,
    },
    Drain {
        gateway: String,
        drain: bool,
        reply: oneshot::Sender<Drained>,
    },
}

/// Which sessions are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionsOf {
    /// Only of this device.
    pub client: Option<MacAddr>,
    /// Only of this service.
    pub service: Option<Uuid>,
}

/// Some sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionsPart {
    /// Those that are meant.
    pub sessions: Vec<admin::Session>,
    /// The last that was looked at, if there may be more behind it.
    pub more: Option<SessionKey>,
}

/// What became of a wish to drain a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drained {
    /// It is as wanted; whether it was not before.
    Done {
        /// It was not.
        changed: bool,
        /// All that are to be empty now.
        all: BTreeSet<String>,
    },
    /// No such gateway is attached.
    NoGateway,
    /// Nobody who could send newcomers elsewhere.
    NoMatchmaker,
}

/// A configured service, ready for its authenticators.
struct ServiceEntry {
    config: config::Service,
    authenticator: Arc<authenticator::Service>,
    failures: authenticator::FailureTable,
    pmks: authenticator::PmkCache,
}

/// Owns everything; see the module's own line.
pub(crate) struct Core {
    clock: Clock,
    epoch: u64,
    aaa: Aaa,
    services: HashMap<Uuid, ServiceEntry>,
    bindings: Bindings,
    gateways: HashMap<Connection, GatewayEntry>,
    /// Gateways that an operator wants empty, by name: also when they attach again.
    draining: BTreeSet<String>,
    /// Gateways that went away with live sessions, and when control stops waiting for them.
    lost: Vec<gateways::LostGateway>,
    radios: HashMap<MacAddr, Bss>,
    sessions: session_map::SessionMap,
    stops: HashMap<SessionKey, accounting::PendingStop>,
    timers: Timers,
    changes: broadcast::Sender<admin::SessionChange>,
    /// Virtual BSSes that changed.
    touched: broadcast::Sender<MacAddr>,
    next_command: u64,
    /// For tasks that answer later.
    messages: mpsc::WeakSender<Message>,
    matchmaker: registration::Matchmaker,
    registrations: HashMap<Connection, registration::Registration>,
    introductions: introductions::Introductions,
    unsent: unsent::ForMatchmaker,
    reports: reports::Reports,
    online: reports::Online,
    capacity: u64,
    admissions_per_second: u32,
    counters: crate::metrics::Counters,
}

impl Core {
    pub async fn new(
        config: Arc<Config>,
        messages: mpsc::WeakSender<Message>,
        matchmaker: registration::Matchmaker,
        draining: BTreeSet<String>,
    ) -> Result<Self, StartError> {
        let aaa = Aaa::start(&config, messages.clone()).await?;
        let mut services = HashMap::new();
        for service in &config.services {
            let mut entry = ServiceEntry {
                authenticator: Arc::new(device::authenticator_service(service)),
                failures: device::failure_table(service),
                pmks: authenticator::PmkCache::new(device::PMK_CACHE),
                config: service.clone(),
            };
            if config.presence.is_some() && service.security.is_eap() {
                entry.pmks.watch();
            }
            services.insert(service.uuid, entry);
        }
        let mut bindings = Bindings::default();
        for binding in config.bindings.iter().filter(|binding| config.is_standing(binding)) {
            // Saying the same twice in a file is as harmless as elsewhere.
            let _ = bindings.add(binding.service, binding.client, binding.radio);
        }
        let clock = Clock::new();
        let mut timers = Timers::default();
        timers.set(Subject::Orphans, Some(clock.now() + gateways::ADOPTION));
        Ok(Core {
            clock,
            epoch: random_u64(),
            aaa,
            services,
            bindings,
            gateways: HashMap::new(),
            draining,
            lost: Vec::new(),
            radios: HashMap::new(),
            sessions: session_map::SessionMap::default(),
            stops: HashMap::new(),
            timers,
            changes: broadcast::channel(4096).0,
            touched: broadcast::channel(4096).0,
            next_command: 0,
            messages,
            matchmaker,
            registrations: HashMap::new(),
            introductions: introductions::Introductions::default(),
            unsent: unsent::ForMatchmaker::default(),
            reports: reports::Reports::default(),
            online: reports::Online::default(),
            capacity: config.capacity,
            admissions_per_second: config.admissions_per_second,
            counters: crate::metrics::Counters::default(),
        })
    }

    /// Handles messages and timers until every handle is gone or shutdown is asked for.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        loop {
            let wake = self.timers.next().map(|time| self.clock.instant(time));
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Shutdown { done, sessions }) => return self.end(done, sessions).await,
                    Some(message) => self.handle(message),
                    None => return,
                },
                () = sleep_until(wake) => self.run_timers(),
            }
            // One batch per pass: everything that is waiting is handled before anything is sent.
            while let Ok(message) = inbox.try_recv() {
                if let Message::Shutdown { done, sessions } = message {
                    return self.end(done, sessions).await;
                }
                self.handle(message);
            }
            self.flush();
        }
    }

    /// What has ended is on record.
    async fn end(mut self, done: oneshot::Sender<()>, sessions: Sessions) {
        if sessions == Sessions::End {
            let bssids: Vec<_> = self.radios.keys().copied().collect();
            for bssid in bssids {
                self.close_radio(bssid, TerminateCause::AdminReset, "the gateway stops");
            }
        }
        self.finish_stops();
        self.flush();
        self.aaa.flush().await;
        let _ = done.send(());
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Attached { connection, commands } => self.attached(connection, commands),
            Message::Events { connection, events } => {
                for event in events {
                    self.gateway_event(connection, event);
                }
            }
            Message::Detached { connection } => self.detached(connection),
            Message::Aaa(answer) => self.aaa_answer(answer),
            Message::Matchmaking { connection, said: Said::Answer(id, answer) } => {
                self.answered(connection, id, answer);
            }
            Message::Matchmaking { connection, said: Said::Push(push) } => self.pushed(connection, push),
            Message::Drained(all) => self.drained(all),
            Message::Presence(said) => self.presence(said),
            Message::MatchmakerResolved { connection, addresses } => {
                self.matchmaker_resolved(connection, &addresses);
            }
            Message::Query(query) => self.query(query),
            Message::Shutdown { .. } => unreachable!("handled by run"),
        }
    }

    /// Queues a command for the gateway; it leaves with the next flush.
    fn command(&mut self, connection: Connection, command: command::Command) -> u64 {
        self.next_command += 1;
        let id = self.next_command;
        if let Some(gateway) = self.gateways.get_mut(&connection) {
            gateway.queue.push(Command { id, command: Some(command) });
        }
        id
    }

    /// Sends what has been queued. A gateway that does not keep up for a whole link's depth is cut off and will
    /// attach again, reporting what it has.
    fn flush(&mut self) {
        let mut dead = Vec::new();
        for (&connection, gateway) in &mut self.gateways {
            if !gateway.queue.is_empty() && !gateway.send() {
                dead.push(connection);
            }
        }
        for connection in dead {
            self.detached(connection);
        }
    }
}

async fn sleep_until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// From the operating system.
fn random_u64() -> u64 {
    getrandom::u64().expect("the operating system has entropy")
}

/// Fills from the operating system: the entropy of every state machine.
fn os_entropy(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system has entropy");
}

/// An address from the wire.
fn mac(octets: &[u8]) -> Option<MacAddr> {
    octets.try_into().ok().map(MacAddr)
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}
