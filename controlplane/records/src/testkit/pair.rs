//! A primary and its synchronous standby: what is acknowledged is on both.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio_postgres::{Client, NoTls};

use super::machine::{Machine, Node, StartError};

/// Two servers, of which one takes writes; stopped and wiped when dropped. Methods that are not `async` block their thread.
pub struct Pair {
    // Before the directory goes.
    nodes: [Node; 2],
    machine: Machine,
    /// Which of them.
    primary: AtomicUsize,
}

/// A standby that is not there after that long is not coming.
const PATIENCE: Duration = Duration::from_secs(60);
/// While there is no standby, commits wait. Segments are kept for a standby that is being made.
const SETTINGS: [&str; 4] = ["-c", "synchronous_standby_names=standby", "-c", "wal_keep_size=64MB"];

impl Pair {
    /// Both are there, with an empty database.
    pub async fn start() -> Result<Self, StartError> {
        let machine = Machine::new()?;
        let nodes = [machine.node("a")?, machine.node("b")?];
        machine.initialize(&nodes[0])?;
        machine.launch(&nodes[0], &SETTINGS)?;
        let pair = Pair { nodes, machine, primary: AtomicUsize::new(0) };
        let client = pair.client("postgres").await?;
        let create = "SET synchronous_commit = local";
        client.batch_execute(create).await.map_err(|error| failed(&error.to_string()))?;
        client.batch_execute("CREATE DATABASE ttg").await.map_err(|error| failed(&error.to_string()))?;
        pair.make_standby()?;
        pair.synchronous().await?;
        Ok(pair)
    }

    /// How to connect to the database, wherever it is.
    pub fn connection(&self) -> String {
        let [a, b] = self.nodes.each_ref().map(|node| node.directory.display().to_string());
        format!("host={a},{b} user=ttg dbname=ttg")
    }

    /// Kills the primary.
    pub fn crash_primary(&self) {
        self.primary().crash();
    }

    /// Starts the primary again, as the primary: only if the standby was not promoted.
    pub fn restart_primary(&self) -> Result<(), StartError> {
        self.machine.launch(self.primary(), &SETTINGS)
    }

    /// Kills the standby.
    pub fn crash_standby(&self) {
        self.standby().crash();
    }

    /// Starts the standby again.
    pub fn restart_standby(&self) -> Result<(), StartError> {
        self.machine.launch(self.standby(), &SETTINGS)
    }

    /// The standby becomes the primary. The other must have been killed, and is lost.
    pub fn promote(&self) -> Result<(), StartError> {
        self.primary().crash();
        let standby = self.standby();
        let mut promote = self.machine.program("pg_ctl");
        promote.args(["promote", "--no-wait", "--silent", "-D"]).arg(standby.data());
        self.machine.run("pg_ctl", promote)?;
        self.primary.fetch_xor(1, Ordering::SeqCst);
        Ok(())
    }

    /// Makes a standby of the primary, anew, and starts it.
    pub fn make_standby(&self) -> Result<(), StartError> {
        let (primary, standby) = (self.primary(), self.standby());
        standby.crash();
        wipe(&standby.data())?;
        let from = format!("host={} user=ttg application_name=standby", primary.directory.display());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut copy = self.machine.program("pg_basebackup");
            copy.args([
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
                "--no-sync",
                "--dbname",
            ])
            .arg(&from)
            .arg("--pgdata")
            .arg(standby.data());
            match self.machine.run("pg_basebackup", copy) {
                Ok(()) => break,
                // It is still being promoted.
                Err(StartError::Failed { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                    wipe(&standby.data())?;
                }
                Err(error) => return Err(error),
            }
        }
        self.restart_standby()
    }

    /// Until what is acknowledged is on both.
    pub async fn synchronous(&self) -> Result<(), StartError> {
        let deadline = Instant::now() + PATIENCE;
        let text = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        loop {
            if let Ok(client) = self.client("postgres").await
                && client.query_opt(text, &[]).await.is_ok_and(|row| row.is_some())
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(failed("the standby does not keep up"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Connected to the primary.
    async fn client(&self, database: &str) -> Result<Client, StartError> {
        let at = format!("host={} user=ttg dbname={database}", self.primary().directory.display());
        let (client, connection) =
            tokio_postgres::connect(&at, NoTls).await.map_err(|error| failed(&error.to_string()))?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn primary(&self) -> &Node {
        &self.nodes[self.primary.load(Ordering::SeqCst)]
    }

    fn standby(&self) -> &Node {
        &self.nodes[1 - self.primary.load(Ordering::SeqCst)]
    }
}

fn wipe(data: &Path) -> Result<(), StartError> {
    match std::fs::remove_dir_all(data) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StartError::Io { what: "cannot remove what the old server had", source })
        }
        _ => Ok(()),
    }
}

fn failed(said: &str) -> StartError {
    StartError::Failed { program: "postgres", log: said.to_owned() }
}
