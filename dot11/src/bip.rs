//! BIP: integrity of group-addressed management frames and beacons, for one frame (802.11-2020 §12.5.4).
//!
//! ```text
//! protected frame  MAC header | body | MMIE
//! MMIE             76, length, key id (2), IPN0..IPN5, MIC (8 with BIP-CMAC-128, else 16)
//! MIC over         FC A1 A2 A3, Retry, Power Management and More Data clear | body | MMIE, its MIC zero
//! GMAC's nonce     A2 IPN5 IPN4 IPN3 IPN2 IPN1 IPN0
//! ```
//!
//! Nothing here looks at replay: the caller compares IPNs, and moves its counter only after the MIC has verified.

use crate::ccmp::Pn;
use crate::{CipherSuite, Frame, FrameError, FrameKind, ManagementSubtype};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::aead::{AeadInOut, Nonce};
use aes_gcm::{AesGcm, KeyInit};
use ccm::consts::U12;
use cmac::{Cmac, Mac};
use subtle::ConstantTimeEq;

/// Element identifier of the MMIE (802.11-2020 §9.4.2.54).
const MMIE: u8 = 76;
/// Octets of the MMIE before its MIC.
const MMIE_FIXED: usize = 10;
/// Octets of a beacon's Timestamp field, which the radio writes.
const TIMESTAMP: usize = 8;
/// Retry, Power Management, More Data.
const CONTROL_MASK: u16 = 0x3800;

/// Why a frame cannot be protected or is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BipError {
    /// The MAC header is malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not one of the four suites of BIP.
    #[error("{0:?} is no suite of BIP")]
    Suite(CipherSuite),
    /// A key of the wrong length for the suite.
    #[error("an IGTK of {0} octets")]
    KeyLength(usize),
    /// Frames of this type are not protected by BIP.
    #[error("frames of this type are not protected by BIP: {0:?}")]
    Kind(FrameKind),
    /// The receiver is no group.
    #[error("the frame is not group-addressed")]
    NotGroup,
    /// The Protected Frame bit is set: the body is encrypted, or says so.
    #[error("the Protected Frame bit is set")]
    Encrypted,
    /// There is no MMIE at the end of the body.
    #[error("no MMIE at the end")]
    NoMmie,
    /// The MIC does not verify.
    #[error("MIC failure")]
    Mic,
}

/// What an MMIE says, but for the MIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MmieHeader {
    /// Identifier of the key: 4 or 5 of an IGTK, 6 or 7 of a BIGTK.
    pub key_id: u16,
    /// The IGTK packet number or BIGTK packet number.
    pub ipn: Pn,
}

/// An IGTK or BIGTK made ready for use.
#[derive(Clone)]
pub struct Bip(Key);

#[derive(Clone)]
enum Key {
    Cmac128(Cmac<Aes128Enc>),
    Cmac256(Cmac<Aes256Enc>),
    Gmac128(AesGcm<Aes128Enc, U12>),
    Gmac256(AesGcm<Aes256Enc, U12>),
}

impl Bip {
    /// Expands a key for one of the suites of BIP.
    ///
    /// # Errors
    /// [`BipError::Suite`], [`BipError::KeyLength`].
    pub fn new(suite: CipherSuite, key: &[u8]) -> Result<Self, BipError> {
        let length = BipError::KeyLength(key.len());
        Ok(Self(match suite {
            CipherSuite::BipCmac128 => Key::Cmac128(KeyInit::new_from_slice(key).map_err(|_| length)?),
            CipherSuite::BipCmac256 => Key::Cmac256(KeyInit::new_from_slice(key).map_err(|_| length)?),
            CipherSuite::BipGmac128 => Key::Gmac128(KeyInit::new_from_slice(key).map_err(|_| length)?),
            CipherSuite::BipGmac256 => Key::Gmac256(KeyInit::new_from_slice(key).map_err(|_| length)?),
            other => return Err(BipError::Suite(other)),
        }))
    }

    /// Octets of the MIC.
    pub const fn mic_len(&self) -> usize {
        if matches!(self.0, Key::Cmac128(_)) { 8 } else { 16 }
    }

    /// Octets of the MMIE.
    pub const fn mmie_len(&self) -> usize {
        MMIE_FIXED + self.mic_len()
    }

    /// The frame with its MMIE behind it.
    ///
    /// # Errors
    /// [`BipError::Frame`], [`BipError::Kind`], [`BipError::NotGroup`], [`BipError::Encrypted`].
    pub fn protect(&self, key_id: u16, ipn: Pn, plain: &[u8]) -> Result<Vec<u8>, BipError> {
        check(&Frame::parse(plain)?)?;
        let mut out = Vec::with_capacity(plain.len() + self.mmie_len());
        out.extend_from_slice(plain);
        out.extend_from_slice(&[MMIE, (self.mmie_len() - 2) as u8]);
        out.extend_from_slice(&key_id.to_le_bytes());
        out.extend_from_slice(&ipn.to_rsc()[..6]);
        out.resize(out.len() + self.mic_len(), 0);
        let mic = self.mic(&Frame::parse(&out)?, ipn);
        let at = out.len() - self.mic_len();
        out[at..].copy_from_slice(&mic[..self.mic_len()]);
        Ok(out)
    }

    /// Whether the MIC is right, and under which key and packet number it was made. Without the last
    /// [`Bip::mmie_len`] octets, the frame is the plain one.
    ///
    /// # Errors
    /// [`BipError::Frame`], [`BipError::Kind`], [`BipError::NotGroup`], [`BipError::Encrypted`],
    /// [`BipError::NoMmie`], [`BipError::Mic`].
    pub fn verify(&self, protected: &[u8]) -> Result<MmieHeader, BipError> {
        let frame = Frame::parse(protected)?;
        check(&frame)?;
        let header = self.mmie(&frame).ok_or(BipError::NoMmie)?;
        let mic = self.mic(&frame, header.ipn);
        let claimed = &protected[protected.len() - self.mic_len()..];
        if bool::from(mic[..self.mic_len()].ct_eq(claimed)) { Ok(header) } else { Err(BipError::Mic) }
    }

    /// What the MMIE of a frame says that has not been verified: enough to find the key and refuse a replay.
    ///
    /// # Errors
    /// [`BipError::NoMmie`].
    pub fn peek(&self, frame: &Frame<'_>) -> Result<MmieHeader, BipError> {
        self.mmie(frame).ok_or(BipError::NoMmie)
    }

    fn mmie(&self, frame: &Frame<'_>) -> Option<MmieHeader> {
        let at = frame.body().len().checked_sub(self.mmie_len())?;
        // The fixed fields of a beacon are no elements.
        let fixed = if is_beacon(frame) { TIMESTAMP } else { 0 };
        let (header, _) = frame.body().get(fixed..)?.get(at.checked_sub(fixed)?..)?.split_first_chunk()?;
        let &[id, length, key0, key1, ipn0, ipn1, ipn2, ipn3, ipn4, ipn5] = header;
        let ipn = Pn::from_rsc([ipn0, ipn1, ipn2, ipn3, ipn4, ipn5, 0, 0]);
        let there = id == MMIE && usize::from(length) == self.mmie_len() - 2;
        there.then_some(MmieHeader { key_id: u16::from_le_bytes([key0, key1]), ipn })
    }

    /// The MIC of a frame whose body ends in an MMIE, whatever stands in its place now.
    fn mic(&self, frame: &Frame<'_>, ipn: Pn) -> [u8; 16] {
        let control = frame.control().0 & !CONTROL_MASK;
        let body = &frame.body()[..frame.body().len() - self.mic_len()];
        let mut input = Vec::with_capacity(20 + frame.body().len());
        input.extend_from_slice(&control.to_le_bytes());
        input.extend_from_slice(&frame.header()[4..22]);
        input.extend_from_slice(body);
        input.resize(input.len() + self.mic_len(), 0);
        if is_beacon(frame) {
            // Written when the frame goes on the air, and so not covered (802.11-2020 §12.5.4.5).
            input[20..20 + TIMESTAMP].fill(0);
        }
        match &self.0 {
            Key::Cmac128(key) => key.clone().chain_update(&input).finalize().into_bytes().into(),
            Key::Cmac256(key) => key.clone().chain_update(&input).finalize().into_bytes().into(),
            Key::Gmac128(key) => gmac(key, frame, ipn, &input),
            Key::Gmac256(key) => gmac(key, frame, ipn, &input),
        }
    }
}

impl std::fmt::Debug for Bip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bip(…)")
    }
}

/// GCM of nothing, the input as additional data.
fn gmac<A: AeadInOut>(key: &A, frame: &Frame<'_>, ipn: Pn, input: &[u8]) -> [u8; 16] {
    let mut nonce = Nonce::<A>::default();
    let (transmitter, number) = nonce.split_at_mut(6);
    transmitter.copy_from_slice(&frame.addr2().unwrap_or_default().0);
    number.copy_from_slice(&ipn.value().to_be_bytes()[2..]);
    let mut mic = [0; 16];
    let nothing: &mut [u8] = &mut [];
    let tag = key.encrypt_inout_detached(&nonce, input, nothing.into());
    mic.copy_from_slice(&tag.expect("a frame is shorter than 2⁶¹ octets"));
    mic
}

fn is_beacon(frame: &Frame<'_>) -> bool {
    frame.kind() == FrameKind::Management(ManagementSubtype::Beacon)
}

/// A frame of a type that BIP protects.
fn check(frame: &Frame<'_>) -> Result<(), BipError> {
    match frame.kind() {
        FrameKind::Management(ManagementSubtype::Beacon) => {
            let needed = frame.header_len() + TIMESTAMP;
            let got = frame.bytes().len();
            if got < needed {
                return Err(FrameError::Truncated { needed, got }.into());
            }
        }
        FrameKind::Management(subtype) if subtype.can_be_robust() => {}
        other => return Err(BipError::Kind(other)),
    }
    if !frame.addr1().is_group() {
        return Err(BipError::NotGroup);
    }
    if frame.control().protected() { Err(BipError::Encrypted) } else { Ok(()) }
}
