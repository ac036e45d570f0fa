//! Carrying out what control commands.

use std::time::Duration;

use dot11::{Frame, MacAddr};

use crate::clock::Time;
use crate::command::{
    Command, CommandKind, Counters, Datagram, Event, FrameKind, GroupKeyInstall, KeyInstall, PortOpen,
    StationAdd, StationKey, Transmit, Tunnel, TunnelAccept, TunnelRefuse, Welcome,
};
use crate::counters::Forwarded;
use crate::stage::downlink::{DownItem, Form, To};
use crate::state::State;
use crate::station::{Cold, Flag, Hot, OldKey, StationId};
use crate::tunnel::TunnelId;
use crate::wire::ToWorker;

/// User priority of EAPOL: the highest, like other network control.
const EAPOL_PRIORITY: u8 = 7;

type Outcome = Result<(), &'static str>;

const NO_TUNNEL: &str = "no such tunnel";
const NO_STATION: &str = "no such station";
const NO_PACKET: &str = "no packet buffer free, or the frame is longer than one";

impl State {
    /// Carries out a message of the handle.
    pub(crate) fn command(&mut self, message: ToWorker) {
        // Frames that wait refer to stations and keys as they are now.
        self.seal();
        match message {
            ToWorker::Command(Command { id, kind }) => match self.carry_out(kind) {
                Ok(()) => self.count(Forwarded::Commands),
                Err(reason) => {
                    self.count(Forwarded::CommandsFailed);
                    self.tell(Event::CommandFailed { command: id, reason });
                }
            },
            ToWorker::Route(route) => {
                self.directory.apply(route);
                self.outside.forget();
                if let crate::directory::Route::Station { vlan, mac, worker } = route
                    && worker != self.me
                {
                    self.stations.forget_in_segment(vlan, mac);
                }
            }
            ToWorker::Release(bssid) => {
                if let Some(id) = self.tunnels.find(bssid) {
                    self.remove_tunnel(id);
                }
            }
            ToWorker::Report => self.progress.start_report(),
            // The worker's loop looks for it before it gets here.
            ToWorker::Stop => {}
        }
    }

    fn carry_out(&mut self, command: CommandKind) -> Outcome {
        match command {
            CommandKind::Welcome(welcome) => self.welcome(welcome),
            CommandKind::TunnelAccept(accept) => return self.accept_tunnel(accept),
            CommandKind::TunnelRefuse(refuse) => self.refuse_tunnel(&refuse),
            CommandKind::TunnelClose { bssid } => {
                let id = self.tunnel(bssid)?;
                self.remove_tunnel(id);
            }
            CommandKind::StationAdd(add) => return self.add_station(add),
            CommandKind::StationRemove(key) => {
                let id = self.station(key)?;
                self.remove_station(id);
            }
            CommandKind::KeyInstall(install) => return self.install_key(install),
            CommandKind::GroupKeyInstall(install) => return self.install_group_key(install),
            CommandKind::PortOpen(port) => return self.open_port(port),
            CommandKind::Transmit(transmit) => return self.transmit(&transmit),
            CommandKind::BlobSet { bssid, mac, blob } => match mac {
                Some(mac) => {
                    let id = self.station(StationKey { bssid, mac })?;
                    self.stations.cold_mut(id).blob = blob;
                }
                None => {
                    let id = self.tunnel(bssid)?;
                    self.tunnels.get_mut(id).ok_or(NO_TUNNEL)?.blob = blob;
                }
            },
            CommandKind::Datagram(Datagram { peer, data }) => {
                if data.len() > Datagram::MAX
                    || !data.first().is_some_and(|first| proto::MATCHMAKING.contains(first))
                {
                    return Err("not a datagram of matchmaking");
                }
                let mut packet = self.copy_of(&data).ok_or(NO_PACKET)?;
                packet.meta.endpoint = peer;
                self.send_to_tunnel(packet);
                self.count(Forwarded::DatagramTx);
            }
            CommandKind::CountersRequest { station: Some(key) } => {
                let id = self.station(key)?;
                self.tell(Event::Counters(self.counters_of(id)));
            }
            CommandKind::CountersRequest { station: None } => self.progress.start_counters(),
        }
        Ok(())
    }

    fn welcome(&mut self, welcome: Welcome) {
        self.progress.set_counters_interval(welcome.counters_interval_seconds);
        for service in self.services.replace(welcome.services) {
            let gone: Vec<_> = self
                .tunnels
                .iter_from(0)
                .filter(|(_, state)| state.service == service)
                .map(|(id, _)| id)
                .collect();
            gone.into_iter().for_each(|id| self.tunnel_down(id, "its service is no longer served here"));
        }
        for place in 0..self.stations.places() {
            let Some(id) = self.stations.at_place(place) else { continue };
            let vlan = self.vlan_for(id);
            let hot = self.stations.hot(id);
            if hot.is(Flag::PortOpen) && hot.vlan != vlan {
                self.forget_addresses_of(id);
                self.stations.join_segment(id, vlan);
                self.outside.forget();
            }
        }
    }

    fn accept_tunnel(&mut self, accept: TunnelAccept) -> Outcome {
        let TunnelAccept { tunnel, blob, keepalive_timeout_seconds: seconds, key, counter } = accept;
        let service = self.services.find(tunnel.service).ok_or("no such service")?;
        let timeout = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        if let Some(id) = self.tunnels.find(tunnel.bssid) {
            let state = self.tunnels.get_mut(id).ok_or(NO_TUNNEL)?;
            if state.tunnel.session_id == tunnel.session_id {
                state.blob = blob;
                state.timeout = timeout;
                if state.key != key {
                    (state.key, state.counter) = (key, counter);
                }
                return Ok(());
            }
            self.remove_tunnel(id);
        }
        let id = self.tunnels.add(tunnel, service, blob, timeout, self.now);
        if let Some(state) = self.tunnels.get_mut(id) {
            (state.key, state.counter) = (key, counter);
        }
        self.counters.set(Forwarded::Tunnels, self.tunnels.len() as u64);
        // The radio asks once a second until it is answered; this saves it the rest of that second.
        if let Some(packet) = self.pool.alloc() {
            self.echo(packet, tunnel.endpoint, tunnel.session_id);
        }
        Ok(())
    }

    fn refuse_tunnel(&mut self, refuse: &TunnelRefuse) {
        let tunnel = &refuse.tunnel;
        if let Some(id) = self.tunnels.find(tunnel.bssid)
            && self.tunnels.get(id).is_some_and(|state| state.tunnel.session_id == tunnel.session_id)
        {
            self.remove_tunnel(id);
        }
        let until = self.now + Duration::from_secs(refuse.retry_seconds.into());
        self.tunnels.refuse(tunnel.bssid, tunnel.session_id, until, self.now);
    }

    fn add_station(&mut self, add: StationAdd) -> Outcome {
        let StationAdd { station: StationKey { bssid, mac }, aid, qos, protect, blob, pmf } = add;
        if mac.is_group() {
            return Err("a group address is no station");
        }
        let tunnel = self.tunnel(bssid)?;
        if let Some(id) = self.stations.find(bssid, mac) {
            self.remove_station(id);
        }
        if self.stations.is_full() {
            return Err("the station table is full; `stations` in the configuration is too low");
        }
        let state = self.tunnels.get_mut(tunnel).ok_or(NO_TUNNEL)?;
        let mut hot = Hot::new(mac, bssid, tunnel, state.tunnel.endpoint, self.now);
        hot.service = state.service;
        hot.set(Flag::Qos, qos);
        hot.set(Flag::Protect, protect);
        hot.set(Flag::Pmf, pmf);
        let cold =
            Cold { aid, blob, counters_reported_at: self.now, idle_reported_at: self.now, ..Cold::default() };
        self.stations.add(hot, cold, &mut state.stations);
        self.counters.set(Forwarded::Stations, self.stations.len() as u64);
        Ok(())
    }

    fn install_key(&mut self, install: KeyInstall) -> Outcome {
        let id = self.station(install.station)?;
        if install.key_id > 3 {
            return Err("key identifiers are 0 to 3");
        }
        let key = install.tk.as_bytes();
        let now = self.now;
        let (hot, cold) = self.stations.both_mut(id);
        let in_use = hot.is(Flag::Keyed) && hot.key() == key;
        if !in_use && cold.old_key.as_ref().is_some_and(|old| &old.key == key) {
            return Err("this key was in use before; its packet numbers would repeat");
        }
        if !in_use {
            let grace = hot.is(Flag::Keyed) && install.accept_old_ms > 0;
            cold.old_key = grace.then(|| {
                Box::new(OldKey {
                    key_id: hot.key_id,
                    key: *hot.key(),
                    replay: hot.replay,
                    rare_replay: cold.rare_replay.take_if(|_| hot.is(Flag::RareTids)),
                    epoch: hot.key_epoch,
                    until: after_ms(now, install.accept_old_ms),
                })
            });
            hot.set(Flag::Grace, grace);
            hot.install_key(install.key_id, key);
        }
        cold.blob = install.blob;
        if install.hold_downlink_ms > 0 {
            self.hold_downlink(id, install.hold_downlink_ms);
        } else {
            self.release_hold(id);
        }
        // Of a new device they wait for the port as well.
        if self.stations.hot(id).is(Flag::PortOpen) {
            self.unpark(id);
        }
        Ok(())
    }

    fn install_group_key(&mut self, install: GroupKeyInstall) -> Outcome {
        if !matches!(install.key_id, 1 | 2) {
            return Err("group key identifiers are 1 and 2");
        }
        let id = self.tunnel(install.bssid)?;
        let state = self.tunnels.get_mut(id).ok_or(NO_TUNNEL)?;
        state.install_group_key(install.key_id, install.gtk, install.transmit);
        state.blob = install.blob;
        Ok(())
    }

    fn open_port(&mut self, port: PortOpen) -> Outcome {
        if port.vlan > 4094 {
            return Err("VLAN identifiers are 0 to 4094");
        }
        let id = self.station(port.station)?;
        let cold = self.stations.cold_mut(id);
        cold.vlan_override = port.vlan;
        if !port.blob.is_empty() {
            cold.blob = port.blob;
        }
        let vlan = self.vlan_for(id);
        let hot = self.stations.hot(id);
        if hot.is(Flag::PortOpen) && (!port.open || hot.vlan != vlan) {
            self.forget_addresses_of(id);
        }
        self.stations.hot_mut(id).set(Flag::PortOpen, port.open);
        if port.open {
            self.stations.join_segment(id, vlan);
            self.outside.forget();
            if self.stations.hot(id).is(Flag::Keyed) {
                self.unpark(id);
            }
        } else {
            self.stations.leave_segment(id);
        }
        Ok(())
    }

    fn transmit(&mut self, transmit: &Transmit) -> Outcome {
        let StationKey { bssid, mac } = transmit.station;
        let tunnel = self.tunnel(bssid)?;
        let station = self.stations.find(bssid, mac);
        let item = match transmit.kind {
            FrameKind::Management => {
                let frame = Frame::parse(&transmit.data).map_err(|_| "not an 802.11 frame")?;
                if !frame.control().is_management() {
                    return Err("not a management frame");
                }
                let packet = self.copy_of(&transmit.data).ok_or(NO_PACKET)?;
                let to = station.map_or(To::Bss(tunnel), To::Station);
                DownItem { packet, to, form: Form::Management, priority: 0, protect: transmit.protect }
            }
            FrameKind::Eapol => {
                let id = station.ok_or(NO_STATION)?;
                let packet = self.eapol_frame(id, &transmit.data).ok_or(NO_PACKET)?;
                let (to, priority) = (To::Station(id), EAPOL_PRIORITY);
                DownItem { packet, to, form: Form::Eapol, priority, protect: transmit.protect }
            }
        };
        self.push_down(item);
        self.count(Forwarded::Transmitted);
        if transmit.hold_downlink_ms > 0 {
            let id = station.ok_or(NO_STATION)?;
            // The device has answered under the present key, so nothing under the one before comes any more; what is under neither
            // is under the next one.
            self.end_grace(id);
            self.hold_downlink(id, transmit.hold_downlink_ms);
        }
        Ok(())
    }

    /// The replaced key is accepted no longer.
    pub(crate) fn end_grace(&mut self, id: StationId) {
        let (hot, cold) = self.stations.both_mut(id);
        cold.old_key = None;
        hot.set(Flag::Grace, false);
    }

    fn hold_downlink(&mut self, id: StationId, ms: u32) {
        let until = after_ms(self.now, ms);
        let (hot, cold) = self.stations.both_mut(id);
        cold.hold_until = until;
        if !hot.is(Flag::Holding) {
            hot.set(Flag::Holding, true);
            self.progress.holding.push(id);
        }
    }

    /// Totals of a station.
    pub(crate) fn counters_of(&self, id: StationId) -> Counters {
        let hot = self.stations.hot(id);
        Counters {
            station: StationKey { bssid: hot.bssid, mac: hot.mac },
            up_packets: hot.up_packets,
            up_octets: hot.up_octets,
            down_packets: hot.down_packets,
            down_octets: hot.down_octets,
            rssi_dbm: hot.rssi,
            idle_milliseconds: u32::try_from(self.now.since(hot.last_seen).as_millis()).unwrap_or(u32::MAX),
            tx_pn: hot.tx_pn(),
        }
    }

    /// Removes a tunnel and tells control why.
    pub(crate) fn tunnel_down(&mut self, id: TunnelId, reason: &'static str) {
        let counter = self.tunnels.get(id).map_or(0, |state| state.counter);
        if let Some(Tunnel { bssid, session_id, .. }) = self.remove_tunnel(id) {
            self.count(Forwarded::TunnelDown);
            self.tell(Event::TunnelDown { bssid, session_id, counter, reason });
        }
    }

    fn vlan_for(&self, id: StationId) -> u16 {
        match self.stations.cold(id).vlan_override {
            0 => self.services.get(self.stations.hot(id).service).map_or(0, |service| service.vlan),
            vlan => vlan,
        }
    }

    fn tunnel(&self, bssid: MacAddr) -> Result<TunnelId, &'static str> {
        self.tunnels.find(bssid).ok_or(NO_TUNNEL)
    }

    fn station(&self, key: StationKey) -> Result<StationId, &'static str> {
        self.stations.find(key.bssid, key.mac).ok_or(NO_STATION)
    }
}

fn after_ms(now: Time, ms: u32) -> Time {
    now + Duration::from_millis(ms.into())
}
