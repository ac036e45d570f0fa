//! MS-MPPE-Send-Key and MS-MPPE-Recv-Key (RFC 2548 §2.4), in which a server hands over the MSK of an EAP method.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Attributes, Authenticator, HideError, Secret, reveal_salted};

/// SMI enterprise number of Microsoft.
pub const VENDOR_MICROSOFT: u32 = 311;
pub(crate) const MS_MPPE_SEND_KEY: u8 = 16;
pub(crate) const MS_MPPE_RECV_KEY: u8 = 17;

/// Master session key of an EAP method (RFC 3748 §7.10). Prints as `…`, is zeroed on drop.
///
/// Its first half is MS-MPPE-Recv-Key and its second MS-MPPE-Send-Key, both as seen by the access point (RFC 5216 §2.3).
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Msk([u8; 64]);

impl Msk {
    /// All 64 octets.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The first 32 octets: the PMK of the 802.1X AKMs that use SHA-1 or SHA-256 (802.11-2020 §12.7.1.3).
    pub fn pmk(&self) -> &[u8; 32] {
        self.0.first_chunk().expect("32 of 64 octets")
    }
}

impl From<[u8; 64]> for Msk {
    fn from(octets: [u8; 64]) -> Self {
        Self(octets)
    }
}

impl std::fmt::Debug for Msk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Why the keys in an Access-Accept are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MskError {
    /// One of the keys does not decrypt.
    #[error("{name}: {source}")]
    Hidden {
        /// Name of the attribute.
        name: &'static str,
        /// What is wrong.
        source: HideError,
    },
    /// A key has another length than the 32 octets of an EAP MSK half.
    #[error("{name} has {length} octets, an EAP method's has 32")]
    Length {
        /// Name of the attribute.
        name: &'static str,
        /// Octets found.
        length: usize,
    },
    /// Only one of the two came.
    #[error("{0} is missing while the other key is there")]
    Half(&'static str),
}

/// The MSK in the attributes of an Access-Accept; `None` if the server sent no keys.
pub fn msk(
    attributes: Attributes<'_>,
    secret: &Secret,
    request: &Authenticator,
) -> Result<Option<Msk>, MskError> {
    const RECV: &str = "MS-MPPE-Recv-Key";
    const SEND: &str = "MS-MPPE-Send-Key";
    let find =
        |kind| attributes.vendor(VENDOR_MICROSOFT).find(|(found, _)| *found == kind).map(|(_, value)| value);
    let (recv, send) = match (find(MS_MPPE_RECV_KEY), find(MS_MPPE_SEND_KEY)) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(MskError::Half(RECV)),
        (Some(_), None) => return Err(MskError::Half(SEND)),
        (Some(recv), Some(send)) => (recv, send),
    };
    let mut msk = Msk([0; 64]);
    for (name, hidden, out) in [(RECV, recv, 0), (SEND, send, 32)] {
        let key =
            reveal_salted(hidden, secret, request).map_err(|source| MskError::Hidden { name, source })?;
        if key.len() != 32 {
            return Err(MskError::Length { name, length: key.len() });
        }
        msk.0[out..out + 32].copy_from_slice(&key);
    }
    Ok(Some(msk))
}
