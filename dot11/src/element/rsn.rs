//! The RSN element (802.11-2020 §9.4.2.24) and the WPA element that preceded it.
//!
//! ```text
//! version (2)  group cipher (4)  count (2) pairwise ciphers (4 each)  count (2) AKMs (4 each)
//! capabilities (2)  count (2) PMKIDs (16 each)  group management cipher (4)
//! ```
//! Everything after the version may be left off from the end.

use super::{ElementError, ElementId};
use crate::rsn::{Akm, CipherSuite, Pmkid};

/// The RSN Capabilities field (802.11-2020 §9.4.2.24.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RsnCapabilities(pub u16);

impl RsnCapabilities {
    /// Pre-authentication.
    pub const PREAUTHENTICATION: Self = Self(1 << 0);
    /// Management frame protection required.
    pub const MFPR: Self = Self(1 << 6);
    /// Management frame protection capable.
    pub const MFPC: Self = Self(1 << 7);
    /// SPP A-MSDU capable.
    pub const SPP_AMSDU_CAPABLE: Self = Self(1 << 10);
    /// SPP A-MSDU required.
    pub const SPP_AMSDU_REQUIRED: Self = Self(1 << 11);
    /// Extended Key ID for individually addressed frames.
    pub const EXTENDED_KEY_ID: Self = Self(1 << 13);
    /// Operating channel validation capable.
    pub const OCVC: Self = Self(1 << 14);

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Replay counters for pairwise keys: 1, 2, 4 or 16.
    pub const fn ptksa_replay_counters(self) -> u8 {
        [1, 2, 4, 16][(self.0 >> 2 & 3) as usize]
    }

    /// The same with 16 replay counters for pairwise keys.
    #[must_use]
    pub const fn with_16_ptksa_replay_counters(self) -> Self {
        Self(self.0 | 3 << 2)
    }
}

/// The RSN element. Fields that the sender left off have the defaults of 802.11-2020 §9.4.2.24.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rsn {
    /// Group data cipher.
    pub group: CipherSuite,
    /// Pairwise ciphers: what an AP offers, or the one that a device chose.
    pub pairwise: Vec<CipherSuite>,
    /// Authentication and key management suites: what an AP offers, or the one that a device chose.
    pub akms: Vec<Akm>,
    /// Capabilities.
    pub capabilities: RsnCapabilities,
    /// Identifiers of pairwise master keys that the device believes to share with the AP.
    pub pmkids: Vec<Pmkid>,
    /// Group management cipher, where it is named. With management frame protection, none means BIP-CMAC-128.
    pub group_management: Option<CipherSuite>,
}

impl Rsn {
    /// CCMP-128 for everything, with these AKMs.
    pub fn ccmp(akms: &[Akm]) -> Self {
        Self {
            group: CipherSuite::Ccmp128,
            pairwise: vec![CipherSuite::Ccmp128],
            akms: akms.to_vec(),
            capabilities: RsnCapabilities(0),
            pmkids: Vec::new(),
            group_management: None,
        }
    }

    /// From an element body. Octets after the last known field are ignored.
    ///
    /// # Errors
    /// [`ElementError::Truncated`] within a field; [`ElementError::Invalid`] for a version other than 1, or a count of
    /// 0 pairwise ciphers or AKMs.
    pub fn parse(body: &[u8]) -> Result<Self, ElementError> {
        let mut fields = Fields { id: ElementId::RSN.0, rest: body };
        fields.version()?;
        let mut rsn = Self::ccmp(&[Akm::Ieee8021x]);
        if let Some(group) = fields.selector()? {
            rsn.group = CipherSuite::from_selector(group);
        }
        if let Some(pairwise) = fields.list()? {
            rsn.pairwise = non_empty(pairwise, CipherSuite::from_selector, "no pairwise cipher")?;
        }
        if let Some(akms) = fields.list()? {
            rsn.akms = non_empty(akms, Akm::from_selector, "no AKM")?;
        }
        if let Some(capabilities) = fields.number()? {
            rsn.capabilities = RsnCapabilities(capabilities);
        }
        if let Some(pmkids) = fields.list::<16>()? {
            rsn.pmkids = pmkids.into_iter().map(Pmkid).collect();
        }
        rsn.group_management = fields.selector()?.map(CipherSuite::from_selector);
        Ok(rsn)
    }

    /// The element body: up to the capabilities always; PMKIDs and group management cipher when there are any.
    pub fn body(&self) -> Vec<u8> {
        let mut body = vec![1, 0];
        body.extend_from_slice(&self.group.selector());
        push_list(&mut body, self.pairwise.iter().map(|cipher| cipher.selector()));
        push_list(&mut body, self.akms.iter().map(|akm| akm.selector()));
        body.extend_from_slice(&self.capabilities.0.to_le_bytes());
        if !self.pmkids.is_empty() || self.group_management.is_some() {
            push_list(&mut body, self.pmkids.iter().map(|pmkid| pmkid.0));
        }
        if let Some(cipher) = self.group_management {
            body.extend_from_slice(&cipher.selector());
        }
        body
    }

    /// The whole element.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        super::push(&mut out, ElementId::RSN, &self.body());
        out
    }
}

/// The vendor-specific element of WPA, which is recognised in order to be refused or shown, never offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wpa {
    /// Group cipher: OUI 00-50-F2 and type (1 WEP-40, 2 TKIP, 4 CCMP, 5 WEP-104).
    pub group: [u8; 4],
    /// Pairwise ciphers, likewise.
    pub pairwise: Vec<[u8; 4]>,
    /// AKMs: OUI 00-50-F2 and type (1 802.1X, 2 PSK).
    pub akms: Vec<[u8; 4]>,
}

impl Wpa {
    /// OUI and type of the element.
    pub const SELECTOR: [u8; 4] = [0x00, 0x50, 0xf2, 0x01];

    /// Parses what follows OUI and type; see [`super::Elements::find_vendor`].
    ///
    /// # Errors
    /// As [`Rsn::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, ElementError> {
        let mut fields = Fields { id: ElementId::VENDOR_SPECIFIC.0, rest: body };
        fields.version()?;
        let tkip = [0x00, 0x50, 0xf2, 2];
        Ok(Self {
            group: fields.selector()?.unwrap_or(tkip),
            pairwise: fields.list()?.unwrap_or_else(|| vec![tkip]),
            akms: fields.list()?.unwrap_or_else(|| vec![[0x00, 0x50, 0xf2, 1]]),
        })
    }
}

/// Takes optional fields from the front. At the end every field is `None`; a field that is cut off is an error.
struct Fields<'a> {
    id: u8,
    rest: &'a [u8],
}

impl Fields<'_> {
    fn version(&mut self) -> Result<(), ElementError> {
        match self.number()? {
            Some(1) => Ok(()),
            Some(_) => Err(ElementError::Invalid { id: self.id, what: "unknown version" }),
            None => Err(ElementError::Truncated { id: self.id }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, ElementError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (array, rest) =
            self.rest.split_first_chunk::<N>().ok_or(ElementError::Truncated { id: self.id })?;
        self.rest = rest;
        Ok(Some(*array))
    }

    fn number(&mut self) -> Result<Option<u16>, ElementError> {
        Ok(self.array()?.map(u16::from_le_bytes))
    }

    fn selector(&mut self) -> Result<Option<[u8; 4]>, ElementError> {
        self.array()
    }

    fn list<const N: usize>(&mut self) -> Result<Option<Vec<[u8; N]>>, ElementError> {
        let Some(count) = self.number()? else { return Ok(None) };
        let truncated = ElementError::Truncated { id: self.id };
        let (items, rest) = self.rest.split_at_checked(usize::from(count) * N).ok_or(truncated)?;
        self.rest = rest;
        let (items, _) = items.as_chunks::<N>();
        Ok(Some(items.to_vec()))
    }
}

fn non_empty<T>(
    selectors: Vec<[u8; 4]>,
    convert: fn([u8; 4]) -> T,
    what: &'static str,
) -> Result<Vec<T>, ElementError> {
    if selectors.is_empty() {
        return Err(ElementError::Invalid { id: ElementId::RSN.0, what });
    }
    Ok(selectors.into_iter().map(convert).collect())
}

fn push_list<const N: usize>(body: &mut Vec<u8>, items: impl ExactSizeIterator<Item = [u8; N]>) {
    body.extend_from_slice(&(items.len() as u16).to_le_bytes());
    items.for_each(|item| body.extend_from_slice(&item));
}
