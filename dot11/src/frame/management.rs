//! Bodies of management frames: fixed fields and elements, parsed and built (802.11-2020 §9.3.3).

use super::{Frame, FrameError, FrameKind, ManagementSubtype};
use crate::element::Elements;
use crate::{AuthenticationAlgorithm, CapabilityInfo, MacAddr, ReasonCode, StatusCode};

/// A management frame body of any subtype that this crate knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each variant is documented on its type")]
pub enum ManagementBody<'a> {
    AssociationRequest(AssociationRequest<'a>),
    AssociationResponse(AssociationResponse<'a>),
    ReassociationRequest(ReassociationRequest<'a>),
    ReassociationResponse(AssociationResponse<'a>),
    ProbeRequest(ProbeRequest<'a>),
    ProbeResponse(Beacon<'a>),
    Beacon(Beacon<'a>),
    Disassociation(Disassociation),
    Authentication(Authentication<'a>),
    Deauthentication(Deauthentication),
    Action(Action<'a>),
    ActionNoAck(Action<'a>),
}

impl<'a> ManagementBody<'a> {
    /// Parses the body of an unprotected management frame.
    ///
    /// # Errors
    /// [`FrameError::Kind`] for other frames, [`FrameError::Protected`] when the body is still encrypted, and the
    /// errors of the body's own parser.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let FrameKind::Management(subtype) = frame.kind() else {
            return Err(FrameError::Kind(frame.kind()));
        };
        if frame.control().protected() {
            return Err(FrameError::Protected);
        }
        let body = frame.body();
        Ok(match subtype {
            ManagementSubtype::AssociationRequest => {
                Self::AssociationRequest(AssociationRequest::parse(body)?)
            }
            ManagementSubtype::AssociationResponse => {
                Self::AssociationResponse(AssociationResponse::parse(body)?)
            }
            ManagementSubtype::ReassociationRequest => {
                Self::ReassociationRequest(ReassociationRequest::parse(body)?)
            }
            ManagementSubtype::ReassociationResponse => {
                Self::ReassociationResponse(AssociationResponse::parse(body)?)
            }
            ManagementSubtype::ProbeRequest => Self::ProbeRequest(ProbeRequest::parse(body)?),
            ManagementSubtype::ProbeResponse => Self::ProbeResponse(Beacon::parse(body)?),
            ManagementSubtype::Beacon => Self::Beacon(Beacon::parse(body)?),
            ManagementSubtype::Disassociation => Self::Disassociation(Disassociation::parse(body)?),
            ManagementSubtype::Authentication => Self::Authentication(Authentication::parse(body)?),
            ManagementSubtype::Deauthentication => Self::Deauthentication(Deauthentication::parse(body)?),
            ManagementSubtype::Action => Self::Action(Action::parse(body)?),
            ManagementSubtype::ActionNoAck => Self::ActionNoAck(Action::parse(body)?),
            ManagementSubtype::TimingAdvertisement
            | ManagementSubtype::Atim
            | ManagementSubtype::Other(_) => return Err(FrameError::Kind(frame.kind())),
        })
    }
}

/// Authentication (802.11-2020 §9.3.3.11): algorithm, transaction sequence number, status, elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authentication<'a> {
    /// Authentication algorithm number.
    pub algorithm: AuthenticationAlgorithm,
    /// Transaction sequence number, from 1.
    pub transaction: u16,
    /// Status; reserved (0) in requests.
    pub status: StatusCode,
    /// What follows. For SAE this begins with fields that are not elements (802.11-2020 §9.3.3.11, Table 9-41), so
    /// take [`Elements::bytes`] there.
    pub elements: Elements<'a>,
}

impl<'a> Authentication<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Truncated`]; [`FrameError::Element`] when the elements do not add up (not checked for SAE).
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, rest) = split::<6>(body)?;
        let algorithm = AuthenticationAlgorithm(le16(fixed, 0));
        let elements = match algorithm {
            AuthenticationAlgorithm::SAE => Elements::new(rest),
            _ => Elements::parse(rest)?,
        };
        Ok(Self { algorithm, transaction: le16(fixed, 2), status: StatusCode(le16(fixed, 4)), elements })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6 + self.elements.bytes().len());
        out.extend_from_slice(&self.algorithm.0.to_le_bytes());
        out.extend_from_slice(&self.transaction.to_le_bytes());
        out.extend_from_slice(&self.status.0.to_le_bytes());
        out.extend_from_slice(self.elements.bytes());
        out
    }
}

/// Association Request (802.11-2020 §9.3.3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssociationRequest<'a> {
    /// Capability Information.
    pub capabilities: CapabilityInfo,
    /// How often a sleeping device listens, in beacon intervals.
    pub listen_interval: u16,
    /// Elements.
    pub elements: Elements<'a>,
}

impl<'a> AssociationRequest<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Truncated`], [`FrameError::Element`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, rest) = split::<4>(body)?;
        Ok(Self {
            capabilities: CapabilityInfo(le16(fixed, 0)),
            listen_interval: le16(fixed, 2),
            elements: Elements::parse(rest)?,
        })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.elements.bytes().len());
        out.extend_from_slice(&self.capabilities.0.to_le_bytes());
        out.extend_from_slice(&self.listen_interval.to_le_bytes());
        out.extend_from_slice(self.elements.bytes());
        out
    }
}

/// Reassociation Request (802.11-2020 §9.3.3.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReassociationRequest<'a> {
    /// Capability Information.
    pub capabilities: CapabilityInfo,
    /// How often a sleeping device listens, in beacon intervals.
    pub listen_interval: u16,
    /// BSSID of the AP that the device is associated with so far.
    pub current_ap: MacAddr,
    /// Elements.
    pub elements: Elements<'a>,
}

impl<'a> ReassociationRequest<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Truncated`], [`FrameError::Element`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, rest) = split::<10>(body)?;
        let [.., a, b, c, d, e, f] = *fixed;
        Ok(Self {
            capabilities: CapabilityInfo(le16(fixed, 0)),
            listen_interval: le16(fixed, 2),
            current_ap: MacAddr([a, b, c, d, e, f]),
            elements: Elements::parse(rest)?,
        })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.elements.bytes().len());
        out.extend_from_slice(&self.capabilities.0.to_le_bytes());
        out.extend_from_slice(&self.listen_interval.to_le_bytes());
        out.extend_from_slice(&self.current_ap.0);
        out.extend_from_slice(self.elements.bytes());
        out
    }
}

/// Association Response and Reassociation Response (802.11-2020 §9.3.3.6, §9.3.3.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssociationResponse<'a> {
    /// Capability Information.
    pub capabilities: CapabilityInfo,
    /// Status.
    pub status: StatusCode,
    /// Association identifier, 1 to 2007; without the two high bits that are set on the air.
    pub aid: u16,
    /// Elements.
    pub elements: Elements<'a>,
}

impl<'a> AssociationResponse<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Truncated`], [`FrameError::Element`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, rest) = split::<6>(body)?;
        Ok(Self {
            capabilities: CapabilityInfo(le16(fixed, 0)),
            status: StatusCode(le16(fixed, 2)),
            aid: le16(fixed, 4) & 0x3fff,
            elements: Elements::parse(rest)?,
        })
    }

    /// The body. The two high bits of the AID field are set, as 802.11-2020 §9.4.1.8 wants.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6 + self.elements.bytes().len());
        out.extend_from_slice(&self.capabilities.0.to_le_bytes());
        out.extend_from_slice(&self.status.0.to_le_bytes());
        out.extend_from_slice(&(self.aid | 0xc000).to_le_bytes());
        out.extend_from_slice(self.elements.bytes());
        out
    }
}

/// Probe Request (802.11-2020 §9.3.3.9): elements only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeRequest<'a> {
    /// Elements.
    pub elements: Elements<'a>,
}

impl<'a> ProbeRequest<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Element`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        Ok(Self { elements: Elements::parse(body)? })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        self.elements.bytes().to_vec()
    }
}

/// Beacon and Probe Response (802.11-2020 §9.3.3.2, §9.3.3.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beacon<'a> {
    /// TSF timer in microseconds.
    pub timestamp: u64,
    /// Beacon interval in time units of 1024 microseconds.
    pub interval: u16,
    /// Capability Information.
    pub capabilities: CapabilityInfo,
    /// Elements.
    pub elements: Elements<'a>,
}

/// A Probe Response has the body of a Beacon (without a TIM element).
pub type ProbeResponse<'a> = Beacon<'a>;

impl<'a> Beacon<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Truncated`], [`FrameError::Element`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, rest) = split::<12>(body)?;
        let [t0, t1, t2, t3, t4, t5, t6, t7, ..] = *fixed;
        Ok(Self {
            timestamp: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            interval: le16(fixed, 8),
            capabilities: CapabilityInfo(le16(fixed, 10)),
            elements: Elements::parse(rest)?,
        })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + self.elements.bytes().len());
        out.extend_from_slice(&self.timestamp.to_le_bytes());
        out.extend_from_slice(&self.interval.to_le_bytes());
        out.extend_from_slice(&self.capabilities.0.to_le_bytes());
        out.extend_from_slice(self.elements.bytes());
        out
    }
}

/// Deauthentication (802.11-2020 §9.3.3.12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deauthentication {
    /// Why.
    pub reason: ReasonCode,
}

/// Disassociation (802.11-2020 §9.3.3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disassociation {
    /// Why.
    pub reason: ReasonCode,
}

impl Deauthentication {
    /// Parses a body. Vendor elements and a management MIC element may follow the reason; they are not looked at.
    ///
    /// # Errors
    /// [`FrameError::Truncated`].
    pub fn parse(body: &[u8]) -> Result<Self, FrameError> {
        let (fixed, _) = split::<2>(body)?;
        Ok(Self { reason: ReasonCode(le16(fixed, 0)) })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        self.reason.0.to_le_bytes().to_vec()
    }
}

impl Disassociation {
    /// Parses a body. Vendor elements and a management MIC element may follow the reason; they are not looked at.
    ///
    /// # Errors
    /// [`FrameError::Truncated`].
    pub fn parse(body: &[u8]) -> Result<Self, FrameError> {
        let (fixed, _) = split::<2>(body)?;
        Ok(Self { reason: ReasonCode(le16(fixed, 0)) })
    }

    /// The body.
    pub fn to_vec(&self) -> Vec<u8> {
        self.reason.0.to_le_bytes().to_vec()
    }
}

/// Action and Action No Ack (802.11-2020 §9.3.3.13, §9.4.1.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action<'a> {
    /// Category of the action (802.11-2020 Table 9-51).
    pub category: ActionCategory,
    /// Action number within the category. For vendor-specific categories this is the first octet of the OUI.
    pub action: u8,
    /// What follows the action number.
    pub body: &'a [u8],
}

impl<'a> Action<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// [`FrameError::Truncated`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, rest) = split::<2>(body)?;
        let [category, action] = *fixed;
        Ok(Self { category: ActionCategory(category), action, body: rest })
    }

    /// The body of the frame.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![self.category.0, self.action];
        out.extend_from_slice(self.body);
        out
    }
}

/// Category of an action frame (802.11-2020 Table 9-51).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ActionCategory(pub u8);

#[allow(missing_docs, reason = "the names are those of Table 9-51")]
impl ActionCategory {
    pub const SPECTRUM_MANAGEMENT: Self = Self(0);
    pub const QOS: Self = Self(1);
    pub const BLOCK_ACK: Self = Self(3);
    pub const PUBLIC: Self = Self(4);
    pub const RADIO_MEASUREMENT: Self = Self(5);
    pub const FAST_BSS_TRANSITION: Self = Self(6);
    pub const HT: Self = Self(7);
    pub const SA_QUERY: Self = Self(8);
    pub const PROTECTED_DUAL_OF_PUBLIC: Self = Self(9);
    pub const WNM: Self = Self(10);
    pub const UNPROTECTED_WNM: Self = Self(11);
    pub const SELF_PROTECTED: Self = Self(15);
    pub const UNPROTECTED_DMG: Self = Self(20);
    pub const VHT: Self = Self(21);
    pub const UNPROTECTED_S1G: Self = Self(22);
    pub const VENDOR_SPECIFIC_PROTECTED: Self = Self(126);
    pub const VENDOR_SPECIFIC: Self = Self(127);

    /// Whether action frames of this category are robust (802.11-2020 Table 9-51, column "Robust").
    pub const fn is_robust(self) -> bool {
        !matches!(
            self,
            Self::PUBLIC
                | Self::HT
                | Self::UNPROTECTED_WNM
                | Self::SELF_PROTECTED
                | Self::UNPROTECTED_DMG
                | Self::VHT
                | Self::UNPROTECTED_S1G
                | Self::VENDOR_SPECIFIC
        )
    }
}

fn split<const N: usize>(body: &[u8]) -> Result<(&[u8; N], &[u8]), FrameError> {
    body.split_first_chunk::<N>().ok_or(FrameError::Truncated { needed: N, got: body.len() })
}

fn le16<const N: usize>(fixed: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes([fixed[at], fixed[at + 1]])
}
