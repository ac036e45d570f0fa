//! `controlplane migrate`: moves the records from the file of one process into the database that several share.

use std::io::{self, Write};

use records::{Phase, RecordsError};

use crate::config::Config;

/// Nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no database to move to.
    #[error(
        "the configuration does not say whereto: add [records] with postgres = \"host=… dbname=… user=…\"; README.md explains it"
    )]
    NoDatabase,
    /// The database has others.
    #[error("{0} (--replace)")]
    NotEmpty(RecordsError),
    /// Whatever goes wrong with file or database.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Nobody can be told.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Moves all records, or none. Says what it does on `progress`, and what it did on `out`.
pub async fn run(
    config: &Config,
    replace: bool,
    out: &mut (dyn Write + Send),
    progress: &mut (dyn Write + Send),
) -> Result<(), MigrateError> {
    let to = config.records.as_ref().ok_or(MigrateError::NoDatabase)?.database()?;
    let from = config.file_of_records();
    let mut told = None;
    let mut tell = |now: records::Progress| {
        if told.replace(now.phase) != Some(now.phase) {
            let phase = match now.phase {
                Phase::Reading => "reading the file",
                Phase::Copying => "writing the database",
                Phase::Comparing => "comparing",
            };
            // It is for those who wait; nothing depends on it.
            let _ = writeln!(progress, "{phase}…");
        }
    };
    let moved = records::migrate(&from, to, replace, &mut tell).await.map_err(|error| match error {
        RecordsError::NotEmpty { .. } => MigrateError::NotEmpty(error),
        other => other.into(),
    })?;
    let (objects, sessions, version) = (moved.objects, moved.sessions, moved.version);
    let what = format!("{objects} objects and the accounting of {sessions} sessions, version {version}");
    if moved.before {
        writeln!(out, "{what}: all of it was in the database already, nothing was written")?;
    } else {
        writeln!(out, "{what}: moved into the database, read back and compared")?;
    }
    writeln!(out, "{} is as it was; control does not use it while there is [records]", from.display())?;
    Ok(())
}
