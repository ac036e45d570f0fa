//! Lists of attributes: the checked view ([`Attributes`]) and the owned list that grows ([`AttributeList`]).

use std::net::{IpAddr, Ipv4Addr};

use super::{AttributeType, MAX_PACKET_LEN, MAX_VALUE_LEN};

/// Why an attribute cannot be added, or bytes are not a list of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The value is longer than one attribute holds.
    #[error("attribute {} has {length} octets of value, at most {max} fit", kind.0)]
    Value {
        /// Type of the attribute.
        kind: AttributeType,
        /// Octets given.
        length: usize,
        /// Octets that fit.
        max: usize,
    },
    /// The list would not fit into a packet.
    #[error("the attributes need more than a packet of 4096 octets")]
    Full,
    /// The bytes of a list are not attributes end to end.
    #[error("attribute at offset {0} has a length below 2 or runs over the end")]
    Malformed(usize),
}

/// Checked view of attributes that follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Checks that the bytes are attributes end to end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, AttributeError> {
        check(bytes).map_err(AttributeError::Malformed)?;
        Ok(Self { bytes })
    }

    pub(super) fn checked(bytes: &'a [u8]) -> Self {
        debug_assert!(check(bytes).is_ok());
        Self { bytes }
    }

    /// Type and value of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (AttributeType, &'a [u8])> + use<'a> {
        self.positions().map(|(_, kind, value)| (kind, value))
    }

    /// Offset of the value within the list, type and value of each.
    pub(super) fn positions(&self) -> impl Iterator<Item = (usize, AttributeType, &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = usize::from(*bytes.get(at + 1)?);
            let item = (at + 2, AttributeType(bytes[at]), bytes.get(at + 2..at + length)?);
            at += length;
            Some(item)
        })
    }

    /// Value of the first of a type.
    pub fn first(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// Values of all of a type, in order.
    pub fn all(&self, kind: AttributeType) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter().filter(move |(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// The first of a type as a 32-bit integer; `None` if absent or not of four octets.
    pub fn u32(&self, kind: AttributeType) -> Option<u32> {
        Some(u32::from_be_bytes(self.first(kind)?.try_into().ok()?))
    }

    /// The first of a type as an IPv4 address; `None` if absent or not of four octets.
    pub fn ipv4(&self, kind: AttributeType) -> Option<Ipv4Addr> {
        self.u32(kind).map(Ipv4Addr::from)
    }

    /// The first of a type as text; `None` if absent, octets that are not UTF-8 replaced.
    pub fn text(&self, kind: AttributeType) -> Option<String> {
        self.first(kind).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Attributes of one vendor (SMI enterprise number): those Vendor-Specific attributes that are well formed in the
    /// recommended layout of RFC 2865 §5.26; others are skipped.
    pub fn vendor(&self, vendor: u32) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        self.all(AttributeType::VENDOR_SPECIFIC)
            .filter_map(VendorAttributes::parse)
            .filter(move |found| found.vendor == vendor)
            .flat_map(|found| found.attributes.iter().map(|(kind, value)| (kind.0, value)))
    }

    /// The octets.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl std::fmt::Debug for Attributes<'_> {
    /// Types and lengths only: values can be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(kind, value)| (kind.0, value.len()))).finish()
    }
}

/// One Vendor-Specific attribute in the recommended layout: 4 octets of vendor, then type, length, value (RFC 2865 §5.26).
#[derive(Clone, Copy)]
pub struct VendorAttributes<'a> {
    /// SMI enterprise number.
    pub vendor: u32,
    /// The vendor's attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> VendorAttributes<'a> {
    /// Reads the value of a Vendor-Specific attribute; `None` if it has another layout.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (vendor, rest) = value.split_first_chunk::<4>()?;
        let attributes = Attributes::parse(rest).ok()?;
        Some(Self { vendor: u32::from_be_bytes(*vendor), attributes })
    }
}

/// Owned list of attributes, at most what fits into a packet.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AttributeList {
    bytes: Vec<u8>,
}

impl AttributeList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes that are attributes end to end.
    pub fn parse(bytes: &[u8]) -> Result<Self, AttributeError> {
        if bytes.len() > MAX_PACKET_LEN {
            return Err(AttributeError::Full);
        }
        Ok(Self { bytes: Attributes::parse(bytes)?.as_bytes().to_vec() })
    }

    /// Adds an attribute.
    pub fn push(&mut self, kind: AttributeType, value: &[u8]) -> Result<(), AttributeError> {
        if value.len() > MAX_VALUE_LEN {
            return Err(AttributeError::Value { kind, length: value.len(), max: MAX_VALUE_LEN });
        }
        if self.bytes.len() + 2 + value.len() > MAX_PACKET_LEN - super::HEADER_LEN {
            return Err(AttributeError::Full);
        }
        self.bytes.extend([kind.0, value.len() as u8 + 2]);
        self.bytes.extend(value);
        Ok(())
    }

    /// Adds a 32-bit integer.
    pub fn push_u32(&mut self, kind: AttributeType, value: u32) -> Result<(), AttributeError> {
        self.push(kind, &value.to_be_bytes())
    }

    /// Adds an address: 4 or 16 octets, as the type demands.
    pub fn push_ip(&mut self, kind: AttributeType, value: IpAddr) -> Result<(), AttributeError> {
        match value {
            IpAddr::V4(v4) => self.push(kind, &v4.octets()),
            IpAddr::V6(v6) => self.push(kind, &v6.octets()),
        }
    }

    /// Adds one vendor's attribute in a Vendor-Specific of its own. At most 247 octets of value.
    pub fn push_vendor(&mut self, vendor: u32, kind: u8, value: &[u8]) -> Result<(), AttributeError> {
        const MAX: usize = MAX_VALUE_LEN - 6;
        if value.len() > MAX {
            return Err(AttributeError::Value {
                kind: AttributeType::VENDOR_SPECIFIC,
                length: value.len(),
                max: MAX,
            });
        }
        let mut inner = Vec::with_capacity(6 + value.len());
        inner.extend(vendor.to_be_bytes());
        inner.extend([kind, value.len() as u8 + 2]);
        inner.extend(value);
        self.push(AttributeType::VENDOR_SPECIFIC, &inner)
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Attributes<'_>) -> Result<(), AttributeError> {
        if self.bytes.len() + other.as_bytes().len() > MAX_PACKET_LEN - super::HEADER_LEN {
            return Err(AttributeError::Full);
        }
        self.bytes.extend(other.as_bytes());
        Ok(())
    }

    /// The view of it.
    pub fn view(&self) -> Attributes<'_> {
        Attributes::checked(&self.bytes)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Attributes<'_>> for AttributeList {
    fn from(view: Attributes<'_>) -> Self {
        Self { bytes: view.as_bytes().to_vec() }
    }
}

impl std::fmt::Debug for AttributeList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}

/// Checks that attributes fill the bytes exactly; else the offset of the one that does not.
pub(super) fn check(bytes: &[u8]) -> Result<(), usize> {
    let mut at = 0;
    while at < bytes.len() {
        let length = usize::from(*bytes.get(at + 1).ok_or(at)?);
        if length < 2 || at + length > bytes.len() {
            return Err(at);
        }
        at += length;
    }
    Ok(())
}
