//! Additional authentication data and nonce of CCMP (802.11-2020 §12.5.3.3.3, §12.5.3.3.4). GCMP has the same
//! additional data and of the nonce all but the flags (§12.5.5.3.3, §12.5.5.3.4).

use super::Pn;
use crate::Frame;

/// Octets of the longest AAD: four addresses and QoS Control.
pub const MAX_AAD_LEN: usize = 30;

/// Subtype bits 4 to 6, Retry, Power Management, More Data.
const DATA_MASK: u16 = 0x3870;
/// Retry, Power Management, More Data.
const MANAGEMENT_MASK: u16 = 0x3800;
const PROTECTED: u16 = 0x4000;
const ORDER: u16 = 0x8000;

/// Writes the AAD of a frame, without SPP A-MSDUs negotiated, and returns its length: 22, 24, 28 or 30. A frame that
/// has no three addresses has no AAD (0).
#[inline]
pub fn aad(frame: &Frame<'_>, out: &mut [u8; MAX_AAD_LEN]) -> usize {
    write_aad(frame, false, out)
}

/// The same with SPP A-MSDUs negotiated: the A-MSDU Present bit is kept.
#[inline]
pub fn aad_spp(frame: &Frame<'_>, out: &mut [u8; MAX_AAD_LEN]) -> usize {
    write_aad(frame, true, out)
}

/// The nonce of a frame under a packet number: flags, A2, PN. The flags are the TID of a QoS data frame, and bit 4 in
/// a management frame.
#[inline]
pub fn nonce(frame: &Frame<'_>, pn: Pn) -> [u8; 13] {
    let management = if frame.control().is_management() { 0x10 } else { 0 };
    let priority = frame.qos().map_or(0, |qos| qos.tid());
    let [a, b, c, d, e, f] = frame.addr2().unwrap_or_default().0;
    let [_, _, pn5, pn4, pn3, pn2, pn1, pn0] = pn.value().to_be_bytes();
    [management | priority, a, b, c, d, e, f, pn5, pn4, pn3, pn2, pn1, pn0]
}

/// [`aad`] or, with SPP A-MSDUs negotiated, [`aad_spp`].
#[inline]
pub fn write_aad(frame: &Frame<'_>, spp: bool, out: &mut [u8; MAX_AAD_LEN]) -> usize {
    let header = frame.header();
    let Some(sequence) = frame.sequence() else { return 0 };
    let control = frame.control();
    let mut masked = control.0 & if control.is_data() { !DATA_MASK } else { !MANAGEMENT_MASK };
    if control.is_qos_data() {
        masked &= !ORDER;
    }
    out[..2].copy_from_slice(&(masked | PROTECTED).to_le_bytes());
    out[2..20].copy_from_slice(&header[4..22]);
    // The fragment number stays, the sequence number goes.
    out[20..22].copy_from_slice(&u16::from(sequence.fragment()).to_le_bytes());
    let mut len = 22;
    if let Some(addr4) = frame.addr4() {
        out[len..len + 6].copy_from_slice(&addr4.0);
        len += 6;
    }
    if let Some(qos) = frame.qos() {
        let kept = if spp { 0x008f } else { 0x000f };
        out[len..len + 2].copy_from_slice(&(qos.0 & kept).to_le_bytes());
        len += 2;
    }
    len
}
