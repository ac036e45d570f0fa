//! An access point of a few lines, all of it made by hand from dot11: it says what the test tells it to.
#![allow(dead_code, reason = "every test uses another part")]

use std::sync::LazyLock;

use dot11::ccmp::{self, Pn};
use dot11::eapol::kde::KeyDataBuilder;
use dot11::eapol::key::{KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::element::{ElementId, Elements, ElementsBuilder, Rsn, Ssid, SupportedRates, Wmm, WmmParameters};
use dot11::frame::management::{AssociationResponse, Authentication, Beacon, Deauthentication};
use dot11::rsn::{self, Gtk, Pmk, Ptk, Tk};
use dot11::{
    Akm, AuthenticationAlgorithm, CapabilityInfo, Frame, FrameKind, MacAddr, ManagementSubtype, QosControl,
    ReasonCode, SequenceControl, StatusCode, build, llc,
};
use station::data::eapol_frame;
use station::profile::Security;
use station::{Device, DeviceConfig, Event, Output, Profile, Time};

pub const AP: MacAddr = MacAddr([0x02, 0xaa, 0, 0, 0, 1]);
pub const STA: MacAddr = MacAddr([0x02, 0xbb, 0, 0, 0, 7]);
pub const SSID: &str = "casa";
pub const PASSPHRASE: &str = "correct horse";
pub const GTK: [u8; 16] = [0x47; 16];
pub const ANONCE: [u8; 32] = [0xa0; 32];

/// The access point.
pub struct TestAp {
    pub bssid: MacAddr,
    pub akm: Akm,
    pub pmk: Pmk,
    pub rsnxe: bool,
    pub open: bool,
    pub anonce: [u8; 32],
    pub replay: u64,
    pub ptk: Option<Ptk>,
    /// The key that data travels under.
    pub tk: Option<Tk>,
    pub sent: Pn,
    pub last_heard: Pn,
    pub sequence: u16,
}

/// Derived once: 4096 rounds take their time.
static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::psk(SSID, PASSPHRASE, Akm::Psk).unwrap());

/// The profile of a device that knows the passphrase.
pub fn psk_profile(akm: Akm) -> Profile {
    let mut profile = PROFILE.clone();
    profile.mlme.akm = Some(akm);
    profile
}

impl TestAp {
    pub fn new(akm: Akm) -> TestAp {
        let Security::Psk(pmk) = &PROFILE.security else { unreachable!("made by Profile::psk") };
        TestAp {
            bssid: AP,
            akm,
            pmk: pmk.clone(),
            rsnxe: false,
            open: false,
            anonce: ANONCE,
            replay: 0,
            ptk: None,
            tk: None,
            sent: Pn::ZERO,
            last_heard: Pn::ZERO,
            sequence: 0,
        }
    }

    pub fn rsne(&self) -> Vec<u8> {
        Rsn::ccmp(&[Akm::Sae, self.akm]).to_vec()
    }

    pub fn rsnxe_bytes(&self) -> Vec<u8> {
        if self.rsnxe { vec![ElementId::RSNX.0, 1, 0x20] } else { Vec::new() }
    }

    pub fn beacon(&self, subtype: ManagementSubtype) -> Vec<u8> {
        let rates = SupportedRates::bg();
        let mut elements =
            ElementsBuilder::new().ssid(&Ssid::try_from(SSID).unwrap()).supported_rates(&rates);
        let mut capabilities = CapabilityInfo::ESS;
        if !self.open {
            capabilities = capabilities.with(CapabilityInfo::PRIVACY);
            elements = elements.raw(&self.rsne()).raw(&self.rsnxe_bytes());
        }
        let wmm = Wmm::Parameters(WmmParameters::default()).body();
        let elements = elements.element(ElementId::VENDOR_SPECIFIC, &wmm).build();
        let body = Beacon { timestamp: 0, interval: 100, capabilities, elements: Elements::new(&elements) };
        build::management(subtype, MacAddr::BROADCAST, self.bssid, self.bssid, &body.to_vec())
    }

    pub fn authentication(&self, status: StatusCode) -> Vec<u8> {
        let body = Authentication {
            algorithm: AuthenticationAlgorithm::OPEN,
            transaction: 2,
            status,
            elements: Elements::default(),
        };
        build::management(ManagementSubtype::Authentication, STA, self.bssid, self.bssid, &body.to_vec())
    }

    pub fn association(&self, status: StatusCode, reassociation: bool) -> Vec<u8> {
        let elements = ElementsBuilder::new()
            .supported_rates(&SupportedRates::bg())
            .element(ElementId::VENDOR_SPECIFIC, &Wmm::Parameters(WmmParameters::default()).body())
            .build();
        let body = AssociationResponse {
            capabilities: CapabilityInfo::ESS,
            status,
            aid: 1,
            elements: Elements::new(&elements),
        };
        let subtype = if reassociation {
            ManagementSubtype::ReassociationResponse
        } else {
            ManagementSubtype::AssociationResponse
        };
        build::management(subtype, STA, self.bssid, self.bssid, &body.to_vec())
    }

    pub fn deauthentication(&self, reason: ReasonCode) -> Vec<u8> {
        let body = Deauthentication { reason }.to_vec();
        build::management(ManagementSubtype::Deauthentication, STA, self.bssid, self.bssid, &body)
    }

    /// A QoS data frame down, under the installed key unless `clear`.
    pub fn data(&mut self, ethernet: &[u8], clear: bool) -> Vec<u8> {
        let da = MacAddr::from_slice(&ethernet[..6]).unwrap();
        let sa = MacAddr::from_slice(&ethernet[6..12]).unwrap();
        let kind = llc::EtherType(u16::from_be_bytes([ethernet[12], ethernet[13]]));
        self.msdu(da, sa, &llc::msdu(kind, &ethernet[14..]), false, clear)
    }

    pub fn msdu(&mut self, da: MacAddr, sa: MacAddr, body: &[u8], amsdu: bool, clear: bool) -> Vec<u8> {
        let qos = QosControl::new(0).with_amsdu_present(amsdu);
        let mut header = build::data_header(self.bssid, da, sa, Some(qos));
        header.sequence = SequenceControl::new(self.sequence, 0);
        self.sequence += 1;
        self.protect(&header.frame(body), clear)
    }

    pub fn protect(&mut self, mpdu: &[u8], clear: bool) -> Vec<u8> {
        match &self.tk {
            Some(tk) if !clear => {
                self.sent = self.sent.next().unwrap();
                ccmp::seal(tk, 0, self.sent, mpdu).unwrap()
            }
            _ => mpdu.to_vec(),
        }
    }

    pub fn eapol(&mut self, pdu: &[u8], clear: bool) -> Vec<u8> {
        self.data(&eapol_frame(STA, self.bssid, pdu), clear)
    }

    pub fn m1(&mut self) -> Vec<u8> {
        self.replay += 1;
        let info =
            KeyInfo::PAIRWISE.with(KeyInfo::ACK).with_descriptor_version(self.akm.descriptor_version());
        KeyFrameBuilder {
            info,
            key_length: 16,
            replay_counter: self.replay,
            nonce: self.anonce,
            ..Default::default()
        }
        .build()
    }

    /// Takes message 2: checks replay counter and MIC, keeps the PTK.
    pub fn take_m2(&mut self, pdu: &[u8], sta: MacAddr) {
        let frame = KeyFrame::parse(pdu).unwrap();
        assert_eq!(frame.replay_counter(), self.replay);
        let ptk =
            rsn::derive_ptk(self.akm, &self.pmk, self.bssid, sta, &self.anonce, &frame.nonce()).unwrap();
        assert!(rsn::verify_mic(self.akm, &ptk.kck, pdu), "message 2 has a wrong MIC");
        self.ptk = Some(ptk);
    }

    pub fn m3(&mut self) -> Vec<u8> {
        self.m3_with(&[self.rsne(), self.rsnxe_bytes()].concat(), 1, GTK)
    }

    pub fn m3_with(&mut self, elements: &[u8], key_id: u8, gtk: [u8; 16]) -> Vec<u8> {
        let data = KeyDataBuilder::new().elements(Elements::new(elements)).gtk(key_id, false, &gtk).build();
        let info = KeyInfo::PAIRWISE.with(KeyInfo::INSTALL);
        self.signed(info, self.anonce, &data)
    }

    pub fn group_m1(&mut self, key_id: u8, gtk: [u8; 16]) -> Vec<u8> {
        let data = KeyDataBuilder::new().gtk(key_id, false, &gtk).build();
        self.signed(KeyInfo::default(), [0; 32], &data)
    }

    fn signed(&mut self, info: KeyInfo, nonce: [u8; 32], data: &[u8]) -> Vec<u8> {
        self.replay += 1;
        let ptk = self.ptk.as_ref().expect("no PTK yet");
        let info = [KeyInfo::ACK, KeyInfo::MIC, KeyInfo::SECURE, KeyInfo::ENCRYPTED_KEY_DATA]
            .into_iter()
            .fold(info, KeyInfo::with)
            .with_descriptor_version(self.akm.descriptor_version());
        let mut pdu = KeyFrameBuilder {
            info,
            key_length: 16,
            replay_counter: self.replay,
            nonce,
            rsc: Pn::new(9).unwrap().to_rsc(),
            key_data: &rsn::wrap_key_data(&ptk.kek, data).unwrap(),
            ..Default::default()
        }
        .build();
        rsn::sign(self.akm, &ptk.kck, &mut pdu).unwrap();
        pdu
    }

    /// A group-addressed frame under a GTK.
    pub fn group_data(&mut self, key_id: u8, gtk: [u8; 16], pn: u64, ethernet: &[u8]) -> Vec<u8> {
        let tk = self.tk.take();
        let mpdu = self.data(ethernet, true);
        self.tk = tk;
        ccmp::seal(&Tk::from(&Gtk::new(gtk)), key_id, Pn::new(pn).unwrap(), &mpdu).unwrap()
    }

    /// Ethernet frame and protection of a data frame that came up; asserts that packet numbers increase.
    pub fn open(&mut self, frame: &[u8]) -> (Vec<u8>, bool) {
        let view = Frame::parse(frame).unwrap();
        assert_eq!(view.bssid(), Some(self.bssid));
        let protected = view.control().protected();
        let plain = if protected {
            let (header, plain) = ccmp::open(self.tk.as_ref().expect("no key"), frame).expect("MIC");
            assert!(header.pn > self.last_heard, "packet number did not increase");
            self.last_heard = header.pn;
            plain
        } else {
            frame.to_vec()
        };
        let view = Frame::parse(&plain).unwrap();
        let (da, sa) = (view.destination().unwrap(), view.source().unwrap());
        let (kind, payload) = llc::parse(view.body()).expect("SNAP");
        ([&da.0, &sa.0, &kind.0.to_be_bytes()[..], payload].concat(), protected)
    }
}

/// A device with time and the log of what it did.
pub struct Bench {
    pub now: Time,
    pub device: Device,
    pub frames: Vec<Vec<u8>>,
    pub events: Vec<Event>,
}

impl Bench {
    pub fn new(profile: Profile) -> Bench {
        Bench::with(DeviceConfig::new(STA, std::sync::Arc::new(profile)))
    }

    pub fn with(config: DeviceConfig) -> Bench {
        let device = Device::new(config, [7; 16]);
        Bench { now: Time::from_millis(1000), device, frames: Vec::new(), events: Vec::new() }
    }

    pub fn psk(akm: Akm) -> Bench {
        Bench::new(psk_profile(akm))
    }

    pub fn command(&mut self, command: station::Command) {
        let mut out = Vec::new();
        self.device.command(self.now, command, &mut out);
        self.take(out);
    }

    pub fn receive(&mut self, frame: &[u8]) {
        let mut out = Vec::new();
        self.device.receive(self.now, frame, Some(-40), &mut out);
        self.take(out);
    }

    /// Lets time go on to the next deadline.
    pub fn next_timeout(&mut self) {
        self.now = self.device.next_timeout().expect("no deadline").max(self.now);
        let mut out = Vec::new();
        self.device.timeout(self.now, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Frame(frame) => self.frames.push(frame),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The frames since the last call.
    pub fn frames(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.frames)
    }

    /// The one frame since the last call.
    pub fn frame(&mut self) -> Vec<u8> {
        let mut frames = self.frames();
        assert_eq!(frames.len(), 1, "expected one frame, got {frames:02x?}; events {:?}", self.events);
        frames.remove(0)
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The one frame, which must be EAPOL: its PDU and whether it was encrypted.
    pub fn eapol(&mut self, ap: &mut TestAp) -> (Vec<u8>, bool) {
        let frame = self.frame();
        let (ethernet, protected) = ap.open(&frame);
        (station::data::eapol_of(&ethernet).expect("EAPOL").to_vec(), protected)
    }

    /// From switching on to the association.
    pub fn associate(&mut self, ap: &TestAp) {
        self.command(station::Command::Connect);
        assert_eq!(subtype(&self.frame()), ManagementSubtype::ProbeRequest);
        self.receive(&ap.beacon(ManagementSubtype::ProbeResponse));
        assert_eq!(subtype(&self.frame()), ManagementSubtype::Authentication);
        self.receive(&ap.authentication(StatusCode::SUCCESS));
        assert_eq!(subtype(&self.frame()), ManagementSubtype::AssociationRequest);
        self.receive(&ap.association(StatusCode::SUCCESS, false));
        let events = self.events();
        assert!(
            matches!(events[0], Event::Associated { bssid, aid: 1, reassociated: false } if bssid == ap.bssid)
        );
    }

    /// The 4-way handshake, to the open port.
    pub fn handshake(&mut self, ap: &mut TestAp) {
        let m1 = ap.m1();
        let m1 = ap.eapol(&m1, true);
        self.receive(&m1);
        let (m2, _) = self.eapol(ap);
        ap.take_m2(&m2, STA);
        let m3 = ap.m3();
        let m3 = ap.eapol(&m3, true);
        self.receive(&m3);
        let (m4, protected) = self.eapol(ap);
        assert!(!protected && rsn::verify_mic(ap.akm, &ap.ptk.as_ref().unwrap().kck, &m4));
        ap.tk = ap.ptk.as_ref().map(|ptk| ptk.tk.clone());
        assert!(self.events().contains(&Event::Online));
    }
}

pub fn subtype(frame: &[u8]) -> ManagementSubtype {
    match Frame::parse(frame).unwrap().control().kind() {
        FrameKind::Management(subtype) => subtype,
        other => panic!("a management frame was expected, not {other:?}"),
    }
}

/// An Ethernet frame to the device with a payload that nobody understands.
pub fn ethernet(da: MacAddr, sa: MacAddr, payload: &[u8]) -> Vec<u8> {
    [&da.0, &sa.0, &[0x88, 0xb5][..], payload].concat()
}
