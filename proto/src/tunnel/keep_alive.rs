//! The data channel keep-alive and what a radio says of itself in it (RFC 5415 §4.4.1, §4.6.37, §4.6.39).
//!
//! After the [`super::Header::KEEP_ALIVE`] come:
//!
//! ```text
//! length u16                       octets after the header, these two included
//! 0 35 | 0 16 | session id[16]     Session ID
//! 0 37 | 0 34 | enterprise u32 | element u16 | bssid[6] radio[6] service[16]    Hello: Vendor Specific Payload
//! ```
//!
//! and what [`Proof`] says.

use std::fmt;
use std::str::FromStr;

use dot11::MacAddr;

use super::header::Header;
use super::proof::{ELEMENT_PROOF, Proof};

/// Enterprise number in our Vendor Specific Payloads: the one for documentation (RFC 5612), until one is registered.
pub const ENTERPRISE_NUMBER: u32 = 32473;

/// Our element id of a [`Hello`] in a Vendor Specific Payload.
pub const ELEMENT_HELLO: u16 = 1;

/// Names a tunnel: 16 random octets, drawn by the radio for each opening of a virtual BSS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// The service that a virtual BSS belongs to: a UUID (RFC 9562), octets in the order they are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ServiceUuid(pub [u8; 16]);

impl fmt::Display for ServiceUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ServiceUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID of the form 8-4-4-4-12 hexadecimal digits")]
pub struct ServiceUuidError;

impl FromStr for ServiceUuid {
    type Err = ServiceUuidError;

    fn from_str(text: &str) -> Result<ServiceUuid, ServiceUuidError> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return Err(ServiceUuidError);
        }
        let mut digits = 0;
        let mut uuid = [0u8; 16];
        for (at, &octet) in text.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if octet != b'-' {
                    return Err(ServiceUuidError);
                }
                continue;
            }
            let digit = char::from(octet).to_digit(16).ok_or(ServiceUuidError)? as u8;
            uuid[digits / 2] = uuid[digits / 2] << 4 | digit;
            digits += 1;
        }
        Ok(ServiceUuid(uuid))
    }
}

/// What the radio says of a tunnel in each keep-alive; a gateway echoes without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hello {
    /// The virtual BSS that the tunnel is for.
    pub bssid: MacAddr,
    /// The radio's permanent address.
    pub radio: MacAddr,
    /// The service that the virtual BSS shows.
    pub service: ServiceUuid,
}

/// A keep-alive's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeepAlive {
    /// The tunnel's name.
    pub session_id: SessionId,
    /// The radio's introduction of itself.
    pub hello: Option<Hello>,
    /// That it is the radio which was introduced.
    pub proof: Option<Proof>,
}

/// Why octets are not a keep-alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeepAliveError {
    /// The length field does not match what is there.
    #[error("length field and content of the keep-alive differ")]
    Length,
    /// An element reaches over the end, or has not the length that its type asks.
    #[error("message element {0} has a wrong length")]
    Element(u16),
    /// No Session ID in it.
    #[error("keep-alive without Session ID")]
    NoSession,
}

impl KeepAlive {
    /// Reads what follows the header of a datagram with flag K. Unknown elements are skipped (RFC 5415 §4.5.1).
    pub fn parse(payload: &[u8]) -> Result<KeepAlive, KeepAliveError> {
        let (length, mut rest) = take_u16(payload).ok_or(KeepAliveError::Length)?;
        if usize::from(length) != payload.len() {
            return Err(KeepAliveError::Length);
        }
        let mut session_id = None;
        let (mut hello, mut proof) = (None, None);
        while !rest.is_empty() {
            let (kind, after) = take_u16(rest).ok_or(KeepAliveError::Length)?;
            let (len, after) = take_u16(after).ok_or(KeepAliveError::Element(kind))?;
            let (body, after) = after.split_at_checked(len.into()).ok_or(KeepAliveError::Element(kind))?;
            rest = after;
            match kind {
                ELEMENT_SESSION_ID => {
                    session_id = Some(SessionId(body.try_into().map_err(|_| KeepAliveError::Element(kind))?));
                }
                ELEMENT_VENDOR_SPECIFIC => {
                    if let Some(body) = body.strip_prefix(&HELLO_PREFIX) {
                        hello = Some(Hello::parse(body).ok_or(KeepAliveError::Element(kind))?);
                    } else if let Some(body) = body.strip_prefix(&PROOF_PREFIX) {
                        proof = Some(Proof::parse(body).ok_or(KeepAliveError::Element(kind))?);
                    }
                }
                _ => {}
            }
        }
        Ok(KeepAlive { session_id: session_id.ok_or(KeepAliveError::NoSession)?, hello, proof })
    }

    /// The whole datagram, header included: 30 octets, with a Hello 68, with a proof 34 more.
    pub fn datagram(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(102);
        out.extend_from_slice(Header::KEEP_ALIVE.encode().as_bytes());
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        element(&mut out, ELEMENT_SESSION_ID, &[&self.session_id.0]);
        if let Some(Hello { bssid, radio, service }) = &self.hello {
            element(&mut out, ELEMENT_VENDOR_SPECIFIC, &[&HELLO_PREFIX, &bssid.0, &radio.0, &service.0]);
        }
        if let Some(proof) = &self.proof {
            element(&mut out, ELEMENT_VENDOR_SPECIFIC, &[&PROOF_PREFIX, &proof.octets()]);
        }
        let length = (out.len() - start) as u16;
        out[start..start + 2].copy_from_slice(&length.to_be_bytes());
        out
    }
}

impl Hello {
    fn parse(body: &[u8]) -> Option<Hello> {
        let body: &[u8; 28] = body.try_into().ok()?;
        let (bssid, rest) = body.split_first_chunk::<6>()?;
        let (radio, service) = rest.split_first_chunk::<6>()?;
        Some(Hello {
            bssid: MacAddr(*bssid),
            radio: MacAddr(*radio),
            service: ServiceUuid(service.try_into().ok()?),
        })
    }
}

/// RFC 5415 §4.6.37.
const ELEMENT_SESSION_ID: u16 = 35;
/// RFC 5415 §4.6.39.
const ELEMENT_VENDOR_SPECIFIC: u16 = 37;

const HELLO_PREFIX: [u8; 6] = prefix(ELEMENT_HELLO);
const PROOF_PREFIX: [u8; 6] = prefix(ELEMENT_PROOF);

const fn prefix(element: u16) -> [u8; 6] {
    let [a, b, c, d] = ENTERPRISE_NUMBER.to_be_bytes();
    let [e, f] = element.to_be_bytes();
    [a, b, c, d, e, f]
}

fn take_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (value, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*value), rest))
}

fn element(out: &mut Vec<u8>, kind: u16, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(len as u16).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
