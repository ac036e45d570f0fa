//! EAP packets, as far as an authenticator looks into them (RFC 3748 §4).
//!
//! ```text
//! code (1)  identifier (1)  length (2, big-endian, of the whole packet)  [type (1)  type data]
//! ```

/// EAP codes (RFC 3748 §4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// From the authenticator or server.
    Request,
    /// From the peer.
    Response,
    /// The conversation ended well.
    Success,
    /// The conversation ended badly.
    Failure,
    /// Any other value.
    Other(u8),
}

/// EAP method types (RFC 3748 §5 and the registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EapType(pub u8);

impl EapType {
    /// Identity.
    pub const IDENTITY: Self = Self(1);
    /// Notification.
    pub const NOTIFICATION: Self = Self(2);
    /// Negative acknowledgement of a proposed method.
    pub const NAK: Self = Self(3);
    /// MD5-Challenge.
    pub const MD5_CHALLENGE: Self = Self(4);
    /// EAP-TLS.
    pub const TLS: Self = Self(13);
    /// EAP-SIM.
    pub const SIM: Self = Self(18);
    /// EAP-TTLS.
    pub const TTLS: Self = Self(21);
    /// EAP-AKA.
    pub const AKA: Self = Self(23);
    /// PEAP.
    pub const PEAP: Self = Self(25);
    /// EAP-MSCHAPv2.
    pub const MSCHAPV2: Self = Self(26);
    /// EAP-AKA'.
    pub const AKA_PRIME: Self = Self(50);
}

/// Why octets are not an EAP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EapError {
    /// Fewer than four octets, or fewer than the length field says.
    #[error("truncated EAP packet")]
    Truncated,
    /// The length field is too small for the header, or for the type of a request or response.
    #[error("EAP length of {0} octets")]
    Length(u16),
}

/// View of an EAP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Eap<'a> {
    /// Code.
    pub code: Code,
    /// Identifier that pairs requests with responses.
    pub id: u8,
    /// Type of a request or response; `None` for the other codes.
    pub eap_type: Option<EapType>,
    /// Type data of a request or response; what follows the header for the other codes.
    pub data: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Eap<'a> {
    /// Parses a packet. Octets beyond the length field are link-layer padding and left out (RFC 3748 §4.1).
    ///
    /// # Errors
    /// [`EapError::Truncated`], [`EapError::Length`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EapError> {
        let (&[code, id, high, low], _) = bytes.split_first_chunk::<4>().ok_or(EapError::Truncated)?;
        let length = u16::from_be_bytes([high, low]);
        let code = Code::from(code);
        let typed = matches!(code, Code::Request | Code::Response);
        if length < if typed { 5 } else { 4 } {
            return Err(EapError::Length(length));
        }
        let bytes = bytes.get(..usize::from(length)).ok_or(EapError::Truncated)?;
        let (eap_type, data) = match &bytes[4..] {
            [eap_type, data @ ..] if typed => (Some(EapType(*eap_type)), data),
            data => (None, data),
        };
        Ok(Self { code, id, eap_type, data, bytes })
    }

    /// The identity in an Identity response: everything up to a NUL, behind which some peers put options.
    pub fn identity(&self) -> Option<&'a [u8]> {
        (self.code == Code::Response && self.eap_type == Some(EapType::IDENTITY))
            .then(|| self.data.split(|&octet| octet == 0).next().unwrap_or_default())
    }

    /// The packet, without padding.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// An Identity request (RFC 3748 §5.1) with an optional displayable message.
pub fn identity_request(id: u8, message: &str) -> Vec<u8> {
    packet(Code::Request, id, Some(EapType::IDENTITY), message.as_bytes())
}

/// An Identity response.
pub fn identity_response(id: u8, identity: &[u8]) -> Vec<u8> {
    packet(Code::Response, id, Some(EapType::IDENTITY), identity)
}

/// A Success packet.
pub fn success(id: u8) -> [u8; 4] {
    [3, id, 0, 4]
}

/// A Failure packet.
pub fn failure(id: u8) -> [u8; 4] {
    [4, id, 0, 4]
}

/// Any packet. Data beyond what the 16-bit length can say is cut off.
pub fn packet(code: Code, id: u8, eap_type: Option<EapType>, data: &[u8]) -> Vec<u8> {
    let header = 4 + usize::from(eap_type.is_some());
    let data = &data[..data.len().min(usize::from(u16::MAX) - header)];
    let mut out = Vec::with_capacity(header + data.len());
    out.extend_from_slice(&[code.into(), id]);
    out.extend_from_slice(&((header + data.len()) as u16).to_be_bytes());
    out.extend(eap_type.map(|t| t.0));
    out.extend_from_slice(data);
    out
}

impl From<u8> for Code {
    fn from(value: u8) -> Self {
        match value {
            1 => Code::Request,
            2 => Code::Response,
            3 => Code::Success,
            4 => Code::Failure,
            other => Code::Other(other),
        }
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        match code {
            Code::Request => 1,
            Code::Response => 2,
            Code::Success => 3,
            Code::Failure => 4,
            Code::Other(other) => other,
        }
    }
}
