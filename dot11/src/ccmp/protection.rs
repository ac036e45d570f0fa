//! Seals and opens frames under any AEAD of 802.11: CCMP and GCMP differ in the cipher and the length of the MIC, and in nothing else.

use super::{CcmpError, CcmpHeader, HEADER_LEN, MAX_AAD_LEN, Pn, nonce, write_aad};
use crate::{Frame, FrameKind};
use ccm::aead::array::typenum::Unsigned;
use ccm::aead::{AeadCore, AeadInOut, Nonce, Tag};

/// A temporal key made ready for use: [`Ccmp`](super::Ccmp), [`Ccmp256`](super::Ccmp256),
/// [`Gcmp`](crate::gcmp::Gcmp) or [`Gcmp256`](crate::gcmp::Gcmp256).
#[derive(Clone)]
pub struct Protection<A> {
    cipher: A,
    spp_amsdu: bool,
}

impl<A: AeadInOut> Protection<A> {
    /// Octets of the MIC.
    pub const MIC_LEN: usize = <A as AeadCore>::TagSize::USIZE;

    pub(crate) fn from_cipher(cipher: A) -> Self {
        Self { cipher, spp_amsdu: false }
    }

    /// The same with SPP A-MSDUs negotiated or not: whether the A-MSDU Present bit is authenticated.
    #[must_use]
    pub fn with_spp_amsdu(self, spp_amsdu: bool) -> Self {
        Self { spp_amsdu, ..self }
    }

    /// Seals a plain frame, setting its Protected Frame bit.
    ///
    /// # Errors
    /// As [`Protection::seal_in_place`].
    pub fn seal(&self, key_id: u8, pn: Pn, plain: &[u8]) -> Result<Vec<u8>, CcmpError> {
        let header_len = Frame::parse(plain)?.header_len();
        let (header, body) = plain.split_at(header_len);
        let mut out = Vec::with_capacity(plain.len() + HEADER_LEN + Self::MIC_LEN);
        out.extend_from_slice(header);
        out.extend_from_slice(&[0; HEADER_LEN]);
        out.extend_from_slice(body);
        out.resize(out.len() + Self::MIC_LEN, 0);
        self.seal_in_place(header_len, key_id, pn, &mut out)?;
        Ok(out)
    }

    /// Opens a protected frame. The plain frame comes back with its Protected Frame bit clear.
    ///
    /// # Errors
    /// As [`Protection::open_in_place`].
    pub fn open(&self, protected: &[u8]) -> Result<(CcmpHeader, Vec<u8>), CcmpError> {
        let frame = Frame::parse(protected)?;
        let header_len = frame.header_len();
        let mut out = protected.to_vec();
        let header = self.open_in_place(header_len, &mut out)?;
        out.truncate(out.len() - Self::MIC_LEN);
        out.drain(header_len..header_len + HEADER_LEN);
        out[..2].copy_from_slice(&frame.control().with_protected(false).to_bytes());
        Ok((header, out))
    }

    /// Seals in place. `buf` is the MAC header, a hole of 8 octets, the plain body, a hole of [`Protection::MIC_LEN`]
    /// octets; the holes are filled in and the Protected Frame bit is set.
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
        let frame = protectable(header_len, Self::MIC_LEN, buf)?;
        let control = frame.control().with_protected(true);
        let mut aad = [0; MAX_AAD_LEN];
        let aad_len = write_aad(&frame, self.spp_amsdu, &mut aad);
        let nonce = Self::nonce(&frame, pn);
        let (header, rest) = buf.split_at_mut(header_len);
        // `protectable` has found room for both.
        let (security_header, rest) = rest.split_at_mut(HEADER_LEN);
        let (body, mic) = rest.split_at_mut(rest.len() - Self::MIC_LEN);
        let length = body.len();
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce, &aad[..aad_len], body.into())
            .map_err(|_| CcmpError::TooLong(length))?;
        header[..2].copy_from_slice(&control.to_bytes());
        security_header.copy_from_slice(&CcmpHeader { key_id: key_id & 3, pn }.to_bytes());
        mic.copy_from_slice(&tag);
        Ok(())
    }

    /// Opens in place: after it, the plain body lies at `header_len + 8 .. buf.len() - MIC_LEN`. The MAC header stays
    /// as it was, Protected Frame bit included.
    ///
    /// # Errors
    /// [`CcmpError::Mic`], whereupon the body is wiped; with `buf` as it was [`CcmpError::Frame`],
    /// [`CcmpError::HeaderLength`], [`CcmpError::Kind`], [`CcmpError::NotProtected`], [`CcmpError::Truncated`],
    /// [`CcmpError::NoExtendedIv`], [`CcmpError::TooLong`].
    pub fn open_in_place(&self, header_len: usize, buf: &mut [u8]) -> Result<CcmpHeader, CcmpError> {
        let frame = protectable(header_len, Self::MIC_LEN, buf)?;
        if !frame.control().protected() {
            return Err(CcmpError::NotProtected);
        }
        let security_header = CcmpHeader::parse(frame.body())?;
        let mut aad = [0; MAX_AAD_LEN];
        let aad_len = write_aad(&frame, self.spp_amsdu, &mut aad);
        let nonce = Self::nonce(&frame, security_header.pn);
        let rest = &mut buf[header_len + HEADER_LEN..];
        let (body, mic) = rest.split_at_mut(rest.len() - Self::MIC_LEN);
        let mut tag = Tag::<A>::default();
        tag.copy_from_slice(mic);
        let opened = self.cipher.decrypt_inout_detached(&nonce, &aad[..aad_len], (&mut *body).into(), &tag);
        opened.map_err(|_| {
            body.fill(0);
            CcmpError::Mic
        })?;
        Ok(security_header)
    }

    /// That of CCMP; GCMP's is without the flags in front (802.11-2020 §12.5.5.3.4).
    fn nonce(frame: &Frame<'_>, pn: Pn) -> Nonce<A> {
        let whole = nonce(frame, pn);
        let mut nonce = Nonce::<A>::default();
        nonce.copy_from_slice(&whole[whole.len() - <A as AeadCore>::NonceSize::USIZE..]);
        nonce
    }
}

impl<A> std::fmt::Debug for Protection<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Protection(…)")
    }
}

/// The frame in `buf`, if it is one that CCMP and GCMP protect, has a MAC header of `header_len` octets and, behind it, room for the
/// security header and a MIC of `mic_len` octets.
///
/// # Errors
/// [`CcmpError::Frame`], [`CcmpError::HeaderLength`], [`CcmpError::Kind`], [`CcmpError::Truncated`], [`CcmpError::TooLong`].
#[inline]
pub fn protectable(header_len: usize, mic_len: usize, buf: &[u8]) -> Result<Frame<'_>, CcmpError> {
    let frame = Frame::parse(buf)?;
    match frame.kind() {
        FrameKind::Data(subtype) if subtype.has_data() => {}
        FrameKind::Management(subtype) if subtype.can_be_robust() => {}
        other => return Err(CcmpError::Kind(other)),
    }
    if frame.header_len() != header_len {
        return Err(CcmpError::HeaderLength { claimed: header_len, actual: frame.header_len() });
    }
    let needed = header_len + HEADER_LEN + mic_len;
    if buf.len() < needed {
        return Err(CcmpError::Truncated { needed, got: buf.len() });
    }
    if buf.len() - needed > usize::from(u16::MAX) {
        return Err(CcmpError::TooLong(buf.len() - needed));
    }
    Ok(frame)
}
