//! The proof in a keep-alive that it comes from the radio which matchmaking introduced, and now.
//!
//! Whoever is on the way sees session ids. Only the radio and the gateway have the tunnel's key, which the matchmaker
//! drew for the introduction: so only the radio can bring the tunnel up, or move it to another address, and nobody can
//! by repeating what it sent.
//!
//! ```text
//! 0 37 | 0 30 | enterprise u32 | element u16 = 2 | counter u64 | mac[16]    Vendor Specific Payload
//! ```
//!
//! `mac` is the first half of HMAC-SHA-256 (RFC 2104) under the tunnel's key over `ttg keep-alive`, session id, BSSID,
//! radio, service and counter. The counter increases with every keep-alive of a tunnel.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Hello, SessionId};

/// Our element id of a [`Proof`] in a Vendor Specific Payload.
pub const ELEMENT_PROOF: u16 = 2;

/// Octets of a proof behind the prefix of its element.
pub(super) const LEN: usize = 24;

/// Authenticates the keep-alives of one tunnel.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct TunnelKey([u8; 16]);

impl TunnelKey {
    /// From its octets.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Its octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for TunnelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TunnelKey(…)")
    }
}

/// What only the radio can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proof {
    /// Larger than in any keep-alive of the tunnel before.
    pub counter: u64,
    /// Under the tunnel's key.
    pub mac: [u8; 16],
}

impl Proof {
    /// The proof for a keep-alive.
    pub fn new(key: &TunnelKey, session_id: &SessionId, hello: &Hello, counter: u64) -> Self {
        // HMAC takes keys of any length, so this does not fail; without a key there is no proof.
        let mut mac = [0; 16];
        if let Ok(mut hmac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()) {
            hmac.update(b"ttg keep-alive");
            hmac.update(&session_id.0);
            hmac.update(&hello.bssid.0);
            hmac.update(&hello.radio.0);
            hmac.update(&hello.service.0);
            hmac.update(&counter.to_be_bytes());
            mac.copy_from_slice(&hmac.finalize().into_bytes()[..16]);
        }
        Self { counter, mac }
    }

    /// Whether it is one for this keep-alive. Whether its counter is new is for the caller to say.
    pub fn is_right(&self, key: &TunnelKey, session_id: &SessionId, hello: &Hello) -> bool {
        Self::new(key, session_id, hello, self.counter).mac.ct_eq(&self.mac).into()
    }

    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (counter, mac) = body.split_first_chunk::<8>()?;
        Some(Self { counter: u64::from_be_bytes(*counter), mac: mac.try_into().ok()? })
    }

    pub(super) fn octets(&self) -> [u8; LEN] {
        let mut octets = [0; LEN];
        octets[..8].copy_from_slice(&self.counter.to_be_bytes());
        octets[8..].copy_from_slice(&self.mac);
        octets
    }
}
