//! The embedded store: one redb file, of one process.
//!
//! One thread writes. It takes what waits, up to a limit, into one transaction, so that many writers share one `fsync`.

mod follow;
mod open;
mod seal;
mod sessions;
mod tables;
mod writer;

use std::{path::Path, sync::Arc, thread::JoinHandle};

use redb::{Database, ReadableDatabase};
use tokio::sync::{mpsc, oneshot};

use self::follow::Recent;
use crate::{
    Answer, Committed, Draft, Follow, Name, Object, Page, Query, Records, RecordsError, Report, Version,
    migrate::Batch,
    queue::{Request, Writer},
};

/// Records in a file. Its directory must exist; the file is made if it is not there, readable for its owner only. Must be
/// used within a Tokio runtime. Dropping it waits for the transaction in progress.
pub struct Embedded {
    file: Arc<File>,
    recent: Arc<Recent>,
    requests: Option<Writer>,
    writer: Option<JoinHandle<()>>,
}

/// The open file.
pub(crate) struct File {
    /// How messages call it.
    pub(crate) at: String,
    pub(crate) database: Database,
}

impl Embedded {
    /// Opens or makes the file. Reads it as a whole if the process that wrote it was killed.
    ///
    /// # Errors
    /// If it is in use, damaged, of a newer format, or cannot be read and written.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        // redb panics at some damage.
        let opened = std::panic::catch_unwind(|| {
            let file = open::open(path)?;
            let version = file.read(tables::version)?;
            Ok((Arc::new(file), version))
        });
        let (file, version) = opened.unwrap_or_else(|_| {
            let (at, reason) = (path.display().to_string(), "opening it had to be given up".to_owned());
            Err(RecordsError::Damaged { at, reason })
        })?;
        let recent = Arc::new(Recent::new(&file.at, version));
        let (requests, queue) = Writer::new(&file.at);
        let run = {
            let (file, recent) = (Arc::clone(&file), Arc::clone(&recent));
            move || writer::run(&file, &recent, queue)
        };
        let writer = std::thread::Builder::new()
            .name("records".into())
            .spawn(run)
            .map_err(|error| RecordsError::Io { at: file.at.clone(), reason: error.to_string() })?;
        Ok(Self { file, recent, requests: Some(requests), writer: Some(writer) })
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, RecordsError>>) -> Request,
    ) -> Result<T, RecordsError> {
        match &self.requests {
            Some(writer) => writer.ask(request).await,
            None => Err(RecordsError::Closed { at: self.file.at.clone() }),
        }
    }

    /// Reads away from the runtime's threads.
    async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&File) -> Result<T, RecordsError> + Send + 'static,
    ) -> Result<T, RecordsError> {
        let file = Arc::clone(&self.file);
        let run = tokio::task::spawn_blocking(move || act(&file));
        // redb panics at some damage.
        run.await.map_err(|error| self.file.damaged(error.to_string()))?
    }

    /// Gives everything to `batches`, until nobody takes it any more; the version.
    pub(crate) async fn export(&self, batches: mpsc::Sender<Batch>) -> Result<Version, RecordsError> {
        let send = move |batch| batches.blocking_send(batch).is_ok();
        self.read(move |file| {
            file.read(|file, transaction| {
                tables::export(file, transaction, &send)?;
                sessions::export(file, transaction, &send)?;
                tables::version(file, transaction)
            })
        })
        .await
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // It answers with errors, it does not panic; and there is nobody to tell.
            let _ = writer.join();
        }
    }
}

impl File {
    pub(crate) fn failed(&self, error: impl std::fmt::Display) -> RecordsError {
        RecordsError::Failed { at: self.at.clone(), reason: error.to_string() }
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> RecordsError {
        RecordsError::Damaged { at: self.at.clone(), reason: reason.into() }
    }

    /// What redb says, as people read it.
    pub(crate) fn error(&self, error: redb::Error) -> RecordsError {
        match error {
            redb::Error::Corrupted(reason) => self.damaged(reason),
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.damaged("it is shorter than it says")
            }
            other => self.failed(other),
        }
    }

    /// Reads one state of the store.
    pub(crate) fn read<T>(
        &self,
        act: impl FnOnce(&File, &redb::ReadTransaction) -> Result<T, RecordsError>,
    ) -> Result<T, RecordsError> {
        let transaction = self.database.begin_read().map_err(|error| self.error(error.into()))?;
        act(self, &transaction)
    }
}

/// What waits between the thread that reads and the task that takes it.
const BATCH: usize = 4096;

impl Records for Embedded {
    fn commit(&self, drafts: Vec<Draft>) -> Answer<'_, Committed> {
        Box::pin(self.ask(move |reply| Request::Commit { drafts, reply }))
    }

    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(Object) + Send)) -> Answer<'a, Version> {
        Box::pin(async move {
            let (batches, mut incoming) = mpsc::channel(2);
            let read = self.read(move |file| {
                file.read(|file, transaction| {
                    let mut batch = Vec::with_capacity(BATCH);
                    tables::each(file, transaction, &mut |object| {
                        batch.push(object);
                        let full = batch.len() == BATCH;
                        // If nobody takes them any more, the rest need not be read.
                        !full
                            || batches
                                .blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                                .is_ok()
                    })?;
                    let _ = batches.blocking_send(batch);
                    tables::version(file, transaction)
                })
            });
            let take = async {
                while let Some(batch) = incoming.recv().await {
                    batch.into_iter().for_each(&mut *each);
                }
            };
            tokio::join!(read, take).0
        })
    }

    fn get(&self, name: Name) -> Answer<'_, Option<Object>> {
        Box::pin(self.read(move |file| file.read(|file, transaction| tables::get(file, transaction, &name))))
    }

    fn follow(&self, since: Version) -> Answer<'_, Box<dyn Follow>> {
        Box::pin(async move { Ok(Recent::follow(&self.recent, since)) })
    }

    fn account(&self, reports: Vec<Report>) -> Answer<'_, ()> {
        Box::pin(self.ask(move |reply| Request::Account { reports, reply }))
    }

    fn sessions(&self, query: Query) -> Answer<'_, Page> {
        Box::pin(
            self.read(move |file| file.read(|file, transaction| sessions::page(file, transaction, &query))),
        )
    }

    fn forget_sessions(&self, before: u64) -> Answer<'_, u64> {
        Box::pin(async move {
            match &self.requests {
                Some(writer) => writer.forget(before).await,
                None => Err(RecordsError::Closed { at: self.file.at.clone() }),
            }
        })
    }
}
