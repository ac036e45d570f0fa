//! From MSDU to Ethernet frame: A-MSDUs apart, source checked, EAPOL to control, the rest on.

use dot11::MacAddr;
use dot11::amsdu::{self, Subframes};
use dot11::llc::{self, EtherType};

use super::{Aim, Destination};
use crate::command::Signal;
use crate::counters::{DropReason, Forwarded};
use crate::ethernet::{self, TAGS};
use crate::packet::Packet;
use crate::state::State;
use crate::station::{Flag, StationId};

/// PAE group address (802.1X-2020 table 11-1): "the port at the other end of this link".
pub const PAE_GROUP: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0x00, 0x00, 0x03]);

/// Subframes taken from one A-MSDU.
const MAX_SUBFRAMES: usize = 64;

impl State {
    /// Takes an A-MSDU apart (802.11-2020 §9.3.2.2.2).
    pub(super) fn amsdu(
        &mut self,
        id: StationId,
        packet: Packet,
        protected: bool,
        signal: Signal,
    ) -> Result<(), DropReason> {
        if amsdu::is_disguised_msdu(packet.data()) {
            return Err(DropReason::AmsduDisguise);
        }
        let mac = self.stations.hot(id).mac;
        self.count(Forwarded::Amsdu);
        let mut n = 0;
        for subframe in Subframes::new(packet.data()) {
            n += 1;
            let subframe = subframe.ok().filter(|_| n <= MAX_SUBFRAMES).ok_or(DropReason::MalformedAmsdu)?;
            if subframe.sa != mac {
                self.drop(DropReason::SpoofedSource);
                continue;
            }
            let Some(msdu) = self.copy_of(subframe.msdu) else { continue };
            let destination = Destination { mac: subframe.da, aim: Aim::UNKNOWN };
            if let Err(reason) = self.msdu(id, destination, msdu, protected, signal) {
                self.drop(reason);
            }
        }
        if n == 0 { Err(DropReason::MalformedAmsdu) } else { Ok(()) }
    }

    /// Takes one MSDU, LLC header first, of a station to `destination`.
    #[inline]
    pub(super) fn msdu(
        &mut self,
        id: StationId,
        destination: Destination,
        mut packet: Packet,
        protected: bool,
        signal: Signal,
    ) -> Result<(), DropReason> {
        let (hot, octets) = (self.stations.hot(id), packet.len());
        let source = hot.mac;
        let ether_type = llc::parse(packet.data()).map(|(ether_type, _)| ether_type);
        if ether_type == Some(EtherType::EAPOL) {
            if destination.mac != hot.bssid && destination.mac != PAE_GROUP {
                return Err(DropReason::MisaddressedEapol);
            }
            self.punt_eapol(id, &packet.data()[llc::LEN..], protected, signal);
            return Ok(());
        }
        if hot.is(Flag::Protect) && !protected {
            return Err(DropReason::Unprotected);
        }
        if !hot.is(Flag::PortOpen) {
            return Err(DropReason::PortClosed);
        }
        if destination.mac == source {
            return Err(DropReason::WrongAddresses);
        }
        if ethernet::is_reserved(destination.mac) {
            return Err(DropReason::ReservedGroup);
        }
        match ether_type {
            Some(EtherType(tag)) if TAGS.contains(&tag) => return Err(DropReason::TaggedByDevice),
            // An EtherType that reads as a length would be another frame on the other side.
            Some(EtherType(length)) if length < ethernet::FIRST_ETHER_TYPE => {
                return Err(DropReason::MalformedLlc);
            }
            Some(_) => packet.trim_front(llc::LEN - 2),
            // The A-MSDU Present bit is not authenticated: with it cleared, an A-MSDU reads as an LLC PDU that begins with a
            // destination and repeats its own source (the other direction of CVE-2020-24588).
            None if packet.data().get(6..12) == Some(&source.0[..]) => return Err(DropReason::AmsduDisguise),
            None => {
                // Any other LLC PDU stays as it is, behind its length (802.3-2018 §3.2.6).
                if packet.len() < 3 || packet.len() >= usize::from(ethernet::FIRST_ETHER_TYPE) {
                    return Err(DropReason::MalformedLlc);
                }
                let length = (packet.len() as u16).to_be_bytes();
                packet.prepend(2).ok_or(DropReason::NoHeadroom)?.copy_from_slice(&length);
            }
        }
        let addresses = packet.prepend(12).ok_or(DropReason::NoHeadroom)?;
        addresses[..6].copy_from_slice(&destination.mac.0);
        addresses[6..].copy_from_slice(&source.0);
        let hot = self.stations.hot_mut(id);
        hot.up_packets += 1;
        hot.up_octets += octets as u64;
        self.count(Forwarded::MsduUp);
        self.take_from_station(id, packet, destination);
        Ok(())
    }
}
