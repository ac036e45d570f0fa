//! The records on disk: a redb file with what is to be sent and what has begun and not ended.

use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use super::record::Stored;

/// Order of submission → [`Stored`].
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// Acct-Session-Id → the last [`Stored`] of a session that has not ended.
const OPEN: TableDefinition<&str, &[u8]> = TableDefinition::new("open");

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the accounting store {} is in use by another process; stop that, or configure another path", .0.display())]
    InUse(PathBuf),
    /// The file cannot be opened or created.
    #[error("cannot open the accounting store {}: {source}; its directory must exist and be writable", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a store, or is damaged.
    #[error("{} is no accounting store, or is damaged: {reason}; move it away to begin a new one (its unsent records are then lost)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A later read or write failed.
    #[error("the accounting store {} fails: {reason}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
}

pub(super) struct Store {
    database: Database,
    path: PathBuf,
}

/// What one transaction changes.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) add: Vec<(u64, &'a Stored)>,
    pub(super) remove: Vec<u64>,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::create(path).map_err(|error| open_error(path, error))?;
        let store = Self { database, path: path.to_owned() };
        // Makes the tables, so that reading never finds them missing.
        store.write(Durability::Immediate, |transaction| {
            transaction.open_table(RECORDS)?;
            transaction.open_table(OPEN)?;
            Ok(())
        })?;
        Ok(store)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Every record to be sent, in order, with its length; records that cannot be read are an error.
    pub(super) fn load(&self) -> Result<Vec<(u64, Stored, usize)>, StoreError> {
        let rows = self.read(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            let rows = table.iter()?.map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())));
            rows.collect::<Result<Vec<_>, _>>().map_err(Into::into)
        })?;
        rows.into_iter()
            .map(|(key, bytes)| {
                let record = Stored::from_bytes(&bytes).ok_or_else(|| StoreError::Damaged {
                    path: self.path.clone(),
                    reason: format!("record {key} is unreadable"),
                })?;
                Ok((key, record, bytes.len()))
            })
            .collect()
    }

    /// Sessions that have not ended.
    pub(super) fn open_sessions(&self) -> Result<Vec<Stored>, StoreError> {
        let rows = self.read(|transaction| {
            let table = transaction.open_table(OPEN)?;
            let rows = table.iter()?.map(|row| row.map(|(_, value)| Stored::from_bytes(value.value())));
            rows.collect::<Result<Vec<_>, _>>().map_err(Into::into)
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The last record of a session that has not ended.
    pub(super) fn open_session(&self, session_id: &str) -> Result<Option<Stored>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(OPEN)?;
            Ok(table.get(session_id)?.and_then(|value| Stored::from_bytes(value.value())))
        })
    }

    /// One record to be sent.
    pub(super) fn get(&self, key: u64) -> Result<Option<Stored>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            Ok(table.get(key)?.and_then(|value| Stored::from_bytes(value.value())))
        })
    }

    /// Adds and removes; on disk when this returns.
    pub(super) fn commit(&self, change: &Change<'_>) -> Result<(), StoreError> {
        self.write(Durability::Immediate, |transaction| {
            let mut records = transaction.open_table(RECORDS)?;
            let mut open = transaction.open_table(OPEN)?;
            for key in &change.remove {
                records.remove(key)?;
            }
            for (key, record) in &change.add {
                let bytes = record.to_bytes();
                records.insert(key, bytes.as_slice())?;
                if record.leaves_open() {
                    open.insert(record.session_id.as_str(), bytes.as_slice())?;
                } else {
                    open.remove(record.session_id.as_str())?;
                }
            }
            Ok(())
        })
    }

    /// Forgets acknowledged records. Not yet on disk on return: after a crash they are sent again, which does no harm.
    pub(super) fn acknowledge(&self, key: u64) -> Result<(), StoreError> {
        self.write(Durability::None, |transaction| {
            transaction.open_table(RECORDS)?.remove(key)?;
            Ok(())
        })
    }

    /// Puts on disk what [`Store::acknowledge`] did.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.write(Durability::Immediate, |_| Ok(()))
    }

    fn read<T>(
        &self,
        act: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let result = self.database.begin_read().map_err(Into::into).and_then(|transaction| act(&transaction));
        result.map_err(|error| self.failed(&error))
    }

    fn write(
        &self,
        durability: Durability,
        act: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let run = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(durability)?;
            act(&transaction)?;
            Ok(transaction.commit()?)
        };
        run().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &redb::Error) -> StoreError {
        StoreError::Failed { path: self.path.clone(), reason: error.to_string() }
    }
}

fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path),
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData =>
        {
            StoreError::Io { path, source }
        }
        other => StoreError::Damaged { path, reason: other.to_string() },
    }
}
