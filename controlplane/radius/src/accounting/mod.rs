//! Accounting that survives restarts: every record is on disk before [`AccountingQueue::submit`] returns, and leaves it
//! only when a server has acknowledged it.
//!
//! * Records of one session go out in order, one at a time; sessions take turns.
//! * An interim update not yet acknowledged gives way to a newer one and to the end of its session.
//! * What is sent again keeps Acct-Session-Id and Event-Timestamp, so the server can see that it is the same; only
//!   Acct-Delay-Time grows (RFC 2866 §5.2).
//! * Sessions that began and never ended are known after a restart: [`AccountingQueue::open_sessions`].

mod index;
mod record;
mod send;
mod store;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::Notify;

pub use record::{AcctEvent, AcctRecord, Authentic, OpenSession, RecordError, Usage};
pub use store::StoreError;

use self::{
    index::{Entry, Index},
    record::Stored,
    store::{Change, Store},
};
use crate::{
    client::{
        ClientConfig, ConfigError, ServerStats,
        transport::{Role, Transport},
    },
    packet::{AcctStatusType, TerminateCause},
};

/// How to account.
#[derive(Clone, Debug)]
pub struct AccountingConfig {
    /// Accounting servers (port 1813), with patience and failover as for authentication.
    pub client: ClientConfig,
    /// Send Message-Authenticator in Accounting-Requests. Accounting is authenticated without; turn it off only for servers
    /// that choke on it (RFC 2869 §5.19 did not foresee it).
    pub message_authenticator: bool,
    /// The most that records not yet acknowledged may take, in octets.
    pub maximum_bytes: usize,
    /// Sessions in flight at most.
    pub concurrency: usize,
    /// Wait after a first failure; doubles with each, jittered.
    pub initial_retry: Duration,
    /// The longest such wait.
    pub maximum_retry: Duration,
}

impl AccountingConfig {
    /// 256 MiB (about half a million records), 64 in flight, retry after 5 s to 5 min.
    pub fn new(client: ClientConfig) -> Self {
        Self {
            client,
            message_authenticator: true,
            maximum_bytes: 256 << 20,
            concurrency: 64,
            initial_retry: Duration::from_secs(5),
            maximum_retry: Duration::from_secs(300),
        }
    }
}

/// Why the queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The servers.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no room, not even in place of interim updates.
    #[error(
        "the accounting store {} is full ({bytes} octets of records not yet acknowledged): is an accounting server reachable?",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// Octets in it.
        bytes: usize,
    },
    /// It cannot be a packet.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counters of the queue at one moment.
#[derive(Clone, Debug, Default)]
pub struct AccountingStats {
    /// Records not yet acknowledged.
    pub pending: usize,
    /// What they take, in octets.
    pub bytes: usize,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Interim updates that a newer record took the place of.
    pub superseded: u64,
    /// Records lost for want of room: interim updates evicted, and whatever was refused.
    pub dropped: u64,
    /// Attempts without acknowledgement.
    pub failures: u64,
    /// Counters of each server.
    pub servers: Vec<(SocketAddr, ServerStats)>,
}

/// The queue: submit from anywhere, and let one task [`run`](Self::run) it.
pub struct AccountingQueue {
    store: Store,
    transport: Arc<Transport>,
    config: AccountingConfig,
    index: Mutex<Index>,
    /// Held from deciding on a change to having made it in both store and index.
    submitting: Mutex<u64>,
    submitted: Notify,
    settled: Notify,
    full: AtomicBool,
    acknowledged: AtomicU64,
    superseded: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
}

impl AccountingQueue {
    /// Opens or creates the store at `path` and the sockets. Asynchronous because it needs the runtime for the latter.
    pub async fn open(path: impl Into<PathBuf>, config: AccountingConfig) -> Result<Arc<Self>, OpenError> {
        let path = path.into();
        let opened = tokio::task::spawn_blocking(move || -> Result<_, StoreError> {
            let store = Store::open(&path)?;
            let records = store.load()?;
            Ok((store, records))
        });
        let (store, records) = match opened.await {
            Ok(result) => result?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let mut index = Index::default();
        let mut next = 0;
        for (key, record, bytes) in records {
            index.push(&record.session_id, Entry { key, kind: record.kind, bytes });
            next = key + 1;
        }
        if index.records() > 0 {
            tracing::info!(
                records = index.records(),
                "accounting records of an earlier run are still to be sent"
            );
        }
        Ok(Arc::new(Self {
            store,
            transport: Transport::open(config.client.clone(), Role::Accounting)?,
            config,
            index: Mutex::new(index),
            submitting: Mutex::new(next),
            submitted: Notify::new(),
            settled: Notify::new(),
            full: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            superseded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }))
    }

    /// Takes a record; it is on disk on return. Blocks for the disk: call it from a blocking thread.
    pub fn submit(&self, record: AcctRecord) -> Result<(), SubmitError> {
        self.submit_all(std::slice::from_ref(&record))
    }

    /// Takes several records in one write to disk: all of them or none.
    pub fn submit_all(&self, records: &[AcctRecord]) -> Result<(), SubmitError> {
        let stored = records.iter().map(AcctRecord::encode).collect::<Result<Vec<_>, _>>()?;
        stored.iter().try_for_each(|record| self.check_fits(record))?;
        self.put(&stored)
    }

    /// Sessions that have begun and not ended, such as those of a run before that was cut off.
    pub fn open_sessions(&self) -> Result<Vec<OpenSession>, StoreError> {
        Ok(self.store.open_sessions()?.iter().map(Stored::open_session).collect())
    }

    /// Ends a session with the usage of its last record. False if there is no such session.
    pub fn close(
        &self,
        session_id: &str,
        cause: TerminateCause,
        at: SystemTime,
    ) -> Result<bool, SubmitError> {
        let Some(last) = self.store.open_session(session_id)? else { return Ok(false) };
        let stop = last.stop(cause, at).map_err(RecordError::Attribute)?;
        self.put(std::slice::from_ref(&stop))?;
        Ok(true)
    }

    /// Records not yet acknowledged.
    pub fn pending(&self) -> usize {
        lock(&self.index).records()
    }

    /// Completes when every record is acknowledged: what to wait for, for a while, before shutting down.
    pub async fn drained(&self) {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            if self.pending() == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Counters.
    pub fn stats(&self) -> AccountingStats {
        let (pending, bytes) = {
            let index = lock(&self.index);
            (index.records(), index.bytes())
        };
        AccountingStats {
            pending,
            bytes,
            acknowledged: self.acknowledged.load(Relaxed),
            superseded: self.superseded.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failures: self.failures.load(Relaxed),
            servers: self.transport.stats(),
        }
    }

    /// Sends until `shutdown` completes. What is unsent then stays on disk. One such task at a time.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        send::run(&self, shutdown).await;
    }

    /// A record that does not fit into a packet must be refused now: later nobody could do anything about it.
    fn check_fits(&self, record: &Stored) -> Result<(), RecordError> {
        let mut list = record.attributes.clone();
        send::complete(&mut list, self.transport.nas(), 0)?;
        if self.config.message_authenticator {
            list.push(crate::packet::AttributeType::MESSAGE_AUTHENTICATOR, &[0; 16])?;
        }
        Ok(())
    }

    fn put(&self, records: &[Stored]) -> Result<(), SubmitError> {
        let mut next = lock(&self.submitting);
        let mut change = Change::default();
        let mut superseded = Vec::new();
        let mut evicted = Vec::new();
        let mut entries = Vec::with_capacity(records.len());
        {
            let index = lock(&self.index);
            let mut needed = 0;
            for (record, key) in records.iter().zip(*next..) {
                if matches!(record.kind, AcctStatusType::InterimUpdate | AcctStatusType::Stop) {
                    superseded
                        .extend(index.superseded(&record.session_id).into_iter().map(|old| (old, record)));
                }
                let bytes = record.to_bytes().len();
                needed += Index::cost(bytes);
                entries.push(Entry { key, kind: record.kind, bytes });
                change.add.push((key, record));
            }
            superseded.sort_by_key(|(old, _)| old.key);
            superseded.dedup_by_key(|(old, _)| old.key);
            change.remove.extend(superseded.iter().map(|(old, _)| old.key));
            let freed: usize = superseded.iter().map(|(old, _)| Index::cost(old.bytes)).sum();
            let excess = (index.bytes() + needed).saturating_sub(freed + self.config.maximum_bytes);
            if excess > 0 {
                self.announce_full(&index);
                let only_interims = records.iter().all(|record| record.kind == AcctStatusType::InterimUpdate);
                // An interim update is not worth another one.
                let room = if only_interims { None } else { index.oldest_interims(excess, &change.remove) };
                let Some(keys) = room else {
                    self.dropped.fetch_add(records.len() as u64, Relaxed);
                    let (path, bytes) = (self.store.path().to_owned(), index.bytes());
                    return Err(SubmitError::Full { path, bytes });
                };
                change.remove.extend(&keys);
                evicted = keys;
            }
        }
        self.store.commit(&change)?;
        *next += records.len() as u64;
        let mut index = lock(&self.index);
        for (old, by) in &superseded {
            index.remove(&by.session_id, old.key);
        }
        for key in &evicted {
            index.remove_interim(*key);
        }
        for (record, entry) in records.iter().zip(entries) {
            index.push(&record.session_id, entry);
        }
        drop(index);
        self.superseded.fetch_add(superseded.len() as u64, Relaxed);
        self.dropped.fetch_add(evicted.len() as u64, Relaxed);
        self.submitted.notify_one();
        Ok(())
    }

    /// Says so once, until there is room again.
    fn announce_full(&self, index: &Index) {
        if !self.full.swap(true, Relaxed) {
            tracing::error!(
                path = %self.store.path().display(), records = index.records(), bytes = index.bytes(),
                "the accounting store is full: interim updates are dropped, and records of sessions are lost once there is \
                 nothing else to drop; make an accounting server reachable, or allow more octets"
            );
        }
    }

    fn announce_room(&self, index: &Index) {
        if self.full.load(Relaxed)
            && index.bytes() < self.config.maximum_bytes / 10 * 9
            && self.full.swap(false, Relaxed)
        {
            tracing::info!(path = %self.store.path().display(), "the accounting store has room again");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
