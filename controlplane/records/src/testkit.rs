//! A private PostgreSQL for tests: on a Unix socket in a directory of its own that goes when the value does, with `fsync`.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio_postgres::{Client, NoTls};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not installed.
    #[error("{0} is not installed: apt-get install postgresql (deploy/setup.sh does it)")]
    Missing(&'static str),
    /// A file or process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed; its last lines:\n{log}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        log: String,
    },
}

/// A server; stopped and wiped when dropped.
pub struct Server {
    directory: tempfile::TempDir,
    user: Option<(u32, u32)>,
    process: Mutex<Option<Child>>,
    databases: AtomicUsize,
}

impl Server {
    /// Makes a cluster, starts its server and waits until it is ready. Blocks its thread, as all methods do.
    pub fn start() -> Result<Self, StartError> {
        let error = |what| move |source| StartError::Io { what, source };
        let directory = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir()
            .map_err(error("cannot make a directory"))?;
        let user = unprivileged().map_err(error("cannot find out who runs this"))?;
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).map_err(error("cannot give away the directory"))?;
        }
        let server = Server { directory, user, process: Mutex::default(), databases: AtomicUsize::new(0) };
        let made = server
            .program("initdb")?
            .args([
                "--username=ttg",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--no-locale",
                "--pgdata",
            ])
            .arg(server.data())
            .output()
            .map_err(|source| missing("initdb", "cannot run initdb", source))?;
        if !made.status.success() {
            let log = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(StartError::Failed { program: "initdb", log });
        }
        server.restart()?;
        Ok(server)
    }

    /// A new database; how to connect to it.
    pub async fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let client = self.connect(&self.connection("postgres")).await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a new database");
        self.connection(&name)
    }

    /// How to connect to a database that is there.
    pub fn connection(&self, database: &str) -> String {
        format!("host={} user=ttg dbname={database}", self.directory.path().display())
    }

    /// A plain client, to look at what is stored or to change it.
    pub async fn connect(&self, connection: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(connection, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Kills it with all its processes, as if the machine lost power but not its disk's cache.
    pub fn crash(&self) {
        let Some(mut process) = self.process().take() else { return };
        let id = process.id();
        // While it is stopped it starts no others.
        signal("-STOP", &[id]);
        let children = children(id);
        signal("-KILL", &children);
        // Already gone is fine.
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Starts it again, and waits until it is ready.
    pub fn restart(&self) -> Result<(), StartError> {
        self.crash();
        let mut attempts = 50;
        let process = loop {
            match self.launch() {
                // The kernel still tidies up after those that were killed.
                Err(StartError::Failed { log, .. }) if attempts > 0 && log.contains("still in use") => {
                    attempts -= 1
                }
                other => break other?,
            }
        };
        *self.process() = Some(process);
        Ok(())
    }

    fn launch(&self) -> Result<Child, StartError> {
        let mut process = self
            .program("postgres")?
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.directory.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=60"])
            .args(["-c", "shared_buffers=32MB", "-c", "dynamic_shared_memory_type=posix"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| missing("postgres", "cannot run postgres", source))?;
        let (sender, lines) = mpsc::channel();
        if let Some(log) = process.stderr.take() {
            // Reads until the process ends, so that it never blocks on a full pipe.
            std::thread::spawn(move || {
                for line in BufReader::new(log).lines().map_while(Result::ok) {
                    // Nobody listens once it is ready.
                    let _ = sender.send(line);
                }
            });
        }
        let mut log = Vec::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(30)) {
            if line.contains("ready to accept connections") {
                return Ok(process);
            }
            log.push(line);
        }
        let _ = process.kill();
        let _ = process.wait();
        let log = log[log.len().saturating_sub(15)..].join("\n");
        Err(StartError::Failed { program: "postgres", log })
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// To be run as somebody who is not root: it refuses to be.
    fn program(&self, name: &'static str) -> Result<Command, StartError> {
        let mut command = Command::new(binary(name));
        command.current_dir(self.directory.path()).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Debian has it in a directory for each version, and not in the path.
fn binary(name: &'static str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|version| {
        version.file_name().to_str().and_then(|number| number.parse::<u32>().ok()).unwrap_or_default()
    });
    match newest.map(|version| version.path().join("bin").join(name)) {
        Some(path) if path.exists() => path,
        _ => name.into(),
    }
}

fn missing(program: &'static str, what: &'static str, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::NotFound => StartError::Missing(program),
        _ => StartError::Io { what, source },
    }
}

/// Whom to run as instead, if we are root: user and group.
fn unprivileged() -> io::Result<Option<(u32, u32)>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |wanted: &str| {
        let fields =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == wanted)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.map(Some).ok_or_else(|| io::Error::other("there is neither a user `postgres` nor a user `nobody`"))
}

/// Processes that it started.
fn children(parent: u32) -> Vec<u32> {
    let number = |name: &OsStr| name.to_str().and_then(|name| name.parse::<u32>().ok());
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| number(&entry.file_name()))
        .filter(|id| parent_of(&PathBuf::from(format!("/proc/{id}/stat"))) == Some(parent))
        .collect()
}

fn parent_of(stat: &Path) -> Option<u32> {
    // The name, in parentheses, may have blanks; state and parent follow.
    let stat = std::fs::read_to_string(stat).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// To processes of ours.
fn signal(signal: &str, processes: &[u32]) {
    if !processes.is_empty() {
        // Those that are gone are gone.
        let _ = Command::new("kill")
            .arg(signal)
            .args(processes.iter().map(u32::to_string))
            .stderr(Stdio::null())
            .status();
    }
}
