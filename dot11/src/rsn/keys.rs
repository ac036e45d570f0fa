//! Keys as types: wiped on drop, compared in constant time, never printed (802.11-2020 §12.7.1).

use super::KeyError;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Octets of the key.
            pub const LEN: usize = $len;

            /// From its octets.
            #[inline]
            pub const fn new(octets: [u8; $len]) -> Self {
                Self(octets)
            }

            /// The octets.
            #[inline]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(octets: [u8; $len]) -> Self {
                Self(octets)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = KeyError;
            fn try_from(octets: &[u8]) -> Result<Self, KeyError> {
                octets.try_into().map(Self).map_err(|_| KeyError::Length(octets.len()))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

key! {
    /// Pairwise master key.
    Pmk, 32
}
key! {
    /// EAPOL-Key confirmation key.
    Kck, 16
}
key! {
    /// EAPOL-Key encryption key.
    Kek, 16
}
key! {
    /// Temporal key for CCMP-128 and GCMP-128.
    Tk, 16
}
key! {
    /// Temporal key for CCMP-256 and GCMP-256.
    Tk256, 32
}
key! {
    /// Group temporal key for CCMP-128.
    Gtk, 16
}
key! {
    /// Integrity group temporal key for BIP-CMAC-128.
    Igtk, 16
}

impl Pmk {
    /// From the master session key of an EAP method, whose first 32 octets it is (802.11-2020 §12.7.1.3).
    ///
    /// # Errors
    /// [`KeyError::Length`] below 32 octets.
    pub fn from_msk(msk: &[u8]) -> Result<Self, KeyError> {
        msk.first_chunk::<32>().map(|pmk| Self(*pmk)).ok_or(KeyError::Length(msk.len()))
    }
}

impl From<&Gtk> for Tk {
    /// A group key is a temporal key to CCMP.
    fn from(gtk: &Gtk) -> Self {
        Self(gtk.0)
    }
}

/// Pairwise transient key, split as CCMP-128 with a 128-bit KCK and KEK has it (802.11-2020 Table 12-10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ptk {
    /// EAPOL-Key confirmation key.
    pub kck: Kck,
    /// EAPOL-Key encryption key.
    pub kek: Kek,
    /// Temporal key.
    pub tk: Tk,
}

/// Pairwise master key identifier. It is sent in the clear and so no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pmkid(pub [u8; 16]);

impl fmt::Debug for Pmkid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pmkid(")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str(")")
    }
}

/// A passphrase: 8 to 63 printable ASCII characters (802.11-2020 Annex J.4).
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// Why a text is not a passphrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Not 8 to 63 characters.
    #[error("a passphrase has 8 to 63 characters, this one {0}")]
    Length(usize),
    /// A character outside of printable ASCII.
    #[error("a passphrase has only printable ASCII characters")]
    Character,
}

impl Passphrase {
    /// Checks a passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn new(text: impl Into<String>) -> Result<Self, PassphraseError> {
        let text = Zeroizing::new(text.into());
        if !text.bytes().all(|octet| (0x20..=0x7e).contains(&octet)) {
            return Err(PassphraseError::Character);
        }
        if !(8..=63).contains(&text.len()) {
            return Err(PassphraseError::Length(text.len()));
        }
        Ok(Self(text))
    }

    /// The passphrase.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Passphrase {
    type Err = PassphraseError;
    fn from_str(text: &str) -> Result<Self, PassphraseError> {
        Self::new(text)
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Passphrase {}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}
