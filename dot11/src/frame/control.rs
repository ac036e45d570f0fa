//! The Frame Control field and the frame types in it (802.11-2020 §9.2.4.1).

use std::fmt;

/// The Frame Control field, as the little-endian value of the first two octets of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameControl(pub u16);

/// Type and subtype of a frame (802.11-2020 Table 9-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameKind {
    /// Type 0.
    Management(ManagementSubtype),
    /// Type 1.
    Control(ControlSubtype),
    /// Type 2.
    Data(DataSubtype),
    /// Type 3, with its subtype.
    Extension(u8),
}

macro_rules! subtypes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[allow(missing_docs, reason = "the names are those of Table 9-1")]
        pub enum $name {
            $($variant,)*
            /// Any other value of the four bits.
            Other(u8),
        }

        impl $name {
            /// The subtype with this number (of which only the low four bits count).
            #[inline]
            pub const fn from_number(number: u8) -> Self {
                match number & 0x0f {
                    $($value => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The number of the subtype, 0 to 15.
            #[inline]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $value,)*
                    Self::Other(other) => other & 0x0f,
                }
            }
        }
    };
}

subtypes! {
    /// Subtypes of management frames.
    ManagementSubtype {
        AssociationRequest = 0,
        AssociationResponse = 1,
        ReassociationRequest = 2,
        ReassociationResponse = 3,
        ProbeRequest = 4,
        ProbeResponse = 5,
        TimingAdvertisement = 6,
        Beacon = 8,
        Atim = 9,
        Disassociation = 10,
        Authentication = 11,
        Deauthentication = 12,
        Action = 13,
        ActionNoAck = 14,
    }
}

subtypes! {
    /// Subtypes of control frames.
    ControlSubtype {
        Trigger = 2,
        Tack = 3,
        BeamformingReportPoll = 4,
        NdpAnnouncement = 5,
        ControlFrameExtension = 6,
        ControlWrapper = 7,
        BlockAckRequest = 8,
        BlockAck = 9,
        PsPoll = 10,
        Rts = 11,
        Cts = 12,
        Ack = 13,
        CfEnd = 14,
    }
}

subtypes! {
    /// Subtypes of data frames. The four bits mean: 3 QoS, 2 no data, 1 +CF-Poll, 0 +CF-Ack.
    DataSubtype {
        Data = 0,
        Null = 4,
        QosData = 8,
        QosNull = 12,
    }
}

impl ManagementSubtype {
    /// Whether frames of this subtype can be robust, that is, protected once management frame protection is
    /// negotiated (802.11-2020 §12.2.7). Of action frames only those of robust categories are.
    #[inline]
    pub const fn can_be_robust(self) -> bool {
        matches!(self, Self::Disassociation | Self::Deauthentication | Self::Action)
    }
}

impl DataSubtype {
    /// Whether frames of this subtype have a QoS Control field.
    #[inline]
    pub const fn is_qos(self) -> bool {
        self.number() & 0x8 != 0
    }

    /// Whether frames of this subtype carry an MSDU, an A-MSDU or a fragment (the others are Null frames).
    #[inline]
    pub const fn has_data(self) -> bool {
        self.number() & 0x4 == 0
    }
}

impl FrameKind {
    const fn bits(self) -> u16 {
        let (kind, subtype) = match self {
            FrameKind::Management(subtype) => (0, subtype.number()),
            FrameKind::Control(subtype) => (1, subtype.number()),
            FrameKind::Data(subtype) => (2, subtype.number()),
            FrameKind::Extension(subtype) => (3, subtype & 0x0f),
        };
        kind << 2 | (subtype as u16) << 4
    }
}

const TO_DS: u16 = 1 << 8;
const FROM_DS: u16 = 1 << 9;
const MORE_FRAGMENTS: u16 = 1 << 10;
const RETRY: u16 = 1 << 11;
const POWER_MANAGEMENT: u16 = 1 << 12;
const MORE_DATA: u16 = 1 << 13;
const PROTECTED: u16 = 1 << 14;
const ORDER: u16 = 1 << 15;

macro_rules! flags {
    ($($(#[$doc:meta])* $get:ident $set:ident $bit:ident;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub const fn $get(self) -> bool {
                self.0 & $bit != 0
            }

            #[doc = concat!("The same with [`", stringify!($get), "`](Self::", stringify!($get), ") as given.")]
            #[inline]
            #[must_use]
            pub const fn $set(self, on: bool) -> Self {
                Self(if on { self.0 | $bit } else { self.0 & !$bit })
            }
        )*
    };
}

impl FrameControl {
    /// A Frame Control field of protocol version 0 with no flag set.
    #[inline]
    pub const fn new(kind: FrameKind) -> Self {
        Self(kind.bits())
    }

    /// From the first two octets of a frame.
    #[inline]
    pub const fn from_bytes(octets: [u8; 2]) -> Self {
        Self(u16::from_le_bytes(octets))
    }

    /// As the first two octets of a frame.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }

    /// The protocol version; 0 is the only one of the frames of this crate.
    #[inline]
    pub const fn version(self) -> u8 {
        (self.0 & 0x3) as u8
    }

    /// Type and subtype.
    #[inline]
    pub const fn kind(self) -> FrameKind {
        let subtype = self.subtype();
        match self.0 >> 2 & 0x3 {
            0 => FrameKind::Management(ManagementSubtype::from_number(subtype)),
            1 => FrameKind::Control(ControlSubtype::from_number(subtype)),
            2 => FrameKind::Data(DataSubtype::from_number(subtype)),
            _ => FrameKind::Extension(subtype),
        }
    }

    /// The four subtype bits.
    #[inline]
    pub const fn subtype(self) -> u8 {
        (self.0 >> 4 & 0xf) as u8
    }

    /// Whether this is a management frame.
    #[inline]
    pub const fn is_management(self) -> bool {
        self.0 & 0x0c == 0x00
    }

    /// Whether this is a control frame.
    #[inline]
    pub const fn is_control(self) -> bool {
        self.0 & 0x0c == 0x04
    }

    /// Whether this is a data frame (QoS or not, with or without data).
    #[inline]
    pub const fn is_data(self) -> bool {
        self.0 & 0x0c == 0x08
    }

    /// Whether this is a data frame with a QoS Control field.
    #[inline]
    pub const fn is_qos_data(self) -> bool {
        self.0 & 0x8c == 0x88
    }

    /// The same with another type and subtype.
    #[inline]
    #[must_use]
    pub const fn with_kind(self, kind: FrameKind) -> Self {
        Self(self.0 & !0x00fc | kind.bits())
    }

    flags! {
        /// The frame goes to the distribution system, or to the AP.
        to_ds with_to_ds TO_DS;
        /// The frame comes from the distribution system, or from the AP.
        from_ds with_from_ds FROM_DS;
        /// Further fragments of the MSDU follow.
        more_fragments with_more_fragments MORE_FRAGMENTS;
        /// The frame is a retransmission.
        retry with_retry RETRY;
        /// The transmitter will be in power-save mode after this frame exchange.
        power_management with_power_management POWER_MANAGEMENT;
        /// The AP has more for the device.
        more_data with_more_data MORE_DATA;
        /// The frame body is encrypted.
        protected with_protected PROTECTED;
        /// +HTC: in QoS data and management frames, an HT Control field is there. Called Order in other data frames.
        order with_order ORDER;
    }
}

impl fmt::Debug for FrameControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameControl({:?}", self.kind())?;
        let flags = [
            (self.to_ds(), "to-ds"),
            (self.from_ds(), "from-ds"),
            (self.more_fragments(), "more-fragments"),
            (self.retry(), "retry"),
            (self.power_management(), "power-management"),
            (self.more_data(), "more-data"),
            (self.protected(), "protected"),
            (self.order(), "order"),
        ];
        for (_, name) in flags.iter().filter(|(set, _)| *set) {
            write!(f, " {name}")?;
        }
        write!(f, ")")
    }
}
