//! EAPOL from the device: which part of the machine a PDU is for (802.1X-2020 §11), and EAPOL-Key frames of ours.

use dot11::ReasonCode;
use dot11::eapol::kde::KeyDataBuilder;
use dot11::eapol::key::{DESCRIPTOR_RSN, KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::eapol::{self, EapolFrame, PacketType};
use dot11::element::Elements;
use dot11::rsn::{self, Akm, Ptk};

use super::{Environment, Station};
use crate::{Discard, GroupKey, Output, Security, TerminateCause, Time};

impl Station {
    pub(super) fn eapol(&mut self, now: Time, env: &mut Environment<'_>, pdu: &[u8], protected: bool) {
        if self.association.is_none() {
            // EAPOL is data, class 3 (802.11-2020 §11.3.3).
            return self.class_error(now, ReasonCode::INVALID_CLASS3_FRAME);
        }
        let Ok(frame) = EapolFrame::parse(pdu) else { return self.discard(Discard::Malformed) };
        // With a key, nothing in the clear is from the device; without one, nothing encrypted is under a key of this
        // association (802.11-2020 §12.9.2.7). But EAPOL-Key frames bring a MIC of their own, and wpa_supplicant sends
        // message 4 of a rekey in the clear: for it the new key is derived by then and not yet installed.
        match (self.keyed(), protected) {
            (true, false) if frame.packet_type != PacketType::Key => {
                return self.discard(Discard::Unprotected);
            }
            (false, true) => return self.discard(Discard::Unexpected),
            _ => {}
        }
        let eap = matches!(self.service.security, Security::Eap);
        match frame.packet_type {
            PacketType::EapPacket if eap => self.eap_response(now, frame.body),
            PacketType::Start if eap => self.eapol_start(now, env),
            PacketType::Logoff if eap => {
                let reason = ReasonCode::LEAVING_NETWORK_DEAUTH;
                env.pmks.remove(self.mac);
                self.disconnect(now, env, reason, TerminateCause::UserRequest);
            }
            PacketType::Key => match KeyFrame::from_eapol(&frame) {
                Ok(key) => self.eapol_key(now, env, &key),
                Err(_) => self.discard(Discard::Malformed),
            },
            _ => self.discard(Discard::Unexpected),
        }
    }

    pub(super) fn send_eap(&mut self, packet: &[u8]) {
        let pdu = eapol::build(PacketType::EapPacket, packet);
        let protect = self.keyed();
        self.emit(Output::SendEapol { pdu, protect, hold_downlink: false });
    }

    fn eapol_key(&mut self, now: Time, env: &mut Environment<'_>, frame: &KeyFrame<'_>) {
        let Some(akm) = self.association.as_ref().and_then(|association| association.akm) else {
            return self.discard(Discard::Unexpected);
        };
        let info = frame.info();
        // 802.11-2020 §12.7.2: RSN's descriptor, the version that goes with the AKM, and never Key Ack from a device.
        if frame.descriptor() != DESCRIPTOR_RSN
            || info.descriptor_version() != akm.descriptor_version()
            || info.ack()
            || !info.mic()
        {
            return self.discard(Discard::Malformed);
        }
        if info.request() {
            self.key_request(now, env, akm, frame);
        } else if info.pairwise() {
            self.pairwise_answer(now, env, akm, frame);
        } else {
            self.group_answer(now, env, akm, frame);
        }
    }

    /// The device asks for a handshake, or reports a MIC failure (802.11-2020 §12.7.2, Request and Error bits).
    fn key_request(&mut self, now: Time, env: &mut Environment<'_>, akm: Akm, frame: &KeyFrame<'_>) {
        let Some(keys) = self.association.as_mut().and_then(|association| association.keys.as_mut()) else {
            return self.discard(Discard::Unexpected);
        };
        let counter = frame.replay_counter();
        if keys.request_counter.is_some_and(|last| counter <= last) {
            return self.discard(Discard::ReplayCounter);
        }
        if !rsn::verify_mic(akm, &keys.ptk.kck, frame.bytes()) {
            return self.discard(Discard::Mic);
        }
        keys.request_counter = Some(counter);
        let info = frame.info();
        if info.error() {
            // Michael's countermeasures are TKIP's; CCMP has none (802.11-2020 §12.5.2.4).
            self.discard(Discard::Unexpected);
        } else if info.pairwise() {
            self.rekey_pairwise(now, env);
        } else {
            self.begin_group(now, env);
        }
    }
}

/// Key data that carries the group key, with `elements` in front, under the KEK of `ptk` (802.11-2020 §12.7.2).
pub(super) fn group_key_data(
    ptk: &Ptk,
    elements: &[&[u8]],
    key: &GroupKey,
) -> Result<Vec<u8>, rsn::KeyError> {
    let mut builder = KeyDataBuilder::new();
    for element in elements {
        builder = builder.elements(Elements::new(element));
    }
    let plain = builder.gtk(key.key_id, false, key.gtk.as_bytes()).build();
    rsn::wrap_key_data(&ptk.kek, &plain)
}

/// The RSC field: a packet number, least significant octet first (802.11-2020 §12.7.2).
pub(super) fn rsc(pn: u64) -> [u8; 8] {
    (pn & 0xffff_ffff_ffff).to_le_bytes()
}

/// An EAPOL-Key frame of ours: Key Ack is set, and the MIC filled in if the flags say that there is one.
pub(super) fn key_frame(
    akm: Akm,
    ptk: Option<&Ptk>,
    flags: KeyInfo,
    builder: KeyFrameBuilder<'_>,
) -> Result<Vec<u8>, rsn::KeyError> {
    let info = flags.with(KeyInfo::ACK).with_descriptor_version(akm.descriptor_version());
    match ptk {
        None => Ok(KeyFrameBuilder { info, ..builder }.build()),
        Some(ptk) => {
            let mut pdu = KeyFrameBuilder { info: info.with(KeyInfo::MIC), ..builder }.build();
            rsn::sign(akm, &ptk.kck, &mut pdu)?;
            Ok(pdu)
        }
    }
}
