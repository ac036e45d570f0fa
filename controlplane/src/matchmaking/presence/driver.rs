//! The task between this process and the store: writes what others must know, tells them, listens to them, and heals what was lost.

mod incoming;
mod outgoing;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use authenticator::CachedPmk;
use dot11::MacAddr;
use matchmaker::{Uuid, presence::InstanceId, shared::SharedInstance};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Counters, ForCore, ProcessId, Share, Shared,
    seal::Sealer,
    store::{Connection, Found, Messages, Op, Store, StoreError},
};
use crate::{core, matchmaking::run::Message};

/// A process says that often that it is there.
const BEAT: Duration = Duration::from_secs(2);
/// One that was silent for so many beats is not.
const SILENT: u32 = 3;
/// And after so many it is forgotten.
const FORGOTTEN: u32 = 15;
/// Refusals are read that often, in beats, and more often in the beginning: what nobody told us of.
const REFUSALS_EVERY: u64 = 15;
/// What is not acknowledged is looked at that often.
const AGAIN: Duration = Duration::from_millis(250);
/// Between attempts to connect.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// An attempt that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
/// Operations at a time.
const ROUND: usize = 256;
/// Pushes that wait to be acknowledged.
const MAX_WAITING: usize = 4096;
/// PMKs that this process revoked and remembers.
const MAX_REVOKED: usize = 4096;
/// Pushes remembered, so that none is heeded twice.
const MAX_SEEN: usize = 8192;

const KEY: &str = "ttg:1:key";
const PROCESSES: &str = "ttg:1:processes";
const REFUSED: &str = "ttg:1:refused";
const ALL: &str = "ttg:1:all";
const PMK: &[u8] = b"pmk";
const GONE: &[u8] = b"gone";

/// What follows from an operation.
enum Then {
    Nothing,
    Processes,
    Instances {
        process: ProcessId,
    },
    Tunnels {
        radio: MacAddr,
    },
    Refusals,
    RefusalsThere,
    InstancesThere,
    Pmk {
        service: Uuid,
        client: MacAddr,
    },
    /// One of ours: it is written, unless it was revoked.
    OwnPmk {
        service: Uuid,
        client: MacAddr,
        entry: Box<CachedPmk>,
    },
    PmkGone(Revoked),
}

/// PMKs of a client that were made until then are good no longer.
#[derive(Clone, Copy)]
struct Revoked {
    service: Uuid,
    client: MacAddr,
    at: Duration,
}

/// Another process.
struct Other {
    beat: u64,
    /// Beats of ours since its last one.
    silent: u32,
    /// Its instances are known as of this change; `None`: not, or not all.
    revision: Option<u64>,
}

/// A push that is not acknowledged.
struct Waiting {
    number: u64,
    to: ProcessId,
    which: (Uuid, InstanceId),
    push: Vec<u8>,
    since: Instant,
    next: Instant,
    pause: Duration,
}

/// See the module.
pub(super) struct Driver<S> {
    store: S,
    sealer: Sealer,
    id: ProcessId,
    inbox: mpsc::Receiver<Share>,
    desk: mpsc::WeakSender<Message>,
    core: mpsc::WeakSender<core::Message>,
    counters: Arc<Counters>,
    /// Instances of this process.
    own: HashMap<(Uuid, InstanceId), SharedInstance>,
    revision: u64,
    beat: u64,
    /// Beats since the store is there.
    greeted: u32,
    others: HashMap<ProcessId, Other>,
    waiting: VecDeque<Waiting>,
    /// There were refusals at the last beat.
    refusals_there: bool,
    /// What this process revoked: the store may be away, or forget it.
    revoked: VecDeque<Revoked>,
    last_number: u64,
    seen: HashSet<(ProcessId, u64)>,
    seen_order: VecDeque<(ProcessId, u64)>,
    acknowledge: HashMap<ProcessId, Vec<u64>>,
    ops: Vec<(Op, Then)>,
    /// What may wait.
    backlog: VecDeque<(Op, Then)>,
    /// When something of ours last came back.
    heard: Instant,
    in_trouble: bool,
}

/// Nobody is there any more to work for.
struct Over;

impl<S: Store> Driver<S> {
    pub fn new(
        store: S,
        sealer: Sealer,
        inbox: mpsc::Receiver<Share>,
        desk: mpsc::WeakSender<Message>,
        core: mpsc::WeakSender<core::Message>,
        counters: Arc<Counters>,
    ) -> Driver<S> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).expect("the operating system has entropy");
        Driver {
            store,
            sealer,
            id: ProcessId(id),
            inbox,
            desk,
            core,
            counters,
            own: HashMap::new(),
            revision: 0,
            beat: 0,
            greeted: 0,
            others: HashMap::new(),
            waiting: VecDeque::new(),
            refusals_there: false,
            revoked: VecDeque::new(),
            last_number: 0,
            seen: HashSet::new(),
            seen_order: VecDeque::new(),
            acknowledge: HashMap::new(),
            ops: Vec::new(),
            backlog: VecDeque::new(),
            heard: Instant::now(),
            in_trouble: false,
        }
    }

    /// Until nobody needs it any more.
    pub async fn run(mut self) {
        loop {
            let Ok((connection, messages)) = self.connect().await else { return };
            match self.serve(&connection, messages).await {
                Ok(Over) => return,
                Err(error) => self.trouble(&error),
            }
        }
    }

    async fn connect(&mut self) -> Result<(S::Connection, Messages), Over> {
        let mut pause = WAIT.0;
        loop {
            let store = self.store.clone();
            let channels = vec![ALL.to_owned(), channel(self.id)];
            let attempt = async move {
                let connecting = timeout(PATIENCE, store.connect(channels)).await;
                connecting.unwrap_or_else(|_| Err(StoreError("it does not answer".to_owned())))
            };
            let result = self.meanwhile(attempt).await?;
            let result = match result {
                Ok((connection, messages)) => match self.begin(&connection).await {
                    Ok(()) => Ok((connection, messages)),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match result {
                Ok(found) => return Ok(found),
                Err(error) => self.trouble(&error),
            }
            self.meanwhile(sleep(pause)).await?;
            pause = (pause * 2).min(WAIT.1);
        }
    }

    /// Waits for something while the store is away; who asks hears that nothing is known.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Over> {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Ok(done),
                share = self.inbox.recv() => match share {
                    Some(share) => self.while_away(share),
                    None => return Err(Over),
                },
            }
        }
    }

    /// Whether the store is ours, and what it has to know first.
    async fn begin(&mut self, connection: &S::Connection) -> Result<(), StoreError> {
        let fingerprint = self.sealer.fingerprint.to_vec();
        let key = || KEY.to_owned();
        let put = Op::PutAbsent { key: key(), value: fingerprint.clone(), ttl: 15 * BEAT };
        let found =
            connection.run(vec![put, Op::Get { key: key() }, Op::Delete { key: instances_key(self.id) }]);
        if found.await?.get(1) != Some(&Found::Value(fingerprint)) {
            self.counters.other_key.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError(
                "ANOTHER MATCHMAKER'S KEY IS IN USE THERE, so this process shares nothing: radios and gateways of one name must find one key. \
                 Copy the file `matchmaker.key` from a process that shares already (or have `key_file` of [matchmaker] name that file), \
                 or use a Redis of its own"
                    .to_owned(),
            ));
        }
        // They may be there still: they have some beats to say so. What they said meanwhile is read again.
        self.others.values_mut().for_each(|other| (other.silent, other.revision) = (0, None));
        (self.heard, self.greeted) = (Instant::now(), 0);
        self.counters.connected.fetch_add(1, Ordering::Relaxed);
        self.write_everything().await;
        self.flush(connection).await?;
        if std::mem::take(&mut self.in_trouble) {
            tracing::info!("presence is shared again");
        }
        Ok(())
    }

    async fn serve(
        &mut self,
        connection: &S::Connection,
        mut messages: Messages,
    ) -> Result<Over, StoreError> {
        let mut beat = interval(BEAT);
        let mut again = interval(AGAIN);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shares = Vec::new();
        loop {
            tokio::select! {
                n = self.inbox.recv_many(&mut shares, ROUND) => if n == 0 {
                    return Ok(Over);
                },
                message = messages.recv() => {
                    let mut next = Some(message.ok_or_else(|| StoreError("the subscription ended".to_owned()))?);
                    let mut taken = 0;
                    while let Some((channel, message)) = next {
                        self.message(&channel, &message).await;
                        taken += 1;
                        next = if taken < ROUND { messages.try_recv().ok() } else { None };
                    }
                }
                _ = beat.tick() => self.beat()?,
                _ = again.tick() => {}
                () = std::future::ready(()), if !self.backlog.is_empty() => {
                    let some = self.backlog.len().min(ROUND);
                    self.ops.extend(self.backlog.drain(..some));
                }
            }
            for share in shares.drain(..) {
                self.outgoing(share);
            }
            self.due_pushes();
            self.acknowledgements();
            self.flush(connection).await?;
        }
    }

    /// Has the store do what is to be done, until nothing follows from it.
    async fn flush(&mut self, connection: &S::Connection) -> Result<(), StoreError> {
        while !self.ops.is_empty() {
            let some = self.ops.len().min(4 * ROUND);
            let (ops, thens): (Vec<Op>, Vec<Then>) = self.ops.drain(..some).unzip();
            match connection.run(ops).await {
                Ok(found) => {
                    for (then, found) in thens.into_iter().zip(found) {
                        self.follow(then, found).await;
                    }
                }
                Err(error) => {
                    self.ops.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn beat(&mut self) -> Result<(), StoreError> {
        if self.heard.elapsed() > SILENT * BEAT {
            return Err(StoreError("what is published there does not come back".to_owned()));
        }
        self.beat += 1;
        self.greeted += 1;
        for other in self.others.values_mut() {
            other.silent += 1;
        }
        self.say_hello();
        Ok(())
    }

    /// Once for each outage.
    fn trouble(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.in_trouble, true) {
            tracing::error!(%error, "presence is not shared with other processes; this one goes on by itself and tries again");
        }
        self.counters.processes.store(0, Ordering::Relaxed);
        // What matters of it is said again when the store is back.
        self.ops.clear();
        self.backlog.clear();
    }

    async fn tell_desk(&self, shared: Shared) {
        if let Some(desk) = self.desk.upgrade() {
            let _ = desk.send(Message::Shared(shared)).await;
        }
    }

    async fn tell_core(&self, said: ForCore) {
        if let Some(core) = self.core.upgrade() {
            let _ = core.send(core::Message::Presence(said)).await;
        }
    }

    fn bad(&self) {
        self.counters.malformed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Wall time.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn channel(process: ProcessId) -> String {
    format!("ttg:1:to:{process}")
}

fn instances_key(process: ProcessId) -> String {
    format!("ttg:1:instances:{process}")
}

fn tunnels_key(radio: MacAddr) -> String {
    format!("ttg:1:tunnels:{radio}")
}

/// Its fields are the PMK that was made last, and when PMKs were revoked last.
fn pmk_key(service: Uuid, client: MacAddr) -> String {
    format!("ttg:1:pmks:{service}:{client}")
}

fn instance_field(service: Uuid, instance: InstanceId) -> Vec<u8> {
    [&service.as_bytes()[..], &instance].concat()
}
