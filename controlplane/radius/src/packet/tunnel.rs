//! Tunnel attributes as a VLAN assignment (RFC 2868 §3, RFC 3580 §3.31).
//!
//! Tunnel-Type 13 (VLAN), Tunnel-Medium-Type 6 (802), Tunnel-Private-Group-ID the VLAN as decimal text. A tag octet of
//! 0x01 to 0x1F groups the attributes of one tunnel.

use super::{AttributeError, AttributeList, AttributeType, Attributes};

const TUNNEL_TYPE_VLAN: u32 = 13;
const TUNNEL_MEDIUM_TYPE_802: u32 = 6;

/// What Tunnel-Private-Group-ID says: an identifier of 1 to 4094, or the name of a VLAN that the access point knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vlan {
    /// VLAN identifier.
    Id(u16),
    /// Name of a VLAN: anything that is not a number.
    Name(String),
}

/// The VLAN that the attributes assign: of the first tunnel (lowest tag) that is of type VLAN over 802.
pub fn vlan(attributes: Attributes<'_>) -> Option<Vlan> {
    (0..=0x1f).find_map(|tag| {
        let integer = |kind| attributes.all(kind).find_map(|value| tagged_u32(value, tag));
        if integer(AttributeType::TUNNEL_TYPE)? != TUNNEL_TYPE_VLAN
            || integer(AttributeType::TUNNEL_MEDIUM_TYPE)? != TUNNEL_MEDIUM_TYPE_802
        {
            return None;
        }
        attributes.all(AttributeType::TUNNEL_PRIVATE_GROUP_ID).find_map(|value| group(value, tag))
    })
}

/// Adds the three attributes of one VLAN assignment, untagged.
pub fn push_vlan(list: &mut AttributeList, vlan: &Vlan) -> Result<(), AttributeError> {
    list.push_u32(AttributeType::TUNNEL_TYPE, TUNNEL_TYPE_VLAN)?;
    list.push_u32(AttributeType::TUNNEL_MEDIUM_TYPE, TUNNEL_MEDIUM_TYPE_802)?;
    match vlan {
        Vlan::Id(id) => list.push(AttributeType::TUNNEL_PRIVATE_GROUP_ID, id.to_string().as_bytes()),
        Vlan::Name(name) => list.push(AttributeType::TUNNEL_PRIVATE_GROUP_ID, name.as_bytes()),
    }
}

/// Tunnel-Type and Tunnel-Medium-Type: the tag octet, then 24 bits (RFC 2868 §3.1).
fn tagged_u32(value: &[u8], tag: u8) -> Option<u32> {
    let [found, rest @ ..]: [u8; 4] = value.try_into().ok()?;
    // A tag above 0x1F is to be ignored: it counts as none (RFC 2868 §3.1).
    let found = if found > 0x1f { 0 } else { found };
    (found == tag).then(|| u32::from_be_bytes([0, rest[0], rest[1], rest[2]]))
}

/// Tunnel-Private-Group-ID: a first octet of 0x00 to 0x1F is a tag, anything else is text already (RFC 2868 §3.6).
fn group(value: &[u8], tag: u8) -> Option<Vlan> {
    let (found, text) = match value.split_first() {
        Some((first, rest)) if *first <= 0x1f => (*first, rest),
        _ => (0, value),
    };
    // Servers are known to tag the type but not the text: an untagged text belongs to any tunnel.
    if (found != tag && found != 0) || text.is_empty() {
        return None;
    }
    // A name goes into configuration look-ups and logs: nothing but text is taken for one.
    let text = std::str::from_utf8(text).ok()?.trim();
    match text.parse::<u16>() {
        Ok(id @ 1..=4094) => Some(Vlan::Id(id)),
        Ok(_) => None,
        Err(_) if text.bytes().all(|octet| octet.is_ascii_digit()) || text.contains(char::is_control) => None,
        Err(_) => Some(Vlan::Name(text.to_owned())),
    }
}
