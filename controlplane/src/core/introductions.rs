//! Who may begin, and where: nothing of a tunnel or a device is processed that nobody introduced.
//!
//! There are two kinds of introductions. A binding of the configuration introduces for good: any device that it names, at any radio that it
//! names; it is for radios that do not speak matchmaking. Everybody else is introduced by the matchmaker: one device, to one service, at one
//! virtual BSS of one radio, for a short time in which it must begin; with a key that the tunnel's keep-alives must prove to have.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use authenticator::{Input, ReasonCode, State, TerminateCause, Time};
use dot11::MacAddr;
use matchmaker::Uuid;
use proto::{
    gateway::{self as pb, command},
    matchmaking::messages as mm,
    tunnel::{Hello, Proof, Punch, ServiceUuid, SessionId, TunnelKey},
};

use super::{Connection, Core, mac, octets, radios::Tunnel, sessions::SessionKey, timers::Subject};

/// Introductions of the matchmaker, and whom it refuses.
#[derive(Default)]
pub(super) struct Introductions {
    devices: HashMap<SessionKey, Device>,
    tunnels: HashMap<MacAddr, Introduced>,
    refused: HashMap<MacAddr, Time>,
    /// Keep-alives that came before the introduction they need, one for each virtual BSS.
    early: HashMap<MacAddr, Early>,
}

struct Device {
    /// To which it was introduced. The virtual BSS may be that of another one since.
    service: Uuid,
    until: Time,
    /// The binding names it.
    specific: bool,
}

/// A tunnel that the matchmaker introduced.
#[derive(Debug, Clone)]
pub(super) struct Introduced {
    session_id: [u8; 16],
    radio: MacAddr,
    service: Uuid,
    pub key: TunnelKey,
    until: Time,
    /// Of the last proof that is known: what somebody recorded until then opens nothing.
    counter: Option<u64>,
    /// Opens the NAT on this side for the radio, if there is one.
    punch: Option<Punching>,
}

/// Datagrams that go to a radio until its keep-alives come, because one may be lost.
#[derive(Debug, Clone)]
struct Punching {
    connection: Connection,
    endpoint: SocketAddr,
    count: u32,
}

struct Early {
    connection: Connection,
    request: pb::TunnelRequest,
    until: Time,
}

/// What a tunnel may be accepted with: a key, and the counter of the proof it came with; none of a standing introduction.
pub(super) type Proved = Option<(TunnelKey, u64)>;

/// A keep-alive may be so much earlier than its introduction: they take different ways.
const EARLY: Duration = Duration::from_secs(2);
/// Punches go at once, and after these times each from the last: while the radio looks for its gateway.
const PUNCHES: [Duration; 5] = [
    Duration::from_millis(150),
    Duration::from_millis(350),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(1),
];
/// Keep-alives that wait.
const MAX_EARLY: usize = 1024;
/// Introductions remembered. A matchmaker that sends more than that in its time has lost its mind.
const MAX_DEVICES: usize = 1 << 20;

impl Introductions {
    /// Whether the device was introduced to this service at this virtual BSS, and that is not too long ago.
    pub fn device(&self, key: SessionKey, service: Uuid, now: Time) -> bool {
        self.devices.get(&key).is_some_and(|device| device.service == service && device.until > now)
    }

    /// Whether the binding behind the introduction names the device.
    pub fn is_specific(&self, key: SessionKey) -> Option<bool> {
        self.devices.get(&key).map(|device| device.specific)
    }

    pub fn refused(&self, client: MacAddr, now: Time) -> bool {
        self.refused.get(&client).is_some_and(|&until| until > now)
    }

    /// What a tunnel was introduced with, if its proof is right and newer than any that is known.
    pub fn tunnel(&self, tunnel: &Tunnel, proof: Option<Proof>, now: Time) -> Option<Proved> {
        let introduced = self.tunnels.get(&tunnel.bssid)?;
        let session_id = SessionId(tunnel.session_id);
        let hello = Hello {
            bssid: tunnel.bssid,
            radio: tunnel.radio,
            service: ServiceUuid(*tunnel.service.as_bytes()),
        };
        let proof = proof.filter(|proof| introduced.counter.is_none_or(|last| proof.counter > last))?;
        let proof = Some(proof).filter(|proof| proof.is_right(&introduced.key, &session_id, &hello))?;
        (introduced.until > now
            && introduced.session_id == tunnel.session_id
            && introduced.radio == tunnel.radio
            && introduced.service == tunnel.service)
            .then(|| Some((introduced.key.clone(), proof.counter)))
    }

    /// A proof with this counter was used.
    pub fn used(&mut self, bssid: MacAddr, session_id: &[u8], counter: u64) {
        if let Some(tunnel) = self.tunnels.get_mut(&bssid).filter(|tunnel| tunnel.session_id == session_id) {
            tunnel.counter = tunnel.counter.max(Some(counter));
        }
    }

    /// Forgets what is over.
    pub fn expire(&mut self, now: Time) {
        self.devices.retain(|_, device| device.until > now);
        self.tunnels.retain(|_, tunnel| tunnel.until > now);
        self.refused.retain(|_, until| *until > now);
        self.early.retain(|_, early| early.until > now);
    }
}

impl Core {
    /// The matchmaker says something unasked, to the services of this gateway.
    pub(super) fn pushed(&mut self, connection: Connection, push: mm::push::Push) {
        match push {
            mm::push::Push::Introduction(introduction) => self.introduction(connection, &introduction),
            mm::push::Push::Withdrawal(withdrawal) => self.withdrawal(&withdrawal),
            mm::push::Push::Refusals(refusals) => self.refusals(&refusals),
        }
    }

    fn introduction(&mut self, connection: Connection, said: &mm::Introduction) {
        let fields = (mac(&said.bssid), mac(&said.client), mac(&said.radio));
        let ((Some(bssid), Some(client), Some(radio)), Ok(session_id), Ok(key), Ok(service)) = (
            fields,
            said.session_id.as_slice().try_into(),
            said.key.as_slice().try_into(),
            Uuid::from_slice(&said.service),
        ) else {
            self.counters.add("introductions_malformed", 1);
            return;
        };
        let now = self.clock.now();
        if self.introductions.devices.len() >= MAX_DEVICES {
            self.counters.add("introductions_too_many", 1);
            return;
        }
        self.counters.add("introductions", 1);
        let until = now + Duration::from_secs(said.valid_seconds.into());
        let device = Device { service, until, specific: said.specific };
        self.introductions.devices.insert(SessionKey { bssid, mac: client }, device);
        self.prefetch_pmk(service, client);
        let key = TunnelKey::new(key);
        let endpoint = said.endpoint.parse::<SocketAddr>().ok();
        let endpoint = endpoint.filter(|endpoint| endpoint.port() != 0 && !endpoint.ip().is_unspecified());
        // One that was introduced before goes on counting: the radio heeds no punch twice, nor this side a proof.
        let known = self.introductions.tunnels.get(&bssid).filter(|known| known.session_id == session_id);
        let count = known.and_then(|known| known.punch.as_ref()).map_or(0, |punch| punch.count);
        let counter = known.and_then(|known| known.counter);
        let punch = endpoint.map(|endpoint| Punching { connection, endpoint, count });
        self.introductions
            .tunnels
            .insert(bssid, Introduced { session_id, radio, service, key, until, counter, punch });
        self.punch(bssid, 0);
        if let Some(early) = self.introductions.early.remove(&bssid)
            && early.until > now
        {
            self.tunnel_request(early.connection, early.request);
        }
    }

    /// Opens the NAT for the radio of a virtual BSS, for the `turn`th time.
    pub(super) fn punch(&mut self, bssid: MacAddr, turn: usize) {
        let now = self.clock.now();
        let tunnel = self.radios.get(&bssid).map(|radio| radio.tunnel.session_id);
        let Some(introduced) = self.introductions.tunnels.get_mut(&bssid) else { return };
        let Some(punching) = introduced.punch.as_mut() else { return };
        // Whose keep-alives come needs no more of them.
        if turn > 0 && (introduced.until <= now || tunnel == Some(introduced.session_id)) {
            return;
        }
        punching.count += 1;
        let session_id = SessionId(introduced.session_id);
        let punch = Punch::new(&introduced.key, session_id, punching.count.into());
        let datagram = pb::Datagram { peer: punching.endpoint.to_string(), data: punch.datagram().to_vec() };
        let connection = punching.connection;
        self.timers.set(Subject::Punch(bssid, turn + 1), PUNCHES.get(turn).map(|&after| now + after));
        self.command(connection, command::Command::Datagram(datagram));
    }

    /// A keep-alive that nobody introduced yet: perhaps somebody is about to.
    pub(super) fn wait_for_introduction(
        &mut self,
        connection: Connection,
        bssid: MacAddr,
        request: pb::TunnelRequest,
    ) {
        self.counters.add("tunnel_requests_not_introduced", 1);
        if self.introductions.early.len() < MAX_EARLY {
            let until = self.clock.now() + EARLY;
            self.introductions.early.insert(bssid, Early { connection, request, until });
        }
    }

    fn withdrawal(&mut self, said: &mm::Withdrawal) {
        let Some(bssid) = mac(&said.bssid) else { return };
        let leave = Input::Disconnect { reason: ReasonCode(3), cause: TerminateCause::AdminReset };
        match mac(&said.client) {
            Some(client) => {
                let key = SessionKey { bssid, mac: client };
                self.introductions.devices.remove(&key);
                self.end_session(key, leave, "the matchmaker took its introduction back");
            }
            None => {
                self.introductions.devices.retain(|key, _| key.bssid != bssid);
                self.introductions.tunnels.remove(&bssid);
                let Some(radio) = self.radios.get(&bssid) else { return };
                if radio.key.is_none() {
                    // A standing introduction is not the matchmaker's to withdraw.
                    return;
                }
                if let Some(connection) = radio.connection {
                    let close = pb::TunnelClose { bssid: octets(&bssid.0) };
                    self.close_radio(bssid, TerminateCause::LostCarrier, "its radio closed it");
                    self.command(connection, command::Command::TunnelClose(close));
                }
            }
        }
    }

    /// Devices that are refused: who is in the middle of authenticating is sent away, who is online stays.
    fn refusals(&mut self, said: &mm::Refusals) {
        let now = self.clock.now();
        for client in said.clients.iter().filter_map(|octets| mac(octets)) {
            if said.seconds == 0 {
                self.introductions.refused.remove(&client);
                self.services.values_mut().for_each(|service| service.failures.clear(client));
                continue;
            }
            self.introductions.refused.insert(client, now + Duration::from_secs(said.seconds.into()));
            self.counters.add("clients_refused", 1);
            for key in self.sessions.of_client(client) {
                if self.sessions.get(&key).is_some_and(|session| session.station.state() != State::Online) {
                    // 802.11-2020 table 9-49, 2: previous authentication no longer valid.
                    let cause = TerminateCause::AdminReset;
                    let leave = Input::Disconnect { reason: ReasonCode(2), cause };
                    self.end_session(key, leave, "it is refused because it failed to authenticate too often");
                }
            }
        }
    }
}

/// The proof in a tunnel request.
pub(super) fn proof(request: &pb::TunnelRequest) -> Option<Proof> {
    let mac = request.proof.as_slice().try_into().ok()?;
    Some(Proof { counter: request.counter, mac })
}
