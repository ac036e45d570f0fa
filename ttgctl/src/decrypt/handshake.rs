//! Follows 4-way and group key handshakes that are heard, to the keys they agree on (802.11-2020 §12.7.6, §12.7.7).

use dot11::{
    MacAddr,
    eapol::{
        kde::{KeyData, KeyDataItem},
        key::{DESCRIPTOR_WPA, KeyFrame},
    },
    rsn::{Akm, Kek, Pmk, Ptk, Tk, derive_ptk, unwrap_key_data, verify_mic},
};

use super::keys::KeyList;

/// What one pair of devices has said of its keys.
#[derive(Default)]
pub struct Pair {
    /// Pairwise keys they agreed on.
    pub keys: KeyList,
    /// AKM of the association, when its request was heard.
    pub akm: Option<Akm>,
    anonces: Vec<[u8; 32]>,
    snonces: Vec<[u8; 32]>,
}

/// A group key that a handshake handed out.
pub struct GroupKey {
    pub key_id: u8,
    pub tk: Tk,
}

/// Nonces remembered of each side: messages are repeated, sometimes with new ones.
const NONCES: usize = 8;

impl Pair {
    /// Takes one EAPOL-Key PDU of the pair; group keys in it are returned.
    pub fn eapol(&mut self, bssid: MacAddr, device: MacAddr, pdu: &[u8], pmks: &[Pmk]) -> Vec<GroupKey> {
        let Ok(frame) = KeyFrame::parse(pdu) else { return Vec::new() };
        let info = frame.info();
        let from_ap = info.ack();
        let nonce = frame.nonce();
        if nonce != [0; 32] && info.pairwise() {
            remember(if from_ap { &mut self.anonces } else { &mut self.snonces }, nonce);
        }
        if !info.mic() {
            return Vec::new();
        }
        if info.pairwise()
            && let Some(ptk) = self.derive(bssid, device, &frame, pmks)
        {
            self.keys.add(ptk.tk, Some((ptk.kck, ptk.kek)));
        }
        if from_ap { self.group_keys(&frame) } else { Vec::new() }
    }

    /// The key under which this message's MIC verifies, from what was heard of both nonces.
    fn derive(&self, bssid: MacAddr, device: MacAddr, frame: &KeyFrame<'_>, pmks: &[Pmk]) -> Option<Ptk> {
        let akms: &[Akm] = match (self.akm, frame.info().descriptor_version()) {
            (Some(Akm::Psk | Akm::Ieee8021x), 1 | 2) | (None, 1 | 2) => &[Akm::Psk],
            (Some(Akm::PskSha256 | Akm::Ieee8021xSha256), 3) | (None, 3) => &[Akm::PskSha256],
            _ => return None,
        };
        for &akm in akms {
            for pmk in pmks {
                for anonce in self.anonces.iter().rev() {
                    for snonce in self.snonces.iter().rev() {
                        let Ok(ptk) = derive_ptk(akm, pmk, bssid, device, anonce, snonce) else { continue };
                        if verify_mic(akm, &ptk.kck, frame.bytes()) {
                            return Some(ptk);
                        }
                    }
                }
            }
        }
        None
    }

    /// Group keys in the key data of message 3, or of the group handshake's message 1.
    fn group_keys(&self, frame: &KeyFrame<'_>) -> Vec<GroupKey> {
        let info = frame.info();
        let wpa = frame.descriptor() == DESCRIPTOR_WPA;
        if frame.key_data().is_empty() || info.pairwise() && !info.encrypted_key_data() {
            return Vec::new();
        }
        let akm = if info.descriptor_version() == 3 { Akm::PskSha256 } else { Akm::Psk };
        for (kck, kek) in self.keys.iter().filter_map(|key| key.eapol.as_ref()) {
            if !verify_mic(akm, kck, frame.bytes()) {
                continue;
            }
            let Some(plain) = unwrap(kek, frame.key_data()) else { continue };
            if wpa {
                // The key alone; its identifier is in bits 4 and 5 of the key information.
                let key_id = ((info.0 >> 4) & 0x3) as u8;
                return Tk::try_from(&plain[..]).map(|tk| GroupKey { key_id, tk }).into_iter().collect();
            }
            return KeyData::new(&plain)
                .filter_map(|item| match item {
                    Ok(KeyDataItem::Gtk { key_id, gtk, .. }) => {
                        // 16 octets: CCMP. TKIP's key has 32, and none of its frames is opened here.
                        Tk::try_from(gtk).ok().map(|tk| GroupKey { key_id, tk })
                    }
                    _ => None,
                })
                .collect();
        }
        Vec::new()
    }
}

fn unwrap(kek: &Kek, wrapped: &[u8]) -> Option<Vec<u8>> {
    unwrap_key_data(kek, wrapped).ok().map(|plain| plain.to_vec())
}

fn remember(nonces: &mut Vec<[u8; 32]>, nonce: [u8; 32]) {
    nonces.retain(|known| *known != nonce);
    if nonces.len() == NONCES {
        nonces.remove(0);
    }
    nonces.push(nonce);
}
