//! From association to open port and back: what MLME, supplicant and EAP peer decide, carried out.

use dot11::ReasonCode;
#[cfg(feature = "eap-ttls")]
use dot11::{eapol, eapol::PacketType, rsn::Pmk};

use crate::data::{DataPath, Shape, eapol_frame};
use crate::device::{Device, EAPOL_TID, Event, Output};
#[cfg(feature = "eap-ttls")]
use crate::eap;
use crate::host;
use crate::mlme::{self, Mlme};
use crate::profile::Security;
use crate::supplicant::{Action, Binding, Supplicant};
use crate::time::Time;

/// What a device keeps for 802.1X.
#[cfg(feature = "eap-ttls")]
#[derive(Default)]
pub(super) struct Enterprise {
    /// The conversation under way.
    pub peer: Option<Box<eap::Peer>>,
    /// The PMK of the last authentication.
    pub cached: Option<Box<Pmk>>,
    /// When to send EAPOL-Start.
    pub start_at: Option<Time>,
}

impl Device {
    /// Lets the MLME do something and carries out what it wants.
    pub(super) fn mlme_do(
        &mut self,
        now: Time,
        out: &mut Vec<Output>,
        what: impl FnOnce(&mut Mlme, mlme::Context<'_>, &mut Vec<mlme::Output>),
    ) {
        let profile = self.config.profile.clone();
        #[cfg(feature = "eap-ttls")]
        let cached_pmk = self.eap.cached.as_deref().filter(|_| profile.key_caching);
        #[cfg(not(feature = "eap-ttls"))]
        let cached_pmk = None;
        let mut events = Vec::new();
        what(&mut self.mlme, mlme::Context { config: &profile.mlme, cached_pmk }, &mut events);
        for event in events {
            match event {
                mlme::Output::Send(frame) => out.push(Output::Frame(frame)),
                mlme::Output::Associated => self.associated(now, out),
                mlme::Output::Refused { stage, status } => {
                    self.ended(now, Event::Refused { stage, status }, out);
                }
                mlme::Output::NoAnswer(stage) => self.ended(now, Event::NoAnswer(stage), out),
                mlme::Output::Ended { reason } => {
                    self.ended(now, Event::Disconnected { reason, by_access_point: true }, out);
                }
                mlme::Output::BeaconsLost => self.ended(now, Event::BeaconsLost, out),
            }
        }
    }

    /// Carries out what the supplicant wants.
    pub(super) fn supplicant_actions(&mut self, now: Time, actions: Vec<Action>, out: &mut Vec<Output>) {
        for action in actions {
            match action {
                Action::Send { eapol, clear } => self.send_eapol(&eapol, clear, out),
                Action::InstallPtk(tk) => {
                    if let Some(path) = &mut self.path {
                        path.install_pairwise(tk);
                    }
                }
                Action::InstallGtk { key_id, gtk, rsc } => {
                    if let Some(path) = &mut self.path {
                        path.install_group(key_id, &gtk, rsc);
                    }
                }
                Action::Complete { rekey: true } => out.push(Output::Event(Event::Rekeyed)),
                Action::Complete { rekey: false } => self.open_port(now, out),
                Action::GroupComplete => out.push(Output::Event(Event::GroupRekeyed)),
                Action::Deauthenticate(reason) => return self.leave(now, reason, out),
            }
        }
    }

    /// Carries out what the host wants.
    pub(super) fn host_events(&mut self, events: Vec<host::Output>, out: &mut Vec<Output>) {
        for event in events {
            let event = match event {
                host::Output::Send(ethernet) => {
                    self.transmit(&ethernet, 0, Shape::Whole, out);
                    continue;
                }
                host::Output::Leased(lease) => Event::Leased(lease),
                host::Output::LeaseLost => Event::LeaseLost,
                host::Output::EchoReply { from, sequence, round_trip } => {
                    Event::EchoReply { from, sequence, round_trip }
                }
                host::Output::EchoLost { sequence } => Event::EchoLost { sequence },
                host::Output::Udp { from, port, payload } => Event::Udp { from, port, payload },
            };
            out.push(Output::Event(event));
        }
    }

    /// Says goodbye and ends the association from this side.
    pub(super) fn leave(&mut self, now: Time, reason: ReasonCode, out: &mut Vec<Output>) {
        if self.mlme.is_idle() {
            return;
        }
        self.mlme_do(now, out, |mlme, _, events| mlme.leave(reason, events));
        self.ended(now, Event::Disconnected { reason, by_access_point: false }, out);
    }

    /// Forgets everything that belonged to the association.
    pub(super) fn end(&mut self) {
        self.path = None;
        self.supplicant = None;
        self.online = false;
        self.online_by = None;
        #[cfg(feature = "eap-ttls")]
        {
            self.eap.peer = None;
            self.eap.start_at = None;
        }
        if let Some(host) = &mut self.host {
            host.stop();
        }
    }

    fn ended(&mut self, now: Time, event: Event, out: &mut Vec<Output>) {
        self.end();
        self.reconnect_at = self.config.profile.reconnect.map(|wait| now + wait);
        out.push(Output::Event(event));
    }

    fn associated(&mut self, now: Time, out: &mut Vec<Output>) {
        let profile = self.config.profile.clone();
        let Some(association) = self.mlme.association() else { return };
        let bssid = association.bss.bssid;
        out.push(Output::Event(Event::Associated {
            bssid,
            aid: association.aid,
            reassociated: association.reassociated,
        }));
        self.path = Some(Box::new(DataPath::new(self.config.mac, bssid, association.qos)));
        self.supplicant = None;
        self.online = false;
        let keys = (profile.mlme.akm, &association.own_rsne, &association.bss.rsne);
        let (Some(akm), Some(own_rsne), Some(beacon_rsne)) = keys else {
            return self.open_port(now, out);
        };
        let binding = Binding {
            akm,
            aa: bssid,
            spa: self.config.mac,
            own_rsne: own_rsne.clone(),
            beacon_rsne: beacon_rsne.clone(),
            beacon_rsnxe: association.bss.rsnxe.clone(),
        };
        let pmk = match &profile.security {
            Security::Open => None,
            Security::Psk(pmk) => Some(pmk.clone()),
            #[cfg(feature = "eap-ttls")]
            Security::Enterprise(_) => {
                self.eap.peer = None;
                self.eap.start_at = Some(now + profile.start_interval);
                self.eap.cached.as_deref().filter(|_| profile.key_caching).cloned()
            }
        };
        let supplicant = Supplicant::new(binding, pmk).with_repeated_m4(profile.repeated_m4);
        self.supplicant = Some(Box::new(supplicant));
        self.online_by = Some(now + profile.handshake_timeout);
    }

    fn open_port(&mut self, now: Time, out: &mut Vec<Output>) {
        let profile = self.config.profile.clone();
        self.online = true;
        self.online_by = None;
        #[cfg(feature = "eap-ttls")]
        {
            self.eap.start_at = None;
        }
        out.push(Output::Event(Event::Online));
        // A host that roamed keeps its address and its neighbours.
        if let (Some(host), Some(config)) = (&mut self.host, &profile.host)
            && host.lease().is_none()
        {
            let mut events = Vec::new();
            host.start(now, config, &mut self.entropy, &mut events);
            self.host_events(events, out);
        }
    }

    /// Sends an EAPOL PDU to the access point, encrypted if there is a key and it need not go in the clear.
    fn send_eapol(&mut self, pdu: &[u8], clear: bool, out: &mut Vec<Output>) {
        let (Some(path), Some(supplicant)) = (&mut self.path, &self.supplicant) else { return };
        let ethernet = eapol_frame(supplicant.binding().aa, self.config.mac, pdu);
        let mlme = &mut self.mlme;
        let frames = path.send(&ethernet, EAPOL_TID, Shape::Whole, clear, || mlme.next_sequence());
        out.extend(frames.into_iter().map(Output::Frame));
    }
}

#[cfg(feature = "eap-ttls")]
impl Device {
    /// Asks the access point to begin, if it has not by now.
    pub(super) fn start_eapol(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.eap.start_at.is_some_and(|due| due <= now) {
            self.eap.start_at = Some(now + self.config.profile.start_interval);
            self.send_eapol(&eapol::build(PacketType::Start, &[]), false, out);
        }
    }

    /// Takes an EAP packet from the access point.
    pub(super) fn eap_packet(&mut self, now: Time, packet: &[u8], out: &mut Vec<Output>) {
        let profile = self.config.profile.clone();
        let (Security::Enterprise(config), Some(credentials)) = (&profile.security, &self.config.credentials)
        else {
            return;
        };
        self.eap.start_at = None;
        let peer = self
            .eap
            .peer
            .get_or_insert_with(|| Box::new(eap::Peer::new(config.clone(), credentials.clone())));
        match peer.receive(packet) {
            Ok(eap::Step::Respond(response)) => {
                self.send_eapol(&eapol::build(PacketType::EapPacket, &response), false, out);
            }
            Ok(eap::Step::Success(msk)) => {
                let pmk = msk.pmk();
                self.eap.peer = None;
                self.eap.cached = Some(Box::new(pmk.clone()));
                if let Some(supplicant) = &mut self.supplicant {
                    supplicant.set_pmk(pmk);
                }
                out.push(Output::Event(Event::Authenticated));
            }
            Ok(eap::Step::Ignore) => {}
            Ok(eap::Step::Failure) | Err(_) => {
                self.eap.cached = None;
                self.leave(now, ReasonCode::IEEE_802_1X_AUTH_FAILED, out);
            }
        }
    }
}
