//! Key derivation: passphrase to PMK, PMK to PTK, PMKID (802.11-2020 §12.7.1 and Annex J.4).

use super::{Akm, Kck, Kek, KeyError, Passphrase, Pmk, Pmkid, Ptk, Tk};
use crate::MacAddr;
use crate::element::Ssid;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The PMK of a passphrase: PBKDF2 with HMAC-SHA-1, the SSID as salt, 4096 rounds (802.11-2020 Annex J.4.1). It takes
/// milliseconds.
pub fn pmk_from_passphrase(passphrase: &Passphrase, ssid: &Ssid) -> Pmk {
    let mut pmk = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha1>(passphrase.as_str().as_bytes(), ssid.as_bytes(), 4096, &mut *pmk);
    Pmk::new(*pmk)
}

/// The PTK (802.11-2020 §12.7.1.3): 384 bits by PRF with SHA-1 for AKM 1 and 2, by KDF with SHA-256 for 5 and 6.
/// `aa` is the authenticator's address (the BSSID), `spa` the supplicant's.
///
/// # Errors
/// [`KeyError::UnsupportedAkm`] for other AKMs.
pub fn derive_ptk(
    akm: Akm,
    pmk: &Pmk,
    aa: MacAddr,
    spa: MacAddr,
    anonce: &[u8; 32],
    snonce: &[u8; 32],
) -> Result<Ptk, KeyError> {
    const LABEL: &str = "Pairwise key expansion";
    let mut context = [0; 76];
    context[..6].copy_from_slice(&aa.min(spa).0);
    context[6..12].copy_from_slice(&aa.max(spa).0);
    context[12..44].copy_from_slice(anonce.min(snonce));
    context[44..].copy_from_slice(anonce.max(snonce));
    let mut ptk = Zeroizing::new([0; 48]);
    match akm {
        Akm::Ieee8021x | Akm::Psk => prf(pmk.as_bytes(), LABEL, &context, &mut *ptk),
        Akm::Ieee8021xSha256 | Akm::PskSha256 => kdf_sha256(pmk.as_bytes(), LABEL, &context, &mut *ptk),
        other => return Err(KeyError::UnsupportedAkm(other)),
    }
    Ok(Ptk {
        kck: Kck::new(std::array::from_fn(|i| ptk[i])),
        kek: Kek::new(std::array::from_fn(|i| ptk[16 + i])),
        tk: Tk::new(std::array::from_fn(|i| ptk[32 + i])),
    })
}

/// The PMKID (802.11-2020 §12.7.1.3): HMAC over "PMK Name", AA and SPA, truncated to 128 bits; SHA-1 for AKM 1 and 2,
/// SHA-256 for 5 and 6.
///
/// # Errors
/// [`KeyError::UnsupportedAkm`] for other AKMs.
pub fn pmkid(akm: Akm, pmk: &Pmk, aa: MacAddr, spa: MacAddr) -> Result<Pmkid, KeyError> {
    let parts: [&[u8]; 3] = [b"PMK Name", &aa.0, &spa.0];
    match akm {
        Akm::Ieee8021x | Akm::Psk => {
            let digest: [u8; 20] = hmac::<Hmac<Sha1>>(pmk.as_bytes(), &parts).into();
            Ok(Pmkid(std::array::from_fn(|i| digest[i])))
        }
        Akm::Ieee8021xSha256 | Akm::PskSha256 => {
            let digest: [u8; 32] = hmac::<Hmac<Sha256>>(pmk.as_bytes(), &parts).into();
            Ok(Pmkid(std::array::from_fn(|i| digest[i])))
        }
        other => Err(KeyError::UnsupportedAkm(other)),
    }
}

/// PRF-Length with HMAC-SHA-1 (802.11-2020 §12.7.1.2): fills `out`, whose length in bits is Length. At most 256
/// blocks of 20 octets can be had; beyond that the block counter wraps.
pub fn prf(key: &[u8], label: &str, context: &[u8], out: &mut [u8]) {
    for (counter, block) in out.chunks_mut(20).enumerate() {
        let digest = hmac::<Hmac<Sha1>>(key, &[label.as_bytes(), &[0], context, &[counter as u8]]);
        block.copy_from_slice(&digest[..block.len()]);
    }
}

/// KDF-SHA-256-Length (802.11-2020 §12.7.1.6.2): fills `out`, whose length in bits (below 65536) is Length.
pub fn kdf_sha256(key: &[u8], label: &str, context: &[u8], out: &mut [u8]) {
    let length = (out.len() * 8) as u16;
    for (counter, block) in (1u16..).zip(out.chunks_mut(32)) {
        let parts: [&[u8]; 4] = [&counter.to_le_bytes(), label.as_bytes(), context, &length.to_le_bytes()];
        let digest = hmac::<Hmac<Sha256>>(key, &parts);
        block.copy_from_slice(&digest[..block.len()]);
    }
}

/// HMAC over the concatenation of `parts`.
pub(super) fn hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> hmac::digest::Output<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes()
}
