//! Uplink: datagrams from radios in, Ethernet frames and events for control out.
//!
//! The order of checks on every frame: tunnel introduced? → right endpoint? → station known? → protected as its state demands? → replay → MIC →
//! duplicate → fragment rules → A-MSDU rules → address rules → port open? Classification and CCMP run over a whole burst each.

mod classify;
mod defragment;
mod keep_alive;
mod msdu;
mod open;
mod retries;

use std::time::Duration;

use dot11::{Frame, FrameControl, MacAddr, QosControl, SequenceControl};
use proto::tunnel::{DataHeader, FrameInfo};

use crate::command::Signal;
use crate::counters::{DropReason, Forwarded};
use crate::endpoint::Endpoint;
use crate::packet::{BURST, Burst, Packet};
use crate::state::State;
use crate::station::{MANAGEMENT, NON_QOS, StationId};

pub use defragment::{Defragmenter, Fragment, Outcome, Protection};
pub use retries::Retries;

/// An 802.11 frame on its way through the stage.
pub struct Item {
    /// The frame, header first.
    pub packet: Packet,
    /// Where it came from.
    pub endpoint: Endpoint,
    /// How the radio heard it.
    pub signal: Signal,
    /// Whether another worker handed it over.
    pub handed: bool,
    mpdu: Mpdu,
    class: Class,
    station: StationId,
    pn: u64,
    opened: Opened,
}

/// What the header says.
#[derive(Clone, Copy, Debug)]
struct Mpdu {
    control: FrameControl,
    header_len: usize,
    /// Address 1 of data frames; of management frames the BSSID.
    bssid: MacAddr,
    /// Address 2.
    transmitter: MacAddr,
    /// Address 3.
    third: MacAddr,
    sequence: SequenceControl,
    qos: Option<QosControl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Unencrypted management.
    Management,
    /// Unencrypted data.
    Plain,
    /// Encrypted.
    Protected,
    /// Encrypted, while the replaced key is still accepted.
    Grace,
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
            if let Some(item) = self.decapsulate(packet) {
                items.push(item);
            }
        }
        self.frames(&mut items);
        self.items = items;
    }

    /// Takes at most a burst of frames out of the tunnel; `items` is empty afterwards.
    pub(crate) fn frames(&mut self, items: &mut Vec<Item>) {
        debug_assert!(items.len() <= BURST);
        let mut keys = [(MacAddr::ZERO, MacAddr::ZERO); BURST];
        let mut found = [None; BURST];
        for (key, item) in keys.iter_mut().zip(items.iter()) {
            *key = (item.mpdu.bssid, item.mpdu.transmitter);
        }
        let n = items.len().min(BURST);
        self.stations.find_burst(&keys[..n], &mut found[..n]);
        let mut found = found.into_iter();
        items.retain_mut(|item| match self.classify(item, found.next().flatten()) {
            Ok(keep) => keep,
            Err(reason) => {
                self.drop(reason);
                false
            }
        });
        self.open(items);
        for item in items.drain(..) {
            if let Err(reason) = self.finish(item) {
                self.drop(reason);
            }
        }
    }

    /// An item of a frame; `None`, and counted, if it is none.
    pub(crate) fn item(
        &mut self,
        packet: Packet,
        endpoint: Endpoint,
        signal: Signal,
        handed: bool,
    ) -> Option<Item> {
        match Mpdu::parse(packet.data()) {
            Ok(mpdu) => Some(Item {
                packet,
                endpoint,
                signal,
                handed,
                mpdu,
                class: Class::Plain,
                station: StationId::default(),
                pn: 0,
                opened: Opened::No,
            }),
            Err(reason) => {
                self.drop(reason);
                None
            }
        }
    }

    /// Takes the CAPWAP header off; keep-alives and incomplete frames end here.
    fn decapsulate(&mut self, mut packet: Packet) -> Option<Item> {
        let Some(endpoint) = packet.meta.endpoint.known() else {
            self.drop(DropReason::UnknownTunnel);
            return None;
        };
        let Ok((header, payload)) = DataHeader::parse(packet.data()) else {
            self.drop(DropReason::MalformedTunnel);
            return None;
        };
        if header.keep_alive() {
            self.keep_alive(packet, endpoint, self.me);
            return None;
        }
        if !header.native() {
            self.drop(DropReason::NotNative);
            return None;
        }
        if header.fragment().is_none() {
            let (len, signal) = (header.header_len(), signal(header.frame_info()));
            packet.trim_front(len);
            return self.item(packet, endpoint, signal, false);
        }
        self.count(Forwarded::TunnelFragmentRx);
        if !self.directory.is_introduced(endpoint) {
            self.drop(DropReason::UnknownTunnel);
            return None;
        }
        let now = Duration::from_nanos(self.now.nanos());
        match self.reassembler.push(endpoint, &header, payload, now) {
            Ok(None) => None,
            Ok(Some(whole)) => {
                let signal = signal(whole.info);
                // Not into the packet at hand: that is where the last fragment still is.
                let Some(mut packet) = self.pool.alloc() else {
                    self.counters.count(DropReason::NoBuffer);
                    return None;
                };
                if !packet.copy_from(whole.frame) {
                    self.counters.count(DropReason::TooLong);
                    return None;
                }
                self.item(packet, endpoint, signal, false)
            }
            Err(_) => {
                self.drop(DropReason::TunnelFragment);
                None
            }
        }
    }
}

impl Mpdu {
    /// Management and data frames only.
    fn parse(frame: &[u8]) -> Result<Self, DropReason> {
        let frame = Frame::parse(frame).map_err(|_| DropReason::MalformedFrame)?;
        let control = frame.control();
        if !control.is_data() && !control.is_management() {
            return Err(DropReason::UnsupportedFrame);
        }
        let (Some(transmitter), Some(third), Some(sequence)) =
            (frame.addr2(), frame.addr3(), frame.sequence())
        else {
            return Err(DropReason::MalformedFrame);
        };
        let receiver = frame.addr1();
        let bssid = if control.is_data() || !receiver.is_group() { receiver } else { third };
        Ok(Self {
            control,
            header_len: frame.header_len(),
            bssid,
            transmitter,
            third,
            sequence,
            qos: frame.qos(),
        })
    }

    /// Index of its replay counter and of its duplicate cache.
    fn index(&self) -> usize {
        if self.control.is_management() {
            return MANAGEMENT;
        }
        self.qos.map_or(NON_QOS, |qos| usize::from(qos.tid()))
    }
}

fn signal(info: Option<FrameInfo>) -> Signal {
    info.map_or(Signal::default(), |info| Signal {
        rssi_dbm: info.rssi,
        snr_db: u8::try_from(info.snr).unwrap_or(0),
        rate_100kbps: info.rate,
    })
}
