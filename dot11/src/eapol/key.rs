//! EAPOL-Key frames with a 16-octet MIC (802.11-2020 §12.7.2).
//!
//! ```text
//! offset in the PDU   octets
//!   0                   4   EAPOL header
//!   4                   1   descriptor type: 2 RSN, 254 WPA
//!   5                   2   key information
//!   7                   2   key length
//!   9                   8   replay counter
//!  17                  32   nonce
//!  49                  16   key IV
//!  65                   8   key RSC
//!  73                   8   reserved
//!  81                  16   MIC
//!  97                   2   key data length
//!  99                       key data
//! ```
//! All numbers are big-endian, except the RSC, which is a packet number, least significant octet first.

use super::{EapolError, EapolFrame, HEADER_LEN, PacketType};

/// Octets of the MIC.
pub const MIC_LEN: usize = 16;
/// Where the MIC lies in the PDU.
pub const MIC_OFFSET: usize = 81;
/// Where the key data lies in the PDU, and so the shortest PDU.
pub const KEY_DATA_OFFSET: usize = 99;

/// Descriptor type of RSN.
pub const DESCRIPTOR_RSN: u8 = 2;
/// Descriptor type of the WPA that preceded RSN.
pub const DESCRIPTOR_WPA: u8 = 254;

/// The Key Information field (802.11-2020 Figure 12-34).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct KeyInfo(pub u16);

impl KeyInfo {
    /// Pairwise key (clear: group key).
    pub const PAIRWISE: Self = Self(1 << 3);
    /// The supplicant is to install the key.
    pub const INSTALL: Self = Self(1 << 6);
    /// The authenticator wants an answer.
    pub const ACK: Self = Self(1 << 7);
    /// The MIC field is filled in.
    pub const MIC: Self = Self(1 << 8);
    /// The initial key exchange is complete.
    pub const SECURE: Self = Self(1 << 9);
    /// The supplicant reports a MIC failure.
    pub const ERROR: Self = Self(1 << 10);
    /// The supplicant asks the authenticator to begin a handshake.
    pub const REQUEST: Self = Self(1 << 11);
    /// The key data is encrypted.
    pub const ENCRYPTED_KEY_DATA: Self = Self(1 << 12);

    /// The key descriptor version: 0 the AKM defines everything, 1 HMAC-MD5 and ARC4, 2 HMAC-SHA-1-128 and AES key
    /// wrap, 3 AES-128-CMAC and AES key wrap.
    #[inline]
    pub const fn descriptor_version(self) -> u8 {
        (self.0 & 0x7) as u8
    }

    /// The same with another descriptor version (of which three bits count).
    #[inline]
    #[must_use]
    pub const fn with_descriptor_version(self, version: u8) -> Self {
        Self(self.0 & !0x7 | (version & 0x7) as u16)
    }

    /// Whether every bit of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the key is pairwise.
    pub const fn pairwise(self) -> bool {
        self.contains(Self::PAIRWISE)
    }
    /// Whether the Install bit is set.
    pub const fn install(self) -> bool {
        self.contains(Self::INSTALL)
    }
    /// Whether the Key Ack bit is set.
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }
    /// Whether the Key MIC bit is set.
    pub const fn mic(self) -> bool {
        self.contains(Self::MIC)
    }
    /// Whether the Secure bit is set.
    pub const fn secure(self) -> bool {
        self.contains(Self::SECURE)
    }
    /// Whether the Error bit is set.
    pub const fn error(self) -> bool {
        self.contains(Self::ERROR)
    }
    /// Whether the Request bit is set.
    pub const fn request(self) -> bool {
        self.contains(Self::REQUEST)
    }
    /// Whether the Encrypted Key Data bit is set.
    pub const fn encrypted_key_data(self) -> bool {
        self.contains(Self::ENCRYPTED_KEY_DATA)
    }
}

/// View of an EAPOL-Key frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyFrame<'a> {
    bytes: &'a [u8],
}

impl<'a> KeyFrame<'a> {
    /// Parses an EAPOL PDU that is an EAPOL-Key frame, from its version octet on.
    ///
    /// # Errors
    /// [`EapolError::NotKey`], [`EapolError::Descriptor`], [`EapolError::Truncated`] (also when the key data length
    /// exceeds the PDU).
    pub fn parse(pdu: &'a [u8]) -> Result<Self, EapolError> {
        Self::from_eapol(&EapolFrame::parse(pdu)?)
    }

    /// The same, from a PDU already parsed.
    ///
    /// # Errors
    /// As [`KeyFrame::parse`].
    pub fn from_eapol(eapol: &EapolFrame<'a>) -> Result<Self, EapolError> {
        if eapol.packet_type != PacketType::Key {
            return Err(EapolError::NotKey(eapol.packet_type));
        }
        match eapol.body.first() {
            None => return Err(EapolError::Truncated),
            Some(&(DESCRIPTOR_RSN | DESCRIPTOR_WPA)) => {}
            Some(&other) => return Err(EapolError::Descriptor(other)),
        }
        let frame = Self { bytes: eapol.bytes() };
        if frame.bytes.len() < KEY_DATA_OFFSET {
            return Err(EapolError::Truncated);
        }
        if frame.bytes.len() < KEY_DATA_OFFSET + frame.key_data_len() {
            return Err(EapolError::Truncated);
        }
        Ok(frame)
    }

    /// EAPOL protocol version.
    pub fn protocol_version(&self) -> u8 {
        self.bytes[0]
    }

    /// Descriptor type, [`DESCRIPTOR_RSN`] or [`DESCRIPTOR_WPA`].
    pub fn descriptor(&self) -> u8 {
        self.bytes[4]
    }

    /// Key Information.
    pub fn info(&self) -> KeyInfo {
        KeyInfo(u16::from_be_bytes(self.array(5)))
    }

    /// Length of the temporal key in octets.
    pub fn key_length(&self) -> u16 {
        u16::from_be_bytes(self.array(7))
    }

    /// Replay counter.
    pub fn replay_counter(&self) -> u64 {
        u64::from_be_bytes(self.array(9))
    }

    /// ANonce or SNonce.
    pub fn nonce(&self) -> [u8; 32] {
        self.array(17)
    }

    /// Key IV; zero unless the key data is ARC4-encrypted.
    pub fn iv(&self) -> [u8; 16] {
        self.array(49)
    }

    /// Receive sequence counter of the group key: its last packet number, least significant octet first.
    pub fn rsc(&self) -> [u8; 8] {
        self.array(65)
    }

    /// The MIC.
    pub fn mic(&self) -> [u8; MIC_LEN] {
        self.array(MIC_OFFSET)
    }

    /// The key data, encrypted when the Key Information says so.
    pub fn key_data(&self) -> &'a [u8] {
        &self.bytes[KEY_DATA_OFFSET..KEY_DATA_OFFSET + self.key_data_len()]
    }

    /// The whole PDU, which the MIC covers (with its own field zero).
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn key_data_len(&self) -> usize {
        usize::from(u16::from_be_bytes(self.array(97)))
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.bytes[at + i])
    }
}

/// What goes into an EAPOL-Key frame. `..Default::default()` gives an RSN frame of zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFrameBuilder<'a> {
    /// EAPOL protocol version.
    pub protocol_version: u8,
    /// Descriptor type.
    pub descriptor: u8,
    /// Key Information.
    pub info: KeyInfo,
    /// Length of the temporal key in octets; 16 for CCMP-128, 0 where no pairwise key is meant.
    pub key_length: u16,
    /// Replay counter.
    pub replay_counter: u64,
    /// Nonce.
    pub nonce: [u8; 32],
    /// Key IV.
    pub iv: [u8; 16],
    /// Receive sequence counter.
    pub rsc: [u8; 8],
    /// Key data as it goes on the wire: at most [`KeyFrameBuilder::MAX_KEY_DATA`] octets.
    pub key_data: &'a [u8],
}

impl Default for KeyFrameBuilder<'_> {
    fn default() -> Self {
        Self {
            protocol_version: super::VERSION,
            descriptor: DESCRIPTOR_RSN,
            info: KeyInfo(0),
            key_length: 0,
            replay_counter: 0,
            nonce: [0; 32],
            iv: [0; 16],
            rsc: [0; 8],
            key_data: &[],
        }
    }
}

impl KeyFrameBuilder<'_> {
    /// The most key data that the EAPOL length field leaves room for.
    pub const MAX_KEY_DATA: usize = u16::MAX as usize - (KEY_DATA_OFFSET - HEADER_LEN);

    /// The PDU with a MIC of zeros; [`crate::rsn::sign`] fills it in. Key data beyond
    /// [`KeyFrameBuilder::MAX_KEY_DATA`] is cut off.
    pub fn build(&self) -> Vec<u8> {
        let key_data = &self.key_data[..self.key_data.len().min(Self::MAX_KEY_DATA)];
        let body_len = KEY_DATA_OFFSET - HEADER_LEN + key_data.len();
        let mut out = Vec::with_capacity(HEADER_LEN + body_len);
        out.extend_from_slice(&[self.protocol_version, PacketType::Key.into()]);
        out.extend_from_slice(&(body_len as u16).to_be_bytes());
        out.push(self.descriptor);
        out.extend_from_slice(&self.info.0.to_be_bytes());
        out.extend_from_slice(&self.key_length.to_be_bytes());
        out.extend_from_slice(&self.replay_counter.to_be_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.iv);
        out.extend_from_slice(&self.rsc);
        out.extend_from_slice(&[0; 8 + MIC_LEN]);
        out.extend_from_slice(&(key_data.len() as u16).to_be_bytes());
        out.extend_from_slice(key_data);
        out
    }
}
