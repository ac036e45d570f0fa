//! Sealing of requests, answers and pushes: ChaCha20-Poly1305 (RFC 8439) behind one interface, twice. [`Portable`]
//! is small, for radios; [`Accelerated`] (feature `matchmaking-server`) fast.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

use super::datagram::TAG;
use super::keys::Key;

/// What was opened is not what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed with this key, or changed on the way")]
pub struct Forged;

/// ChaCha20-Poly1305 under one key.
pub trait Aead {
    /// With this key.
    fn new(key: &Key) -> Self;
    /// Seals the text in place; gives the tag.
    fn seal(&self, nonce: &[u8; 12], head: &[u8], text: &mut [u8]) -> [u8; TAG];
    /// Opens the text in place. If it is forged, the text is whatever.
    fn open(&self, nonce: &[u8; 12], head: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> Result<(), Forged>;
}

/// The nonce of the request with this counter.
pub fn counter_nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// Seals what stands in `datagram` behind its first `head` octets, and puts the tag behind it.
pub fn seal<A: Aead>(key: &A, nonce: &[u8; 12], datagram: &mut Vec<u8>, head: usize) {
    let (additional, text) = datagram.split_at_mut(head);
    let tag = key.seal(nonce, additional, text);
    datagram.extend_from_slice(&tag);
}

/// Opens what stands in `datagram` behind its first `head` octets, in place; gives the text.
pub fn open<'a, A: Aead>(
    key: &A,
    nonce: &[u8; 12],
    datagram: &'a mut [u8],
    head: usize,
) -> Result<&'a mut [u8], Forged> {
    let (additional, sealed) = datagram.split_at_mut_checked(head).ok_or(Forged)?;
    let (text, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(Forged)?;
    key.open(nonce, additional, text, tag)?;
    Ok(text)
}

/// RustCrypto's.
pub struct Portable(ChaCha20Poly1305);

impl Aead for Portable {
    fn new(key: &Key) -> Portable {
        Portable(ChaCha20Poly1305::new(&key.0.into()))
    }

    fn seal(&self, nonce: &[u8; 12], head: &[u8], text: &mut [u8]) -> [u8; TAG] {
        // It fails for texts of more than 2^38 octets.
        let sealed = self.0.encrypt_inout_detached(&(*nonce).into(), head, text.into());
        sealed.expect("a datagram's text").into()
    }

    fn open(&self, nonce: &[u8; 12], head: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> Result<(), Forged> {
        let opened = self.0.decrypt_inout_detached(&(*nonce).into(), head, text.into(), &(*tag).into());
        opened.map_err(|_| Forged)
    }
}

#[cfg(feature = "matchmaking-server")]
pub use accelerated::Accelerated;

#[cfg(feature = "matchmaking-server")]
mod accelerated {
    use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

    use super::{Aead, Forged, Key, TAG};

    /// AWS-LC's.
    pub struct Accelerated(LessSafeKey);

    impl Aead for Accelerated {
        fn new(key: &Key) -> Accelerated {
            let key = UnboundKey::new(&CHACHA20_POLY1305, &key.0).expect("a key of 32 octets");
            Accelerated(LessSafeKey::new(key))
        }

        fn seal(&self, nonce: &[u8; 12], head: &[u8], text: &mut [u8]) -> [u8; TAG] {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(head), text);
            // It fails for texts of more than 2^38 octets.
            tag.expect("a datagram's text").as_ref().try_into().expect("a tag of 16 octets")
        }

        fn open(
            &self,
            nonce: &[u8; 12],
            head: &[u8],
            text: &mut [u8],
            tag: &[u8; TAG],
        ) -> Result<(), Forged> {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(head), tag, text);
            opened.map(|_| ()).map_err(|_| Forged)
        }
    }
}
