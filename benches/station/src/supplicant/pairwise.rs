//! The 4-way handshake (802.11-2020 §12.7.6.2 to §12.7.6.5).

use dot11::ReasonCode;
use dot11::ccmp::Pn;
use dot11::eapol::kde::{KeyData, KeyDataItem};
use dot11::eapol::key::{KeyFrame, KeyInfo};
use dot11::element::{ElementId, Elements};
use dot11::rsn;

use super::group::gtk_of;
use super::{Action, Discard, Pairwise, RepeatedM4, Supplicant};
use crate::entropy::Entropy;

impl Supplicant {
    /// Message 1: derive a PTK, answer with message 2 (§12.7.6.2, §12.7.6.3).
    pub(super) fn message_1(
        &mut self,
        frame: &KeyFrame<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Action>, Discard> {
        let (akm, aa, spa) = (self.binding.akm, self.binding.aa, self.binding.spa);
        let pmk = self.pmk.as_ref().ok_or(Discard::NoPmk)?;
        let pmkid = KeyData::new(frame.key_data()).find_map(|item| match item {
            Ok(KeyDataItem::Pmkid(pmkid)) => Some(pmkid),
            _ => None,
        });
        // With a pre-shared key the PMKID adds nothing, and some access points get it wrong.
        if !akm.is_psk() && pmkid.is_some_and(|pmkid| rsn::pmkid(akm, pmk, aa, spa) != Ok(pmkid)) {
            return Err(Discard::PmkidMismatch);
        }
        // One SNonce for all repetitions of message 1: message 3 may answer any of the messages 2.
        let snonce = *self.snonce.get_or_insert_with(|| {
            let mut nonce = [0; 32];
            entropy.fill(&mut nonce);
            nonce
        });
        let anonce = frame.nonce();
        let ptk =
            rsn::derive_ptk(akm, pmk, aa, spa, &anonce, &snonce).map_err(|_| Discard::UnsupportedAkm)?;
        let mut info = KeyInfo::PAIRWISE;
        if self.current.is_some() {
            info = info.with(KeyInfo::SECURE);
        }
        let own_rsne = &self.binding.own_rsne;
        let eapol = self.message(&ptk.kck, info, frame.replay_counter(), snonce, own_rsne)?;
        self.pending = Some(Pairwise { anonce, ptk });
        Ok(vec![Action::Send { eapol, clear: false }])
    }

    /// Message 3: check what the access point claims, answer with message 4, install (§12.7.6.4, §12.7.6.5).
    pub(super) fn message_3(
        &mut self,
        frame: &KeyFrame<'_>,
        protected: bool,
    ) -> Result<Vec<Action>, Discard> {
        // The handshake under way, or a repetition in the one that completed: a message 1 in between, which
        // nobody authenticated, must not prevent the answer.
        let of = |pairwise: &&Pairwise| pairwise.anonce == frame.nonce();
        let (ptk, repeated) = match (self.pending.as_ref().filter(of), self.current.as_ref().filter(of)) {
            (Some(pending), _) => (&pending.ptk, false),
            (None, Some(current)) => (&current.ptk, true),
            (None, None) => return Err(Discard::NonceMismatch),
        };
        if !rsn::verify_mic(self.binding.akm, &ptk.kck, frame.bytes()) {
            return Err(Discard::Mic);
        }
        let key_data = rsn::unwrap_key_data(&ptk.kek, frame.key_data()).map_err(|_| Discard::KeyData)?;
        let (key_id, gtk) = gtk_of(&key_data)?;
        // §12.7.6.4: the elements must be bit for bit those of the beacon or probe response.
        let elements = Elements::new(&key_data);
        if elements.find_whole(ElementId::RSN) != Some(&*self.binding.beacon_rsne)
            || elements.find_whole(ElementId::RSNX) != self.binding.beacon_rsnxe.as_deref()
        {
            return Ok(vec![Action::Deauthenticate(ReasonCode::HANDSHAKE_ELEMENT_MISMATCH)]);
        }
        let info = KeyInfo::PAIRWISE.with(KeyInfo::SECURE);
        let eapol = self.message(&ptk.kck, info, frame.replay_counter(), [0; 32], &[])?;
        let clear = repeated && !protected && self.repeated_m4 == RepeatedM4::AsAsked;
        let mut actions = vec![Action::Send { eapol, clear }];
        self.replay = Some(frame.replay_counter());
        // Keys that are installed already must not be installed again: their packet numbers would start over.
        if !repeated {
            actions.push(Action::InstallPtk(ptk.tk.clone()));
            let rekey = self.current.is_some();
            self.current = self.pending.take();
            self.snonce = None;
            actions.extend(self.take_gtk(key_id, gtk, Pn::from_rsc(frame.rsc())));
            actions.push(Action::Complete { rekey });
        }
        Ok(actions)
    }
}
