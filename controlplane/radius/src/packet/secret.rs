//! The secret that a client shares with a server.

use zeroize::Zeroizing;

/// A shared secret: any octets, at least one (RFC 2865 §3; 16 or more are advisable). Prints as `…`, is zeroed on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A shared secret without an octet, which RFC 2865 §3 forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared secret is empty; give the one that the RADIUS server has for this client")]
pub struct EmptySecret;

impl Secret {
    /// Takes the octets as they are; text is used as its UTF-8 octets.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, EmptySecret> {
        let octets = Zeroizing::new(octets.into());
        if octets.is_empty() { Err(EmptySecret) } else { Ok(Self(octets)) }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}
