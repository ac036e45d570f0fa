//! The group key handshake (802.11-2020 §12.7.7).

use dot11::ReasonCode;
use dot11::eapol::key::{KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::rsn::{self, Akm};

use super::eapol::{group_key_data, key_frame, rsc};
use super::timers::Timer;
use super::{Environment, Station};
use crate::{Discard, GroupKey, Output, TerminateCause, Time};

/// A group key handshake under way.
#[derive(Debug)]
pub(super) struct Handshake {
    key: GroupKey,
    rsc: [u8; 8],
    /// Replay counters of the transmissions of message 1, each of which may be answered.
    sent: Vec<u64>,
}

impl Station {
    /// The BSS has a group key that the device may not have yet.
    pub(super) fn offer_group_key(&mut self, now: Time, env: &mut Environment<'_>) {
        let newest = env.bss.group_key().map(|key| key.generation);
        let under_way = self
            .association
            .as_ref()
            .and_then(|association| association.group.as_ref())
            .map(|handshake| handshake.key.generation);
        if newest.is_some() && newest != under_way && newest != env.bss.generation_of(self.mac) {
            self.begin_group(now, env);
        }
    }

    /// Hands the newest group key to the device. During a 4-way handshake this is left alone: message 3 brings it, or
    /// the BSS offers it afterwards.
    pub(super) fn begin_group(&mut self, now: Time, env: &mut Environment<'_>) {
        let Some(key) = env.bss.group_key().cloned() else { return };
        let rsc = rsc(env.bss.receive_sequence_counter());
        let Some(association) = &mut self.association else { return };
        if association.keys.is_none() || association.pairwise.is_some() {
            return;
        }
        association.group = Some(Handshake { key, rsc, sent: Vec::new() });
        self.transmit_group(now);
    }

    /// Message 2 (802.11-2020 §12.7.7.3).
    pub(super) fn group_answer(
        &mut self,
        now: Time,
        env: &mut Environment<'_>,
        akm: Akm,
        frame: &KeyFrame<'_>,
    ) {
        let Some(association) = &mut self.association else { return };
        let (Some(keys), Some(handshake)) = (&association.keys, &association.group) else {
            return self.discard(Discard::Unexpected);
        };
        if !handshake.sent.contains(&frame.replay_counter()) {
            return self.discard(Discard::ReplayCounter);
        }
        if !rsn::verify_mic(akm, &keys.ptk.kck, frame.bytes()) {
            return self.discard(Discard::Mic);
        }
        let (key_id, generation) = (handshake.key.key_id, handshake.key.generation);
        association.group = None;
        association.generation = Some(generation);
        self.timers.stop(Timer::Group);
        self.emit(Output::GroupKeyInstalled { key_id });
        env.bss.delivered(now, env.entropy, self.mac, generation);
    }

    /// No answer came in time: send again, or give up (802.11-2020 §12.7.7.4).
    pub(super) fn group_answer_missing(&mut self, now: Time, env: &mut Environment<'_>) {
        let Some(handshake) = self.association.as_ref().and_then(|association| association.group.as_ref())
        else {
            return;
        };
        if handshake.sent.len() < self.service.timings.group_update_count as usize {
            return self.transmit_group(now);
        }
        self.emit(Output::GroupKeyFailed { key_id: handshake.key.key_id });
        let reason = ReasonCode::GROUP_KEY_HANDSHAKE_TIMEOUT;
        self.disconnect(now, env, reason, TerminateCause::NasRequest);
    }

    fn transmit_group(&mut self, now: Time) {
        let replay_counter = self.next_replay_counter();
        let timings = &self.service.timings;
        let Some(association) = &mut self.association else { return };
        let (Some(akm), Some(keys), Some(handshake)) =
            (association.akm, &association.keys, &mut association.group)
        else {
            return;
        };
        handshake.sent.push(replay_counter);
        let wait = if handshake.sent.len() == 1 { timings.eapol_key_first } else { timings.eapol_key_retry };
        self.timers.set(Timer::Group, now + wait);
        let flags = KeyInfo::SECURE.with(KeyInfo::ENCRYPTED_KEY_DATA);
        let built = group_key_data(&keys.ptk, &[], &handshake.key).and_then(|key_data| {
            let builder = KeyFrameBuilder {
                replay_counter,
                rsc: handshake.rsc,
                key_data: &key_data,
                ..KeyFrameBuilder::default()
            };
            key_frame(akm, Some(&keys.ptk), flags, builder)
        });
        if let Ok(pdu) = built {
            self.emit(Output::SendEapol { pdu, protect: true, hold_downlink: false });
        }
    }
}
