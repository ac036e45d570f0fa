//! CCMP for one frame, the reference that everything faster is tested against (802.11-2020 §12.5.3).
//!
//! ```text
//! protected frame  MAC header | CCMP header (8) | encrypted body | encrypted MIC (8; CCMP-256: 16)
//! CCMP header      PN0 PN1 0 [key id << 6 | ext IV << 5] PN2 PN3 PN4 PN5
//! nonce            [management << 4 | priority] A2 PN5 PN4 PN3 PN2 PN1 PN0
//! AAD              FC A1 A2 A3 SC [A4] [QC], what may change under way masked out
//! ```
//!
//! Nothing here looks at replay: the caller compares packet numbers, and moves its window only after the MIC has
//! verified.

mod aad;
mod protection;

use crate::rsn::{Tk, Tk256};
use crate::{FrameError, FrameKind};
pub use aad::{MAX_AAD_LEN, aad, aad_spp, nonce, write_aad};
use aes::{Aes128Enc, Aes256Enc};
use ccm::Ccm;
pub use ccm::aead::AeadInOut;
use ccm::aead::KeyInit;
use ccm::consts::{U8, U13, U16};
pub use protection::{Protection, protectable};

/// Octets of the CCMP header.
pub const HEADER_LEN: usize = 8;
/// Octets of the MIC of CCMP-128.
pub const MIC_LEN: usize = 8;
/// Octets of the MIC of CCMP-256.
pub const MIC_LEN_256: usize = 16;

/// Why a frame cannot be sealed or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CcmpError {
    /// The MAC header is malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The header is not as long as the caller says.
    #[error("MAC header of {actual} octets, not {claimed}")]
    HeaderLength {
        /// What the caller says.
        claimed: usize,
        /// What the Frame Control field says.
        actual: usize,
    },
    /// Frames of this type are never protected.
    #[error("frames of this type are not protected: {0:?}")]
    Kind(FrameKind),
    /// The Protected Frame bit is clear.
    #[error("the frame is not protected")]
    NotProtected,
    /// The Ext IV bit is clear: this is WEP.
    #[error("no extended IV: the frame is protected by WEP, if at all")]
    NoExtendedIv,
    /// No room for the security header and the MIC.
    #[error("truncated: {needed} octets needed, {got} there")]
    Truncated {
        /// Octets needed.
        needed: usize,
        /// Octets there.
        got: usize,
    },
    /// The body is longer than CCM with a two-octet length can take; far longer than any MPDU.
    #[error("a body of {0} octets is too long")]
    TooLong(usize),
    /// The MIC does not verify.
    #[error("MIC failure")]
    Mic,
}

/// A 48-bit packet number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Pn(u64);

impl Pn {
    /// The last one: after it the key must not be used any more.
    pub const MAX: Pn = Pn((1 << 48) - 1);
    /// Before the first one.
    pub const ZERO: Pn = Pn(0);

    /// From its value; `None` beyond 48 bits.
    #[inline]
    pub const fn new(value: u64) -> Option<Pn> {
        if value <= Self::MAX.0 { Some(Pn(value)) } else { None }
    }

    /// The value.
    #[inline]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The next one; `None` when the key is exhausted.
    #[inline]
    pub const fn next(self) -> Option<Pn> {
        Self::new(self.0 + 1)
    }

    /// As the key RSC of an EAPOL-Key frame: least significant octet first (802.11-2020 §12.7.2).
    pub const fn to_rsc(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// From the key RSC of an EAPOL-Key frame; the two high octets are not used.
    pub const fn from_rsc(rsc: [u8; 8]) -> Pn {
        Pn(u64::from_le_bytes(rsc) & Self::MAX.0)
    }
}

/// The CCMP header (802.11-2020 §12.5.3.2), which is the GCMP header too (§12.5.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CcmpHeader {
    /// Key identifier, 0 to 3.
    pub key_id: u8,
    /// Packet number.
    pub pn: Pn,
}

impl CcmpHeader {
    /// Parses the front of a protected frame's body.
    ///
    /// # Errors
    /// [`CcmpError::Truncated`], [`CcmpError::NoExtendedIv`].
    #[inline]
    pub fn parse(body: &[u8]) -> Result<Self, CcmpError> {
        let Some(&[pn0, pn1, _, flags, pn2, pn3, pn4, pn5]) = body.first_chunk::<HEADER_LEN>() else {
            return Err(CcmpError::Truncated { needed: HEADER_LEN, got: body.len() });
        };
        if flags & 0x20 == 0 {
            return Err(CcmpError::NoExtendedIv);
        }
        let pn = Pn(u64::from_le_bytes([pn0, pn1, pn2, pn3, pn4, pn5, 0, 0]));
        Ok(Self { key_id: flags >> 6, pn })
    }

    /// The octets.
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [pn0, pn1, pn2, pn3, pn4, pn5, ..] = self.pn.0.to_le_bytes();
        [pn0, pn1, 0, self.key_id << 6 | 0x20, pn2, pn3, pn4, pn5]
    }
}

/// CCM as CCMP-128 uses it: AES-128, a MIC of 8 octets, a nonce of 13 (802.11-2020 §12.5.3.1).
pub type Aes128Ccm = Ccm<Aes128Enc, U8, U13>;
/// CCM as CCMP-256 uses it: AES-256, a MIC of 16 octets, a nonce of 13.
pub type Aes256Ccm = Ccm<Aes256Enc, U16, U13>;

/// A temporal key for CCMP-128.
pub type Ccmp = Protection<Aes128Ccm>;
/// A temporal key for CCMP-256.
pub type Ccmp256 = Protection<Aes256Ccm>;

impl Ccmp {
    /// Expands a key. SPP A-MSDUs are not negotiated.
    pub fn new(tk: &Tk) -> Self {
        Self::from_cipher(Aes128Ccm::new(tk.as_bytes().into()))
    }
}

impl Ccmp256 {
    /// Expands a key. SPP A-MSDUs are not negotiated.
    pub fn new(tk: &Tk256) -> Self {
        Self::from_cipher(Aes256Ccm::new(tk.as_bytes().into()))
    }
}

/// Seals one frame; see [`Ccmp::seal`].
///
/// # Errors
/// As [`Ccmp::seal_in_place`].
pub fn seal(tk: &Tk, key_id: u8, pn: Pn, plain: &[u8]) -> Result<Vec<u8>, CcmpError> {
    Ccmp::new(tk).seal(key_id, pn, plain)
}

/// Opens one frame; see [`Ccmp::open`].
///
/// # Errors
/// As [`Ccmp::open_in_place`].
pub fn open(tk: &Tk, protected: &[u8]) -> Result<(CcmpHeader, Vec<u8>), CcmpError> {
    Ccmp::new(tk).open(protected)
}

/// Seals one frame in place; see [`Ccmp::seal_in_place`].
///
/// # Errors
/// As [`Ccmp::seal_in_place`].
pub fn seal_in_place(
    tk: &Tk,
    header_len: usize,
    key_id: u8,
    pn: Pn,
    buf: &mut [u8],
) -> Result<(), CcmpError> {
    Ccmp::new(tk).seal_in_place(header_len, key_id, pn, buf)
}

/// Opens one frame in place; see [`Ccmp::open_in_place`].
///
/// # Errors
/// As [`Ccmp::open_in_place`].
pub fn open_in_place(tk: &Tk, header_len: usize, buf: &mut [u8]) -> Result<CcmpHeader, CcmpError> {
    Ccmp::new(tk).open_in_place(header_len, buf)
}
