//! Runs the desk: socket, channel, clock, and whoever makes things durable.

use std::{
    net::SocketAddr,
    sync::Weak,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use matchmaker::{Change, Settings};
use proto::matchmaking::{
    PublicKey,
    messages::request::Request,
    server::{self, TicketKeys},
};
use records::{Committed, Draft, Records, RecordsError, Report, Version};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};

use super::{
    desk::{Desk, Local, Output},
    keys::{self, KeysError},
    metrics,
    presence::{self, Presence, PresenceError, Shared},
    socket::{self, Burst},
};
use crate::{
    config,
    core::{self, Connection},
};

/// What reaches the matchmaker from within the process.
#[derive(Debug)]
pub(crate) enum Message {
    /// An instance of this process asks.
    Request { local: Local, request: Request },
    /// Its gateway is gone.
    Gone(Connection),
    /// What was to become durable is, and this is how it reads now; or why it is not.
    Committed { number: u64, result: Result<Committed, NotDurable> },
    /// What was to be put on record is; or why it is not.
    Accounted { number: u64, result: Result<(), String> },
    /// Somebody committed this.
    Changed { version: Version, changes: Vec<Change> },
    /// Another process says something, or what processes share is there.
    Shared(Shared),
    /// An administrator asks.
    Ask(Question),
}

/// Why something did not become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotDurable {
    /// In words for whoever wanted it.
    pub text: String,
    /// An object is not as it was seen to be when this was planned: somebody else was first. Who knows all commits up to this
    /// version knows what it is like.
    pub changed: Option<Version>,
    /// Whether it is any use to ask again.
    pub fault: Fault,
}

/// What is at fault if something does not become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The store, or the way there, for now.
    Store,
    /// The store, until somebody mends it.
    Broken,
    /// What was asked: nobody could do it.
    Request,
    /// What was asked: another object says so.
    Duplicate,
    /// Nobody: others were first.
    Others,
}

/// What an administrator asks: done with the desk between two datagrams, so it must not take long.
pub(crate) struct Question(Ask);

type Ask = Box<dyn FnOnce(&mut Desk, Duration) + Send>;

impl Question {
    pub fn new(ask: impl FnOnce(&mut Desk, Duration) + Send + 'static) -> Question {
        Question(Box::new(ask))
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question")
    }
}

/// A handle on the running matchmaker.
#[derive(Clone)]
pub(crate) struct Matchmaking {
    pub messages: mpsc::Sender<Message>,
    /// What is shared with other processes, if anything is.
    pub presence: Option<Presence>,
    /// What radios and gateways must know it by.
    pub public: PublicKey,
    /// Where they send to.
    pub listen: SocketAddr,
    /// What is durable. They close with the task that writes.
    pub records: Weak<dyn Records>,
}

impl Matchmaking {
    /// Asks the desk. `None`: it has ended.
    pub async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Desk, Duration) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let question = move |desk: &mut Desk, now| drop(reply.send(ask(desk, now)));
        self.messages.send(Message::Ask(Question::new(question))).await.ok()?;
        answer.await.ok()
    }

    /// Makes something durable. `None`: the desk has ended. That an object has changed meanwhile is answered when the desk knows how, so
    /// that it can be asked again.
    pub async fn commit(&self, drafts: Vec<Draft>) -> Option<Result<Committed, NotDurable>> {
        let (reply, answer) = oneshot::channel();
        self.ask(move |desk, _| desk.administer(drafts, reply)).await?;
        answer.await.ok()
    }
}

/// The matchmaker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MatchmakingError {
    /// No key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Presence cannot be shared.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// No socket.
    #[error(
        "cannot listen on {listen} for radios and gateways (UDP): {error}. `ss -lnup` tells who has the port; change `listen` of [matchmaker]."
    )]
    Socket {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

/// What is to become durable, together with others. [`Message::Committed`] or [`Message::Accounted`] comes back, in the order in which it went.
pub(crate) enum Job {
    /// Objects.
    Commit { number: u64, drafts: Vec<Draft> },
    /// A session.
    Account { number: u64, report: Box<Report> },
}

/// How long a ticket lasts: a radio makes a handshake that seldom.
const TICKET_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// What is over is forgotten that often.
const TICK: Duration = Duration::from_secs(1);

/// Starts the matchmaker. `records`: all that is durable, as it was read.
pub(crate) async fn start(
    config: &config::Config,
    here: &config::Matchmaker,
    settings: Settings,
    records: (Version, Vec<Change>),
    store: Weak<dyn Records>,
    jobs: mpsc::UnboundedSender<Job>,
    core: mpsc::WeakSender<core::Message>,
) -> Result<Matchmaking, MatchmakingError> {
    let keys = keys::load_or_make(&here.key_file(&config.state))?;
    let listen = here.listen;
    let socket = socket::bind(listen).await.map_err(|error| MatchmakingError::Socket { listen, error })?;
    let listen = socket.local_addr().map_err(|error| MatchmakingError::Socket { listen, error })?;
    let mut epoch = [0; 8];
    getrandom::fill(&mut epoch).expect("the operating system has entropy");
    let public = keys.secret.public();
    let (messages, inbox) = mpsc::channel(1024);
    let start = |config| presence::start(config, &keys, messages.downgrade(), core.clone());
    let presence = config.presence.as_ref().map(start).transpose()?;
    let server = server::Config {
        secret: keys.secret,
        tickets: TicketKeys::new(&keys.ticket, None),
        ticket_lifetime: TICKET_LIFETIME,
        epoch: u64::from_be_bytes(epoch),
        limits: server::Limits { windows: here.peers as usize, ..server::Limits::default() },
    };
    let mut desk = Desk::new(server, settings, here.account.clone(), now());
    for service in config.services.iter().filter(|service| service.policy != config::Policy::default()) {
        desk.matchmaker.configure_policy(service.uuid, service.policy.into());
    }
    records.1.iter().for_each(|change| desk.apply(change));
    desk.loaded(records.0);
    if presence.is_some() {
        desk.begin_sharing();
    }
    tokio::spawn(run(desk, socket, inbox, jobs, core, presence.clone()));
    Ok(Matchmaking { messages, presence, public, listen, records: store })
}

/// Until every handle is gone.
pub(super) async fn run(
    mut desk: Desk,
    socket: UdpSocket,
    mut inbox: mpsc::Receiver<Message>,
    jobs: mpsc::UnboundedSender<Job>,
    core: mpsc::WeakSender<core::Message>,
    presence: Option<Presence>,
) {
    let mut burst = Burst::new();
    let mut told = metrics::Told::default();
    let mut drained = desk.matchmaker.drained().clone();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = desk.deadline().map(|due| Instant::now() + due.saturating_sub(now()));
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => take(&mut desk, message),
                None => return,
            },
            readable = socket.readable() => if readable.is_ok() {
                burst.receive(&socket);
                desk.datagrams(burst.datagrams(), now());
            },
            () = due => desk.due(now()),
            _ = tick.tick() => {
                desk.tick(now());
                metrics::tell(&desk, &mut told, now());
            }
        }
        if drained != *desk.matchmaker.drained() {
            drained = desk.matchmaker.drained().clone();
            tell(&core, core::Message::Drained(drained.clone())).await;
        }
        while let Some(output) = desk.poll_output() {
            match (output, &presence) {
                (Output::Share(share), Some(presence)) => presence.say(share),
                (Output::Send(to, datagram), _) => {
                    socket::send(&socket, to, &datagram);
                    desk.sent(datagram);
                }
                (output, _) => act(output, &jobs, &core).await,
            }
        }
    }
}

fn take(desk: &mut Desk, message: Message) {
    match message {
        Message::Request { local, request } => desk.local(local, request, now()),
        Message::Gone(connection) => desk.local_gone(connection),
        Message::Committed { number, result } => desk.committed(number, result, now()),
        Message::Accounted { number, result } => desk.accounted(number, result),
        Message::Changed { version, changes } => desk.step(version, &changes),
        Message::Shared(shared) => desk.shared(shared, now()),
        Message::Ask(Question(ask)) => ask(desk, now()),
    }
    desk.plan_again(now());
}

async fn act(output: Output, jobs: &mpsc::UnboundedSender<Job>, core: &mpsc::WeakSender<core::Message>) {
    match output {
        Output::Answer { to, answer } => {
            let message = core::Message::Matchmaking {
                connection: to.connection,
                said: core::Said::Answer(to.id, answer),
            };
            tell(core, message).await;
        }
        Output::Push { to, push } => {
            tell(core, core::Message::Matchmaking { connection: to, said: core::Said::Push(push) }).await;
        }
        // Its reader lives as long as this task.
        Output::Commit { number, drafts } => drop(jobs.send(Job::Commit { number, drafts })),
        Output::Account { number, report } => drop(jobs.send(Job::Account { number, report })),
        // Sent already, or there is nobody to share with.
        Output::Send(..) | Output::Share(_) => {}
    }
}

async fn tell(core: &mpsc::WeakSender<core::Message>, message: core::Message) {
    if let Some(core) = core.upgrade() {
        let _ = core.send(message).await;
    }
}

/// Wall time: tickets of several matchmakers are good until the same moment.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
