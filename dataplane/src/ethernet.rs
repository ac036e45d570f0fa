//! Ethernet frames as they are on the network side: addresses, at most one 802.1Q tag, EtherType or length, payload.

use dot11::MacAddr;

use crate::packet::Packet;

/// Octets before the payload of an untagged frame.
pub const HEADER: usize = 14;

/// EtherTypes below this are lengths of 802.3 frames with an LLC header.
pub const FIRST_ETHER_TYPE: u16 = 0x0600;

/// EtherTypes of VLAN tags: 802.1Q, 802.1ad and what was used before that.
pub const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The header of an untagged frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Destination.
    pub destination: MacAddr,
    /// Source.
    pub source: MacAddr,
    /// EtherType, or length below [`FIRST_ETHER_TYPE`].
    pub ether_type: u16,
}

/// Reads the header; `None` if the frame is shorter than it.
#[inline]
pub fn parse(frame: &[u8]) -> Option<Header> {
    let header = frame.first_chunk::<HEADER>()?;
    Some(Header {
        destination: MacAddr::from_slice(header)?,
        source: MacAddr::from_slice(&header[6..])?,
        ether_type: u16::from_be_bytes([header[12], header[13]]),
    })
}

/// What follows the header.
#[inline]
pub fn payload(frame: &[u8]) -> &[u8] {
    frame.get(HEADER..).unwrap_or_default()
}

/// Takes the 802.1Q tag off, if there is one: VLAN identifier (0 for none) and priority.
#[inline]
pub fn pop_tag(packet: &mut Packet) -> (u16, Option<u8>) {
    let data = packet.data();
    if data.len() < HEADER + 4 || data[12..14] != TAGS[0].to_be_bytes() {
        return (0, None);
    }
    let control = u16::from_be_bytes([data[14], data[15]]);
    packet.data_mut().copy_within(..12, 4);
    packet.trim_front(4);
    (control & 0x0fff, Some((control >> 13) as u8))
}

/// Puts an 802.1Q tag on; false if there is no headroom.
#[inline]
pub fn push_tag(packet: &mut Packet, vlan: u16, priority: u8) -> bool {
    if packet.prepend(4).is_none() {
        return false;
    }
    let data = packet.data_mut();
    data.copy_within(4..16, 0);
    data[12..14].copy_from_slice(&TAGS[0].to_be_bytes());
    data[14..16].copy_from_slice(&(vlan & 0x0fff | u16::from(priority) << 13).to_be_bytes());
    true
}

/// Replaces the destination.
#[inline]
pub fn set_destination(packet: &mut Packet, destination: MacAddr) {
    if let Some(place) = packet.data_mut().first_chunk_mut::<6>() {
        *place = destination.0;
    }
}

/// Whether bridges never forward frames to this address (802.1Q-2018 table 8-1: 01-80-C2-00-00-00 to -0F).
#[inline]
pub fn is_reserved(destination: MacAddr) -> bool {
    destination.0[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && destination.0[5] & 0xf0 == 0
}

/// The user priority of an untagged frame by its DSCP (RFC 8325 §4.3); 0 if it is not IP.
#[inline]
pub fn priority(frame: &[u8]) -> u8 {
    let dscp = match frame.get(12..16) {
        Some(&[0x08, 0x00, _, tos]) => tos >> 2,
        Some(&[0x86, 0xdd, first, second]) => (first << 4 | second >> 4) >> 2,
        _ => return 0,
    };
    match dscp {
        48 | 56 => 7,                  // CS6, CS7: network control
        44 | 46 => 6,                  // VOICE-ADMIT, EF
        40 => 5,                       // CS5: signalling
        24..=38 if dscp % 2 == 0 => 4, // CS3, AF3x, CS4, AF4x
        18 | 20 | 22 => 3,             // AF2x
        8 => 1,                        // CS1
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Pool, PoolConfig};

    #[test]
    fn tags_come_off_as_they_were_put_on() {
        let pool = Pool::new(PoolConfig { packets: 1, buffer: 100, headroom: 4 });
        let mut packet = pool.alloc().unwrap();
        let frame: Vec<u8> = (0..40).collect();
        packet.copy_from(&frame);
        assert_eq!(pop_tag(&mut packet), (0, None));
        assert!(push_tag(&mut packet, 0x0abc, 5));
        assert_eq!(packet.data()[..18], [&frame[..12], &[0x81, 0, 0xaa, 0xbc], &frame[12..14]].concat());
        assert!(!push_tag(&mut packet, 1, 0), "no headroom left");
        assert_eq!(pop_tag(&mut packet), (0x0abc, Some(5)));
        assert_eq!(packet.data(), frame);
    }

    #[test]
    fn priorities_follow_rfc_8325() {
        let ipv4 = |dscp: u8| priority(&[&[0; 12][..], &[0x08, 0x00, 0x45, dscp << 2]].concat());
        let ipv6 = |dscp: u8| priority(&[&[0; 12][..], &[0x86, 0xdd, 0x60 | dscp >> 2, dscp << 6]].concat());
        let expected =
            [(0, 0), (8, 1), (10, 0), (16, 0), (18, 3), (26, 4), (32, 4), (34, 4), (40, 5), (46, 6), (48, 7)];
        for (dscp, up) in expected {
            assert_eq!((ipv4(dscp), ipv6(dscp)), (up, up), "DSCP {dscp}");
        }
        assert_eq!(priority(&[0; 14]), 0);
        assert_eq!(priority(&[]), 0);
    }

    #[test]
    fn reserved_addresses_end_at_0f() {
        assert!(is_reserved(MacAddr([1, 0x80, 0xc2, 0, 0, 0x0f])));
        assert!(!is_reserved(MacAddr([1, 0x80, 0xc2, 0, 0, 0x10])));
        assert!(!is_reserved(MacAddr::BROADCAST));
    }
}
