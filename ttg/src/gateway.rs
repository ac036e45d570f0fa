//! The running gateway: packet workers, and one task that joins them to control.
//!
//! While control is away the workers go on: what they report meanwhile is dropped, and when control is back it is told
//! everything that lives, from the workers' own tables.

use std::{
    collections::BTreeMap,
    future::pending,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    time::Duration,
};

use controlplane::Link;
use dataplane::{counters::Reader, handle::Handle, port_counters::Port};
use proto::gateway::{self as pb, Event, event};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    bridge::{self, Connector},
    config::Config,
    ports::{self, PortsError},
};

/// A gateway whose workers run.
pub struct Gateway {
    name: String,
    epoch: u64,
    listen: Vec<String>,
    handle: Handle,
    counters: Reader,
    /// Counters as Prometheus was told last.
    told: BTreeMap<&'static str, u64>,
    told_of_ports: BTreeMap<(Port, &'static str), u64>,
}

/// Why the gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A socket or an interface cannot be had.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// The system is out of something.
    #[error("the operating system refused the gateway something it needs: {0}")]
    System(#[from] std::io::Error),
    /// A packet worker ended by itself.
    #[error(
        "a packet worker has stopped; the reason is above. The gateway cannot go on and should be restarted"
    )]
    Damaged,
}

/// Between attempts to reach control.
const RETRY: Duration = Duration::from_millis(500);
/// Events put into one batch at most.
const BATCH: usize = 512;
/// Between reports of the gateway's own counters.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// The number of tunnels and of stations are gauges among the counters.
const GAUGES: [&str; 2] = ["tunnels", "stations"];

/// Counters of ports that an operator should hear of at once.
const TROUBLE: [(&str, &str); 2] = [
    (
        "host_duplicate_address",
        "another host of the link has an IPv6 address of ours, so it is not used: give one of them another, and restart",
    ),
    (
        "host_address_conflict",
        "another host of the link uses an address of ours, and datagrams of radios may go astray: give one of them another",
    ),
];

impl Gateway {
    /// Opens sockets and interfaces and starts the workers.
    pub fn start(config: Config) -> Result<Gateway, GatewayError> {
        let (handle, listen) = ports::start_workers(&config)?;
        let counters = handle.counters();
        tracing::info!(?listen, workers = config.workers, network = ?config.network, "gateway is up");
        let mut said = None;
        for memory in handle.memory().iter().filter(|&memory| said.replace(*memory) != Some(*memory)) {
            tracing::info!("station table of each worker: {memory}");
        }
        Ok(Gateway {
            name: config.name,
            epoch: getrandom::u64().map_err(std::io::Error::other)?,
            listen: listen.iter().map(ToString::to_string).collect(),
            handle,
            counters,
            told: BTreeMap::new(),
            told_of_ports: BTreeMap::new(),
        })
    }

    /// Serves control until `shutdown` resolves, reaching for it again whenever it is gone.
    pub async fn run(
        mut self,
        connector: Connector,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), GatewayError> {
        tokio::pin!(shutdown);
        let bell = Bell::of(&self.handle)?.register()?;
        let mut complained = false;
        loop {
            let attached = tokio::select! {
                () = &mut shutdown => return self.stop(),
                attached = connector.connect() => attached,
                damaged = self.go_on_without_control(&bell) => return damaged,
            };
            match attached {
                Ok(link) => {
                    complained = false;
                    tracing::info!("attached to control");
                    tokio::select! {
                        () = &mut shutdown => return self.stop(),
                        ended = self.serve(link, &bell) => ended?,
                    }
                    tracing::warn!("control is gone; traffic goes on, and so do attempts to reach it");
                }
                Err(error) => {
                    if !complained {
                        tracing::warn!("control cannot be reached: {error}. Trying again until it is");
                        complained = true;
                    }
                }
            }
            tokio::select! {
                () = &mut shutdown => return self.stop(),
                () = sleep(RETRY) => {}
                damaged = self.go_on_without_control(&bell) => return damaged,
            }
        }
    }

    fn stop(self) -> Result<(), GatewayError> {
        tracing::info!("stopping");
        self.handle.stop();
        Ok(())
    }

    /// Events that nobody can be told are let go; sessions are reported whole when control is back.
    async fn go_on_without_control(&mut self, bell: &AsyncFd<Bell>) -> Result<(), GatewayError> {
        let mut ticks = ticker();
        loop {
            while self.handle.poll_event().is_some() {}
            tokio::select! {
                ready = bell.readable() => ready?.clear_ready(),
                _ = ticks.tick() => self.tick()?,
            }
        }
    }

    /// One attachment, until control is gone.
    async fn serve(&mut self, mut link: Link, bell: &AsyncFd<Bell>) -> Result<(), GatewayError> {
        // What happened before is part of the report.
        while self.handle.poll_event().is_some() {}
        self.handle.report();
        let mut outgoing = vec![self.hello()];
        let mut ticks = ticker();
        loop {
            while outgoing.len() < BATCH {
                let Some(event) = self.handle.poll_event() else { break };
                outgoing.push(bridge::event(event));
            }
            let room =
                async { if outgoing.is_empty() { pending().await } else { link.events.reserve().await } };
            tokio::select! {
                commands = link.commands.recv() => match commands {
                    Some(commands) => self.carry_out(commands, &mut outgoing),
                    None => return Ok(()),
                },
                room = room => match room {
                    Ok(room) => room.send(std::mem::take(&mut outgoing)),
                    Err(mpsc::error::SendError(())) => return Ok(()),
                },
                ready = bell.readable(), if outgoing.len() < BATCH => ready?.clear_ready(),
                _ = ticks.tick() => {
                    self.tick()?;
                    outgoing.push(self.stats());
                }
            }
        }
    }

    fn carry_out(&mut self, commands: Vec<pb::Command>, outgoing: &mut Vec<Event>) {
        for command in commands {
            let id = command.id;
            match bridge::command(command) {
                Ok(command) => self.handle.send(command),
                Err(bad) => {
                    tracing::warn!(command = id, "control sent a command that makes no sense: {bad}");
                    let failed = pb::CommandFailed { command: id, reason: bad.to_string() };
                    outgoing.push(Event { event: Some(event::Event::CommandFailed(failed)) });
                }
            }
        }
    }

    fn hello(&self) -> Event {
        let hello = pb::Hello {
            gateway: self.name.clone(),
            epoch: self.epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: self.listen.clone(),
        };
        Event { event: Some(event::Event::Hello(hello)) }
    }

    fn stats(&self) -> Event {
        let mut counters: BTreeMap<String, u64> =
            self.counters.totals().map(|(name, value)| (name.to_owned(), value)).collect();
        for port in Port::ALL {
            let totals = self.counters.port_totals(port);
            counters
                .extend(totals.iter().map(|(name, &value)| (format!("{}_port_{name}", port.name()), value)));
        }
        let gauge = |name| counters.get(name).copied().unwrap_or(0);
        let stats = pb::GatewayStats { tunnels: gauge("tunnels"), stations: gauge("stations"), counters };
        Event { event: Some(event::Event::GatewayStats(stats)) }
    }

    /// Once a second: tells Prometheus, and looks after the workers.
    fn tick(&mut self) -> Result<(), GatewayError> {
        for (name, value) in self.counters.totals() {
            if GAUGES.contains(&name) {
                metrics::gauge!("ttg_gateway", "what" => name).set(value as f64);
                continue;
            }
            let before = self.told.insert(name, value).unwrap_or(0);
            metrics::counter!("ttg_gateway_total", "what" => name).increment(value.saturating_sub(before));
        }
        for port in Port::ALL {
            for (name, value) in self.counters.port_totals(port) {
                let before = self.told_of_ports.insert((port, name), value).unwrap_or(0);
                if value > before
                    && let Some((_, trouble)) = TROUBLE.iter().find(|(counter, _)| *counter == name)
                {
                    tracing::warn!(port = port.name(), times = value - before, "{trouble}");
                }
                metrics::counter!("ttg_port_total", "port" => port.name(), "what" => name)
                    .increment(value.saturating_sub(before));
            }
        }
        if self.handle.is_damaged() { Err(GatewayError::Damaged) } else { Ok(()) }
    }
}

fn ticker() -> tokio::time::Interval {
    let mut ticks = interval(STATS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A descriptor of our own for the workers' bell, so that tokio never holds one that was closed.
struct Bell(OwnedFd);

impl Bell {
    fn of(handle: &Handle) -> std::io::Result<Bell> {
        // SAFETY: the handle keeps its descriptor open, and is borrowed until the copy is made.
        unsafe { BorrowedFd::borrow_raw(handle.as_raw_fd()) }.try_clone_to_owned().map(Bell)
    }

    fn register(self) -> std::io::Result<AsyncFd<Bell>> {
        // SAFETY: the descriptor is the bell's own, always the same one, and closed only when the bell is dropped.
        unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) }.map_err(Into::into)
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
