//! Headers and whole frames, built (802.11-2020 §9.3).

use crate::{DataSubtype, FrameControl, FrameKind, MacAddr, ManagementSubtype, QosControl, SequenceControl};

/// Octets of the longest data header: four addresses, QoS Control, HT Control.
pub const MAX_HEADER_LEN: usize = 36;

/// A management frame: header and body. Duration and sequence number are 0, for the transmitter to fill in.
pub fn management(
    subtype: ManagementSubtype,
    da: MacAddr,
    sa: MacAddr,
    bssid: MacAddr,
    body: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(24 + body.len());
    frame.extend_from_slice(&FrameControl::new(FrameKind::Management(subtype)).to_bytes());
    frame.extend_from_slice(&[0; 2]);
    for address in [da, sa, bssid] {
        frame.extend_from_slice(&address.0);
    }
    frame.extend_from_slice(&[0; 2]);
    frame.extend_from_slice(body);
    frame
}

/// The header of a data frame, to be changed at will before it is written.
///
/// Which of the optional fields are written follows from the Frame Control field alone, so what is written is
/// always consistent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataHeader {
    /// Frame Control.
    pub control: FrameControl,
    /// Duration in microseconds; 0 leaves it to the transmitter.
    pub duration: u16,
    /// Receiver.
    pub addr1: MacAddr,
    /// Transmitter.
    pub addr2: MacAddr,
    /// BSSID, source or destination.
    pub addr3: MacAddr,
    /// Sequence Control; number 0 leaves it to the transmitter.
    pub sequence: SequenceControl,
    /// Written when both To DS and From DS are set.
    pub addr4: MacAddr,
    /// Written when the subtype is a QoS one.
    pub qos: QosControl,
    /// Written when the subtype is a QoS one and the +HTC bit is set.
    pub ht_control: u32,
}

/// Header of a data frame from an AP to a device (From DS). `qos` makes it a QoS data frame.
pub fn data_header(bssid: MacAddr, da: MacAddr, sa: MacAddr, qos: Option<QosControl>) -> DataHeader {
    DataHeader::from_ap(bssid, da, sa, qos)
}

impl DataHeader {
    /// Header of a data frame from an AP (From DS). `qos` makes it a QoS data frame.
    pub fn from_ap(bssid: MacAddr, da: MacAddr, sa: MacAddr, qos: Option<QosControl>) -> Self {
        Self::new(qos, [da, bssid, sa], |control| control.with_from_ds(true))
    }

    /// Header of a data frame from a device to its AP (To DS). `qos` makes it a QoS data frame.
    pub fn to_ap(bssid: MacAddr, da: MacAddr, sa: MacAddr, qos: Option<QosControl>) -> Self {
        Self::new(qos, [bssid, sa, da], |control| control.with_to_ds(true))
    }

    /// Header of a data frame between devices of one BSS (neither To DS nor From DS).
    pub fn direct(bssid: MacAddr, da: MacAddr, sa: MacAddr, qos: Option<QosControl>) -> Self {
        Self::new(qos, [da, sa, bssid], |control| control)
    }

    /// Header of a four-address data frame (To DS and From DS).
    pub fn four_address(
        receiver: MacAddr,
        transmitter: MacAddr,
        da: MacAddr,
        sa: MacAddr,
        qos: Option<QosControl>,
    ) -> Self {
        let header = Self::new(qos, [receiver, transmitter, da], |c| c.with_to_ds(true).with_from_ds(true));
        Self { addr4: sa, ..header }
    }

    /// Octets of the header as it stands.
    pub fn len(&self) -> usize {
        let addr4 = if self.has_addr4() { 6 } else { 0 };
        let qos = if self.control.is_qos_data() { 2 } else { 0 };
        let ht_control = if self.has_ht_control() { 4 } else { 0 };
        24 + addr4 + qos + ht_control
    }

    /// Never: a header has at least 24 octets.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the header to the front of `out` and returns its length; `None` (and nothing written) when `out` is
    /// shorter than [`DataHeader::len`].
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let len = self.len();
        let out = out.get_mut(..len)?;
        out[0..2].copy_from_slice(&self.control.to_bytes());
        out[2..4].copy_from_slice(&self.duration.to_le_bytes());
        out[4..10].copy_from_slice(&self.addr1.0);
        out[10..16].copy_from_slice(&self.addr2.0);
        out[16..22].copy_from_slice(&self.addr3.0);
        out[22..24].copy_from_slice(&self.sequence.0.to_le_bytes());
        let mut at = 24;
        if self.has_addr4() {
            out[at..at + 6].copy_from_slice(&self.addr4.0);
            at += 6;
        }
        if self.control.is_qos_data() {
            out[at..at + 2].copy_from_slice(&self.qos.0.to_le_bytes());
            at += 2;
        }
        if self.has_ht_control() {
            out[at..at + 4].copy_from_slice(&self.ht_control.to_le_bytes());
        }
        Some(len)
    }

    /// A frame: this header and `body`.
    pub fn frame(&self, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; self.len()];
        frame.reserve_exact(body.len());
        // The buffer has exactly the length asked for, so this cannot be `None`.
        let _ = self.write(&mut frame);
        frame.extend_from_slice(body);
        frame
    }

    fn new(qos: Option<QosControl>, addresses: [MacAddr; 3], ds: fn(FrameControl) -> FrameControl) -> Self {
        let subtype = if qos.is_some() { DataSubtype::QosData } else { DataSubtype::Data };
        let [addr1, addr2, addr3] = addresses;
        Self {
            control: ds(FrameControl::new(FrameKind::Data(subtype))),
            duration: 0,
            addr1,
            addr2,
            addr3,
            sequence: SequenceControl(0),
            addr4: MacAddr::ZERO,
            qos: qos.unwrap_or_default(),
            ht_control: 0,
        }
    }

    fn has_addr4(&self) -> bool {
        self.control.to_ds() && self.control.from_ds()
    }

    fn has_ht_control(&self) -> bool {
        self.control.is_qos_data() && self.control.order()
    }
}

/// A PS-Poll frame: the device asks for one buffered frame (802.11-2020 §9.3.1.5).
pub fn ps_poll(aid: u16, bssid: MacAddr, transmitter: MacAddr) -> [u8; 16] {
    let mut frame = [0; 16];
    frame[0..2]
        .copy_from_slice(&FrameControl::new(FrameKind::Control(crate::ControlSubtype::PsPoll)).to_bytes());
    frame[2..4].copy_from_slice(&(aid | 0xc000).to_le_bytes());
    frame[4..10].copy_from_slice(&bssid.0);
    frame[10..16].copy_from_slice(&transmitter.0);
    frame
}

/// An Ack frame (802.11-2020 §9.3.1.4).
pub fn ack(receiver: MacAddr) -> [u8; 10] {
    let mut frame = [0; 10];
    frame[0..2]
        .copy_from_slice(&FrameControl::new(FrameKind::Control(crate::ControlSubtype::Ack)).to_bytes());
    frame[4..10].copy_from_slice(&receiver.0);
    frame
}
