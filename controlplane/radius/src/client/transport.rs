//! One request to the servers in turn: identifiers, retransmission, failover. Knows nothing of what is asked.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    ClientConfig, ConfigError, FailureCause, Nas, Server, ServerFailure, ServerId, ServerStats, Timings,
    counters::Counters,
    health::{Health, Use},
    port::{Expected, IDENTIFIERS, Port, Slot},
    retransmit::Retransmission,
};
use crate::packet::{
    AttributeList, Authenticator, BuildError, Code, ReplyPolicy, Secret, encode_status_server,
};

/// What kind of servers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Authentication,
    Accounting,
}

impl Role {
    fn policy(self, server: &Server) -> ReplyPolicy {
        match self {
            Self::Authentication if server.require_message_authenticator => ReplyPolicy::Required,
            Self::Authentication => ReplyPolicy::RequiredWithEap,
            Self::Accounting => ReplyPolicy::IfPresent,
        }
    }

    fn codes(self) -> &'static [Code] {
        match self {
            Self::Authentication => &[Code::ACCESS_CHALLENGE, Code::ACCESS_ACCEPT, Code::ACCESS_REJECT],
            Self::Accounting => &[Code::ACCOUNTING_RESPONSE],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Accounting => "accounting",
        }
    }
}

/// Makes the packet of one identifier and server, and its Request Authenticator.
pub(crate) type Encode<'a> = &'a (dyn Fn(u8, &Secret) -> Result<(Vec<u8>, Authenticator), BuildError> + Sync);

/// A believed reply.
pub(crate) struct Answer {
    pub(crate) server: ServerId,
    pub(crate) packet: Vec<u8>,
    pub(crate) request: Authenticator,
}

/// Why there is none.
pub(crate) enum Failure {
    NoServerAnswers(Vec<ServerFailure>),
    Build(BuildError),
    UnknownServer(ServerId),
}

pub(crate) struct Transport {
    remotes: Vec<Remote>,
    role: Role,
    nas: Nas,
    timings: Timings,
    local_address: Option<IpAddr>,
    maximum_ports: usize,
    this: Weak<Self>,
}

struct Remote {
    id: ServerId,
    server: Server,
    health: Mutex<Health>,
    ports: Mutex<Vec<Arc<Port>>>,
    /// As many permits as identifiers, so that who holds one finds a free identifier.
    identifiers: Semaphore,
    counters: Arc<Counters>,
}

impl Transport {
    /// Opens one port per server, so that what cannot work at all fails here.
    pub(crate) fn open(config: ClientConfig, role: Role) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let mut remotes = Vec::with_capacity(config.servers.len());
        for (index, server) in config.servers.into_iter().enumerate() {
            let counters = Arc::default();
            let port = Port::open(&server, config.local_address, &counters)
                .map_err(|source| ConfigError::Socket { server: server.address, source })?;
            remotes.push(Remote {
                id: ServerId(index),
                server,
                health: Mutex::new(Health::new()),
                ports: Mutex::new(vec![port]),
                identifiers: Semaphore::new(config.maximum_ports * IDENTIFIERS),
                counters,
            });
        }
        Ok(Arc::new_cyclic(|this| Self {
            remotes,
            role,
            nas: config.nas,
            timings: config.timings,
            local_address: config.local_address,
            maximum_ports: config.maximum_ports,
            this: this.clone(),
        }))
    }

    pub(crate) fn nas(&self) -> &Nas {
        &self.nas
    }

    pub(crate) fn server(&self, id: ServerId) -> &Server {
        &self.remotes[id.0].server
    }

    pub(crate) fn stats(&self) -> Vec<(SocketAddr, ServerStats)> {
        self.remotes
            .iter()
            .map(|remote| {
                let pending = lock(&remote.ports).iter().map(|port| port.used() as u64).sum();
                let dead = lock(&remote.health).is_dead();
                (remote.server.address, remote.counters.snapshot(pending, dead))
            })
            .collect()
    }

    /// Asks `only`, or else the servers in turn until one answers. Dropping the future gives up the request.
    pub(crate) async fn exchange(
        &self,
        only: Option<ServerId>,
        encode: Encode<'_>,
    ) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.timings.maximum_duration;
        let plan = match only {
            Some(id) => vec![(self.remotes.get(id.0).ok_or(Failure::UnknownServer(id))?, Use::Normal)],
            None => self.plan(),
        };
        let mut tried = Vec::new();
        for (index, (remote, how)) in plan.iter().enumerate() {
            let others = &plan[index + 1..];
            match self.ask(remote, *how, others, deadline, encode).await.map_err(Failure::Build)? {
                Ok(answer) => return Ok(answer),
                Err(failure) => tried.push(failure),
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(Failure::NoServerAnswers(tried))
    }

    /// Servers in the order of asking: by preference, dead ones last.
    fn plan(&self) -> Vec<(&Remote, Use)> {
        let now = Instant::now();
        let mut plan: Vec<_> = self
            .remotes
            .iter()
            .map(|remote| {
                let by_request = !remote.server.status_server;
                (remote, lock(&remote.health).choose(now, self.timings.dead_time, by_request))
            })
            .collect();
        plan.sort_by_key(|(_, how)| *how == Use::LastResort); // stable
        plan
    }

    /// Asks one server. `others` are those that would be asked after it.
    async fn ask(
        &self,
        remote: &Remote,
        how: Use,
        others: &[(&Remote, Use)],
        deadline: Instant,
        encode: Encode<'_>,
    ) -> Result<Result<Answer, ServerFailure>, BuildError> {
        let began = Instant::now();
        let timings = &self.timings;
        let failure = |transmissions, cause| ServerFailure {
            server: remote.id,
            address: remote.server.address,
            transmissions,
            waited: began.elapsed(),
            cause,
        };
        let Ok(permit) = timeout_at(deadline, remote.identifiers.acquire()).await else {
            return Ok(Err(failure(0, FailureCause::Overloaded)));
        };
        let mut slot = match self.take(remote) {
            Ok(slot) => slot,
            Err(error) => return Ok(Err(failure(0, FailureCause::Io(error.to_string())))),
        };
        let (packet, request) = encode(slot.identifier(), &remote.server.secret)?;
        slot.expect(Expected {
            authenticator: request,
            policy: self.role.policy(&remote.server),
            codes: self.role.codes(),
        });

        let limit = match how {
            Use::Probe if !others.is_empty() => 1,
            _ if others.is_empty() => timings.maximum_count,
            _ => timings.failover_count,
        };
        let mut retransmission = Retransmission::new(timings);
        let mut transmissions = 0;
        let mut io_error;
        remote.counters.requests.add();
        let answer = 'waiting: loop {
            if transmissions > 0 {
                remote.counters.retransmissions.add();
            }
            transmissions += 1;
            io_error = slot.send(&packet).await.err().map(|error| error.to_string());
            let until = (Instant::now() + retransmission.next(random())).min(deadline);
            loop {
                tokio::select! {
                    answer = &mut slot.answer => break 'waiting answer.ok(),
                    () = slot.refused.notified() => {
                        // Nobody is there: ask the next one at once, but keep trying the last one, it may be starting.
                        if others.iter().any(|(other, _)| !lock(&other.health).is_dead()) {
                            break 'waiting None;
                        }
                    }
                    () = tokio::time::sleep_until(until) => break,
                }
            }
            // Others may have found out meanwhile that this server is dead.
            let elsewhere = lock(&remote.health).is_dead()
                && others.iter().any(|(other, _)| !lock(&other.health).is_dead());
            if transmissions >= limit || until >= deadline || elsewhere {
                break None;
            }
        };
        let now = Instant::now();
        if let Some(packet) = answer {
            if lock(&remote.health).answered(now) {
                tracing::info!(server = %remote.server.address, "RADIUS {} server answers again", self.role.name());
            }
            return Ok(Ok(Answer { server: remote.id, packet, request }));
        }
        remote.counters.timeouts.add();
        let failure = failure(transmissions, cause(&slot, io_error));
        drop(slot);
        drop(permit);
        if lock(&remote.health).unanswered(began, now, timings.dead_time) {
            tracing::warn!("RADIUS {} server {failure}", self.role.name());
            self.watch(remote);
        }
        Ok(Err(failure))
    }

    /// An identifier of a port that has one free, or of a new port. The caller holds a permit.
    fn take(&self, remote: &Remote) -> std::io::Result<Slot> {
        let mut ports = lock(&remote.ports);
        if let Some(slot) = ports.iter().find_map(Port::take) {
            return Ok(slot);
        }
        if ports.len() >= self.maximum_ports {
            // A permit is given back just after its slot; only a caller between the two can see this.
            return Err(std::io::Error::other("no identifier is free"));
        }
        let port = Port::open(&remote.server, self.local_address, &remote.counters)?;
        let slot = port.take().ok_or_else(|| std::io::Error::other("no identifier is free"))?;
        ports.push(port);
        Ok(slot)
    }

    /// Asks a dead server with Status-Server, where it knows that, until it answers.
    fn watch(&self, remote: &Remote) {
        if !remote.server.status_server {
            return;
        }
        let (this, id) = (self.this.clone(), remote.id);
        let dead_time = self.timings.dead_time;
        tokio::spawn(async move {
            loop {
                let jitter = f64::from(random()) / f64::from(u32::MAX) * 0.2 + 0.9;
                tokio::time::sleep(dead_time.mul_f64(jitter)).await;
                let Some(this) = this.upgrade() else { return };
                let remote = &this.remotes[id.0];
                if !lock(&remote.health).is_dead() || this.status(remote).await {
                    return;
                }
            }
        });
    }

    /// One Status-Server (RFC 5997). True if it was answered.
    async fn status(&self, remote: &Remote) -> bool {
        let mut attributes = AttributeList::new();
        let wait = self.timings.initial_retransmission.max(Duration::from_millis(1));
        let Ok(_permit) = remote.identifiers.try_acquire() else { return false };
        let (Ok(()), Ok(authenticator), Ok(mut slot)) =
            (self.nas.encode(&mut attributes), random_authenticator(), self.take(remote))
        else {
            return false;
        };
        let Ok(packet) =
            encode_status_server(slot.identifier(), authenticator, attributes.view(), &remote.server.secret)
        else {
            return false;
        };
        // Not all servers put a Message-Authenticator into this answer (RFC 5997 §6 has none), and all it says is "alive".
        slot.expect(Expected { authenticator, policy: ReplyPolicy::IfPresent, codes: self.role.codes() });
        if slot.send(&packet).await.is_err() {
            return false;
        }
        let answered = matches!(tokio::time::timeout(wait, &mut slot.answer).await, Ok(Ok(_)));
        if answered && lock(&remote.health).answered(Instant::now()) {
            tracing::info!(server = %remote.server.address, "RADIUS {} server answers again", self.role.name());
        }
        answered
    }
}

/// The likeliest cause. A bad authenticator says most: somebody is there.
fn cause(slot: &Slot, io_error: Option<String>) -> FailureCause {
    let trouble = slot.trouble();
    if trouble.no_message_authenticator {
        FailureCause::NoMessageAuthenticator
    } else if trouble.bad_authenticator {
        FailureCause::SecretDiffers
    } else if trouble.malformed {
        FailureCause::Malformed
    } else if trouble.refused {
        FailureCause::Refused
    } else if let Some(error) = io_error {
        FailureCause::Io(error)
    } else {
        FailureCause::Silent
    }
}

/// An unpredictable Request Authenticator (RFC 2865 §3).
pub(crate) fn random_authenticator() -> Result<Authenticator, getrandom::Error> {
    let mut authenticator = [0; 16];
    getrandom::fill(&mut authenticator)?;
    Ok(authenticator)
}

/// For jitter only: without entropy there is none.
pub(crate) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
