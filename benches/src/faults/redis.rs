//! A Redis Cluster of real servers on addresses of the loopback interface: three masters, each with a replica, and nothing on disk but
//! which node is which.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::random::Random;

const MASTERS: usize = 3;
const NODES: usize = 2 * MASTERS;
const SLOTS: usize = 16_384;
const PORT: u16 = 6379;
/// A node that is silent for so many milliseconds is thought to have failed.
const TIMEOUT_MS: &str = "1000";
/// What does not happen within this does not happen.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(20);

/// All nodes; killed when dropped.
pub struct Cluster {
    nodes: Vec<Node>,
}

struct Node {
    ip: Ipv4Addr,
    directory: PathBuf,
    process: Option<Child>,
}

impl Cluster {
    /// Makes one, with its state below `directory`, and waits until it is whole. Blocks its thread, as all methods do.
    pub fn start(directory: &Path) -> anyhow::Result<Cluster> {
        // Addresses of our own, so that nobody takes the port of a node that is down.
        let [.., a, b] = std::process::id().to_be_bytes();
        let mut cluster = Cluster { nodes: Vec::new() };
        for number in 1..=NODES as u8 {
            let ip = Ipv4Addr::new(127, 64 + a % 128, b, 10 + number);
            let directory = directory.join(format!("redis-{number}"));
            std::fs::create_dir(&directory)?;
            let mut node = Node { ip, directory, process: None };
            node.restart()?;
            cluster.nodes.push(node);
        }
        let first = &cluster.nodes[0];
        for (n, node) in cluster.nodes.iter().enumerate() {
            // Different from the beginning, so that nobody has to agree on it.
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1))?;
            if n < MASTERS {
                let (from, to) = (n * SLOTS / MASTERS, (n + 1) * SLOTS / MASTERS - 1);
                node.ask(&format!("CLUSTER ADDSLOTSRANGE {from} {to}"))?;
            }
            if n > 0 {
                first.ask(&format!("CLUSTER MEET {} {PORT}", node.ip))?;
            }
        }
        for n in MASTERS..NODES {
            let master = cluster.nodes[n - MASTERS].ask("CLUSTER MYID")?;
            // As soon as it has heard of it.
            wait_for("a replica knows no master", || {
                Ok(cluster.nodes[n].ask(&format!("CLUSTER REPLICATE {master}")).is_ok())
            })?;
        }
        cluster.whole()?;
        Ok(cluster)
    }

    /// `HOST:PORT` of each.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("{}:{PORT}", node.ip)).collect()
    }

    /// Kills a master; which.
    pub fn kill_master(&mut self, random: &mut Random) -> anyhow::Result<usize> {
        let mut masters = Vec::new();
        for (n, node) in self.nodes.iter().enumerate() {
            if node.is_master()? {
                masters.push(n);
            }
        }
        let victim = *random.of(&masters);
        self.nodes[victim].kill();
        Ok(victim)
    }

    /// Waits until a replica has taken over from the node that was killed.
    pub fn taken_over(&self) -> anyhow::Result<()> {
        wait_for("no replica becomes a master", || {
            let mut masters = 0;
            for node in self.nodes.iter().filter(|node| node.process.is_some()) {
                masters += usize::from(node.is_master()? && node.is_content()?);
            }
            Ok(masters == MASTERS)
        })
    }

    /// Starts a node again, which has forgotten everything.
    pub fn restart(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].restart()
    }

    /// Waits until all nodes are there, content, and every master has its replica.
    pub fn whole(&self) -> anyhow::Result<()> {
        wait_for("the Redis Cluster does not become whole", || {
            let (mut masters, mut replicas) = (0, 0);
            for node in &self.nodes {
                if !node.is_content()? || node.ask("CLUSTER NODES")?.contains("fail") {
                    return Ok(false);
                }
                let said = node.ask("INFO replication")?;
                masters +=
                    usize::from(said.contains("role:master") && said.matches("state=online").count() == 1);
                replicas += usize::from(said.contains("master_link_status:up"));
            }
            Ok((masters, replicas) == (MASTERS, NODES - MASTERS))
        })
    }
}

/// An error meanwhile is only one if it stays.
fn wait_for(what: &str, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match done() {
            Ok(true) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.context(what.to_owned())),
            Ok(false) if Instant::now() > deadline => bail!("{what}"),
            _ => std::thread::sleep(AGAIN),
        }
    }
}

impl Node {
    fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let ip = self.ip.to_string();
        let (port, limit) = (PORT.to_string(), "32mb");
        let mut process = Command::new("redis-server")
            .args(["--port", &port, "--bind", &ip, "--cluster-announce-ip", &ip])
            .args(["--save", "", "--appendonly", "no", "--maxmemory", limit, "--dir"])
            .arg(&self.directory)
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", TIMEOUT_MS])
            // However long a replica heard nothing, it takes over, and pairs stay together.
            .args(["--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"])
            .args(["--repl-diskless-sync-delay", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run redis-server: apt-get install redis-server (deploy/setup.sh does it)")?;
        let log = process.stdout.take().context("redis-server has no output")?;
        self.process = Some(process);
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut said = Vec::new();
        for line in lines.by_ref() {
            if line.contains("Ready to accept connections") {
                // Somebody reads on: it must not wait for that.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
            said.push(line);
        }
        bail!("redis-server does not start at {ip}:\n{}", said.join("\n"))
    }

    /// kill -9.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Already gone is fine.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn is_master(&self) -> anyhow::Result<bool> {
        Ok(self.ask("INFO replication")?.contains("role:master"))
    }

    fn is_content(&self) -> anyhow::Result<bool> {
        let said = self.ask("CLUSTER INFO")?;
        Ok(said.contains("cluster_state:ok") && said.contains(&format!("cluster_known_nodes:{NODES}")))
    }

    /// Its answer to an inline command, which is a line or a string.
    fn ask(&self, command: &str) -> anyhow::Result<String> {
        let limit = Duration::from_secs(2);
        let at = SocketAddr::new(IpAddr::V4(self.ip), PORT);
        let mut stream = TcpStream::connect_timeout(&at, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let (mut answer, mut line) = (BufReader::new(stream), String::new());
        answer.read_line(&mut line)?;
        let line = line.trim_end();
        if let Some(len) = line.strip_prefix('$') {
            let mut text = vec![0; len.parse().with_context(|| format!("{command}: {line}"))?];
            answer.read_exact(&mut text)?;
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        line.strip_prefix('+').map(str::to_owned).with_context(|| format!("Redis at {at}: {command}: {line}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
