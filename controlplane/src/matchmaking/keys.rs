//! The matchmaker's keys: made on the first start, kept in the state directory, readable by nobody else.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use proto::matchmaking::{Key, StaticSecret, server::TicketKey};

/// The static key, and what tickets are sealed under.
pub(crate) struct Keys {
    pub secret: StaticSecret,
    pub ticket: TicketKey,
}

/// A file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the matchmaker's key file {}: {problem}", path.display())]
pub struct KeysError {
    path: PathBuf,
    problem: String,
}

/// The name of the file in the state directory. Whoever has it can pose as the matchmaker.
pub(super) const FILE: &str = "matchmaker.key";
/// Static secret, ticket key, the ticket key's number.
const OCTETS: usize = 32 + 32 + 4;

/// Reads the keys, or makes them.
pub(crate) fn load_or_make(path: &Path) -> Result<Keys, KeysError> {
    match read(path) {
        Ok(octets) => Ok(keys(&octets)),
        Err(Problem::Missing) => make(path).map(|octets| keys(&octets)),
        Err(Problem::Other(problem)) => Err(KeysError { path: path.to_owned(), problem }),
    }
}

enum Problem {
    Missing,
    Other(String),
}

fn read(path: &Path) -> Result<[u8; OCTETS], Problem> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Problem::Missing),
        Err(error) => return Err(Problem::Other(error.to_string())),
    };
    let other = |error: io::Error| Problem::Other(error.to_string());
    let mode = file.metadata().map_err(other)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Problem::Other(format!(
            "others may read it (mode {:03o}); chmod 600, and if somebody may have read it, remove it: radios then need the new public key",
            mode & 0o777
        )));
    }
    let mut octets = Vec::new();
    file.read_to_end(&mut octets).map_err(other)?;
    octets.try_into().map_err(|octets: Vec<u8>| {
        Problem::Other(format!("it has {} octets instead of {OCTETS}; restore it from a copy", octets.len()))
    })
}

/// Whole or not at all, also if the machine stops in between.
fn make(path: &Path) -> Result<[u8; OCTETS], KeysError> {
    let mut octets = [0; OCTETS];
    getrandom::fill(&mut octets).expect("the operating system has entropy");
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&temporary);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&octets)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|error| KeysError { path: path.to_owned(), problem: error.to_string() })?;
    Ok(octets)
}

fn keys(octets: &[u8; OCTETS]) -> Keys {
    let part = |at: usize| {
        let mut part = [0; 32];
        part.copy_from_slice(&octets[at..at + 32]);
        part
    };
    let id = u32::from_be_bytes([octets[64], octets[65], octets[66], octets[67]]);
    Keys { secret: StaticSecret::new(part(0)), ticket: TicketKey { id, key: Key(part(32)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_others_may_not_read_them() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        let made = load_or_make(&path).unwrap();
        let again = load_or_make(&path).unwrap();
        assert_eq!(made.secret.public(), again.secret.public());
        assert_eq!((made.ticket.id, made.ticket.key.0), (again.ticket.id, again.ticket.key.0));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let said = load_or_make(&path).err().unwrap().to_string();
        assert!(said.contains("mode 644") && said.contains("chmod 600"), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [1; 7]).unwrap();
        let said = load_or_make(&path).err().unwrap().to_string();
        assert!(said.contains("7 octets instead of 68"), "{said}");
    }
}
