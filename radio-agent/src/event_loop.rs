//! Connects agent, radio, matchmaker, UDP and the clock: one thread, one `poll`.

mod backhaul;
mod identity;
mod matchmaker;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use dot11::MacAddr;
use proto::matchmaking::datagram::{is_matchmaking, kind::PUNCH};
use proto::matchmaking::peer;
use proto::tunnel::{MAX_FRAME, SessionId};

use crate::agent::{Agent, Measured, Output};
use crate::backend::{Backend, BackendError};
use crate::config::Config;
use crate::daemon::Log;
use crate::resolver::{Found, Resolver, Whose};
use crate::sys;
use matchmaker::Matchmaker;

/// A gateway or matchmaker whose name was not found is looked up again after this.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);

/// What there is to spare is measured at this interval.
const MEASURE: Duration = Duration::from_secs(5);

/// Datagrams taken in one pass.
const ROUND: usize = 64;

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The radio is gone.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The operating system refused something that it must not refuse.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// What stands in the radio's key file is no key.
    #[error("cannot read the radio's key from {path}: {problem}")]
    Secret {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Signals are blocked from now on, and read by [`EventLoop::run`]. To be called before there are threads.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// TERM, INT and HUP end the agent, USR1 makes it log its counters.
    pub fn block() -> Result<Signals, RunError> {
        let wanted = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1];
        sys::signals(&wanted).map(Signals).map_err(|error| RunError::System("block signals", error))
    }
}

/// Everything together.
pub struct EventLoop {
    agent: Agent,
    backend: Box<dyn Backend>,
    gateways: Vec<(String, u16)>,
    socket: UdpSocket,
    ipv6: bool,
    resolver: Resolver,
    matchmaker: Option<Matchmaker>,
    /// When to measure next.
    measure: Option<Duration>,
    /// Whose address is to be looked up again, and when.
    again: Vec<(Duration, Whose)>,
    started: Instant,
    send_error: Option<i32>,
}

impl EventLoop {
    /// Opens the UDP socket. Nothing is sent before [`EventLoop::run`].
    pub fn new(config: &Config, backend: Box<dyn Backend>, log: Log) -> Result<EventLoop, RunError> {
        let system = |what| move |error| RunError::System(what, error);
        let (socket, ipv6) = sys::udp_socket().map_err(system("open a UDP socket"))?;
        // More than the default, so that a burst of the gateway survives a moment without us; refused is no harm.
        let _ = sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &(512 << 10) as &libc::c_int);
        let radio = config.radio.or(backend.radio()).unwrap_or(MacAddr::ZERO);
        let matchmaker = |config| Matchmaker::new(config, radio, log);
        let matchmaker = config.matchmaking.as_ref().map(matchmaker).transpose()?;
        Ok(EventLoop {
            agent: Agent::new(config, radio),
            backend,
            gateways: config.bsses.iter().map(|bss| (bss.host.clone(), bss.port)).collect(),
            socket,
            ipv6,
            resolver: Resolver::new(ipv6).map_err(system("make an eventfd"))?,
            measure: matchmaker.is_some().then_some(Duration::ZERO),
            matchmaker,
            again: Vec::new(),
            started: Instant::now(),
            send_error: None,
        })
    }

    /// Works until a signal ends it.
    pub fn run(mut self, signals: &Signals, log: Log) -> Result<(), RunError> {
        let mut buffer = vec![0; MAX_FRAME + 256];
        let mut fds = Vec::new();
        loop {
            let now = self.started.elapsed();
            self.act(now, log)?;
            fds.clear();
            fds.extend([sys::pollfd(&signals.0), sys::pollfd(&self.socket), self.resolver.pollfd()]);
            self.backend.poll_fds(&mut fds);
            let timeout = self.deadline().map(|deadline| deadline.saturating_sub(now));
            sys::poll(&mut fds, timeout).map_err(|error| RunError::System("wait", error))?;

            let now = self.started.elapsed();
            while let Some(signal) = sys::next_signal(&signals.0) {
                self.log_counters(log);
                if signal != libc::SIGUSR1 {
                    log.event(&format_args!("ending on signal {signal}"));
                    self.agent.shut_down(now);
                    self.act(now, log)?;
                    return Ok(());
                }
            }
            for found in self.resolver.take() {
                self.found(found, now, log);
            }
            for _ in 0..ROUND {
                let Some(returned) = sys::returned(&self.socket, &mut buffer) else { break };
                if returned.refused {
                    self.agent.refused(returned.to, &buffer[..returned.len], now);
                }
            }
            for _ in 0..ROUND {
                // An error here is one of an earlier datagram, or nothing at all to receive.
                let Ok((len, from)) = self.socket.recv_from(&mut buffer) else { break };
                self.datagram(sys::unmapped(from), &mut buffer[..len], now);
            }
            let agent = &mut self.agent;
            self.backend.receive(&mut |frame, info| agent.frame(frame, info, now))?;
            self.timeout(now, log);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let again = self.again.iter().map(|(when, _)| *when).min();
        let matchmaker = self.matchmaker.as_ref().and_then(|matchmaker| matchmaker.peer.deadline());
        let all = [self.agent.deadline(), self.backend.deadline(), again, matchmaker, self.measure];
        all.into_iter().flatten().min()
    }

    /// The first octet tells the tunnel's datagrams from matchmaking's.
    fn datagram(&mut self, from: SocketAddr, datagram: &mut [u8], now: Duration) {
        let matchmaking = |first: &u8| is_matchmaking(*first) && *first != PUNCH;
        match &mut self.matchmaker {
            Some(matchmaker) if datagram.first().is_some_and(matchmaking) => {
                matchmaker.peer.datagram(from, datagram, now);
            }
            _ => self.agent.datagram(from, datagram, now),
        }
    }

    fn timeout(&mut self, now: Duration, log: Log) {
        self.backend.timeout(now);
        self.agent.timeout(now, &mut || {
            let mut session = SessionId::default();
            if let Err(error) = sys::random(&mut session.0) {
                log.error(&format_args!("cannot draw a session id: {error}"));
            }
            session
        });
        if self.measure.is_some_and(|measure| measure <= now) {
            self.measure = Some(now + MEASURE);
            let measured = Measured { octets: backhaul::octets(), air: self.backend.air_time() };
            self.agent.measured(measured, now);
        }
        for at in (0..self.again.len()).rev() {
            if self.again[at].0 <= now {
                let (_, whose) = self.again.swap_remove(at);
                self.look_up(whose, now, log);
            }
        }
    }

    /// Does what the agent and the matchmaker's protocol want.
    fn act(&mut self, now: Duration, log: Log) -> Result<(), RunError> {
        loop {
            self.act_for_agent(now, log);
            let Some(matchmaker) = &mut self.matchmaker else { return Ok(()) };
            match matchmaker.next(&mut self.agent, now, log)? {
                Some(peer::Output::Send { to, datagram }) => self.send(to, &datagram, log),
                Some(peer::Output::LookUpAddresses) => self.look_up(Whose::Matchmaker, now, log),
                Some(_) => {}
                None => {
                    // An answer may have brought the agent something to do.
                    self.act_for_agent(now, log);
                    return Ok(());
                }
            }
        }
    }

    fn act_for_agent(&mut self, now: Duration, log: Log) {
        while let Some(output) = self.agent.poll_output() {
            let done = match output {
                Output::LookUp { bss } => {
                    self.look_up(Whose::Gateway(bss), now, log);
                    Ok(())
                }
                Output::Ask { ask, request } => {
                    if let Some(matchmaker) = &mut self.matchmaker {
                        matchmaker.ask(&mut self.agent, ask, request, now, log);
                    }
                    Ok(())
                }
                Output::Send { to, datagram } => {
                    self.send(to, &datagram, log);
                    Ok(())
                }
                Output::Open { bss } => {
                    // Closed again already if there is none.
                    let Some(template) = self.agent.template(bss) else { continue };
                    let opened = self.backend.open(bss, template, now);
                    if opened.is_err() {
                        self.agent.open_failed(bss, now);
                    }
                    opened
                }
                Output::Update { bss } => {
                    let Some(template) = self.agent.template(bss) else { continue };
                    let updated = self.backend.update(bss, template);
                    if updated.is_err() {
                        self.agent.update_failed(bss, now);
                    }
                    updated
                }
                Output::Close { bss } => self.backend.close(bss),
                Output::Inject { frame } => self.backend.inject(&frame),
                Output::AddStation { bss, station } => self.backend.add_station(bss, &station),
                Output::RemoveStation { bss, address } => self.backend.remove_station(bss, address),
                Output::Report(event) => {
                    log.event(&event);
                    Ok(())
                }
            };
            if let Err(error) = done {
                log.error(&error);
            }
        }
    }

    /// A datagram that does not go out is lost, as datagrams are. The first of a row of errors is logged.
    fn send(&mut self, to: SocketAddr, datagram: &[u8], log: Log) {
        let address = if self.ipv6 { sys::mapped(to) } else { to };
        let sent = self.socket.send_to(datagram, address);
        // The first error is that of a datagram that came back; then it has been told.
        let error = sent.or_else(|_| self.socket.send_to(datagram, address)).err();
        let code = error.as_ref().and_then(io::Error::raw_os_error);
        if matches!(code, Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR)) {
            return;
        }
        if let Some(error) = error.filter(|_| code != self.send_error) {
            log.error(&format_args!("cannot send to {to}: {error}"));
        }
        self.send_error = code;
    }

    fn look_up(&mut self, whose: Whose, now: Duration, log: Log) {
        let found = match whose {
            Whose::Gateway(bss) => {
                let Some((host, port)) = self.gateways.get(bss) else { return };
                self.resolver.start(whose, host, *port)
            }
            Whose::Matchmaker => {
                let Some(matchmaker) = &self.matchmaker else { return };
                self.resolver.start(whose, &matchmaker.host, matchmaker.port)
            }
        };
        if let Some(found) = found {
            self.found(found, now, log);
        }
    }

    fn found(&mut self, found: Found, now: Duration, log: Log) {
        match (found.addresses, found.whose) {
            (Ok(addresses), Whose::Gateway(bss)) => {
                if let Some(address) = addresses.first() {
                    self.agent.resolved(bss, *address, now);
                }
            }
            (Ok(addresses), Whose::Matchmaker) => {
                if let Some(matchmaker) = &mut self.matchmaker {
                    matchmaker.peer.set_addresses(&addresses);
                }
            }
            (Err(error), whose) => {
                let what = if whose == Whose::Matchmaker { "matchmaker" } else { "gateway" };
                log.error(&format_args!("cannot look up {what} {}: {error}; trying again", found.host));
                self.again.push((now + LOOK_UP_AGAIN, whose));
            }
        }
    }

    fn log_counters(&self, log: Log) {
        log.event(&format_args!("{:?}", self.agent.counters()));
        log.event(&format_args!("fragments: {:?}", self.agent.fragment_counters()));
    }
}
