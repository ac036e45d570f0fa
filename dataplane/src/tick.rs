//! What time does: tunnels fall silent, stations idle, holds end, totals are due. Spread over ticks, so that no tick looks at more than a part of
//! a large table.

use std::time::Duration;

use crate::clock::Time;
use crate::command::{Event, StationKey, StationReport, TunnelReport};
use crate::counters::{DropReason, Forwarded};
use crate::state::State;
use crate::station::{Flag, StationId};
use crate::tunnel::TunnelId;
use crate::wire::FromWorker;

/// From one tick to the next.
pub const TICK: Duration = Duration::from_millis(10);

/// How long a worker may sleep when nothing waits for the next tick.
pub const LONG_TICK: Duration = Duration::from_millis(100);

/// Places of a table looked at in one tick: at least this, and so many that all are within [`TICKS_PER_ROUND`].
const PLACES_PER_TICK: u32 = 64;
const TICKS_PER_ROUND: u32 = 100;

/// Tunnels whose keep-alives are late and that are looked at in each tick, because punches are due more often than a large table is
/// gone through. Any more get theirs when their turn comes.
const MAX_LATE: usize = 128;

/// Control hears of decryption failures of a station so often at most.
const FAILURES_INTERVAL: Duration = Duration::from_secs(1);

/// How far the work is that goes on over passes.
pub(crate) struct Progress {
    next_tick: Time,
    tunnels_from: u32,
    late: Vec<TunnelId>,
    stations_from: u32,
    report: Option<Report>,
    counters_from: Option<u32>,
    counters_interval: Option<Duration>,
    /// Stations whose downlink waits.
    pub(crate) holding: Vec<StationId>,
}

#[derive(Clone, Copy)]
enum Report {
    Tunnels(u32),
    Stations(u32),
}

impl Progress {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            next_tick: now,
            tunnels_from: 0,
            late: Vec::with_capacity(MAX_LATE),
            stations_from: 0,
            report: None,
            counters_from: None,
            counters_interval: None,
            holding: Vec::new(),
        }
    }

    pub(crate) fn start_report(&mut self) {
        self.report = Some(Report::Tunnels(0));
    }

    pub(crate) fn start_counters(&mut self) {
        self.counters_from = Some(0);
    }

    pub(crate) fn set_counters_interval(&mut self, seconds: u32) {
        self.counters_interval = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
    }
}

impl State {
    /// Once per pass.
    pub(crate) fn tick(&mut self) {
        self.report();
        self.all_counters();
        if self.now < self.progress.next_tick {
            return;
        }
        self.progress.next_tick = self.now + TICK;
        let expired = self.defragmenter.expire(self.now);
        self.counters.add(DropReason::FragmentExpired, expired);
        self.reassembler.expire(Duration::from_nanos(self.now.nanos()));
        let reassembly = self.reassembler.counters();
        self.counters.set(Forwarded::ReassemblyGivenUp, reassembly.expired + reassembly.evicted);
        self.stations.maintain();
        self.end_holds();
        self.expire_parked();
        self.look_at_tunnels();
        self.look_at_stations();
    }

    /// How long nothing will happen by itself.
    pub(crate) fn quiet_for(&self) -> Duration {
        let progress = &self.progress;
        if !self.tunnel_tx.is_empty() || !self.network_tx.is_empty() {
            return Duration::from_millis(1);
        }
        if !self.fanout.is_empty() {
            return Duration::ZERO;
        }
        let waiting = !progress.holding.is_empty()
            || !self.parked.is_empty()
            || !self.defragmenter.is_empty()
            || !self.reassembler.is_empty()
            || !progress.late.is_empty()
            || progress.report.is_some()
            || progress.counters_from.is_some()
            || self.events.is_waiting();
        if waiting { TICK } else { LONG_TICK }
    }

    fn end_holds(&mut self) {
        let now = self.now;
        let mut i = 0;
        while let Some(&id) = self.progress.holding.get(i) {
            let holding = self.stations.hot(id).is(Flag::Holding);
            if holding && self.stations.cold(id).hold_until > now {
                i += 1;
                continue;
            }
            self.progress.holding.swap_remove(i);
            if holding {
                self.release_hold(id);
            }
        }
    }

    fn look_at_tunnels(&mut self) {
        let budget = per_tick(self.tunnels.places());
        let from = self.progress.tunnels_from;
        let now = self.now;
        let silent = |state: &crate::tunnel::TunnelState| {
            state.timeout.is_some_and(|timeout| now.since(state.last_keep_alive) >= timeout)
        };
        let next = from + budget;
        self.punch_late();
        for id in (from..next.min(self.tunnels.places())).map(TunnelId) {
            let late = &mut self.progress.late;
            if !self.tunnels.get(id).is_some_and(|state| state.is_late(now)) || late.contains(&id) {
                continue;
            }
            if late.len() < MAX_LATE {
                late.push(id);
            }
            self.punch(id);
        }
        loop {
            let mut tunnels = self.tunnels.iter_from(from).take_while(|(id, _)| id.0 < next);
            let Some(id) = tunnels.find(|(_, state)| silent(state)).map(|(id, _)| id) else { break };
            drop(tunnels);
            self.tunnel_down(id, "no keep-alive came in time");
        }
        self.progress.tunnels_from = if next >= self.tunnels.places() { 0 } else { next };
    }

    fn punch_late(&mut self) {
        let mut late = std::mem::take(&mut self.progress.late);
        late.retain(|&id| self.tunnels.get(id).is_some_and(|state| state.is_late(self.now)));
        late.iter().for_each(|&id| self.punch(id));
        self.progress.late = late;
    }

    /// Sends the punch that is due, if one is.
    fn punch(&mut self, id: TunnelId) {
        let Some(state) = self.tunnels.get_mut(id) else { return };
        let endpoint = state.tunnel.endpoint;
        let Some(punch) = state.punch(self.now) else { return };
        let Some(mut packet) = self.pool.alloc() else { return };
        if !packet.copy_from(&punch.datagram()) {
            return self.drop(DropReason::NoHeadroom);
        }
        packet.meta.endpoint = endpoint;
        self.count(Forwarded::Punch);
        self.send_to_tunnel(packet);
    }

    fn look_at_stations(&mut self) {
        let places = self.stations.places();
        let mut place = self.progress.stations_from;
        for _ in 0..per_tick(places) {
            if place >= places {
                place = 0;
                break;
            }
            if let Some(id) = self.stations.at_place(place) {
                // Nothing of this is lost when control is behind: it is due until it is sent.
                if self.events.room() < 4 {
                    break;
                }
                self.look_at_station(id);
            }
            place += 1;
        }
        self.progress.stations_from = place;
    }

    fn look_at_station(&mut self, id: StationId) {
        let (now, interval) = (self.now, self.progress.counters_interval);
        if self.stations.cold(id).old_key.as_ref().is_some_and(|old| old.until <= now) {
            self.end_grace(id);
        }
        let (hot, cold) = self.stations.both_mut(id);
        let station = StationKey { bssid: hot.bssid, mac: hot.mac };
        let failures = cold.mic_failures + cold.replays;
        let failed = failures != cold.failures_reported
            && (cold.failures_reported == 0 || now.since(cold.failures_reported_at) >= FAILURES_INTERVAL);
        if failed {
            cold.failures_reported = failures;
            cold.failures_reported_at = now;
            let (mic_failures, replays) = (cold.mic_failures, cold.replays);
            self.events.send(FromWorker::Event(Event::DecryptFailures { station, mic_failures, replays }));
        }
        let idle_limit = self.services.get(hot.service).map_or(0, |service| service.idle_seconds);
        let idle_limit = Duration::from_secs(idle_limit.into());
        if !idle_limit.is_zero() && now.since(hot.last_seen.max(cold.idle_reported_at)) >= idle_limit {
            cold.idle_reported_at = now;
            let idle_seconds = u32::try_from(now.since(hot.last_seen).as_secs()).unwrap_or(u32::MAX);
            self.events.send(FromWorker::Event(Event::StationIdle { station, idle_seconds }));
        }
        if interval.is_some_and(|interval| now.since(cold.counters_reported_at) >= interval) {
            cold.counters_reported_at = now;
            self.tell(Event::Counters(self.counters_of(id)));
        }
    }

    /// Goes on with the answer to a request for everybody's totals, as far as control takes it.
    fn all_counters(&mut self) {
        let Some(mut place) = self.progress.counters_from else { return };
        while place < self.stations.places() {
            if self.events.room() == 0 {
                self.progress.counters_from = Some(place);
                return;
            }
            if let Some(id) = self.stations.at_place(place) {
                self.stations.cold_mut(id).counters_reported_at = self.now;
                self.tell(Event::Counters(self.counters_of(id)));
            }
            place += 1;
        }
        self.progress.counters_from = None;
    }

    /// Goes on with the report of what is live, as far as control takes it.
    fn report(&mut self) {
        while let Some(report) = self.progress.report {
            if self.events.room() == 0 {
                return;
            }
            self.progress.report = match report {
                Report::Tunnels(from) => Some(self.report_tunnel(from)),
                Report::Stations(from) => self.report_station(from),
            };
        }
    }

    fn report_tunnel(&mut self, from: u32) -> Report {
        let Some((TunnelId(place), state)) = self.tunnels.iter_from(from).next() else {
            return Report::Stations(0);
        };
        let report =
            TunnelReport { tunnel: state.tunnel, blob: state.blob.clone(), group_pn: state.group_pn() };
        self.tell(Event::TunnelReport(report));
        Report::Tunnels(place + 1)
    }

    fn report_station(&mut self, from: u32) -> Option<Report> {
        let Some(id) = (from..self.stations.places()).find_map(|place| self.stations.at_place(place)) else {
            self.events.send(FromWorker::Reported);
            return None;
        };
        let hot = self.stations.hot(id);
        let report = StationReport {
            station: StationKey { bssid: hot.bssid, mac: hot.mac },
            port_open: hot.is(Flag::PortOpen),
            blob: self.stations.cold(id).blob.clone(),
            counters: self.counters_of(id),
        };
        self.tell(Event::StationReport(report));
        Some(Report::Stations(id.0 + 1))
    }
}

fn per_tick(places: u32) -> u32 {
    PLACES_PER_TICK.max(places.div_ceil(TICKS_PER_ROUND))
}
