//! What a group-addressed frame is really about: ARP requests and neighbour solicitations are answered in place of the station asked for, DHCP
//! answers go to the one client, and the addresses that stations use are learnt on the way (802.11-2020 §11.21.14, RFC 826, RFC 4861).
//!
//! Any station can claim any address, the router's too. So the network is believed first: an address that somebody there shows to have is taken
//! from the station that claimed it, and no station gets it until the network was silent about it for
//! [`NETWORK_ADDRESS_AGE`](crate::address::NETWORK_ADDRESS_AGE), or a DHCP server says otherwise.

use std::net::{IpAddr, Ipv4Addr};

use dot11::MacAddr;

use super::forward::{Next, Source};
use crate::command::{Event, StationKey};
use crate::counters::Forwarded;
use crate::ethernet;
use crate::state::State;
use crate::station::{ADDRESSES, StationId};
use crate::wire::FromWorker;

mod arp;
mod dhcp;
mod nd;

impl State {
    /// Answers what can be answered, and says what else is to be done with the frame.
    pub(super) fn proxy(&mut self, frame: &[u8], vlan: u16, source: Source) -> Next {
        match frame.get(12..14) {
            Some([0x08, 0x06]) => arp::parse(ethernet::payload(frame))
                .map_or(Next::Forward, |arp| self.proxy_arp(&arp, vlan, source)),
            Some([0x86, 0xdd]) => {
                nd::parse(frame).map_or(Next::Forward, |nd| self.proxy_nd(&nd, vlan, source))
            }
            _ => Next::Forward,
        }
    }

    /// Learns the address that a station's frame gives away.
    #[inline]
    pub(super) fn learn(&mut self, id: StationId, frame: &[u8]) {
        match frame.get(12..14) {
            Some([0x08, 0x00]) => {
                // The common case is one comparison.
                let Some(octets) = frame.get(26..30).and_then(|o| o.first_chunk::<4>()) else { return };
                let address = Ipv4Addr::from(*octets);
                if address != self.stations.hot(id).ipv4() {
                    self.learn_address(id, IpAddr::V4(address));
                }
            }
            Some([0x08, 0x06]) => {
                let mac = self.stations.hot(id).mac;
                if let Some(arp) = arp::parse(ethernet::payload(frame)).filter(|arp| arp.sender_mac == mac) {
                    self.learn_address(id, IpAddr::V4(arp.sender));
                }
            }
            Some([0x86, 0xdd]) => {
                if let Some(address) = nd::parse(frame).and_then(|nd| nd.own_address()) {
                    self.learn_address(id, IpAddr::V6(address));
                }
            }
            _ => {}
        }
    }

    /// Notes who has an address on the network side, if a frame from there says so; the other workers hear of it.
    #[inline]
    pub(super) fn learn_network(&mut self, frame: &[u8], vlan: u16) {
        if matches!(frame.get(12..14), Some([0x08, 0x06] | [0x86, 0xdd])) && self.note_network(frame, vlan) {
            let me = self.me;
            for worker in (0..self.peers.len()).filter(|&worker| worker != me) {
                self.hand_network_address(worker, frame, vlan);
            }
        }
    }

    /// The same, of what another worker heard. Whether it was news.
    pub(crate) fn note_network(&mut self, frame: &[u8], vlan: u16) -> bool {
        let claim = match frame.get(12..14) {
            Some([0x08, 0x06]) => {
                arp::parse(ethernet::payload(frame)).map(|arp| (arp.sender_mac, IpAddr::V4(arp.sender)))
            }
            Some([0x86, 0xdd]) => nd::parse(frame).and_then(|nd| nd.claim()),
            _ => None,
        };
        let Some((mac, address)) = claim.filter(|&(_, address)| is_host(address)) else { return false };
        let ours = self.services.uses_vlan(vlan) || !self.stations.members(vlan).is_empty();
        // What a station said can come back from the network.
        if !ours || self.is_station(vlan, mac) || !self.network_addresses.note(vlan, address, mac, self.now) {
            return false;
        }
        if self.take_address(vlan, address) {
            self.count(Forwarded::AddressConflict);
        }
        true
    }

    /// Notes that a station has an address, unless another one of the VLAN or somebody on the network has it: a station keeps what it was the
    /// first to have while it lives, unless the network or DHCP says otherwise.
    pub(super) fn learn_address(&mut self, id: StationId, address: IpAddr) {
        if !is_host(address) {
            return;
        }
        let (vlan, mac) = (self.stations.hot(id).vlan, self.stations.hot(id).mac);
        match self.addresses.find(vlan, address) {
            Some(owner) if owner == id => {}
            Some(_) => return self.count(Forwarded::AddressConflict),
            // A device that was heard from the network side itself came over from there.
            None if self
                .network_addresses
                .find(vlan, address, self.now)
                .is_some_and(|owner| owner != mac) =>
            {
                return self.count(Forwarded::AddressConflict);
            }
            None => self.give_address(id, address),
        }
        if let IpAddr::V4(address) = address {
            self.stations.hot_mut(id).set_ipv4(address);
        }
    }

    /// Gives an address to a station, whoever had it.
    pub(super) fn give_address(&mut self, id: StationId, address: IpAddr) {
        let vlan = self.stations.hot(id).vlan;
        if self.addresses.find(vlan, address) == Some(id) {
            return;
        }
        self.take_address(vlan, address);
        self.network_addresses.forget(vlan, address);
        let (hot, cold) = self.stations.both_mut(id);
        if cold.addresses.len() >= ADDRESSES {
            let oldest = cold.addresses.remove(0);
            self.addresses.remove(vlan, oldest, id);
        }
        cold.addresses.push(address);
        let station = StationKey { bssid: hot.bssid, mac: hot.mac };
        self.addresses.insert(vlan, address, id);
        self.count(Forwarded::AddressLearnt);
        self.offer(|| FromWorker::Event(Event::StationAddress { station, address }));
    }

    /// Takes an address from the station that has it; whether one had.
    fn take_address(&mut self, vlan: u16, address: IpAddr) -> bool {
        let Some(id) = self.addresses.find(vlan, address) else { return false };
        let (hot, cold) = self.stations.both_mut(id);
        cold.addresses.retain(|&known| known != address);
        if hot.uses(address) {
            hot.set_ipv4(Ipv4Addr::UNSPECIFIED);
        }
        self.addresses.remove(vlan, address, id);
        true
    }

    /// Sends an answer to where the question came from.
    fn answer(&mut self, frame: &[u8], vlan: u16, source: Source) {
        let Some(packet) = self.copy_of(frame) else { return };
        match source {
            Source::Station(id) => self.msdu_down(id, packet, 0),
            // A peer asks for its network port or for a station of its own; both are found from here.
            Source::Network | Source::Peer => {
                let to = MacAddr::from_slice(frame).unwrap_or(MacAddr::ZERO);
                match self.directory.owner_of_station(vlan, to) {
                    Some(owner) if owner != self.me => self.hand_ethernet(owner, &packet, vlan, 0),
                    _ => self.send_to_network(packet, vlan, 0),
                }
            }
        }
    }

    /// Whether a station's service wants this.
    fn proxies(&self, id: StationId) -> bool {
        self.services.get(self.stations.hot(id).service).is_some_and(|service| service.proxy_arp)
    }

    /// Whether the questions of a VLAN are to be kept from stations that they are not about: all its services want it.
    fn segment_proxies(&self, vlan: u16) -> bool {
        self.stations.members(vlan).first().is_some_and(|&id| self.proxies(id))
    }

    /// Whether an answer in place of `about` may go to `source`.
    fn may_answer(&self, about: StationId, source: Source) -> bool {
        self.proxies(about)
            && match source {
                Source::Station(asking) => asking != about && !self.isolates(asking) && !self.isolates(about),
                Source::Network | Source::Peer => true,
            }
    }
}

/// Whether one device can have an address.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast() && !a.is_loopback(),
        IpAddr::V6(a) => !a.is_unspecified() && !a.is_multicast() && !a.is_loopback(),
    }
}

/// The internet checksum (RFC 1071) over parts of even length, but for the last.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
