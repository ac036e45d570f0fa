//! Uplink: datagrams from radios in, Ethernet frames and events for control out.
//!
//! The order of checks on every frame: tunnel introduced? → right endpoint? → station known? → protected as its state demands? → replay → MIC →
//! duplicate → fragment rules → A-MSDU rules → address rules → port open? Classification and CCMP run over a whole burst each.

mod aim;
mod classify;
mod defragment;
mod keep_alive;
mod msdu;
mod open;
mod parked;
mod retries;

use std::time::Duration;

use dot11::{Frame, FrameControl, MacAddr, QosControl, SequenceControl};
use proto::tunnel::{DataHeader, FrameInfo, RECEIVED_LEN};

use crate::command::Signal;
use crate::counters::{DropReason, Forwarded};
use crate::packet::{BURST, Burst, Packet};
use crate::state::State;
use crate::station::{Key, MANAGEMENT, NON_QOS, StationId};

pub(crate) use aim::{Across, Aim, Destination};
pub use defragment::{Defragmenter, Fragment, Outcome, Protection};
pub(crate) use parked::Parked;
pub use retries::Retries;

/// At most a burst of 802.11 frames on their way through the stage: packets, header first, and what is known of each.
#[derive(Default)]
pub struct Items {
    packets: Vec<Packet>,
    items: Vec<Item>,
}

impl Items {
    /// With room for a burst.
    pub fn new() -> Self {
        Self { packets: Vec::with_capacity(BURST), items: Vec::with_capacity(BURST) }
    }
}

/// What is known of a frame: half a cache line of plain numbers, apart from the packets so that neither is moved. Where the frame came from is
/// in the packet's `meta`, and the addresses are read where they are, in the packet.
struct Item {
    /// How the radio heard it.
    signal: Signal,
    station: StationId,
    /// Where it goes, as far as that was looked up already.
    aim: Aim,
    pn: u64,
    mpdu: Mpdu,
    class: Class,
    /// Whether another worker handed it over.
    handed: bool,
    /// Whether it waited for its key before.
    parked: bool,
}

const _: () = assert!(size_of::<Item>() <= 32);

/// What the header says, but for the addresses.
#[derive(Clone, Copy, Debug)]
struct Mpdu {
    control: FrameControl,
    sequence: SequenceControl,
    header_len: u8,
    /// Index of its replay counter and of its duplicate cache.
    index: u8,
    /// Whether the body is an A-MSDU.
    amsdu: bool,
    /// Whether the BSSID is address 3: in management frames to a group.
    bssid_last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Dealt with.
    Gone,
    /// Unencrypted management.
    Management,
    /// Unencrypted data.
    Plain,
    /// Encrypted.
    Protected,
    /// Encrypted, while the replaced key is still accepted.
    Grace,
    /// Encrypted, perhaps under a key that is agreed on and not here yet.
    Early,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    No,
    Current,
    Old,
}

impl State {
    /// Takes a burst of datagrams from radios.
    pub fn uplink(&mut self, burst: &mut Burst) {
        self.counters.add(Forwarded::TunnelRx, burst.len() as u64);
        let mut items = std::mem::take(&mut self.items);
        for packet in burst.drain() {
            self.decapsulate(packet, &mut items);
        }
        self.frames(&mut items);
        self.items = items;
    }

    /// Takes at most a burst of frames out of the tunnel; `items` is empty afterwards.
    pub(crate) fn frames(&mut self, items: &mut Items) {
        debug_assert!(items.items.len() <= BURST);
        let mut keys = [Key::default(); BURST];
        let mut found = [None; BURST];
        let frames = items.packets.iter().zip(&items.items);
        for (key, (packet, item)) in keys.iter_mut().zip(frames) {
            *key = item.key(packet);
        }
        let n = items.items.len().min(BURST);
        self.stations.find_burst(&keys[..n], &mut found[..n]);
        for ((packet, item), station) in items.packets.iter().zip(&mut items.items).zip(found) {
            match self.classify(packet, item, station) {
                Ok(true) => {}
                Ok(false) => item.class = Class::Gone,
                Err(reason) => {
                    item.class = Class::Gone;
                    self.drop(reason);
                }
            }
        }
        if self.looks_ahead() {
            self.aim(items);
        }
        let opened = self.open(items);
        let mut opened = opened.into_iter();
        for (mut packet, item) in items.packets.drain(..).zip(&items.items) {
            let opened = match item.class {
                Class::Protected if opened.next() == Some(true) => Opened::Current,
                Class::Grace => self.open_in_grace(&mut packet, item),
                Class::Early => match self.open_before_key(&mut packet, item) {
                    Opened::No => {
                        self.park(packet, item);
                        continue;
                    }
                    opened => opened,
                },
                _ => Opened::No,
            };
            if let Err(reason) = self.finish(packet, item, opened) {
                self.drop(reason);
            }
        }
        items.items.clear();
    }

    /// Appends the frame that is in a packet with its endpoint; what is none is counted.
    #[inline]
    pub(crate) fn item(&mut self, packet: Packet, signal: Signal, handed: bool, items: &mut Items) {
        match Mpdu::parse(packet.data()) {
            Ok(mpdu) => {
                let (class, station, pn) = (Class::Plain, StationId::default(), 0);
                let aim = Aim::UNKNOWN;
                let item = Item { signal, station, aim, pn, mpdu, class, handed, parked: false };
                // On its way while the rest of the burst is read.
                self.stations.expect(item.key(&packet));
                items.items.push(item);
                items.packets.push(packet);
            }
            Err(reason) => self.drop(reason),
        }
    }

    /// Takes the CAPWAP header off; keep-alives and incomplete frames end here.
    #[inline]
    fn decapsulate(&mut self, mut packet: Packet, items: &mut Items) {
        if packet.meta.endpoint.is_some()
            && let Some(info) = DataHeader::received(packet.data())
        {
            packet.trim_front(RECEIVED_LEN);
            return self.item(packet, signal(Some(info)), false, items);
        }
        self.decapsulate_any(packet, items);
    }

    /// The same for every form of header.
    fn decapsulate_any(&mut self, mut packet: Packet, items: &mut Items) {
        let Some(endpoint) = packet.meta.endpoint.known() else {
            return self.drop(DropReason::UnknownTunnel);
        };
        if packet.data().first().is_some_and(|first| proto::MATCHMAKING.contains(first)) {
            return self.datagram(&packet, endpoint);
        }
        let Ok((header, payload)) = DataHeader::parse(packet.data()) else {
            return self.drop(DropReason::MalformedTunnel);
        };
        if header.keep_alive() {
            return self.keep_alive(packet, endpoint, self.me);
        }
        if !header.native() {
            return self.drop(DropReason::NotNative);
        }
        if header.fragment().is_none() {
            let (len, signal) = (header.header_len(), signal(header.frame_info()));
            packet.trim_front(len);
            return self.item(packet, signal, false, items);
        }
        self.count(Forwarded::TunnelFragmentRx);
        if !self.directory.is_introduced(endpoint) {
            return self.drop(DropReason::UnknownTunnel);
        }
        let now = Duration::from_nanos(self.now.nanos());
        match self.reassembler.push(endpoint, &header, payload, now) {
            Ok(None) => {}
            Ok(Some(whole)) => {
                let signal = signal(whole.info);
                // Not into the packet at hand: that is where the last fragment still is.
                let Some(mut packet) = self.pool.alloc() else {
                    return self.counters.count(DropReason::NoBuffer);
                };
                if !packet.copy_from(whole.frame) {
                    return self.counters.count(DropReason::TooLong);
                }
                packet.meta.endpoint = endpoint;
                self.item(packet, signal, false, items);
            }
            Err(_) => self.drop(DropReason::TunnelFragment),
        }
    }
}

impl Item {
    /// The addresses, as far as they are there.
    #[inline]
    fn addresses(packet: &Packet) -> &[u8; 22] {
        const NOWHERE: &[u8; 22] = &[0; 22];
        // `Mpdu::parse` found three addresses.
        packet.data().first_chunk().unwrap_or(NOWHERE)
    }

    /// Address 1 of data frames; of management frames the BSSID.
    #[inline]
    fn bssid(&self, packet: &Packet) -> MacAddr {
        if self.mpdu.bssid_last { self.third(packet) } else { address(Self::addresses(packet), 4) }
    }

    /// Address 2.
    #[inline]
    fn transmitter(&self, packet: &Packet) -> MacAddr {
        address(Self::addresses(packet), 10)
    }

    /// Address 3.
    #[inline]
    fn third(&self, packet: &Packet) -> MacAddr {
        address(Self::addresses(packet), 16)
    }

    /// What the station is found by: BSSID and transmitter, which lie behind each other.
    #[inline]
    fn key(&self, packet: &Packet) -> Key {
        if self.mpdu.bssid_last {
            return Key::new(self.third(packet).0, self.transmitter(packet).0);
        }
        let mut octets = [0; 12];
        octets.copy_from_slice(&Self::addresses(packet)[4..16]);
        Key::from_octets(octets)
    }
}

impl Mpdu {
    /// Management and data frames only.
    #[inline]
    fn parse(frame: &[u8]) -> Result<Self, DropReason> {
        // QoS data to the distribution system with three addresses and without HT Control: nearly all there is.
        if let Some(octets) = frame.first_chunk::<26>()
            && octets[0] == 0x88
            && octets[1] & 0x83 == 0x01
        {
            let qos = QosControl(u16::from_le_bytes([octets[24], octets[25]]));
            return Ok(Self {
                control: FrameControl(u16::from_le_bytes([octets[0], octets[1]])),
                sequence: SequenceControl(u16::from_le_bytes([octets[22], octets[23]])),
                header_len: 26,
                index: qos.tid(),
                amsdu: qos.amsdu_present(),
                bssid_last: false,
            });
        }
        Self::parse_any(frame)
    }

    fn parse_any(frame: &[u8]) -> Result<Self, DropReason> {
        let frame = Frame::parse(frame).map_err(|_| DropReason::MalformedFrame)?;
        let control = frame.control();
        if !control.is_data() && !control.is_management() {
            return Err(DropReason::UnsupportedFrame);
        }
        let (Some(_), Some(_), Some(sequence)) = (frame.addr2(), frame.addr3(), frame.sequence()) else {
            return Err(DropReason::MalformedFrame);
        };
        let qos = frame.qos();
        let index = if control.is_management() {
            MANAGEMENT as u8
        } else {
            qos.map_or(NON_QOS as u8, |qos| qos.tid())
        };
        Ok(Self {
            control,
            sequence,
            header_len: frame.header_len() as u8,
            index,
            amsdu: qos.is_some_and(|qos| qos.amsdu_present()),
            bssid_last: !control.is_data() && frame.addr1().is_group(),
        })
    }

    /// Octets of the header.
    #[inline]
    fn header_len(&self) -> usize {
        self.header_len.into()
    }

    /// Index of its replay counter and of its duplicate cache.
    #[inline]
    fn index(&self) -> usize {
        self.index.into()
    }
}

#[inline]
fn address(octets: &[u8; 22], at: usize) -> MacAddr {
    let mut address = [0; 6];
    address.copy_from_slice(&octets[at..at + 6]);
    MacAddr(address)
}

#[inline]
fn signal(info: Option<FrameInfo>) -> Signal {
    info.map_or(Signal::default(), |info| Signal {
        rssi_dbm: info.rssi,
        snr_db: u8::try_from(info.snr).unwrap_or(0),
        rate_100kbps: info.rate,
    })
}
