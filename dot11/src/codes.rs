//! Fixed fields of management frames that are numbers with names (802.11-2020 §9.4.1).

/// Why a device was deauthenticated or disassociated (802.11-2020 §9.4.1.7, Table 9-49).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ReasonCode(pub u16);

#[allow(missing_docs, reason = "the names are those of Table 9-49")]
impl ReasonCode {
    pub const UNSPECIFIED: Self = Self(1);
    pub const INVALID_AUTHENTICATION: Self = Self(2);
    pub const LEAVING_NETWORK_DEAUTH: Self = Self(3);
    pub const INACTIVITY: Self = Self(4);
    pub const NO_MORE_STAS: Self = Self(5);
    pub const INVALID_CLASS2_FRAME: Self = Self(6);
    pub const INVALID_CLASS3_FRAME: Self = Self(7);
    pub const LEAVING_NETWORK_DISASSOC: Self = Self(8);
    pub const NOT_AUTHENTICATED: Self = Self(9);
    pub const INVALID_ELEMENT: Self = Self(13);
    pub const MIC_FAILURE: Self = Self(14);
    pub const FOURWAY_HANDSHAKE_TIMEOUT: Self = Self(15);
    pub const GROUP_KEY_HANDSHAKE_TIMEOUT: Self = Self(16);
    pub const HANDSHAKE_ELEMENT_MISMATCH: Self = Self(17);
    pub const INVALID_GROUP_CIPHER: Self = Self(18);
    pub const INVALID_PAIRWISE_CIPHER: Self = Self(19);
    pub const INVALID_AKMP: Self = Self(20);
    pub const UNSUPPORTED_RSNE_VERSION: Self = Self(21);
    pub const INVALID_RSNE_CAPABILITIES: Self = Self(22);
    pub const IEEE_802_1X_AUTH_FAILED: Self = Self(23);
    pub const CIPHER_REJECTED_PER_POLICY: Self = Self(24);
    pub const SERVICE_CHANGE_PRECLUDES_TS: Self = Self(31);
    pub const UNSPECIFIED_QOS: Self = Self(32);
    pub const NOT_ENOUGH_BANDWIDTH: Self = Self(33);
    pub const MISSING_ACKS: Self = Self(34);
    pub const PEER_INITIATED: Self = Self(46);
    pub const AP_INITIATED: Self = Self(47);
    pub const INVALID_FT_ACTION_FRAME_COUNT: Self = Self(48);
    pub const INVALID_PMKID: Self = Self(49);
}

/// Outcome of an authentication, association or action request (802.11-2020 §9.4.1.9, Table 9-50).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StatusCode(pub u16);

#[allow(missing_docs, reason = "the names are those of Table 9-50")]
impl StatusCode {
    pub const SUCCESS: Self = Self(0);
    pub const REFUSED_UNSPECIFIED: Self = Self(1);
    pub const REFUSED_CAPABILITIES_MISMATCH: Self = Self(10);
    pub const DENIED_NO_ASSOCIATION_EXISTS: Self = Self(11);
    pub const DENIED_OTHER_REASON: Self = Self(12);
    pub const UNSUPPORTED_AUTH_ALGORITHM: Self = Self(13);
    pub const TRANSACTION_SEQUENCE_ERROR: Self = Self(14);
    pub const CHALLENGE_FAILURE: Self = Self(15);
    pub const REJECTED_SEQUENCE_TIMEOUT: Self = Self(16);
    pub const DENIED_NO_MORE_STAS: Self = Self(17);
    pub const REFUSED_BASIC_RATES_MISMATCH: Self = Self(18);
    pub const REJECTED_WITH_SUGGESTED_BSS_TRANSITION: Self = Self(82);
    pub const REFUSED_TEMPORARILY: Self = Self(30);
    pub const ROBUST_MANAGEMENT_POLICY_VIOLATION: Self = Self(31);
    pub const UNSPECIFIED_QOS_FAILURE: Self = Self(32);
    pub const DENIED_INSUFFICIENT_BANDWIDTH: Self = Self(33);
    pub const DENIED_POOR_CHANNEL_CONDITIONS: Self = Self(34);
    pub const DENIED_QOS_NOT_SUPPORTED: Self = Self(35);
    pub const REQUEST_DECLINED: Self = Self(37);
    pub const INVALID_PARAMETERS: Self = Self(38);
    pub const INVALID_ELEMENT: Self = Self(40);
    pub const INVALID_GROUP_CIPHER: Self = Self(41);
    pub const INVALID_PAIRWISE_CIPHER: Self = Self(42);
    pub const INVALID_AKMP: Self = Self(43);
    pub const UNSUPPORTED_RSNE_VERSION: Self = Self(44);
    pub const INVALID_RSNE_CAPABILITIES: Self = Self(45);
    pub const CIPHER_REJECTED_PER_POLICY: Self = Self(46);
    pub const INVALID_FT_ACTION_FRAME_COUNT: Self = Self(52);
    pub const INVALID_PMKID: Self = Self(53);
    pub const INVALID_MDE: Self = Self(54);
    pub const INVALID_FTE: Self = Self(55);
    pub const ANTI_CLOGGING_TOKEN_REQUIRED: Self = Self(76);
    pub const UNSUPPORTED_FINITE_CYCLIC_GROUP: Self = Self(77);

    /// Whether this is [`StatusCode::SUCCESS`].
    #[inline]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

/// The authentication algorithm number (802.11-2020 §9.4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AuthenticationAlgorithm(pub u16);

impl AuthenticationAlgorithm {
    /// Open System.
    pub const OPEN: Self = Self(0);
    /// Shared Key (WEP).
    pub const SHARED_KEY: Self = Self(1);
    /// Fast BSS transition.
    pub const FAST_TRANSITION: Self = Self(2);
    /// Simultaneous authentication of equals.
    pub const SAE: Self = Self(3);
    /// FILS shared key without perfect forward secrecy.
    pub const FILS_SHARED_KEY: Self = Self(4);
}

/// The Capability Information field (802.11-2020 §9.4.1.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CapabilityInfo(pub u16);

impl CapabilityInfo {
    /// Infrastructure BSS.
    pub const ESS: Self = Self(0x0001);
    /// Independent BSS.
    pub const IBSS: Self = Self(0x0002);
    /// Data frames of the BSS are protected.
    pub const PRIVACY: Self = Self(0x0010);
    /// Short preamble allowed.
    pub const SHORT_PREAMBLE: Self = Self(0x0020);
    /// Spectrum management required.
    pub const SPECTRUM_MANAGEMENT: Self = Self(0x0100);
    /// QoS facility of the standard (not WMM).
    pub const QOS: Self = Self(0x0200);
    /// Short slot time in use.
    pub const SHORT_SLOT_TIME: Self = Self(0x0400);
    /// Radio measurement enabled.
    pub const RADIO_MEASUREMENT: Self = Self(0x1000);

    /// Whether every bit of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[inline]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
