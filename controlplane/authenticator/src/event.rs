//! What is worth a line in the log, typed; `Display` is the line.

use crate::{ReasonCode, StatusCode, Time};

/// Something that happened to a station.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Event {
    /// Authentication was refused.
    #[error("authentication refused, status {}", .0.0)]
    AuthenticationRefused(StatusCode),
    /// The device is authenticated (open system: this says nothing about who it is).
    #[error("authenticated")]
    Authenticated,
    /// Association was refused.
    #[error("association refused, status {}", .0.0)]
    AssociationRefused(StatusCode),
    /// The device is associated.
    #[error("associated with AID {aid}{}", if *.again { ", again" } else { "" })]
    Associated {
        /// Association id.
        aid: u16,
        /// It was associated already.
        again: bool,
    },
    /// The device left, and why it says so.
    #[error("device left, reason {}", .0.0)]
    Left(ReasonCode),
    /// The device was sent away.
    #[error("disconnected, reason {}", .0.0)]
    Disconnected(ReasonCode),
    /// The device has the pairwise key.
    #[error("pairwise key installed{}", if *.rekey { ", replacing the last" } else { "" })]
    Keyed {
        /// It replaces one in use.
        rekey: bool,
    },
    /// EAP was not needed: the device and we still know the PMK.
    #[error("PMKSA found in the cache")]
    PmksaCached,
    /// RADIUS refused the device.
    #[error("rejected by RADIUS{}", .0.as_ref().map(|m| format!(": {m}")).unwrap_or_default())]
    Rejected(Option<String>),
    /// RADIUS did not answer, or not usefully.
    #[error("no usable answer from RADIUS: {0}")]
    RadiusFailed(&'static str),
    /// The device is refused for a while.
    #[error("blocked until {}.{:06}", .0.0 / 1_000_000, .0.0 % 1_000_000)]
    Blocked(Time),
    /// A frame was dropped.
    #[error("frame discarded: {0}")]
    Discarded(Discard),
}

/// Why a frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Discard {
    /// It does not parse.
    #[error("malformed")]
    Malformed,
    /// It is not from this device to this BSS.
    #[error("foreign address")]
    ForeignAddress,
    /// It is not expected in this state.
    #[error("unexpected in this state")]
    Unexpected,
    /// It came in the clear though a key is installed.
    #[error("unprotected though a key is installed")]
    Unprotected,
    /// Its replay counter answers nothing outstanding.
    #[error("replay counter")]
    ReplayCounter,
    /// Its MIC does not verify.
    #[error("MIC")]
    Mic,
    /// Its EAP identifier is not that of the request outstanding.
    #[error("EAP identifier")]
    EapIdentifier,
}
