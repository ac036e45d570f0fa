//! Key data of EAPOL-Key frames: elements and key data encapsulations (802.11-2020 §12.7.2, Table 12-9).
//!
//! ```text
//! KDE      0xdd  length (1)  00-0F-AC (3)  data type (1)  data
//! GTK      key id and Tx (1)  reserved (1)  GTK
//! IGTK     key id (2, little-endian)  IPN (6)  IGTK
//! padding  0xdd  0x00 ...
//! ```

use crate::MacAddr;
use crate::element::{Element, ElementError, ElementId, Elements};
use crate::rsn::Pmkid;
use zeroize::Zeroizing;

/// OUI and data types of KDEs.
const OUI: [u8; 3] = [0x00, 0x0f, 0xac];
const GTK: u8 = 1;
const MAC: u8 = 3;
const PMKID: u8 = 4;
const IGTK: u8 = 9;
const KEY_ID: u8 = 10;

/// One item of key data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyDataItem<'a> {
    /// A group temporal key.
    Gtk {
        /// Key identifier, 0 to 3.
        key_id: u8,
        /// Whether the receiver also transmits with it.
        tx: bool,
        /// The key.
        gtk: &'a [u8],
    },
    /// An integrity group temporal key.
    Igtk {
        /// Key identifier, 4 or 5.
        key_id: u16,
        /// IGTK packet number, least significant octet first.
        ipn: [u8; 6],
        /// The key.
        igtk: &'a [u8],
    },
    /// A MAC address.
    Mac(MacAddr),
    /// A pairwise master key identifier.
    Pmkid(Pmkid),
    /// The key identifier of the pairwise key, 0 or 1 (Extended Key ID).
    KeyId(u8),
    /// A KDE of another type, or of a known type with another length.
    OtherKde {
        /// OUI and data type.
        selector: [u8; 4],
        /// What follows.
        data: &'a [u8],
    },
    /// An element, such as the RSNE.
    Element(Element<'a>),
}

/// Iterator over plaintext key data. It ends at the padding; a truncated item is an error, after which it ends too.
#[derive(Clone, Debug)]
pub struct KeyData<'a> {
    bytes: &'a [u8],
}

impl<'a> KeyData<'a> {
    /// Over plaintext key data.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for KeyData<'a> {
    type Item = Result<KeyDataItem<'a>, ElementError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.bytes);
        // Padding is one 0xdd and then zeros; the 0xdd may be the last octet.
        if matches!(bytes, [] | [0xdd] | [0xdd, 0, ..]) {
            return None;
        }
        match Element::split_first(bytes) {
            Ok((element, rest)) => {
                self.bytes = rest;
                Some(Ok(KeyDataItem::from_element(element)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl<'a> KeyDataItem<'a> {
    fn from_element(element: Element<'a>) -> Self {
        let ElementId::VENDOR_SPECIFIC = element.id else { return Self::Element(element) };
        let Some((selector, data)) = element.body.split_first_chunk::<4>() else {
            return Self::Element(element);
        };
        let [oui @ .., data_type] = *selector;
        if oui != OUI {
            // WPA's and vendors' own elements share the element identifier.
            return Self::Element(element);
        }
        let other = Self::OtherKde { selector: *selector, data };
        match (data_type, data) {
            (GTK, [flags, _, gtk @ ..]) if !gtk.is_empty() => {
                Self::Gtk { key_id: flags & 0x3, tx: flags & 0x4 != 0, gtk }
            }
            (IGTK, [k0, k1, i0, i1, i2, i3, i4, i5, igtk @ ..]) if !igtk.is_empty() => Self::Igtk {
                key_id: u16::from_le_bytes([*k0, *k1]),
                ipn: [*i0, *i1, *i2, *i3, *i4, *i5],
                igtk,
            },
            (MAC, data) => data.try_into().map_or(other, Self::Mac),
            (PMKID, data) => data.try_into().map_or(other, |pmkid| Self::Pmkid(Pmkid(pmkid))),
            (KEY_ID, [flags, _]) => Self::KeyId(flags & 0x3),
            _ => other,
        }
    }
}

impl std::fmt::Debug for KeyDataItem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gtk { key_id, tx, .. } => write!(f, "Gtk(key_id {key_id}, tx {tx}, …)"),
            Self::Igtk { key_id, .. } => write!(f, "Igtk(key_id {key_id}, …)"),
            Self::Mac(mac) => write!(f, "Mac({mac})"),
            Self::Pmkid(pmkid) => write!(f, "{pmkid:?}"),
            Self::KeyId(id) => write!(f, "KeyId({id})"),
            Self::OtherKde { selector, .. } => write!(f, "OtherKde({selector:02x?}, …)"),
            Self::Element(element) => write!(f, "{element:?}"),
        }
    }
}

/// Builds plaintext key data, which is wiped when dropped.
#[derive(Clone, Default)]
pub struct KeyDataBuilder {
    bytes: Zeroizing<Vec<u8>>,
}

impl KeyDataBuilder {
    /// With nothing in it.
    pub fn new() -> Self {
        // Enough for an RSNE, a GTK and an IGTK, so that no copy of a key is left behind by growth.
        Self { bytes: Zeroizing::new(Vec::with_capacity(512)) }
    }

    /// Appends whole elements, such as the RSNE of the beacon.
    #[must_use]
    pub fn elements(mut self, elements: Elements<'_>) -> Self {
        self.bytes.extend_from_slice(elements.bytes());
        self
    }

    /// Appends a GTK KDE. `gtk` has at most 247 octets; more would not fit the length field and is cut off.
    #[must_use]
    pub fn gtk(self, key_id: u8, tx: bool, gtk: &[u8]) -> Self {
        let flags = key_id & 0x3 | if tx { 0x4 } else { 0 };
        self.kde(GTK, &[&[flags, 0], gtk])
    }

    /// Appends an IGTK KDE. `ipn` is least significant octet first.
    #[must_use]
    pub fn igtk(self, key_id: u16, ipn: [u8; 6], igtk: &[u8]) -> Self {
        self.kde(IGTK, &[&key_id.to_le_bytes(), &ipn, igtk])
    }

    /// Appends a MAC address KDE.
    #[must_use]
    pub fn mac(self, mac: MacAddr) -> Self {
        self.kde(MAC, &[&mac.0])
    }

    /// Appends a PMKID KDE.
    #[must_use]
    pub fn pmkid(self, pmkid: &Pmkid) -> Self {
        self.kde(PMKID, &[&pmkid.0])
    }

    /// Appends a Key ID KDE.
    #[must_use]
    pub fn key_id(self, key_id: u8) -> Self {
        self.kde(KEY_ID, &[&[key_id & 0x3, 0]])
    }

    /// The key data.
    pub fn build(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    fn kde(mut self, data_type: u8, parts: &[&[u8]]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum::<usize>().min(usize::from(u8::MAX) - 4);
        self.bytes.extend_from_slice(&[ElementId::VENDOR_SPECIFIC.0, (4 + len) as u8]);
        self.bytes.extend_from_slice(&OUI);
        self.bytes.push(data_type);
        self.bytes.extend(parts.iter().copied().flatten().take(len));
        self
    }
}
