//! Capability elements: extended capabilities, RSNX, and the parts of HT that a beacon template needs
//! (802.11-2020 §9.4.2.26, §9.4.2.241, §9.4.2.55, §9.4.2.56). VHT and HE are carried opaque.

/// The Extended Capabilities element (802.11-2020 §9.4.2.26): a bit field of any length, octet 0 first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtendedCapabilities(pub Vec<u8>);

impl ExtendedCapabilities {
    /// 20/40 BSS coexistence management.
    pub const COEXISTENCE_20_40: usize = 0;
    /// Extended channel switching.
    pub const EXTENDED_CHANNEL_SWITCHING: usize = 2;
    /// Proxy ARP service.
    pub const PROXY_ARP: usize = 12;
    /// BSS transition management.
    pub const BSS_TRANSITION: usize = 19;
    /// Interworking service.
    pub const INTERWORKING: usize = 31;
    /// Operating mode notification.
    pub const OPERATING_MODE_NOTIFICATION: usize = 62;

    /// Whether capability `bit` is set. Bits beyond the end are not.
    pub fn contains(&self, bit: usize) -> bool {
        self.0.get(bit / 8).is_some_and(|octet| octet >> (bit % 8) & 1 != 0)
    }

    /// The same with capability `bit` (below 8 × 255) set.
    #[must_use]
    pub fn with(mut self, bit: usize) -> Self {
        if bit / 8 >= self.0.len() {
            self.0.resize(bit / 8 + 1, 0);
        }
        self.0[bit / 8] |= 1 << (bit % 8);
        self
    }
}

/// The RSN Extension element (802.11-2020 §9.4.2.241): bits 0 to 3 of octet 0 are the octets that follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rsnx(pub Vec<u8>);

impl Rsnx {
    /// Protected TWT operations.
    pub const PROTECTED_TWT: usize = 4;
    /// SAE hash-to-element.
    pub const SAE_H2E: usize = 5;

    /// An element with these capability bits (4 and up).
    pub fn new(bits: &[usize]) -> Self {
        let octets = bits.iter().map(|bit| bit / 8).max().unwrap_or(0).min(15);
        let mut body = vec![0; octets + 1];
        for &bit in bits.iter().filter(|bit| (4..128).contains(*bit)) {
            body[bit / 8] |= 1 << (bit % 8);
        }
        body[0] |= octets as u8;
        Self(body)
    }

    /// Whether capability `bit` (4 and up) is set. Bits beyond the end are not.
    pub fn contains(&self, bit: usize) -> bool {
        bit >= 4 && self.0.get(bit / 8).is_some_and(|octet| octet >> (bit % 8) & 1 != 0)
    }
}

/// Body of an HT Capabilities element (802.11-2020 §9.4.2.55).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HtCapabilities(pub [u8; 26]);

impl HtCapabilities {
    /// One spatial stream in 20 MHz, short guard interval, no spatial multiplexing power save, A-MSDU of up to 3839
    /// octets, A-MPDU of up to 8191 octets with no restriction on spacing.
    pub const fn basic_20mhz() -> Self {
        let mut body = [0; 26];
        // HT Capability Information: SM power save disabled (bits 2 and 3), short GI for 20 MHz (bit 5).
        body[0] = 0x2c;
        // Supported MCS set: receive MCS 0 to 7.
        body[3] = 0xff;
        Self(body)
    }
}

/// Body of an HT Operation element (802.11-2020 §9.4.2.56).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HtOperation(pub [u8; 22]);

impl HtOperation {
    /// A 20 MHz BSS on `channel`, no protection, no basic HT rates.
    pub const fn basic_20mhz(channel: u8) -> Self {
        let mut body = [0; 22];
        body[0] = channel;
        Self(body)
    }
}
