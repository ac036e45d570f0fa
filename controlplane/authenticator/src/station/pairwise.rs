//! The 4-way handshake (802.11-2020 §12.7.6).

use dot11::ReasonCode;
use dot11::eapol::key::{KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::element::{ElementId, Elements};
use dot11::rsn::{self, Akm, Pmk, Ptk};

use super::eapol::{group_key_data, key_frame, rsc};
use super::timers::Timer;
use super::{Environment, Keys, Station};
use crate::{Discard, Event, NamedPsk, Output, Security, TerminateCause, Time};

/// A 4-way handshake under way.
#[derive(Debug)]
pub(super) struct Handshake {
    anonce: [u8; 32],
    /// It replaces a key in use.
    rekey: bool,
    /// Replay counters of the message 1 transmissions that may still be answered.
    message1: Vec<u64>,
    /// Likewise of message 3. Empty until message 2 was right.
    message3: Vec<u64>,
    /// What message 2 settled.
    agreed: Option<Agreed>,
    /// Transmissions of the current message.
    transmissions: u32,
    /// A message 2 verified under none of the passphrases.
    mic_failed: bool,
}

#[derive(Debug)]
struct Agreed {
    ptk: Ptk,
    snonce: [u8; 32],
    /// The group key that message 3 hands out.
    generation: u64,
    /// Key data of message 3, wrapped.
    key_data: Vec<u8>,
    rsc: [u8; 8],
}

impl Handshake {
    /// It was attempted with a wrong passphrase, and never with a right one.
    pub fn wrong_passphrase(&self) -> bool {
        self.mic_failed && self.agreed.is_none()
    }
}

impl Station {
    /// Begins the handshake. The PMK is known, or it is one of the service's passphrases.
    pub(super) fn begin_pairwise(&mut self, now: Time, env: &mut Environment<'_>) {
        let Some(association) = &mut self.association else { return };
        let mut anonce = [0; 32];
        env.entropy.fill(&mut anonce);
        association.group = None;
        association.pairwise = Some(Handshake {
            anonce,
            rekey: association.keys.is_some(),
            message1: Vec::new(),
            message3: Vec::new(),
            agreed: None,
            transmissions: 0,
            mic_failed: false,
        });
        self.timers.stop(Timer::Group);
        self.timers.stop(Timer::PairwiseRekey);
        self.transmit_pairwise(now);
    }

    /// Replaces the pairwise key in use, unless that is being done.
    pub(super) fn rekey_pairwise(&mut self, now: Time, env: &mut Environment<'_>) {
        let ready = self.association.as_ref().is_some_and(|association| {
            association.keys.is_some() && association.pairwise.is_none() && association.eap.is_none()
        });
        if ready {
            self.begin_pairwise(now, env);
        }
    }

    /// Message 2 or message 4, which its replay counter tells.
    pub(super) fn pairwise_answer(
        &mut self,
        now: Time,
        env: &mut Environment<'_>,
        akm: Akm,
        frame: &KeyFrame<'_>,
    ) {
        let Some(handshake) = self.association.as_ref().and_then(|association| association.pairwise.as_ref())
        else {
            return self.discard(Discard::Unexpected);
        };
        let counter = frame.replay_counter();
        if handshake.message3.contains(&counter) {
            self.message4(now, env, akm, frame);
        } else if handshake.message1.contains(&counter) {
            self.message2(now, env, akm, frame);
        } else {
            self.discard(Discard::ReplayCounter);
        }
    }

    /// No answer came in time: send again, or give up (802.11-2020 §12.7.6.6).
    pub(super) fn pairwise_answer_missing(&mut self, now: Time, env: &mut Environment<'_>) {
        let count = self.service.timings.pairwise_update_count;
        let Some(handshake) = self.association.as_ref().and_then(|association| association.pairwise.as_ref())
        else {
            return;
        };
        if handshake.transmissions < count {
            self.transmit_pairwise(now);
        } else {
            let reason = ReasonCode::FOURWAY_HANDSHAKE_TIMEOUT;
            self.disconnect(now, env, reason, TerminateCause::NasRequest);
        }
    }

    /// 802.11-2020 §12.7.6.3.
    fn message2(&mut self, now: Time, env: &mut Environment<'_>, akm: Akm, frame: &KeyFrame<'_>) {
        let (bssid, mac) = (self.bssid, self.mac);
        let Some(association) = &mut self.association else { return };
        let Some(handshake) = &mut association.pairwise else { return };
        let snonce = frame.nonce();
        if handshake.agreed.as_ref().is_some_and(|agreed| agreed.snonce == snonce) {
            // A copy of what was answered with message 3, which has its own retries.
            return self.discard(Discard::Unexpected);
        }
        let counter = frame.replay_counter();
        let candidates = candidates(&self.service.security, association.pmk.as_ref(), mac);
        let found = candidates.into_iter().find_map(|(pmk, psk)| {
            let ptk = rsn::derive_ptk(akm, pmk, bssid, mac, &handshake.anonce, &snonce).ok()?;
            let named = || psk.map(|psk| (psk.name.clone(), psk.vlan));
            rsn::verify_mic(akm, &ptk.kck, frame.bytes()).then(|| (ptk, pmk.clone(), named()))
        });
        let Some((ptk, pmk, psk)) = found else {
            // Silently, says the standard: message 1 is sent again, and in the end the handshake times out.
            if association.pmk.is_none() {
                // It is a guess at a passphrase, of which each message 1 allows one: else one handshake would do for any
                // number of them.
                handshake.mic_failed = true;
                handshake.message1.retain(|&sent| sent != counter);
            }
            return self.discard(Discard::Mic);
        };
        // A device that draws a new SNonce for each message 1 moves only on, never back.
        handshake.message1.retain(|&sent| sent > counter);

        // The elements must be those of the association request, bit by bit, or somebody changed that.
        let elements = Elements::new(frame.key_data());
        let rsne = elements.find_whole(ElementId::RSN).unwrap_or_default();
        let rsnx = elements.find_whole(ElementId::RSNX).unwrap_or_default();
        if rsne != association.rsne || rsnx != association.rsnx {
            let reason = ReasonCode::HANDSHAKE_ELEMENT_MISMATCH;
            return self.disconnect(now, env, reason, TerminateCause::NasRequest);
        }

        let Some(group) = env.bss.group_key() else { return };
        let beacon_rsne = self.service.rsne().unwrap_or_default();
        let beacon_rsnx = self.service.beacon.rsnx.as_deref().unwrap_or_default();
        let Ok(key_data) = group_key_data(&ptk, &[&beacon_rsne, beacon_rsnx], group) else { return };
        handshake.agreed = Some(Agreed {
            ptk,
            snonce,
            generation: group.generation,
            key_data,
            rsc: rsc(env.bss.receive_sequence_counter()),
        });
        handshake.message3.clear();
        handshake.transmissions = 0;
        association.pmk = Some(pmk);
        if let Some((name, vlan)) = psk {
            self.credentials.psk = Some(name);
            self.credentials.vlan = vlan;
        }
        self.transmit_pairwise(now);
    }

    /// 802.11-2020 §12.7.6.5: both sides have the key.
    fn message4(&mut self, now: Time, env: &mut Environment<'_>, akm: Akm, frame: &KeyFrame<'_>) {
        let Some(association) = &mut self.association else { return };
        let agreed = association.pairwise.as_ref().and_then(|handshake| handshake.agreed.as_ref());
        if !agreed.is_some_and(|agreed| rsn::verify_mic(akm, &agreed.ptk.kck, frame.bytes())) {
            return self.discard(Discard::Mic);
        }
        // The handshake is taken out, so whatever is sent again finds none: a key is installed once.
        let Some(Handshake { rekey, agreed: Some(Agreed { ptk, generation, .. }), .. }) =
            association.pairwise.take()
        else {
            return;
        };
        let tk = ptk.tk.clone();
        association.keys = Some(Keys { ptk, request_counter: None });
        association.generation = Some(generation);
        self.timers.stop(Timer::Pairwise);
        let rekey_at = self.service.timings.ptk_rekey.map(|interval| now + interval);
        self.timers.set_or_stop(Timer::PairwiseRekey, rekey_at);
        self.emit(Output::InstallKey { key_id: 0, tk, replaces: rekey });
        self.log(Event::Keyed { rekey });
        env.failures.clear(self.mac);
        self.open_port(now, env.entropy);
        env.bss.delivered(now, env.entropy, self.mac, generation);
    }

    /// Sends message 1, or message 3 once message 2 was right, with a replay counter of its own.
    fn transmit_pairwise(&mut self, now: Time) {
        let replay_counter = self.next_replay_counter();
        let (bssid, mac) = (self.bssid, self.mac);
        let timings = &self.service.timings;
        let Some(association) = &mut self.association else { return };
        let (Some(akm), Some(handshake)) = (association.akm, &mut association.pairwise) else { return };
        let base = KeyFrameBuilder {
            key_length: 16,
            replay_counter,
            nonce: handshake.anonce,
            ..KeyFrameBuilder::default()
        };
        let built = match &handshake.agreed {
            None => {
                handshake.message1.push(replay_counter);
                // §12.7.6.2: the PMKID, where it helps the device choose; of a passphrase it would only help guessing.
                let pmk = association.pmk.as_ref().filter(|_| akm.is_8021x());
                let key_data = pmk
                    .and_then(|pmk| rsn::pmkid(akm, pmk, bssid, mac).ok())
                    .map(|pmkid| dot11::eapol::kde::KeyDataBuilder::new().pmkid(&pmkid).build());
                let key_data = key_data.as_ref().map_or(&[][..], |data| data);
                key_frame(akm, None, KeyInfo::PAIRWISE, KeyFrameBuilder { key_data, ..base })
            }
            Some(agreed) => {
                handshake.message3.push(replay_counter);
                let flags = KeyInfo::PAIRWISE
                    .with(KeyInfo::INSTALL)
                    .with(KeyInfo::SECURE)
                    .with(KeyInfo::ENCRYPTED_KEY_DATA);
                let (rsc, key_data) = (agreed.rsc, &agreed.key_data[..]);
                key_frame(akm, Some(&agreed.ptk), flags, KeyFrameBuilder { rsc, key_data, ..base })
            }
        };
        handshake.transmissions += 1;
        let wait = match handshake.transmissions {
            1 => timings.eapol_key_first,
            _ => timings.eapol_key_retry,
        };
        self.timers.set(Timer::Pairwise, now + wait);
        let (protect, hold_downlink) = (handshake.rekey, handshake.rekey && handshake.agreed.is_some());
        if let Ok(pdu) = built {
            self.emit(Output::SendEapol { pdu, protect, hold_downlink });
        }
    }
}

/// The PMKs that message 2 may have been made with: the one that is known, or those of the passphrases that the device
/// may use, its own first.
fn candidates<'a>(
    security: &'a Security,
    known: Option<&'a Pmk>,
    mac: dot11::MacAddr,
) -> Vec<(&'a Pmk, Option<&'a NamedPsk>)> {
    match (known, security) {
        (Some(pmk), _) => vec![(pmk, None)],
        (None, Security::Psk { passphrases }) => {
            let own = passphrases.iter().filter(|psk| psk.client == Some(mac));
            let shared = passphrases.iter().filter(|psk| psk.client.is_none());
            own.chain(shared).map(|psk| (&psk.pmk, Some(psk))).collect()
        }
        (None, Security::Open | Security::Eap) => Vec::new(),
    }
}
