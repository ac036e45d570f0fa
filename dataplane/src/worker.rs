//! One worker: everything that is done with a packet is done in one pass of one thread.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::clock::Time;
use crate::counters::{DropReason, Forwarded};
use crate::directory::WorkerId;
use crate::handoff::{HandoffRx, Kind};
use crate::io::PacketIo;
use crate::packet::{BURST, Burst};
use crate::port_counters::Port;
use crate::ring::{Bell, Receiver};
use crate::state::State;
use crate::wake::Wait;
use crate::wire::ToWorker;

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Asks again at once: lowest latency, a whole core.
    BusyPoll,
    /// Sleeps until something arrives.
    #[default]
    Epoll,
}

/// What a pass found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing.
    Idle,
    /// Something; there may be more.
    Busy,
    /// The order to stop.
    Stop,
}

/// Between publications of what the ports counted, while there is always something to do.
const PUBLISH: Duration = Duration::from_millis(50);

/// Messages of the handle carried out in one pass.
const COMMANDS_PER_PASS: usize = 64;

/// A worker with its ports: radios on the one side, the network on the other.
pub struct Worker<T, N> {
    /// What it owns.
    pub state: State,
    tunnel: T,
    network: N,
    commands: Receiver<ToWorker>,
    /// By the worker they come from.
    peers: Vec<Option<HandoffRx>>,
    bell: Bell,
    burst: Burst,
    /// Taken from the transmit queues and not sent yet.
    tunnel_tx: Burst,
    network_tx: Burst,
    published_at: Time,
}

impl<T: PacketIo, N: PacketIo> Worker<T, N> {
    /// A worker of these parts.
    pub(crate) fn new(
        state: State,
        (tunnel, network): (T, N),
        commands: Receiver<ToWorker>,
        peers: Vec<Option<HandoffRx>>,
        bell: Bell,
    ) -> Self {
        Self {
            state,
            tunnel,
            network,
            commands,
            peers,
            bell,
            burst: Burst::new(),
            tunnel_tx: Burst::new(),
            network_tx: Burst::new(),
            published_at: Time::ZERO,
        }
    }

    /// Passes until told to stop.
    ///
    /// # Errors
    /// In epoll mode, what the system refuses when the descriptors are collected.
    pub fn run(&mut self, mode: Mode) -> io::Result<()> {
        let wait = match mode {
            Mode::BusyPoll => None,
            Mode::Epoll => Some(self.wait()?),
        };
        loop {
            match (self.pass(Time::now()), &wait) {
                (Pass::Stop, _) => return Ok(()),
                (Pass::Busy, _) => {}
                (Pass::Idle, None) => std::hint::spin_loop(),
                (Pass::Idle, Some(wait)) => self.sleep(wait),
            }
        }
    }

    /// One pass: commands → hand-offs → receive → stages → transmit → events.
    pub fn pass(&mut self, now: Time) -> Pass {
        self.state.now = now;
        let mut work = 0;
        for _ in 0..COMMANDS_PER_PASS {
            match self.commands.receive() {
                Some(ToWorker::Stop) => return Pass::Stop,
                Some(message) => self.state.command(message),
                None => break,
            }
            work += 1;
        }
        if work > 0 && self.commands.sender_waits() {
            self.state.events.nudge();
        }
        for origin in 0..self.peers.len() {
            work += self.receive_from_peer(origin);
        }
        work += self.tunnel.rx_burst(&self.state.pool, &mut self.burst);
        if !self.burst.is_empty() {
            self.state.uplink(&mut self.burst);
        }
        work += self.network.rx_burst(&self.state.pool, &mut self.burst);
        if !self.burst.is_empty() {
            self.state.downlink(&mut self.burst);
        }
        self.state.fan_out();
        self.state.tick();
        self.state.seal();
        self.transmit();
        self.state.events.flush();
        self.state.peers.iter_mut().flatten().for_each(|peer| peer.flush());
        if now.since(self.published_at) >= PUBLISH {
            self.publish();
            self.published_at = now;
        }
        if work > 0 { Pass::Busy } else { Pass::Idle }
    }

    /// Takes at most a burst that another worker handed over.
    fn receive_from_peer(&mut self, origin: WorkerId) -> usize {
        let state = &mut self.state;
        let Some(Some(ring)) = self.peers.get_mut(origin) else { return 0 };
        if ring.is_empty() {
            return 0;
        }
        let mut items = std::mem::take(&mut state.items);
        let mut n = 0;
        while n < BURST {
            // A packet for each, before it is known to be there: without one, what is in the ring stays there.
            let Some(mut packet) = state.pool.alloc() else { break };
            let Some(received) = ring.receive(&mut packet) else { break };
            n += 1;
            state.count(Forwarded::HandoffRx);
            let Ok(handoff) = received else {
                state.drop(DropReason::TooLong);
                continue;
            };
            match (handoff.kind, handoff.endpoint.known()) {
                (Kind::Datagram, Some(endpoint)) => state.keep_alive(packet, endpoint, origin),
                (Kind::Frame, Some(endpoint)) => {
                    packet.meta.endpoint = endpoint;
                    state.item(packet, handoff.signal, true, &mut items);
                }
                (Kind::Ethernet, _) => state.take_from_peer(packet, handoff.vlan, handoff.priority),
                (Kind::NetworkAddress, _) => {
                    state.note_network(packet.data(), handoff.vlan);
                }
                (Kind::Datagram | Kind::Frame, None) => state.drop(DropReason::UnknownTunnel),
            }
        }
        state.frames(&mut items);
        state.items = items;
        n
    }

    fn transmit(&mut self) {
        let state = &mut self.state;
        let sent = drain(&mut state.tunnel_tx, &mut self.tunnel_tx, &mut self.tunnel);
        state.counters.add(Forwarded::TunnelTx, sent);
        let sent = drain(&mut state.network_tx, &mut self.network_tx, &mut self.network);
        state.counters.add(Forwarded::NetworkTx, sent);
    }

    /// Shows what the ports counted to whoever reads the counters.
    fn publish(&self) {
        self.state.counters.ports.publish(Port::Tunnel, &self.tunnel);
        self.state.counters.ports.publish(Port::Network, &self.network);
    }

    fn wait(&self) -> io::Result<Wait> {
        let wait = Wait::new()?;
        wait.add(self.bell.as_raw_fd())?;
        for fd in [self.tunnel.poll_fd(), self.network.poll_fd()].into_iter().flatten() {
            wait.add(fd)?;
        }
        Ok(wait)
    }

    fn sleep(&self, wait: &Wait) {
        self.bell.arm();
        let ready = !self.commands.is_empty()
            || self.peers.iter().flatten().any(|ring| !ring.is_empty())
            || self.tunnel.rx_ready()
            || self.network.rx_ready();
        if ready {
            return;
        }
        self.publish();
        let mut timeout = self.state.quiet_for();
        for deadline in [self.tunnel.deadline(), self.network.deadline()].into_iter().flatten() {
            timeout = timeout.min(deadline.since(self.state.now));
        }
        if !self.tunnel_tx.is_empty() || !self.network_tx.is_empty() {
            timeout = timeout.min(Duration::from_millis(1));
        }
        // A port without a descriptor has to be asked.
        if self.tunnel.poll_fd().is_none() || self.network.poll_fd().is_none() {
            timeout = timeout.min(Duration::from_millis(1));
        }
        wait.sleep(Some(timeout));
    }
}

/// Sends as much of a queue as its port takes now.
fn drain(
    queue: &mut std::collections::VecDeque<crate::packet::Packet>,
    burst: &mut Burst,
    port: &mut impl PacketIo,
) -> u64 {
    let mut sent = 0;
    loop {
        while !burst.is_full() {
            let Some(packet) = queue.pop_front() else { break };
            // There is room.
            let _ = burst.push(packet);
        }
        if burst.is_empty() {
            return sent;
        }
        sent += port.tx_burst(burst) as u64;
        if !burst.is_empty() {
            return sent;
        }
    }
}
