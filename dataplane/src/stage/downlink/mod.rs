//! Downlink: Ethernet frames and control's own in, sealed 802.11 frames in CAPWAP datagrams out.
//!
//! Everything that goes down passes `State::push_down` and is sealed a burst at a time. Packet and sequence numbers are taken there, in order.

mod encapsulate;
mod fanout;

pub use fanout::{Fanout, Job};

use crate::counters::{DropReason, Forwarded};
use crate::ethernet;
use crate::hold::Held;
use crate::packet::{BURST, Packet};
use crate::state::State;
use crate::station::{Flag, StationId};
use crate::tunnel::TunnelId;

/// A frame on its way down.
pub struct DownItem {
    /// Its octets, as `form` says.
    pub packet: Packet,
    /// Who gets it.
    pub to: To,
    /// What it is.
    pub form: Form,
    /// User priority, 0 to 7.
    pub priority: u8,
    /// Encrypt it, if there is a key.
    pub protect: bool,
}

/// Receiver of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// A station.
    Station(StationId),
    /// Everybody in a BSS, under its group key.
    Group(TunnelId),
    /// Whoever the frame itself says, in a BSS: devices without association.
    Bss(TunnelId),
}

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An Ethernet frame without tag.
    Ethernet,
    /// The same, of control: an EAPOL PDU.
    Eapol,
    /// An 802.11 management frame, without sequence number.
    Management,
}

impl State {
    /// Sends a station an Ethernet frame, or lets it wait if the station's downlink does.
    pub(crate) fn msdu_down(&mut self, id: StationId, packet: Packet, priority: u8) {
        let hot = self.stations.hot(id);
        if hot.is(Flag::Holding) && hot.is(Flag::Grace) && !self.hold.has_room(&self.stations.cold(id).held) {
            // Message 4 is here, so the device most likely has its new key; one more that waited would be lost for certain.
            self.release_hold(id);
        }
        if self.stations.hot(id).is(Flag::Holding) {
            if self.hold.push(&mut self.stations.cold_mut(id).held, Held { packet, priority }) {
                self.count(Forwarded::Held);
            } else {
                self.drop(DropReason::HoldFull);
            }
            return;
        }
        self.push_down(DownItem {
            packet,
            to: To::Station(id),
            form: Form::Ethernet,
            priority,
            protect: true,
        });
    }

    /// Ends a station's hold: what waited goes down, in order.
    pub(crate) fn release_hold(&mut self, id: StationId) {
        self.stations.hot_mut(id).set(Flag::Holding, false);
        while let Some(held) = self.hold.pop(&mut self.stations.cold_mut(id).held) {
            let Held { packet, priority } = held;
            self.push_down(DownItem {
                packet,
                to: To::Station(id),
                form: Form::Ethernet,
                priority,
                protect: true,
            });
        }
    }

    /// Puts a frame behind those that wait to be sealed, and seals them if that makes a burst.
    pub(crate) fn push_down(&mut self, item: DownItem) {
        self.down.push(item);
        if self.down.len() >= BURST {
            self.seal();
        }
    }

    /// Makes an Ethernet frame of an EAPOL PDU for a station.
    pub(crate) fn eapol_frame(&mut self, id: StationId, pdu: &[u8]) -> Option<Packet> {
        let Some(mut packet) = self.pool.alloc() else {
            self.drop(DropReason::NoBuffer);
            return None;
        };
        let hot = self.stations.hot(id);
        let Some(frame) = packet.append(ethernet::HEADER + pdu.len()) else {
            self.drop(DropReason::TooLong);
            return None;
        };
        frame[..6].copy_from_slice(&hot.mac.0);
        frame[6..12].copy_from_slice(&hot.bssid.0);
        frame[12..14].copy_from_slice(&dot11::llc::EtherType::EAPOL.0.to_be_bytes());
        frame[14..].copy_from_slice(pdu);
        Some(packet)
    }
}
