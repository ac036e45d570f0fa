//! What the configuration says of the records: the database that control processes share.

use std::{fmt, path::PathBuf};

use records::{Database, RecordsError};
use serde::Deserialize;

/// A PostgreSQL database instead of a file of this process.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// As `psql` takes it: `host=a,b dbname=ttg user=ttg`, or a URL.
    postgres: String,
    /// A file with the password, so that it is not here.
    password_file: Option<PathBuf>,
}

impl Records {
    /// The database, with its password.
    ///
    /// # Errors
    /// The file of the password cannot be read.
    pub fn database(&self) -> Result<Database, RecordsError> {
        let Some(path) = &self.password_file else { return Ok(self.postgres.as_str().into()) };
        let failed = |reason: String| RecordsError::Configuration {
            reason: format!(
                "`password_file` of [records] is {}, and {reason}; it must hold the password and nothing else",
                path.display()
            ),
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(failed("it is empty".to_owned())),
            password => Ok(Database::from(self.postgres.as_str()).with_password(password)),
        }
    }
}

/// The connection string may have a password.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("password_file", &self.password_file).finish_non_exhaustive()
    }
}
