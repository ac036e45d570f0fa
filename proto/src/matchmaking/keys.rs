//! Keys: symmetric ones, and the static key that is a peer's or a matchmaker's identity.

use std::fmt;
use std::str::FromStr;

use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Entropy;

/// A symmetric key of 32 octets. Prints as `…`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A static public key: who somebody is. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hexadecimal digits")]
pub struct PublicKeyError;

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<PublicKey, PublicKeyError> {
        let mut key = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(PublicKeyError);
        }
        for (octet, at) in key.iter_mut().zip((0..64).step_by(2)) {
            *octet = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| PublicKeyError)?;
        }
        Ok(PublicKey(key))
    }
}

pub(crate) fn portable_public(secret: [u8; 32]) -> [u8; 32] {
    x25519(secret, X25519_BASEPOINT_BYTES)
}

/// A static private key, with its public key, so that it is computed once.
#[derive(Clone)]
pub struct StaticSecret {
    secret: Key,
    public: PublicKey,
}

impl StaticSecret {
    /// From its 32 octets.
    pub fn new(secret: [u8; 32]) -> StaticSecret {
        StaticSecret::with(secret, portable_public)
    }

    pub(crate) fn with(secret: [u8; 32], public: fn([u8; 32]) -> [u8; 32]) -> StaticSecret {
        StaticSecret { public: PublicKey(public(secret)), secret: Key(secret) }
    }

    /// A new one.
    pub fn generate(entropy: Entropy<'_>) -> StaticSecret {
        let mut secret = [0; 32];
        entropy(&mut secret);
        StaticSecret::new(secret)
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn public_octets(&self) -> &[u8; 32] {
        &self.public.0
    }

    /// The 32 octets, to be stored where nobody else reads.
    pub fn octets(&self) -> &[u8; 32] {
        &self.secret.0
    }
}

impl fmt::Debug for StaticSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "… of {}", self.public)
    }
}
