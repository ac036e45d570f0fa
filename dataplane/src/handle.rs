//! The other threads' end of the data plane: commands go in, events come out, wherever in it they belong.
//!
//! A handle keeps the map of who owns what. A tunnel belongs to the worker that its first keep-alive arrived at; its stations and every
//! command about them go there, and the other workers are told by [`Route`]s, so that they hand over what arrives at them.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, RawFd};
use std::thread::JoinHandle;

use dot11::MacAddr;
use rtrb::Consumer;

use crate::command::{Command, CommandKind, Event, Service, SessionId, StationKey, Tunnel};
use crate::counters::Reader;
use crate::directory::{Route, WorkerId};
use crate::endpoint::Endpoint;
use crate::ring::{Bell, Sender};
use crate::station::Memory;
use crate::wire::{FromWorker, ToWorker};

/// Commands the workers and hears their events. `Send`, for one owner at a time.
pub struct Handle {
    workers: Vec<Worker>,
    bell: Bell,
    counters: Reader,
    services: Vec<Service>,
    tunnels: HashMap<MacAddr, Owner>,
    /// Where keep-alives of unaccepted tunnels arrived last, and where they came from.
    requested: HashMap<MacAddr, (WorkerId, Endpoint)>,
    events: VecDeque<Event>,
    reports: usize,
    memory: Vec<Memory>,
}

/// Unaccepted tunnels whose worker is remembered. Beyond that, worker 0 gets them, which is right too, only slower.
const REQUESTS: usize = 65_536;

/// One worker as the handle reaches it.
pub(crate) struct Worker {
    pub(crate) commands: Sender<ToWorker>,
    pub(crate) events: Consumer<FromWorker>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

struct Owner {
    worker: WorkerId,
    tunnel: Tunnel,
    stations: HashMap<MacAddr, Place>,
}

/// Where a station's data is found: `vlan` is what control chose, 0 for the service's.
struct Place {
    open: bool,
    vlan: u16,
}

impl Handle {
    pub(crate) fn new(workers: Vec<Worker>, bell: Bell, counters: Reader) -> Self {
        Self {
            workers,
            bell,
            counters,
            services: Vec::new(),
            tunnels: HashMap::new(),
            requested: HashMap::new(),
            events: VecDeque::new(),
            reports: 0,
            memory: Vec::new(),
        }
    }

    pub(crate) fn set_memory(&mut self, memory: Vec<Memory>) {
        self.memory = memory;
    }

    pub(crate) fn attach(&mut self, worker: WorkerId, thread: JoinHandle<()>) {
        self.workers[worker].thread = Some(thread);
    }

    /// Sends a command. Never blocks and never loses one: what the worker has no room for yet waits here, and goes on with the next call of
    /// this or [`Handle::poll_event`].
    pub fn send(&mut self, mut command: Command) {
        match &mut command.kind {
            CommandKind::Welcome(welcome) => {
                let before: Vec<_> = self.open_stations().collect();
                self.services = welcome.services.clone();
                for (key, vlan) in before {
                    self.unroute(key, vlan);
                    self.route(key);
                }
                return self.broadcast(&command);
            }
            CommandKind::TunnelRefuse(refuse) => {
                self.forget(refuse.tunnel.bssid, Some(refuse.tunnel.session_id));
                return self.broadcast(&command);
            }
            CommandKind::CountersRequest { station: None } => return self.broadcast(&command),
            // Any worker's socket is the gateway's.
            CommandKind::Datagram(_) => return self.workers[0].commands.send(ToWorker::Command(command)),
            CommandKind::TunnelAccept(accept) => {
                let service = accept.tunnel.service;
                if !self.services.iter().any(|known| known.uuid == service) {
                    return self.fail(command.id, "no such service");
                }
                self.accept(&mut accept.tunnel);
            }
            _ => {}
        }
        let Some(owner) = command.kind.bssid().and_then(|bssid| self.tunnels.get(&bssid)) else {
            return self.fail(command.id, "no such tunnel");
        };
        let worker = owner.worker;
        match &command.kind {
            CommandKind::StationAdd(add) => {
                self.close(add.station);
                self.place(add.station, Some(Place { open: false, vlan: 0 }));
            }
            CommandKind::StationRemove(station) => {
                self.close(*station);
                self.place(*station, None);
            }
            CommandKind::PortOpen(port) => {
                self.close(port.station);
                if self.find(port.station).is_some() {
                    self.place(port.station, Some(Place { open: port.open, vlan: port.vlan }));
                    self.route(port.station);
                }
            }
            CommandKind::TunnelClose { bssid } => self.forget(*bssid, None),
            _ => {}
        }
        self.workers[worker].commands.send(ToWorker::Command(command));
    }

    /// Asks for a [`Event::TunnelReport`] of every live tunnel, a [`Event::StationReport`] of every live station, and then
    /// [`Event::Synced`]. To be called once at a time.
    pub fn report(&mut self) {
        self.reports = self.workers.len();
        self.workers.iter_mut().for_each(|worker| worker.commands.send(ToWorker::Report));
    }

    /// The next event, or `None` when there is none now; then the descriptor ([`AsRawFd`]) becomes readable when there is one again.
    ///
    /// With tokio: wrap the descriptor in `AsyncFd`, and when it is readable call `clear_ready`, then this until it gives `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.next_event() {
            return Some(event);
        }
        self.bell.arm();
        self.next_event()
    }

    /// Reads the counters, from any thread.
    pub fn counters(&self) -> Reader {
        self.counters.clone()
    }

    /// The memory of each worker's station table, as it was set up; empty for workers without threads.
    pub fn memory(&self) -> &[Memory] {
        &self.memory
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Whether a worker has ended by itself, which none does unless something is wrong with it.
    pub fn is_damaged(&self) -> bool {
        self.workers.iter().any(|worker| worker.thread.as_ref().is_some_and(JoinHandle::is_finished))
    }

    /// Stops every worker and waits for it to end. Dropping the handle does the same.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        for worker in &mut self.workers {
            worker.commands.send(ToWorker::Stop);
        }
        for worker in &mut self.workers {
            let Some(thread) = worker.thread.take() else { continue };
            while !worker.commands.flush() && !thread.is_finished() {
                // The worker takes what waits; events that nobody hears any more must not keep it from that.
                while worker.events.pop().is_ok() {}
                std::thread::yield_now();
            }
            // A worker that panicked has said so on standard error already.
            let _ = thread.join();
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        for worker in 0..self.workers.len() {
            self.workers[worker].commands.flush();
            while self.events.is_empty() {
                let Ok(message) = self.workers[worker].events.pop() else { break };
                self.hear(message);
            }
        }
        self.events.pop_front()
    }

    fn hear(&mut self, message: FromWorker) {
        match message {
            FromWorker::Event(event) => {
                if let Event::TunnelDown { bssid, session_id, .. } = event {
                    self.forget(bssid, Some(session_id));
                }
                self.events.push_back(event);
            }
            FromWorker::Request(tunnel, proof, worker) => {
                if self.requested.len() >= REQUESTS {
                    self.requested.clear();
                }
                self.requested.insert(tunnel.bssid, (worker, tunnel.endpoint));
                self.events.push_back(Event::TunnelRequest(tunnel, proof));
            }
            FromWorker::Reported => {
                self.reports = self.reports.saturating_sub(1);
                if self.reports == 0 {
                    self.events.push_back(Event::Synced);
                }
            }
            FromWorker::Moved(bssid, endpoint) => {
                if let Some(owner) = self.tunnels.get_mut(&bssid) {
                    owner.tunnel.endpoint = endpoint;
                    let route = Route::Bss { bssid, worker: owner.worker, endpoint };
                    self.tell_all(route);
                }
            }
        }
    }

    /// Decides who owns a tunnel that is being accepted, and at which of our addresses its other end is.
    fn accept(&mut self, tunnel: &mut Tunnel) {
        let bssid = tunnel.bssid;
        let requested = self.requested.remove(&bssid);
        if let Some((_, from)) = requested
            && from.is_same_peer(&tunnel.endpoint)
        {
            tunnel.endpoint = from;
        }
        let (tunnel, requested) = (*tunnel, requested.map(|(worker, _)| worker));
        if let Some(owner) = self.tunnels.get(&bssid) {
            if owner.tunnel.session_id == tunnel.session_id {
                return;
            }
            let (before, after) = (owner.worker, requested.unwrap_or(owner.worker));
            self.forget(bssid, None);
            if before != after {
                self.workers[before].commands.send(ToWorker::Release(bssid));
            }
            return self.own(tunnel, after);
        }
        self.own(tunnel, requested.unwrap_or(0));
    }

    fn own(&mut self, tunnel: Tunnel, worker: WorkerId) {
        self.tunnels.insert(tunnel.bssid, Owner { worker, tunnel, stations: HashMap::new() });
        self.tell_all(Route::Bss { bssid: tunnel.bssid, worker, endpoint: tunnel.endpoint });
    }

    /// Forgets a tunnel (of that session, if one is given) with its stations.
    fn forget(&mut self, bssid: MacAddr, session: Option<SessionId>) {
        let Some(owner) = self.tunnels.get(&bssid) else { return };
        if session.is_some_and(|session| session != owner.tunnel.session_id) {
            return;
        }
        let gone: Vec<_> = owner.stations.keys().map(|&mac| StationKey { bssid, mac }).collect();
        gone.into_iter().for_each(|key| self.close(key));
        self.tunnels.remove(&bssid);
        self.tell_all(Route::BssGone { bssid });
    }

    fn find(&self, key: StationKey) -> Option<&Place> {
        self.tunnels.get(&key.bssid)?.stations.get(&key.mac)
    }

    fn place(&mut self, key: StationKey, place: Option<Place>) {
        let Some(owner) = self.tunnels.get_mut(&key.bssid) else { return };
        match place {
            Some(place) => owner.stations.insert(key.mac, place),
            None => owner.stations.remove(&key.mac),
        };
    }

    /// The VLAN on which an open station is found.
    fn vlan_of(&self, key: StationKey) -> Option<u16> {
        let place = self.find(key).filter(|place| place.open)?;
        if place.vlan != 0 {
            return Some(place.vlan);
        }
        let uuid = self.tunnels.get(&key.bssid)?.tunnel.service;
        self.services.iter().find(|service| service.uuid == uuid).map(|service| service.vlan)
    }

    fn open_stations(&self) -> impl Iterator<Item = (StationKey, u16)> {
        let keys = self
            .tunnels
            .iter()
            .flat_map(|(&bssid, owner)| owner.stations.keys().map(move |&mac| StationKey { bssid, mac }));
        keys.filter_map(|key| self.vlan_of(key).map(|vlan| (key, vlan)))
    }

    fn route(&mut self, key: StationKey) {
        let worker = self.tunnels.get(&key.bssid).map(|owner| owner.worker);
        if let (Some(worker), Some(vlan)) = (worker, self.vlan_of(key)) {
            self.tell_all(Route::Station { vlan, mac: key.mac, worker });
        }
    }

    fn unroute(&mut self, key: StationKey, vlan: u16) {
        if let Some(worker) = self.tunnels.get(&key.bssid).map(|owner| owner.worker) {
            self.tell_all(Route::StationGone { vlan, mac: key.mac, worker });
        }
    }

    fn close(&mut self, key: StationKey) {
        if let Some(vlan) = self.vlan_of(key) {
            self.unroute(key, vlan);
        }
    }

    fn tell_all(&mut self, route: Route) {
        // Alone, a worker finds its stations in its own table.
        if self.workers.len() == 1 && matches!(route, Route::Station { .. } | Route::StationGone { .. }) {
            return;
        }
        self.workers.iter_mut().for_each(|worker| worker.commands.send(ToWorker::Route(route)));
    }

    fn broadcast(&mut self, command: &Command) {
        self.workers.iter_mut().for_each(|worker| worker.commands.send(ToWorker::Command(command.clone())));
    }

    fn fail(&mut self, command: u64, reason: &'static str) {
        self.events.push_back(Event::CommandFailed { command, reason });
        // Whoever sleeps on the descriptor must see it.
        self.bell.ring();
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.join();
    }
}

const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Handle>();
};
