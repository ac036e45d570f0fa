//! What the shared secret hides: User-Password (RFC 2865 §5.2) and salted keys (RFC 2548 §2.4.2, RFC 2868 §3.5).
//!
//! Both XOR 16-octet blocks with MD5(secret + previous cipher block); the first block's MD5 takes the Request
//! Authenticator instead, and the salted form appends two octets of salt to it and a length octet to the text.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::{Authenticator, Secret};

/// Why a hidden value cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HideError {
    /// User-Password holds at most 128 octets (RFC 2865 §5.2).
    #[error("a password of {0} octets is longer than the 128 that User-Password holds")]
    PasswordLength(usize),
    /// A salted value is two octets of salt and a multiple of 16 octets.
    #[error("a salted value of {0} octets is not 2 and a multiple of 16")]
    Length(usize),
    /// The most significant bit of a salt must be set (RFC 2548 §2.4.2).
    #[error("the salt of a salted value does not have its top bit set")]
    Salt,
    /// The length inside says more than there is: a wrong secret, most likely.
    #[error("a salted value does not decrypt with this shared secret")]
    Content,
}

/// Hides a password for User-Password. The result has 16 to 128 octets.
pub fn hide_user_password(
    password: &[u8],
    secret: &Secret,
    request: &Authenticator,
) -> Result<Vec<u8>, HideError> {
    if password.len() > 128 {
        return Err(HideError::PasswordLength(password.len()));
    }
    let mut text = Zeroizing::new(password.to_vec());
    text.resize(password.len().next_multiple_of(16).max(16), 0);
    Ok(cipher(&text, secret, request, &[], Direction::Hide))
}

/// Reads a User-Password; trailing zeros are padding and dropped.
pub fn reveal_user_password(
    hidden: &[u8],
    secret: &Secret,
    request: &Authenticator,
) -> Result<Zeroizing<Vec<u8>>, HideError> {
    if hidden.is_empty() || hidden.len() > 128 || !hidden.len().is_multiple_of(16) {
        return Err(HideError::Length(hidden.len()));
    }
    let mut text = Zeroizing::new(cipher(hidden, secret, request, &[], Direction::Reveal));
    let end = text.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    text.truncate(end);
    Ok(text)
}

/// Hides a key (at most 255 octets) under a salt, whose top bit must be set: salt, then the cipher text.
pub fn salt_hide(
    key: &[u8],
    salt: [u8; 2],
    secret: &Secret,
    request: &Authenticator,
) -> Result<Vec<u8>, HideError> {
    if salt[0] & 0x80 == 0 {
        return Err(HideError::Salt);
    }
    let length = u8::try_from(key.len()).map_err(|_| HideError::Length(key.len()))?;
    let mut text = Zeroizing::new(Vec::with_capacity(272));
    text.push(length);
    text.extend(key);
    text.resize((1 + key.len()).next_multiple_of(16), 0);
    let mut out = salt.to_vec();
    out.extend(cipher(&text, secret, request, &salt, Direction::Hide));
    Ok(out)
}

/// Reads a salted key.
pub fn reveal_salted(
    hidden: &[u8],
    secret: &Secret,
    request: &Authenticator,
) -> Result<Zeroizing<Vec<u8>>, HideError> {
    let Some((salt, body)) = hidden.split_first_chunk::<2>() else {
        return Err(HideError::Length(hidden.len()));
    };
    if body.is_empty() || !body.len().is_multiple_of(16) {
        return Err(HideError::Length(hidden.len()));
    }
    if salt[0] & 0x80 == 0 {
        return Err(HideError::Salt);
    }
    let text = Zeroizing::new(cipher(body, secret, request, salt, Direction::Reveal));
    let length = usize::from(text[0]);
    let key = text.get(1..1 + length).ok_or(HideError::Content)?;
    Ok(Zeroizing::new(key.to_vec()))
}

#[derive(PartialEq)]
enum Direction {
    Hide,
    Reveal,
}

/// `input` is a multiple of 16 octets.
fn cipher(
    input: &[u8],
    secret: &Secret,
    request: &Authenticator,
    salt: &[u8],
    direction: Direction,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len());
    for (index, block) in input.chunks(16).enumerate() {
        let mut md5 = Md5::new_with_prefix(secret.as_bytes());
        if index == 0 {
            md5.update(request);
            md5.update(salt);
        } else {
            let previous = (index - 1) * 16..index * 16;
            md5.update(if direction == Direction::Hide { &out[previous] } else { &input[previous] });
        }
        let pad = Zeroizing::new(<[u8; 16]>::from(md5.finalize()));
        out.extend(block.iter().zip(pad.iter()).map(|(octet, pad)| octet ^ pad));
    }
    out
}
