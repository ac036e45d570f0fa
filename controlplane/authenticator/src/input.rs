//! What happens to a [`Station`](crate::Station).

use std::time::Duration;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ReasonCode;

/// One thing that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A management frame from the device: the whole 802.11 frame with its header, without FCS.
    Management {
        /// The frame, decrypted if it was protected.
        frame: &'a [u8],
        /// It arrived encrypted and passed its MIC and replay check.
        protected: bool,
    },
    /// An EAPOL PDU from the device, from the protocol version octet on.
    Eapol {
        /// The PDU.
        pdu: &'a [u8],
        /// It arrived encrypted and passed its MIC and replay check.
        protected: bool,
        /// The last packet number used under the BSS's transmitting group key: the RSC of message 3.
        group_pn: u64,
    },
    /// A class 3 frame (data) that the gateway refused because it does not know the device (802.11-2020 §11.3.3).
    Class3Frame,
    /// An answer to [`Output::RadiusRequest`](crate::Output::RadiusRequest), or that none came.
    Radius {
        /// `request` of the output that this answers; an answer to any but the last request is ignored.
        request: u32,
        /// The answer.
        result: RadiusResult,
    },
    /// `next_timeout` has come. Early or spurious calls do no harm.
    Timeout,
    /// Replace the pairwise key now (802.11-2020 §12.7.6).
    RekeyPairwise,
    /// The BSS has a new group key, [`BssOutput::Offer`](crate::BssOutput::Offer): run the group key handshake.
    GroupKey,
    /// Run EAP again, keeping the port open meanwhile (802.1X-2004 §8.2.8). Ignored unless the service is `Eap`.
    Reauthenticate,
    /// Deauthenticate the device.
    Disconnect {
        /// The reason the device is told.
        reason: ReasonCode,
        /// The cause that accounting is told.
        cause: TerminateCause,
    },
    /// The gateway dropped the station, or the way to it is gone: nothing can be sent any more.
    Removed {
        /// The cause that accounting is told.
        cause: TerminateCause,
    },
}

/// What RADIUS said.
#[derive(Debug)]
pub enum RadiusResult {
    /// Access-Challenge.
    Challenge {
        /// The EAP-Message attributes, joined.
        eap: Vec<u8>,
        /// The State attribute, to be sent back unchanged.
        state: Option<Vec<u8>>,
        /// Session-Timeout: how long to wait for the device's response before asking again (RFC 3580 §3.17).
        timeout: Option<Duration>,
    },
    /// Access-Accept.
    Accept(Box<Accept>),
    /// Access-Reject.
    Reject {
        /// The EAP-Message attributes, joined: an EAP-Failure. Empty when there were none.
        eap: Vec<u8>,
        /// Reply-Message, for the log.
        reply_message: Option<String>,
    },
    /// No server answered, or the answer was not usable.
    TimedOut,
}

/// Access-Accept.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// The EAP-Message attributes, joined: an EAP-Success.
    pub eap: Vec<u8>,
    /// The master session key: MS-MPPE-Recv-Key followed by MS-MPPE-Send-Key (RFC 2548 §2.4, RFC 5216 §2.3).
    pub msk: Msk,
    /// The Class attributes, for accounting.
    pub class: Vec<Vec<u8>>,
    /// User-Name, when the server changed it (RFC 2865 §5.1); else the EAP identity stands.
    pub user_name: Option<Vec<u8>>,
    /// Session-Timeout.
    pub session_timeout: Option<Duration>,
    /// Termination-Action RADIUS-Request: authenticate again when the session times out, rather than end it.
    pub reauthenticate: bool,
    /// Tunnel-Private-Group-ID of a VLAN.
    pub vlan: Option<u16>,
    /// Acct-Interim-Interval.
    pub interim_interval: Option<Duration>,
}

/// Octets of a master session key.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Msk(pub Vec<u8>);

impl core::fmt::Debug for Msk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Msk(…)")
    }
}

/// Why a session ended: Acct-Terminate-Cause (RFC 2866 §5.10, RFC 3580 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum TerminateCause {
    /// The device left.
    UserRequest = 1,
    /// The radio or the tunnel to it is gone.
    LostCarrier = 2,
    /// No frame for too long.
    IdleTimeout = 4,
    /// Session-Timeout.
    SessionTimeout = 5,
    /// An administrator, or a Disconnect-Request.
    AdminReset = 6,
    /// Something of ours failed.
    NasError = 9,
    /// A handshake did not complete.
    NasRequest = 10,
    /// Authenticating again failed.
    ReauthenticationFailure = 20,
}
