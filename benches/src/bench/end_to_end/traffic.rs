//! The devices' side of the load: sealed frames of devices all over the table for each other or for the network, and the network's for them.

use dataplane::crypto::{self, SealJob};
use dataplane::ethernet;
use dataplane::packet::BURST;
use dot11::build::DataHeader;
use dot11::ccmp::{CcmpHeader, HEADER_LEN, MIC_LEN};
use dot11::llc::{self, EtherType};
use dot11::{Frame, MacAddr, QosControl, SequenceControl};
use proto::tunnel::{
    DataHeader as TunnelHeader, FrameInfo, Header, Hello, KeepAlive, ServiceUuid, SessionId,
};

use crate::bench::flood::Datagrams;
use crate::bench::script::{SERVICE, Sessions, VLAN, session_id};

/// Of any local kind, so that nobody learns addresses from it.
const LOCAL: EtherType = EtherType(0x88b5);
const INFO: FrameInfo = FrameInfo { rssi: -50, snr: 40, rate: 540 };
/// Whom devices talk with on the network.
const SERVER: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 1]);

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From device to device: opened once, sealed once.
    Devices,
    /// From a device to the network: opened.
    Up,
    /// From the network to a device: sealed.
    Down,
}

impl Way {
    /// As the tables say it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Devices => "device to device",
            Way::Up => "device to network",
            Way::Down => "network to device",
        }
    }
}

/// The devices.
pub struct Traffic {
    sessions: Sessions,
    /// Above every packet number that any device used.
    pn: u64,
}

/// Packets ready to send, and how they are known when they come back.
pub struct Prepared {
    datagrams: Datagrams,
    way: Way,
    sessions: Sessions,
    /// Which of the packets is of, or for, each device.
    order: Vec<u32>,
}

impl Traffic {
    /// Of these sessions.
    pub fn new(sessions: Sessions) -> Traffic {
        Traffic { sessions, pn: 0 }
    }

    /// What the radios say of each tunnel: that it is theirs, and comes from where they are.
    pub fn keep_alives(&self) -> Datagrams {
        let tunnels = 0..self.sessions.tunnels();
        let datagrams = tunnels.map(|tunnel| {
            let bssid = self.sessions.bssid(tunnel * self.sessions.per_bss);
            let hello = Hello { bssid, radio: bssid, service: ServiceUuid(SERVICE) };
            KeepAlive { session_id: SessionId(session_id(bssid)), hello: Some(hello), proof: None }.datagram()
        });
        let datagrams: Vec<_> = datagrams.collect();
        Datagrams { len: datagrams[0].len(), octets: datagrams.concat() }
    }

    /// Which of them this answers.
    pub fn answered(&self, received: &[u8]) -> Option<usize> {
        let (_, payload) = TunnelHeader::parse(received).ok().filter(|(header, _)| header.keep_alive())?;
        let SessionId(id) = KeepAlive::parse(payload).ok()?.session_id;
        let tunnel = id[2..6].try_into().ok().map(u32::from_be_bytes)? as usize;
        (id == session_id(self.sessions.bssid(tunnel * self.sessions.per_bss))).then_some(tunnel)
    }

    /// `count` packets with so many octets of payload.
    pub fn prepare(&mut self, way: Way, payload: usize, count: usize) -> Prepared {
        let (datagrams, order) = match way {
            Way::Devices | Way::Up => self.datagrams(way, payload, count),
            Way::Down => self.frames(payload, count),
        };
        Prepared { datagrams, way, sessions: self.sessions, order }
    }

    /// Sealed datagrams of devices all over the table, each to another device or to the network.
    fn datagrams(&mut self, way: Way, payload: usize, count: usize) -> (Datagrams, Vec<u32>) {
        let stations = self.sessions.stations;
        let encoded = Header::received(INFO).encode();
        let tunnel = encoded.as_bytes();
        let body = llc::msdu(LOCAL, &vec![0x55; payload]);
        let (header_len, first) = (26, self.pn as usize);
        let len = tunnel.len() + header_len + HEADER_LEN + body.len() + MIC_LEN;
        let (mut octets, mut order) = (vec![0; len * count], vec![u32::MAX; stations]);
        for (chunk, burst) in octets.chunks_mut(len * BURST).enumerate() {
            let keys: [[u8; 16]; BURST] =
                std::array::from_fn(|i| self.sessions.key(place(first + chunk * BURST + i, stations)));
            let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
            let mut filled = 0;
            for (i, (datagram, job)) in burst.chunks_mut(len).zip(&mut jobs).enumerate() {
                let k = chunk * BURST + i;
                let (from, to) = (place(first + k, stations), place(first + k + count, stations));
                let (known, destination) = match way {
                    Way::Up => (from, SERVER),
                    _ => (to, self.sessions.mac(to)),
                };
                order[known] = k as u32;
                self.pn += 1;
                let (bssid, qos) = (self.sessions.bssid(from), Some(QosControl::new(0)));
                let mut header = DataHeader::to_ap(bssid, destination, self.sessions.mac(from), qos);
                header.sequence = SequenceControl::new((self.pn % 4096) as u16, 0);
                datagram[..tunnel.len()].copy_from_slice(tunnel);
                let frame = &mut datagram[tunnel.len()..];
                header.write(frame);
                let start = header_len + HEADER_LEN;
                frame[start..start + body.len()].copy_from_slice(&body);
                *job = SealJob { key: &keys[i], pn: self.pn, header_len, buf: frame, ..SealJob::idle() };
                filled += 1;
            }
            crypto::seal(&mut jobs[..filled]);
            assert!(jobs[..filled].iter().all(|job| job.done), "every frame is sealed");
        }
        (Datagrams { len, octets }, order)
    }

    /// Tagged frames of the network for devices all over the table.
    fn frames(&mut self, payload: usize, count: usize) -> (Datagrams, Vec<u32>) {
        let stations = self.sessions.stations;
        let len = ethernet::HEADER + 4 + payload;
        let (mut octets, mut order) = (vec![0x55; len * count], vec![u32::MAX; stations]);
        let first = self.pn as usize;
        for (k, frame) in octets.chunks_mut(len).enumerate() {
            let to = place(first + k, stations);
            order[to] = k as u32;
            frame[..6].copy_from_slice(&self.sessions.mac(to).0);
            frame[6..12].copy_from_slice(&SERVER.0);
            frame[12..14].copy_from_slice(&ethernet::TAGS[0].to_be_bytes());
            frame[14..16].copy_from_slice(&VLAN.to_be_bytes());
            frame[16..18].copy_from_slice(&LOCAL.0.to_be_bytes());
        }
        (Datagrams { len, octets }, order)
    }
}

impl Prepared {
    /// Datagrams of tunnels; [`Way::Down`]: Ethernet frames.
    pub fn datagrams(&self) -> &Datagrams {
        &self.datagrams
    }

    /// Which of them has come back.
    pub fn whose(&self, received: &[u8]) -> Option<usize> {
        let device = match self.way {
            Way::Devices | Way::Down => {
                let (header, frame) = TunnelHeader::parse(received).ok()?;
                let frame = Frame::parse(frame).ok().filter(|_| !header.keep_alive())?;
                CcmpHeader::parse(frame.body()).ok()?;
                frame.addr1()
            }
            Way::Up => {
                let header = ethernet::parse(received)?;
                (header.destination == SERVER).then_some(header.source)?
            }
        };
        self.sessions.of_mac(device).map(|device| self.order[device] as usize)
    }
}

/// The `k`th of the devices, in an order that no cache foresees.
fn place(k: usize, stations: usize) -> usize {
    // A prime above any number of stations: the stride visits them all.
    (k as u64 * 40_503_007 % stations as u64) as usize
}
