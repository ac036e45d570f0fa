//! Setting a data plane up: workers, the rings between them, and the [`Handle`] to all of them.

use std::error::Error;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use crate::clock::Time;
use crate::config::Config;
use crate::counters::{Reader, WorkerCounters};
use crate::directory::WorkerId;
use crate::handle::{self, Handle};
use crate::handoff::{self, HandoffRx, HandoffTx};
use crate::io::PacketIo;
use crate::packet::Pool;
use crate::pin::pin_to_core;
use crate::port_counters::Port;
use crate::ring::{Bell, Outbox, Receiver, lossless};
use crate::state::State;
use crate::wire::{FromWorker, ToWorker};
use crate::worker::{Mode, Worker};

/// How the workers run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Of each worker.
    pub worker: Config,
    /// What they do when there is nothing to do.
    pub mode: Mode,
    /// Cores to pin them to, one each; workers beyond the list are not pinned.
    pub cores: Vec<usize>,
}

/// A worker's ways in and out.
pub struct Ports<T, N> {
    /// Where its packets come from. At least 64 octets of headroom, and as much tailroom as the longest A-MSDU needs.
    pub pool: Pool,
    /// To the radios: datagrams.
    pub tunnel: T,
    /// To the network: Ethernet frames.
    pub network: N,
}

/// Why a data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There must be at least one worker.
    #[error("a data plane needs at least one worker")]
    NoWorker,
    /// The system gave no descriptor or thread.
    #[error("cannot set up worker {worker}: {source}")]
    System {
        /// Which.
        worker: WorkerId,
        /// The system's reason.
        source: io::Error,
    },
    /// A worker's ports could not be opened.
    #[error("cannot open the ports of worker {worker}: {source}")]
    Ports {
        /// Which.
        worker: WorkerId,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The core is not there or not ours.
    #[error("cannot pin worker {worker} to core {core}: {source}")]
    Pin {
        /// Which.
        worker: WorkerId,
        /// Where to.
        core: usize,
        /// The system's reason.
        source: io::Error,
    },
}

/// Starts one worker for each of `ports`, each of which is called in its worker's thread, since packets and ports stay there. Returns when
/// all of them are ready.
///
/// # Errors
/// See [`StartError`]; then nothing is left running.
pub fn start<T, N, F>(config: RuntimeConfig, ports: Vec<F>) -> Result<Handle, StartError>
where
    T: PacketIo,
    N: PacketIo,
    F: FnOnce(WorkerId) -> Result<Ports<T, N>, Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let (mut handle, seats) = wire(config.worker, ports.len())?;
    let (ready, readies) = mpsc::channel();
    for (seat, ports) in seats.into_iter().zip(ports) {
        let (ready, worker, mode) = (ready.clone(), seat.me, config.mode);
        let core = config.cores.get(worker).copied();
        let thread = thread::Builder::new().name(format!("worker-{worker}")).spawn(move || {
            let opened = match core.map(|core| (core, pin_to_core(core))) {
                Some((core, Err(source))) => Err(StartError::Pin { worker, core, source }),
                _ => ports(worker).map_err(|source| StartError::Ports { worker, source }),
            };
            match opened {
                Ok(ports) => {
                    let mut worker = seat.take(ports, Time::now());
                    let _ = ready.send(Ok((worker.state.me, worker.state.stations.memory())));
                    drop(ready);
                    if let Err(error) = worker.run(mode) {
                        // Nobody is left to tell: the handle finds the thread ended.
                        eprintln!("worker {} stops: {error}", worker.state.me);
                    }
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        });
        match thread {
            Ok(thread) => handle.attach(worker, thread),
            Err(source) => return Err(StartError::System { worker, source }),
        }
    }
    drop(ready);
    // On an error, dropping the handle stops those that did start.
    let mut memory = readies.into_iter().collect::<Result<Vec<_>, _>>()?;
    memory.sort_by_key(|&(worker, _)| worker);
    handle.set_memory(memory.into_iter().map(|(_, memory)| memory).collect());
    Ok(handle)
}

/// Makes the rings of `workers` workers, without threads: each [`Seat`] becomes a [`Worker`] wherever its owner wants to run its passes.
///
/// # Errors
/// [`StartError::NoWorker`], [`StartError::System`].
pub fn wire(config: Config, workers: usize) -> Result<(Handle, Vec<Seat>), StartError> {
    if workers == 0 {
        return Err(StartError::NoWorker);
    }
    let bell = |worker| Bell::new().map_err(|source| StartError::System { worker, source });
    let events_bell = bell(0)?;
    let bells = (0..workers).map(bell).collect::<Result<Vec<_>, _>>()?;
    let mut seats = Vec::with_capacity(workers);
    let mut ends = Vec::with_capacity(workers);
    for (me, bell) in bells.iter().enumerate() {
        let (to_worker, commands) = lossless(config.commands, bell.clone());
        let (events, from_worker) = Outbox::new(config.events, events_bell.clone());
        ends.push(handle::Worker { commands: to_worker, events: from_worker, thread: None });
        seats.push(Seat {
            me,
            config,
            counters: Arc::new(WorkerCounters::new()),
            commands,
            events,
            bell: bell.clone(),
            to_peers: (0..workers).map(|_| None).collect(),
            from_peers: (0..workers).map(|_| None).collect(),
        });
    }
    for from in 0..workers {
        for to in (0..workers).filter(|&to| to != from) {
            let (tx, rx) = handoff::channel(config.handoff_octets, bells[to].clone());
            seats[from].to_peers[to] = Some(tx);
            seats[to].from_peers[from] = Some(rx);
        }
    }
    let counters = Reader::new(seats.iter().map(|seat| seat.counters.clone()).collect());
    Ok((Handle::new(ends, events_bell, counters), seats))
}

/// A worker's place among the others, before it has ports. `Send`.
pub struct Seat {
    me: WorkerId,
    config: Config,
    counters: Arc<WorkerCounters>,
    commands: Receiver<ToWorker>,
    events: Outbox<FromWorker>,
    bell: Bell,
    to_peers: Vec<Option<HandoffTx>>,
    from_peers: Vec<Option<HandoffRx>>,
}

impl Seat {
    /// The worker, in the thread it will run in.
    pub fn take<T: PacketIo, N: PacketIo>(self, ports: Ports<T, N>, now: Time) -> Worker<T, N> {
        let Ports { pool, tunnel, network } = ports;
        self.counters.ports.prepare(Port::Tunnel, &tunnel);
        self.counters.ports.prepare(Port::Network, &network);
        let state = State::new(self.me, self.config, pool, self.counters, self.events, self.to_peers, now);
        Worker::new(state, (tunnel, network), self.commands, self.from_peers, self.bell)
    }
}
