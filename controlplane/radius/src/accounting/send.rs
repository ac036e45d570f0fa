//! The task that sends: as many sessions at once as the servers bear, backing off when they do not answer.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration, time::SystemTime};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{AccountingConfig, AccountingQueue, StoreError, lock, record::unix_seconds};
use crate::{
    client::{
        Nas,
        transport::{Failure, random},
    },
    packet::{
        AttributeError, AttributeList, AttributeType, BuildError, Code, Secret, encode_accounting_request,
    },
};

/// What became of one record.
enum Sent {
    Acknowledged,
    /// It was superseded or dropped before it could be sent.
    Gone,
    Unanswered,
    /// It can never be sent, and is forgotten.
    Unsendable(BuildError),
    Store(StoreError),
}

struct Done {
    session_id: Arc<str>,
    key: u64,
    began: Instant,
    sent: Sent,
}

/// How many at once, and not before when. Failures that others' success contradicts are left to their session.
struct Pace {
    window: usize,
    failures: u32,
    not_before: Instant,
    last_success: Option<Instant>,
}

pub(super) async fn run(queue: &Arc<AccountingQueue>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let config = &queue.config;
    let mut pace = Pace {
        window: config.concurrency.max(1),
        failures: 0,
        not_before: Instant::now(),
        last_success: None,
    };
    let mut tasks: JoinSet<Done> = JoinSet::new();
    let mut in_flight: Vec<Arc<str>> = Vec::new();
    loop {
        let now = Instant::now();
        while tasks.len() < pace.window && now >= pace.not_before {
            let Some((session_id, key)) = lock(&queue.index).take(now) else { break };
            in_flight.push(Arc::clone(&session_id));
            tasks.spawn(attempt(Arc::clone(queue), session_id, key));
        }
        let due = lock(&queue.index).next_due();
        let wake = if now < pace.not_before { Some(pace.not_before) } else { due };
        tokio::select! {
            () = &mut shutdown => break,
            () = queue.submitted.notified() => {}
            () = async { sleep_until(wake.unwrap_or(now)).await }, if wake.is_some() && tasks.len() < pace.window => {}
            Some(joined) = tasks.join_next() => match joined {
                Ok(done) => {
                    in_flight.retain(|id| *id != done.session_id);
                    finish(queue, &mut pace, done);
                    queue.settled.notify_waiters();
                }
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
        }
    }
    tasks.shutdown().await;
    // What was in flight is on disk still, and ready should this queue be run again.
    {
        let mut index = lock(&queue.index);
        in_flight.into_iter().for_each(|session_id| index.put_back(session_id));
    }
    let last = Arc::clone(queue);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || last.store.sync()).await {
        tracing::warn!("{error}");
    }
}

/// Adds what may change between attempts: who we are and how long ago it happened (in seconds).
pub(super) fn complete(list: &mut AttributeList, nas: &Nas, delay: u32) -> Result<(), AttributeError> {
    nas.encode(list)?;
    list.push_u32(AttributeType::ACCT_DELAY_TIME, delay)
}

async fn attempt(queue: Arc<AccountingQueue>, session_id: Arc<str>, key: u64) -> Done {
    let began = Instant::now();
    let sent = send(&queue, key).await.unwrap_or_else(Sent::Store);
    Done { session_id, key, began, sent }
}

async fn send(queue: &Arc<AccountingQueue>, key: u64) -> Result<Sent, StoreError> {
    let Some(record) = on_disk(queue, move |queue| queue.store.get(key)).await? else {
        return Ok(Sent::Gone);
    };
    let delay = unix_seconds(SystemTime::now()).saturating_sub(record.event_time);
    let mut list = record.attributes;
    if let Err(error) = complete(&mut list, queue.transport.nas(), u32::try_from(delay).unwrap_or(u32::MAX)) {
        return unsendable(queue, key, error.into()).await;
    }
    let encode = |identifier: u8, secret: &Secret| {
        let message_authenticator = queue.config.message_authenticator;
        encode_accounting_request(
            Code::ACCOUNTING_REQUEST,
            identifier,
            list.view(),
            secret,
            message_authenticator,
        )
    };
    match queue.transport.exchange(None, &encode).await {
        Ok(_) => {
            on_disk(queue, move |queue| queue.store.acknowledge(key)).await?;
            Ok(Sent::Acknowledged)
        }
        Err(Failure::Build(error)) => unsendable(queue, key, error).await,
        // The transport has logged which servers do not answer, and why.
        Err(Failure::NoServerAnswers(_) | Failure::UnknownServer(_)) => Ok(Sent::Unanswered),
    }
}

async fn unsendable(queue: &Arc<AccountingQueue>, key: u64, error: BuildError) -> Result<Sent, StoreError> {
    on_disk(queue, move |queue| queue.store.acknowledge(key)).await?;
    Ok(Sent::Unsendable(error))
}

fn finish(queue: &AccountingQueue, pace: &mut Pace, done: Done) {
    let now = Instant::now();
    let config = &queue.config;
    let mut index = lock(&queue.index);
    match done.sent {
        Sent::Acknowledged => {
            queue.acknowledged.fetch_add(1, Relaxed);
            index.done(&done.session_id, done.key);
            queue.announce_room(&index);
            pace.succeeded(now, config);
        }
        Sent::Gone => index.done(&done.session_id, done.key),
        Sent::Unsendable(error) => {
            tracing::error!(session_id = %done.session_id, "an accounting record cannot be sent: {error}");
            queue.dropped.fetch_add(1, Relaxed);
            index.done(&done.session_id, done.key);
        }
        Sent::Unanswered => {
            queue.failures.fetch_add(1, Relaxed);
            index.failed(&done.session_id, now, |failures| backoff(config, failures));
            if pace.failed(done.began, now, config) {
                tracing::warn!(
                    pending = index.records(),
                    "no accounting server acknowledges; records are kept and tried again"
                );
            }
        }
        Sent::Store(error) => {
            tracing::error!("{error}");
            queue.failures.fetch_add(1, Relaxed);
            index.failed(&done.session_id, now, |failures| backoff(config, failures));
        }
    }
}

impl Pace {
    fn succeeded(&mut self, now: Instant, config: &AccountingConfig) {
        self.last_success = Some(now);
        self.failures = 0;
        self.not_before = now;
        self.window = (self.window * 2).min(config.concurrency.max(1));
    }

    /// True if this is the first of a row.
    fn failed(&mut self, began: Instant, now: Instant, config: &AccountingConfig) -> bool {
        // Another record was acknowledged meanwhile: the server is there, and this one is its session's own trouble. And
        // those in flight together fail together: they count as one.
        if self.last_success.is_some_and(|last| last >= began)
            || (self.failures > 0 && self.not_before > began)
        {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.window = 1;
        self.not_before = now + backoff(config, self.failures);
        self.failures == 1
    }
}

/// Doubles with each failure, ±10 %.
fn backoff(config: &AccountingConfig, failures: u32) -> Duration {
    let doubled = config.initial_retry.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let jitter = f64::from(random()) / f64::from(u32::MAX) * 0.2 + 0.9;
    doubled.min(config.maximum_retry).mul_f64(jitter)
}

/// The disk may take its time: not on a thread that sockets wait for.
async fn on_disk<T: Send + 'static>(
    queue: &Arc<AccountingQueue>,
    act: impl FnOnce(&AccountingQueue) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let queue = Arc::clone(queue);
    match tokio::task::spawn_blocking(move || act(&queue)).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
