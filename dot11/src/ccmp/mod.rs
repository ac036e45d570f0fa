//! CCMP-128 for one frame, the reference that everything faster is tested against (802.11-2020 §12.5.3).
//!
//! ```text
//! protected frame  MAC header | CCMP header (8) | encrypted body | encrypted MIC (8)
//! CCMP header      PN0 PN1 0 [key id << 6 | ext IV << 5] PN2 PN3 PN4 PN5
//! nonce            [management << 4 | priority] A2 PN5 PN4 PN3 PN2 PN1 PN0
//! AAD              FC A1 A2 A3 SC [A4] [QC], what may change under way masked out
//! ```
//!
//! Nothing here looks at replay: the caller compares packet numbers, and moves its window only after the MIC has
//! verified.

mod aad;

use crate::rsn::Tk;
use crate::{Frame, FrameError, FrameKind};
pub use aad::{MAX_AAD_LEN, aad, aad_spp, nonce};
use aes::Aes128Enc;
use ccm::Ccm;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U8, U13};

/// Octets of the CCMP header.
pub const HEADER_LEN: usize = 8;
/// Octets of the MIC.
pub const MIC_LEN: usize = 8;

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
    #[error("no extended IV: the frame is not CCMP-protected")]
    NoExtendedIv,
    /// No room for CCMP header and MIC.
    #[error("truncated: {needed} octets needed, {got} there")]
    Truncated {
        /// Octets needed.
        needed: usize,
        /// Octets there.
        got: usize,
    },
    /// The body is longer than CCM with a two-octet length can take.
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

/// The CCMP header (802.11-2020 §12.5.3.2).
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

/// CCM as CCMP uses it: AES-128, a MIC of 8 octets, a nonce of 13 (802.11-2020 §12.5.3.1).
pub type Aes128Ccm = Ccm<Aes128Enc, U8, U13>;

/// A temporal key made ready for use. The free functions make one for each frame.
#[derive(Clone)]
pub struct Ccmp {
    cipher: Aes128Ccm,
    spp_amsdu: bool,
}

impl Ccmp {
    /// Expands a key. SPP A-MSDUs are not negotiated.
    pub fn new(tk: &Tk) -> Self {
        Self { cipher: Aes128Ccm::new(tk.as_bytes().into()), spp_amsdu: false }
    }

    /// The same with SPP A-MSDUs negotiated or not: whether the A-MSDU Present bit is authenticated.
    #[must_use]
    pub fn with_spp_amsdu(self, spp_amsdu: bool) -> Self {
        Self { spp_amsdu, ..self }
    }

    /// Seals a plain frame, setting its Protected Frame bit.
    ///
    /// # Errors
    /// As [`Ccmp::seal_in_place`].
    pub fn seal(&self, key_id: u8, pn: Pn, plain: &[u8]) -> Result<Vec<u8>, CcmpError> {
        let header_len = Frame::parse(plain)?.header_len();
        let (header, body) = plain.split_at(header_len);
        let mut out = Vec::with_capacity(plain.len() + HEADER_LEN + MIC_LEN);
        out.extend_from_slice(header);
        out.extend_from_slice(&[0; HEADER_LEN]);
        out.extend_from_slice(body);
        out.extend_from_slice(&[0; MIC_LEN]);
        self.seal_in_place(header_len, key_id, pn, &mut out)?;
        Ok(out)
    }

    /// Opens a protected frame. The plain frame comes back with its Protected Frame bit clear.
    ///
    /// # Errors
    /// As [`Ccmp::open_in_place`].
    pub fn open(&self, protected: &[u8]) -> Result<(CcmpHeader, Vec<u8>), CcmpError> {
        let frame = Frame::parse(protected)?;
        let header_len = frame.header_len();
        let mut out = protected.to_vec();
        let header = self.open_in_place(header_len, &mut out)?;
        out.truncate(out.len() - MIC_LEN);
        out.drain(header_len..header_len + HEADER_LEN);
        out[..2].copy_from_slice(&frame.control().with_protected(false).to_bytes());
        Ok((header, out))
    }

    /// Seals in place. `buf` is the MAC header, a hole of 8 octets, the plain body, a hole of 8 octets; the holes are
    /// filled in and the Protected Frame bit is set.
    ///
    /// # Errors
    /// [`CcmpError::Frame`], [`CcmpError::HeaderLength`], [`CcmpError::Kind`], [`CcmpError::Truncated`],
    /// [`CcmpError::TooLong`]. `buf` is then as it was.
    pub fn seal_in_place(
        &self,
        header_len: usize,
        key_id: u8,
        pn: Pn,
        buf: &mut [u8],
    ) -> Result<(), CcmpError> {
        let frame = check(header_len, buf)?;
        let control = frame.control().with_protected(true);
        let mut aad = [0; MAX_AAD_LEN];
        let aad_len = aad::write(&frame, self.spp_amsdu, &mut aad);
        let nonce = nonce(&frame, pn);
        let (header, rest) = buf.split_at_mut(header_len);
        // `check` has found room for both.
        let (ccmp_header, rest) = rest.split_at_mut(HEADER_LEN);
        let (body, mic) = rest.split_at_mut(rest.len() - MIC_LEN);
        let length = body.len();
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce.into(), &aad[..aad_len], body.into())
            .map_err(|_| CcmpError::TooLong(length))?;
        header[..2].copy_from_slice(&control.to_bytes());
        ccmp_header.copy_from_slice(&CcmpHeader { key_id: key_id & 3, pn }.to_bytes());
        mic.copy_from_slice(&tag);
        Ok(())
    }

    /// Opens in place: after it, the plain body lies at `header_len + 8 .. buf.len() - 8`. The MAC header stays as it
    /// was, Protected Frame bit included.
    ///
    /// # Errors
    /// [`CcmpError::Mic`], whereupon the body is wiped; with `buf` as it was [`CcmpError::Frame`],
    /// [`CcmpError::HeaderLength`], [`CcmpError::Kind`], [`CcmpError::NotProtected`], [`CcmpError::Truncated`],
    /// [`CcmpError::NoExtendedIv`], [`CcmpError::TooLong`].
    pub fn open_in_place(&self, header_len: usize, buf: &mut [u8]) -> Result<CcmpHeader, CcmpError> {
        let frame = check(header_len, buf)?;
        if !frame.control().protected() {
            return Err(CcmpError::NotProtected);
        }
        let ccmp_header = CcmpHeader::parse(frame.body())?;
        let mut aad = [0; MAX_AAD_LEN];
        let aad_len = aad::write(&frame, self.spp_amsdu, &mut aad);
        let nonce = nonce(&frame, ccmp_header.pn);
        let rest = &mut buf[header_len + HEADER_LEN..];
        let (body, mic) = rest.split_at_mut(rest.len() - MIC_LEN);
        let tag: [u8; MIC_LEN] = std::array::from_fn(|i| mic[i]);
        self.cipher
            .decrypt_inout_detached(&nonce.into(), &aad[..aad_len], body.into(), &tag.into())
            .map_err(|_| CcmpError::Mic)?;
        Ok(ccmp_header)
    }
}

impl std::fmt::Debug for Ccmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ccmp(…)")
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

/// A frame of a type that CCMP protects, with room for CCMP header and MIC behind its header.
fn check(header_len: usize, buf: &[u8]) -> Result<Frame<'_>, CcmpError> {
    let frame = Frame::parse(buf)?;
    match frame.kind() {
        FrameKind::Data(subtype) if subtype.has_data() => {}
        FrameKind::Management(subtype) if subtype.can_be_robust() => {}
        other => return Err(CcmpError::Kind(other)),
    }
    if frame.header_len() != header_len {
        return Err(CcmpError::HeaderLength { claimed: header_len, actual: frame.header_len() });
    }
    let needed = header_len + HEADER_LEN + MIC_LEN;
    if buf.len() < needed {
        return Err(CcmpError::Truncated { needed, got: buf.len() });
    }
    if buf.len() - needed > usize::from(u16::MAX) {
        return Err(CcmpError::TooLong(buf.len() - needed));
    }
    Ok(frame)
}
