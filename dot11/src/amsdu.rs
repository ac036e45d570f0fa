//! The basic A-MSDU: several MSDUs in one frame body (802.11-2020 §9.3.2.2.2).
//!
//! ```text
//! subframe   DA (6)  SA (6)  length (2, big-endian)  MSDU (length)  padding to a multiple of 4, except in the last
//! ```

use crate::{MacAddr, llc};

/// Octets of a subframe header.
pub const SUBFRAME_HEADER_LEN: usize = 14;
/// The longest MSDU that a subframe may carry (802.11-2020 Table 9-25).
pub const MAX_MSDU_LEN: usize = 2304;

/// One MSDU of an A-MSDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subframe<'a> {
    /// Destination address.
    pub da: MacAddr,
    /// Source address.
    pub sa: MacAddr,
    /// The MSDU, LLC header first.
    pub msdu: &'a [u8],
}

/// Why a body is not an A-MSDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AmsduError {
    /// Fewer octets left than a subframe header has.
    #[error("truncated subframe header")]
    TruncatedHeader,
    /// The length field points beyond the end.
    #[error("subframe of {length} octets where {left} are left")]
    TruncatedMsdu {
        /// What the length field says.
        length: usize,
        /// Octets left.
        left: usize,
    },
    /// The length field exceeds what an MSDU may have.
    #[error("subframe of {0} octets, longer than an MSDU can be")]
    TooLong(usize),
}

/// Iterator over the subframes of an A-MSDU. After an error it ends.
#[derive(Clone, Debug)]
pub struct Subframes<'a> {
    rest: &'a [u8],
}

impl<'a> Subframes<'a> {
    /// Over the (decrypted) body of a frame whose A-MSDU Present bit is set.
    #[inline]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

/// Whether a body, taken as an A-MSDU, begins with a destination address that is really an LLC/SNAP header. Then
/// somebody set the A-MSDU Present bit of an ordinary frame, and the whole frame is to be dropped
/// (802.11-2020 §12.5.3 leaves that bit out of the MIC unless SPP A-MSDUs were negotiated).
#[inline]
pub fn is_disguised_msdu(body: &[u8]) -> bool {
    body.starts_with(&llc::RFC1042)
}

impl<'a> Iterator for Subframes<'a> {
    type Item = Result<Subframe<'a>, AmsduError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let body = std::mem::take(&mut self.rest);
        if body.is_empty() {
            return None;
        }
        let Some((header, rest)) = body.split_first_chunk::<SUBFRAME_HEADER_LEN>() else {
            return Some(Err(AmsduError::TruncatedHeader));
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, l0, l1] = *header;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length > MAX_MSDU_LEN {
            return Some(Err(AmsduError::TooLong(length)));
        }
        let Some((msdu, after)) = rest.split_at_checked(length) else {
            return Some(Err(AmsduError::TruncatedMsdu { length, left: rest.len() }));
        };
        // The last subframe is not padded by rule, but some devices do: less than a header of at most 3 octets is
        // padding, and `padding` never exceeds that.
        let padding = padding(length).min(after.len());
        self.rest = &after[padding..];
        Some(Ok(Subframe {
            da: MacAddr([d0, d1, d2, d3, d4, d5]),
            sa: MacAddr([s0, s1, s2, s3, s4, s5]),
            msdu,
        }))
    }
}

/// Builds the body of an A-MSDU.
#[derive(Clone, Debug, Default)]
pub struct AmsduBuilder {
    bytes: Vec<u8>,
}

impl AmsduBuilder {
    /// With no subframe yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a subframe.
    ///
    /// # Errors
    /// [`AmsduError::TooLong`] when the MSDU exceeds [`MAX_MSDU_LEN`].
    pub fn push(&mut self, da: MacAddr, sa: MacAddr, msdu: &[u8]) -> Result<(), AmsduError> {
        if msdu.len() > MAX_MSDU_LEN {
            return Err(AmsduError::TooLong(msdu.len()));
        }
        // Only now is the subframe before this one known not to be the last.
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend_from_slice(&da.0);
        self.bytes.extend_from_slice(&sa.0);
        self.bytes.extend_from_slice(&(msdu.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(msdu);
        Ok(())
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Octets between a subframe with an MSDU of `length` octets and the next subframe. Each subframe begins at a
/// multiple of 4.
#[inline]
const fn padding(length: usize) -> usize {
    (SUBFRAME_HEADER_LEN + length).next_multiple_of(4) - (SUBFRAME_HEADER_LEN + length)
}
