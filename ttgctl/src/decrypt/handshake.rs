//! Follows 4-way and group key handshakes that are heard, to the keys they agree on (802.11-2020 §12.7.6, §12.7.7).
//!
//! Nothing is taken on trust: a key counts once the MIC of a message has verified under it. So it does not matter
//! which messages were missed or repeated, or in what order they were captured, as long as both nonces were heard.

use std::collections::VecDeque;

use dot11::{
    MacAddr,
    eapol::{
        kde::{KeyData, KeyDataItem},
        key::{DESCRIPTOR_WPA, KeyFrame},
    },
    element::{Elements, Wpa},
    rsn::{Akm, CipherSuite, Kck, Kek, Pmk, Tk, derive_ptk, unwrap_key_data, verify_mic},
};

use super::keys::KeyList;

/// What one pair of devices has said of its keys.
#[derive(Default)]
pub struct Pair {
    /// Pairwise keys they agreed on.
    pub keys: KeyList,
    eapol: VecDeque<EapolKeys>,
    anonces: VecDeque<[u8; 32]>,
    snonces: VecDeque<([u8; 32], Option<Ciphers>)>,
    /// Length of the temporal key, as the AP has last announced it.
    key_length: u16,
    /// Messages with group keys that came before what is needed to check them.
    pending: VecDeque<Vec<u8>>,
}

/// A group key that a handshake handed out.
pub struct GroupKey {
    pub key_id: u8,
    pub tk: Tk,
}

/// The keys of EAPOL-Key frames, and what went with them.
struct EapolKeys {
    /// Stands for the MIC algorithm only.
    akm: Akm,
    kck: Kck,
    kek: Kek,
    ciphers: Option<Ciphers>,
}

/// What the device chose, from the RSN or WPA element in message 2.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ciphers {
    pairwise: Option<CipherSuite>,
    group: CipherSuite,
}

/// Nonces, keys and messages remembered of each side: messages are repeated, sometimes with new nonces.
const REMEMBERED: usize = 8;

impl Pair {
    /// Takes one EAPOL-Key PDU of the pair; group keys in it are returned. `intact` says that the frame is as it was
    /// sent, so that a MIC which does not verify means a key that is not known.
    pub fn eapol(
        &mut self,
        bssid: MacAddr,
        device: MacAddr,
        pdu: &[u8],
        pmks: &[Pmk],
        intact: bool,
    ) -> Vec<GroupKey> {
        let Ok(frame) = KeyFrame::parse(pdu) else { return Vec::new() };
        let info = frame.info();
        let from_ap = info.ack();
        if info.pairwise() {
            self.remember(&frame, intact);
        }
        if !info.mic() {
            return Vec::new();
        }
        let known = self.eapol.iter().any(|keys| keys.verify(&frame));
        if !known && info.pairwise() && self.derive(bssid, device, &frame, pmks) {
            let mut groups: Vec<GroupKey> = Vec::new();
            for earlier in std::mem::take(&mut self.pending) {
                if let Ok(earlier) = KeyFrame::parse(&earlier) {
                    groups.extend(self.group_keys(&earlier));
                }
            }
            if from_ap {
                groups.extend(self.group_keys(&frame));
            }
            return groups;
        }
        if !known && intact {
            if info.pairwise() {
                self.keys.unsettle();
            }
            if from_ap && !frame.key_data().is_empty() {
                push(&mut self.pending, frame.bytes().to_vec());
            }
        }
        if from_ap { self.group_keys(&frame) } else { Vec::new() }
    }

    /// Nonces and ciphers of a message of the 4-way handshake.
    fn remember(&mut self, frame: &KeyFrame<'_>, intact: bool) {
        let (info, nonce) = (frame.info(), frame.nonce());
        if nonce == [0; 32] {
            return;
        }
        if info.ack() {
            self.key_length = frame.key_length();
            if !self.anonces.contains(&nonce) {
                push(&mut self.anonces, nonce);
                // A handshake begins, at whose end there is another key.
                if intact {
                    self.keys.unsettle();
                }
            }
        } else if !self.snonces.iter().any(|(known, _)| *known == nonce) {
            push(&mut self.snonces, (nonce, ciphers(frame.key_data())));
        }
    }

    /// Finds the key under which this message's MIC verifies, from what was heard of both nonces.
    fn derive(&mut self, bssid: MacAddr, device: MacAddr, frame: &KeyFrame<'_>, pmks: &[Pmk]) -> bool {
        let version = frame.info().descriptor_version();
        // SAE's keys derive as those of PSK with SHA-256 do; only the descriptor version differs
        // (802.11-2020 Table 12-10). Fast transition has a key hierarchy of its own.
        let (akm, mic_akm) = match version {
            1 | 2 => (Akm::Psk, Akm::Psk),
            3 => (Akm::PskSha256, Akm::PskSha256),
            0 => (Akm::PskSha256, Akm::Sae),
            _ => return false,
        };
        // The nonce in the message is one of the two.
        let own = Some(frame.nonce()).filter(|nonce| *nonce != [0; 32]);
        let (own_a, own_s) = if frame.info().ack() { (own, None) } else { (None, own) };
        for pmk in pmks {
            for anonce in self.anonces.iter().rev().filter(|nonce| own_a.is_none_or(|own| own == **nonce)) {
                for (snonce, ciphers) in
                    self.snonces.iter().rev().filter(|(nonce, _)| own_s.is_none_or(|own| own == *nonce))
                {
                    let Ok(ptk) = derive_ptk(akm, pmk, bssid, device, anonce, snonce) else { continue };
                    if !verify_mic(mic_akm, &ptk.kck, frame.bytes()) {
                        continue;
                    }
                    // Descriptor version 1 goes with TKIP, and a key of another length with another cipher.
                    let ccmp = match ciphers.and_then(|ciphers| ciphers.pairwise) {
                        Some(cipher) => cipher == CipherSuite::Ccmp128,
                        None => version != 1 && matches!(self.key_length, 0 | 16),
                    };
                    if ccmp {
                        self.keys.add(ptk.tk);
                    } else {
                        self.keys.unsettle();
                    }
                    let keys = EapolKeys { akm: mic_akm, kck: ptk.kck, kek: ptk.kek, ciphers: *ciphers };
                    push(&mut self.eapol, keys);
                    return true;
                }
            }
        }
        false
    }

    /// Group keys in the key data of message 3, or of the group handshake's message 1.
    fn group_keys(&self, frame: &KeyFrame<'_>) -> Vec<GroupKey> {
        let info = frame.info();
        if frame.key_data().is_empty() || info.pairwise() && !info.encrypted_key_data() {
            return Vec::new();
        }
        let Some(keys) = self.eapol.iter().rev().find(|keys| keys.verify(frame)) else { return Vec::new() };
        if keys.ciphers.is_some_and(|ciphers| ciphers.group != CipherSuite::Ccmp128) {
            return Vec::new();
        }
        let Ok(plain) = unwrap_key_data(&keys.kek, frame.key_data()) else { return Vec::new() };
        if frame.descriptor() == DESCRIPTOR_WPA {
            // The key alone; its identifier is in bits 4 and 5 of the key information.
            let key_id = ((info.0 >> 4) & 0x3) as u8;
            return Tk::try_from(&plain[..]).map(|tk| GroupKey { key_id, tk }).into_iter().collect();
        }
        let gtk = |item| match item {
            // 16 octets: CCMP. TKIP's key has 32, and none of its frames is opened here.
            Ok(KeyDataItem::Gtk { key_id, gtk, .. }) => {
                Tk::try_from(gtk).ok().map(|tk| GroupKey { key_id, tk })
            }
            _ => None,
        };
        KeyData::new(&plain).filter_map(gtk).collect()
    }
}

impl EapolKeys {
    fn verify(&self, frame: &KeyFrame<'_>) -> bool {
        verify_mic(self.akm, &self.kck, frame.bytes())
    }
}

/// What the RSN or WPA element in the key data of message 2 chooses.
fn ciphers(key_data: &[u8]) -> Option<Ciphers> {
    let elements = Elements::new(key_data);
    if let Some(Ok(rsn)) = elements.rsn() {
        return Some(Ciphers { pairwise: rsn.pairwise.first().copied(), group: rsn.group });
    }
    let wpa = Wpa::parse(elements.find_vendor(Wpa::SELECTOR)?).ok()?;
    // The same numbers under another OUI.
    let suite = |[.., number]: [u8; 4]| CipherSuite::from_selector([0x00, 0x0f, 0xac, number]);
    Some(Ciphers { pairwise: wpa.pairwise.first().copied().map(suite), group: suite(wpa.group) })
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == REMEMBERED {
        list.pop_front();
    }
    list.push_back(item);
}
