//! LLC and SNAP in front of an MSDU's payload (802.11-2020 §5.1.4, RFC 1042, IEEE Std 802.1H).

/// An EtherType.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// IEEE 802.1Q tag.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// IEEE 802.1X (EAPOL).
    pub const EAPOL: Self = Self(0x888e);
    /// RSN pre-authentication.
    pub const PREAUTHENTICATION: Self = Self(0x88c7);
    /// AppleTalk ARP, which keeps the bridge-tunnel encapsulation.
    pub const AARP: Self = Self(0x80f3);
    /// IPX, which keeps the bridge-tunnel encapsulation.
    pub const IPX: Self = Self(0x8137);
}

/// Octets of LLC and SNAP header together.
pub const LEN: usize = 8;

/// LLC and SNAP up to the EtherType, as RFC 1042 has it.
pub const RFC1042: [u8; 6] = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00];
/// LLC and SNAP up to the EtherType, as the bridge tunnel of IEEE Std 802.1H has it.
pub const BRIDGE_TUNNEL: [u8; 6] = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0xf8];

/// Splits an MSDU into EtherType and payload, where it is SNAP-encapsulated Ethernet: RFC 1042 (but for AARP and
/// IPX, whose Ethernet form that is not) or bridge tunnel. `None` for any other LLC PDU, which belongs into an 802.3
/// frame with its length and with its LLC header, and for one that is too short.
#[inline]
pub fn parse(msdu: &[u8]) -> Option<(EtherType, &[u8])> {
    let (header, payload) = msdu.split_first_chunk::<LEN>()?;
    let [a, b, c, d, e, f, high, low] = *header;
    let ether_type = EtherType(u16::from_be_bytes([high, low]));
    let tunnelled = matches!(ether_type, EtherType::AARP | EtherType::IPX);
    match [a, b, c, d, e, f] {
        BRIDGE_TUNNEL => Some((ether_type, payload)),
        RFC1042 if !tunnelled => Some((ether_type, payload)),
        _ => None,
    }
}

/// The LLC and SNAP header for a payload of this EtherType: bridge tunnel for AARP and IPX, RFC 1042 for the rest.
#[inline]
pub fn header(ether_type: EtherType) -> [u8; LEN] {
    let [a, b, c, d, e, f] = match ether_type {
        EtherType::AARP | EtherType::IPX => BRIDGE_TUNNEL,
        _ => RFC1042,
    };
    let [high, low] = ether_type.0.to_be_bytes();
    [a, b, c, d, e, f, high, low]
}

/// An MSDU: LLC and SNAP header, then the payload.
pub fn msdu(ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
    [&header(ether_type), payload].concat()
}
