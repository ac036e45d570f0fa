//! From the embedded store into PostgreSQL: everything or nothing, and compared afterwards.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use tokio::sync::mpsc;

use crate::{
    Database, Embedded, RecordsError, Session, Version,
    key::{Counter, Key},
    plan::Row,
    postgres::Import,
};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Objects and sessions so far.
    pub done: u64,
    /// Of so many; while these are counted, 0.
    pub total: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The file is read, to know what must be there in the end.
    Reading,
    /// The database is written.
    Copying,
    /// The database is read again, and compared.
    Comparing,
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Objects in the database.
    pub objects: u64,
    /// Sessions in the database.
    pub sessions: u64,
    /// Of the database; not below that of the file.
    pub version: Version,
    /// All was there before, by an earlier migration; nothing was written.
    pub before: bool,
}

/// Copies everything in the embedded store `from` into the database `to`, in one transaction, reads it back and compares. If
/// anything goes wrong the database is as it was, and the migration can be repeated; one that was successful and is repeated
/// finds that, and does nothing. The file is only read.
///
/// # Errors
/// [`RecordsError::NotEmpty`] if the database has other records and `replace` does not say to delete them; whatever goes wrong
/// with either store.
pub async fn migrate(
    from: &Path,
    to: impl Into<Database>,
    replace: bool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Migrated, RecordsError> {
    if !from.exists() {
        let (at, reason) = (from.display().to_string(), "there is no such file".to_owned());
        return Err(RecordsError::Io { at, reason });
    }
    let file = Embedded::open(from)?;
    let mut meter = Meter { progress, phase: Phase::Reading, total: 0 };
    let mut wanted = Contents::default();
    let version = each_batch(&file, async |batch| {
        wanted.add(&batch);
        meter.tell(&wanted);
        Ok(())
    })
    .await?;
    meter.total = wanted.count();
    let mut import = Import::open(to.into()).await?;
    let mut transaction = import.begin().await?;
    let there = transaction.contents(&mut |_| {}).await?;
    let mut done = Migrated { objects: wanted.objects, sessions: wanted.sessions, version, before: false };
    if there == wanted && transaction.version() >= version {
        return Ok(Migrated { version: transaction.version(), before: true, ..done });
    }
    if transaction.version() > 0 || there != Contents::default() {
        if !replace {
            return Err(transaction.not_empty(there.objects, there.sessions));
        }
        transaction.clear().await?;
        // Who follows the database must see that what it knew is gone.
        done.version = version.max(transaction.version() + 1);
    }
    meter.phase = Phase::Copying;
    let mut copied = Contents::default();
    each_batch(&file, async |batch| {
        transaction.put(&batch).await?;
        copied.add(&batch);
        meter.tell(&copied);
        Ok(())
    })
    .await?;
    meter.phase = Phase::Comparing;
    let there = transaction.contents(&mut |there| meter.tell(there)).await?;
    if there != wanted {
        return Err(transaction.differs(&wanted, &there));
    }
    transaction.commit(done.version).await?;
    Ok(done)
}

/// Tells how far it is.
struct Meter<'a> {
    progress: &'a mut (dyn FnMut(Progress) + Send),
    phase: Phase,
    total: u64,
}

impl Meter<'_> {
    fn tell(&mut self, contents: &Contents) {
        (self.progress)(Progress { phase: self.phase, done: contents.count(), total: self.total });
    }
}

/// Records of one sort.
pub(crate) enum Batch {
    Objects(Vec<(Key, Row)>),
    /// The last identifiers given.
    Last(Vec<(Counter, u64)>),
    Sessions(Vec<Session>),
}

/// What a store holds: how much, and sums over the hashes of all there is, in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Contents {
    pub(crate) objects: u64,
    pub(crate) sessions: u64,
    last: u64,
    sum: [u64; 2],
}

impl Contents {
    fn count(&self) -> u64 {
        self.objects + self.sessions
    }

    pub(crate) fn add(&mut self, batch: &Batch) {
        match batch {
            Batch::Objects(objects) => {
                self.objects += objects.len() as u64;
                for (key, Row { version, account, body }) in objects {
                    self.hash(&(key, version, account, body));
                }
            }
            Batch::Last(last) => {
                self.last += last.len() as u64;
                last.iter().for_each(|last| self.hash(last));
            }
            Batch::Sessions(sessions) => {
                self.sessions += sessions.len() as u64;
                sessions.iter().for_each(|session| self.hash(&session.to_bytes()));
            }
        }
    }

    fn hash(&mut self, what: &impl Hash) {
        for (seed, sum) in self.sum.iter_mut().enumerate() {
            let mut hasher = DefaultHasher::new();
            (seed, what).hash(&mut hasher);
            *sum = sum.wrapping_add(hasher.finish());
        }
    }
}

/// Gives everything in the file to `each`, which may take its time; the version of the file.
async fn each_batch(
    file: &Embedded,
    mut each: impl AsyncFnMut(Batch) -> Result<(), RecordsError>,
) -> Result<Version, RecordsError> {
    let (batches, mut incoming) = mpsc::channel(2);
    let read = file.export(batches);
    let take = async {
        let mut result = Ok(());
        while let Some(batch) = incoming.recv().await {
            result = each(batch).await;
            if result.is_err() {
                // Whoever reads the file stops when nobody takes what it read.
                incoming.close();
                break;
            }
        }
        drop(incoming);
        result
    };
    let (version, taken) = tokio::join!(read, take);
    taken?;
    version
}
