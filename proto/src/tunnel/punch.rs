//! The punch: what a gateway sends so that a NAT on its side lets a radio's keep-alives in, and by which a radio learns where
//! the gateway's datagrams come from if that NAT is symmetric.
//!
//! ```text
//! 0x89 | version u8 = 1 | session id[16] | counter u64 | mac[16]
//! ```
//!
//! `mac` is the first half of HMAC-SHA-256 (RFC 2104) under the tunnel's key over `ttg punch`, session id and counter. The
//! counter increases with every punch of a tunnel: nobody leads a radio elsewhere by repeating one.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{SessionId, TunnelKey};

/// A punch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Punch {
    /// The tunnel's name.
    pub session_id: SessionId,
    /// Larger than in any punch of the tunnel before.
    pub counter: u64,
    /// Under the tunnel's key.
    pub mac: [u8; 16],
}

impl Punch {
    /// First octet of its datagram.
    pub const KIND: u8 = 0x89;
    /// Octets of its datagram.
    pub const LEN: usize = 42;

    /// The punch of a tunnel.
    pub fn new(key: &TunnelKey, session_id: SessionId, counter: u64) -> Self {
        // HMAC takes keys of any length, so this does not fail; without a key there is no proof.
        let mut mac = [0; 16];
        if let Ok(mut hmac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()) {
            hmac.update(b"ttg punch");
            hmac.update(&session_id.0);
            hmac.update(&counter.to_be_bytes());
            mac.copy_from_slice(&hmac.finalize().into_bytes()[..16]);
        }
        Self { session_id, counter, mac }
    }

    /// Whether it was made with this key. Whether its counter is new is for the caller to say.
    pub fn is_right(&self, key: &TunnelKey) -> bool {
        Self::new(key, self.session_id, self.counter).mac.ct_eq(&self.mac).into()
    }

    /// Reads a datagram. `None`: it is none.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let rest = datagram.strip_prefix(&[Self::KIND, VERSION])?;
        let (session_id, rest) = rest.split_first_chunk()?;
        let (counter, mac) = rest.split_first_chunk()?;
        Some(Self {
            session_id: SessionId(*session_id),
            counter: u64::from_be_bytes(*counter),
            mac: mac.try_into().ok()?,
        })
    }

    /// Its datagram.
    pub fn datagram(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        (octets[0], octets[1]) = (Self::KIND, VERSION);
        octets[2..18].copy_from_slice(&self.session_id.0);
        octets[18..26].copy_from_slice(&self.counter.to_be_bytes());
        octets[26..].copy_from_slice(&self.mac);
        octets
    }
}

/// That of matchmaking's datagrams.
const VERSION: u8 = 1;
