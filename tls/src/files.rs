//! Certificates, keys and secrets out of files, and those files read again when they change.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not for us.
    #[error("cannot read the {what} {}: {error}", path.display())]
    Unreadable {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Somebody else may read a secret.
    #[error("everybody may read the {what} {} (mode {mode:03o}): chmod 600 it, and if somebody may have read it, replace what is in it", path.display())]
    Open {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Something else is in it.
    #[error("the {what} {} {problem}", path.display())]
    Content {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// They do not go together.
    #[error("the key {} is not that of the certificate {}: {error}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
}

/// A certificate with what is between it and its authority, and its key; both in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificates, the own one first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Identity {
    pub(crate) fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), FileError> {
        Ok((certificates("certificate", &self.certificate)?, key(&self.key)?))
    }

    pub(crate) fn mismatch(&self, error: rustls::Error) -> FileError {
        FileError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone(), error }
    }
}

/// Most octets of a file; more is not what it should be.
const MAX: u64 = 4 << 20;

/// A file that is not secret.
pub fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |error| FileError::Unreadable { what, path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    whole(what, path, file)
}

/// A file that not everybody may read.
pub fn secret(what: &'static str, path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |error| FileError::Unreadable { what, path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(FileError::Open { what, path: path.to_owned(), mode });
    }
    whole(what, path, file)
}

fn whole(what: &'static str, path: &Path, file: File) -> Result<Vec<u8>, FileError> {
    let mut octets = Vec::new();
    file.take(MAX).read_to_end(&mut octets).map_err(|error| FileError::Unreadable {
        what,
        path: path.to_owned(),
        error,
    })?;
    Ok(octets)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let content = |problem| FileError::Content { what, path: path.to_owned(), problem };
    let octets = read(what, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    let all = all.map_err(|error| content(format!("is damaged: {error}")))?;
    if all.is_empty() {
        return Err(content(
            "has no certificate in PEM form in it (-----BEGIN CERTIFICATE-----); `openssl x509 -in FILE -inform DER` makes PEM of DER".to_owned(),
        ));
    }
    Ok(all)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let octets = secret("key", path)?;
    PrivateKeyDer::from_pem_slice(&octets).map_err(|error| FileError::Content {
        what: "key",
        path: path.to_owned(),
        problem: format!(
            "has no private key without passphrase in PEM form in it (-----BEGIN PRIVATE KEY-----): {error}"
        ),
    })
}

/// The authorities whose certificates are believed.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, FileError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("authority's certificate", path)? {
        store.add(certificate).map_err(|error| FileError::Content {
            what: "authority's certificate",
            path: path.to_owned(),
            problem: format!("cannot be used: {error}"),
        })?;
    }
    Ok(store)
}

/// What is made of files, made anew when they change. If that fails, what was there stays, and it is logged once.
pub struct Watched<T> {
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, FileError> + Send + Sync>,
    made: Mutex<(Stamp, Arc<T>)>,
}

/// Tells whether files are as they were.
type Stamp = Vec<Option<(SystemTime, u64, u64, u32)>>;

impl<T> Watched<T> {
    /// Makes it the first time; then it must succeed.
    pub fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, FileError> + Send + Sync + 'static,
    ) -> Result<Watched<T>, FileError> {
        // Before: what changes meanwhile is seen next time.
        let stamp = stamp(&files);
        let made = Mutex::new((stamp, Arc::new(make()?)));
        Ok(Watched { files, make: Box::new(make), made })
    }

    /// As the files are now.
    pub fn now(&self) -> Arc<T> {
        let stamp = stamp(&self.files);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.0 != stamp {
            match (self.make)() {
                Ok(new) => {
                    made.1 = Arc::new(new);
                    tracing::info!(files = ?self.files, "read again, since it changed");
                }
                Err(error) => {
                    tracing::warn!(%error, "what changed cannot be used; what was there before stays in use")
                }
            }
            made.0 = stamp;
        }
        made.1.clone()
    }
}

fn stamp(files: &[PathBuf]) -> Stamp {
    let of = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        // The mode too: a file that everybody may read is not good any more.
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino(), metadata.mode()))
    };
    files.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let said = secret("token file", &path).unwrap_err().to_string();
        assert!(said.contains("everybody may read the token file") && said.contains("mode 644"), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(secret("token file", &path).unwrap(), b"x");
        let said = authorities(&path).unwrap_err().to_string();
        assert!(said.contains("no certificate in PEM form"), "{said}");
        let said = key(&path).unwrap_err().to_string();
        assert!(said.contains("no private key"), "{said}");
    }

    #[test]
    fn what_changes_is_read_again_unless_it_cannot_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        fs::write(&path, "7").unwrap();
        let file = path.clone();
        let watched = Watched::new(vec![path.clone()], move || {
            let text = String::from_utf8_lossy(&read("number", &file)?).into_owned();
            text.parse::<u32>().map_err(|error| FileError::Content {
                what: "number",
                path: file.clone(),
                problem: error.to_string(),
            })
        })
        .unwrap();
        assert_eq!(*watched.now(), 7);
        fs::write(&path, "seventeen").unwrap();
        assert_eq!(*watched.now(), 7);
        fs::write(&path, "17").unwrap();
        assert_eq!(*watched.now(), 17);
        fs::remove_file(&path).unwrap();
        assert_eq!(*watched.now(), 17);
    }
}
