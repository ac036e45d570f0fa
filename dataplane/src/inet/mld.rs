//! Multicast listener discovery (RFC 3810): reports, without which switches that watch it keep solicitations from us (RFC 4861 §7.2.1).

use std::net::Ipv6Addr;

use super::checksum::pseudo_ipv6;
use super::{ipv6, protocol};

/// Type of a query.
pub const QUERY: u8 = 130;
const REPORT: u8 = 143;
/// Where reports go.
pub const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// Hop limit of both.
pub const HOP_LIMIT: u8 = 1;

const RECORD: usize = 20;
/// Hop-by-hop options: router alert for MLD, and padding (RFC 2711).
const ROUTER_ALERT: [u8; 8] = [protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// Octets of a report of so many groups, from the IPv6 header on.
pub const fn report_len(groups: usize) -> usize {
    ipv6::LEN + ROUTER_ALERT.len() + 8 + groups * RECORD
}

/// Writes an IPv6 packet that reports that we listen to `groups`, whoever sends to them; `place` is exactly as long as the report. With `change`
/// it is news, otherwise the answer to a query.
pub fn write_report(place: &mut [u8], source: Ipv6Addr, groups: &[Ipv6Addr], change: bool) {
    debug_assert_eq!(place.len(), report_len(groups.len()));
    let Some((fixed, rest)) = place.split_first_chunk_mut::<{ ipv6::LEN }>() else { return };
    let header = ipv6::Write {
        source,
        destination: ROUTERS,
        next_header: 0,
        payload_len: rest.len() as u16,
        hop_limit: HOP_LIMIT,
        flow_label: 0,
    };
    header.to(fixed);
    let Some((alert, message)) = rest.split_first_chunk_mut::<8>() else { return };
    *alert = ROUTER_ALERT;
    message.fill(0);
    message[0] = REPORT;
    message[6..8].copy_from_slice(&(groups.len() as u16).to_be_bytes());
    for (record, group) in message[8..].chunks_exact_mut(RECORD).zip(groups) {
        // CHANGE_TO_EXCLUDE_MODE or MODE_IS_EXCLUDE, of no source (RFC 3810 §5.2.12).
        record[0] = if change { 4 } else { 2 };
        record[4..].copy_from_slice(&group.octets());
    }
    let checksum = pseudo_ipv6(source, ROUTERS, protocol::ICMPV6, message.len()).octets(message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_right_packet() {
        let groups = ["ff02::1:ff00:1".parse().unwrap(), "ff02::1:ff00:2".parse().unwrap()];
        let mut packet = vec![0xee; report_len(2)];
        let source = "fe80::1".parse().unwrap();
        write_report(&mut packet, source, &groups, true);
        let header = ipv6::parse(&packet).unwrap();
        assert_eq!((header.next_header, header.hop_limit, header.destination), (58, 1, ROUTERS));
        let message = &packet[header.header_len..];
        assert_eq!(pseudo_ipv6(source, ROUTERS, 58, message.len()).octets(message).checksum(), 0);
        assert_eq!((message[0], message[7], message[8], message[28]), (143, 2, 4, 4));
        assert_eq!(message[32..48], groups[1].octets());
    }
}
