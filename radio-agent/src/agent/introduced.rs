//! What happens on a virtual BSS that matchmaking opened: devices begin, their gateway is found, frames pass, it closes.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::{Frame, FrameKind, MacAddr, ManagementSubtype, ReasonCode, build};
use proto::tunnel::{FrameInfo, Punch, SessionId};

use super::link::Due;
use super::matchmaking::UNANSWERED_FOR;
use super::near::{Heard, Noted};
use super::slot::{Client, Progress, Shown};
use super::{Agent, Event, Output, Why};
use dot11::element::{ElementId, Elements, Ssid};

/// A service no gateway of which answers rests so long, and twice as long each time, up to ten minutes.
const REST: Duration = Duration::from_secs(30);
const REST_MOST: Duration = Duration::from_secs(600);

/// Devices of a BSS are told that they are not associated at most this often.
const TELL: Duration = Duration::from_millis(100);

impl Agent {
    /// Notes who is near.
    pub(super) fn hear(&mut self, frame: &Frame<'_>, sender: MacAddr, info: FrameInfo, now: Duration) {
        let elements = Elements::parse(frame.body()).ok();
        let ssid = elements.and_then(|elements| elements.ssid()?.ok()).filter(|ssid| !ssid.is_wildcard());
        let mut heard = Heard {
            device: sender,
            info,
            ssid: ssid.as_ref(),
            other_band: elements.is_some_and(|elements| can_other_band(&elements, self.channel.is_2ghz())),
            spoke: false,
            data: false,
        };
        match frame.kind() {
            FrameKind::Management(ManagementSubtype::ProbeRequest) => {}
            FrameKind::Management(ManagementSubtype::Beacon | ManagementSubtype::ProbeResponse) => {
                let body = dot11::frame::management::Beacon::parse(frame.body()).ok();
                let ssid = body.and_then(|body| body.elements.ssid()?.ok()).unwrap_or(Ssid::WILDCARD);
                if !self.is_ours(sender) {
                    self.networks.hear(sender, &ssid, info.rssi, now);
                }
                return;
            }
            FrameKind::Data(_) if frame.control().to_ds() && !frame.control().from_ds() => {
                // The body is no elements.
                heard = Heard { ssid: None, other_band: false, spoke: true, data: true, ..heard };
            }
            // Of access points, from one to another or in their name: sender and BSSID are the same.
            FrameKind::Management(_) if frame.addr3() != Some(sender) => {
                heard = Heard { ssid: None, other_band: false, spoke: true, ..heard };
            }
            _ => return,
        }
        if sender.is_group() || self.is_ours(sender) {
            return;
        }
        let (offers, slots) = (&self.offers, &self.slots);
        let noted = self.near.hear(&heard, now, |device| {
            let connected = |slot: &super::slot::Slot| {
                slot.shown.as_ref().is_some_and(|shown| shown.stations.contains(device))
            };
            offers.names(device) || slots.iter().any(connected)
        });
        match noted {
            Noted::Known => return,
            Noted::New => {}
            Noted::Instead(_) => self.counters.near_evicted += 1,
            Noted::Refused => self.counters.near_refused += 1,
        }
        if self.evaluate_next.is_none() || self.offers.any_unnamed() {
            self.evaluate_at(now);
        }
    }

    fn is_ours(&self, address: MacAddr) -> bool {
        self.slots.iter().any(|slot| slot.bssid == address)
            || self.bsses.iter().any(|bss| bss.template.bssid() == address)
    }

    /// A frame for what the slot shows. Gives whether it is to be passed to the gateway now.
    pub(super) fn slot_frame(
        &mut self,
        slot: usize,
        frame: &Frame<'_>,
        device: MacAddr,
        info: FrameInfo,
        now: Duration,
    ) -> bool {
        let Some(shown) = &mut self.slots[slot].shown else {
            self.counters.closed += 1;
            return false;
        };
        shown.stations.heard(frame, device, now);
        let authenticates = frame.kind() == FrameKind::Management(ManagementSubtype::Authentication);
        // Whoever sends authentication frames under the address of a device that is associated does not get in its way: only
        // such a frame waits for an introduction, or is refused.
        let associated = shown.stations.contains(device);
        let goes_on = associated && !authenticates;
        let progress = shown.client(device).map(|client| {
            client.heard = now;
            client.progress
        });
        match progress {
            _ if goes_on => {}
            Some(Progress::Refused { until }) if now < until => {
                self.counters.kept_out += 1;
                return false;
            }
            Some(Progress::Introduced { until }) if now < until => {}
            Some(Progress::Wanted | Progress::Asked) => {}
            _ if !authenticates => {
                self.not_introduced(slot, frame, device, now);
                return false;
            }
            _ => {
                if device.is_group() || !associated && !self.may_begin(slot, device, now) {
                    self.counters.kept_out += 1;
                    return false;
                }
                let Some(shown) = &mut self.slots[slot].shown else { return false };
                let expected = self.offers.names(device) || shown.usage.knows(device);
                let Some(dropped) = shown.begins(device, expected, now) else {
                    self.counters.clients_full += 1;
                    return false;
                };
                self.counters.held_dropped += dropped;
            }
        }
        let Some(shown) = &mut self.slots[slot].shown else { return false };
        let up = shown.link.as_ref().is_some_and(|link| link.up().is_some());
        let introduced = |client: &mut Client| matches!(client.progress, Progress::Introduced { .. });
        if up && (goes_on || shown.client(device).is_none_or(introduced)) {
            return true;
        }
        if !frame.control().is_management() {
            self.counters.not_introduced += 1;
        } else if shown.hold(device, frame.bytes(), info) {
            self.counters.held += 1;
        } else {
            self.counters.held_dropped += 1;
        }
        false
    }

    /// A device that believes to be associated is told that it is not (802.11-2020 §11.3.5).
    fn not_introduced(&mut self, slot: usize, frame: &Frame<'_>, device: MacAddr, now: Duration) {
        self.counters.not_introduced += 1;
        let bssid = self.slots[slot].bssid;
        let Some(shown) = &mut self.slots[slot].shown else { return };
        if !frame.control().is_data() || device.is_group() || now < shown.told + TELL {
            return;
        }
        shown.told = now;
        let reason = ReasonCode::INVALID_CLASS3_FRAME.0.to_le_bytes();
        let subtype = ManagementSubtype::Deauthentication;
        let frame = build::management(subtype, device, bssid, bssid, &reason);
        self.outputs.push_back(Output::Inject { frame });
    }

    /// Counts a frame that passes: from a device, with how it was received, or to one.
    pub(super) fn count(&mut self, slot: usize, frame: &Frame<'_>, up: Option<FrameInfo>, now: Duration) {
        if let Some(Shown { usage, stations, .. }) =
            self.slots.get_mut(slot).and_then(|slot| slot.shown.as_mut())
        {
            usage.count(stations, frame, up, now);
        }
    }

    /// Passes what was kept to the gateway, if it answers.
    pub(super) fn send_held(&mut self, slot: usize) {
        if self.slots[slot].gateway().is_none() {
            return;
        }
        let Some(shown) = &mut self.slots[slot].shown else { return };
        for (frame, info) in shown.take_held() {
            self.up(self.bsses.len() + slot, &frame, info);
        }
    }

    /// A gateway's echo. Gives whether it is one of a virtual BSS.
    pub(super) fn slot_echo(&mut self, from: SocketAddr, session: SessionId, now: Duration) -> bool {
        for slot in 0..self.slots.len() {
            let bssid = self.slots[slot].bssid;
            let Some(shown) = &mut self.slots[slot].shown else { continue };
            let echoed = shown.link.as_mut().and_then(|link| link.echo(from, session, now));
            let Some(came_up) = echoed else { continue };
            if came_up {
                let service = shown.service;
                if let Some(offered) = self.offers.get_mut(service) {
                    offered.silent = 0;
                }
                self.outputs.push_back(Output::Report(Event::TunnelUp { bssid, gateway: from }));
                self.send_held(slot);
            }
            return true;
        }
        false
    }

    /// A gateway opens its NAT; ours is open since we first sent to it.
    pub(super) fn slot_punch(&mut self, from: SocketAddr, punch: &Punch) {
        self.counters.punches += 1;
        let links = self.slots.iter_mut().filter_map(|slot| slot.shown.as_mut()?.link.as_mut());
        if let Some(datagram) = links.into_iter().find_map(|link| link.punch(from, punch)) {
            self.outputs.push_back(Output::Send { to: from, datagram });
        }
    }

    /// Keeps the tunnels alive, and closes what lost its gateway.
    pub(super) fn slot_links(&mut self, now: Duration) {
        for slot in 0..self.slots.len() {
            let bssid = self.slots[slot].bssid;
            let Some(shown) = &mut self.slots[slot].shown else { continue };
            let reports = shown.usage.reports(Some(&shown.stations), now);
            let (session, service) = (shown.session, shown.service);
            self.account(bssid, service, session, reports);
            let Some(shown) = &mut self.slots[slot].shown else { continue };
            let Some(link) = &mut shown.link else { continue };
            match link.timeout(now) {
                Due::Nothing => {}
                Due::KeepAlive(to, datagram) => self.outputs.push_back(Output::Send { to, datagram }),
                Due::Lost(gateway) => {
                    self.counters.gateways_lost += 1;
                    self.outputs.push_back(Output::Report(Event::GatewayGone { bssid, gateway }));
                    self.close_slot(slot, Why::GatewayGone, now);
                    // Who still needs it sees it again, and may be introduced to another instance.
                    self.evaluated = Duration::ZERO;
                    self.evaluate_at(now);
                }
                Due::Silent(gateway) => {
                    self.counters.gateways_lost += 1;
                    if let Some(gateway) = gateway {
                        self.outputs.push_back(Output::Report(Event::GatewaySilent { bssid, gateway }));
                    }
                    let service = shown.service;
                    if let Some(offered) = self.offers.get_mut(service) {
                        offered.silent += 1;
                        if let Some(rest) = rest(offered.silent) {
                            offered.not_before = now + rest;
                            self.close_slot(slot, Why::GatewaySilent, now);
                            continue;
                        }
                    }
                    // Nobody is associated. The next attempt may lead elsewhere.
                    self.counters.held_dropped += shown.drop_held(None);
                    for client in &mut shown.clients {
                        client.progress = Progress::Refused { until: now + UNANSWERED_FOR };
                    }
                    shown.unlink();
                    self.release(bssid, service, true);
                }
            }
        }
    }

    /// Takes a slot off the air. Devices are told, so that they look for another access point at once.
    pub(super) fn close_slot(&mut self, slot: usize, why: Why, now: Duration) {
        let bss = self.bsses.len() + slot;
        let Some(mut shown) = self.slots[slot].shown.take() else { return };
        let (bssid, service) = (self.slots[slot].bssid, shown.service);
        self.slots[slot].free_since = now;
        let reports = shown.usage.reports(None, now);
        self.account(bssid, service, shown.session, reports);
        self.counters.held_dropped += shown.drop_held(None);
        if shown.stations.clear() {
            self.send_all_away(bssid);
        }
        self.requests.retain(|(of, _)| *of != bss);
        self.outputs.push_back(Output::Close { bss });
        self.outputs.push_back(Output::Report(Event::Hidden { bssid, service, why }));
        if shown.session.is_some() {
            self.release(bssid, service, matches!(why, Why::GatewayGone | Why::GatewaySilent));
        }
    }
}

/// How long a service rests after so many gateways in a row that did not answer. The first time another is asked for at once.
fn rest(silent: u32) -> Option<Duration> {
    let doublings = silent.checked_sub(2)?.min(8);
    Some((REST * (1 << doublings)).min(REST_MOST))
}

/// Whether a device says that it can do a band that the radio is not in: by its operating classes (802.11-2020 Annex E,
/// table E-4: 81 to 84 are 2.4 GHz, 115 to 130 are 5 GHz, 131 to 137 are 6 GHz) or, at 2.4 GHz, by VHT.
fn can_other_band(elements: &Elements<'_>, is_2ghz: bool) -> bool {
    let other = |class: &u8| match is_2ghz {
        true => (115..=137).contains(class),
        false => (81..=84).contains(class),
    };
    elements.find(ElementId::SUPPORTED_OPERATING_CLASSES).is_some_and(|classes| classes.iter().any(other))
        || is_2ghz && elements.find(ElementId::VHT_CAPABILITIES).is_some()
}
