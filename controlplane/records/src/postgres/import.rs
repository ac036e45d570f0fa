//! Everything at a time, in one transaction: for migration.

use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::{IsolationLevel, Statement, Transaction, types::ToSql};

use super::{
    connect::{Database, Session, Target, Trouble},
    objects::{self, Put, damaged},
    sessions,
};
use crate::{
    RecordsError, Version,
    migrate::{Batch, Contents},
};

/// A connection to the database that is to take everything.
pub(crate) struct Import {
    target: Target,
    session: Session,
}

/// While nobody else can commit.
pub(crate) struct Importing<'a> {
    target: &'a Target,
    transaction: Transaction<'a>,
    put: Statement,
    put_last: Statement,
    merge: Statement,
    version: Version,
}

/// Rows that are read at a time.
const BATCH: usize = 4096;

impl Import {
    pub(crate) async fn open(database: Database) -> Result<Self, RecordsError> {
        let target = Target::new(database)?;
        let session = target.connect().await.map_err(|trouble| target.error(trouble))?;
        Ok(Self { target, session })
    }

    /// Waits for the lock of those who commit, and keeps it.
    pub(crate) async fn begin(&mut self) -> Result<Importing<'_>, RecordsError> {
        let Import { target, session } = self;
        begin(target, session).await.map_err(|trouble| target.error(trouble))
    }
}

async fn begin<'a>(target: &'a Target, session: &'a mut Session) -> Result<Importing<'a>, Trouble> {
    let begin = session.client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
    let transaction = begin.start().await?;
    // The file may take long to read.
    transaction.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
    let row = transaction.query_opt("SELECT version FROM records.store FOR UPDATE", &[]).await?;
    let row = row.ok_or_else(|| damaged(&target.at, "records.store is empty"))?;
    // Accounting does not take that lock.
    transaction.batch_execute("LOCK TABLE records.session IN SHARE ROW EXCLUSIVE MODE").await?;
    Ok(Importing {
        target,
        put: transaction.prepare(objects::PUT).await?,
        put_last: transaction.prepare(objects::PUT_LAST).await?,
        merge: transaction.prepare(&sessions::merge_statement()).await?,
        version: row.get::<_, i64>(0) as u64,
        transaction,
    })
}

impl Importing<'_> {
    /// Of the database before.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn not_empty(&self, objects: u64, sessions: u64) -> RecordsError {
        RecordsError::NotEmpty { at: self.target.at.clone(), objects, sessions }
    }

    pub(crate) fn differs(&self, wanted: &Contents, there: &Contents) -> RecordsError {
        let reason =
            format!("what was written does not read back: {wanted:?} was written, {there:?} is there");
        RecordsError::Failed { at: self.target.at.clone(), reason }
    }

    /// Deletes all records.
    pub(crate) async fn clear(&mut self) -> Result<(), RecordsError> {
        let text = "DELETE FROM records.object; DELETE FROM records.last_id; DELETE FROM records.change;
            DELETE FROM records.session";
        self.transaction.batch_execute(text).await.map_err(|error| self.target.error(error.into()))
    }

    pub(crate) async fn put(&mut self, batch: &Batch) -> Result<(), RecordsError> {
        let run = async || -> Result<(), Trouble> {
            match batch {
                Batch::Objects(rows) => {
                    let mut put = Put::default();
                    for (key, row) in rows {
                        put.add(key, row, objects::says(&self.target.at, key, row)?);
                    }
                    put.execute(&self.transaction, &self.put).await?;
                }
                Batch::Last(last) => {
                    let last = last.iter().map(|((kind, scope), id)| (*kind, scope.as_str(), *id));
                    objects::put_last(&self.transaction, &self.put_last, last).await?;
                }
                Batch::Sessions(all) => sessions::merge(&self.transaction, &self.merge, all.iter()).await?,
            }
            Ok(())
        };
        run().await.map_err(|trouble| self.target.error(trouble))
    }

    /// Reads all there is.
    pub(crate) async fn contents(
        &self,
        progress: &mut (dyn FnMut(&Contents) + Send),
    ) -> Result<Contents, RecordsError> {
        self.read(progress).await.map_err(|trouble| self.target.error(trouble))
    }

    async fn read(&self, progress: &mut (dyn FnMut(&Contents) + Send)) -> Result<Contents, Trouble> {
        let at = &self.target.at;
        let mut contents = Contents::default();
        let none: [&(dyn ToSql + Sync); 0] = [];
        let text = "SELECT account, kind, key, version, body FROM records.object";
        let mut rows = pin!(self.transaction.query_raw(text, none).await?.try_chunks(BATCH));
        while let Some(rows) = rows.try_next().await.map_err(|error| error.1)? {
            let objects = rows.iter().map(|row| objects::object(at, row)).collect::<Result<_, _>>()?;
            contents.add(&Batch::Objects(objects));
            progress(&contents);
        }
        let last = self.transaction.query("SELECT kind, account, id FROM records.last_id", &[]).await?;
        let last = last
            .iter()
            .map(|row| Ok(((objects::kind(at, row.get(0))?, row.get(1)), row.get::<_, i64>(2) as u64)));
        contents.add(&Batch::Last(last.collect::<Result<_, RecordsError>>()?));
        let text = sessions::select();
        let mut rows = pin!(self.transaction.query_raw(&text, none).await?.try_chunks(BATCH));
        while let Some(rows) = rows.try_next().await.map_err(|error| error.1)? {
            let sessions = rows.iter().map(|row| sessions::session(at, row)).collect::<Result<_, _>>()?;
            contents.add(&Batch::Sessions(sessions));
            progress(&contents);
        }
        Ok(contents)
    }

    /// Makes it durable; those who follow the database load again.
    pub(crate) async fn commit(self, version: Version) -> Result<(), RecordsError> {
        let Importing { target, transaction, .. } = self;
        let run = async || -> Result<(), Trouble> {
            let text = "UPDATE records.store SET version = $1 RETURNING pg_notify('records', '')";
            transaction.query(text, &[&(version as i64)]).await?;
            transaction.commit().await.map_err(|error| match Trouble::from(error) {
                Trouble::Lost(reason) => Trouble::Unknown(reason),
                other => other,
            })
        };
        run().await.map_err(|trouble| target.error(trouble))
    }
}
