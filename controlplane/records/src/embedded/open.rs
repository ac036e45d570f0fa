//! Opening the file: whose it is, whether it is ours, and which format it has.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use redb::{Builder, DatabaseError, ReadableDatabase, StorageError, TableError, backends::FileBackend};

use super::{
    File,
    tables::{self, STORE},
};
use crate::RecordsError;

/// The format that this software writes.
const FORMAT: u64 = 1;

pub(super) fn open(path: &Path) -> Result<File, RecordsError> {
    let at = path.display().to_string();
    // It holds keys of accounts.
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| RecordsError::Io { at: at.clone(), reason: error.to_string() })?;
    let database = FileBackend::new(file)
        .and_then(|file| Builder::new().create_with_backend(file))
        .map_err(|error| unopened(at.clone(), error))?;
    sync_directory(path).map_err(|error| RecordsError::Io { at: at.clone(), reason: error.to_string() })?;
    let file = File { at, database };
    let format = format(&file)?;
    // A copy that was put back may have other rights.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| RecordsError::Io { at: file.at.clone(), reason: error.to_string() })?;
    match format {
        None => make(&file)?,
        Some(FORMAT) => {}
        Some(found) => return Err(RecordsError::Newer { at: file.at, found, known: FORMAT }),
    }
    Ok(file)
}

/// `None`: there is nothing in it yet.
fn format(file: &File) -> Result<Option<u64>, RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let transaction = file.database.begin_read().map_err(|e| error(e.into()))?;
    let table = match transaction.open_table(STORE) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => {
            let mut others = transaction.list_tables().map_err(|e| error(e.into()))?;
            return match others.next() {
                None => Ok(None),
                Some(_) => Err(file.damaged("it is a database of something else")),
            };
        }
        Err(TableError::Storage(e)) => return Err(error(e.into())),
        Err(other) => return Err(file.damaged(other.to_string())),
    };
    let format = table.get("format").map_err(|e| error(e.into()))?.map(|format| format.value());
    format.map(Some).ok_or_else(|| file.damaged("it does not say which format it has"))
}

/// Makes all tables, so that reading never finds one missing.
fn make(file: &File) -> Result<(), RecordsError> {
    let run = || -> Result<(), redb::Error> {
        let transaction = file.database.begin_write()?;
        transaction.open_table(STORE)?.insert("format", FORMAT)?;
        tables::make(&transaction)?;
        Ok(transaction.commit()?)
    };
    run().map_err(|error| file.error(error))
}

fn unopened(at: String, error: DatabaseError) -> RecordsError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            RecordsError::InUse { at }
        }
        DatabaseError::Storage(StorageError::Io(error))
            if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            RecordsError::Io { at, reason: error.to_string() }
        }
        other => RecordsError::Damaged { at, reason: other.to_string() },
    }
}

/// A new file is durable when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(directory)?.sync_all()
}
