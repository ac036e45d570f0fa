//! IEEE 802.11 on the wire: frames, elements, EAPOL-Key, the RSN key hierarchy, and CCMP, GCMP and BIP for one frame.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no entropy of its own. Views are checked
//! once, when they are made; from then on their accessors cannot fail. Clauses cited as "802.11-2020 §…" are those
//! of IEEE Std 802.11-2020. Frames are handled without their frame check sequence unless a function says otherwise.
#![forbid(unsafe_code)]

pub mod amsdu;
pub mod beacon;
pub mod bip;
pub mod build;
pub mod ccmp;
pub mod codes;
pub mod eap;
pub mod eapol;
pub mod element;
pub mod fcs;
pub mod frame;
pub mod gcmp;
pub mod llc;
mod mac;
pub mod radiotap;
pub mod rsn;

pub use codes::{AuthenticationAlgorithm, CapabilityInfo, ReasonCode, StatusCode};
pub use frame::{
    ControlSubtype, DataSubtype, Frame, FrameControl, FrameError, FrameKind, ManagementSubtype, QosControl,
    SequenceControl,
};
pub use mac::{MacAddr, ParseMacAddrError};
pub use rsn::{Akm, CipherSuite};
