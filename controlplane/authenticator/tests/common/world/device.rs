//! The simulated device, its EAP peer, and the RADIUS server behind it.

use std::time::Duration;

use authenticator::{Accept, Msk, RadiusResult};
use dot11::eap::{self, Code, Eap, EapType};
use dot11::eapol::{self, EapolFrame, PacketType};
use dot11::{Frame, build, llc};
use station::Event;
use station::data::eapol_frame;

use super::{BSSID, Direction, MAC, World};

impl World {
    pub(super) fn device_now(&self) -> station::Time {
        station::Time::from_micros(self.now.0)
    }

    pub(super) fn device_heard(&mut self, frame: &[u8]) {
        self.answer_eap(frame);
        let mut out = Vec::new();
        self.device.receive(self.device_now(), frame, Some(-50), &mut out);
        self.device_out(out);
    }

    pub(super) fn device_out(&mut self, outputs: Vec<station::Output>) {
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
    pub(super) fn answer_eap(&mut self, frame: &[u8]) {
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

    /// A RADIUS server with one round of challenge. Requests and answers are lost like frames.
    pub(super) fn ask_radius(&mut self, request: u32, eap: &[u8]) {
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
}
