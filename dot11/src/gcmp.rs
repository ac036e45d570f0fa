//! GCMP for one frame, the reference that everything faster is tested against (802.11-2020 §12.5.5).
//!
//! ```text
//! protected frame  MAC header | GCMP header (8, that of CCMP) | encrypted body | MIC (16)
//! nonce            A2 PN5 PN4 PN3 PN2 PN1 PN0
//! AAD              that of CCMP
//! ```
//!
//! AES-GCM with a key of 128 or 256 bits. A packet number that comes twice under a key gives away more than in CCMP:
//! not only the two bodies' difference but what it takes to forge frames.

use crate::ccmp::Protection;
use crate::rsn::{Tk, Tk256};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::{AesGcm, KeyInit};
use ccm::consts::U12;

pub use crate::ccmp::HEADER_LEN;

/// Octets of the MIC.
pub const MIC_LEN: usize = 16;

/// GCM as GCMP-128 uses it.
pub type Aes128Gcm = AesGcm<Aes128Enc, U12>;
/// GCM as GCMP-256 uses it.
pub type Aes256Gcm = AesGcm<Aes256Enc, U12>;

/// A temporal key for GCMP-128.
pub type Gcmp = Protection<Aes128Gcm>;
/// A temporal key for GCMP-256.
pub type Gcmp256 = Protection<Aes256Gcm>;

impl Gcmp {
    /// Expands a key. SPP A-MSDUs are not negotiated.
    pub fn new(tk: &Tk) -> Self {
        Self::from_cipher(Aes128Gcm::new(tk.as_bytes().into()))
    }
}

impl Gcmp256 {
    /// Expands a key. SPP A-MSDUs are not negotiated.
    pub fn new(tk: &Tk256) -> Self {
        Self::from_cipher(Aes256Gcm::new(tk.as_bytes().into()))
    }
}
