//! What a device can be told, and what it tells.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dot11::{MacAddr, ReasonCode, StatusCode};

use crate::data::{DataError, KeyError, Shape};
use crate::host::Lease;
use crate::mlme::Stage;
use crate::supplicant::Discard;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Look for the network and go online. An association in force is dropped without a word.
    Connect,
    /// Reassociate: with this BSS, or with the strongest other one heard.
    Roam(Option<MacAddr>),
    /// Deauthenticate, and do not come back by itself.
    Disconnect(ReasonCode),
    /// Give the DHCP lease back.
    Release,
    /// Send an ICMP echo request.
    Ping {
        /// To whom.
        to: Ipv4Addr,
        /// Its sequence number.
        sequence: u16,
        /// Octets of payload.
        size: usize,
    },
    /// Send a UDP datagram.
    SendUdp {
        /// Source port.
        port: u16,
        /// Destination.
        to: SocketAddrV4,
        /// Contents.
        payload: Vec<u8>,
    },
    /// Send an Ethernet II or 802.3 frame as it is, whatever addresses it bears.
    Send {
        /// The frame.
        ethernet: Vec<u8>,
        /// User priority, 0 to 7.
        tid: u8,
        /// In one MPDU or several.
        shape: Shape,
    },
    /// Send several Ethernet frames as one A-MSDU.
    SendAmsdu {
        /// The frames.
        ethernet: Vec<Vec<u8>>,
        /// User priority, 0 to 7.
        tid: u8,
    },
    /// Ask the access point for a new pairwise or group key.
    RequestRekey {
        /// Pairwise rather than group.
        pairwise: bool,
    },
}

/// What comes out of a device, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Transmit this 802.11 frame, which has no frame check sequence.
    Frame(Vec<u8>),
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The association began.
    Associated {
        /// With this BSS.
        bssid: MacAddr,
        /// Association identifier.
        aid: u16,
        /// By reassociation.
        reassociated: bool,
    },
    /// 802.1X authentication succeeded; the handshake follows.
    Authenticated,
    /// The port is open: data can be exchanged.
    Online,
    /// The pairwise key was renewed.
    Rekeyed,
    /// The group key was renewed.
    GroupRekeyed,
    /// The host has an address, or a new one.
    Leased(Lease),
    /// The host's lease ran out.
    LeaseLost,
    /// An echo request was answered.
    EchoReply {
        /// By whom.
        from: Ipv4Addr,
        /// Sequence number of the request.
        sequence: u16,
        /// From request to reply.
        round_trip: Duration,
    },
    /// An echo request was not answered in time.
    EchoLost {
        /// Sequence number of the request.
        sequence: u16,
    },
    /// A UDP datagram arrived.
    Udp {
        /// Sender.
        from: SocketAddrV4,
        /// Destination port.
        port: u16,
        /// Contents.
        payload: Vec<u8>,
    },
    /// An Ethernet frame arrived on a device without a host.
    Ethernet(Vec<u8>),
    /// An EAPOL-Key frame was ignored.
    Discarded(Discard),
    /// The access point refused. There is no association.
    Refused {
        /// Which request.
        stage: Stage,
        /// Its reason.
        status: StatusCode,
    },
    /// Nobody answered. There is no association.
    NoAnswer(Stage),
    /// The association or the attempt at one is over.
    Disconnected {
        /// Why.
        reason: ReasonCode,
        /// Whether the access point said so; otherwise this device did.
        by_access_point: bool,
    },
    /// The access point fell silent. There is no association.
    BeaconsLost,
}

/// Received frames that were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Not a frame, or not what it claims to be.
    pub malformed: u32,
    /// Retransmissions of what had arrived.
    pub duplicates: u32,
    /// Encrypted, and no key of that key id.
    pub no_key: u32,
    /// The packet number was not larger than the last.
    pub replays: u32,
    /// The MIC did not verify.
    pub mic_failures: u32,
    /// In the clear where it must not be.
    pub unprotected: u32,
    /// EAPOL-Key frames that fitted no handshake.
    pub handshake: u32,
}

impl Counters {
    /// Counts a data frame that was not accepted. Frames that were for others do not count.
    pub(super) fn count(&mut self, error: DataError) {
        let counter = match error {
            DataError::NotForUs => return,
            DataError::Duplicate => &mut self.duplicates,
            DataError::Unprotected => &mut self.unprotected,
            DataError::Key(KeyError::NoKey) => &mut self.no_key,
            DataError::Key(KeyError::Replay) => &mut self.replays,
            DataError::Key(KeyError::Mic) => &mut self.mic_failures,
            DataError::Key(KeyError::Malformed) | DataError::Fragment | DataError::Msdu => {
                &mut self.malformed
            }
        };
        *counter = counter.wrapping_add(1);
    }
}
