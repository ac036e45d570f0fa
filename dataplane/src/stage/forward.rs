//! Where an Ethernet frame goes: to the network, to a station here, to a group, to another worker.

use dot11::MacAddr;
use dot11::llc::EtherType;

use crate::command::Signal;
use crate::counters::{DropReason, Forwarded};
use crate::endpoint::Endpoint;
use crate::ethernet;
use crate::handoff::{Handoff, Kind};
use crate::packet::{BURST, Burst, Packet};
use crate::stage::downlink::Job;
use crate::stage::uplink::{Aim, Destination};
use crate::state::State;
use crate::station::StationId;

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The network port of this worker.
    Network,
    /// A station of this worker.
    Station(StationId),
    /// Another worker, which dealt with everything but this worker's stations.
    Peer,
}

/// What is left to do with a frame after the proxies looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Forward,
    /// Go on to the network, but not to stations.
    Contain,
    /// Go on, but to those stations only whose IPv4 address nobody knows.
    Unknown,
    /// It was dealt with.
    Done,
}

impl State {
    /// Takes a burst from the network port.
    pub fn downlink(&mut self, burst: &mut Burst) {
        self.counters.add(Forwarded::NetworkRx, burst.len() as u64);
        let mut keys = [(0, MacAddr::ZERO); BURST];
        let mut found = [None; BURST];
        for (key, packet) in keys.iter_mut().zip(burst.iter_mut()) {
            let (vlan, priority) = ethernet::pop_tag(packet);
            packet.meta.vlan = vlan;
            packet.meta.index = u32::from(priority.unwrap_or_else(|| ethernet::priority(packet.data())));
            *key = (vlan, MacAddr::from_slice(packet.data()).unwrap_or(MacAddr::ZERO));
        }
        let n = burst.len();
        self.stations.find_in_segment_burst(&keys[..n], &mut found[..n]);
        for (packet, (key, station)) in burst.drain().zip(keys.into_iter().zip(found)) {
            let (vlan, priority) = (packet.meta.vlan, packet.meta.index as u8);
            let Some(header) = ethernet::parse(packet.data()) else {
                self.drop(DropReason::MalformedEthernet);
                continue;
            };
            // EAPOL is between a device and its access point (802.1X-2020 §11.1.1).
            if header.ether_type == EtherType::EAPOL.0 {
                self.drop(DropReason::MisaddressedEapol);
                continue;
            }
            self.learn_network(packet.data(), vlan);
            if header.destination.is_group() {
                if !self.services.uses_vlan(vlan) && self.stations.members(vlan).is_empty() {
                    self.drop(DropReason::UnknownVlan);
                    continue;
                }
                self.group(packet, vlan, priority, Source::Network);
                continue;
            }
            match station {
                Some(id) => self.send_to_station(id, packet, vlan, priority, Source::Network),
                None => self.send_elsewhere(packet, vlan, priority, key.1),
            }
        }
    }

    /// Takes an Ethernet frame that another worker handed over.
    pub(crate) fn take_from_peer(&mut self, packet: Packet, vlan: u16, priority: u8) {
        let Some(destination) = MacAddr::from_slice(packet.data()) else {
            return self.drop(DropReason::MalformedEthernet);
        };
        if destination.is_group() {
            return self.group(packet, vlan, priority, Source::Peer);
        }
        match self.stations.find_in_segment(vlan, destination) {
            Some(id) => self.send_to_station(id, packet, vlan, priority, Source::Peer),
            None => self.drop(DropReason::HandoffLost),
        }
    }

    /// Takes an Ethernet frame of a station, its source checked, to `destination`.
    #[inline]
    pub(crate) fn take_from_station(&mut self, id: StationId, packet: Packet, destination: Destination) {
        self.learn(id, packet.data());
        let vlan = self.stations.hot(id).vlan;
        // Only a tag says the priority.
        let priority = if vlan == 0 { 0 } else { ethernet::priority(packet.data()) };
        let Destination { mac, aim } = destination;
        if aim == Aim::OUTSIDE || (aim == Aim::UNKNOWN && self.outside.has(vlan, mac)) {
            return self.send_to_network(packet, vlan, priority);
        }
        self.take_to_anybody(id, packet, vlan, destination);
    }

    /// The same, where the destination is not known to be on the network side.
    fn take_to_anybody(&mut self, id: StationId, packet: Packet, vlan: u16, destination: Destination) {
        let priority = ethernet::priority(packet.data());
        let Destination { mac: destination, aim } = destination;
        if let Some(to) = aim.station() {
            return self.send_to_station(to, packet, vlan, priority, Source::Station(id));
        }
        if destination.is_group() {
            return self.group(packet, vlan, priority, Source::Station(id));
        }
        if let Some(to) = self.stations.find_in_segment(vlan, destination) {
            self.across.begins();
            return self.send_to_station(to, packet, vlan, priority, Source::Station(id));
        }
        match self.directory.owner_of_station(vlan, destination) {
            Some(owner) if owner != self.me => {
                if self.isolates(id) {
                    return self.drop(DropReason::Isolated);
                }
                self.count(Forwarded::Hairpin);
                self.hand_ethernet(owner, &packet, vlan, priority);
            }
            _ => {
                self.outside.note(vlan, destination);
                self.send_to_network(packet, vlan, priority);
            }
        }
    }

    /// Sends to one station.
    fn send_to_station(&mut self, id: StationId, packet: Packet, vlan: u16, priority: u8, source: Source) {
        match source {
            Source::Station(from) => {
                if self.isolates(from) || self.isolates(id) {
                    return self.drop(DropReason::Isolated);
                }
                self.count(Forwarded::Hairpin);
            }
            Source::Peer if self.isolates(id) && self.is_from_station(vlan, packet.data()) => {
                return self.drop(DropReason::Isolated);
            }
            _ => {}
        }
        // A neighbour that knows the station's address already still asks it, by unicast: that goes through.
        self.msdu_down(id, packet, priority);
    }

    /// A unicast frame from the network to nobody here.
    fn send_elsewhere(&mut self, packet: Packet, vlan: u16, priority: u8, destination: MacAddr) {
        match self.directory.owner_of_station(vlan, destination) {
            Some(owner) if owner != self.me => self.hand_ethernet(owner, &packet, vlan, priority),
            _ if self.services.uses_vlan(vlan) || !self.stations.members(vlan).is_empty() => {
                self.drop(DropReason::UnknownDestination);
            }
            _ => self.drop(DropReason::UnknownVlan),
        }
    }

    /// A group-addressed frame: to the network, if it is not from there; to the stations that need it; to the other workers for theirs.
    fn group(&mut self, packet: Packet, vlan: u16, priority: u8, source: Source) {
        let Some(header) = ethernet::parse(packet.data()) else {
            return self.drop(DropReason::MalformedEthernet);
        };
        if ethernet::is_reserved(header.destination) {
            return self.drop(DropReason::ReservedGroup);
        }
        let Some(packet) = self.aim_dhcp(packet, vlan, priority, source) else { return };
        let next = self.proxy(packet.data(), vlan, source);
        if next == Next::Done {
            return;
        }
        if let Source::Station(_) = source
            && let Some(copy) = self.copy_of(packet.data())
        {
            self.send_to_network(copy, vlan, priority);
        }
        let isolated = matches!(source, Source::Station(id) if self.isolates(id));
        let stations = next != Next::Contain && !isolated;
        if stations && source != Source::Peer {
            let me = self.me;
            for worker in (0..self.peers.len()).filter(|&worker| worker != me) {
                self.hand_ethernet(worker, &packet, vlan, priority);
            }
        }
        let from_station = match source {
            Source::Station(_) => true,
            Source::Network => false,
            Source::Peer => self.is_from_station(vlan, packet.data()),
        };
        if !stations || self.stations.members(vlan).is_empty() {
            // What went to the network is not lost.
            if source == Source::Network {
                self.drop(DropReason::Contained);
            }
            return;
        }
        let job = Job::new(packet, vlan, priority, header.source, from_station, next == Next::Unknown);
        if !self.fanout.push(job) {
            self.drop(DropReason::FanoutFull);
        }
    }

    /// Copies an Ethernet frame to another worker.
    pub(super) fn hand_ethernet(&mut self, to: usize, packet: &Packet, vlan: u16, priority: u8) {
        let signal = Signal::default();
        let handoff = Handoff { kind: Kind::Ethernet, endpoint: Endpoint::NONE, vlan, priority, signal };
        self.hand_off(to, &handoff, packet.data());
    }

    /// Tells another worker what a frame from the network says about an address.
    pub(super) fn hand_network_address(&mut self, to: usize, frame: &[u8], vlan: u16) {
        let signal = Signal::default();
        let handoff =
            Handoff { kind: Kind::NetworkAddress, endpoint: Endpoint::NONE, vlan, priority: 0, signal };
        self.hand_off(to, &handoff, frame);
    }

    /// Whether a station's service keeps its devices apart.
    pub(super) fn isolates(&self, id: StationId) -> bool {
        self.services.get(self.stations.hot(id).service).is_some_and(|service| service.isolate)
    }

    /// Whether the source of an Ethernet frame is a station, here or elsewhere.
    pub(super) fn is_from_station(&self, vlan: u16, frame: &[u8]) -> bool {
        ethernet::parse(frame).is_some_and(|header| self.is_station(vlan, header.source))
    }

    /// Whether an address is a station's, here or elsewhere.
    pub(super) fn is_station(&self, vlan: u16, mac: MacAddr) -> bool {
        self.directory.owner_of_station(vlan, mac).is_some()
            || self.stations.find_in_segment(vlan, mac).is_some()
    }
}
