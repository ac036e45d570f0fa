//! The shared store: a PostgreSQL database, for any number of control processes.
//!
//! Who commits locks one row first, so that commits of all processes are in one order, which is that of their versions. Those
//! of one process share transactions, and so the lock and the `fsync`.

mod connect;
mod follow;
mod import;
mod objects;
mod schema;
mod sessions;
mod writer;

use std::{pin::pin, sync::Arc};

use futures_util::{TryStreamExt, future::BoxFuture};
use tokio::sync::Mutex;
use tokio_postgres::IsolationLevel;

pub use self::connect::Database;
pub(crate) use self::import::Import;
use self::{
    connect::{Patience, Session, Target, Trouble},
    follow::Follower,
};
use crate::{
    Answer, Committed, Draft, Follow, Name, Object, Page, Query, Records, RecordsError, Report, Version,
    key::Key,
    plan,
    queue::{Request, Writer},
};

/// Records in PostgreSQL. While the server is away, requests wait and are tried again for ten seconds before they fail.
/// Dropping it lets what was asked for finish.
pub struct Postgres {
    target: Arc<Target>,
    writer: Writer,
    reader: Mutex<Option<Arc<Session>>>,
}

impl Postgres {
    /// Connects, to the first of the hosts that takes writes, and brings the schema up to date.
    ///
    /// Connections are not encrypted: TCP belongs on a network that is.
    ///
    /// # Errors
    /// At once, if no host can be reached or lets us in, the schema is newer, or the server would lose what it acknowledges.
    pub async fn open(database: impl Into<Database>) -> Result<Self, RecordsError> {
        let target = Arc::new(Target::new(database.into())?);
        let session = target.connect().await.map_err(|trouble| target.error(trouble))?;
        let (writer, queue) = Writer::new(&target.at);
        tokio::spawn(writer::run(Arc::clone(&target), session, queue));
        Ok(Self { target, writer, reader: Mutex::default() })
    }

    /// Reads, again if the server was away.
    async fn read<T>(
        &self,
        act: impl Fn(Arc<Session>) -> BoxFuture<'static, Result<T, Trouble>>,
    ) -> Result<T, RecordsError> {
        let mut patience = Patience::new();
        loop {
            let session = {
                let mut reader = self.reader.lock().await;
                match reader.take().filter(|session| !session.client.is_closed()) {
                    Some(session) => Ok(Arc::clone(reader.insert(session))),
                    None => self.target.connect().await.map(|new| Arc::clone(reader.insert(Arc::new(new)))),
                }
            };
            let trouble = match session {
                Ok(session) => match act(session).await {
                    Ok(read) => return Ok(read),
                    Err(trouble) => trouble,
                },
                Err(trouble) => trouble,
            };
            if matches!(trouble, Trouble::Lost(_)) {
                *self.reader.lock().await = None;
            }
            patience.pause(trouble, &self.target).await?;
        }
    }

    /// One state of the store, on a connection of its own.
    async fn load_once(
        &self,
        session: &mut Session,
        each: &mut (dyn FnMut(Object) + Send),
    ) -> Result<Version, Trouble> {
        let at = &self.target.at;
        let begin = session.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let transaction = begin.read_only(true).start().await?;
        let version = transaction.query_one("SELECT version FROM records.store", &[]).await?;
        // The few first, in order, from their index; the many as they lie.
        for which in ["o.kind < 6 ORDER BY o.kind, o.key", "o.kind >= 6"] {
            let text = format!(
                "SELECT o.account, o.kind, o.key, o.version, o.body FROM records.object o WHERE {which}"
            );
            let none: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
            let mut rows = pin!(transaction.query_raw(&text, none).await?);
            while let Some(row) = rows.try_next().await? {
                let (key, row) = objects::object(at, &row)?;
                each(Object { version: row.version, change: plan::read(at, &key, Some(&row.body))? });
            }
        }
        transaction.commit().await?;
        Ok(version.get::<_, i64>(0) as u64)
    }
}

impl Records for Postgres {
    fn commit(&self, drafts: Vec<Draft>) -> Answer<'_, Committed> {
        Box::pin(self.writer.ask(move |reply| Request::Commit { drafts, reply }))
    }

    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(Object) + Send)) -> Answer<'a, Version> {
        Box::pin(async move {
            let mut patience = Patience::new();
            let mut session = loop {
                match self.target.connect().await {
                    Ok(session) => break session,
                    Err(trouble) => patience.pause(trouble, &self.target).await?,
                }
            };
            // What `each` was given cannot be taken back, so this is not tried again.
            self.load_once(&mut session, each).await.map_err(|trouble| self.target.error(trouble))
        })
    }

    fn get(&self, name: Name) -> Answer<'_, Option<Object>> {
        Box::pin(async move {
            let key = Arc::new(Key::of(&name));
            let (at, of) = (self.target.at.clone(), Arc::clone(&key));
            self.read(move |session| {
                let (key, at) = (Arc::clone(&of), at.clone());
                Box::pin(async move {
                    let text = "SELECT account, kind, key, version, body FROM records.object WHERE kind = $1 AND key = $2";
                    let kind = key.kind as i16;
                    let row = if key.kind.is_scoped() {
                        let text = format!("{text} AND account = $3");
                        session.client.query_opt(&text, &[&kind, &key.id, &key.scope]).await?
                    } else {
                        session.client.query_opt(&format!("{text} AND kind < 6"), &[&kind, &key.id]).await?
                    };
                    let Some(row) = row else { return Ok(None) };
                    let (key, row) = objects::object(&at, &row)?;
                    Ok(Some(Object { version: row.version, change: plan::read(&at, &key, Some(&row.body))? }))
                })
            })
            .await
        })
    }

    fn follow(&self, since: Version) -> Answer<'_, Box<dyn Follow>> {
        let follower = Follower::new(Arc::clone(&self.target), since);
        Box::pin(async move { Ok(Box::new(follower) as Box<dyn Follow>) })
    }

    fn account(&self, reports: Vec<Report>) -> Answer<'_, ()> {
        Box::pin(self.writer.ask(move |reply| Request::Account { reports, reply }))
    }

    fn sessions(&self, query: Query) -> Answer<'_, Page> {
        Box::pin(async move {
            let (query, at) = (Arc::new(query), self.target.at.clone());
            self.read(move |session| {
                let (query, at) = (Arc::clone(&query), at.clone());
                Box::pin(async move { sessions::page(&session.client, &at, &query).await })
            })
            .await
        })
    }

    fn forget_sessions(&self, before: u64) -> Answer<'_, u64> {
        Box::pin(self.writer.forget(before))
    }
}
