//! A simulated device and a station of ours on virtual time, with a gateway between them and air that does its worst.
//!
//! What must hold at every moment is asserted here, in the gateway that carries out the outputs:
//! a key is never installed twice; the port opens only under a key that the device has, too; replay counters only go up;
//! a session starts and stops once, and there is one exactly while the port has been opened.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use authenticator::{
    Accept, Bss, BssOutput, Entropy, Environment, FailureTable, GroupKey, Input, Msk, Output, PmkCache,
    RadiusResult, Service, SessionId, State, Station, TerminateCause, Time,
};
use dot11::ccmp::{self, Pn};
use dot11::eap::{self, Code, Eap, EapType};
use dot11::eapol::key::KeyFrame;
use dot11::eapol::{self, EapolFrame, PacketType};
use dot11::element::{ElementId, Elements, ElementsBuilder, Ssid, SupportedRates, Wmm};
use dot11::frame::management::Beacon;
use dot11::rsn::Tk;
use dot11::{
    CapabilityInfo, Frame, FrameKind, MacAddr, ManagementSubtype, QosControl, ReasonCode, SequenceControl,
    build, llc,
};
use station::data::{Shape, eapol_frame};
use station::{Command, Device, DeviceConfig, Event, Profile};

use super::{BSSID, Draw, MAC};

/// How long the gateway accepts frames under a key that was replaced.
const ACCEPT_OLD: Duration = Duration::from_millis(500);
/// How long it holds traffic back for a key to be replaced.
const HOLD: Duration = Duration::from_secs(2);
/// How often the device sends something when it is online.
const TRAFFIC: Duration = Duration::from_millis(500);
/// Somebody on the network behind the gateway.
const SERVER: MacAddr = MacAddr([0x02, 0xee, 0, 0, 0, 1]);

/// What becomes of frames, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub loss: u8,
    pub duplication: u8,
    /// Of being held up for up to 300 ms.
    pub reordering: u8,
    /// Of one bit flipped.
    pub corruption: u8,
}

/// What becomes of one frame in particular, counted over both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Twice,
    Late(Duration),
    /// With this bit flipped.
    Corrupted(usize),
    /// Sent once more, so much later.
    Replayed(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// The gateway as far as this device is concerned.
#[derive(Default)]
struct Gateway {
    known: bool,
    qos: bool,
    protect: bool,
    port_open: bool,
    tk: Option<Tk>,
    old: Option<(Tk, Time)>,
    sent: Pn,
    received: BTreeMap<(bool, u8), Pn>,
    hold: Option<Time>,
    sequence: u16,
    /// What control left with it.
    blob: Option<Vec<u8>>,
}

pub struct World {
    pub now: Time,
    service: Arc<Service>,
    pub station: Station,
    pub bss: Bss,
    pub failures: FailureTable,
    pmks: PmkCache,
    entropy: Draw,
    pub device: Device,
    gateway: Gateway,
    bss_blob: Vec<u8>,
    air: BTreeMap<(Time, u64), (Direction, Vec<u8>)>,
    radius: BTreeMap<(Time, u64), (u32, RadiusResult)>,
    /// What the RADIUS server hands out.
    pub msk: Option<[u8; 64]>,
    serial: u64,
    chance: Draw,
    pub faults: Faults,
    /// The fate of the frame of this number.
    pub fate: Option<(usize, Fate)>,
    /// Every frame that was sent, for replaying.
    sent: Vec<(Direction, Vec<u8>)>,
    next_traffic: Time,
    // What was seen.
    installed: HashSet<[u8; 16]>,
    device_keys: HashSet<[u8; 16]>,
    last_counter: u64,
    session: Option<SessionId>,
    pub log: VecDeque<String>,
    pub sessions: usize,
    pub opened: usize,
    pub failed: usize,
    pub up: usize,
    pub down: usize,
    pub rekeyed: usize,
    pub group_rekeyed: usize,
}

impl World {
    pub fn new(service: Service, profile: Profile, seed: u64) -> World {
        service.check().expect("a sound service");
        let service = Arc::new(service);
        let now = Time(1_700_000_000_000_000);
        let mut entropy = Draw(seed);
        let bss = Bss::new(service.clone(), BSSID, now, &mut entropy);
        let mut device_seed = [0; 16];
        entropy.fill(&mut device_seed);
        let profile = Profile { reconnect: Some(Duration::from_secs(1)), ..profile };
        let mut world = World {
            now,
            station: Station::new(service.clone(), BSSID, MAC),
            bss_blob: bss.snapshot(),
            bss,
            failures: FailureTable::new(service.limits.clone()),
            pmks: PmkCache::new(10),
            service,
            entropy,
            device: Device::new(DeviceConfig::new(MAC, Arc::new(profile)), device_seed),
            gateway: Gateway::default(),
            air: BTreeMap::new(),
            radius: BTreeMap::new(),
            msk: None,
            serial: 0,
            chance: Draw(!seed),
            faults: Faults::default(),
            fate: None,
            sent: Vec::new(),
            next_traffic: now,
            installed: HashSet::new(),
            device_keys: HashSet::new(),
            last_counter: 0,
            session: None,
            log: VecDeque::new(),
            sessions: 0,
            opened: 0,
            failed: 0,
            up: 0,
            down: 0,
            rekeyed: 0,
            group_rekeyed: 0,
        };
        world.drain();
        world
    }

    /// Both sides believe that data can flow.
    pub fn is_online(&self) -> bool {
        self.station.state() == State::Online && self.device.is_online()
    }

    /// Frames sent so far, over both directions.
    pub fn frames(&self) -> usize {
        self.sent.len()
    }

    pub fn command(&mut self, command: Command) {
        let mut out = Vec::new();
        self.device.command(self.device_now(), command, &mut out);
        self.device_out(out);
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

    pub fn rekey_group(&mut self) {
        self.bss.request_rekey(self.now, &mut self.entropy);
        self.drain();
    }

    /// The gateway forgets the device without a word, as when its tunnel goes down.
    pub fn lose_gateway(&mut self) {
        self.gateway = Gateway::default();
        self.input(Input::Removed { cause: TerminateCause::LostCarrier });
    }

    /// Control is killed and comes back with what the gateway kept for it.
    pub fn restart(&mut self) {
        self.note("control restarts");
        self.now = self.now + Duration::from_millis(1);
        self.radius.clear();
        self.bss =
            Bss::restore(self.service.clone(), BSSID, &self.bss_blob, self.now).expect("the BSS's snapshot");
        self.failures = FailureTable::new(self.service.limits.clone());
        self.pmks = PmkCache::new(10);
        let fresh = Station::new(self.service.clone(), BSSID, MAC);
        self.station = match &self.gateway.blob {
            None => {
                self.last_counter = 0;
                fresh
            }
            Some(blob) => {
                let service = self.service.clone();
                let restored = Station::restore(service, BSSID, MAC, blob, self.now, &mut self.bss);
                restored.expect("the station's snapshot")
            }
        };
        self.drain();
    }

    /// Sends a frame once more that was sent before: the `index`th, modulo their number. Changed, if a bit is given.
    pub fn replay(&mut self, index: usize, bit: Option<usize>) {
        if self.sent.is_empty() {
            return;
        }
        let (direction, mut frame) = self.sent[index % self.sent.len()].clone();
        if let Some(bit) = bit {
            flip(&mut frame, bit);
        }
        self.serial += 1;
        self.air.insert((self.now + Duration::from_millis(1), self.serial), (direction, frame));
    }

    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run(end, |_| false);
    }

    /// Runs until `done`, at most so long. True if it was.
    pub fn run_until(&mut self, limit: Duration, done: impl FnMut(&World) -> bool) -> bool {
        self.run(self.now + limit, done)
    }

    fn run(&mut self, end: Time, mut done: impl FnMut(&World) -> bool) -> bool {
        let mut events = 0;
        loop {
            if done(self) {
                return true;
            }
            let device = self.device.next_timeout().map(|at| Time(at.as_micros()));
            let due = [
                self.air.keys().next().map(|key| key.0),
                self.radius.keys().next().map(|key| key.0),
                device,
                self.station.next_timeout(),
                self.bss.next_timeout(),
                Some(self.next_traffic),
            ];
            let next = due.into_iter().flatten().min().expect("there is always traffic to come");
            if next > end {
                self.now = end;
                return done(self);
            }
            events += 1;
            assert!(events < 200_000, "time stands still");
            self.now = self.now.max(next);
            self.step(device);
        }
    }

    /// Does one thing that is due.
    fn step(&mut self, device: Option<Time>) {
        if let Some((_, (direction, frame))) = take_due(&mut self.air, self.now) {
            match direction {
                Direction::Up => self.heard(&frame),
                Direction::Down => self.device_heard(&frame),
            }
        } else if let Some((_, (request, result))) = take_due(&mut self.radius, self.now) {
            self.input(Input::Radius { request, result });
        } else if device.is_some_and(|at| at <= self.now) {
            let mut out = Vec::new();
            self.device.timeout(self.device_now(), &mut out);
            self.device_out(out);
        } else if self.next_traffic <= self.now {
            self.next_traffic = self.now + TRAFFIC;
            self.traffic();
        } else {
            self.bss.handle_timeout(self.now, &mut self.entropy);
            self.drain();
            self.input(Input::Timeout);
        }
    }

    /// Something in each direction.
    fn traffic(&mut self) {
        let up = [&SERVER.0[..], &MAC.0, &[0x88, 0xb5], b"up"].concat();
        self.command(Command::Send { ethernet: up, tid: 0, shape: Shape::Whole });
        let gateway = &mut self.gateway;
        if gateway.hold.is_some_and(|until| until <= self.now) {
            gateway.hold = None;
        }
        if gateway.known && gateway.port_open && gateway.hold.is_none() {
            let down = [&MAC.0[..], &SERVER.0, &[0x88, 0xb5], b"down"].concat();
            let protect = gateway.protect;
            let frame = self.data_frame(&down, protect);
            self.send(Direction::Down, frame);
        }
    }

    // ------------------------------------------------------------ the device

    fn device_now(&self) -> station::Time {
        station::Time::from_micros(self.now.0)
    }

    fn device_heard(&mut self, frame: &[u8]) {
        self.answer_eap(frame);
        let mut out = Vec::new();
        self.device.receive(self.device_now(), frame, Some(-50), &mut out);
        self.device_out(out);
    }

    fn device_out(&mut self, outputs: Vec<station::Output>) {
        if let Some(ptk) = self.device.supplicant().and_then(|supplicant| supplicant.ptk()) {
            self.device_keys.insert(*ptk.tk.as_bytes());
        }
        for output in outputs {
            match output {
                station::Output::Frame(frame) => self.send(Direction::Up, frame),
                station::Output::Event(Event::Ethernet(_)) => self.down += 1,
                station::Output::Event(Event::Rekeyed) => self.rekeyed += 1,
                station::Output::Event(Event::GroupRekeyed) => self.group_rekeyed += 1,
                station::Output::Event(event) => self.note(&format!("device: {event:?}")),
            }
        }
    }

    /// Plays the EAP peer in the device's stead; it was given the PMK that comes of it.
    fn answer_eap(&mut self, frame: &[u8]) {
        let Ok(view) = Frame::parse(frame) else { return };
        if !view.control().is_data() || view.control().protected() || view.addr1() != MAC {
            return;
        }
        let Some((llc::EtherType(0x888e), pdu)) = llc::parse(view.body()) else { return };
        let Ok(EapolFrame { packet_type: PacketType::EapPacket, body, .. }) = EapolFrame::parse(pdu) else {
            return;
        };
        let Ok(request) = Eap::parse(body) else { return };
        if self.device.association().is_none() || request.code != Code::Request {
            return;
        }
        let data: &[u8] = if request.eap_type == Some(EapType::IDENTITY) { b"alice" } else { b"42" };
        let response = eap::packet(Code::Response, request.id, request.eap_type, data);
        let ethernet = eapol_frame(BSSID, MAC, &eapol::build(PacketType::EapPacket, &response));
        let (kind, payload) = (llc::EtherType(0x888e), &ethernet[14..]);
        let frame = build::DataHeader::to_ap(BSSID, BSSID, MAC, None).frame(&llc::msdu(kind, payload));
        self.send(Direction::Up, frame);
    }

    // ------------------------------------------------------------ radio and gateway

    /// The radio heard a frame: it answers probes itself, and the gateway gets the rest.
    fn heard(&mut self, bytes: &[u8]) {
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

    fn data_heard(&mut self, frame: &Frame<'_>) {
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
    fn open(&mut self, frame: &Frame<'_>) -> Option<Vec<u8>> {
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

    fn data_frame(&mut self, ethernet: &[u8], protect: bool) -> Vec<u8> {
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

    fn probe_response(&self) -> Vec<u8> {
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
    fn drain(&mut self) {
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

    fn carry_out(&mut self, output: Output) {
        if let Some(kind) = super::kind(&output) {
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

    /// A RADIUS server with one round of challenge. Requests and answers are lost like frames.
    fn ask_radius(&mut self, request: u32, eap: &[u8]) {
        let response = Eap::parse(eap).expect("an EAP packet");
        let lost = self.percent(self.faults.loss);
        let result = match self.msk {
            _ if lost => RadiusResult::TimedOut,
            None => RadiusResult::Reject { eap: Vec::new(), reply_message: None },
            Some(_) if response.eap_type == Some(EapType::IDENTITY) => {
                let id = response.id.wrapping_add(1);
                let eap = eap::packet(Code::Request, id, Some(EapType::MD5_CHALLENGE), b"6*7");
                RadiusResult::Challenge { eap, state: Some(vec![1]), timeout: None }
            }
            Some(msk) => RadiusResult::Accept(Box::new(Accept {
                eap: eap::success(response.id).to_vec(),
                msk: Msk(msk.to_vec()),
                ..Accept::default()
            })),
        };
        self.serial += 1;
        self.radius.insert((self.now + Duration::from_millis(20), self.serial), (request, result));
    }

    // ------------------------------------------------------------ the air

    fn send(&mut self, direction: Direction, frame: Vec<u8>) {
        let number = self.sent.len();
        self.sent.push((direction, frame.clone()));
        let hop = Duration::from_millis(2);
        let mut copies = vec![(hop, frame)];
        if let Some((chosen, fate)) = self.fate
            && chosen == number
        {
            let (_, frame) = copies[0].clone();
            match fate {
                Fate::Lost => copies.clear(),
                Fate::Twice => copies.push((hop, frame)),
                Fate::Late(delay) => copies[0].0 = delay,
                Fate::Corrupted(bit) => flip(&mut copies[0].1, bit),
                Fate::Replayed(delay) => copies.push((delay, frame)),
            }
        }
        if self.percent(self.faults.loss) {
            copies.clear();
        }
        if self.percent(self.faults.duplication) {
            copies.extend(copies.clone());
        }
        for (delay, mut frame) in copies {
            let mut at = self.now + delay;
            if self.percent(self.faults.reordering) {
                at = at + Duration::from_micros(self.random() % 300_000);
            }
            if self.percent(self.faults.corruption) {
                let bit = self.random() as usize;
                flip(&mut frame, bit);
            }
            self.serial += 1;
            self.air.insert((at, self.serial), (direction, frame));
        }
    }

    fn percent(&mut self, percent: u8) -> bool {
        percent > 0 && self.random() % 100 < u64::from(percent)
    }

    fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn note(&mut self, what: &str) {
        if self.log.len() == 400 {
            self.log.pop_front();
        }
        let millis = self.now.0 / 1000 % 100_000_000;
        self.log.push_back(format!("{millis:>9} ms  {what}"));
    }
}

impl Drop for World {
    /// A failed test shows what led to it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.log.iter().for_each(|line| println!("{line}"));
        }
    }
}

pub fn leave() -> Command {
    Command::Disconnect(ReasonCode::LEAVING_NETWORK_DEAUTH)
}

fn take_due<T>(queue: &mut BTreeMap<(Time, u64), T>, now: Time) -> Option<((Time, u64), T)> {
    let entry = queue.first_entry()?;
    (entry.key().0 <= now).then(|| entry.remove_entry())
}

fn flip(frame: &mut [u8], bit: usize) {
    let bit = bit % (frame.len() * 8);
    frame[bit / 8] ^= 1 << (bit % 8);
}
