//! A private FreeRADIUS on loopback, for tests, the demo and the lab.
//!
//! Its configuration, certificates and files live in a directory of their own that goes when the value does; it listens on
//! free ports of 127.0.0.1 and speaks EAP-TLS, EAP-TTLS, PEAP, EAP-MSCHAPv2, EAP-GTC and EAP-MD5.

mod certificates;
mod raddb;

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use crate::{
    client::Server,
    packet::{EmptySecret, Secret},
};

/// Name in the server's certificate, for supplicants that check it.
pub const SERVER_NAME: &str = "radius.example.org";
/// Common name of the client's certificate, and so the identity to use with EAP-TLS.
pub const CLIENT_NAME: &str = "device@example.org";

/// Who may log on.
#[derive(Clone, Debug)]
pub struct User {
    /// User-Name.
    pub name: String,
    /// Clear-text password; `None` for users of EAP-TLS.
    pub password: Option<String>,
    /// Reply attributes in the users-file syntax, such as `Class = "gold"` or `Tunnel-Private-Group-Id = "7"`.
    pub reply: Vec<String>,
}

impl User {
    /// A user with a password and no reply attributes.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Some(password.into()), reply: Vec::new() }
    }

    /// Adds a reply attribute.
    pub fn reply(mut self, line: impl Into<String>) -> Self {
        self.reply.push(line.into());
        self
    }

    /// Adds what assigns a VLAN.
    pub fn vlan(self, id: u16) -> Self {
        self.reply("Tunnel-Type = VLAN")
            .reply("Tunnel-Medium-Type = IEEE-802")
            .reply(format!("Tunnel-Private-Group-Id = \"{id}\""))
    }
}

/// What the server is to be.
#[derive(Clone, Debug)]
pub struct FreeRadiusConfig {
    /// Shared secret of the client 127.0.0.1.
    pub secret: String,
    /// Users.
    pub users: Vec<User>,
    /// The EAP method offered first: `md5`, `tls`, `ttls`, `peap`, `mschapv2`, `gtc`.
    pub default_eap: String,
}

impl Default for FreeRadiusConfig {
    /// User `alice` with password `wonderland`, EAP-TLS for [`CLIENT_NAME`], secret `testing123-loopback`, PEAP offered first.
    fn default() -> Self {
        let device = User { name: CLIENT_NAME.into(), password: None, reply: Vec::new() };
        Self {
            secret: "testing123-loopback".into(),
            users: vec![User::new("alice", "wonderland"), device],
            default_eap: "peap".into(),
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A program is not installed.
    #[error("{program} is not installed: apt-get install {package} (deploy/setup.sh does it)")]
    Missing {
        /// What was called.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
    },
    /// A file or process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// `openssl` failed.
    #[error("openssl cannot make the test certificates: {0}")]
    Certificates(String),
    /// It ended instead of getting ready.
    #[error("freeradius did not get ready; its last lines:\n{0}")]
    NotReady(String),
    /// The secret is empty.
    #[error(transparent)]
    Secret(#[from] EmptySecret),
}

/// A running server; stopped and wiped when dropped.
pub struct FreeRadius {
    process: Child,
    directory: tempfile::TempDir,
    log: Log,
    secret: Secret,
    authentication: SocketAddr,
    accounting: SocketAddr,
}

/// Lines, and a sign that there are more.
type Log = Arc<(Mutex<Vec<String>>, Condvar)>;

impl FreeRadius {
    /// Starts a server and waits until it is ready.
    pub fn start(config: &FreeRadiusConfig) -> Result<Self, StartError> {
        let secret = Secret::new(config.secret.as_str())?;
        let directory = tempfile::Builder::new()
            .prefix("freeradius-")
            .tempdir()
            .map_err(|source| StartError::Io { what: "cannot make a temporary directory".into(), source })?;
        certificates::make(&directory.path().join("certs"))?;
        let mut attempts = 5;
        loop {
            let [authentication, accounting] = free_ports()?;
            raddb::write(directory.path(), config, authentication, accounting)?;
            match launch(directory.path()) {
                Ok((process, log)) => {
                    return Ok(Self { process, directory, log, secret, authentication, accounting });
                }
                // Somebody took a port between our choosing it and FreeRADIUS opening it.
                Err(StartError::NotReady(log)) if attempts > 1 && log.contains("Address already in use") => {
                    attempts -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it takes Access-Requests.
    pub fn authentication(&self) -> SocketAddr {
        self.authentication
    }

    /// Where it takes Accounting-Requests.
    pub fn accounting(&self) -> SocketAddr {
        self.accounting
    }

    /// The shared secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// It as an authentication server of a client.
    pub fn authentication_server(&self) -> Server {
        Server::new(self.authentication, self.secret.clone())
    }

    /// It as an accounting server of a client.
    pub fn accounting_server(&self) -> Server {
        Server::new(self.accounting, self.secret.clone())
    }

    /// The authority's certificate (PEM), which supplicants trust.
    pub fn ca_certificate(&self) -> PathBuf {
        self.directory.path().join("certs/ca.pem")
    }

    /// The certificate (PEM) of a device, issued to [`CLIENT_NAME`].
    pub fn client_certificate(&self) -> PathBuf {
        self.directory.path().join("certs/client.pem")
    }

    /// Its private key (PEM, not encrypted).
    pub fn client_key(&self) -> PathBuf {
        self.directory.path().join("certs/client.key")
    }

    /// Accounting records received so far, each from attribute name to value (FreeRADIUS' names, quotes removed).
    pub fn accounting_records(&self) -> Vec<BTreeMap<String, String>> {
        let text = std::fs::read_to_string(self.directory.path().join("detail")).unwrap_or_default();
        text.split("\n\n").filter(|entry| entry.contains(" = ")).map(detail_entry).collect()
    }

    /// What it printed so far: every request and reply with its attributes, and what it did about them.
    pub fn log(&self) -> String {
        lines(&self.log).join("\n")
    }

    /// Waits until it has printed a line that contains `text`; false after ten seconds without. Blocks its thread.
    pub fn logged(&self, text: &str) -> bool {
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let wait = self.log.1.wait_timeout_while(lines(&self.log), Duration::from_secs(10), missing);
        !wait.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Makes it deaf, as if the machine hung: what arrives waits until [`FreeRadius::resume`].
    pub fn pause(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("the process is gone")) }
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two free UDP ports of loopback.
fn free_ports() -> Result<[SocketAddr; 2], StartError> {
    let error = |source| StartError::Io { what: "cannot find a free UDP port on 127.0.0.1".into(), source };
    let open = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(error);
    let sockets = [open()?, open()?];
    Ok([sockets[0].local_addr().map_err(error)?, sockets[1].local_addr().map_err(error)?])
}

/// Starts the process and waits for its word that it is ready.
fn launch(directory: &Path) -> Result<(Child, Log), StartError> {
    let mut process = Command::new("freeradius")
        .args(["-f", "-xx", "-l", "stdout", "-d"])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StartError::Missing { program: "freeradius", package: "freeradius" },
            _ => StartError::Io { what: "cannot run freeradius".into(), source },
        })?;
    let log = Log::default();
    let (ready, wait) = mpsc::channel();
    if let Some(output) = process.stdout.take() {
        let log = Arc::clone(&log);
        // Reads until the process ends, so that it never blocks on a full pipe; `ready` is dropped then at the latest.
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if text.contains("Ready to process requests") {
                    // Nobody waits any more after the first.
                    let _ = ready.send(());
                }
                lines(&log).push(text);
                log.1.notify_all();
            }
        });
    }
    if wait.recv_timeout(Duration::from_secs(30)).is_ok() {
        return Ok((process, log));
    }
    let _ = process.kill();
    let _ = process.wait();
    let lines = lines(&log);
    Err(StartError::NotReady(lines[lines.len().saturating_sub(15)..].join("\n")))
}

fn lines(log: &Log) -> MutexGuard<'_, Vec<String>> {
    log.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn detail_entry(entry: &str) -> BTreeMap<String, String> {
    entry
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}
