//! What a [`Station`](crate::Station) wants done.

use crate::{Event, TerminateCause, Time, Tk};

/// One thing to do. Outputs are carried out in the order they are polled.
#[derive(Debug)]
pub enum Output {
    /// Send a management frame: the whole 802.11 frame, sequence number 0 (the gateway fills it in).
    SendManagement(Vec<u8>),
    /// Send an EAPOL PDU.
    SendEapol {
        /// The PDU, from the protocol version octet on.
        pdu: Vec<u8>,
        /// Under the pairwise key.
        protect: bool,
        /// Other downlink traffic waits until [`Output::InstallKey`]: the device is about to replace its key.
        hold_downlink: bool,
    },
    /// The device is associated. When the gateway already has the station (it associated again) it keeps the
    /// counters, drops the keys and closes the port.
    AddStation {
        /// Association id, 1 to 2007.
        aid: u16,
        /// Send it QoS data frames.
        qos: bool,
        /// Data needs a pairwise key before it passes: every service but an open one.
        protect: bool,
        /// Management frame protection was negotiated.
        pmf: bool,
    },
    /// Install the pairwise key, together with a fresh [`Station::snapshot`](crate::Station::snapshot).
    InstallKey {
        /// Always 0 for now.
        key_id: u8,
        /// The temporal key.
        tk: Tk,
        /// It replaces a key in use: frames still arriving under the old one are accepted for a while.
        replaces: bool,
    },
    /// Data may pass. Sent with a fresh snapshot.
    OpenPort {
        /// Overrides the service's VLAN.
        vlan: Option<u16>,
    },
    /// Data may not pass any more.
    ClosePort,
    /// The device is gone: drop keys and state.
    RemoveStation,
    /// Send an Access-Request, and answer with [`Input::Radius`](crate::Input::Radius). A newer request replaces an
    /// older one still under way.
    RadiusRequest {
        /// To be given back with the answer.
        request: u32,
        /// The EAP packet for the EAP-Message attributes.
        eap: Vec<u8>,
        /// The State attribute of the challenge this responds to (RFC 2865 §5.24).
        state: Option<Vec<u8>>,
        /// User-Name: the EAP identity.
        identity: Vec<u8>,
    },
    /// The device holds the group key of this key id. The snapshot changed.
    GroupKeyInstalled {
        /// 1 or 2.
        key_id: u8,
    },
    /// The device did not take the group key; it is deauthenticated.
    GroupKeyFailed {
        /// 1 or 2.
        key_id: u8,
    },
    /// A session began: see [`Station::info`](crate::Station::info), which holds its id.
    AccountStart,
    /// The session that [`Output::AccountStart`] began has ended. What [`Station::info`](crate::Station::info) says may
    /// already be about what came after.
    AccountStop {
        /// The id of the session that ended.
        session: crate::SessionId,
        /// Why.
        cause: TerminateCause,
    },
    /// An attempt failed in a way that counts towards the limits.
    Failed {
        /// How.
        kind: FailureKind,
        /// When this was one too many: the device is refused until then.
        blocked_until: Option<Time>,
    },
    /// Something worth a line in the log.
    Log(Event),
}

/// How an attempt to get in failed, when it is held against the device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailureKind {
    /// Message 2's MIC verified under none of the service's passphrases.
    WrongPassphrase,
    /// RADIUS refused it.
    Rejected,
}
