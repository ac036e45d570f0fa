//! NIST AES key wrap of key data (RFC 3394, 802.11-2020 §12.7.2).

use super::{Kek, KeyError};
use aes_kw::{KeyInit, KwAes128};
use zeroize::Zeroizing;

/// Wraps key data. Where needed it is padded first, with one octet 0xdd and then zeros, to at least 16 octets and a
/// multiple of 8. The result is 8 octets longer.
///
/// # Errors
/// [`KeyError::Length`] when the result would exceed what an EAPOL-Key frame can carry.
pub fn wrap_key_data(kek: &Kek, key_data: &[u8]) -> Result<Vec<u8>, KeyError> {
    let length = KeyError::Length(key_data.len());
    let padded_len = key_data.len().max(16).next_multiple_of(8);
    if padded_len + 8 > crate::eapol::key::KeyFrameBuilder::MAX_KEY_DATA {
        return Err(length);
    }
    let mut padded = Zeroizing::new(vec![0; padded_len]);
    padded[..key_data.len()].copy_from_slice(key_data);
    if let Some(pad) = padded.get_mut(key_data.len()) {
        *pad = 0xdd;
    }
    let mut wrapped = vec![0; padded_len + 8];
    KwAes128::new(kek.as_bytes().into()).wrap_key(&padded, &mut wrapped).map_err(|_| length)?;
    Ok(wrapped)
}

/// Unwraps key data; the padding is still there, and [`crate::eapol::kde::KeyData`] ends at it.
///
/// # Errors
/// [`KeyError::Length`] when it is not a multiple of 8 or below 24 octets; [`KeyError::Integrity`] when the key is
/// wrong or the data was changed.
pub fn unwrap_key_data(kek: &Kek, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) {
        return Err(KeyError::Length(wrapped.len()));
    }
    let mut key_data = Zeroizing::new(vec![0; wrapped.len() - 8]);
    KwAes128::new(kek.as_bytes().into())
        .unwrap_key(wrapped, &mut key_data)
        .map_err(|_| KeyError::Integrity)?;
    Ok(key_data)
}
