//! Answers look-ups: what the matchmaker lets a radio show, as far as it fits into a datagram. Nearly all that is asked is this, so what it
//! takes is kept from one to the next.

use std::time::Duration;

use dot11::element::Ssid;
use matchmaker::{Near, Offer, Offers, Refusal, Uuid, objects::KeyId, scope::AccountRef};
use proto::matchmaking::{
    messages as pb,
    server::{OfferText, PeerIdentity, ReplyToken},
};

use super::{Desk, Output, entropy};
use crate::matchmaking::convert::{self, key_id, mac, rssi, uuid};

/// Room for a look-up and its answer.
#[derive(Debug, Default)]
pub(super) struct Kept {
    ssids: Vec<Ssid>,
    shown: Vec<Uuid>,
    offers: Offers,
}

impl Desk {
    pub(super) fn look_up(
        &mut self,
        identity: &PeerIdentity,
        reply: &ReplyToken,
        said: &pb::LookUp,
        now: Duration,
    ) {
        if let Err(refusal) = self.offer(identity, reply, said, now) {
            let failure = self.refused(&refusal);
            self.answer_peer(reply, failure);
        }
    }

    fn offer(
        &mut self,
        identity: &PeerIdentity,
        reply: &ReplyToken,
        said: &pb::LookUp,
        now: Duration,
    ) -> Result<(), Refusal> {
        let account = self.account(identity)?;
        // Whose the radios of an account are, the account says: it need not be asked for the key, which takes a digest.
        let key = if account == AccountRef::POOL { key_id(&identity.key) } else { KeyId::OWN };
        let peer = self.matchmaker.peer_of(account, key)?;
        self.matchmaker.admit(identity.endpoint.ip(), peer, now)?;
        let radio = mac(&said.radio);
        self.matchmaker.admit_radio(peer, radio, now)?;
        let mut kept = std::mem::take(&mut self.looked_up);
        kept.ssids.clear();
        kept.ssids.extend(said.devices.iter().flat_map(ssids));
        kept.shown.clear();
        kept.shown.extend(said.shown.iter().map(|octets| uuid(octets)));
        let mut near = [Near::default(); matchmaker::MAX_DEVICES];
        let mut rest = &kept.ssids[..];
        for (near, device) in near.iter_mut().zip(&said.devices) {
            let own;
            (own, rest) = rest.split_at(ssids(device).count());
            *near = Near {
                client: mac(&device.client),
                rssi_dbm: rssi(device.rssi_dbm),
                ssids: own,
                connected: device.connected,
            };
        }
        let near = &near[..said.devices.len().min(matchmaker::MAX_DEVICES)];
        let found = self.matchmaker.look_up(radio, near, &kept.shown, now, &mut kept.offers);
        self.counters.look_ups += 1;
        self.counters.devices += near.len() as u64;
        if found.is_ok() {
            self.counters.offers += kept.offers.offers.len() as u64;
            let mut out = self.sent.pop().unwrap_or_default();
            let Offers { ttl, offers, withdrawn } = &kept.offers;
            let ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
            let withdrawn = withdrawn.iter().map(Uuid::as_bytes);
            let matchmaker = &self.matchmaker;
            let to = self.server.answer_offers(
                reply,
                (ttl, withdrawn),
                // The first ranked first.
                |text| {
                    let _ = offers
                        .iter()
                        .all(|offer| write(offer, matchmaker.template(offer), |offer| text.offer(offer)));
                },
                &mut entropy,
                &mut out,
            );
            self.outputs.push_back(Output::Send(to, out));
        }
        self.looked_up = kept;
        found
    }
}

/// What a device asked for by name; what is no name is nothing.
fn ssids(device: &pb::Device) -> impl Iterator<Item = Ssid> {
    device.ssids.iter().filter_map(|ssid| Ssid::parse(ssid).ok())
}

fn write(offer: &Offer, template: &[u8], write: impl FnOnce(&OfferText<'_>) -> bool) -> bool {
    write(&OfferText {
        service: offer.service.as_bytes(),
        client: offer.client.as_ref().map(|client| &client.0),
        binding: offer.binding,
        policy: &convert::policy(&offer.policy, offer.mobility),
        template,
        rank: offer.rank,
        predicted: offer.predicted,
    })
}
