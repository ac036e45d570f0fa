//! What the agent decides, without a clock, a socket or a radio: octets and the time come in, [`Output`]s go out.
//!
//! It keeps a tunnel per virtual BSS alive, opens and closes the BSS with it, passes frames between the two as they
//! are, answers probe requests, and learns from what passes which devices the radio has to know.

mod bss;
mod template;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use dot11::frame::management::{AssociationRequest, AssociationResponse, ProbeRequest, ReassociationRequest};
use dot11::{
    Frame, FrameKind, MacAddr, ManagementSubtype, ReasonCode, build, element::ElementId, element::Ssid,
};
use proto::tunnel::{
    DataHeader, FrameInfo, Header, Hello, KeepAlive, Limits, Reassembler, ServiceUuid, SessionId, fragment,
    max_datagram,
};

use crate::config::Config;
use bss::{Bss, Due, Tunnel};

pub use bss::{KEEP_ALIVE, MAX_STATIONS, RETRY, UNANSWERED};
pub use template::Template;

/// What is to be done. BSSes are numbered in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Look up the gateway of this BSS; answer with [`Agent::resolved`] when it is known.
    LookUp {
        /// Which.
        bss: usize,
    },
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// UDP payload.
        datagram: Vec<u8>,
    },
    /// Begin to beacon and to acknowledge.
    Open {
        /// Which.
        bss: usize,
    },
    /// End that.
    Close {
        /// Which.
        bss: usize,
    },
    /// Transmit a frame exactly as it is.
    Inject {
        /// Without FCS.
        frame: Vec<u8>,
    },
    /// Make the radio know a device, so that it buffers frames while the device sleeps.
    AddStation {
        /// In which BSS.
        bss: usize,
        /// The device.
        station: Station,
    },
    /// Make the radio forget a device.
    RemoveStation {
        /// In which BSS.
        bss: usize,
        /// The device.
        address: MacAddr,
    },
    /// Something an operator may want to read.
    Report(Event),
}

/// A device that is associated, as its association request said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// MAC address.
    pub address: MacAddr,
    /// Association identifier, 1 to 2007.
    pub aid: u16,
    /// In beacon intervals.
    pub listen_interval: u16,
    /// In units of 500 kbit/s, bit 7 marking basic rates; never empty.
    pub rates: Vec<u8>,
    /// It does QoS.
    pub wmm: bool,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the Display form says what they mean")]
pub enum Event {
    Asking { bssid: MacAddr, gateway: SocketAddr },
    Opened { bssid: MacAddr, gateway: SocketAddr },
    GatewayGone { bssid: MacAddr, gateway: SocketAddr },
    Associated { bssid: MacAddr, station: MacAddr, aid: u16 },
    Departed { bssid: MacAddr, station: MacAddr },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Asking { bssid, gateway } => write!(f, "bss {bssid}: asking gateway {gateway}"),
            Event::Opened { bssid, gateway } => write!(f, "bss {bssid}: gateway {gateway} answers, opening"),
            Event::GatewayGone { bssid, gateway } => {
                write!(f, "bss {bssid}: gateway {gateway} is gone, closing")
            }
            Event::Associated { bssid, station, aid } => {
                write!(f, "bss {bssid}: {station} associated, aid {aid}")
            }
            Event::Departed { bssid, station } => write!(f, "bss {bssid}: {station} left"),
        }
    }
}

/// What passed and what was thrown away, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames passed to a gateway.
    pub up: u64,
    /// Frames passed to the air.
    pub down: u64,
    /// Probe requests answered.
    pub probes: u64,
    /// Frames heard that are none of ours.
    pub not_ours: u64,
    /// Frames heard for a BSS that is closed.
    pub closed: u64,
    /// Octets heard that are no 802.11 frame.
    pub bad_frame: u64,
    /// Datagrams that are no CAPWAP data packets, or none that a gateway sends.
    pub bad_datagram: u64,
    /// Frames or keep-alives of somebody who is not the gateway of that BSS, or not now.
    pub stranger: u64,
    /// Fragments of datagrams thrown away.
    pub bad_fragment: u64,
    /// Frames too long for the tunnel.
    pub too_long: u64,
}

/// The agent's state.
#[derive(Debug)]
pub struct Agent {
    radio: MacAddr,
    mtu: usize,
    bsses: Vec<Bss>,
    services: Vec<ServiceUuid>,
    reassembler: Reassembler<SocketAddr>,
    fragment_id: u16,
    /// Association requests that have not been answered yet, the oldest first.
    requests: VecDeque<(usize, Station)>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Agent {
    /// An agent of which all BSSes are closed. `radio` is the radio's permanent address.
    pub fn new(config: &Config, radio: MacAddr) -> Agent {
        let template = |bss| Bss::new(Template::new(bss, config.channel));
        Agent {
            radio,
            mtu: config.mtu,
            bsses: config.bsses.iter().map(template).collect(),
            services: config.bsses.iter().map(|bss| bss.service).collect(),
            reassembler: Reassembler::new(Limits {
                entries: 32,
                octets: 64 << 10,
                age: Duration::from_secs(1),
            }),
            fragment_id: 0,
            requests: VecDeque::new(),
            outputs: (0..config.bsses.len()).map(|bss| Output::LookUp { bss }).collect(),
            counters: Counters::default(),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Agent::timeout`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.bsses.iter().filter_map(Bss::deadline).min()
    }

    /// What the BSS says of itself.
    pub fn template(&self, bss: usize) -> &Template {
        &self.bsses[bss].template
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What happened to fragments of datagrams so far.
    pub fn fragment_counters(&self) -> proto::tunnel::Counters {
        self.reassembler.counters()
    }

    /// The gateway of `bss` is at `address`.
    pub fn resolved(&mut self, bss: usize, address: SocketAddr, now: Duration) {
        let Some(entry) = self.bsses.get_mut(bss) else { return };
        let before = entry.tunnel;
        entry.resolved(address, now);
        if entry.tunnel != before {
            let bssid = entry.template.bssid();
            self.outputs.push_back(Output::Report(Event::Asking { bssid, gateway: address }));
        }
    }

    /// The radio could not open `bss`: it is closed, and asked for again later.
    pub fn open_failed(&mut self, bss: usize, now: Duration) {
        let Some(entry) = self.bsses.get_mut(bss) else { return };
        if let Some(gateway) = entry.open() {
            entry.clear();
            entry.ask(gateway, now + KEEP_ALIVE);
        }
    }

    /// Does what the time demands. `draw` gives 16 random octets.
    pub fn timeout(&mut self, now: Duration, draw: &mut dyn FnMut() -> SessionId) {
        self.reassembler.expire(now);
        for bss in 0..self.bsses.len() {
            match self.bsses[bss].timeout(now, draw) {
                Due::Nothing => {}
                Due::KeepAlive(gateway, session) => self.keep_alive(bss, gateway, session),
                Due::LookUp(gateway, session) => {
                    self.outputs.push_back(Output::LookUp { bss });
                    self.keep_alive(bss, gateway, session);
                }
                Due::Lost(gateway) => {
                    let bssid = self.bsses[bss].template.bssid();
                    self.outputs.push_back(Output::Report(Event::GatewayGone { bssid, gateway }));
                    self.close(bss);
                }
            }
        }
    }

    /// Closes everything, before the end.
    pub fn shut_down(&mut self) {
        for bss in 0..self.bsses.len() {
            if self.bsses[bss].open().is_some() {
                self.close(bss);
            }
            self.bsses[bss].tunnel = Tunnel::LookingUp;
        }
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        let Ok((header, payload)) = DataHeader::parse(datagram) else {
            self.counters.bad_datagram += 1;
            return;
        };
        if header.keep_alive() {
            match KeepAlive::parse(payload) {
                Ok(KeepAlive { session_id, hello: None, .. }) => self.echo(from, session_id, now),
                _ => self.counters.bad_datagram += 1,
            }
            return;
        }
        if !header.native() {
            self.counters.bad_datagram += 1;
            return;
        }
        if !self.bsses.iter().any(|bss| bss.open() == Some(from)) {
            self.counters.stranger += 1;
            return;
        }
        if header.fragment().is_none() {
            return self.down(from, payload, now);
        }
        let whole = match self.reassembler.push(from, &header, payload, now) {
            Ok(None) => return,
            Ok(Some(whole)) => whole.frame.to_vec(),
            Err(_) => {
                self.counters.bad_fragment += 1;
                return;
            }
        };
        self.down(from, &whole, now);
    }

    /// Takes a frame from the air, without FCS.
    pub fn frame(&mut self, octets: &[u8], info: FrameInfo, now: Duration) {
        let Ok(frame) = Frame::parse(octets) else {
            self.counters.bad_frame += 1;
            return;
        };
        let (FrameKind::Management(_) | FrameKind::Data(_), Some(device)) = (frame.kind(), frame.addr2())
        else {
            self.counters.not_ours += 1;
            return;
        };
        if frame.kind() == FrameKind::Management(ManagementSubtype::ProbeRequest) {
            return self.probe(&frame, device, now);
        }
        let receiver = frame.addr1();
        let Some(bss) = self.bsses.iter().position(|bss| bss.template.bssid() == receiver) else {
            self.counters.not_ours += 1;
            return;
        };
        let Some(gateway) = self.bsses[bss].open() else {
            self.counters.closed += 1;
            return;
        };
        self.bsses[bss].heard(device, now);
        if let FrameKind::Management(subtype) = frame.kind() {
            self.snoop_up(bss, subtype, &frame, device);
        }
        let room = max_datagram(self.mtu, gateway.is_ipv6());
        match fragment(Header::received(info), octets, room, self.fragment_id) {
            Ok(parts) => {
                self.fragment_id = self.fragment_id.wrapping_add(1);
                self.counters.up += 1;
                let send = parts.map(|part| Output::Send { to: gateway, datagram: part.datagram() });
                self.outputs.extend(send);
            }
            Err(_) => self.counters.too_long += 1,
        }
    }

    fn keep_alive(&mut self, bss: usize, gateway: SocketAddr, session_id: SessionId) {
        let bssid = self.bsses[bss].template.bssid();
        let hello = Some(Hello { bssid, radio: self.radio, service: self.services[bss] });
        let datagram = KeepAlive { session_id, hello, proof: None }.datagram();
        self.outputs.push_back(Output::Send { to: gateway, datagram });
    }

    fn echo(&mut self, from: SocketAddr, session: SessionId, now: Duration) {
        for (bss, entry) in self.bsses.iter_mut().enumerate() {
            let Some(opened) = entry.echo(from, session, now) else { continue };
            if opened {
                let bssid = entry.template.bssid();
                self.outputs.push_back(Output::Open { bss });
                self.outputs.push_back(Output::Report(Event::Opened { bssid, gateway: from }));
            }
            return;
        }
        self.counters.stranger += 1;
    }

    /// Devices are told, so that they look for another access point at once.
    fn close(&mut self, bss: usize) {
        let bssid = self.bsses[bss].template.bssid();
        if self.bsses[bss].clear() {
            let reason = ReasonCode::LEAVING_NETWORK_DEAUTH.0.to_le_bytes();
            let subtype = ManagementSubtype::Deauthentication;
            let frame = build::management(subtype, MacAddr::BROADCAST, bssid, bssid, &reason);
            self.outputs.push_back(Output::Inject { frame });
        }
        self.requests.retain(|(of, _)| *of != bss);
        self.outputs.push_back(Output::Close { bss });
    }

    /// Answers a probe request for each open BSS that it asks for (802.11-2020 §11.1.4.3.4).
    fn probe(&mut self, frame: &Frame<'_>, device: MacAddr, now: Duration) {
        let Ok(ProbeRequest { elements }) = ProbeRequest::parse(frame.body()) else {
            self.counters.bad_frame += 1;
            return;
        };
        let (receiver, bssid) = (frame.addr1(), frame.addr3().unwrap_or(MacAddr::BROADCAST));
        let Ok(ssid) = elements.ssid().unwrap_or(Ok(Ssid::WILDCARD)) else { return };
        let channel = elements.find(ElementId::DSSS_PARAMETER_SET).and_then(|body| body.first().copied());
        for bss in &mut self.bsses {
            let own = bss.template.bssid();
            let for_us = |address: MacAddr| address == own || address.is_broadcast();
            let asked = for_us(receiver)
                && for_us(bssid)
                && bss.template.answers(&ssid)
                && channel.is_none_or(|channel| channel == bss.template.channel().number());
            if bss.open().is_none() || !asked || device.is_group() {
                continue;
            }
            let frame = bss.template.probe_response(device, now.as_micros() as u64, bss.sequence);
            bss.sequence = (bss.sequence + 1) & 0xfff;
            self.counters.probes += 1;
            self.outputs.push_back(Output::Inject { frame });
        }
    }

    /// Passes a frame of `gateway` to the air.
    fn down(&mut self, gateway: SocketAddr, octets: &[u8], now: Duration) {
        let Ok(frame) = Frame::parse(octets) else {
            self.counters.bad_frame += 1;
            return;
        };
        if !matches!(frame.kind(), FrameKind::Management(_) | FrameKind::Data(_)) {
            self.counters.bad_datagram += 1;
            return;
        }
        let ours = |bss: &Bss| Some(bss.template.bssid()) == frame.addr2() && bss.open() == Some(gateway);
        let Some(bss) = self.bsses.iter().position(ours) else {
            self.counters.stranger += 1;
            return;
        };
        let left = match frame.kind() {
            FrameKind::Management(subtype) => self.snoop_down(bss, subtype, &frame, now),
            _ => None,
        };
        self.counters.down += 1;
        self.outputs.push_back(Output::Inject { frame: octets.to_vec() });
        // Only now: the radio must still know the device to reach it asleep.
        if let Some(device) = left {
            self.departed(bss, device);
        }
    }

    /// Learns from the association responses of the gateway; gives the device that the frame sends away.
    fn snoop_down(
        &mut self,
        bss: usize,
        subtype: ManagementSubtype,
        frame: &Frame<'_>,
        now: Duration,
    ) -> Option<MacAddr> {
        let device = frame.addr1();
        match subtype {
            ManagementSubtype::AssociationResponse | ManagementSubtype::ReassociationResponse => {
                let response = AssociationResponse::parse(frame.body()).ok()?;
                let asked = self.take_request(bss, device);
                if !response.status.is_success() || device.is_group() {
                    return None;
                }
                let mut station = asked.unwrap_or_else(|| Station {
                    address: device,
                    aid: 0,
                    listen_interval: 10,
                    rates: rates(response.elements.rates()),
                    wmm: response.elements.has_wmm(),
                });
                station.aid = response.aid;
                station.wmm &= response.elements.has_wmm();
                let bssid = self.bsses[bss].template.bssid();
                let event = Event::Associated { bssid, station: device, aid: station.aid };
                self.outputs.extend(self.bsses[bss].associated(bss, station, now));
                self.outputs.push_back(Output::Report(event));
                None
            }
            ManagementSubtype::Deauthentication | ManagementSubtype::Disassociation => Some(device),
            _ => None,
        }
    }

    /// Keeps what association requests say, and learns who leaves.
    fn snoop_up(&mut self, bss: usize, subtype: ManagementSubtype, frame: &Frame<'_>, device: MacAddr) {
        let body = frame.body();
        let asked = match subtype {
            ManagementSubtype::AssociationRequest => {
                AssociationRequest::parse(body).ok().map(|asked| (asked.listen_interval, asked.elements))
            }
            ManagementSubtype::ReassociationRequest => {
                ReassociationRequest::parse(body).ok().map(|asked| (asked.listen_interval, asked.elements))
            }
            ManagementSubtype::Deauthentication | ManagementSubtype::Disassociation => {
                return self.departed(bss, device);
            }
            _ => None,
        };
        let Some((listen_interval, elements)) = asked else { return };
        self.take_request(bss, device);
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
        }
        let (rates, wmm) = (rates(elements.rates()), elements.has_wmm());
        self.requests.push_back((bss, Station { address: device, aid: 0, listen_interval, rates, wmm }));
    }

    fn departed(&mut self, bss: usize, address: MacAddr) {
        if self.bsses[bss].gone(address) {
            let bssid = self.bsses[bss].template.bssid();
            self.outputs.push_back(Output::RemoveStation { bss, address });
            self.outputs.push_back(Output::Report(Event::Departed { bssid, station: address }));
        }
    }

    fn take_request(&mut self, bss: usize, device: MacAddr) -> Option<Station> {
        let at = self.requests.iter().position(|(of, station)| *of == bss && station.address == device)?;
        self.requests.remove(at).map(|(_, station)| station)
    }
}

/// Association requests remembered until their answer comes.
const MAX_REQUESTS: usize = 32;

/// Supported rates as nl80211 takes them: at most 32, at least one.
fn rates(rates: dot11::element::SupportedRates) -> Vec<u8> {
    let mut rates: Vec<u8> = rates.0.iter().take(32).map(|rate| rate.0).collect();
    if rates.is_empty() {
        rates.push(0x8c);
    }
    rates
}
