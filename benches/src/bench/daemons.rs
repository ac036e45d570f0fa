//! Gateway and control as they are installed, in processes of their own on loopback, and what the system says of them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Far longer than any of them takes to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon; it ends when this is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

/// Processor time of a process, all threads: in its own code and in the system's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Seconds.
    pub user: f64,
    /// Seconds.
    pub system: f64,
}

impl Cpu {
    /// Seconds altogether.
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// Since an earlier reading.
    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

impl Daemon {
    /// Starts a program that was built together with this one, with this configuration.
    ///
    /// # Errors
    /// It is not there or cannot be started.
    pub fn start(directory: &Path, program: &str, config: &str) -> anyhow::Result<Daemon> {
        let this = std::env::current_exe()?;
        let mut folder = this.parent().unwrap_or(Path::new("."));
        // Where tests are.
        if folder.ends_with("deps") {
            folder = folder.parent().unwrap_or(folder);
        }
        let path = folder.join(program);
        if !path.exists() {
            bail!("{} is not there: `make bench` builds it", path.display());
        }
        let file = directory.join(format!("{program}.toml"));
        fs::write(&file, config)?;
        let mut command = Command::new(path);
        command.args(["run", "--config"]).arg(file).env_remove("RUST_LOG");
        Daemon::spawn(directory, program, command)
    }

    /// Starts a program of the system.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(directory: &Path, program: &str, mut command: Command) -> anyhow::Result<Daemon> {
        let log = directory.join(format!("{program}.log"));
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        Ok(Daemon { child, log })
    }

    /// Waits until `ready`.
    ///
    /// # Errors
    /// The daemon ended, or nothing happens.
    pub fn wait(&mut self, what: &str, ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        self.wait_for(what, PATIENCE, ready)
    }

    /// The same, for as long as it takes at most.
    ///
    /// # Errors
    /// The daemon ended, or nothing happens.
    pub fn wait_for(
        &mut self,
        what: &str,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{what}: the process ended ({status}); its last words:\n{}", self.words());
            }
            if Instant::now() > deadline {
                bail!("{what}: did not happen; the process' last words:\n{}", self.words());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The last lines of its log.
    pub fn words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Processor time so far.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu(&stat).with_context(|| format!("not as proc(5) has it: {stat}"))
    }

    /// Octets of resident memory.
    ///
    /// # Errors
    /// The process is gone.
    pub fn rss(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        rss(&status).with_context(|| format!("no VmRSS in\n{status}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms, which Linux shows on every architecture.
fn cpu(stat: &str) -> Option<Cpu> {
    // The second field is a name in parentheses, with anything in it.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ').skip(11);
    let mut seconds = || fields.next()?.parse::<f64>().ok().map(|ticks| ticks / 100.0);
    Some(Cpu { user: seconds()?, system: seconds()? })
}

/// Octets of resident memory, in /proc/PID/status.
pub fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// A free TCP address on loopback.
///
/// # Errors
/// The system's.
pub fn free_tcp() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A free UDP address on loopback.
///
/// # Errors
/// The system's.
pub fn free_udp() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

/// Configuration of a gateway with one worker. Its network is a TAP interface that goes with it.
pub fn gateway(control: SocketAddr, listen: SocketAddr, stations: usize, mode: &str) -> String {
    let tap = format!("ttgb{}", std::process::id() % 1_000_000);
    format!(
        "name = \"bench\"\ncontrol = \"http://{control}\"\nlisten = \"{listen}\"\nstations = {stations}\nmode = \"{mode}\"\n\
         path_mtu = 9000\nnetwork = {{ kind = \"tap\", name = \"{tap}\" }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_understood() {
        let stat = "42 (a )( name) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 3 0 99 100 200";
        assert_eq!(cpu(stat), Some(Cpu { user: 1.5, system: 0.25 }));
        assert_eq!(cpu("42"), None);
        assert_eq!(rss("Name:\tx\nVmRSS:\t    1836 kB\n"), Some(1836 * 1024));
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(cpu(&own).unwrap().total() >= 0.0);
    }
}
