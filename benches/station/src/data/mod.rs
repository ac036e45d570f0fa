//! Between 802.3 and 802.11: MSDUs into data MPDUs to the access point and back, in the clear or under CCMP.

mod keys;
mod reassembly;

use dot11::amsdu::{AmsduBuilder, Subframes, is_disguised_msdu};
use dot11::build::DataHeader;
use dot11::ccmp::Pn;
use dot11::llc::{self, EtherType};
use dot11::rsn::{Gtk, Tk};
use dot11::{Frame, FrameKind, MacAddr, QosControl, SequenceControl};

use crate::time::Time;
use reassembly::{Fragment, Reassembly};

pub use keys::{KeyError, Keys};

/// Octets of an Ethernet II header.
const ETHERNET_HEADER: usize = 14;
/// EtherTypes begin here; less is an 802.3 length.
const FIRST_ETHERTYPE: u16 = 0x0600;
/// Index of non-QoS frames in the duplicate cache, after the eight TIDs.
const NON_QOS: usize = 8;

/// Why a data frame, or a part of it, was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not a data frame from our access point to us.
    #[error("not a data frame from the access point to this device")]
    NotForUs,
    /// A retransmission of a frame already received (802.11-2020 §10.3.2.14.3).
    #[error("duplicate")]
    Duplicate,
    /// In the clear although a key is installed, and not EAPOL.
    #[error("in the clear although a key is installed")]
    Unprotected,
    /// Not acceptable under the installed keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A fragment that does not continue the frame begun.
    #[error("fragment out of order")]
    Fragment,
    /// The LLC header, the A-MSDU or an address in it is not acceptable.
    #[error("MSDU not acceptable")]
    Msdu,
}

/// How an MSDU is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// In one MPDU.
    #[default]
    Whole,
    /// In fragments of so many octets of MSDU; at least enough that 16 suffice (802.11-2020 §10.4).
    Fragments(u16),
    /// As the only subframe of an A-MSDU. On a non-QoS association this is the same as [`Shape::Whole`].
    Amsdu,
}

/// What came out of one received frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Whether it was encrypted.
    pub protected: bool,
    /// The MSDUs as Ethernet II (or 802.3) frames. None for a fragment that is not the last.
    pub frames: Vec<Vec<u8>>,
}

/// The data path of one association.
#[derive(Debug)]
pub struct DataPath {
    mac: MacAddr,
    bssid: MacAddr,
    qos: bool,
    /// Next sequence number, per TID.
    sequence: [u16; 8],
    /// Sequence control last received, per TID and for non-QoS frames.
    seen: [Option<u16>; 9],
    reassembly: Option<Box<Reassembly>>,
    keys: Option<Box<Keys>>,
}

impl DataPath {
    /// The data path of a fresh association, without keys.
    pub fn new(mac: MacAddr, bssid: MacAddr, qos: bool) -> DataPath {
        DataPath { mac, bssid, qos, sequence: [0; 8], seen: [None; 9], reassembly: None, keys: None }
    }

    /// The keys installed.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_deref()
    }

    /// Installs a pairwise key, the first or in place of another.
    pub fn install_pairwise(&mut self, tk: Tk) {
        // Fragments under different keys make no MSDU (802.11-2020 §12.5.3.4.4).
        self.reassembly = None;
        match &mut self.keys {
            Some(keys) => keys.rekey(tk),
            None => self.keys = Some(Box::new(Keys::new(tk))),
        }
    }

    /// Installs a group key for reception. Ignored before there is a pairwise key.
    pub fn install_group(&mut self, key_id: u8, gtk: &Gtk, rsc: Pn) {
        if let Some(keys) = &mut self.keys {
            keys.install_group(key_id, gtk, rsc);
        }
    }

    /// Sends one Ethernet II or 802.3 frame with a TID of 0 to 7. The encryption is that of the installed key;
    /// `clear` leaves it out. `sequence` gives the number of a non-QoS frame.
    ///
    /// Nothing comes out if the frame is shorter than its header or the packet numbers are used up.
    pub fn send(
        &mut self,
        ethernet: &[u8],
        tid: u8,
        shape: Shape,
        clear: bool,
        sequence: impl FnOnce() -> u16,
    ) -> Vec<Vec<u8>> {
        let Some((da, sa, msdu)) = msdu_of(ethernet) else { return Vec::new() };
        let tid = tid & 7;
        let number = self.sequence_number(tid, sequence);
        let amsdu = shape == Shape::Amsdu && self.qos;
        let qos = self.qos.then(|| QosControl::new(tid).with_amsdu_present(amsdu));
        let mut header = DataHeader::to_ap(self.bssid, da, sa, qos);
        let body = if amsdu {
            // The addresses of an A-MSDU are in its subframes (802.11-2020 Table 9-30).
            header.addr3 = self.bssid;
            let mut builder = AmsduBuilder::new();
            if builder.push(da, sa, &msdu).is_err() {
                return Vec::new();
            }
            builder.finish()
        } else {
            msdu
        };
        let size = match shape {
            Shape::Fragments(size) => usize::from(size).max(body.len().div_ceil(16)).max(1),
            Shape::Whole | Shape::Amsdu => body.len().max(1),
        };
        let count = body.len().div_ceil(size);
        let mpdus = body.chunks(size).enumerate().map(|(index, part)| {
            let mut header = header;
            header.sequence = SequenceControl::new(number, index as u8);
            header.control = header.control.with_more_fragments(index + 1 < count);
            header.frame(part)
        });
        match self.keys.as_mut().filter(|_| !clear) {
            Some(keys) => mpdus.map_while(|mpdu| keys.seal(&mpdu)).collect(),
            None => mpdus.collect(),
        }
    }

    /// Sends several Ethernet frames as one A-MSDU; all with TID `tid`, as QoS data whatever the association says.
    pub fn send_amsdu<'a>(
        &mut self,
        ethernet: impl IntoIterator<Item = &'a [u8]>,
        tid: u8,
    ) -> Option<Vec<u8>> {
        let mut builder = AmsduBuilder::new();
        for frame in ethernet {
            let (da, sa, msdu) = msdu_of(frame)?;
            builder.push(da, sa, &msdu).ok()?;
        }
        let tid = tid & 7;
        let qos = QosControl::new(tid).with_amsdu_present(true);
        let mut header = DataHeader::to_ap(self.bssid, self.bssid, self.mac, Some(qos));
        header.sequence = SequenceControl::new(self.sequence_number(tid, || 0), 0);
        let mpdu = header.frame(&builder.finish());
        match &mut self.keys {
            Some(keys) => keys.seal(&mpdu),
            None => Some(mpdu),
        }
    }

    /// Takes a received data frame through duplicate detection, decryption, reassembly and the A-MSDU.
    ///
    /// # Errors
    /// Why nothing, or (for an A-MSDU) not everything, came out of it.
    pub fn receive(&mut self, now: Time, frame: &Frame<'_>) -> Result<Received, DataError> {
        let control = frame.control();
        let FrameKind::Data(subtype) = control.kind() else { return Err(DataError::NotForUs) };
        let to_us = frame.addr1() == self.mac || frame.addr1().is_group();
        let from_ap = control.from_ds() && !control.to_ds() && frame.addr2() == Some(self.bssid);
        if !to_us || !from_ap || !subtype.has_data() {
            return Err(DataError::NotForUs);
        }
        self.check_duplicate(frame)?;
        if !control.protected() {
            return self.accept(now, frame, None);
        }
        let keys = self.keys.as_mut().ok_or(KeyError::NoKey)?;
        let (pn, mpdu) = keys.open(frame)?;
        let plain = Frame::parse(&mpdu).map_err(|_| KeyError::Malformed)?;
        self.accept(now, &plain, Some(pn))
    }

    /// Takes a plain MPDU; `pn` is the packet number it came under.
    fn accept(&mut self, now: Time, frame: &Frame<'_>, pn: Option<Pn>) -> Result<Received, DataError> {
        let protected = pn.is_some();
        let sequence = frame.sequence().unwrap_or(SequenceControl(0));
        let amsdu = frame.qos().is_some_and(|qos| qos.amsdu_present());
        let mut received = Received { protected, frames: Vec::new() };
        let whole;
        let body = if sequence.fragment() == 0 && !frame.control().more_fragments() {
            frame.body()
        } else {
            let fragment = Fragment {
                tid: frame.qos().map_or(0, |qos| qos.tid()),
                number: sequence.number(),
                index: sequence.fragment(),
                more: frame.control().more_fragments(),
                pn,
                body: frame.body(),
            };
            match Reassembly::take(&mut self.reassembly, now, &fragment).ok_or(DataError::Fragment)? {
                Some(body) => {
                    whole = body;
                    &whole[..]
                }
                None => return Ok(received),
            }
        };
        if amsdu {
            if is_disguised_msdu(body) {
                return Err(DataError::Msdu);
            }
            for subframe in Subframes::new(body) {
                let subframe = subframe.map_err(|_| DataError::Msdu)?;
                received.frames.push(ethernet_of(subframe.da, subframe.sa, subframe.msdu)?);
            }
        } else if let (Some(da), Some(sa)) = (frame.destination(), frame.source()) {
            received.frames.push(ethernet_of(da, sa, body)?);
        }
        let acceptable = |frame: &Vec<u8>| {
            let da = MacAddr::from_slice(&frame[..6]);
            let sa = MacAddr::from_slice(&frame[6..12]);
            // What this device sent to a group comes back from the access point; it is not for us.
            da.is_some_and(|da| da == self.mac || da.is_group()) && sa != Some(self.mac)
        };
        if !received.frames.iter().all(acceptable) {
            return Err(DataError::Msdu);
        }
        if self.keys.is_some() && !protected && !received.frames.iter().all(|frame| is_eapol(frame)) {
            return Err(DataError::Unprotected);
        }
        Ok(received)
    }

    fn check_duplicate(&mut self, frame: &Frame<'_>) -> Result<(), DataError> {
        if frame.addr1().is_group() {
            return Ok(());
        }
        let index = frame.qos().map_or(NON_QOS, |qos| usize::from(qos.tid() & 7));
        let number = frame.sequence().map(|sequence| sequence.0);
        if frame.control().retry() && self.seen[index] == number {
            return Err(DataError::Duplicate);
        }
        self.seen[index] = number;
        Ok(())
    }

    fn sequence_number(&mut self, tid: u8, non_qos: impl FnOnce() -> u16) -> u16 {
        if !self.qos {
            return non_qos();
        }
        let next = &mut self.sequence[usize::from(tid)];
        let number = *next;
        *next = (*next + 1) & 0x0fff;
        number
    }
}

/// An Ethernet II frame around an EAPOL PDU.
pub fn eapol_frame(da: MacAddr, sa: MacAddr, eapol: &[u8]) -> Vec<u8> {
    [&da.0, &sa.0, &EtherType::EAPOL.0.to_be_bytes()[..], eapol].concat()
}

/// The EAPOL PDU in an Ethernet II frame, if it is one.
pub fn eapol_of(ethernet: &[u8]) -> Option<&[u8]> {
    is_eapol(ethernet).then(|| &ethernet[ETHERNET_HEADER..])
}

fn is_eapol(ethernet: &[u8]) -> bool {
    ethernet.get(12..ETHERNET_HEADER) == Some(&EtherType::EAPOL.0.to_be_bytes())
}

/// Destination, source and MSDU of an Ethernet II or 802.3 frame.
fn msdu_of(ethernet: &[u8]) -> Option<(MacAddr, MacAddr, Vec<u8>)> {
    let (header, payload) = ethernet.split_first_chunk::<ETHERNET_HEADER>()?;
    let da = MacAddr::from_slice(&header[..6])?;
    let sa = MacAddr::from_slice(&header[6..12])?;
    let kind = u16::from_be_bytes([header[12], header[13]]);
    let msdu = if kind >= FIRST_ETHERTYPE {
        llc::msdu(EtherType(kind), payload)
    } else {
        payload.get(..usize::from(kind))?.to_vec()
    };
    Some((da, sa, msdu))
}

/// The Ethernet frame of an MSDU: Ethernet II where it is SNAP-encapsulated, 802.3 with its length otherwise.
fn ethernet_of(da: MacAddr, sa: MacAddr, msdu: &[u8]) -> Result<Vec<u8>, DataError> {
    let (kind, payload) = match llc::parse(msdu) {
        Some((ether_type, payload)) => (ether_type.0, payload),
        // A greater length would read as an EtherType.
        None if msdu.len() < usize::from(FIRST_ETHERTYPE) => (msdu.len() as u16, msdu),
        None => return Err(DataError::Msdu),
    };
    Ok([&da.0, &sa.0, &kind.to_be_bytes()[..], payload].concat())
}
