//! Answers look-ups: what the matchmaker lets a radio show, as far as it fits into a datagram.

use std::time::Duration;

use dot11::element::Ssid;
use matchmaker::{Near, Offers, Refusal, Uuid, presence::Peer};
use prost::Message as _;
use proto::matchmaking::{
    datagram::MAX_ANSWER,
    messages::{self as pb, answer::Answer},
};

use super::Desk;
use crate::matchmaking::convert::{self, mac, rssi, uuid};

impl Desk {
    pub(super) fn look_up(
        &mut self,
        peer: Peer,
        said: &pb::LookUp,
        now: Duration,
    ) -> Result<Answer, Refusal> {
        let radio = mac(&said.radio);
        self.matchmaker.admit_radio(peer, radio, now)?;
        let ssids: Vec<Vec<Ssid>> = said
            .devices
            .iter()
            .map(|device| device.ssids.iter().filter_map(|ssid| Ssid::parse(ssid).ok()).collect())
            .collect();
        let near = |(device, ssids): (&pb::Device, _)| Near {
            client: mac(&device.client),
            rssi_dbm: rssi(device.rssi_dbm),
            ssids,
            connected: device.connected,
        };
        let devices: Vec<Near<'_>> =
            said.devices.iter().zip(ssids.iter().map(Vec::as_slice)).map(near).collect();
        let shown: Vec<Uuid> = said.shown.iter().map(|octets| uuid(octets)).collect();
        let mut offers = std::mem::take(&mut self.offers);
        let found = self.matchmaker.look_up(radio, &devices, &shown, now, &mut offers);
        self.counters.look_ups += 1;
        self.counters.devices += devices.len() as u64;
        self.counters.offers += offers.offers.len() as u64;
        let answer = found.map(|()| self.offers_message(&offers));
        self.offers = offers;
        answer.map(Answer::Offers)
    }

    /// The offers that fit into a datagram, the first ranked first.
    fn offers_message(&self, offers: &Offers) -> pb::Offers {
        let mut message = pb::Offers {
            ttl_seconds: u32::try_from(offers.ttl.as_secs()).unwrap_or(u32::MAX),
            offers: Vec::new(),
            withdrawn: offers.withdrawn.iter().map(|uuid| uuid.as_bytes().to_vec()).collect(),
            more: false,
        };
        let mut room = MAX_ANSWER - 32 - message.encoded_len();
        for offer in &offers.offers {
            let template =
                self.matchmaker.service(offer.service).map_or(&[][..], |service| &service.template);
            let offer = convert::offer(offer, template);
            // Key and length in front of it.
            let octets = offer.encoded_len() + 4;
            let Some(left) = room.checked_sub(octets) else {
                message.more = true;
                break;
            };
            room = left;
            message.offers.push(offer);
        }
        message
    }
}
