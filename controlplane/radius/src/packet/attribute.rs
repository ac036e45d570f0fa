//! Attribute numbers and the enumerated values that an access point sends or reads.

/// Type of an attribute, with the names of the standards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(pub u8);

#[allow(missing_docs)] // the standards' names
impl AttributeType {
    // RFC 2865 §5
    pub const USER_NAME: Self = Self(1);
    pub const USER_PASSWORD: Self = Self(2);
    pub const CHAP_PASSWORD: Self = Self(3);
    pub const NAS_IP_ADDRESS: Self = Self(4);
    pub const NAS_PORT: Self = Self(5);
    pub const SERVICE_TYPE: Self = Self(6);
    pub const FRAMED_IP_ADDRESS: Self = Self(8);
    pub const FILTER_ID: Self = Self(11);
    pub const FRAMED_MTU: Self = Self(12);
    pub const REPLY_MESSAGE: Self = Self(18);
    pub const STATE: Self = Self(24);
    pub const CLASS: Self = Self(25);
    pub const VENDOR_SPECIFIC: Self = Self(26);
    pub const SESSION_TIMEOUT: Self = Self(27);
    pub const IDLE_TIMEOUT: Self = Self(28);
    pub const TERMINATION_ACTION: Self = Self(29);
    pub const CALLED_STATION_ID: Self = Self(30);
    pub const CALLING_STATION_ID: Self = Self(31);
    pub const NAS_IDENTIFIER: Self = Self(32);
    pub const PROXY_STATE: Self = Self(33);
    // RFC 2866 §5, RFC 2869 §5
    pub const ACCT_STATUS_TYPE: Self = Self(40);
    pub const ACCT_DELAY_TIME: Self = Self(41);
    pub const ACCT_INPUT_OCTETS: Self = Self(42);
    pub const ACCT_OUTPUT_OCTETS: Self = Self(43);
    pub const ACCT_SESSION_ID: Self = Self(44);
    pub const ACCT_AUTHENTIC: Self = Self(45);
    pub const ACCT_SESSION_TIME: Self = Self(46);
    pub const ACCT_INPUT_PACKETS: Self = Self(47);
    pub const ACCT_OUTPUT_PACKETS: Self = Self(48);
    pub const ACCT_TERMINATE_CAUSE: Self = Self(49);
    pub const ACCT_MULTI_SESSION_ID: Self = Self(50);
    pub const ACCT_INPUT_GIGAWORDS: Self = Self(52);
    pub const ACCT_OUTPUT_GIGAWORDS: Self = Self(53);
    pub const EVENT_TIMESTAMP: Self = Self(55);
    pub const NAS_PORT_TYPE: Self = Self(61);
    // RFC 2868 §3
    pub const TUNNEL_TYPE: Self = Self(64);
    pub const TUNNEL_MEDIUM_TYPE: Self = Self(65);
    pub const CONNECT_INFO: Self = Self(77);
    // RFC 3579 §3
    pub const EAP_MESSAGE: Self = Self(79);
    pub const MESSAGE_AUTHENTICATOR: Self = Self(80);
    pub const TUNNEL_PRIVATE_GROUP_ID: Self = Self(81);
    pub const ACCT_INTERIM_INTERVAL: Self = Self(85);
    pub const NAS_PORT_ID: Self = Self(87);
    // RFC 4372 §2.2, RFC 3162 §2.1
    pub const CHARGEABLE_USER_IDENTITY: Self = Self(89);
    pub const NAS_IPV6_ADDRESS: Self = Self(95);
    pub const FRAMED_IPV6_PREFIX: Self = Self(97);
    pub const ERROR_CAUSE: Self = Self(101);
    pub const FRAMED_IPV6_ADDRESS: Self = Self(168);
    // RFC 7268 §2
    pub const WLAN_REASON_CODE: Self = Self(185);
    pub const WLAN_PAIRWISE_CIPHER: Self = Self(186);
    pub const WLAN_GROUP_CIPHER: Self = Self(187);
    pub const WLAN_AKM_SUITE: Self = Self(188);
    pub const WLAN_GROUP_MGMT_CIPHER: Self = Self(189);
}

/// NAS-Port-Type of IEEE 802.11 (RFC 2865 §5.41).
pub const NAS_PORT_TYPE_WIRELESS_802_11: u32 = 19;

/// Termination-Action (RFC 2865 §5.29): what to do when Session-Timeout runs out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TerminationAction {
    /// End the session (0, and what an absent attribute means).
    #[default]
    Default,
    /// Authenticate again, keeping the session (1; RFC 3580 §3.17).
    RadiusRequest,
}

/// Acct-Status-Type (RFC 2866 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AcctStatusType {
    /// A session began.
    Start = 1,
    /// A session ended.
    Stop = 2,
    /// Where a session stands.
    InterimUpdate = 3,
    /// The access point has started: sessions of before are gone.
    AccountingOn = 7,
    /// The access point is about to stop.
    AccountingOff = 8,
}

/// Acct-Terminate-Cause (RFC 2866 §5.10): the values that an access point has a use for, and any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminateCause(pub u32);

#[allow(missing_docs)] // the standard's names
impl TerminateCause {
    pub const USER_REQUEST: Self = Self(1);
    pub const LOST_CARRIER: Self = Self(2);
    pub const LOST_SERVICE: Self = Self(3);
    pub const IDLE_TIMEOUT: Self = Self(4);
    pub const SESSION_TIMEOUT: Self = Self(5);
    pub const ADMIN_RESET: Self = Self(6);
    pub const ADMIN_REBOOT: Self = Self(7);
    pub const NAS_ERROR: Self = Self(9);
    pub const NAS_REQUEST: Self = Self(10);
    pub const NAS_REBOOT: Self = Self(11);
    pub const SUPPLICANT_RESTART: Self = Self(19);
    pub const REAUTHENTICATION_FAILURE: Self = Self(20);
}

impl AcctStatusType {
    /// The value on the wire read back; `None` for one that is not ours.
    pub fn from_u32(value: u32) -> Option<Self> {
        [Self::Start, Self::Stop, Self::InterimUpdate, Self::AccountingOn, Self::AccountingOff]
            .into_iter()
            .find(|kind| *kind as u32 == value)
    }
}
