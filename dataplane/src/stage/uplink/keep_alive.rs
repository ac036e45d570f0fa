//! Keep-alives: they bring tunnels up, move their endpoints and keep them up.

use proto::tunnel::{DataHeader, KeepAlive};

use crate::command::{Datagram, Event, Proof, SessionId, Signal, Tunnel};
use crate::counters::{DropReason, Forwarded};
use crate::directory::WorkerId;
use crate::endpoint::Endpoint;
use crate::handoff::{Handoff, Kind};
use crate::packet::Packet;
use crate::state::State;
use crate::wire::FromWorker;

impl State {
    /// Takes a keep-alive datagram that arrived at worker `origin`.
    pub(crate) fn keep_alive(&mut self, packet: Packet, endpoint: Endpoint, origin: WorkerId) {
        let parsed = DataHeader::parse(packet.data())
            .ok()
            .filter(|(header, _)| header.keep_alive())
            .and_then(|(_, payload)| KeepAlive::parse(payload).ok());
        let Some(KeepAlive { session_id, hello: Some(hello), proof }) = parsed else {
            return self.drop(DropReason::MalformedTunnel);
        };
        let request =
            Tunnel { session_id, bssid: hello.bssid, radio: hello.radio, service: hello.service, endpoint };
        match self.tunnels.find(hello.bssid).and_then(|id| self.tunnels.get_mut(id)) {
            Some(state) if state.tunnel.session_id == session_id => {
                if let Some(key) = &state.key {
                    let proof = proof.filter(|proof| proof.counter > state.counter);
                    match proof.filter(|proof| proof.is_right(key, &session_id, &hello)) {
                        Some(proof) => state.counter = proof.counter,
                        None => return self.drop(DropReason::KeepAliveProof),
                    }
                }
                state.last_keep_alive = self.now;
                if state.tunnel.endpoint != endpoint {
                    state.tunnel.endpoint = endpoint;
                    for &station in &state.stations {
                        self.stations.hot_mut(station).endpoint = endpoint;
                    }
                    self.directory.moved(hello.bssid, endpoint);
                    self.counters.count(Forwarded::TunnelMoved);
                    self.events.send(FromWorker::Moved(hello.bssid, endpoint));
                }
                self.count(Forwarded::KeepAlive);
                self.echo(packet, endpoint, session_id);
            }
            Some(_) => self.request(request, proof, origin),
            None => match self.directory.owner_of_bss(hello.bssid).filter(|&owner| owner != self.me) {
                Some(_) if origin != self.me => self.drop(DropReason::HandoffLost),
                Some(owner) => {
                    let signal = Signal::default();
                    let handoff = Handoff { kind: Kind::Datagram, endpoint, vlan: 0, priority: 0, signal };
                    self.hand_off(owner, &handoff, packet.data());
                }
                None => self.request(request, proof, origin),
            },
        }
    }

    /// Asks control about a tunnel that nobody introduced: once a second for each session, and all together at a
    /// limited rate.
    fn request(&mut self, tunnel: Tunnel, proof: Option<Proof>, origin: WorkerId) {
        if self.tunnels.is_refused(tunnel.bssid, tunnel.session_id, self.now) {
            return self.drop(DropReason::TunnelRefused);
        }
        let octets = tunnel.bssid.0.iter().chain(&tunnel.session_id.0);
        let hash = octets.fold(self.config.seed, |hash, &octet| {
            let hash = (hash ^ u64::from(octet)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^ hash >> 32
        });
        if !self.request_per_session.take(hash, self.now) || !self.requests.take(self.now) {
            return self.drop(DropReason::RequestLimited);
        }
        if self.offer(|| FromWorker::Request(tunnel, proof, origin)) {
            self.count(Forwarded::TunnelRequest);
        }
    }

    /// Gives a datagram that is not of the tunnel to control, at a limited rate.
    pub(super) fn datagram(&mut self, packet: &Packet, endpoint: Endpoint) {
        if packet.data().len() > Datagram::MAX {
            return self.drop(DropReason::MalformedTunnel);
        }
        if !self.datagrams.take(self.now) {
            return self.drop(DropReason::DatagramLimited);
        }
        let event = || Event::Datagram(Datagram { peer: endpoint, data: packet.data().to_vec() });
        if self.offer(|| FromWorker::Event(event())) {
            self.count(Forwarded::PuntDatagram);
        }
    }

    /// Answers a keep-alive, in a packet that may be the one it came in.
    pub(crate) fn echo(&mut self, mut packet: Packet, endpoint: Endpoint, session_id: SessionId) {
        let mut datagram = ECHO;
        datagram[ECHO.len() - 16..].copy_from_slice(&session_id.0);
        if !packet.copy_from(&datagram) {
            return self.drop(DropReason::NoHeadroom);
        }
        packet.meta.endpoint = endpoint;
        self.send_to_tunnel(packet);
    }
}

/// A keep-alive without Hello: CAPWAP header (flag K), length, Session ID element (RFC 5415 §4.6.37).
const ECHO: [u8; 30] =
    [0, 0x10, 0x42, 0x08, 0, 0, 0, 0, 0, 22, 0, 35, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_is_what_the_protocol_crate_makes() {
        let made = KeepAlive { session_id: SessionId([0; 16]), hello: None, proof: None }.datagram();
        assert_eq!(ECHO.as_slice(), made);
    }
}
