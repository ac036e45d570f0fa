//! The tunnel between radio and gateway: CAPWAP's data channel (RFC 5415 §4.3, §4.4.1) in clear text with the
//! IEEE 802.11 binding (RFC 5416 §4), one tunnel for one virtual BSS.
//!
//! A datagram is a [`DataHeader`] and either one native 802.11 frame without FCS, a part of one
//! ([`fragment`], [`Reassembler`]) or a [`KeepAlive`]. Nothing here reads a clock or a socket.

mod fragment;
mod header;
mod keep_alive;
mod proof;
mod punch;
mod reassembly;

pub use fragment::{Fragment, FragmentError, Fragments, MIN_DATAGRAM, fragment, max_datagram};
pub use header::{
    BINDING_IEEE80211, DATA_OCTETS, DataHeader, EncodedHeader, FragmentField, FrameInfo, HEADER_LEN, Header,
    HeaderError, MAX_HEADER_LEN, RECEIVED_LEN, Wireless,
};
pub use keep_alive::{
    ELEMENT_HELLO, ENTERPRISE_NUMBER, Hello, KeepAlive, KeepAliveError, ServiceUuid, ServiceUuidError,
    SessionId,
};
pub use proof::{ELEMENT_PROOF, Proof, TunnelKey};
pub use punch::Punch;
pub use reassembly::{Counters, Limits, Reassembled, Reassembler, Rejected};

/// UDP port of the CAPWAP data channel at the gateway (RFC 5415 §3.1).
pub const DATA_PORT: u16 = 5247;

/// The longest 802.11 frame a tunnel carries, in octets and without FCS: the longest A-MSDU with its header
/// (11 454 in 802.11-2020 §9.2.3, rounded up).
pub const MAX_FRAME: usize = 11_520;
