//! Checked, zero-copy view of one 802.11 frame of any type (802.11-2020 §9.2).

mod control;
pub mod management;

use crate::MacAddr;
pub use control::{ControlSubtype, DataSubtype, FrameControl, FrameKind, ManagementSubtype};

/// Why octets are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Fewer octets than the header (or the fixed fields of the body) needs.
    #[error("truncated: {needed} octets needed, {got} there")]
    Truncated {
        /// Octets needed.
        needed: usize,
        /// Octets there.
        got: usize,
    },
    /// A protocol version other than 0.
    #[error("protocol version {0}")]
    Version(u8),
    /// The frame is of another type or subtype than the view is for.
    #[error("another type of frame: {0:?}")]
    Kind(FrameKind),
    /// The body is encrypted.
    #[error("the frame body is encrypted")]
    Protected,
    /// The elements of the body do not add up.
    #[error(transparent)]
    Element(#[from] crate::element::ElementError),
}

/// A frame whose header is known to be complete.
///
/// ```text
/// management       FC Dur A1 A2 A3 SC [HTC]                24 or 28 octets
/// data             FC Dur A1 A2 A3 SC [A4] [QC] [HTC]      24 to 36 octets
/// control          FC Dur A1 [A2]                          10 or 16 octets
/// control wrapper  FC Dur A1 carried-FC HTC                16 octets
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    control: FrameControl,
    header_len: u8,
}

impl<'a> Frame<'a> {
    /// Checks that `bytes` (a frame without FCS) has the whole header that its Frame Control field announces.
    ///
    /// # Errors
    /// [`FrameError::Truncated`], or [`FrameError::Version`] for a protocol version other than 0.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        // Nothing shorter than an ACK is a frame.
        if bytes.len() < 10 {
            return Err(FrameError::Truncated { needed: 10, got: bytes.len() });
        }
        let control = FrameControl::from_bytes([bytes[0], bytes[1]]);
        if control.version() != 0 {
            return Err(FrameError::Version(control.version()));
        }
        let header_len = header_len(control);
        if bytes.len() < header_len {
            return Err(FrameError::Truncated { needed: header_len, got: bytes.len() });
        }
        Ok(Frame { bytes, control, header_len: header_len as u8 })
    }

    /// The Frame Control field.
    #[inline]
    pub fn control(&self) -> FrameControl {
        self.control
    }

    /// Type and subtype.
    #[inline]
    pub fn kind(&self) -> FrameKind {
        self.control.kind()
    }

    /// The Duration/ID field: microseconds, or in PS-Poll frames the AID with its two high bits set.
    #[inline]
    pub fn duration(&self) -> u16 {
        u16::from_le_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The association identifier in a PS-Poll frame (802.11-2020 §9.3.1.5), 1 to 2007.
    #[inline]
    pub fn ps_poll_aid(&self) -> Option<u16> {
        matches!(self.kind(), FrameKind::Control(ControlSubtype::PsPoll)).then(|| self.duration() & 0x3fff)
    }

    /// Address 1, the receiver.
    #[inline]
    pub fn addr1(&self) -> MacAddr {
        self.address(4)
    }

    /// Address 2, the transmitter. Some control frames have none.
    #[inline]
    pub fn addr2(&self) -> Option<MacAddr> {
        let wrapper = self.control.0 & 0x00fc == 0x0074;
        (self.header_len >= 16 && !wrapper).then(|| self.address(10))
    }

    /// Address 3 of management and data frames.
    #[inline]
    pub fn addr3(&self) -> Option<MacAddr> {
        (self.header_len >= 24).then(|| self.address(16))
    }

    /// Address 4 of data frames with both To DS and From DS.
    #[inline]
    pub fn addr4(&self) -> Option<MacAddr> {
        self.has_addr4().then(|| self.address(24))
    }

    /// The Sequence Control field of management and data frames.
    #[inline]
    pub fn sequence(&self) -> Option<SequenceControl> {
        (self.header_len >= 24).then(|| SequenceControl(u16::from_le_bytes([self.bytes[22], self.bytes[23]])))
    }

    /// The QoS Control field of QoS data frames.
    #[inline]
    pub fn qos(&self) -> Option<QosControl> {
        let at = if self.has_addr4() { 30 } else { 24 };
        self.control
            .is_qos_data()
            .then(|| QosControl(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])))
    }

    /// The HT Control field, where the +HTC bit announces one.
    #[inline]
    pub fn ht_control(&self) -> Option<u32> {
        let there = self.control.order() && (self.control.is_management() || self.control.is_qos_data());
        let wrapper = self.control.0 & 0x00fc == 0x0074;
        (there || wrapper).then(|| {
            let at = self.header_len() - 4;
            u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
        })
    }

    /// Octets of the MAC header.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header_len)
    }

    /// The MAC header.
    #[inline]
    pub fn header(&self) -> &'a [u8] {
        &self.bytes[..self.header_len()]
    }

    /// What follows the MAC header. Of a protected frame, this begins with the security header.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.header_len()..]
    }

    /// The whole frame.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The BSSID, where the frame says it (802.11-2020 Table 9-30): not in four-address data frames, of control
    /// frames only in PS-Poll.
    #[inline]
    pub fn bssid(&self) -> Option<MacAddr> {
        if self.control.is_data() {
            return match (self.control.to_ds(), self.control.from_ds()) {
                (false, false) => self.addr3(),
                (true, false) => Some(self.addr1()),
                (false, true) => self.addr2(),
                (true, true) => None,
            };
        }
        if self.control.is_management() {
            return self.addr3();
        }
        matches!(self.kind(), FrameKind::Control(ControlSubtype::PsPoll)).then(|| self.addr1())
    }

    /// Source of the MSDU or MMPDU. Of an A-MSDU, each subframe has its own instead.
    #[inline]
    pub fn source(&self) -> Option<MacAddr> {
        if self.control.is_data() {
            return match (self.control.to_ds(), self.control.from_ds()) {
                (_, false) => self.addr2(),
                (false, true) => self.addr3(),
                (true, true) => self.addr4(),
            };
        }
        if self.control.is_management() { self.addr2() } else { None }
    }

    /// Destination of the MSDU or MMPDU. Of an A-MSDU, each subframe has its own instead.
    #[inline]
    pub fn destination(&self) -> Option<MacAddr> {
        if self.control.is_data() && self.control.to_ds() {
            return self.addr3();
        }
        (self.control.is_data() || self.control.is_management()).then(|| self.addr1())
    }

    #[inline]
    fn has_addr4(&self) -> bool {
        self.control.0 & 0x030c == 0x0308
    }

    #[inline]
    fn address(&self, at: usize) -> MacAddr {
        let b = self.bytes;
        MacAddr([b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5]])
    }
}

/// The Sequence Control field (802.11-2020 §9.2.4.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SequenceControl(pub u16);

impl SequenceControl {
    /// From a sequence number modulo 4096 and a fragment number modulo 16.
    #[inline]
    pub const fn new(number: u16, fragment: u8) -> Self {
        Self(number << 4 | (fragment & 0x0f) as u16)
    }

    /// The sequence number of the MSDU, A-MSDU or MMPDU, 0 to 4095.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0 >> 4
    }

    /// The number of the fragment, 0 to 15.
    #[inline]
    pub const fn fragment(self) -> u8 {
        (self.0 & 0x0f) as u8
    }
}

/// The QoS Control field (802.11-2020 §9.2.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct QosControl(pub u16);

impl QosControl {
    /// A QoS Control field with a traffic identifier (0 to 15), normal acknowledgement and nothing else.
    #[inline]
    pub const fn new(tid: u8) -> Self {
        Self((tid & 0x0f) as u16)
    }

    /// The traffic identifier, 0 to 15; 0 to 7 are user priorities.
    #[inline]
    pub const fn tid(self) -> u8 {
        (self.0 & 0x0f) as u8
    }

    /// End of service period (in frames from an AP).
    #[inline]
    pub const fn eosp(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Acknowledgement policy: 0 normal, 1 none, 2 no explicit, 3 block.
    #[inline]
    pub const fn ack_policy(self) -> u8 {
        (self.0 >> 5 & 0x3) as u8
    }

    /// Whether the body is an A-MSDU.
    #[inline]
    pub const fn amsdu_present(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The same with or without the A-MSDU Present bit.
    #[inline]
    #[must_use]
    pub const fn with_amsdu_present(self, on: bool) -> Self {
        Self(if on { self.0 | 0x80 } else { self.0 & !0x80 })
    }

    /// The same with the end of service period bit as given.
    #[inline]
    #[must_use]
    pub const fn with_eosp(self, on: bool) -> Self {
        Self(if on { self.0 | 0x10 } else { self.0 & !0x10 })
    }
}

/// Octets of the header that a Frame Control field announces.
#[inline]
const fn header_len(control: FrameControl) -> usize {
    match control.0 >> 2 & 0x3 {
        0 => 24 + if control.order() { 4 } else { 0 },
        2 => {
            let addr4 = if control.to_ds() && control.from_ds() { 6 } else { 0 };
            // Without a QoS Control field the bit is the obsolete Order bit.
            let qos = match (control.is_qos_data(), control.order()) {
                (false, _) => 0,
                (true, false) => 2,
                (true, true) => 6,
            };
            24 + addr4 + qos
        }
        // Trigger, TACK, beamforming poll, NDP announcement, wrapper, BAR, BA, PS-Poll, RTS, CF-End; the others
        // (CTS, Ack, reserved ones) are only known to have a receiver address.
        1 => match control.subtype() {
            2..=5 | 7..=11 | 14 => 16,
            _ => 10,
        },
        _ => 10,
    }
}
