//! Everything one worker owns. The stages are methods on it, each group in a file of its own under [`crate::stage`]; what control commands is
//! in [`crate::control`], what time does in [`crate::tick`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::tunnel::{Limits, Reassembler};

use crate::address::{AddressTable, NetworkAddresses};
use crate::clock::Time;
use crate::command::{Event, Tunnel};
use crate::config::Config;
use crate::counters::{DropReason, Forwarded, WorkerCounters};
use crate::directory::{Directory, WorkerId};
use crate::endpoint::Endpoint;
use crate::handoff::{Handoff, HandoffTx};
use crate::hold::HoldQueue;
use crate::limit::{HashedLimit, TokenBucket};
use crate::outside::Outside;
use crate::packet::{BURST, Packet, Pool};
use crate::ring::Outbox;
use crate::service::ServiceTable;
use crate::stage::downlink::{DownItem, Fanout};
use crate::stage::uplink::{Across, Defragmenter, Items, Parked, Retries};
use crate::station::{StationId, StationTable};
use crate::tick::Progress;
use crate::tunnel::{FragmentIds, TunnelId, TunnelTable};
use crate::wire::FromWorker;

/// One worker's state.
pub struct State {
    /// This worker.
    pub me: WorkerId,
    /// The time of this pass.
    pub now: Time,
    /// As given.
    pub config: Config,
    /// Where packets come from.
    pub pool: Pool,
    /// What happened.
    pub counters: Arc<WorkerCounters>,
    /// Services.
    pub services: ServiceTable,
    /// Tunnels that this worker owns.
    pub tunnels: TunnelTable,
    /// Stations on them.
    pub stations: StationTable,
    /// Addresses of these.
    pub addresses: AddressTable,
    /// Addresses that no station can have.
    pub network_addresses: NetworkAddresses,
    /// What others own.
    pub directory: Directory,
    /// Destinations on the network side; to be told of every station that becomes reachable.
    pub(crate) outside: Outside,
    /// Whether there is traffic from station to station.
    pub(crate) across: Across,
    /// Packets for the tunnel side, each with its endpoint.
    pub tunnel_tx: VecDeque<Packet>,
    /// Packets for the network side.
    pub network_tx: VecDeque<Packet>,
    /// Events for control.
    pub events: Outbox<FromWorker>,
    /// Rings to the other workers; none to itself.
    pub peers: Vec<Option<HandoffTx>>,
    pub(crate) reassembler: Reassembler<Endpoint>,
    pub(crate) fragment_ids: FragmentIds,
    pub(crate) defragmenter: Defragmenter,
    pub(crate) retries: Retries,
    pub(crate) hold: HoldQueue,
    pub(crate) parked: Parked,
    pub(crate) fanout: Fanout,
    pub(crate) requests: TokenBucket,
    pub(crate) request_per_session: HashedLimit,
    pub(crate) class3: TokenBucket,
    pub(crate) datagrams: TokenBucket,
    /// Frames that wait to be sealed: less than a burst between stages.
    pub(crate) down: Vec<DownItem>,
    /// Scratch of the uplink stage, kept for its memory.
    pub(crate) items: Items,
    /// Scratch for opening a frame twice.
    pub(crate) copy: Vec<u8>,
    pub(crate) progress: Progress,
}

impl State {
    /// A worker that owns nothing yet.
    pub fn new(
        me: WorkerId,
        config: Config,
        pool: Pool,
        counters: Arc<WorkerCounters>,
        events: Outbox<FromWorker>,
        peers: Vec<Option<HandoffTx>>,
        now: Time,
    ) -> Self {
        let (entries, octets) = config.reassembly;
        Self {
            me,
            now,
            config,
            counters,
            services: ServiceTable::default(),
            tunnels: TunnelTable::new(),
            stations: StationTable::new(config.stations, config.seed),
            addresses: AddressTable::default(),
            network_addresses: NetworkAddresses::new(),
            directory: Directory::default(),
            outside: Outside::default(),
            across: Across::default(),
            tunnel_tx: VecDeque::with_capacity(config.tx_queue),
            network_tx: VecDeque::with_capacity(config.tx_queue),
            events,
            fragment_ids: FragmentIds::new(me, peers.len()),
            peers,
            reassembler: Reassembler::new(Limits { entries, octets, age: Duration::from_secs(1) }),
            defragmenter: Defragmenter::new(config.fragments),
            retries: Retries::new(),
            hold: HoldQueue::new(config.held, config.held_per_station),
            parked: Parked::new(config.parked),
            fanout: Fanout::new(config.fanout),
            requests: TokenBucket::new(config.requests_per_second, config.requests_per_second),
            request_per_session: HashedLimit::new(4096, Duration::from_millis(900)),
            class3: TokenBucket::new(config.class3_per_second, config.class3_per_second),
            datagrams: TokenBucket::new(config.datagrams_per_second, config.datagrams_per_second),
            down: Vec::with_capacity(BURST),
            items: Items::new(),
            copy: Vec::with_capacity(pool.config().buffer),
            progress: Progress::new(now),
            pool,
        }
    }

    /// Counts a packet that goes no further.
    #[inline]
    pub fn drop(&self, reason: DropReason) {
        self.counters.count(reason);
    }

    /// Counts something else.
    #[inline]
    pub fn count(&self, what: Forwarded) {
        self.counters.count(what);
    }

    /// Gives an event to control, or drops it if control is behind. `make` is only called if there is room.
    pub(crate) fn offer(&mut self, make: impl FnOnce() -> FromWorker) -> bool {
        let sent = self.events.has_room() && self.events.offer(make()).is_ok();
        if !sent {
            self.drop(DropReason::PuntFull);
        }
        sent
    }

    /// Gives an event to control for certain.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.send(FromWorker::Event(event));
    }

    /// Sends a datagram; its endpoint is in its `meta`.
    #[inline]
    pub(crate) fn send_to_tunnel(&mut self, packet: Packet) {
        if self.tunnel_tx.len() < self.config.tx_queue {
            self.tunnel_tx.push_back(packet);
        } else {
            self.drop(DropReason::TunnelTxFull);
        }
    }

    /// Sends an Ethernet frame without tag to the network, tagged with a VLAN unless that is 0.
    #[inline]
    pub(crate) fn send_to_network(&mut self, mut packet: Packet, vlan: u16, priority: u8) {
        if self.network_tx.len() >= self.config.tx_queue {
            return self.drop(DropReason::NetworkTxFull);
        }
        if vlan != 0 && !crate::ethernet::push_tag(&mut packet, vlan, priority) {
            return self.drop(DropReason::NoHeadroom);
        }
        self.network_tx.push_back(packet);
    }

    /// Copies a packet to another worker.
    pub(crate) fn hand_off(&mut self, to: WorkerId, handoff: &Handoff, octets: &[u8]) {
        let sent = match self.peers.get_mut(to) {
            Some(Some(peer)) => peer.send(handoff, octets).is_ok(),
            _ => false,
        };
        if sent {
            self.count(Forwarded::HandoffTx);
        } else {
            self.drop(DropReason::HandoffFull);
        }
    }

    /// A new packet with a copy of `octets`; if there is none, that is counted.
    pub(crate) fn copy_of(&mut self, octets: &[u8]) -> Option<Packet> {
        let Some(mut packet) = self.pool.alloc() else {
            self.drop(DropReason::NoBuffer);
            return None;
        };
        if !packet.copy_from(octets) {
            self.drop(DropReason::TooLong);
            return None;
        }
        Some(packet)
    }

    /// Removes a station with everything that hangs on it, and reports its last totals.
    pub(crate) fn remove_station(&mut self, id: StationId) {
        self.tell(Event::Counters(self.counters_of(id)));
        self.forget_station(id);
    }

    /// Removes a station with everything that hangs on it.
    pub(crate) fn forget_station(&mut self, id: StationId) {
        self.progress.holding.retain(|&holding| holding != id);
        self.forget_frames_of(id);
        self.forget_addresses_of(id);
        let tunnel = self.stations.hot(id).tunnel;
        let Some(state) = self.tunnels.get_mut(tunnel) else { return };
        self.stations.remove(id, &mut state.stations);
        self.counters.set(Forwarded::Stations, self.stations.len() as u64);
    }

    /// Drops fragments of a station, and what waits for a key.
    pub(crate) fn forget_frames_of(&mut self, id: StationId) {
        let evicted = self.defragmenter.forget(id);
        self.counters.add(DropReason::FragmentEvicted, evicted);
        let lost = self.hold.clear(&mut self.stations.cold_mut(id).held);
        let lost = lost + self.forget_parked(id);
        self.counters.add(DropReason::HoldLost, lost);
    }

    /// Drops what a station is known to be reachable by.
    pub(crate) fn forget_addresses_of(&mut self, id: StationId) {
        let vlan = self.stations.hot(id).vlan;
        for address in std::mem::take(&mut self.stations.cold_mut(id).addresses) {
            self.addresses.remove(vlan, address, id);
        }
        self.stations.hot_mut(id).set_ipv4(std::net::Ipv4Addr::UNSPECIFIED);
    }

    /// Removes a tunnel with its stations.
    pub(crate) fn remove_tunnel(&mut self, id: TunnelId) -> Option<Tunnel> {
        while let Some(&station) = self.tunnels.get(id)?.stations.last() {
            self.remove_station(station);
        }
        let state = self.tunnels.remove(id)?;
        self.counters.set(Forwarded::Tunnels, self.tunnels.len() as u64);
        Some(state.tunnel)
    }
}
