//! SSID, rates, DSSS parameter and TIM elements (802.11-2020 §9.4.2.2 to §9.4.2.5, §9.4.2.13).

use super::{ElementError, ElementId};
use std::fmt;

/// Octets of the longest SSID.
pub const MAX_SSID_LEN: usize = 32;

/// An SSID: 0 to 32 octets of no particular encoding (802.11-2020 §9.4.2.2). The empty one is the wildcard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssid {
    len: u8,
    octets: [u8; MAX_SSID_LEN],
}

impl Ssid {
    /// The wildcard SSID.
    pub const WILDCARD: Ssid = Ssid { len: 0, octets: [0; MAX_SSID_LEN] };

    /// From an element body, or any octets.
    ///
    /// # Errors
    /// [`ElementError::Invalid`] beyond 32 octets.
    pub fn parse(body: &[u8]) -> Result<Self, ElementError> {
        let mut octets = [0; MAX_SSID_LEN];
        octets
            .get_mut(..body.len())
            .ok_or(ElementError::Invalid { id: ElementId::SSID.0, what: "an SSID has at most 32 octets" })?
            .copy_from_slice(body);
        Ok(Self { len: body.len() as u8, octets })
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Whether this is the wildcard SSID.
    pub fn is_wildcard(&self) -> bool {
        self.len == 0
    }
}

impl TryFrom<&str> for Ssid {
    type Error = ElementError;
    fn try_from(text: &str) -> Result<Self, ElementError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Ssid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                // Nothing heard on the air may reach a terminal as a control sequence.
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for octet in chunk.invalid() {
                write!(f, "\\x{octet:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Ssid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ssid(\"{self}\")")
    }
}

/// One rate of a rates element: bit 7 says that it is basic (mandatory), the rest counts 500 kbit/s. Some values are
/// BSS membership selectors instead (802.11-2020 Table 9-93).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Rate(pub u8);

impl Rate {
    /// An optional rate in units of 500 kbit/s.
    pub const fn optional(half_mbps: u8) -> Self {
        Self(half_mbps & 0x7f)
    }

    /// A basic rate in units of 500 kbit/s.
    pub const fn basic(half_mbps: u8) -> Self {
        Self(half_mbps | 0x80)
    }

    /// Whether every member of the BSS must support it.
    pub const fn is_basic(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The rate in kbit/s.
    pub const fn kbps(self) -> u32 {
        (self.0 & 0x7f) as u32 * 500
    }
}

/// The rates of Supported Rates and BSS Membership Selectors and of its extension (802.11-2020 §9.4.2.3, §9.4.2.13).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SupportedRates(pub Vec<Rate>);

impl SupportedRates {
    /// The rates of 802.11b and 802.11g: 1, 2, 5.5 and 11 Mbit/s basic, then 6 to 54 Mbit/s.
    pub fn bg() -> Self {
        let basic = [2, 4, 11, 22].map(Rate::basic);
        let ofdm = [12, 18, 24, 36, 48, 72, 96, 108].map(Rate::optional);
        Self(basic.into_iter().chain(ofdm).collect())
    }

    /// The OFDM rates of 5 GHz: 6, 12 and 24 Mbit/s basic.
    pub fn a() -> Self {
        let rates = [12, 18, 24, 36, 48, 72, 96, 108].into_iter();
        Self(rates.map(|r| if matches!(r, 12 | 24 | 48) { Rate::basic(r) } else { Rate(r) }).collect())
    }

    /// Whether `kbps` is among them.
    pub fn contains(&self, kbps: u32) -> bool {
        self.0.iter().any(|rate| rate.kbps() == kbps)
    }
}

/// The DSSS Parameter Set element (802.11-2020 §9.4.2.4): the channel number in the 2.4 GHz band.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DsParameter(pub u8);

impl DsParameter {
    /// From an element body.
    ///
    /// # Errors
    /// [`ElementError::Truncated`].
    pub fn parse(body: &[u8]) -> Result<Self, ElementError> {
        let id = ElementId::DSSS_PARAMETER_SET.0;
        body.first().map(|&channel| Self(channel)).ok_or(ElementError::Truncated { id })
    }
}

/// The Traffic Indication Map element (802.11-2020 §9.4.2.5): for whom the AP has buffered frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tim<'a> {
    /// Beacons until the next DTIM; 0 in the DTIM itself.
    pub dtim_count: u8,
    /// Beacons from DTIM to DTIM, at least 1.
    pub dtim_period: u8,
    /// Bit 0: group-addressed frames are buffered; bits 1 to 7: offset of the bitmap, in units of two octets.
    pub bitmap_control: u8,
    /// Partial virtual bitmap, at least one octet.
    pub bitmap: &'a [u8],
}

impl<'a> Tim<'a> {
    /// From an element body.
    ///
    /// # Errors
    /// [`ElementError::Truncated`]; [`ElementError::Invalid`] for a DTIM period of 0.
    pub fn parse(body: &'a [u8]) -> Result<Self, ElementError> {
        let id = ElementId::TIM.0;
        let [dtim_count, dtim_period, bitmap_control, bitmap @ ..] = body else {
            return Err(ElementError::Truncated { id });
        };
        if bitmap.is_empty() {
            return Err(ElementError::Truncated { id });
        }
        if *dtim_period == 0 {
            return Err(ElementError::Invalid { id, what: "the DTIM period is 0" });
        }
        Ok(Self {
            dtim_count: *dtim_count,
            dtim_period: *dtim_period,
            bitmap_control: *bitmap_control,
            bitmap,
        })
    }

    /// Whether frames are buffered for this association identifier.
    pub fn is_set(&self, aid: u16) -> bool {
        let first = usize::from(self.bitmap_control & 0xfe) * 8;
        let bit = usize::from(aid);
        bit >= first && self.bitmap.get((bit - first) / 8).is_some_and(|octet| octet >> (bit % 8) & 1 != 0)
    }

    /// Whether group-addressed frames are buffered.
    pub fn group_traffic(&self) -> bool {
        self.bitmap_control & 1 != 0
    }

    /// The element body.
    pub fn body(&self) -> Vec<u8> {
        [&[self.dtim_count, self.dtim_period, self.bitmap_control], self.bitmap].concat()
    }
}
