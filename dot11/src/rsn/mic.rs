//! The MIC of EAPOL-Key frames (802.11-2020 §12.7.2, Table 12-10).

use super::derive::hmac;
use super::{Akm, Kck, KeyError};
use crate::eapol::key::{KeyFrame, MIC_LEN, MIC_OFFSET};
use aes::Aes128;
use cmac::Cmac;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// The MIC of an EAPOL-Key frame, computed with its MIC field taken as zero, whatever it holds.
///
/// AKM 1 and 2 use what the frame's descriptor version says: HMAC-MD5 (1) or HMAC-SHA-1-128 (2). AKM 3 to 6 use
/// AES-128-CMAC and descriptor version 3; AKM 8 and 9 AES-128-CMAC and descriptor version 0.
///
/// # Errors
/// [`KeyError::UnsupportedAkm`]; [`KeyError::UnsupportedDescriptorVersion`] when the descriptor version does not go
/// with the AKM; [`KeyError::Eapol`] when `frame` is no EAPOL-Key frame.
pub fn mic(akm: Akm, kck: &Kck, frame: &[u8]) -> Result<[u8; MIC_LEN], KeyError> {
    let view = KeyFrame::parse(frame)?;
    let (before, after) = view.bytes().split_at(MIC_OFFSET);
    let parts: [&[u8]; 3] = [before, &[0; MIC_LEN], &after[MIC_LEN..]];
    let version = view.info().descriptor_version();
    match (akm, version) {
        (Akm::Ieee8021x | Akm::Psk, 1) => Ok(hmac::<Hmac<Md5>>(kck.as_bytes(), &parts).into()),
        (Akm::Ieee8021x | Akm::Psk, 2) => {
            let digest = hmac::<Hmac<Sha1>>(kck.as_bytes(), &parts);
            Ok(std::array::from_fn(|i| digest[i]))
        }
        (Akm::FtIeee8021x | Akm::FtPsk | Akm::Ieee8021xSha256 | Akm::PskSha256, 3)
        | (Akm::Sae | Akm::FtSae, 0) => {
            let mut cmac = Cmac::<Aes128>::new(kck.as_bytes().into());
            parts.iter().for_each(|part| cmac.update(part));
            Ok(cmac.finalize().into_bytes().into())
        }
        (
            Akm::Ieee8021x
            | Akm::Psk
            | Akm::FtIeee8021x
            | Akm::FtPsk
            | Akm::Ieee8021xSha256
            | Akm::PskSha256
            | Akm::Sae
            | Akm::FtSae,
            version,
        ) => Err(KeyError::UnsupportedDescriptorVersion { version, akm }),
        (other, _) => Err(KeyError::UnsupportedAkm(other)),
    }
}

/// Writes the MIC into an EAPOL-Key frame whose Key Information already says that it has one.
///
/// # Errors
/// As [`mic`].
pub fn sign(akm: Akm, kck: &Kck, frame: &mut [u8]) -> Result<(), KeyError> {
    let mic = mic(akm, kck, frame)?;
    // An EAPOL-Key frame has at least 99 octets, as `mic` has found.
    frame[MIC_OFFSET..MIC_OFFSET + MIC_LEN].copy_from_slice(&mic);
    Ok(())
}

/// Whether an EAPOL-Key frame announces a MIC and it is right, compared in constant time. A frame that is malformed
/// or of another descriptor version than the AKM's is not right.
pub fn verify_mic(akm: Akm, kck: &Kck, frame: &[u8]) -> bool {
    let Ok(view) = KeyFrame::parse(frame) else { return false };
    let Ok(expected) = mic(akm, kck, frame) else { return false };
    view.info().mic() && bool::from(expected.ct_eq(&view.mic()))
}
