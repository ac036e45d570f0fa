//! Connects agent, radio, UDP and the clock: one thread, one `poll`.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use dot11::MacAddr;
use proto::tunnel::{MAX_FRAME, SessionId};

use crate::agent::{Agent, Output};
use crate::backend::{Backend, BackendError};
use crate::config::Config;
use crate::daemon::Log;
use crate::resolver::{Found, Resolver};
use crate::sys;

/// A gateway whose name was not found is looked up again after this.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);

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
    /// BSSes whose gateway is to be looked up again, and when.
    again: Vec<(Duration, usize)>,
    started: Instant,
    send_error: Option<i32>,
}

impl EventLoop {
    /// Opens the UDP socket. Nothing is sent before [`EventLoop::run`].
    pub fn new(config: &Config, backend: Box<dyn Backend>) -> Result<EventLoop, RunError> {
        let system = |what| move |error| RunError::System(what, error);
        let (socket, ipv6) = sys::udp_socket().map_err(system("open a UDP socket"))?;
        // More than the default, so that a burst of the gateway survives a moment without us; refused is no harm.
        let _ = sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &(512 << 10) as &libc::c_int);
        let radio = config.radio.or(backend.radio()).unwrap_or(MacAddr::ZERO);
        Ok(EventLoop {
            agent: Agent::new(config, radio),
            backend,
            gateways: config.bsses.iter().map(|bss| (bss.host.clone(), bss.port)).collect(),
            socket,
            ipv6,
            resolver: Resolver::new(ipv6).map_err(system("make an eventfd"))?,
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
            self.act(now, log);
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
                    self.agent.shut_down();
                    self.act(now, log);
                    return Ok(());
                }
            }
            for found in self.resolver.take() {
                self.found(found, now, log);
            }
            for _ in 0..ROUND {
                // An error here is one of an earlier datagram, or nothing at all to receive.
                let Ok((len, from)) = self.socket.recv_from(&mut buffer) else { break };
                self.agent.datagram(sys::unmapped(from), &buffer[..len], now);
            }
            let agent = &mut self.agent;
            self.backend.receive(&mut |frame, info| agent.frame(frame, info, now))?;
            self.timeout(now, log);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let again = self.again.iter().map(|(when, _)| *when).min();
        [self.agent.deadline(), self.backend.deadline(), again].into_iter().flatten().min()
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
        for at in (0..self.again.len()).rev() {
            if self.again[at].0 <= now {
                let (_, bss) = self.again.swap_remove(at);
                self.look_up(bss, now, log);
            }
        }
    }

    /// Does what the agent wants.
    fn act(&mut self, now: Duration, log: Log) {
        while let Some(output) = self.agent.poll_output() {
            let done = match output {
                Output::LookUp { bss } => {
                    self.look_up(bss, now, log);
                    Ok(())
                }
                Output::Send { to, datagram } => {
                    self.send(to, &datagram, log);
                    Ok(())
                }
                Output::Open { bss } => {
                    let opened = self.backend.open(bss, self.agent.template(bss), now);
                    if opened.is_err() {
                        self.agent.open_failed(bss, now);
                    }
                    opened
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
        let error = self.socket.send_to(datagram, address).err();
        let code = error.as_ref().and_then(io::Error::raw_os_error);
        if matches!(code, Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR)) {
            return;
        }
        if let Some(error) = error.filter(|_| code != self.send_error) {
            log.error(&format_args!("cannot send to {to}: {error}"));
        }
        self.send_error = code;
    }

    fn look_up(&mut self, bss: usize, now: Duration, log: Log) {
        let Some((host, port)) = self.gateways.get(bss) else { return };
        if let Some(found) = self.resolver.start(bss, host, *port) {
            self.found(found, now, log);
        }
    }

    fn found(&mut self, found: Found, now: Duration, log: Log) {
        match found.address {
            Ok(address) => self.agent.resolved(found.bss, address, now),
            Err(error) => {
                log.error(&format_args!("cannot look up gateway {}: {error}; trying again", found.host));
                self.again.push((now + LOOK_UP_AGAIN, found.bss));
            }
        }
    }

    fn log_counters(&self, log: Log) {
        log.event(&format_args!("{:?}", self.agent.counters()));
        log.event(&format_args!("fragments: {:?}", self.agent.fragment_counters()));
    }
}
