//! EAPOL PDUs (IEEE Std 802.1X-2020 §11): `version (1)  packet type (1)  length (2, big-endian)  body`.

pub mod kde;
pub mod key;

/// Octets of the EAPOL header.
pub const HEADER_LEN: usize = 4;
/// The protocol version that an AP writes. 802.1X-2004's is what every supplicant takes.
pub const VERSION: u8 = 2;

/// EAPOL packet types (802.1X-2020 Table 11-3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PacketType {
    /// An EAP packet.
    EapPacket,
    /// The supplicant asks the authenticator to begin.
    Start,
    /// The supplicant leaves.
    Logoff,
    /// An EAPOL-Key frame.
    Key,
    /// Any other value.
    Other(u8),
}

/// Why octets are not an EAPOL PDU, or not an EAPOL-Key frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EapolError {
    /// Fewer octets than a length field or a fixed layout asks for.
    #[error("truncated EAPOL PDU")]
    Truncated,
    /// Not an EAPOL-Key frame.
    #[error("EAPOL packet type {0:?}, not a key")]
    NotKey(PacketType),
    /// A key descriptor other than RSN (2) or WPA (254).
    #[error("key descriptor type {0}")]
    Descriptor(u8),
}

/// View of an EAPOL PDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EapolFrame<'a> {
    /// Protocol version of the sender. A receiver does not refuse unknown ones (802.1X-2020 §11.3.1).
    pub version: u8,
    /// Packet type.
    pub packet_type: PacketType,
    /// What the length field covers.
    pub body: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> EapolFrame<'a> {
    /// Parses a PDU, from its version octet on. Octets beyond the length field are padding and left out.
    ///
    /// # Errors
    /// [`EapolError::Truncated`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EapolError> {
        let (&[version, packet_type, high, low], rest) =
            bytes.split_first_chunk::<HEADER_LEN>().ok_or(EapolError::Truncated)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(..length).ok_or(EapolError::Truncated)?;
        let bytes = &bytes[..HEADER_LEN + length];
        Ok(Self { version, packet_type: packet_type.into(), body, bytes })
    }

    /// The PDU without padding.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// An EAPOL PDU. A body beyond what the 16-bit length can say is cut off.
pub fn build(packet_type: PacketType, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(usize::from(u16::MAX))];
    let mut out = Vec::with_capacity(HEADER_LEN + body.len());
    out.extend_from_slice(&[VERSION, packet_type.into()]);
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
    out
}

impl From<u8> for PacketType {
    fn from(value: u8) -> Self {
        match value {
            0 => PacketType::EapPacket,
            1 => PacketType::Start,
            2 => PacketType::Logoff,
            3 => PacketType::Key,
            other => PacketType::Other(other),
        }
    }
}

impl From<PacketType> for u8 {
    fn from(packet_type: PacketType) -> Self {
        match packet_type {
            PacketType::EapPacket => 0,
            PacketType::Start => 1,
            PacketType::Logoff => 2,
            PacketType::Key => 3,
            PacketType::Other(other) => other,
        }
    }
}
