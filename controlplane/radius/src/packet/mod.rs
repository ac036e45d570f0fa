//! RADIUS packets on the wire (RFC 2865 §3): the checked view and what is common to all of them.
//!
//! ```text
//!  octet 0      1            2..4            4..20           20..
//! +------+------------+---------------+---------------+----------------
//! | Code | Identifier | Length (BE)   | Authenticator | Attributes ...
//! +------+------------+---------------+---------------+----------------
//! ```
//! Attributes are type, length (its own two octets included) and 0 to 253 octets of value. Octets after Length are
//! padding and ignored; fewer than Length is an error (RFC 2865 §3).

mod attribute;
mod build;
mod eap;
mod hide;
mod list;
mod microsoft;
mod secret;
mod tunnel;
mod verify;
mod wlan;

pub use attribute::{
    AcctStatusType, AttributeType, NAS_PORT_TYPE_WIRELESS_802_11, TerminateCause, TerminationAction,
};
pub use build::{
    BuildError, Password, encode_access_request, encode_accounting_request, encode_reply,
    encode_status_server,
};
pub use eap::{EapError, join_eap, split_eap};
pub use hide::{HideError, hide_user_password, reveal_salted, reveal_user_password, salt_hide};
pub use list::{AttributeError, AttributeList, Attributes, VendorAttributes};
pub use microsoft::{Msk, MskError, VENDOR_MICROSOFT, msk};
pub use secret::{EmptySecret, Secret};
pub use tunnel::{Vlan, push_vlan, vlan};
pub use verify::{ReplyError, ReplyPolicy, RequestError};
pub use wlan::{called_station_id, calling_station_id, mac_text, parse_mac_text};

/// Octets of the header: code, identifier, length, authenticator.
pub const HEADER_LEN: usize = 20;
/// The longest packet (RFC 2865 §3).
pub const MAX_PACKET_LEN: usize = 4096;
/// The longest attribute value (RFC 2865 §5).
pub const MAX_VALUE_LEN: usize = 253;
/// Octets of an authenticator, of MD5 and of Message-Authenticator.
pub const AUTHENTICATOR_LEN: usize = 16;

/// Request or Response Authenticator (RFC 2865 §3).
pub type Authenticator = [u8; AUTHENTICATOR_LEN];

/// Code of a packet (RFC 2865 §3, RFC 5176 §3 and the IANA registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

#[allow(missing_docs)] // the standard's names
impl Code {
    pub const ACCESS_REQUEST: Self = Self(1);
    pub const ACCESS_ACCEPT: Self = Self(2);
    pub const ACCESS_REJECT: Self = Self(3);
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    pub const ACCESS_CHALLENGE: Self = Self(11);
    pub const STATUS_SERVER: Self = Self(12);
    pub const DISCONNECT_REQUEST: Self = Self(40);
    pub const DISCONNECT_ACK: Self = Self(41);
    pub const DISCONNECT_NAK: Self = Self(42);
    pub const COA_REQUEST: Self = Self(43);
    pub const COA_ACK: Self = Self(44);
    pub const COA_NAK: Self = Self(45);
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match *self {
            Self::ACCESS_REQUEST => "Access-Request",
            Self::ACCESS_ACCEPT => "Access-Accept",
            Self::ACCESS_REJECT => "Access-Reject",
            Self::ACCOUNTING_REQUEST => "Accounting-Request",
            Self::ACCOUNTING_RESPONSE => "Accounting-Response",
            Self::ACCESS_CHALLENGE => "Access-Challenge",
            Self::STATUS_SERVER => "Status-Server",
            Self::DISCONNECT_REQUEST => "Disconnect-Request",
            Self::DISCONNECT_ACK => "Disconnect-ACK",
            Self::DISCONNECT_NAK => "Disconnect-NAK",
            Self::COA_REQUEST => "CoA-Request",
            Self::COA_ACK => "CoA-ACK",
            Self::COA_NAK => "CoA-NAK",
            Self(other) => return write!(f, "code {other}"),
        };
        f.write_str(name)
    }
}

/// Why bytes are not a RADIUS packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Fewer octets than the header.
    #[error("{0} octets are too few for a RADIUS header of 20")]
    Short(usize),
    /// The Length field is outside 20..=4096 or beyond what was received.
    #[error("Length says {length}, {received} octets were received")]
    Length {
        /// The Length field.
        length: usize,
        /// Octets received.
        received: usize,
    },
    /// The attributes do not fill the packet exactly.
    #[error("attribute at offset {0} has a length below 2 or runs over the end")]
    Attribute(usize),
}

/// Checked view of one packet: all attributes are known to lie within it.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks Length and the length of every attribute. Octets after Length are dropped (padding).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        if bytes.len() < HEADER_LEN {
            return Err(PacketError::Short(bytes.len()));
        }
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if !(HEADER_LEN..=MAX_PACKET_LEN).contains(&length) || length > bytes.len() {
            return Err(PacketError::Length { length, received: bytes.len() });
        }
        let bytes = &bytes[..length];
        list::check(&bytes[HEADER_LEN..]).map_err(|at| PacketError::Attribute(HEADER_LEN + at))?;
        Ok(Self { bytes })
    }

    /// Code.
    pub fn code(&self) -> Code {
        Code(self.bytes[0])
    }

    /// Identifier: matches a reply to its request, per source port.
    pub fn identifier(&self) -> u8 {
        self.bytes[1]
    }

    /// Request or Response Authenticator.
    pub fn authenticator(&self) -> Authenticator {
        let mut out = [0; AUTHENTICATOR_LEN];
        out.copy_from_slice(&self.bytes[4..HEADER_LEN]);
        out
    }

    /// The attributes in the order of the packet.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::checked(&self.bytes[HEADER_LEN..])
    }

    /// The whole packet, without padding.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl std::fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} id {} {:?}", self.code(), self.identifier(), self.attributes())
    }
}
