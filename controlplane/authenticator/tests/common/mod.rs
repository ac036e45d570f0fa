//! A bench for one station: its BSS and tables, a device played by hand, and outputs sorted by what they are.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod peer;
pub mod world;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use authenticator::{
    Bss, BssOutput, Entropy, Environment, Event, FailureTable, GroupKey, Input, NamedPsk, Output, PmkCache,
    Service, Station, Time,
};
use dot11::element::{ElementId, ElementsBuilder, Rsn, Ssid, SupportedRates};
use dot11::frame::management::{
    AssociationRequest, Authentication, Deauthentication, Disassociation, ManagementBody,
    ReassociationRequest,
};
use dot11::rsn::{Akm, Passphrase, Pmk, pmk_from_passphrase};
use dot11::{
    AuthenticationAlgorithm, CapabilityInfo, Frame, MacAddr, ManagementSubtype, ReasonCode, StatusCode, build,
};

pub const BSSID: MacAddr = MacAddr([0x02, 0xaa, 0, 0, 0, 1]);
pub const MAC: MacAddr = MacAddr([0x02, 0xdd, 0, 0, 0, 1]);
pub const SSID: &[u8] = b"example";

pub fn pmk(passphrase: &str) -> Pmk {
    let ssid = Ssid::parse(SSID).expect("short enough");
    pmk_from_passphrase(&Passphrase::new(passphrase).expect("long enough"), &ssid)
}

pub fn named(name: &str, passphrase: &str) -> NamedPsk {
    NamedPsk { name: name.into(), pmk: pmk(passphrase), vlan: None, client: None }
}

pub fn psk_service() -> Service {
    Service::psk(SSID, vec![named("home", "correct horse")])
}

/// Repeatable and never twice the same: splitmix64.
pub struct Draw(pub u64);

impl Entropy for Draw {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

/// One station with everything it needs. Outputs pile up in `outputs` until a test takes them.
pub struct Lab {
    pub now: Time,
    pub station: Station,
    pub bss: Bss,
    pub failures: FailureTable,
    pub pmks: PmkCache,
    pub entropy: Draw,
    pub outputs: VecDeque<Output>,
    pub group_pn: u64,
    /// Group keys installed at the gateway, and whether for transmission.
    pub group_keys: Vec<(GroupKey, bool)>,
    sequence: u16,
}

impl Lab {
    pub fn new(service: Service) -> Lab {
        service.check().expect("a sound service");
        let failures = FailureTable::new(service.limits.clone());
        let service = Arc::new(service);
        let mut entropy = Draw(7);
        let now = Time(1_700_000_000_000_000);
        let bss = Bss::new(service.clone(), BSSID, now, &mut entropy);
        let station = Station::new(service, BSSID, MAC);
        let pmks = PmkCache::new(100);
        let mut lab = Lab {
            now,
            station,
            bss,
            failures,
            pmks,
            entropy,
            outputs: VecDeque::new(),
            group_pn: 0,
            group_keys: Vec::new(),
            sequence: 0,
        };
        lab.drain();
        lab
    }

    pub fn service(&self) -> Arc<Service> {
        self.bss.service().clone()
    }

    pub fn input(&mut self, input: Input<'_>) {
        let mut env = Environment {
            bss: &mut self.bss,
            failures: &mut self.failures,
            pmks: &mut self.pmks,
            entropy: &mut self.entropy,
        };
        self.station.handle(self.now, &mut env, input);
        self.drain();
    }

    pub fn management(&mut self, frame: &[u8]) {
        self.input(Input::Management { frame, protected: false });
    }

    pub fn eapol(&mut self, pdu: &[u8], protected: bool) {
        let group_pn = self.group_pn;
        self.input(Input::Eapol { pdu, protected, group_pn });
    }

    /// Collects outputs and carries offers of the group key to the station.
    pub fn drain(&mut self) {
        loop {
            while let Some(output) = self.station.poll_output() {
                self.outputs.push_back(output);
            }
            match self.bss.poll_output() {
                None => break,
                Some(BssOutput::InstallGroupKey { key, transmit }) => self.group_keys.push((key, transmit)),
                Some(BssOutput::Offer { mac }) if mac == self.station.mac() => self.input(Input::GroupKey),
                Some(BssOutput::Offer { .. }) => {}
            }
        }
    }

    /// Lets time pass, firing every timer of station and BSS on the way.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.station.next_timeout().into_iter().chain(self.bss.next_timeout()).min()
            && due <= end
        {
            self.now = self.now.max(due);
            self.bss.handle_timeout(self.now, &mut self.entropy);
            self.drain();
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    pub fn rekey_group(&mut self) {
        self.bss.request_rekey(self.now, &mut self.entropy);
        self.drain();
    }

    /// Takes all outputs.
    pub fn take(&mut self) -> Vec<Output> {
        self.outputs.drain(..).collect()
    }

    /// Takes all outputs, and shows them without the log.
    pub fn kinds(&mut self) -> Vec<String> {
        self.take().iter().filter_map(kind).collect()
    }

    pub fn authenticate(&mut self) {
        let request = authentication(AuthenticationAlgorithm::OPEN, 1);
        self.management(&request);
    }

    /// A request with a sequence number that no other has.
    pub fn associate(&mut self, request: &Request) {
        let frame = self.association_frame(request);
        self.management(&frame);
    }

    pub fn association_frame(&mut self, request: &Request) -> Vec<u8> {
        self.sequence += 1;
        let mut frame = request.frame();
        frame[22..24].copy_from_slice(&(self.sequence << 4).to_le_bytes());
        frame
    }

    /// Authenticates and associates, and forgets the outputs but the EAPOL PDU sent.
    pub fn join(&mut self, request: &Request) -> Option<Vec<u8>> {
        self.authenticate();
        self.associate(request);
        self.sent_eapol().pop().map(|(pdu, _, _)| pdu)
    }

    /// Takes all outputs; the EAPOL PDUs among them, with `protect` and `hold_downlink`.
    pub fn sent_eapol(&mut self) -> Vec<(Vec<u8>, bool, bool)> {
        self.take()
            .into_iter()
            .filter_map(|output| match output {
                Output::SendEapol { pdu, protect, hold_downlink } => Some((pdu, protect, hold_downlink)),
                _ => None,
            })
            .collect()
    }
}

/// A short name for an output; `None` for the log.
pub fn kind(output: &Output) -> Option<String> {
    Some(match output {
        Output::SendManagement(frame) => {
            let frame = Frame::parse(frame).expect("a frame of ours");
            match ManagementBody::parse(&frame).expect("a body of ours") {
                ManagementBody::Authentication(body) => format!("auth {}", body.status.0),
                ManagementBody::AssociationResponse(body) => format!("assoc {}", body.status.0),
                ManagementBody::ReassociationResponse(body) => format!("reassoc {}", body.status.0),
                ManagementBody::Deauthentication(body) => format!("deauth {}", body.reason.0),
                ManagementBody::Disassociation(body) => format!("disassoc {}", body.reason.0),
                other => format!("{other:?}"),
            }
        }
        Output::SendEapol { protect, hold_downlink, .. } => match (protect, hold_downlink) {
            (false, false) => "eapol".into(),
            (true, false) => "eapol protected".into(),
            (true, true) => "eapol protected hold".into(),
            (false, true) => "eapol hold".into(),
        },
        Output::AddStation { aid, qos, protect, pmf } => {
            assert!(!pmf);
            format!("add aid={aid} qos={qos} protect={protect}")
        }
        Output::InstallKey { key_id, replaces, .. } => format!("key {key_id} replaces={replaces}"),
        Output::OpenPort { vlan: None } => "open".into(),
        Output::OpenPort { vlan: Some(vlan) } => format!("open vlan={vlan}"),
        Output::ClosePort => "close".into(),
        Output::RemoveStation => "remove".into(),
        Output::RadiusRequest { .. } => "radius".into(),
        Output::GroupKeyInstalled { key_id } => format!("group {key_id}"),
        Output::GroupKeyFailed { key_id } => format!("group {key_id} failed"),
        Output::AccountStart => "start".into(),
        Output::AccountStop { cause, .. } => format!("stop {cause:?}"),
        Output::Failed { kind, blocked_until } => {
            format!("failed {kind:?}{}", if blocked_until.is_some() { " blocked" } else { "" })
        }
        Output::Log(_) => return None,
    })
}

pub fn logged(outputs: &[Output]) -> Vec<&Event> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Log(event) = output { Some(event) } else { None })
        .collect()
}

/// An association request to be bent into shape.
#[derive(Clone)]
pub struct Request {
    pub ssid: Vec<u8>,
    pub rates: SupportedRates,
    pub capabilities: u16,
    pub rsne: Option<Vec<u8>>,
    pub wmm: bool,
    pub extra: Vec<u8>,
    pub current_ap: Option<MacAddr>,
}

impl Request {
    pub fn open() -> Request {
        Request {
            ssid: SSID.to_vec(),
            rates: SupportedRates::bg(),
            capabilities: 0x0421,
            rsne: None,
            wmm: true,
            extra: Vec::new(),
            current_ap: None,
        }
    }

    pub fn rsn(rsn: &Rsn) -> Request {
        Request { rsne: Some(rsn.to_vec()), capabilities: 0x0431, ..Request::open() }
    }

    pub fn akm(akm: Akm) -> Request {
        Request::rsn(&Rsn::ccmp(&[akm]))
    }

    pub fn again(&self) -> Request {
        Request { current_ap: Some(BSSID), ..self.clone() }
    }

    pub fn frame(&self) -> Vec<u8> {
        let mut elements = ElementsBuilder::new()
            .element(ElementId::SSID, &self.ssid)
            .supported_rates(&self.rates)
            .extended_rates(&self.rates)
            .raw(self.rsne.as_deref().unwrap_or_default());
        if self.wmm {
            let body = dot11::element::Wmm::Information { qos_info: 0 }.body();
            elements = elements.element(ElementId::VENDOR_SPECIFIC, &body);
        }
        let bytes = elements.raw(&self.extra).build();
        let elements = dot11::element::Elements::new(&bytes);
        let capabilities = CapabilityInfo(self.capabilities);
        match self.current_ap {
            None => {
                let body = AssociationRequest { capabilities, listen_interval: 10, elements };
                up(ManagementSubtype::AssociationRequest, &body.to_vec())
            }
            Some(current_ap) => {
                let body = ReassociationRequest { capabilities, listen_interval: 10, current_ap, elements };
                up(ManagementSubtype::ReassociationRequest, &body.to_vec())
            }
        }
    }
}

pub fn authentication(algorithm: AuthenticationAlgorithm, transaction: u16) -> Vec<u8> {
    let elements = dot11::element::Elements::default();
    let body = Authentication { algorithm, transaction, status: StatusCode(0), elements };
    up(ManagementSubtype::Authentication, &body.to_vec())
}

pub fn deauthentication(reason: u16) -> Vec<u8> {
    up(ManagementSubtype::Deauthentication, &Deauthentication { reason: ReasonCode(reason) }.to_vec())
}

pub fn disassociation(reason: u16) -> Vec<u8> {
    up(ManagementSubtype::Disassociation, &Disassociation { reason: ReasonCode(reason) }.to_vec())
}

pub fn up(subtype: ManagementSubtype, body: &[u8]) -> Vec<u8> {
    build::management(subtype, BSSID, MAC, BSSID, body)
}
