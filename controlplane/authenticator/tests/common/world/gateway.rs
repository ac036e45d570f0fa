//! The radio and the gateway, as far as one device is concerned: outputs carried out, and what must hold asserted.

use authenticator::{BssOutput, GroupKey, Input, Output, State, Station};
use dot11::ccmp::{self, Pn};
use dot11::eapol::key::KeyFrame;
use dot11::element::{ElementId, Elements, ElementsBuilder, Ssid, SupportedRates, Wmm};
use dot11::frame::management::Beacon;
use dot11::{
    CapabilityInfo, Frame, FrameKind, MacAddr, ManagementSubtype, QosControl, SequenceControl, build, llc,
};
use station::data::eapol_frame;

use super::{ACCEPT_OLD, BSSID, Direction, Gateway, HOLD, MAC, World};
use crate::common::kind;

impl World {
    /// The radio heard a frame: it answers probes itself, and the gateway gets the rest.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let Ok(frame) = Frame::parse(bytes) else { return };
        match frame.kind() {
            FrameKind::Management(ManagementSubtype::ProbeRequest) => {
                let response = self.probe_response();
                self.send(Direction::Down, response);
            }
            FrameKind::Management(_) => self.input(Input::Management { frame: bytes, protected: false }),
            FrameKind::Data(_) if frame.bssid() == Some(BSSID) && frame.source() == Some(MAC) => {
                self.data_heard(&frame);
            }
            _ => {}
        }
    }

    pub(super) fn data_heard(&mut self, frame: &Frame<'_>) {
        if !self.gateway.known {
            return self.input(Input::Class3Frame);
        }
        let protected = frame.control().protected();
        let opened;
        let msdu = if protected {
            let Some(plain) = self.open(frame) else { return };
            opened = plain;
            match Frame::parse(&opened) {
                Ok(plain) => plain.body(),
                Err(_) => return,
            }
        } else {
            frame.body()
        };
        let Some((kind, payload)) = llc::parse(msdu) else { return };
        if kind == llc::EtherType(0x888e) {
            self.input(Input::Eapol { pdu: payload, protected, group_pn: 5 });
        } else if self.gateway.port_open && protected == self.gateway.protect {
            self.up += 1;
        }
    }

    /// Decrypts, checks the packet number.
    pub(super) fn open(&mut self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        let gateway = &mut self.gateway;
        let old = gateway.old.as_ref().filter(|(_, until)| *until > self.now).map(|(tk, _)| (tk, true));
        let keys = gateway.tk.iter().map(|tk| (tk, false)).chain(old);
        let tid = frame.qos().map_or(16, |qos| qos.tid());
        for (tk, is_old) in keys {
            let Ok((header, plain)) = ccmp::open(tk, frame.bytes()) else { continue };
            let received = gateway.received.entry((is_old, tid)).or_insert(Pn::ZERO);
            if header.pn <= *received {
                return None;
            }
            *received = header.pn;
            return Some(plain);
        }
        None
    }

    pub(super) fn data_frame(&mut self, ethernet: &[u8], protect: bool) -> Vec<u8> {
        let gateway = &mut self.gateway;
        let address = |at: usize| MacAddr::from_slice(&ethernet[at..]).expect("an Ethernet header");
        let qos = gateway.qos.then(|| QosControl::new(0));
        let mut header = build::data_header(BSSID, address(0), address(6), qos);
        gateway.sequence = (gateway.sequence + 1) % 4096;
        header.sequence = SequenceControl::new(gateway.sequence, 0);
        let kind = llc::EtherType(u16::from_be_bytes([ethernet[12], ethernet[13]]));
        let frame = header.frame(&llc::msdu(kind, &ethernet[14..]));
        if !protect {
            return frame;
        }
        gateway.sent = gateway.sent.next().expect("packet numbers are left");
        let tk = gateway.tk.as_ref().expect("asked to protect without a key");
        ccmp::seal(tk, 0, gateway.sent, &frame).expect("a data frame")
    }

    pub(super) fn probe_response(&self) -> Vec<u8> {
        let rates = SupportedRates::bg();
        let elements = ElementsBuilder::new()
            .ssid(&Ssid::parse(&self.service.ssid).expect("an SSID"))
            .supported_rates(&rates)
            .extended_rates(&rates)
            .raw(&self.service.rsne().unwrap_or_default())
            .element(ElementId::VENDOR_SPECIFIC, &Wmm::Parameters(Default::default()).body())
            .build();
        let elements = Elements::new(&elements);
        let capabilities = match self.service.rsne() {
            Some(_) => CapabilityInfo::ESS.with(CapabilityInfo::PRIVACY),
            None => CapabilityInfo::ESS,
        };
        let body = Beacon { timestamp: 0, interval: 100, capabilities, elements };
        build::management(ManagementSubtype::ProbeResponse, MAC, BSSID, BSSID, &body.to_vec())
    }

    /// Carries out what station and BSS want.
    pub(super) fn drain(&mut self) {
        let mut keep = false;
        loop {
            if let Some(output) = self.station.poll_output() {
                keep |= matches!(
                    output,
                    Output::AddStation { .. }
                        | Output::InstallKey { .. }
                        | Output::OpenPort { .. }
                        | Output::GroupKeyInstalled { .. }
                );
                self.carry_out(output);
                continue;
            }
            match self.bss.poll_output() {
                None => break,
                Some(BssOutput::InstallGroupKey { key: GroupKey { key_id, .. }, .. }) => {
                    assert!(matches!(key_id, 1 | 2));
                    self.bss_blob = self.bss.snapshot();
                }
                Some(BssOutput::Offer { mac }) => {
                    assert_eq!(mac, MAC);
                    self.input(Input::GroupKey);
                }
            }
        }
        if keep && self.gateway.known {
            self.gateway.blob = Some(self.station.snapshot());
        }
        let online = self.station.state() == State::Online;
        assert_eq!(self.gateway.port_open, online, "gateway and station agree on the port");
        assert_eq!(self.gateway.known, self.station.state() >= State::Associated);
        assert!(!online || self.session.is_some());
        assert_eq!(self.session, self.station.info().session.map(|(id, _)| id));
        if self.station.is_disposable() {
            self.station = Station::new(self.service.clone(), BSSID, MAC);
            self.last_counter = 0;
        }
    }

    pub(super) fn carry_out(&mut self, output: Output) {
        if let Some(kind) = kind(&output) {
            self.note(&format!("control: {kind}"));
        }
        match output {
            Output::SendManagement(frame) => self.send(Direction::Down, frame),
            Output::SendEapol { pdu, protect, hold_downlink } => {
                if let Ok(key) = KeyFrame::parse(&pdu) {
                    assert!(key.replay_counter() > self.last_counter, "replay counters only go up");
                    self.last_counter = key.replay_counter();
                }
                if hold_downlink {
                    self.gateway.hold = Some(self.now + HOLD);
                }
                let frame = self.data_frame(&eapol_frame(MAC, BSSID, &pdu), protect);
                self.send(Direction::Down, frame);
            }
            Output::AddStation { qos, protect, .. } => {
                let sequence = self.gateway.sequence;
                let blob = self.gateway.blob.take();
                self.gateway = Gateway { known: true, qos, protect, sequence, blob, ..Gateway::default() };
            }
            Output::InstallKey { key_id, tk, replaces } => {
                assert_eq!(key_id, 0);
                assert!(self.installed.insert(*tk.as_bytes()), "a key is installed once");
                let gateway = &mut self.gateway;
                assert_eq!(gateway.tk.is_some(), replaces);
                gateway.old = gateway.tk.replace(tk).map(|old| (old, self.now + ACCEPT_OLD));
                gateway.received = std::mem::take(&mut gateway.received)
                    .into_iter()
                    .filter(|((is_old, _), _)| !is_old)
                    .map(|((_, tid), pn)| ((true, tid), pn))
                    .collect();
                gateway.sent = Pn::ZERO;
                gateway.hold = None;
            }
            Output::OpenPort { .. } => {
                if self.gateway.protect {
                    let tk = self.gateway.tk.as_ref().expect("a key first");
                    assert!(self.device_keys.contains(tk.as_bytes()), "the device has the same key");
                }
                self.opened += 1;
                self.gateway.port_open = true;
            }
            Output::ClosePort => self.gateway.port_open = false,
            Output::RemoveStation => self.gateway = Gateway::default(),
            Output::RadiusRequest { request, eap, .. } => self.ask_radius(request, &eap),
            Output::AccountStart => {
                assert!(self.session.is_none(), "one session at a time");
                self.session = self.station.info().session.map(|(id, _)| id);
                self.sessions += 1;
            }
            Output::AccountStop { session, .. } => {
                assert_eq!(self.session.take(), Some(session), "a session stops once");
            }
            Output::Failed { .. } => self.failed += 1,
            Output::GroupKeyInstalled { .. } | Output::GroupKeyFailed { .. } | Output::Log(_) => {}
        }
    }
}
