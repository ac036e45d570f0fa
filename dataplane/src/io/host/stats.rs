//! What the host counts: one fate for each frame that arrives and each datagram that is to be sent, and what it does of itself.

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A counter of [`HostStats`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HostCounter { $($(#[$doc])* $variant,)* }

        impl HostCounter {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Stable name for metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counters! {
    // Fates of frames: each that arrives is in exactly one.

    /// Datagrams delivered.
    RxDatagrams = "host_rx_datagrams",
    /// ARP about us: questions answered, answers used.
    RxArp = "host_rx_arp",
    /// ARP about others.
    RxArpOthers = "host_rx_arp_others",
    /// Neighbour discovery about us.
    RxNeighbour = "host_rx_neighbour",
    /// Neighbour discovery about others.
    RxNeighbourOthers = "host_rx_neighbour_others",
    /// Echo requests answered.
    RxEcho = "host_rx_echo",
    /// ICMP errors that told a path MTU.
    RxPathMtu = "host_rx_path_mtu",
    /// ICMP errors about something else.
    RxIcmpError = "host_rx_icmp_error",
    /// Queries of multicast listener discovery, answered with a report.
    RxListenerQuery = "host_rx_listener_query",
    /// ICMP that a host like this has no use for, such as router advertisements.
    RxIcmpOther = "host_rx_icmp_other",
    /// To groups that we are not in, or to every host of the subnet.
    RxGroup = "host_rx_group",
    /// Dropped: no Ethernet frame.
    DropShort = "host_drop_short",
    /// Dropped: to another Ethernet address.
    DropOtherMac = "host_drop_other_mac",
    /// Dropped: from our own or a group's Ethernet address.
    DropSourceMac = "host_drop_source_mac",
    /// Dropped: not of the configured VLAN, or tagged twice.
    DropVlan = "host_drop_vlan",
    /// Dropped: neither ARP nor IP.
    DropEtherType = "host_drop_ether_type",
    /// Dropped: not an ARP packet, or from an impossible address.
    DropArp = "host_drop_arp",
    /// Dropped: IP version, header or length.
    DropIpHeader = "host_drop_ip_header",
    /// Dropped: IPv4 header checksum.
    DropIpChecksum = "host_drop_ip_checksum",
    /// Dropped: fragment of an IP packet. Radios fragment with CAPWAP.
    DropFragment = "host_drop_fragment",
    /// Dropped: with a prescribed way.
    DropSourceRoute = "host_drop_source_route",
    /// Dropped: IPv6 options or extension headers that must not be passed over.
    DropOptions = "host_drop_options",
    /// Dropped: from an address that nobody can send from.
    DropMartian = "host_drop_martian",
    /// Dropped: to one IP address, but to a group of Ethernet addresses (RFC 1122 §3.3.6).
    DropLinkGroup = "host_drop_link_group",
    /// Dropped: to an IP address that is not ours.
    DropOtherAddress = "host_drop_other_address",
    /// Dropped: to an address of ours that is not in use: being checked for a duplicate, or one.
    DropAddressState = "host_drop_address_state",
    /// Dropped: UDP header or length.
    DropUdpHeader = "host_drop_udp_header",
    /// Dropped: UDP checksum wrong, or missing over IPv6.
    DropUdpChecksum = "host_drop_udp_checksum",
    /// Dropped: to a port where nobody listens, or from port 0.
    DropPort = "host_drop_port",
    /// Dropped: a protocol that is not spoken.
    DropProtocol = "host_drop_protocol",
    /// Dropped: ICMP header or checksum.
    DropIcmp = "host_drop_icmp",
    /// Dropped: neighbour discovery that must be ignored.
    DropNeighbour = "host_drop_neighbour",
    /// Dropped: echo requests above the rate, or longer than can be answered.
    DropEcho = "host_drop_echo",
    /// Dropped: path MTU of a packet that we did not send, or below the least there can be.
    DropPathMtu = "host_drop_path_mtu",

    // Fates of datagrams: each that is taken for sending is in exactly one.

    /// Datagrams sent in a frame of their own.
    TxDatagrams = "host_tx_datagrams",
    /// Datagrams sent as IP fragments, because the path takes less.
    TxFragmented = "host_tx_fragmented",
    /// Datagrams that wait for their neighbour's Ethernet address: what becomes of them is in `Wait...`.
    TxWaiting = "host_tx_waiting",
    /// Dropped: no endpoint.
    TxDropNoEndpoint = "host_tx_drop_no_endpoint",
    /// Dropped: no address of ours to send from.
    TxDropNoSource = "host_tx_drop_no_source",
    /// Dropped: no prefix, gateway or learnt next hop.
    TxDropNoRoute = "host_tx_drop_no_route",
    /// Dropped: the next hop did not answer a moment ago.
    TxDropUnreachable = "host_tx_drop_unreachable",
    /// Dropped: too long for IP, or for as many fragments as there are.
    TxDropOversize = "host_tx_drop_oversize",
    /// Dropped: no room for headers in front.
    TxDropNoHeadroom = "host_tx_drop_no_headroom",

    // What became of datagrams that waited.

    /// Sent after all.
    WaitSent = "host_wait_sent",
    /// Dropped: more of them waited than may.
    WaitDropFull = "host_wait_drop_full",
    /// Dropped: the neighbour never answered.
    WaitDropUnreachable = "host_wait_drop_unreachable",
    /// Dropped: its neighbour had to make room for another.
    WaitDropEvicted = "host_wait_drop_evicted",

    // What the host does besides.

    /// IP fragments sent.
    TxFragments = "host_tx_fragments",
    /// ARP requests sent.
    TxArpRequest = "host_tx_arp_request",
    /// ARP replies sent.
    TxArpReply = "host_tx_arp_reply",
    /// Neighbour solicitations sent.
    TxSolicitation = "host_tx_solicitation",
    /// Neighbour advertisements sent.
    TxAdvertisement = "host_tx_advertisement",
    /// Reports of multicast listener discovery sent.
    TxListenerReport = "host_tx_listener_report",
    /// Echo replies sent.
    TxEchoReply = "host_tx_echo_reply",
    /// ICMP errors sent.
    TxIcmpError = "host_tx_icmp_error",
    /// ICMP errors not sent: above the rate.
    IcmpErrorLimited = "host_icmp_error_limited",
    /// Questions for neighbours put off: above the rate.
    QuestionLimited = "host_question_limited",
    /// Neighbours that answered.
    NeighbourResolved = "host_neighbour_resolved",
    /// Neighbours that did not.
    NeighbourFailed = "host_neighbour_failed",
    /// Neighbours forgotten for others.
    NeighbourEvicted = "host_neighbour_evicted",
    /// Times that a path MTU was lowered.
    PathMtuLowered = "host_path_mtu_lowered",
    /// Another host of the link uses an address of ours.
    AddressConflict = "host_address_conflict",
    /// Addresses of ours not used because somebody else has them (RFC 4862 §5.4).
    DuplicateAddress = "host_duplicate_address",
    /// Frames of our own dropped: no packet to make them in.
    OwnDropNoBuffer = "host_own_drop_no_buffer",
    /// Frames of our own, fragments and answers among them, dropped: the way out has been full for too long.
    OwnDropFull = "host_own_drop_full",
    /// Frames of our own dropped: no room for headers.
    OwnDropNoHeadroom = "host_own_drop_no_headroom",
}

const COUNTERS: usize = HostCounter::ALL.len();

/// Counters of one [`HostIo`](super::HostIo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostStats {
    values: [u64; COUNTERS],
}

impl Default for HostStats {
    fn default() -> Self {
        Self { values: [0; COUNTERS] }
    }
}

impl HostStats {
    /// A counter's value.
    #[inline]
    pub fn get(&self, counter: HostCounter) -> u64 {
        self.values[counter as usize]
    }

    /// Adds one.
    #[inline]
    pub(super) fn count(&mut self, counter: HostCounter) {
        self.values[counter as usize] += 1;
    }

    /// Takes one back that did not happen.
    #[inline]
    pub(super) fn uncount(&mut self, counter: HostCounter) {
        self.values[counter as usize] -= 1;
    }

    /// Frames that arrived, by the sum of their fates.
    pub fn rx_total(&self) -> u64 {
        self.values[..=HostCounter::DropPathMtu as usize].iter().sum()
    }

    /// Datagrams that were taken for sending, by the sum of their fates.
    pub fn tx_total(&self) -> u64 {
        self.sum(HostCounter::TxDatagrams, HostCounter::TxDropNoHeadroom)
    }

    /// Datagrams lost on the way out, as far as this host knows.
    pub fn tx_dropped(&self) -> u64 {
        self.sum(HostCounter::TxDropNoEndpoint, HostCounter::TxDropNoHeadroom)
            + self.sum(HostCounter::WaitDropFull, HostCounter::WaitDropEvicted)
    }

    /// Counters that are not zero, by name.
    pub fn nonzero(&self) -> impl Iterator<Item = (HostCounter, u64)> + '_ {
        HostCounter::ALL.iter().map(|&counter| (counter, self.get(counter))).filter(|&(_, n)| n != 0)
    }

    fn sum(&self, first: HostCounter, last: HostCounter) -> u64 {
        self.values[first as usize..=last as usize].iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_fit_prometheus() {
        let names: HashSet<_> = HostCounter::ALL.iter().map(|counter| counter.name()).collect();
        assert_eq!(names.len(), COUNTERS);
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        for &counter in HostCounter::ALL {
            let mut stats = HostStats::default();
            stats.count(counter);
            assert_eq!(stats.nonzero().collect::<Vec<_>>(), [(counter, 1)]);
            let fates = stats.rx_total() + stats.tx_total();
            let name = counter.name();
            let is_fate = name.starts_with("host_rx_") || name.starts_with("host_drop_") || fates == 1;
            assert_eq!(fates == 1, is_fate, "{name}");
        }
    }
}
