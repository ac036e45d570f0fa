//! What every packet of a station touches, in whole cache lines.
//!
//! ```text
//!   line 0   both ways    who, where its tunnel ends, flags, the pairwise key
//!   line 1   downlink     packet number, sequence numbers, totals        | duplicate detection, TIDs 8 to 15
//!   line 2   uplink       duplicate detection of the other indexes, totals, last seen | replay counter of TID 0
//!   line 3   uplink       replay counters of TIDs 1 to 7 and of management
//! ```
//!
//! So a frame down touches two lines, and so does a frame up on TID 0, which is most of them; on another TID of EDCA it is three. The replay
//! counters of TIDs 8 to 15, which EDCA does not use, are in [cold state](super::Cold), from the first such frame on. The layout
//! is fixed (`repr(C)`, plain numbers only), because it can be memory shared with another process: whoever changes it changes
//! [`VERSION`](super::VERSION) too.

use std::net::{IpAddr, Ipv4Addr};

use dot11::MacAddr;
use zeroize::Zeroize;

use super::replay::{INDEXES, ReplayCounters, slot};
use crate::clock::Time;
use crate::endpoint::Endpoint;
use crate::prefetch::prefetch_near;
use crate::tunnel::TunnelId;

/// Number of user priorities, each with a sequence counter of its own (802.11-2020 §10.3.2.14.2, SNS2).
pub const PRIORITIES: usize = 8;

/// The last packet number that CCMP may use (48 bits, 802.11-2020 §12.5.3.2).
pub const LAST_PN: u64 = (1 << 48) - 1;

/// Hot state of one station.
#[repr(C, align(64))]
pub struct Hot {
    /// The device.
    pub mac: MacAddr,
    /// Its virtual BSS.
    pub bssid: MacAddr,
    /// The tunnel of that.
    pub tunnel: TunnelId,
    flags: u16,
    /// Identifier of the pairwise key.
    pub key_id: u8,
    /// Counts key installations, so that fragments under different keys never meet.
    pub key_epoch: u8,
    /// The VLAN its data belongs to.
    pub vlan: u16,
    /// Index of its service.
    pub service: u16,
    key: [u8; 16],
    /// Where its tunnel ends.
    pub endpoint: Endpoint,
    // -- line 1
    tx_pn: u64,
    /// MSDUs sent.
    pub down_packets: u64,
    /// Their octets.
    pub down_octets: u64,
    tx_sequence: [u16; PRIORITIES],
    spare: [u8; 8],
    /// Sequence control of the last frame accepted, for telling retransmissions: last slot first, so that the rare ones are in line 1.
    rx_sequence: [u16; INDEXES],
    // -- line 2, from slot 8 of these on
    /// Last signal strength in dBm, 0 for unknown.
    pub rssi: i8,
    spare_uplink: [u8; 1],
    ipv4: [u8; 4],
    /// When the last frame came.
    pub last_seen: Time,
    /// MSDUs received.
    pub up_packets: u64,
    /// Their octets.
    pub up_octets: u64,
    spare_counter: [u8; 8],
    /// Receive packet numbers under the key, of all but the rarest: ask [`StationTable::is_new`](super::StationTable::is_new).
    pub(crate) replay: ReplayCounters,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Hot>() == 4 * 64 && align_of::<Hot>() == 64);
    assert!(offset_of!(Hot, key) == 24 && offset_of!(Hot, endpoint) == 40 && offset_of!(Hot, tx_pn) == 64);
    assert!(offset_of!(Hot, rx_sequence) + 2 * (INDEXES - 1 - 8) == 128, "slots 0 to 8 are in line 2");
    assert!(offset_of!(Hot, rssi) == 146 && offset_of!(Hot, last_seen) == 152);
    assert!(offset_of!(Hot, replay) == 192 - 8, "TID 0 is the last of line 2");
    assert!(size_of::<ReplayCounters>() == 8 + 64, "the others of EDCA and management are line 3");
};

/// Facts about a station that stages ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Flag {
    /// It takes QoS data frames.
    Qos = 1 << 0,
    /// Data passes only encrypted.
    Protect = 1 << 1,
    /// Protected management frames were negotiated.
    Pmf = 1 << 2,
    /// A pairwise key is installed.
    Keyed = 1 << 3,
    /// The replaced key is still accepted.
    Grace = 1 << 4,
    /// Data passes.
    PortOpen = 1 << 5,
    /// Downlink waits.
    Holding = 1 << 6,
    /// Frames of TIDs 8 to 15 were opened under the pairwise key: [cold state](super::Cold::rare_replay) has their counters.
    RareTids = 1 << 7,
}

impl Hot {
    /// Of a new association.
    pub fn new(mac: MacAddr, bssid: MacAddr, tunnel: TunnelId, endpoint: Endpoint, now: Time) -> Self {
        Self {
            mac,
            bssid,
            tunnel,
            flags: 0,
            key_id: 0,
            key_epoch: 0,
            vlan: 0,
            service: 0,
            key: [0; 16],
            endpoint,
            tx_pn: 0,
            down_packets: 0,
            down_octets: 0,
            tx_sequence: [0; PRIORITIES],
            spare: [0; 8],
            rx_sequence: [NO_SEQUENCE; INDEXES],
            rssi: 0,
            spare_uplink: [0; 1],
            ipv4: [0; 4],
            last_seen: now,
            up_packets: 0,
            up_octets: 0,
            spare_counter: [0; 8],
            replay: ReplayCounters::default(),
        }
    }

    /// Whether a fact holds.
    #[inline]
    pub fn is(&self, flag: Flag) -> bool {
        self.flags & flag as u16 != 0
    }

    /// Not of a station, but of a place to be used again; `next` is the one after it.
    pub(super) fn free(next: u32) -> Self {
        let nobody = (MacAddr::ZERO, TunnelId(next), Endpoint::NONE);
        Self::new(nobody.0, nobody.0, nobody.1, nobody.2, Time::ZERO)
    }

    /// The next place to be used again, if this one is.
    pub(super) fn next_free(&self) -> u32 {
        self.tunnel.0
    }

    /// Whether a station lives here.
    pub(super) fn is_live(&self) -> bool {
        self.flags & LIVE != 0
    }

    pub(super) fn set_live(&mut self) {
        self.flags |= LIVE;
    }

    /// Starts fetching what a frame up touches.
    #[inline]
    pub(super) fn prefetch_uplink(&self) {
        prefetch_near(self);
        prefetch_near(&self.up_packets);
    }

    /// Starts fetching what a frame down touches.
    #[inline]
    pub(super) fn prefetch_downlink(&self) {
        prefetch_near(self);
        prefetch_near(&self.tx_pn);
    }

    /// Sets or clears a fact.
    pub fn set(&mut self, flag: Flag, on: bool) {
        if on {
            self.flags |= flag as u16;
        } else {
            self.flags &= !(flag as u16);
        }
    }

    /// The pairwise key; meaningless unless [`Flag::Keyed`].
    #[inline]
    pub fn key(&self) -> &[u8; 16] {
        &self.key
    }

    /// Starts using a key: packet numbers both ways begin anew. The only place where they do.
    pub fn install_key(&mut self, key_id: u8, key: &[u8; 16]) {
        self.key.copy_from_slice(key);
        self.key_id = key_id;
        self.key_epoch = self.key_epoch.wrapping_add(1);
        self.tx_pn = 0;
        self.replay = ReplayCounters::default();
        self.set(Flag::RareTids, false);
        self.set(Flag::Keyed, true);
    }

    /// The last transmit packet number used under the key.
    #[inline]
    pub fn tx_pn(&self) -> u64 {
        self.tx_pn
    }

    /// The next transmit packet number; `None` when the key has none left.
    #[inline]
    pub fn next_pn(&mut self) -> Option<u64> {
        next_pn(&mut self.tx_pn)
    }

    /// The next sequence number of a user priority, 0 to 4095.
    #[inline]
    pub fn next_sequence(&mut self, priority: u8) -> u16 {
        let next = &mut self.tx_sequence[usize::from(priority) % PRIORITIES];
        let number = *next & 0x0fff;
        *next = number + 1;
        number
    }

    /// Whether this is a retransmission of the frame accepted last.
    #[inline]
    pub fn is_duplicate(&self, index: usize, retry: bool, sequence_control: u16) -> bool {
        retry && self.rx_sequence[LAST_SLOT - slot(index)] == sequence_control
    }

    /// Notes the sequence control of a frame that was accepted.
    #[inline]
    pub fn note_sequence(&mut self, index: usize, sequence_control: u16) {
        self.rx_sequence[LAST_SLOT - slot(index)] = sequence_control;
    }

    /// The IPv4 address it was last seen to use; 0.0.0.0 for none.
    #[inline]
    pub fn ipv4(&self) -> Ipv4Addr {
        self.ipv4.into()
    }

    /// Notes the IPv4 address it uses; 0.0.0.0 for none.
    pub fn set_ipv4(&mut self, address: Ipv4Addr) {
        self.ipv4 = address.octets();
    }

    /// Whether this address was the last one seen as the source of its IPv4 packets.
    #[inline]
    pub fn uses(&self, address: IpAddr) -> bool {
        address == IpAddr::V4(self.ipv4())
    }

    /// Gives up packet numbers to `pn`; never goes back.
    pub fn skip_to_pn(&mut self, pn: u64) {
        self.tx_pn = self.tx_pn.max(pn);
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Takes the next number from a packet number counter which stands at the last one used.
#[inline]
pub fn next_pn(last: &mut u64) -> Option<u64> {
    if *last >= LAST_PN {
        return None;
    }
    *last += 1;
    Some(*last)
}

/// In the flags: a station lives at this place.
const LIVE: u16 = 1 << 15;

/// No frame has it: fragment 15 of MSDU 4095 is not the first thing that a device sends.
const NO_SEQUENCE: u16 = u16::MAX;

const LAST_SLOT: usize = INDEXES - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn hot() -> Hot {
        Hot::new(
            MacAddr::default(),
            MacAddr::default(),
            TunnelId(0),
            Endpoint::v4([127, 0, 0, 1], 1),
            Time::ZERO,
        )
    }

    #[test]
    fn packet_numbers_begin_at_one_and_end_at_48_bits() {
        let mut hot = hot();
        assert_eq!(hot.next_pn(), Some(1));
        hot.skip_to_pn(LAST_PN - 1);
        assert_eq!(hot.next_pn(), Some(LAST_PN));
        assert_eq!((hot.next_pn(), hot.next_pn()), (None, None));
        hot.install_key(0, &[1; 16]);
        assert_eq!(hot.next_pn(), Some(1));
    }

    #[test]
    fn sequence_numbers_wrap_per_priority() {
        let mut hot = hot();
        hot.tx_sequence[6] = 4095;
        assert_eq!((hot.next_sequence(6), hot.next_sequence(6), hot.next_sequence(0)), (4095, 0, 0));
    }

    #[test]
    fn every_index_has_a_sequence_of_its_own() {
        let mut hot = hot();
        for index in 0..INDEXES {
            assert!(!hot.is_duplicate(index, true, index as u16));
            hot.note_sequence(index, index as u16);
        }
        for index in 0..INDEXES {
            assert!(
                hot.is_duplicate(index, true, index as u16) && !hot.is_duplicate(index, false, index as u16)
            );
        }
    }

    #[test]
    fn flags_are_independent() {
        let mut hot = hot();
        hot.set(Flag::Qos, true);
        hot.set(Flag::Holding, true);
        hot.set(Flag::Qos, false);
        assert!(!hot.is(Flag::Qos) && hot.is(Flag::Holding) && !hot.is(Flag::Keyed));
    }
}
