//! Presence that several control processes share: who keeps which instance, the tunnels of radios, who is refused, cached PMKs.
//!
//! Every process decides from its own memory. What the others must know it hands to a task ([`driver`]) that writes it to Redis and tells them;
//! what others say comes back as messages. Nobody waits for Redis: what it does not take is counted, and said again when it is back.
//!
//! Keys, all of which go by themselves, and what stands there, all sealed ([`seal`]) but the first:
//!
//! | key | what |
//! |---|---|
//! | `ttg:1:key` | which matchmaker's keys the values are sealed under |
//! | `ttg:1:processes` | field: process; it is there, and how often its instances changed |
//! | `ttg:1:instances:PROCESS` | field: service and instance; an instance that is registered with the process |
//! | `ttg:1:tunnels:RADIO` | field: BSSID; its tunnel |
//! | `ttg:1:refused` | field: client, and by whose services if not everywhere; how often and until when it is refused, or that it was forgiven |
//! | `ttg:1:pmks:SERVICE:CLIENT` | fields: `pmk`, a cached PMK with what RADIUS decided; `gone`, until when what was made is revoked |
//!
//! Channels: `ttg:1:all`, `ttg:1:to:PROCESS`. What must arrive is repeated until it is acknowledged.

mod driver;
#[cfg(test)]
mod memory;
mod records;
mod redis;
mod seal;
mod store;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use authenticator::CachedPmk;
use dot11::MacAddr;
use matchmaker::{
    Uuid,
    presence::InstanceId,
    shared::{SharedInstance, SharedTunnel, Struck, Whom},
};
use proto::matchmaking::messages::push::Push;
use tokio::sync::mpsc;

pub(crate) use records::ProcessId;

use super::{keys::Keys, run::Message};
use crate::{config, core};

/// What others are to know, or what is asked of the store.
#[derive(Debug)]
pub(crate) enum Share {
    /// An instance is registered here, and is like this.
    Instance(SharedInstance),
    /// It is not any more.
    InstanceGone { service: Uuid, instance: InstanceId },
    /// For an instance that another process keeps.
    Push { to: ProcessId, which: (Uuid, InstanceId), push: Push },
    /// A tunnel was introduced.
    Tunnel(SharedTunnel),
    /// Its BSS is closed.
    Released { radio: MacAddr, bssid: MacAddr },
    /// Which tunnels does the radio have?
    Fetch(MacAddr),
    /// A client is refused, or is forgiven.
    Refusal(Whom, Struck),
    /// All that the store may have lost.
    Everything { tunnels: Vec<SharedTunnel>, refusals: Vec<(Whom, Struck)> },
    /// A client's PMK of a service was made.
    Pmk { service: Uuid, client: MacAddr, entry: Box<CachedPmk> },
    /// What was made until then is good no longer, for as long as it would have been.
    PmkGone { service: Uuid, client: MacAddr, at: Duration },
    /// Is there one? [`ForCore::Pmk`] comes back if there is, [`ForCore::Forget`] if one was revoked.
    PmkWanted { service: Uuid, client: MacAddr },
    /// All that the store may have lost.
    AllPmks(Vec<(Uuid, MacAddr, CachedPmk)>),
}

/// What the desk hears.
#[allow(
    clippy::large_enum_variant,
    reason = "it goes from one task to the other, mostly as a push: a box would cost more than its size"
)]
#[derive(Debug)]
pub(crate) enum Shared {
    /// The store is there, and may have lost everything.
    Up,
    /// Instances that a process keeps; `whole`: all of them.
    Instances { process: ProcessId, whole: bool, there: Vec<SharedInstance>, gone: Vec<(Uuid, InstanceId)> },
    /// Other processes that are there.
    Beat { alive: Vec<ProcessId> },
    /// Another process says this to an instance that is registered here.
    Push { which: (Uuid, InstanceId), push: Push },
    /// The tunnels of a radio.
    Tunnels(Vec<SharedTunnel>),
    /// Clients that are refused or forgiven.
    Refusals(Vec<(Whom, Struck)>),
}

/// What the core hears.
#[derive(Debug)]
pub(crate) enum ForCore {
    /// The store is there, and may have lost everything.
    Up,
    /// A client's PMK.
    Pmk { service: Uuid, client: MacAddr, entry: Box<CachedPmk> },
    /// What was made until then is good no longer.
    Forget { service: Uuid, client: MacAddr, at: Duration },
}

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    connected: AtomicU64,
    lost: AtomicU64,
    pushed: AtomicU64,
    repeated: AtomicU64,
    given_up: AtomicU64,
    received: AtomicU64,
    malformed: AtomicU64,
    other_key: AtomicU64,
    processes: AtomicU64,
}

impl Counters {
    /// By name; all but the last only grow.
    pub fn named(&self) -> [(&'static str, u64); 9] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("presence_connected", of(&self.connected)),
            ("presence_lost", of(&self.lost)),
            ("presence_pushed", of(&self.pushed)),
            ("presence_repeated", of(&self.repeated)),
            ("presence_given_up", of(&self.given_up)),
            ("presence_received", of(&self.received)),
            ("presence_malformed", of(&self.malformed)),
            ("presence_other_key", of(&self.other_key)),
            ("presence_processes", of(&self.processes)),
        ]
    }
}

/// A handle on the task.
#[derive(Clone)]
pub(crate) struct Presence {
    pub counters: Arc<Counters>,
    shares: mpsc::Sender<Share>,
}

impl Presence {
    /// Hands something over; what finds too much waiting already is lost and counted.
    pub fn say(&self, share: Share) {
        if self.shares.try_send(share).is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Presence cannot be shared as the configuration wants it.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// No password.
    #[error("cannot read the password of Redis from {}: {error}. Have `password_file` of [presence] name a file that this user may read.", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A server that cannot be.
    #[error("[presence]: {0}")]
    Server(String),
}

/// Handed over and not yet looked at.
const DEPTH: usize = 16_384;

/// Starts sharing.
pub(super) fn start(
    config: &config::Presence,
    keys: &Keys,
    desk: mpsc::WeakSender<Message>,
    core: mpsc::WeakSender<core::Message>,
) -> Result<Presence, PresenceError> {
    let password = match &config.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| PresenceError::Password { path: path.clone(), error })?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => None,
    };
    let counters = Arc::new(Counters::default());
    let store =
        redis::Redis::new(config, password.as_deref(), counters.clone()).map_err(PresenceError::Server)?;
    let (shares, inbox) = mpsc::channel(DEPTH);
    let driver = driver::Driver::new(store, seal::Sealer::new(keys), inbox, desk, core, counters.clone());
    tokio::spawn(driver.run());
    Ok(Presence { counters, shares })
}
