//! Counters: one slot per thing that can happen to a packet, kept by each worker, read by anybody.
//!
//! Every packet that a worker takes ends in exactly one of: sent, consumed, or dropped for a [`DropReason`]; the reason *is* the counter.
//! A worker is the only writer of its block, so counting is a plain load and store; readers see each value as it was a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::port_counters::{Port, PortCounters};

macro_rules! counters {
    ($(#[$enum_doc:meta])* $enum_name:ident from $first:expr;
     $($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $enum_name { $($(#[$doc])* $variant,)* }

        impl $enum_name {
            /// All of them, in the order of their slots.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Stable name for metrics: lower case, words joined by underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            const fn slot(self) -> usize {
                $first + self as usize
            }
        }

        impl From<$enum_name> for Slot {
            fn from(counter: $enum_name) -> Slot {
                Slot(counter.slot())
            }
        }
    };
}

counters! {
    /// Why a packet went no further.
    DropReason from 0;
    /// Not a CAPWAP data header, or not a keep-alive where one was announced.
    MalformedTunnel = "drop_malformed_tunnel",
    /// A tunnelled payload that is not a native 802.11 frame.
    NotNative = "drop_not_native",
    /// From an endpoint, or for a BSSID, that nobody introduced.
    UnknownTunnel = "drop_unknown_tunnel",
    /// For a known BSSID, but from another endpoint than its tunnel's.
    WrongEndpoint = "drop_wrong_endpoint",
    /// Keep-alive of a tunnel that control refused a moment ago.
    TunnelRefused = "drop_tunnel_refused",
    /// Keep-alive of an unknown tunnel, beyond the rate at which control is asked.
    RequestLimited = "drop_request_limited",
    /// Keep-alive of a known tunnel that does not prove to come from its radio, or is an old one.
    KeepAliveProof = "drop_keep_alive_proof",
    /// Datagram of matchmaking, beyond the rate at which control takes them.
    DatagramLimited = "drop_datagram_limited",
    /// CAPWAP fragment that contradicts its frame.
    TunnelFragment = "drop_tunnel_fragment",
    /// Longer than a packet buffer, or than a tunnel carries.
    TooLong = "drop_too_long",
    /// No packet left in the pool for a copy, a fragment or an answer.
    NoBuffer = "drop_no_buffer",
    /// Not an 802.11 frame.
    MalformedFrame = "drop_malformed_frame",
    /// An 802.11 frame of a kind that has no business in the tunnel (control, extension).
    UnsupportedFrame = "drop_unsupported_frame",
    /// Wrong form of the address fields: not to this BSS, or from a group address, or between distribution systems.
    WrongAddresses = "drop_wrong_addresses",
    /// Data of a device that is not associated.
    UnknownStation = "drop_unknown_station",
    /// Unencrypted data where the station's state demands encryption.
    Unprotected = "drop_unprotected",
    /// Encrypted, but there is no key yet.
    NoKey = "drop_no_key",
    /// Encrypted under a key identifier that is not in use.
    WrongKeyId = "drop_wrong_key_id",
    /// Encrypted, but too short, or not CCMP.
    MalformedCcmp = "drop_malformed_ccmp",
    /// Packet number not above the last one of its traffic identifier.
    Replay = "drop_replay",
    /// Wrong MIC.
    MicFailure = "drop_mic_failure",
    /// Retransmission of a frame that arrived already.
    Duplicate = "drop_duplicate",
    /// Fragment without its predecessor, or without place in its MSDU.
    FragmentOrphan = "drop_fragment_orphan",
    /// Fragment whose packet number does not follow its predecessor's (CVE-2020-26146).
    FragmentPn = "drop_fragment_pn",
    /// Fragment under another key than its predecessor, or unencrypted after encrypted (CVE-2020-24587, CVE-2020-26147).
    FragmentMixed = "drop_fragment_mixed",
    /// Fragments that waited for the rest longer than two seconds.
    FragmentExpired = "drop_fragment_expired",
    /// Fragments given up for newer ones, or with their station or key (CVE-2020-24586).
    FragmentEvicted = "drop_fragment_evicted",
    /// A fragment of an A-MSDU, which nobody sends.
    FragmentedAmsdu = "drop_fragmented_amsdu",
    /// A-MSDU that ends inside a subframe, or has too many.
    MalformedAmsdu = "drop_malformed_amsdu",
    /// A-MSDU whose first subframe is an LLC header in disguise (CVE-2020-24588).
    AmsduDisguise = "drop_amsdu_disguise",
    /// MSDU whose source is not the device that sent it.
    SpoofedSource = "drop_spoofed_source",
    /// MSDU that does not begin with a usable LLC header.
    MalformedLlc = "drop_malformed_llc",
    /// MSDU that brings its own VLAN tag, which would choose its VLAN itself.
    TaggedByDevice = "drop_tagged_by_device",
    /// EAPOL to somebody else than the access point (CVE-2020-26139).
    MisaddressedEapol = "drop_misaddressed_eapol",
    /// Data before control opened the port.
    PortClosed = "drop_port_closed",
    /// To a group address that bridges do not forward (802.1Q-2018 table 8-1).
    ReservedGroup = "drop_reserved_group",
    /// Between two devices of an isolated service.
    Isolated = "drop_isolated",
    /// From the network, too short for Ethernet.
    MalformedEthernet = "drop_malformed_ethernet",
    /// From the network, on a VLAN that no service uses.
    UnknownVlan = "drop_unknown_vlan",
    /// To a device that is not here.
    UnknownDestination = "drop_unknown_destination",
    /// Group-addressed, and kept off the air because no device needs it.
    Contained = "drop_contained",
    /// To a device that has no key yet.
    NoDownlinkKey = "drop_no_downlink_key",
    /// All packet numbers of the key were used.
    PnExhausted = "drop_pn_exhausted",
    /// It would have to wait for a key, and too many others do.
    HoldFull = "drop_hold_full",
    /// The station went while it waited for a key.
    HoldLost = "drop_hold_lost",
    /// Group-addressed, while too many others were still being copied.
    FanoutFull = "drop_fanout_full",
    /// Frame for control, but control is behind.
    PuntFull = "drop_punt_full",
    /// For another worker, which is behind.
    HandoffFull = "drop_handoff_full",
    /// Handed over by another worker, but this one does not own it either.
    HandoffLost = "drop_handoff_lost",
    /// The tunnel side's transmit queue is full.
    TunnelTxFull = "drop_tunnel_tx_full",
    /// The network side's transmit queue is full.
    NetworkTxFull = "drop_network_tx_full",
    /// No room around the packet for the headers.
    NoHeadroom = "drop_no_headroom",
}

counters! {
    /// What packets did otherwise.
    Forwarded from DROPS;
    /// Datagrams from radios.
    TunnelRx = "tunnel_rx",
    /// Datagrams to radios.
    TunnelTx = "tunnel_tx",
    /// Frames from the network.
    NetworkRx = "network_rx",
    /// Frames to the network.
    NetworkTx = "network_tx",
    /// Keep-alives of known tunnels, each answered.
    KeepAlive = "keep_alive",
    /// Tunnels whose endpoint moved.
    TunnelMoved = "tunnel_moved",
    /// Tunnel requests given to control.
    TunnelRequest = "tunnel_request",
    /// Datagrams of matchmaking given to control.
    PuntDatagram = "punt_datagram",
    /// Datagrams of matchmaking sent for control.
    DatagramTx = "datagram_tx",
    /// Punches sent to radios whose keep-alives are late.
    Punch = "punch_tx",
    /// Tunnels that fell silent.
    TunnelDown = "tunnel_down",
    /// CAPWAP fragments received.
    TunnelFragmentRx = "tunnel_fragment_rx",
    /// CAPWAP fragments sent.
    TunnelFragmentTx = "tunnel_fragment_tx",
    /// CAPWAP reassemblies given up: too old, or displaced.
    ReassemblyGivenUp = "reassembly_given_up",
    /// Frames opened: MIC right.
    Opened = "ccmp_opened",
    /// Frames opened under a replaced key.
    OpenedOld = "ccmp_opened_old_key",
    /// Frames sealed.
    Sealed = "ccmp_sealed",
    /// 802.11 fragments kept for the rest of their MSDU.
    Fragment = "fragment_rx",
    /// MSDUs put together from fragments.
    Defragmented = "defragmented",
    /// A-MSDUs taken apart.
    Amsdu = "amsdu_rx",
    /// MSDUs from devices.
    MsduUp = "msdu_up",
    /// MSDUs to devices.
    MsduDown = "msdu_down",
    /// MSDUs from device to device.
    Hairpin = "hairpin",
    /// Null frames: power-save and presence signals.
    NullData = "null_data",
    /// Management frames given to control.
    PuntManagement = "punt_management",
    /// EAPOL PDUs given to control.
    PuntEapol = "punt_eapol",
    /// ARP requests answered for a device, or by one's known address.
    ProxyArp = "proxy_arp",
    /// Neighbour solicitations answered.
    ProxyNd = "proxy_nd",
    /// DHCP broadcasts turned to the one client.
    DhcpToUnicast = "dhcp_to_unicast",
    /// Copies of group-addressed frames to single stations.
    GroupCopy = "group_copy",
    /// Group-addressed frames under a group key.
    GroupFrame = "group_frame",
    /// Frames to devices that waited for a key.
    Held = "held",
    /// Frames from devices that waited for their key.
    Parked = "parked",
    /// Packets given to another worker.
    HandoffTx = "handoff_tx",
    /// Packets taken from another worker.
    HandoffRx = "handoff_rx",
    /// Frames that control had us send.
    Transmitted = "transmitted",
    /// Deauthentications sent to devices that are not associated.
    Class3Deauth = "class3_deauth",
    /// Commands carried out.
    Commands = "commands",
    /// Commands refused.
    CommandsFailed = "commands_failed",
    /// Addresses learnt.
    AddressLearnt = "address_learnt",
    /// Addresses claimed by one device while another has them, or by a device and the network: the network keeps or gets them.
    AddressConflict = "address_conflict",
    /// Live tunnels (goes up and down).
    Tunnels = "tunnels",
    /// Live stations (goes up and down).
    Stations = "stations",
}

const DROPS: usize = DropReason::ALL.len();
const SLOTS: usize = DROPS + Forwarded::ALL.len();

/// A counter of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// One worker's counters: whole cache lines, so that no two workers write to the same.
#[repr(align(128))]
pub struct WorkerCounters {
    values: [AtomicU64; SLOTS],
    /// What its ports counted.
    pub ports: PortCounters,
}

impl WorkerCounters {
    /// All zero.
    pub fn new() -> Self {
        Self { values: [const { AtomicU64::new(0) }; SLOTS], ports: PortCounters::default() }
    }

    /// Adds one. For the owning worker only.
    #[inline]
    pub fn count(&self, counter: impl Into<Slot>) {
        self.add(counter, 1);
    }

    /// Adds `n`. For the owning worker only.
    #[inline]
    pub fn add(&self, counter: impl Into<Slot>, n: u64) {
        let value = &self.values[counter.into().0];
        value.store(value.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Sets a value that goes up and down. For the owning worker only.
    #[inline]
    pub fn set(&self, counter: impl Into<Slot>, n: u64) {
        self.values[counter.into().0].store(n, Relaxed);
    }

    /// The value a moment ago.
    #[inline]
    pub fn get(&self, counter: impl Into<Slot>) -> u64 {
        self.values[counter.into().0].load(Relaxed)
    }
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the counters of all workers, from any thread.
#[derive(Clone)]
pub struct Reader {
    workers: Arc<[Arc<WorkerCounters>]>,
}

impl Reader {
    /// A reader of these workers.
    pub fn new(workers: Vec<Arc<WorkerCounters>>) -> Self {
        Self { workers: workers.into() }
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Sum over the workers.
    pub fn total(&self, counter: impl Into<Slot>) -> u64 {
        let slot = counter.into();
        self.workers.iter().map(|worker| worker.get(slot)).sum()
    }

    /// Every counter by name with its sum over the workers; drop reasons first.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        named().map(|(name, slot)| (name, self.total(slot)))
    }

    /// Every counter of the workers' ports on one side, by name, with its sum over the workers.
    pub fn port_totals(&self, port: Port) -> BTreeMap<&'static str, u64> {
        let mut totals = BTreeMap::new();
        for (name, value) in self.workers.iter().flat_map(|worker| worker.ports.read(port)) {
            *totals.entry(name).or_default() += value;
        }
        totals
    }

    /// Every counter of one worker by name; nothing for a worker that does not exist.
    pub fn of_worker(&self, worker: usize) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let block = self.workers.get(worker);
        named().filter_map(move |(name, slot)| block.map(|block| (name, block.get(slot))))
    }
}

fn named() -> impl Iterator<Item = (&'static str, Slot)> {
    let drops = DropReason::ALL.iter().map(|&c| (c.name(), c.into()));
    drops.chain(Forwarded::ALL.iter().map(|&c| (c.name(), c.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_fit_prometheus() {
        let names: Vec<_> = named().map(|(name, _)| name).collect();
        assert_eq!(names.len(), SLOTS);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), SLOTS);
        assert!(
            names
                .iter()
                .all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        );
        assert!(DropReason::ALL.iter().all(|reason| reason.name().starts_with("drop_")));
        assert_eq!(named().map(|(_, slot)| slot.0).collect::<Vec<_>>(), (0..SLOTS).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_sums_over_workers() {
        let workers = [Arc::new(WorkerCounters::new()), Arc::new(WorkerCounters::new())];
        workers[0].count(DropReason::Replay);
        workers[1].add(DropReason::Replay, 2);
        workers[1].set(Forwarded::Stations, 5);
        let reader = Reader::new(workers.to_vec());
        assert_eq!(reader.total(DropReason::Replay), 3);
        assert!(reader.totals().any(|(name, value)| name == "stations" && value == 5));
        assert!(reader.of_worker(0).any(|(name, value)| name == "drop_replay" && value == 1));
        assert_eq!(reader.of_worker(2).count(), 0);
        assert_eq!(reader.workers(), 2);
    }
}
