//! What a frame is, whether it may come from where it came from, and whether it is protected as its station's state demands. Nothing here
//! believes anything the frame says beyond that.

use dot11::ccmp::{CcmpHeader, HEADER_LEN, MIC_LEN};
use dot11::llc::{self, EtherType};
use dot11::{FrameKind, ManagementSubtype, ReasonCode};

use super::{Class, Item};
use crate::counters::{DropReason, Forwarded};
use crate::handoff::{Handoff, Kind};
use crate::packet::Packet;
use crate::stage::downlink::{DownItem, Form, To};
use crate::state::State;
use crate::station::{Flag, StationId};
use crate::tunnel::TunnelId;

impl State {
    /// Fills in the class. `Ok(false)`: the frame was dealt with.
    #[inline]
    pub(super) fn classify(
        &mut self,
        packet: &Packet,
        item: &mut Item,
        station: Option<StationId>,
    ) -> Result<bool, DropReason> {
        let mpdu = item.mpdu;
        let data = match mpdu.control.kind() {
            FrameKind::Data(subtype) => Some(subtype),
            _ => None,
        };
        let to_us = match data {
            Some(_) => mpdu.control.to_ds() && !mpdu.control.from_ds() && !item.bssid(packet).is_group(),
            None => !mpdu.control.to_ds() && !mpdu.control.from_ds() && !item.bssid(packet).is_group(),
        };
        if !to_us || item.transmitter(packet).is_group() {
            return Err(DropReason::WrongAddresses);
        }
        // One look-up in the good case: a station knows the endpoint of its tunnel.
        let Some(id) = station else { return self.classify_unknown(packet, item, data.is_some()) };
        if self.stations.hot(id).endpoint != packet.meta.endpoint {
            return Err(DropReason::WrongEndpoint);
        }
        item.station = id;
        let hot = self.stations.hot_mut(id);
        let Some(subtype) = data else {
            if mpdu.control.protected() {
                return self.classify_protected(packet, item);
            }
            return self.classify_management(packet, item);
        };
        if !subtype.has_data() {
            hot.last_seen = self.now;
            hot.rssi = item.signal.rssi_dbm;
            self.count(Forwarded::NullData);
            return Ok(false);
        }
        if mpdu.control.protected() {
            return self.classify_protected(packet, item);
        }
        // wpa_supplicant sends message 4 of a rekey in the clear: for it the new key is derived by then and not yet installed. The MIC
        // inside tells control who it is from. Nothing else comes unprotected once there is a key.
        if hot.is(Flag::Keyed) {
            let fragment = mpdu.control.more_fragments() || mpdu.sequence.fragment() != 0;
            let body = packet.data().get(mpdu.header_len()..).unwrap_or_default();
            if fragment || llc::parse(body).is_none_or(|(ether_type, _)| ether_type != EtherType::EAPOL) {
                return Err(DropReason::Unprotected);
            }
        }
        if hot.is_duplicate(mpdu.index(), mpdu.control.retry(), mpdu.sequence.0) {
            return Err(DropReason::Duplicate);
        }
        // An A-MSDU cannot hide an EAPOL frame from the rule that only these may come unprotected.
        if hot.is(Flag::Protect) && mpdu.amsdu {
            return Err(DropReason::Unprotected);
        }
        item.class = Class::Plain;
        Ok(true)
    }

    /// A frame whose transmitter is no station here.
    fn classify_unknown(&mut self, packet: &Packet, item: &mut Item, data: bool) -> Result<bool, DropReason> {
        let mpdu = item.mpdu;
        let Some(tunnel) = self.tunnels.find(item.bssid(packet)) else {
            if item.handed {
                return Err(DropReason::HandoffLost);
            }
            let owner = self.directory.owner_of_bss(item.bssid(packet)).filter(|&owner| owner != self.me);
            let owner = owner.ok_or(DropReason::UnknownTunnel)?;
            let handoff = Handoff {
                kind: Kind::Frame,
                endpoint: packet.meta.endpoint,
                vlan: 0,
                priority: 0,
                signal: item.signal,
            };
            self.hand_off(owner, &handoff, packet.data());
            return Ok(false);
        };
        if self.tunnels.get(tunnel).is_none_or(|state| state.tunnel.endpoint != packet.meta.endpoint) {
            return Err(DropReason::WrongEndpoint);
        }
        if data {
            self.refuse_class3(packet, item, tunnel);
            return Err(DropReason::UnknownStation);
        }
        if mpdu.control.protected() {
            return Err(DropReason::UnknownStation);
        }
        self.classify_management(packet, item)
    }

    fn classify_management(&mut self, packet: &Packet, item: &mut Item) -> Result<bool, DropReason> {
        let mpdu = &item.mpdu;
        // Address 3 is the BSSID, or the wildcard in some action frames (802.11-2020 §9.3.3.1).
        if item.third(packet) != item.bssid(packet) && !item.third(packet).is_broadcast() {
            return Err(DropReason::WrongAddresses);
        }
        if mpdu.control.more_fragments() || mpdu.sequence.fragment() != 0 {
            return Err(DropReason::UnsupportedFrame);
        }
        if self.retries.is_repeated(
            item.bssid(packet),
            item.transmitter(packet),
            mpdu.sequence,
            mpdu.control.retry(),
        ) {
            return Err(DropReason::Duplicate);
        }
        item.class = Class::Management;
        Ok(true)
    }

    #[inline]
    fn classify_protected(&mut self, packet: &Packet, item: &mut Item) -> Result<bool, DropReason> {
        let mpdu = item.mpdu;
        if let FrameKind::Management(subtype) = mpdu.control.kind() {
            // An encrypted Authentication frame is the third of WEP's Shared Key (802.11-2020 §12.3.3.3), which is refused.
            let fragment = mpdu.control.more_fragments() || mpdu.sequence.fragment() != 0;
            if !subtype.can_be_robust() || fragment || subtype == ManagementSubtype::Authentication {
                return Err(DropReason::UnsupportedFrame);
            }
        }
        let hot = self.stations.hot(item.station);
        let early = self.may_wait_for_key(item);
        if !hot.is(Flag::Keyed) && !early {
            return Err(DropReason::NoKey);
        }
        let body = packet.data().get(mpdu.header_len()..).unwrap_or_default();
        if body.len() < HEADER_LEN + MIC_LEN {
            return Err(DropReason::MalformedCcmp);
        }
        let header = CcmpHeader::parse(body).map_err(|_| DropReason::MalformedCcmp)?;
        item.pn = header.pn.value();
        if early {
            item.class = Class::Early;
            return Ok(true);
        }
        let current = header.key_id == hot.key_id;
        let index = mpdu.index();
        if hot.is(Flag::Grace)
            && let Some(old) = &self.stations.cold(item.station).old_key
            && old.until > self.now
        {
            if !current && header.key_id != old.key_id {
                return Err(DropReason::WrongKeyId);
            }
            let new = current && self.stations.is_new(item.station, index, item.pn);
            let new_under_old = header.key_id == old.key_id && old.is_new(index, item.pn);
            if !new && !new_under_old {
                return Err(self.replayed(item));
            }
            item.class = Class::Grace;
            return Ok(true);
        }
        if !current {
            return Err(DropReason::WrongKeyId);
        }
        if !self.stations.is_new(item.station, index, item.pn) {
            return Err(self.replayed(item));
        }
        item.class = Class::Protected;
        Ok(true)
    }

    /// Why a frame whose packet number is not new is dropped: a retransmission that was heard twice is no attack.
    pub(super) fn replayed(&mut self, item: &Item) -> DropReason {
        let mpdu = &item.mpdu;
        let (hot, cold) = self.stations.both_mut(item.station);
        if hot.is_duplicate(mpdu.index(), mpdu.control.retry(), mpdu.sequence.0) {
            return DropReason::Duplicate;
        }
        cold.replays += 1;
        DropReason::Replay
    }

    /// Tells a device that it is not associated (802.11-2020 §11.3.3: class 3 frames), at a limited rate.
    fn refuse_class3(&mut self, packet: &Packet, item: &Item, tunnel: TunnelId) {
        if !self.class3.take(self.now) {
            return;
        }
        let Some(mut answer) = self.pool.alloc() else { return };
        let Some(frame) = answer.append(26) else { return };
        frame.fill(0);
        frame[0] = 0xc0; // Deauthentication
        frame[4..10].copy_from_slice(&item.transmitter(packet).0);
        frame[10..16].copy_from_slice(&item.bssid(packet).0);
        frame[16..22].copy_from_slice(&item.bssid(packet).0);
        frame[24..26].copy_from_slice(&ReasonCode::INVALID_CLASS3_FRAME.0.to_le_bytes());
        self.count(Forwarded::Class3Deauth);
        self.push_down(DownItem {
            packet: answer,
            to: To::Bss(tunnel),
            form: Form::Management,
            priority: 0,
            protect: false,
        });
    }
}
