//! Frames that pass: probe requests are answered, what the gateway sends goes to the air, and from what passes the agent
//! learns which devices the radio has to know.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::element::{ElementId, Ssid};
use dot11::frame::management::{AssociationRequest, AssociationResponse, ProbeRequest, ReassociationRequest};
use dot11::{Frame, FrameKind, MacAddr, ManagementSubtype};
use visibility::Probe;

use super::slot::Slot;
use super::template::{Template, is_mfp_capable};
use super::{Agent, Event, Output, Station};

impl Agent {
    /// Answers a probe request for each open BSS that it asks for (802.11-2020 §11.1.4.3.4).
    pub(super) fn probe(&mut self, frame: &Frame<'_>, device: MacAddr, rssi: i8, now: Duration) {
        let Ok(ProbeRequest { elements }) = ProbeRequest::parse(frame.body()) else {
            self.counters.bad_frame += 1;
            return;
        };
        let (receiver, bssid) = (frame.addr1(), frame.addr3().unwrap_or(MacAddr::BROADCAST));
        let Ok(ssid) = elements.ssid().unwrap_or(Ok(Ssid::WILDCARD)) else { return };
        let channel = elements.find(ElementId::DSSS_PARAMETER_SET).and_then(|body| body.first().copied());
        if device.is_group() {
            return;
        }
        let asked = |template: &Template| {
            let for_us = |address: MacAddr| address == template.bssid() || address.is_broadcast();
            for_us(receiver)
                && for_us(bssid)
                && template.answers(&ssid)
                && channel.is_none_or(|channel| channel == template.channel().number())
        };
        let fixed = self.bsses.iter_mut().filter(|bss| bss.open().is_some() && asked(&bss.template));
        let fixed = fixed.map(|bss| (&bss.template, &mut bss.sequence));
        let mut answers: Vec<_> = fixed.map(|face| answer(face, device, now)).collect();
        for slot in 0..self.slots.len() {
            let Some(shown) = self.slots[slot].shown.as_ref().filter(|shown| asked(&shown.template)) else {
                continue;
            };
            let policy = self.policy_for(shown, device);
            let heard = Some(rssi).filter(|&rssi| rssi != 0);
            if visibility::probe(&policy, heard, !ssid.is_wildcard()) == Probe::Answer {
                let Slot { shown: Some(shown), sequence, .. } = &mut self.slots[slot] else { continue };
                answers.push(answer((&shown.template, sequence), device, now));
            } else {
                self.counters.suppressed += 1;
            }
        }
        self.counters.probes += answers.len() as u64;
        self.outputs.extend(answers);
    }

    /// Passes a frame of `gateway` to the air.
    pub(super) fn down(&mut self, gateway: SocketAddr, octets: &[u8], now: Duration) {
        let Ok(frame) = Frame::parse(octets) else {
            self.counters.bad_frame += 1;
            return;
        };
        if !matches!(frame.kind(), FrameKind::Management(_) | FrameKind::Data(_)) {
            self.counters.bad_datagram += 1;
            return;
        }
        let all = 0..self.bsses.len() + self.slots.len();
        let ours =
            |&bss: &usize| Some(self.bssid(bss)) == frame.addr2() && self.gateway(bss) == Some(gateway);
        let Some(bss) = all.into_iter().find(ours) else {
            self.counters.stranger += 1;
            return;
        };
        let left = match frame.kind() {
            FrameKind::Management(subtype) => self.snoop_down(bss, subtype, &frame, now),
            _ => None,
        };
        self.counters.down += 1;
        if let Some(slot) = bss.checked_sub(self.bsses.len()) {
            self.count(slot, &frame, None, now);
        }
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
                    mfp: false,
                });
                station.aid = response.aid;
                station.wmm &= response.elements.has_wmm();
                let bssid = self.bssid(bss);
                let event = Event::Associated { bssid, station: device, aid: station.aid };
                let outputs = self.stations(bss).map(|stations| stations.associated(bss, station, now));
                self.outputs.extend(outputs.unwrap_or_default());
                self.outputs.push_back(Output::Report(event));
                None
            }
            ManagementSubtype::Deauthentication | ManagementSubtype::Disassociation => Some(device),
            _ => None,
        }
    }

    /// Keeps what association requests say.
    pub(super) fn snoop_up(
        &mut self,
        bss: usize,
        subtype: ManagementSubtype,
        frame: &Frame<'_>,
        device: MacAddr,
    ) {
        let body = frame.body();
        let asked = match subtype {
            ManagementSubtype::AssociationRequest => {
                AssociationRequest::parse(body).ok().map(|asked| (asked.listen_interval, asked.elements))
            }
            ManagementSubtype::ReassociationRequest => {
                ReassociationRequest::parse(body).ok().map(|asked| (asked.listen_interval, asked.elements))
            }
            _ => None,
        };
        let Some((listen_interval, elements)) = asked else { return };
        self.take_request(bss, device);
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
        }
        let (rates, wmm) = (rates(elements.rates()), elements.has_wmm());
        // If both sides can (802.11-2020 §12.6.3).
        let mfp = matches!(elements.rsn(), Some(Ok(rsn)) if is_mfp_capable(&rsn))
            && self.template(bss).is_some_and(Template::is_mfp_capable);
        self.requests.push_back((bss, Station { address: device, aid: 0, listen_interval, rates, wmm, mfp }));
    }

    /// Forgets who has left.
    pub(super) fn departures(&mut self, now: Duration) {
        for bss in 0..self.bsses.len() + self.slots.len() {
            while let Some(device) = self.stations(bss).and_then(|stations| stations.left(now)) {
                self.departed(bss, device);
            }
        }
    }

    pub(super) fn departed(&mut self, bss: usize, address: MacAddr) {
        if self.stations(bss).is_some_and(|stations| stations.gone(address)) {
            let bssid = self.bssid(bss);
            self.outputs.push_back(Output::RemoveStation { bss, address });
            self.outputs.push_back(Output::Report(Event::Departed { bssid, station: address }));
        }
    }

    fn take_request(&mut self, bss: usize, device: MacAddr) -> Option<Station> {
        let at = self.requests.iter().position(|(of, station)| *of == bss && station.address == device)?;
        self.requests.remove(at).map(|(_, station)| station)
    }
}

/// The next answer to a probe request.
fn answer((template, sequence): (&Template, &mut u16), device: MacAddr, now: Duration) -> Output {
    let frame = template.probe_response(device, now.as_micros() as u64, *sequence);
    *sequence = (*sequence + 1) & 0xfff;
    Output::Inject { frame }
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
