//! Reading a TOML file into a configuration, with errors that say what, where and what to do.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Config;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("cannot read the configuration {}: {error}. Name an existing file with --config; README.md has an example to start from.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, a missing key, or a value of the wrong form.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, column, the line itself, and what was expected there.
        message: String,
    },
    /// Every value is well formed but they do not go together.
    #[error("{}: {message}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What does not fit, and what to do.
        message: String,
    },
}

/// Reads any TOML configuration; keys that the type does not know are refused.
pub fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    toml::from_str(&text).map_err(|error| ConfigError::Invalid {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

/// Reads and checks the control daemon's configuration.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let config: Config = parse(path)?;
    config.check().map_err(|message| ConfigError::Inconsistent { path: path.to_owned(), message })?;
    Ok(config)
}
