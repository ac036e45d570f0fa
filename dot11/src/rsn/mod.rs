//! Robust security network: suites, keys and how they derive from one another (802.11-2020 §12.7).

mod derive;
mod keys;
mod mic;
mod suite;
mod wrap;

pub use derive::{derive_ptk, kdf_sha256, pmk_from_passphrase, pmkid, prf};
pub use keys::{Gtk, Igtk, Kck, Kek, Passphrase, PassphraseError, Pmk, Pmkid, Ptk, Tk, Tk256};
pub use mic::{mic, sign, verify_mic};
pub use suite::{Akm, CipherSuite};
pub use wrap::{unwrap_key_data, wrap_key_data};

/// Why key material cannot be derived, checked or unwrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// The AKM's key hierarchy is not implemented.
    #[error("AKM {0:?} is not supported")]
    UnsupportedAkm(Akm),
    /// The key descriptor version does not go with the AKM, or needs ARC4, which is not implemented.
    #[error("key descriptor version {version} is not supported with AKM {akm:?}")]
    UnsupportedDescriptorVersion {
        /// From the Key Information field.
        version: u8,
        /// Negotiated AKM.
        akm: Akm,
    },
    /// Octets of a key or frame have a length that they cannot have.
    #[error("{0} octets is not a possible length")]
    Length(usize),
    /// The octets are not an EAPOL-Key frame.
    #[error(transparent)]
    Eapol(#[from] crate::eapol::EapolError),
    /// The integrity check of the wrapped key data failed.
    #[error("integrity check of the wrapped key data failed")]
    Integrity,
}
