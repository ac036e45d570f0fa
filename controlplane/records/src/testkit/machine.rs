//! Starting and killing the programs of PostgreSQL, as a user that it accepts.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

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

/// A directory that goes when the value does, and who runs programs in it.
pub(super) struct Machine {
    directory: tempfile::TempDir,
    user: Option<(u32, u32)>,
}

/// A server, or the place for one. Killed when dropped.
pub(super) struct Node {
    /// Of its socket, and of its data.
    pub(super) directory: PathBuf,
    process: Mutex<Option<Child>>,
}

fn trouble(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Io { what, source }
}

impl Machine {
    pub(super) fn new() -> Result<Self, StartError> {
        let directory = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir()
            .map_err(trouble("cannot make a directory"))?;
        let user = unprivileged().map_err(trouble("cannot find out who runs this"))?;
        let machine = Machine { directory, user };
        machine.give(machine.directory.path())?;
        Ok(machine)
    }

    /// A place for a server.
    pub(super) fn node(&self, name: &str) -> Result<Node, StartError> {
        let directory = self.directory.path().join(name);
        std::fs::create_dir(&directory).map_err(trouble("cannot make a directory"))?;
        self.give(&directory)?;
        Ok(Node { directory, process: Mutex::default() })
    }

    fn give(&self, directory: &Path) -> Result<(), StartError> {
        match self.user {
            Some((uid, gid)) => {
                chown(directory, Some(uid), Some(gid)).map_err(trouble("cannot give away the directory"))
            }
            None => Ok(()),
        }
    }

    /// Makes a cluster.
    pub(super) fn initialize(&self, node: &Node) -> Result<(), StartError> {
        let options = ["--username=ttg", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"];
        let mut command = self.program("initdb");
        // Small ones, so that standbys are made quickly.
        command.args(options).args(["--wal-segsize=1", "--pgdata"]).arg(node.data());
        self.run("initdb", command)
    }

    /// Runs a program to its end.
    pub(super) fn run(&self, program: &'static str, mut command: Command) -> Result<(), StartError> {
        let done = command.output().map_err(|source| missing(program, "cannot run it", source))?;
        if done.status.success() {
            return Ok(());
        }
        let log = String::from_utf8_lossy(&done.stderr).into_owned();
        Err(StartError::Failed { program, log })
    }

    /// Starts the server, again if it runs, and waits until it is ready.
    pub(super) fn launch(&self, node: &Node, more: &[&str]) -> Result<(), StartError> {
        node.crash();
        let mut attempts = 50;
        let process = loop {
            match self.attempt(node, more) {
                // The kernel still tidies up after those that were killed.
                Err(StartError::Failed { log, .. }) if attempts > 0 && log.contains("still in use") => {
                    attempts -= 1
                }
                other => break other?,
            }
        };
        *node.process() = Some(process);
        Ok(())
    }

    fn attempt(&self, node: &Node, more: &[&str]) -> Result<Child, StartError> {
        let mut process = self
            .program("postgres")
            .arg("-D")
            .arg(node.data())
            .arg("-k")
            .arg(&node.directory)
            .args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=60"])
            .args(["-c", "shared_buffers=32MB", "-c", "dynamic_shared_memory_type=posix"])
            .args(more)
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
            if line.contains("ready to accept") {
                return Ok(process);
            }
            log.push(line);
        }
        let _ = process.kill();
        let _ = process.wait();
        let log = log[log.len().saturating_sub(15)..].join("\n");
        Err(StartError::Failed { program: "postgres", log })
    }

    /// To be run as somebody who is not root: it refuses to be.
    pub(super) fn program(&self, name: &'static str) -> Command {
        let mut command = Command::new(binary(name));
        command.current_dir(self.directory.path()).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Node {
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Kills it with all its processes, as if the machine lost power but not its disk's cache.
    pub(super) fn crash(&self) {
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

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops a process of ours, or lets it go on; it has when this returns.
pub(super) fn stop(process: u32, stop: bool) {
    signal(if stop { "-STOP" } else { "-CONT" }, &[process]);
    let stat = PathBuf::from(format!("/proc/{process}/stat"));
    let stopped = || Some(std::fs::read_to_string(&stat).ok()?.rsplit_once(')')?.1.starts_with(" T"));
    // One that is gone is neither.
    while stopped().is_some_and(|stopped| stopped != stop) {
        std::thread::yield_now();
    }
}

impl Drop for Node {
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
