//! An agent on virtual time, a scripted matchmaker that gives answers as messages, gateways, devices.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use dot11::element::{ElementId, Elements, ElementsBuilder, Rsn, Ssid};
use dot11::frame::management::{AssociationRequest, AssociationResponse, Authentication, Beacon};
use dot11::{
    Akm, AuthenticationAlgorithm, CapabilityInfo, Frame, FrameKind, MacAddr, ManagementSubtype, StatusCode,
    build,
};
use proto::matchmaking::messages::request::Request;
use proto::matchmaking::messages::{self, answer::Answer, failure::Reason};
use proto::tunnel::*;
use radio_agent::agent::*;
use radio_agent::config::Config;

pub const RADIO: MacAddr = MacAddr([0x00, 0xbb, 0, 0, 0, 7]);
pub const DEVICE: MacAddr = MacAddr([0x40, 0x5e, 0, 0, 0, 0x42]);
pub const OTHER: MacAddr = MacAddr([0x40, 0x5e, 0, 0, 0, 0x43]);
pub const HOME: u8 = 1;
pub const WORK: u8 = 2;
pub const KEY: [u8; 16] = [0x77; 16];

const CONFIG: &str = r#"
radio = "00:bb:00:00:00:07"
[backend]
kind = "air"
socket = "/tmp/air"
channel = 6
[matchmaking]
server = "matchmaker.example:5248"
key = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
bssids = 2
up_kbps = 10000
down_kbps = 50000
location = "52.5163, 13.3777, gate"
"#;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn gateway(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 5247))
}

pub fn service(number: u8) -> ServiceUuid {
    ServiceUuid([number; 16])
}

/// BSSIDs of the agent's slots.
pub fn bssid(slot: usize) -> MacAddr {
    bssids(RADIO, 2, &[])[slot]
}

pub fn template(number: u8) -> Vec<u8> {
    ElementsBuilder::new()
        .ssid(&Ssid::parse(format!("network {number}").as_bytes()).unwrap())
        .element(ElementId::SUPPORTED_RATES, &[0x82])
        .rsn(&Rsn::ccmp(&[Akm::Psk]))
        .element(ElementId::VENDOR_SPECIFIC, &[1, 2, 3, 4, number])
        .build()
}

/// An offer of a service to a device, or to whoever is near.
pub fn offer(number: u8, client: Option<MacAddr>, policy: messages::Policy) -> messages::Offer {
    messages::Offer {
        service: vec![number; 16],
        client: client.map(|client| client.0.to_vec()).unwrap_or_default(),
        binding: u64::from(number) + 100,
        policy: Some(policy),
        template: template(number),
        rank: 5,
        predicted: false,
    }
}

pub fn plain(number: u8, client: MacAddr) -> messages::Offer {
    offer(number, Some(client), messages::Policy::default())
}

/// Everything around the agent.
pub struct World {
    pub agent: Agent,
    pub now: Duration,
    sessions: u8,
    /// All outputs, with their time.
    pub log: Vec<(Duration, Output)>,
    /// What the matchmaker offers: to whom it names, and of the others to all.
    pub offers: Vec<messages::Offer>,
    pub withdrawn: Vec<Vec<u8>>,
    pub ttl: u32,
    pub more: bool,
    pub failure: Option<Reason>,
    pub retry: u32,
    /// It answers nothing: questions are given up.
    pub silent: bool,
    /// What is asked waits here for [`World::answer`].
    pub waiting: Option<Vec<(u32, Request)>>,
    pub lifetime: u32,
    pub questions: Vec<(Duration, Request)>,
    /// Where it introduces to.
    pub endpoints: Vec<SocketAddr>,
    pub valid: u32,
    /// Gateways that answer, with the counter of the last keep-alive of each session.
    pub alive: HashMap<SocketAddr, HashMap<[u8; 16], u64>>,
    /// Frames that gateways got.
    pub delivered: Vec<(SocketAddr, Vec<u8>)>,
    /// Nobody has these ports, say their hosts, and quote so much.
    pub refusing: HashMap<SocketAddr, usize>,
}

impl World {
    pub fn new() -> World {
        let mut world = World {
            agent: Agent::new(&Config::parse(CONFIG).unwrap(), RADIO),
            now: seconds(100),
            sessions: 0,
            log: Vec::new(),
            offers: Vec::new(),
            withdrawn: Vec::new(),
            ttl: 30,
            more: false,
            failure: None,
            retry: 0,
            silent: false,
            waiting: None,
            lifetime: 400,
            questions: Vec::new(),
            endpoints: vec![gateway(1)],
            valid: 30,
            alive: HashMap::from([(gateway(1), HashMap::new()), (gateway(2), HashMap::new())]),
            delivered: Vec::new(),
            refusing: HashMap::new(),
        };
        world.pump();
        world
    }

    /// Does everything that is due now.
    pub fn pump(&mut self) {
        for round in 0.. {
            assert!(round < 1000, "it never rests");
            let sessions = &mut self.sessions;
            self.agent.timeout(self.now, &mut || {
                *sessions += 1;
                SessionId([*sessions; 16])
            });
            let outputs: Vec<_> = std::iter::from_fn(|| self.agent.poll_output()).collect();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                match &output {
                    Output::Ask { ask, request } => self.question(*ask, request),
                    Output::Send { to, datagram } => self.sent(*to, datagram),
                    _ => {}
                }
                self.log.push((self.now, output));
            }
        }
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.pump();
        while let Some(deadline) = self.agent.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.pump();
        }
        self.now = end;
    }

    /// Answers what waits, and from then on everything at once.
    pub fn answer(&mut self) {
        for (ask, request) in self.waiting.take().unwrap_or_default() {
            self.reply(ask, &request);
        }
        self.pump();
    }

    fn question(&mut self, ask: u32, request: &Request) {
        self.questions.push((self.now, request.clone()));
        match &mut self.waiting {
            Some(waiting) => waiting.push((ask, request.clone())),
            None => self.reply(ask, request),
        }
    }

    fn reply(&mut self, ask: u32, request: &Request) {
        let answer = match request {
            _ if self.silent => None,
            Request::RegisterRadio(_) => Some(Answer::Registered(messages::Registered {
                lifetime_seconds: self.lifetime,
                endpoint: String::new(),
            })),
            Request::LookUp(look_up) => match self.failure {
                Some(reason) => Some(self.failed(reason)),
                None => {
                    let asked = |offer: &&messages::Offer| {
                        let named = look_up.devices.iter().any(|device| device.client == offer.client);
                        offer.client.is_empty() || offer.predicted || named
                    };
                    Some(Answer::Offers(messages::Offers {
                        ttl_seconds: self.ttl,
                        offers: self.offers.iter().filter(asked).cloned().collect(),
                        withdrawn: std::mem::take(&mut self.withdrawn),
                        more: self.more,
                    }))
                }
            },
            Request::Connect(_) => Some(match self.failure {
                Some(reason) => self.failed(reason),
                None => Answer::Connected(messages::Connected {
                    instance: vec![9; 16],
                    endpoints: self.endpoints.iter().map(ToString::to_string).collect(),
                    key: KEY.to_vec(),
                    valid_seconds: self.valid,
                }),
            }),
            _ => Some(Answer::Done(messages::Done {})),
        };
        self.agent.answered(ask, answer, self.now);
    }

    fn failed(&self, reason: Reason) -> Answer {
        let (reason, retry_seconds) = (reason.into(), self.retry);
        Answer::Failure(messages::Failure { reason, text: String::new(), retry_seconds })
    }

    /// A gateway that lives checks the proof of a keep-alive, and echoes it.
    fn sent(&mut self, to: SocketAddr, datagram: &[u8]) {
        if let Some(most) = self.refusing.get(&to) {
            self.agent.refused(to, &datagram[..datagram.len().min(*most)], self.now);
            return;
        }
        let (header, payload) = DataHeader::parse(datagram).unwrap();
        if !header.keep_alive() {
            self.delivered.push((to, payload.to_vec()));
            return;
        }
        let KeepAlive { session_id, hello, proof } = KeepAlive::parse(payload).unwrap();
        let (hello, proof) = (hello.unwrap(), proof.unwrap());
        assert_eq!(hello.radio, RADIO);
        assert!(proof.is_right(&TunnelKey::new(KEY), &session_id, &hello), "the proof is right");
        let Some(counters) = self.alive.get_mut(&to) else { return };
        let last = counters.insert(session_id.0, proof.counter);
        assert!(last.is_none_or(|last| last < proof.counter), "its counter increases");
        let echo = KeepAlive { session_id, hello: None, proof: None }.datagram();
        self.agent.datagram(to, &echo, self.now);
    }

    pub fn hear_at(&mut self, frame: &[u8], rssi: i8) {
        self.agent.frame(frame, FrameInfo { rssi, snr: 30, rate: 60 }, self.now);
        self.pump();
    }

    pub fn hear(&mut self, frame: &[u8]) {
        self.hear_at(frame, -55);
    }

    pub fn down(&mut self, from: SocketAddr, frame: &[u8]) {
        for part in fragment(Header::DATA, frame, 1472, 5).unwrap() {
            self.agent.datagram(from, &part.datagram(), self.now);
        }
        self.pump();
    }

    /// A device authenticates and associates at a slot whose gateway answers.
    pub fn associate(&mut self, slot: usize, device: MacAddr) {
        self.associate_with(slot, device, &[]);
    }

    /// With these elements in its association request.
    pub fn associate_with(&mut self, slot: usize, device: MacAddr, elements: &[u8]) {
        self.hear(&authentication(slot, device));
        self.run(milliseconds(1));
        let from = self.tunnel(slot);
        let accepted = AssociationResponse {
            capabilities: CapabilityInfo::ESS,
            status: StatusCode::SUCCESS,
            aid: 1,
            elements: Elements::new(&[]),
        };
        let request = AssociationRequest {
            capabilities: CapabilityInfo::ESS,
            listen_interval: 7,
            elements: Elements::new(elements),
        };
        self.hear(&to_slot(slot, ManagementSubtype::AssociationRequest, device, &request.to_vec()));
        let subtype = ManagementSubtype::AssociationResponse;
        self.down(from, &build::management(subtype, device, bssid(slot), bssid(slot), &accepted.to_vec()));
    }

    /// The gateway that the last keep-alive of a slot went to.
    pub fn tunnel(&self, slot: usize) -> SocketAddr {
        self.keep_alives(slot).last().expect("a tunnel").1
    }

    /// Keep-alives of a slot: when, where to, and the session.
    pub fn keep_alives(&self, slot: usize) -> Vec<(Duration, SocketAddr, SessionId)> {
        let mut found = Vec::new();
        for (when, output) in &self.log {
            let Output::Send { to, datagram } = output else { continue };
            let (header, payload) = DataHeader::parse(datagram).unwrap();
            if header.keep_alive() {
                let keep_alive = KeepAlive::parse(payload).unwrap();
                if keep_alive.hello.unwrap().bssid == bssid(slot) {
                    found.push((*when, *to, keep_alive.session_id));
                }
            }
        }
        found
    }

    /// Services that are on the air, by slot.
    pub fn shown(&self) -> Vec<Option<u8>> {
        (0..2).map(|slot| self.agent.template(slot).map(|_| self.service_at(slot))).collect()
    }

    pub fn is_shown(&self, number: u8) -> bool {
        self.shown().contains(&Some(number))
    }

    fn service_at(&self, slot: usize) -> u8 {
        let ssid = *self.agent.template(slot).unwrap().ssid();
        ssid.as_bytes().last().unwrap() - b'0'
    }

    pub fn look_ups(&self) -> Vec<(Duration, messages::LookUp)> {
        let of = |(when, request): &(Duration, Request)| match request {
            Request::LookUp(look_up) => Some((*when, look_up.clone())),
            _ => None,
        };
        self.questions.iter().filter_map(of).collect()
    }

    pub fn connects(&self) -> Vec<messages::Connect> {
        let of = |(_, request): &(Duration, Request)| match request {
            Request::Connect(connect) => Some(connect.clone()),
            _ => None,
        };
        self.questions.iter().filter_map(of).collect()
    }

    /// What devices used, as reported.
    pub fn reports(&self) -> Vec<messages::Accounting> {
        let of = |(_, request): &(Duration, Request)| match request {
            Request::Accounting(report) => Some(report.clone()),
            _ => None,
        };
        self.questions.iter().filter_map(of).collect()
    }

    /// When and which slots opened and closed.
    pub fn air(&self) -> Vec<(Duration, char, usize)> {
        let of = |(when, output): &(Duration, Output)| match output {
            Output::Open { bss } => Some((*when, 'o', *bss)),
            Output::Close { bss } => Some((*when, 'c', *bss)),
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }

    /// When beacons changed, of which slot.
    pub fn updates(&self) -> Vec<(Duration, usize)> {
        let of = |(when, output): &(Duration, Output)| match output {
            Output::Update { bss } => Some((*when, *bss)),
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }

    /// Frames put on the air, of this subtype.
    pub fn injected(&self, subtype: ManagementSubtype) -> Vec<Vec<u8>> {
        let of = |(_, output): &(Duration, Output)| match output {
            Output::Inject { frame }
                if Frame::parse(frame).unwrap().kind() == FrameKind::Management(subtype) =>
            {
                Some(frame.clone())
            }
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }
}

pub fn probe_request(from: MacAddr, ssid: &[u8]) -> Vec<u8> {
    let elements = ElementsBuilder::new().element(ElementId::SSID, ssid);
    let all = MacAddr::BROADCAST;
    build::management(ManagementSubtype::ProbeRequest, all, from, all, &elements.build())
}

/// From a device that can do 5 GHz.
pub fn dual_band_probe_request(from: MacAddr) -> Vec<u8> {
    let elements = ElementsBuilder::new()
        .element(ElementId::SSID, &[])
        .element(ElementId::SUPPORTED_OPERATING_CLASSES, &[81, 81, 115, 118]);
    let all = MacAddr::BROADCAST;
    build::management(ManagementSubtype::ProbeRequest, all, from, all, &elements.build())
}

pub fn to_slot(slot: usize, subtype: ManagementSubtype, from: MacAddr, body: &[u8]) -> Vec<u8> {
    build::management(subtype, bssid(slot), from, bssid(slot), body)
}

pub fn authentication(slot: usize, from: MacAddr) -> Vec<u8> {
    let authentication = Authentication {
        algorithm: AuthenticationAlgorithm::OPEN,
        transaction: 1,
        status: StatusCode::SUCCESS,
        elements: Elements::new(&[]),
    };
    to_slot(slot, ManagementSubtype::Authentication, from, &authentication.to_vec())
}

pub fn data(slot: usize, from: MacAddr) -> Vec<u8> {
    build::DataHeader::to_ap(bssid(slot), MacAddr([2; 6]), from, None).frame(&[0x5a; 40])
}

/// A beacon of somebody else's access point.
pub fn beacon(from: MacAddr, ssid: &[u8]) -> Vec<u8> {
    let elements = ElementsBuilder::new().element(ElementId::SSID, ssid);
    let body = Beacon {
        timestamp: 1,
        interval: 100,
        capabilities: CapabilityInfo::ESS,
        elements: elements.as_elements(),
    };
    build::management(ManagementSubtype::Beacon, MacAddr::BROADCAST, from, from, &body.to_vec())
}

impl World {
    /// When something was last reported.
    pub fn log_time(&self, event: Event) -> Duration {
        let output = Output::Report(event);
        self.log.iter().rfind(|(_, logged)| *logged == output).expect("it is reported").0
    }
}
