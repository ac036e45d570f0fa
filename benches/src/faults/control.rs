//! Control processes, to be killed.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use matchmaker::Uuid;
use proto::{
    admin::{ListBindingsRequest, ListNetworksRequest, admin_client::AdminClient},
    matchmaking::PublicKey,
};
use tonic::transport::{Channel, Endpoint};

use super::{clients::SERVICES, model::Contents, presence};

/// A process that has not started by then does not.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of its log that are kept.
const KEPT: usize = 60;
/// Bindings of the configuration have identifiers from here on.
const CONFIGURED: u64 = 1 << 40;
/// Most that the API gives at a time.
const PAGE: u32 = 1000;

/// Where clients reach a control process, also after it was started again.
#[derive(Debug, Clone)]
pub struct Address {
    /// How messages call it.
    pub name: String,
    /// gRPC.
    pub admin: AdminClient<Channel>,
    /// For datagrams.
    pub matchmaker: SocketAddr,
    /// Of the matchmaker.
    pub key: PublicKey,
}

/// A control process; killed when dropped.
pub struct Control {
    name: String,
    program: PathBuf,
    config: PathBuf,
    log: Arc<Mutex<VecDeque<String>>>,
    child: Option<Child>,
    key: Option<PublicKey>,
    admin: SocketAddr,
    matchmaker: SocketAddr,
}

impl Control {
    /// Starts the `number`th, with its state below `directory`. `program` is the binary, `shared` of the configuration what all have in
    /// common.
    pub fn start(program: &Path, directory: &Path, number: u8, shared: &str) -> anyhow::Result<Control> {
        let name = format!("control {number}");
        let state = directory.join(format!("control-{number}"));
        std::fs::create_dir(&state)?;
        // An address of our own, so that nobody takes the port while the process is down.
        let [.., a, b] = std::process::id().to_be_bytes();
        let ip = [127, 64 + a % 128, b, number];
        let (admin, matchmaker) = ((ip, 7400).into(), (ip, 5248).into());
        let config = state.join("controlplane.toml");
        let text = format!(
            "listen = \"{admin}\"\nstate = \"{}\"\n[matchmaker]\nlisten = \"{matchmaker}\"\nkey_file = \"{}\"\n{}{shared}{}",
            state.display(),
            directory.join("matchmaker.key").display(),
            presence::owner(),
            SERVICES
                .map(|service| format!(
                    "[[service]]\nuuid = \"{service}\"\nssid = \"bound\"\nsecurity = \"open\"\n"
                ))
                .concat(),
        );
        std::fs::write(&config, text)?;
        let (log, program) = (Arc::default(), program.to_owned());
        let mut control = Control { name, program, config, log, child: None, key: None, admin, matchmaker };
        control.restart()?;
        Ok(control)
    }

    /// Starts it again, and waits until it is up.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let mut child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}: cargo build -p controlplane", self.program.display()))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&self.log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    // There are too many of the others.
                    if !line.contains("an operator changes something") {
                        log.truncate(KEPT);
                        log.push_front(line.clone());
                    }
                    // Nobody listens once it is up.
                    let _ = sender.send(line);
                }
            });
        }
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if let Some(key) = line.split("key=").nth(1) {
                self.key = key.split_whitespace().next().and_then(|key| key.parse().ok());
            }
            if line.contains("control is up") {
                return Ok(());
            }
        }
        bail!("{} does not start:\n{}", self.name, self.log())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already gone is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it is.
    pub fn address(&self) -> anyhow::Result<Address> {
        let admin = Endpoint::from_shared(format!("http://{}", self.admin))?.connect_lazy();
        Ok(Address {
            name: self.name.clone(),
            admin: AdminClient::new(admin),
            matchmaker: self.matchmaker,
            key: self.key.context("control did not say the key of its matchmaker")?,
        })
    }

    /// How messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().cloned().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Address {
    /// What it says there is.
    pub async fn contents(&self) -> Result<Contents, tonic::Status> {
        let mut admin = self.admin.clone();
        let mut contents = Contents::default();
        let mut page_token = String::new();
        loop {
            let asked = ListBindingsRequest { page_size: PAGE, page_token, filter: None };
            let page = admin.list_bindings(asked).await?.into_inner();
            let stored = page.bindings.into_iter().filter(|binding| binding.id < CONFIGURED);
            contents.bindings.extend(stored.map(|binding| (binding.id, binding.into())));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        loop {
            let asked = ListNetworksRequest { page_size: PAGE, page_token };
            let page = admin.list_networks(asked).await?.into_inner();
            contents
                .services
                .extend(page.networks.iter().filter_map(|network| network.uuid.parse::<Uuid>().ok()));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(contents);
            }
        }
    }
}
