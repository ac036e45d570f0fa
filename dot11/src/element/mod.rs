//! Elements: the type-length-value items of management frames and key data (802.11-2020 §9.4.2).
//!
//! ```text
//! element id (1)  length (1)  [element id extension (1), when the id is 255]  body
//! ```

mod basic;
mod capability;
mod rsn;
mod wmm;

pub use basic::{DsParameter, MAX_SSID_LEN, Rate, Ssid, SupportedRates, Tim};
pub use capability::{ExtendedCapabilities, HtCapabilities, HtOperation, Rsnx};
pub use rsn::{Rsn, RsnCapabilities, Wpa};
pub use wmm::{AcParameters, AccessCategory, Wmm, WmmParameters};

/// An element identifier (802.11-2020 Table 9-92).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ElementId(pub u8);

#[allow(missing_docs, reason = "the names are those of Table 9-92")]
impl ElementId {
    pub const SSID: Self = Self(0);
    pub const SUPPORTED_RATES: Self = Self(1);
    pub const DSSS_PARAMETER_SET: Self = Self(3);
    pub const TIM: Self = Self(5);
    pub const COUNTRY: Self = Self(7);
    pub const CHALLENGE_TEXT: Self = Self(16);
    pub const POWER_CAPABILITY: Self = Self(33);
    pub const SUPPORTED_CHANNELS: Self = Self(36);
    pub const ERP: Self = Self(42);
    pub const HT_CAPABILITIES: Self = Self(45);
    pub const QOS_CAPABILITY: Self = Self(46);
    pub const RSN: Self = Self(48);
    pub const EXTENDED_SUPPORTED_RATES: Self = Self(50);
    pub const MOBILITY_DOMAIN: Self = Self(54);
    pub const FAST_BSS_TRANSITION: Self = Self(55);
    pub const TIMEOUT_INTERVAL: Self = Self(56);
    pub const SUPPORTED_OPERATING_CLASSES: Self = Self(59);
    pub const HT_OPERATION: Self = Self(61);
    pub const RM_ENABLED_CAPABILITIES: Self = Self(70);
    pub const MANAGEMENT_MIC: Self = Self(76);
    pub const INTERWORKING: Self = Self(107);
    pub const EXTENDED_CAPABILITIES: Self = Self(127);
    pub const VHT_CAPABILITIES: Self = Self(191);
    pub const VHT_OPERATION: Self = Self(192);
    pub const VENDOR_SPECIFIC: Self = Self(221);
    pub const FRAGMENT: Self = Self(242);
    pub const RSNX: Self = Self(244);
    pub const EXTENSION: Self = Self(255);
}

/// Element identifier extensions, of elements with identifier 255.
#[allow(missing_docs, reason = "the names are those of Table 9-92")]
pub mod extension {
    pub const HE_CAPABILITIES: u8 = 35;
    pub const HE_OPERATION: u8 = 36;
    pub const HE_6GHZ_BAND_CAPABILITIES: u8 = 59;
    pub const EHT_OPERATION: u8 = 106;
    pub const EHT_CAPABILITIES: u8 = 108;
}

/// Why octets are not elements, or an element's body not what its identifier says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ElementError {
    /// The element, or a field in its body, is cut off.
    #[error("element {id} is truncated")]
    Truncated {
        /// Element identifier.
        id: u8,
    },
    /// One octet is left, which is too little for an element.
    #[error("a lone octet after the last element")]
    LoneOctet,
    /// The body has a value that it must not have.
    #[error("element {id}: {what}")]
    Invalid {
        /// Element identifier.
        id: u8,
        /// What is wrong.
        what: &'static str,
    },
}

/// One element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// Element identifier.
    pub id: ElementId,
    /// Element identifier extension, when the identifier is 255.
    pub extension: Option<u8>,
    /// What follows.
    pub body: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element of `bytes`, and what follows it.
    ///
    /// # Errors
    /// [`ElementError::LoneOctet`], [`ElementError::Truncated`].
    #[inline]
    pub fn split_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ElementError> {
        let (&[id, length], rest) = bytes.split_first_chunk::<2>().ok_or(ElementError::LoneOctet)?;
        let (body, rest) =
            rest.split_at_checked(usize::from(length)).ok_or(ElementError::Truncated { id })?;
        let id = ElementId(id);
        if id != ElementId::EXTENSION {
            return Ok((Self { id, extension: None, body }, rest));
        }
        let (&extension, body) = body.split_first().ok_or(ElementError::Truncated { id: id.0 })?;
        Ok((Self { id, extension: Some(extension), body }, rest))
    }

    /// The vendor's OUI and type, and what follows, of a vendor-specific element.
    #[inline]
    pub fn vendor(&self) -> Option<([u8; 4], &'a [u8])> {
        if self.id != ElementId::VENDOR_SPECIFIC {
            return None;
        }
        self.body.split_first_chunk::<4>().map(|(selector, rest)| (*selector, rest))
    }
}

/// A run of elements; iterates over them in order.
///
/// [`Elements::parse`] checks that they add up. [`Elements::new`] does not; then iteration ends at the first one that
/// is cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Elements<'a> {
    bytes: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Unchecked.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Checked: every element is whole and nothing is left over.
    ///
    /// # Errors
    /// [`ElementError::LoneOctet`], [`ElementError::Truncated`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElementError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = Element::split_first(rest)?;
        }
        Ok(Self { bytes })
    }

    /// All of them, as on the wire.
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// An iterator over the elements.
    pub fn iter(&self) -> ElementIter<'a> {
        ElementIter { bytes: self.bytes }
    }

    /// Body of the first element with this identifier.
    pub fn find(&self, id: ElementId) -> Option<&'a [u8]> {
        self.iter().find(|element| element.id == id).map(|element| element.body)
    }

    /// Body of the first element with identifier 255 and this extension.
    pub fn find_extension(&self, extension: u8) -> Option<&'a [u8]> {
        self.iter().find(|element| element.extension == Some(extension)).map(|element| element.body)
    }

    /// What follows OUI and type in the first vendor-specific element with these.
    pub fn find_vendor(&self, selector: [u8; 4]) -> Option<&'a [u8]> {
        self.iter().filter_map(|element| element.vendor()).find(|(s, _)| *s == selector).map(|(_, rest)| rest)
    }

    /// The first element with this identifier, header included, as the RSNE is compared in handshakes.
    pub fn find_whole(&self, id: ElementId) -> Option<&'a [u8]> {
        let mut rest = self.bytes;
        while let Ok((element, after)) = Element::split_first(rest) {
            if element.id == id {
                return rest.get(..rest.len() - after.len());
            }
            rest = after;
        }
        None
    }

    /// The SSID.
    pub fn ssid(&self) -> Option<Result<Ssid, ElementError>> {
        self.find(ElementId::SSID).map(Ssid::parse)
    }

    /// The RSNE.
    pub fn rsn(&self) -> Option<Result<Rsn, ElementError>> {
        self.find(ElementId::RSN).map(Rsn::parse)
    }

    /// The rates of Supported Rates and Extended Supported Rates together.
    pub fn rates(&self) -> SupportedRates {
        let bodies = [ElementId::SUPPORTED_RATES, ElementId::EXTENDED_SUPPORTED_RATES];
        SupportedRates(bodies.iter().filter_map(|id| self.find(*id)).flatten().map(|&r| Rate(r)).collect())
    }

    /// Whether a WMM element is there, that is, the sender does QoS.
    pub fn has_wmm(&self) -> bool {
        self.find_vendor(Wmm::SELECTOR).is_some()
    }
}

impl<'a> IntoIterator for Elements<'a> {
    type Item = Element<'a>;
    type IntoIter = ElementIter<'a>;
    fn into_iter(self) -> ElementIter<'a> {
        self.iter()
    }
}

/// Iterator over elements.
#[derive(Clone, Debug)]
pub struct ElementIter<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for ElementIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, rest) = Element::split_first(self.bytes).ok()?;
        self.bytes = rest;
        Some(element)
    }
}

/// Builds a run of elements, in the order of the calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ElementsBuilder {
    bytes: Vec<u8>,
}

impl ElementsBuilder {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an element. A body beyond 255 octets is cut off.
    #[must_use]
    pub fn element(mut self, id: ElementId, body: &[u8]) -> Self {
        push(&mut self.bytes, id, body);
        self
    }

    /// Appends an element with identifier 255 and this extension. A body beyond 254 octets is cut off.
    #[must_use]
    pub fn extension(mut self, extension: u8, body: &[u8]) -> Self {
        let body = &body[..body.len().min(254)];
        self.bytes.extend_from_slice(&[ElementId::EXTENSION.0, 1 + body.len() as u8, extension]);
        self.bytes.extend_from_slice(body);
        self
    }

    /// Appends elements as they are.
    #[must_use]
    pub fn raw(mut self, elements: &[u8]) -> Self {
        self.bytes.extend_from_slice(elements);
        self
    }

    /// Appends the SSID.
    #[must_use]
    pub fn ssid(self, ssid: &Ssid) -> Self {
        self.element(ElementId::SSID, ssid.as_bytes())
    }

    /// Appends Supported Rates with the first eight.
    #[must_use]
    pub fn supported_rates(self, rates: &SupportedRates) -> Self {
        let body: Vec<u8> = rates.0.iter().take(8).map(|rate| rate.0).collect();
        self.element(ElementId::SUPPORTED_RATES, &body)
    }

    /// Appends Extended Supported Rates with those beyond the first eight, if there are any.
    #[must_use]
    pub fn extended_rates(self, rates: &SupportedRates) -> Self {
        let body: Vec<u8> = rates.0.iter().skip(8).map(|rate| rate.0).collect();
        if body.is_empty() { self } else { self.element(ElementId::EXTENDED_SUPPORTED_RATES, &body) }
    }

    /// Appends the RSNE.
    #[must_use]
    pub fn rsn(self, rsn: &Rsn) -> Self {
        self.element(ElementId::RSN, &rsn.body())
    }

    /// The elements.
    pub fn build(self) -> Vec<u8> {
        self.bytes
    }

    /// The elements so far.
    pub fn as_elements(&self) -> Elements<'_> {
        Elements::new(&self.bytes)
    }
}

/// Appends an element to `out`. A body beyond 255 octets is cut off.
pub(crate) fn push(out: &mut Vec<u8>, id: ElementId, body: &[u8]) {
    let body = &body[..body.len().min(255)];
    out.extend_from_slice(&[id.0, body.len() as u8]);
    out.extend_from_slice(body);
}
