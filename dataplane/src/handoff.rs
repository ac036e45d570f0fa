//! Hand-off: how a packet that arrived at one worker gets to the worker that owns its station. Packets do not leave their thread, so it is
//! copied, through a bounded ring of octets for each pair of workers; a full ring is a drop.
//!
//! ```text
//! length (2)  kind (1)  priority (1)  vlan (2)  rssi (1)  snr (1)  rate (2)  endpoint (24)  octets (length)
//! ```

use rtrb::{Consumer, Producer, RingBuffer};

use crate::command::Signal;
use crate::endpoint::Endpoint;
use crate::packet::Packet;
use crate::ring::Bell;

/// What the octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A CAPWAP datagram: a keep-alive.
    Datagram,
    /// A whole 802.11 frame out of the tunnel.
    Frame,
    /// An Ethernet frame without tag, to a station of the receiver or to a group.
    Ethernet,
    /// An Ethernet frame that tells who on the network side has an address.
    NetworkAddress,
}

/// What goes with the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// What they are.
    pub kind: Kind,
    /// Where they came from (datagrams and frames).
    pub endpoint: Endpoint,
    /// Their VLAN (Ethernet).
    pub vlan: u16,
    /// Their user priority (Ethernet).
    pub priority: u8,
    /// How the radio heard them (frames).
    pub signal: Signal,
}

/// A one-way ring of `capacity` octets, for a receiver with this bell.
pub fn channel(capacity: usize, bell: Bell) -> (HandoffTx, HandoffRx) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (HandoffTx { producer, bell, sent: false }, HandoffRx { consumer })
}

/// The sending end.
pub struct HandoffTx {
    producer: Producer<u8>,
    bell: Bell,
    sent: bool,
}

/// The ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hand-off ring is full")]
pub struct Full;

impl HandoffTx {
    /// Copies a packet's octets over.
    ///
    /// # Errors
    /// [`Full`], without effect.
    pub fn send(&mut self, handoff: &Handoff, octets: &[u8]) -> Result<(), Full> {
        let Ok(len) = u16::try_from(octets.len()) else { return Err(Full) };
        if self.producer.slots() < HEADER + octets.len() {
            return Err(Full);
        }
        // Two pushes: the receiver looks at the length and waits for the rest.
        let pushed = self.producer.push_entire_slice(&encode(handoff, len)).is_ok()
            && self.producer.push_entire_slice(octets).is_ok();
        debug_assert!(pushed, "there was room");
        self.sent = true;
        Ok(())
    }

    /// Wakes the receiver if something was sent since the last call. Once per pass.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.sent) {
            self.bell.ring();
        }
    }
}

/// The receiving end.
pub struct HandoffRx {
    consumer: Consumer<u8>,
}

impl HandoffRx {
    /// Whether there is nothing to receive.
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Fills `packet` with the next octets, if there are any. `Some(Err(_))`: they did not fit, and are gone.
    pub fn receive(&mut self, packet: &mut Packet) -> Option<Result<Handoff, TooLong>> {
        let slots = self.consumer.slots();
        if slots < HEADER {
            return None;
        }
        let mut header = [0; HEADER];
        {
            let chunk = self.consumer.read_chunk(HEADER).ok()?;
            let (a, b) = chunk.as_slices();
            header[..a.len()].copy_from_slice(a);
            header[a.len()..].copy_from_slice(b);
        }
        let (handoff, len) = decode(&header);
        if slots < HEADER + len {
            return None;
        }
        self.consumer.pop_entire_slice(&mut header).ok()?;
        packet.reset();
        let Some(space) = packet.append(len) else {
            self.consumer.read_chunk(len).ok()?.commit_all();
            return Some(Err(TooLong));
        };
        self.consumer.pop_entire_slice(space).ok()?;
        Some(Ok(handoff))
    }
}

/// The octets are longer than a packet buffer of this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("longer than a packet buffer")]
pub struct TooLong;

const HEADER: usize = 34;

fn encode(handoff: &Handoff, len: u16) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..2].copy_from_slice(&len.to_le_bytes());
    out[2] = match handoff.kind {
        Kind::Datagram => 0,
        Kind::Frame => 1,
        Kind::Ethernet => 2,
        Kind::NetworkAddress => 3,
    };
    out[3] = handoff.priority;
    out[4..6].copy_from_slice(&handoff.vlan.to_le_bytes());
    out[6] = handoff.signal.rssi_dbm as u8;
    out[7] = handoff.signal.snr_db;
    out[8..10].copy_from_slice(&handoff.signal.rate_100kbps.to_le_bytes());
    out[10..].copy_from_slice(&handoff.endpoint.to_octets());
    out
}

fn decode(header: &[u8; HEADER]) -> (Handoff, usize) {
    let [len0, len1, kind, priority, vlan0, vlan1, rssi, snr_db, rate0, rate1, endpoint @ ..] = *header;
    let kind = match kind {
        0 => Kind::Datagram,
        1 => Kind::Frame,
        2 => Kind::Ethernet,
        _ => Kind::NetworkAddress,
    };
    let signal = Signal { rssi_dbm: rssi as i8, snr_db, rate_100kbps: u16::from_le_bytes([rate0, rate1]) };
    let (endpoint, vlan) = (Endpoint::from_octets(&endpoint), u16::from_le_bytes([vlan0, vlan1]));
    (Handoff { kind, endpoint, vlan, priority, signal }, u16::from_le_bytes([len0, len1]).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Pool, PoolConfig};

    fn handoff(kind: Kind, endpoint: Option<&str>) -> Handoff {
        Handoff {
            kind,
            endpoint: endpoint.map_or(Endpoint::NONE, |e| e.parse::<Endpoint>().unwrap().at(3)),
            vlan: 4094,
            priority: 7,
            signal: Signal { rssi_dbm: -71, snr_db: 22, rate_100kbps: 540 },
        }
    }

    #[test]
    fn everything_arrives_as_it_was_sent_over_many_wraps() {
        let (mut tx, mut rx) = channel(1000, Bell::new().unwrap());
        let pool = Pool::new(PoolConfig { packets: 1, buffer: 400, headroom: 64 });
        let mut packet = pool.alloc().unwrap();
        let cases = [
            handoff(Kind::Datagram, Some("192.0.2.1:5247")),
            handoff(Kind::Frame, Some("[fe80::1%7]:1")),
            handoff(Kind::Ethernet, None),
            handoff(Kind::NetworkAddress, None),
        ];
        for round in 0..200usize {
            let sent = cases[round % 4];
            let octets: Vec<u8> = (0..round % 300).map(|i| (i + round) as u8).collect();
            tx.send(&sent, &octets).unwrap();
            assert!(!rx.is_empty());
            assert_eq!(rx.receive(&mut packet), Some(Ok(sent)));
            assert_eq!((packet.data(), packet.headroom()), (octets.as_slice(), 64));
            assert_eq!(rx.receive(&mut packet), None);
        }
    }

    #[test]
    fn a_full_ring_refuses_and_what_does_not_fit_a_packet_is_skipped() {
        let (mut tx, mut rx) = channel(200, Bell::new().unwrap());
        let pool = Pool::new(PoolConfig { packets: 1, buffer: 100, headroom: 50 });
        let mut packet = pool.alloc().unwrap();
        let message = handoff(Kind::Ethernet, None);
        assert_eq!(tx.send(&message, &[1; 169]), Err(Full));
        assert_eq!(tx.send(&message, &[1; 51]), Ok(()));
        assert_eq!(tx.send(&message, &[2; 50]), Ok(()));
        assert_eq!(tx.send(&message, &[3; 50]), Err(Full));
        assert_eq!(rx.receive(&mut packet), Some(Err(TooLong)));
        assert_eq!(rx.receive(&mut packet), Some(Ok(message)));
        assert_eq!(packet.data(), [2; 50]);
    }
}
