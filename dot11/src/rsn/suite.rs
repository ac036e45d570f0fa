//! Cipher and AKM suite selectors (802.11-2020 Tables 9-149 and 9-151).

const OUI: [u8; 3] = [0x00, 0x0f, 0xac];

macro_rules! suites {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// Any other selector: OUI and type.
            Other([u8; 4]),
        }

        impl $name {
            /// From a selector: OUI and type.
            pub const fn from_selector(selector: [u8; 4]) -> Self {
                match selector {
                    $([0x00, 0x0f, 0xac, $value] => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The selector: OUI and type.
            pub const fn selector(self) -> [u8; 4] {
                let [a, b, c] = OUI;
                match self {
                    $(Self::$variant => [a, b, c, $value],)*
                    Self::Other(other) => other,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let [a, b, c, n] = self.selector();
                write!(f, "{a:02X}-{b:02X}-{c:02X}:{n}")
            }
        }
    };
}

suites! {
    /// An authentication and key management suite (802.11-2020 Table 9-151).
    Akm {
        /// 802.1X with SHA-1.
        Ieee8021x = 1,
        /// Pre-shared key with SHA-1.
        Psk = 2,
        /// Fast transition over 802.1X.
        FtIeee8021x = 3,
        /// Fast transition with a pre-shared key.
        FtPsk = 4,
        /// 802.1X with SHA-256.
        Ieee8021xSha256 = 5,
        /// Pre-shared key with SHA-256.
        PskSha256 = 6,
        /// Simultaneous authentication of equals.
        Sae = 8,
        /// Fast transition over SAE.
        FtSae = 9,
        /// 802.1X with a Suite B EAP method, SHA-256.
        Ieee8021xSuiteB = 11,
        /// 802.1X with a CNSA EAP method, SHA-384.
        Ieee8021xSuiteB192 = 12,
        /// Fast transition over 802.1X with SHA-384.
        FtIeee8021xSha384 = 13,
        /// FILS with SHA-256.
        FilsSha256 = 14,
        /// FILS with SHA-384.
        FilsSha384 = 15,
        /// Opportunistic wireless encryption (RFC 8110).
        Owe = 18,
    }
}

suites! {
    /// A cipher suite (802.11-2020 Table 9-149).
    CipherSuite {
        /// Use the group cipher.
        UseGroup = 0,
        /// WEP with 40-bit keys.
        Wep40 = 1,
        /// TKIP.
        Tkip = 2,
        /// CCMP with 128-bit keys.
        Ccmp128 = 4,
        /// WEP with 104-bit keys.
        Wep104 = 5,
        /// BIP with AES-128-CMAC, for group-addressed management frames.
        BipCmac128 = 6,
        /// Group-addressed traffic is not allowed.
        GroupNotAllowed = 7,
        /// GCMP with 128-bit keys.
        Gcmp128 = 8,
        /// GCMP with 256-bit keys.
        Gcmp256 = 9,
        /// CCMP with 256-bit keys.
        Ccmp256 = 10,
        /// BIP with AES-128-GMAC.
        BipGmac128 = 11,
        /// BIP with AES-256-GMAC.
        BipGmac256 = 12,
        /// BIP with AES-256-CMAC.
        BipCmac256 = 13,
    }
}

impl Akm {
    /// Whether keys come out of an 802.1X conversation.
    pub const fn is_8021x(self) -> bool {
        matches!(
            self,
            Self::Ieee8021x
                | Self::FtIeee8021x
                | Self::Ieee8021xSha256
                | Self::Ieee8021xSuiteB
                | Self::Ieee8021xSuiteB192
                | Self::FtIeee8021xSha384
        )
    }

    /// Whether keys come from a pre-shared key or passphrase (SAE's password not counted).
    pub const fn is_psk(self) -> bool {
        matches!(self, Self::Psk | Self::FtPsk | Self::PskSha256)
    }

    /// The key descriptor version of EAPOL-Key frames under this AKM with CCMP (802.11-2020 §12.7.2 and Table 12-10).
    pub const fn descriptor_version(self) -> u8 {
        match self {
            Self::Ieee8021x | Self::Psk => 2,
            Self::FtIeee8021x | Self::FtPsk | Self::Ieee8021xSha256 | Self::PskSha256 => 3,
            _ => 0,
        }
    }
}
