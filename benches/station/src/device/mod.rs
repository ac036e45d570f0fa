//! A whole device: MLME, supplicant, EAP peer, data path and host tied together.
//!
//! [`Device`] takes frames, commands and the passing of time, and appends to a list what it sends and what became of
//! it. It does no I/O, reads no clock and draws no entropy but from its seed.

mod link;
mod report;

use dot11::eapol::{EapolFrame, PacketType};
use dot11::{Frame, FrameKind, MacAddr, ReasonCode};

use crate::data::{DataPath, Shape};
use crate::entropy::SeedEntropy;
use crate::host::Host;
use crate::mlme::{self, Mlme};
use crate::profile::{DeviceConfig, Profile};
use crate::supplicant::Supplicant;
use crate::time::{Time, earliest};

pub use report::{Command, Counters, Event, Output};

/// The user priority that EAPOL frames travel with.
const EAPOL_TID: u8 = 7;

/// A simulated Wi-Fi device.
pub struct Device {
    config: DeviceConfig,
    entropy: SeedEntropy,
    mlme: Mlme,
    /// Data path and supplicant of the association in force.
    path: Option<Box<DataPath>>,
    supplicant: Option<Box<Supplicant>>,
    #[cfg(feature = "eap-ttls")]
    eap: link::Enterprise,
    host: Option<Box<Host>>,
    /// Whether the controlled port is open.
    online: bool,
    /// Until when it has to be.
    online_by: Option<Time>,
    reconnect_at: Option<Time>,
    counters: Counters,
}

impl Device {
    /// A device that is switched on and does nothing before [`Command::Connect`]. The seed determines its nonces
    /// and identifiers; secret if the device is to be secure, known if a run is to be repeatable.
    pub fn new(config: DeviceConfig, seed: [u8; 16]) -> Device {
        let mac = config.mac;
        let host = config.profile.host.as_ref().map(|_| Box::new(Host::new(mac)));
        Device {
            config,
            entropy: SeedEntropy::new(seed),
            mlme: Mlme::new(mac),
            path: None,
            supplicant: None,
            #[cfg(feature = "eap-ttls")]
            eap: link::Enterprise::default(),
            host,
            online: false,
            online_by: None,
            reconnect_at: None,
            counters: Counters::default(),
        }
    }

    /// Its address.
    pub fn mac(&self) -> MacAddr {
        self.config.mac
    }

    /// Its settings.
    pub fn profile(&self) -> &Profile {
        &self.config.profile
    }

    /// The association in force, if any.
    pub fn association(&self) -> Option<&mlme::Association> {
        self.mlme.association()
    }

    /// The supplicant of the association, on a network with keys.
    pub fn supplicant(&self) -> Option<&Supplicant> {
        self.supplicant.as_deref()
    }

    /// The data path of the association.
    pub fn data_path(&self) -> Option<&DataPath> {
        self.path.as_deref()
    }

    /// The host above the link.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_deref()
    }

    /// Whether data can be exchanged.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// What was dropped so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Does as told. What is not possible at present (data while not online) is ignored.
    pub fn command(&mut self, now: Time, command: Command, out: &mut Vec<Output>) {
        let profile = self.config.profile.clone();
        match command {
            Command::Connect => {
                self.reconnect_at = None;
                self.end();
                self.mlme_do(now, out, |mlme, context, events| mlme.connect(now, context, events));
            }
            Command::Roam(target) => {
                self.mlme_do(now, out, |mlme, context, events| mlme.roam(now, context, target, events));
            }
            Command::Disconnect(reason) => {
                self.reconnect_at = None;
                self.leave(now, reason, out);
                self.reconnect_at = None;
            }
            Command::Release => {
                if let (Some(host), Some(config)) = (&mut self.host, &profile.host) {
                    let mut events = Vec::new();
                    host.release(now, config, &mut self.entropy, &mut events);
                    self.host_events(events, out);
                }
            }
            Command::Ping { to, sequence, size } => {
                self.host_do(out, |host, events| host.ping(now, to, sequence, size, events));
            }
            Command::SendUdp { port, to, payload } => {
                self.host_do(out, |host, events| host.send_udp(now, port, to, &payload, events));
            }
            Command::Send { ethernet, tid, shape } => self.transmit(&ethernet, tid, shape, out),
            Command::SendAmsdu { ethernet, tid } => {
                if let Some(path) = self.path.as_mut().filter(|_| self.online) {
                    let frame = path.send_amsdu(ethernet.iter().map(Vec::as_slice), tid);
                    out.extend(frame.map(Output::Frame));
                }
            }
            Command::RequestRekey { pairwise } => {
                let action =
                    self.supplicant.as_mut().and_then(|supplicant| supplicant.request_rekey(pairwise));
                self.supplicant_actions(now, action.into_iter().collect(), out);
            }
        }
    }

    /// Takes a frame off the air: from the Frame Control field on, without frame check sequence, with its signal
    /// strength in dBm where known.
    pub fn receive(&mut self, now: Time, frame: &[u8], signal: Option<i8>, out: &mut Vec<Output>) {
        let Ok(frame) = Frame::parse(frame) else {
            self.counters.malformed += 1;
            return;
        };
        match frame.control().kind() {
            FrameKind::Management(_) => self.mlme_do(now, out, |mlme, context, events| {
                mlme.receive(now, context, &frame, signal, events)
            }),
            FrameKind::Data(_) => self.data(now, &frame, out),
            FrameKind::Control(_) | FrameKind::Extension(_) => {}
        }
    }

    /// When [`timeout`](Device::timeout) is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Time> {
        let host = self.host.as_ref().and_then(|host| host.next_timeout());
        let own = earliest(self.online_by, self.reconnect_at);
        #[cfg(feature = "eap-ttls")]
        let own = earliest(own, self.eap.start_at);
        earliest(earliest(self.mlme.next_timeout(), host), own)
    }

    /// Does what is due at `now`; harmless when nothing is.
    pub fn timeout(&mut self, now: Time, out: &mut Vec<Output>) {
        let profile = self.config.profile.clone();
        self.mlme_do(now, out, |mlme, context, events| mlme.timeout(now, context, events));
        if let (Some(host), Some(config)) = (&mut self.host, &profile.host) {
            let mut events = Vec::new();
            host.timeout(now, config, &mut self.entropy, &mut events);
            self.host_events(events, out);
        }
        #[cfg(feature = "eap-ttls")]
        self.start_eapol(now, out);
        if self.online_by.is_some_and(|due| due <= now) {
            self.leave(now, ReasonCode::FOURWAY_HANDSHAKE_TIMEOUT, out);
        }
        if self.reconnect_at.is_some_and(|due| due <= now) {
            self.command(now, Command::Connect, out);
        }
    }

    fn data(&mut self, now: Time, frame: &Frame<'_>, out: &mut Vec<Output>) {
        let Some(path) = &mut self.path else { return };
        let received = match path.receive(now, frame) {
            Ok(received) => received,
            Err(error) => return self.counters.count(error),
        };
        for ethernet in received.frames {
            match crate::data::eapol_of(&ethernet) {
                Some(eapol) => self.eapol(now, eapol, received.protected, out),
                None if self.online => self.deliver(now, ethernet, out),
                None => self.counters.unprotected += 1,
            }
        }
    }

    fn eapol(&mut self, now: Time, pdu: &[u8], protected: bool, out: &mut Vec<Output>) {
        let Ok(eapol) = EapolFrame::parse(pdu) else {
            self.counters.malformed += 1;
            return;
        };
        match eapol.packet_type {
            PacketType::Key => {
                let Some(supplicant) = &mut self.supplicant else { return };
                match supplicant.receive(pdu, protected, &mut self.entropy) {
                    Ok(actions) => self.supplicant_actions(now, actions, out),
                    Err(discard) => {
                        self.counters.handshake += 1;
                        out.push(Output::Event(Event::Discarded(discard)));
                    }
                }
            }
            #[cfg(feature = "eap-ttls")]
            PacketType::EapPacket => self.eap_packet(now, eapol.body, out),
            _ => {}
        }
    }

    fn deliver(&mut self, now: Time, ethernet: Vec<u8>, out: &mut Vec<Output>) {
        let profile = self.config.profile.clone();
        match (&mut self.host, &profile.host) {
            (Some(host), Some(config)) => {
                let mut events = Vec::new();
                host.receive(now, config, &ethernet, &mut self.entropy, &mut events);
                self.host_events(events, out);
            }
            _ => out.push(Output::Event(Event::Ethernet(ethernet))),
        }
    }

    fn host_do(
        &mut self,
        out: &mut Vec<Output>,
        what: impl FnOnce(&mut Host, &mut Vec<crate::host::Output>) -> bool,
    ) {
        if let Some(host) = &mut self.host {
            let mut events = Vec::new();
            what(host, &mut events);
            self.host_events(events, out);
        }
    }

    /// Sends user data, if the port is open.
    fn transmit(&mut self, ethernet: &[u8], tid: u8, shape: Shape, out: &mut Vec<Output>) {
        if let Some(path) = self.path.as_mut().filter(|_| self.online) {
            let mlme = &mut self.mlme;
            let frames = path.send(ethernet, tid, shape, false, || mlme.next_sequence());
            out.extend(frames.into_iter().map(Output::Frame));
        }
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("mac", &self.config.mac)
            .field("mlme", &self.mlme)
            .field("online", &self.online)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
