//! What the agent decides, without a clock, a socket or a radio: octets and the time come in, [`Output`]s go out.
//!
//! It keeps a tunnel per virtual BSS alive, opens and closes the BSS with it, passes frames between the two as they
//! are, answers probe requests, and learns from what passes which devices the radio has to know.
//!
//! With matchmaking it notes who is near (`near`), asks what to show them (`matchmaking`), keeps what is offered (`offers`),
//! decides what is on the air (`visible`, in a `slot`) and that it is as offered (`renew`), and brings devices that begin to their gateway (`introduced`, by a
//! `link`).

mod bss;
mod capacity;
mod introduced;
mod link;
mod matchmaking;
mod near;
mod networks;
mod offers;
mod passing;
mod renew;
mod report;
mod reports;
mod slot;
mod stations;
mod template;
mod usage;
mod visible;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dot11::{Frame, FrameKind, MacAddr, ManagementSubtype, ReasonCode, build};
use proto::matchmaking::messages::request::Request;
use proto::tunnel::{
    DataHeader, FrameInfo, Header, Hello, KeepAlive, Limits, Punch, Reassembler, ServiceUuid, SessionId,
    fragment, max_datagram,
};

use crate::config::{Channel, Config};
use bss::{Bss, Due, Tunnel};
use capacity::Capacity;
use matchmaking::Matchmaker;
use near::Near;
use networks::Networks;
use offers::Offers;
use slot::Slot;
use stations::Stations;

pub use bss::{ASK_AGAIN, WITHOUT_DEVICES};
pub use capacity::{Link, Measured, rate_of_signal, spare_kbps};
pub use link::{KEEP_ALIVE, RETRY, UNANSWERED};
pub use near::{MAX_NEAR, NEAR_FOR};
pub use offers::{MAX_CLAIMS, MAX_SERVICES};
pub use renew::{CHANGE_AGAIN, CHANGE_AGAIN_WITH_DEVICES};
pub use report::{Counters, Event, Why};
pub use slot::{MAX_CLIENTS, MAX_SLOTS, TUNNEL_IDLE, bssids};
pub use stations::{MAX_STATIONS, SILENCE};
pub use template::Template;

/// A BSS of the configuration that the radio could not open is tried again after this.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// What is to be done. BSSes are numbered: first those of the configuration, in its order, then those that are there for
/// whichever service is needed, in the order of [`bssids`].
#[derive(Debug, Clone, PartialEq)]
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
    /// Ask the matchmaker; give the answer to [`Agent::answered`].
    Ask {
        /// Names the question.
        ask: u32,
        /// The question.
        request: Request,
    },
    /// Begin to beacon and to acknowledge.
    Open {
        /// Which.
        bss: usize,
    },
    /// Change beacon and probe responses of a BSS that is open. The radio may refuse: [`Agent::update_failed`].
    Update {
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
    /// Its management frames are protected.
    pub mfp: bool,
}

/// The agent's state.
#[derive(Debug)]
pub struct Agent {
    radio: MacAddr,
    mtu: usize,
    channel: Channel,
    /// Of the configuration.
    bsses: Vec<Bss>,
    services: Vec<ServiceUuid>,
    /// For whichever service is needed.
    slots: Vec<Slot>,
    /// Without one, nothing is near and nothing is offered.
    matchmaker: Option<Matchmaker>,
    near: Near,
    networks: Networks,
    offers: Offers,
    capacity: Capacity,
    evaluated: Duration,
    evaluate_next: Option<Duration>,
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
        let bssids = slot_bssids(config, radio);
        let backhaul = config.matchmaking.as_ref();
        Agent {
            radio,
            mtu: config.mtu,
            channel: config.channel,
            bsses: config.bsses.iter().map(template).collect(),
            slots: bssids.into_iter().map(Slot::new).collect(),
            matchmaker: backhaul.map(Matchmaker::new),
            near: Near::default(),
            networks: Networks::default(),
            offers: Offers::default(),
            capacity: Capacity::new(
                backhaul.and_then(|config| config.up_kbps),
                backhaul.and_then(|config| config.down_kbps),
            ),
            evaluated: Duration::ZERO,
            evaluate_next: None,
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
        let fixed = self.bsses.iter().filter_map(Bss::deadline);
        fixed.chain(self.matchmaking_deadline()).chain(self.visible_deadline()).min()
    }

    /// What the BSS says of itself; `None` if it is one that shows nothing.
    pub fn template(&self, bss: usize) -> Option<&Template> {
        match self.bsses.get(bss) {
            Some(fixed) => Some(&fixed.template),
            None => self.slots.get(bss - self.bsses.len())?.shown.as_ref().map(|shown| &shown.template),
        }
    }

    /// What the interfaces count.
    pub fn measured(&mut self, measured: Measured, now: Duration) {
        self.capacity.measured(measured, now);
    }

    /// How many devices are remembered as near.
    pub fn near(&self) -> usize {
        self.near.iter().count()
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
        let Some(entry) = self.bsses.get_mut(bss) else {
            return self.slot_failed(bss - self.bsses.len(), now);
        };
        if let Some(gateway) = entry.open() {
            entry.clear();
            entry.ask(gateway, now + OPEN_AGAIN);
        }
    }

    /// Does what the time demands. `draw` gives 16 random octets.
    pub fn timeout(&mut self, now: Duration, draw: &mut dyn FnMut() -> SessionId) {
        self.reassembler.expire(now);
        self.departures(now);
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
        if self.matchmaker.is_some() {
            self.slot_links(now);
            self.evaluate(now);
            self.ask_matchmaker(now, draw);
        }
    }

    /// Closes everything, before the end.
    pub fn shut_down(&mut self, now: Duration) {
        for slot in 0..self.slots.len() {
            self.close_slot(slot, Why::End, now);
        }
        self.unregister();
        self.matchmaker = None;
        self.evaluate_next = None;
        for bss in 0..self.bsses.len() {
            if self.bsses[bss].open().is_some() {
                self.close(bss);
            }
            self.bsses[bss].tunnel = Tunnel::LookingUp;
        }
    }

    /// A datagram to a gateway came back, because nobody has that port. `quoted`: its beginning.
    pub fn refused(&mut self, to: SocketAddr, quoted: &[u8], now: Duration) {
        self.counters.datagrams_refused += 1;
        let shown = self.slots.iter_mut().filter_map(|slot| slot.shown.as_mut());
        for link in shown.filter_map(|shown| shown.link.as_mut()) {
            link.refused(to, quoted, now);
        }
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if let Some(punch) = Punch::parse(datagram) {
            return self.slot_punch(from, &punch);
        }
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
        let fixed = self.bsses.iter().map(Bss::open);
        if !fixed.chain(self.slots.iter().map(Slot::gateway)).any(|gateway| gateway == Some(from)) {
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
        if self.matchmaker.is_some() {
            self.hear(&frame, device, info, now);
        }
        if frame.kind() == FrameKind::Management(ManagementSubtype::ProbeRequest) {
            return self.probe(&frame, device, info.rssi, now);
        }
        let receiver = frame.addr1();
        let bss = match self.bsses.iter().position(|bss| bss.template.bssid() == receiver) {
            Some(bss) if self.bsses[bss].open().is_none() => {
                self.counters.closed += 1;
                return;
            }
            Some(bss) => {
                self.bsses[bss].stations.heard(&frame, device, now);
                self.bsses[bss].hurry(now);
                bss
            }
            None => {
                let Some(slot) = self.slots.iter().position(|slot| slot.bssid == receiver) else {
                    self.counters.not_ours += 1;
                    return;
                };
                if !self.slot_frame(slot, &frame, device, info, now) {
                    return;
                }
                self.count(slot, &frame, Some(info), now);
                self.bsses.len() + slot
            }
        };
        self.up(bss, octets, info);
    }

    /// The gateway of a BSS that is open.
    fn gateway(&self, bss: usize) -> Option<SocketAddr> {
        match self.bsses.get(bss) {
            Some(fixed) => fixed.open(),
            None => self.slots.get(bss - self.bsses.len())?.gateway(),
        }
    }

    fn bssid(&self, bss: usize) -> MacAddr {
        match self.bsses.get(bss) {
            Some(fixed) => fixed.template.bssid(),
            None => self.slots[bss - self.bsses.len()].bssid,
        }
    }

    fn stations(&mut self, bss: usize) -> Option<&mut Stations> {
        let fixed = self.bsses.len();
        match self.bsses.get_mut(bss) {
            Some(fixed) => Some(&mut fixed.stations),
            None => self.slots.get_mut(bss - fixed)?.shown.as_mut().map(|shown| &mut shown.stations),
        }
    }

    /// Passes a frame from a device to the gateway.
    fn up(&mut self, bss: usize, octets: &[u8], info: FrameInfo) {
        let Some(gateway) = self.gateway(bss) else { return };
        if let Ok(frame) = Frame::parse(octets)
            && let (FrameKind::Management(subtype), Some(device)) = (frame.kind(), frame.addr2())
        {
            self.snoop_up(bss, subtype, &frame, device);
        }
        let room = max_datagram(self.mtu, gateway.is_ipv6());
        match fragment(Header::received(info), octets, room, self.fragment_id) {
            Ok(parts) => {
                self.fragment_id = self.fragment_id.wrapping_add(1);
                self.counters.up += 1;
                for part in parts {
                    self.outputs.push_back(Output::Send { to: gateway, datagram: part.datagram() });
                }
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
        if !self.slot_echo(from, session, now) {
            self.counters.stranger += 1;
        }
    }

    /// Devices are told, so that they look for another access point at once.
    fn close(&mut self, bss: usize) {
        let bssid = self.bsses[bss].template.bssid();
        if self.bsses[bss].clear() {
            self.send_all_away(bssid);
        }
        self.requests.retain(|(of, _)| *of != bss);
        self.outputs.push_back(Output::Close { bss });
    }

    fn send_all_away(&mut self, bssid: MacAddr) {
        let reason = ReasonCode::LEAVING_NETWORK_DEAUTH.0.to_le_bytes();
        let subtype = ManagementSubtype::Deauthentication;
        let frame = build::management(subtype, MacAddr::BROADCAST, bssid, bssid, &reason);
        self.outputs.push_back(Output::Inject { frame });
    }
}

/// The virtual BSSes of a radio with this permanent address, by their addresses.
pub fn slot_bssids(config: &Config, radio: MacAddr) -> Vec<MacAddr> {
    let taken: Vec<_> = config.bsses.iter().map(|bss| bss.bssid).collect();
    let count = config.matchmaking.as_ref().map_or(0, |matchmaking| matchmaking.bssids);
    bssids(radio, count, &taken)
}
