//! MSDUs as Ethernet frames (802.11-2020 §5.1.4).

use dataplane::ethernet::FIRST_ETHER_TYPE;
use dot11::{MacAddr, llc};

/// DA, SA, then the EtherType of a SNAP-encapsulated payload and the payload; or the length of another LLC PDU, or
/// of one whose type would read as a length, and that PDU.
pub fn frame(da: MacAddr, sa: MacAddr, msdu: &[u8]) -> Vec<u8> {
    let (type_or_length, payload) = match llc::parse(msdu) {
        Some((ether_type, payload)) if ether_type.0 >= FIRST_ETHER_TYPE => (ether_type.0, payload),
        _ => (u16::try_from(msdu.len()).unwrap_or(u16::MAX), msdu),
    };
    let mut frame = Vec::with_capacity(14 + payload.len());
    frame.extend_from_slice(&da.0);
    frame.extend_from_slice(&sa.0);
    frame.extend_from_slice(&type_or_length.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}
