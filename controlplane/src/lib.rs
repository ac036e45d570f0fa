//! The control daemon as a library: it decides who may connect, moves no user packet, and can be restarted at any
//! time without a device noticing. `ttg standalone` runs it in process; the `controlplane` binary serves it.
#![forbid(unsafe_code)]

pub mod config;
pub mod core;
pub mod grpc;
pub mod logging;
pub mod metrics;
pub mod migrate;
pub mod shutdown;

mod aaa;
mod clock;
mod draining;
mod matchmaking;

use std::sync::Arc;

use proto::gateway::{Command, Event};
use tokio::sync::{mpsc, oneshot};

#[doc(hidden)]
pub use crate::matchmaking::measure;
pub use crate::matchmaking::{KeysError, MatchmakingError};
use crate::{
    config::Config,
    core::{Core, Message, Query},
};

/// A handle on the running control core. Cheap to clone; when the last one is gone, the core ends.
#[derive(Clone)]
pub struct Control {
    messages: mpsc::Sender<Message>,
    matchmaker: Option<matchmaking::Matchmaking>,
    /// Of the configuration: not to be changed but there.
    accounts: Arc<[::matchmaker::objects::AccountId]>,
    services: Arc<[::matchmaker::Uuid]>,
    drained: Arc<draining::Drained>,
}

/// Where the matchmaker of this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchmakerAddress {
    /// UDP, as it is bound.
    pub listen: std::net::SocketAddr,
    /// What radios and gateways must know it by.
    pub key: proto::matchmaking::PublicKey,
}

/// One gateway's connection: what it sends in, what it is told. The connection ends when either half is dropped.
pub struct Link {
    /// Batches of events, gateway to control.
    pub events: mpsc::Sender<Vec<Event>>,
    /// Batches of commands, control to gateway.
    pub commands: mpsc::Receiver<Vec<Command>>,
}

/// Why the control core cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be made or written.
    #[error("cannot use the state directory {}: {error}. Set `state` to a directory that this user may write.", path.display())]
    State {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The accounting store is damaged or locked.
    #[error("{0}")]
    Accounting(String),
    /// The RADIUS client has no socket.
    #[error("{0}")]
    Radius(String),
    /// The matchmaker has no key, no socket, or no records.
    #[error(transparent)]
    Matchmaker(#[from] MatchmakingError),
}

/// What becomes of the sessions when control stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// They go on at their gateways, for the next control process to adopt.
    GoOn,
    /// They end: the gateway stops as well.
    End,
}

/// Batches in flight between a gateway and the core.
const LINK_DEPTH: usize = 64;

impl Control {
    /// Starts the core on the current tokio runtime.
    pub async fn start(config: Config) -> Result<(Control, tokio::task::JoinHandle<()>), StartError> {
        let config = Arc::new(config);
        let (messages, inbox) = mpsc::channel(1024);
        std::fs::create_dir_all(&config.state)
            .map_err(|error| StartError::State { path: config.state.clone(), error })?;
        let matchmaker = matchmaking::as_configured(&config, messages.downgrade()).await?;
        let desk = matchmaker.local().cloned();
        let accounts = config.accounts.iter().map(|account| account.id.clone()).collect();
        let services = config.services.iter().map(|service| service.uuid).collect();
        let (drained, mut names) = draining::Drained::read(&config.state)
            .map_err(|error| StartError::State { path: config.state.clone(), error })?;
        if let Some(desk) = &desk {
            names.extend(drained.move_to(desk, &names).await);
        }
        let core = Core::new(config, messages.downgrade(), matchmaker, names).await?;
        let task = tokio::spawn(core.run(inbox));
        let drained = Arc::new(drained);
        Ok((Control { messages, matchmaker: desk, accounts, services, drained }, task))
    }

    /// Attaches a gateway. `None`: the core has ended.
    pub async fn attach(&self) -> Option<Link> {
        let (events, mut from_gateway) = mpsc::channel::<Vec<Event>>(LINK_DEPTH);
        let (to_gateway, commands) = mpsc::channel(LINK_DEPTH);
        let messages = self.messages.clone();
        let connection = core::Connection::next();
        messages.send(Message::Attached { connection, commands: to_gateway }).await.ok()?;
        tokio::spawn(async move {
            while let Some(events) = from_gateway.recv().await {
                if messages.send(Message::Events { connection, events }).await.is_err() {
                    return;
                }
            }
            let _ = messages.send(Message::Detached { connection }).await;
        });
        Some(Link { events, commands })
    }

    /// The matchmaker of this process, if the configuration has one.
    pub fn matchmaker(&self) -> Option<MatchmakerAddress> {
        let matchmaking = self.matchmaker.as_ref()?;
        Some(MatchmakerAddress { listen: matchmaking.listen, key: matchmaking.public })
    }

    /// Asks the core something. `None`: it has ended.
    pub async fn ask<T>(&self, query: impl FnOnce(oneshot::Sender<T>) -> Query) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Query(query(reply))).await.ok()?;
        answer.await.ok()
    }

    /// Stops the core. Everything that accounting was told is on disk then.
    pub async fn shutdown(self, sessions: Sessions) {
        let (done, ended) = oneshot::channel();
        if self.messages.send(Message::Shutdown { done, sessions }).await.is_ok() {
            let _ = ended.await;
        }
    }
}
