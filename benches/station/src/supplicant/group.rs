//! The group key handshake (802.11-2020 §12.7.7).

use dot11::ccmp::Pn;
use dot11::eapol::kde::{KeyData, KeyDataItem};
use dot11::eapol::key::{KeyFrame, KeyInfo};
use dot11::rsn::{self, Gtk};

use super::{Action, Discard, Supplicant};

impl Supplicant {
    /// Message 1: answer with message 2, install the GTK (§12.7.7.2, §12.7.7.3).
    pub(super) fn group_message_1(&mut self, frame: &KeyFrame<'_>) -> Result<Vec<Action>, Discard> {
        // Before the first 4-way handshake there is no key that could make this authentic.
        let ptk = &self.current.as_ref().ok_or(Discard::Unexpected)?.ptk;
        if !rsn::verify_mic(self.binding.akm, &ptk.kck, frame.bytes()) {
            return Err(Discard::Mic);
        }
        let key_data = rsn::unwrap_key_data(&ptk.kek, frame.key_data()).map_err(|_| Discard::KeyData)?;
        let (key_id, gtk) = gtk_of(&key_data)?;
        let eapol = self.message(&ptk.kck, KeyInfo::SECURE, frame.replay_counter(), [0; 32], &[])?;
        self.replay = Some(frame.replay_counter());
        let mut actions = vec![Action::Send { eapol, clear: false }];
        actions.extend(self.take_gtk(key_id, gtk, Pn::from_rsc(frame.rsc())));
        actions.push(Action::GroupComplete);
        Ok(actions)
    }
}

/// Key id and GTK that the key data must contain, of the length and key id that CCMP-128 has.
pub(super) fn gtk_of(key_data: &[u8]) -> Result<(u8, Gtk), Discard> {
    for item in KeyData::new(key_data) {
        if let KeyDataItem::Gtk { key_id, gtk, .. } = item.map_err(|_| Discard::KeyData)? {
            let gtk = Gtk::try_from(gtk).map_err(|_| Discard::KeyData)?;
            return if key_id == 0 { Err(Discard::KeyData) } else { Ok((key_id, gtk)) };
        }
    }
    Err(Discard::KeyData)
}
