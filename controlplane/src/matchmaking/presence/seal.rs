//! Seals what goes to Redis: it sees no key, and whoever can write to it can neither make anything up nor put a value in another's place.
//!
//! `version u8 = 1 | at u64 | nonce[24] | XChaCha20-Poly1305`, `at` in milliseconds since 1970. What is not sealed, and the place that the
//! value is for (key, field, channel), are the additional data. The key is made of the matchmaker's secrets.

use std::time::Duration;

use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, Buffer},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::matchmaking::keys::Keys;

pub(super) const VERSION: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 1 + 8 + NONCE;
const TAG: usize = 16;

pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    /// Processes that have the same secrets have the same; it gives nothing of them away.
    pub fingerprint: [u8; 16],
}

impl Sealer {
    pub fn new(keys: &Keys) -> Sealer {
        let key = derive(keys, b"ttg presence 1: sealing");
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&derive(keys, b"ttg presence 1: fingerprint")[..16]);
        Sealer { cipher: XChaCha20Poly1305::new(&Key::from(key)), fingerprint }
    }

    pub fn seal(&self, place: &[&[u8]], at: Duration, text: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEAD + text.len() + TAG);
        sealed.push(VERSION);
        sealed.extend(u64::try_from(at.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the operating system has entropy");
        sealed.extend(nonce);
        let mut text = text.to_vec();
        self.cipher
            .encrypt_in_place(&XNonce::from(nonce), &associated(place, &sealed), &mut text as &mut dyn Buffer)
            .expect("a vector grows");
        sealed.extend(text);
        sealed
    }

    /// What was sealed for this place, and when; `None`: it was not, or by others.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Option<(Duration, Vec<u8>)> {
        let (head, text) = sealed.split_at_checked(HEAD)?;
        if head[0] != VERSION {
            return None;
        }
        let at = u64::from_be_bytes(head[1..9].try_into().ok()?);
        let nonce: [u8; NONCE] = head[9..].try_into().ok()?;
        let mut text = text.to_vec();
        let associated = associated(place, head);
        self.cipher.decrypt_in_place(&XNonce::from(nonce), &associated, &mut text as &mut dyn Buffer).ok()?;
        Some((Duration::from_millis(at), text))
    }
}

/// Lengths in front, so that no two places read the same.
fn associated(place: &[&[u8]], head: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in place {
        all.extend((part.len() as u32).to_be_bytes());
        all.extend(*part);
    }
    all.extend(&head[..9]);
    all
}

fn derive(keys: &Keys, purpose: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.secret.octets()).expect("any length will do");
    mac.update(&keys.ticket.key.0);
    mac.update(&keys.ticket.id.to_be_bytes());
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proto::matchmaking::{Key, StaticSecret, server::TicketKey};

    use super::*;

    pub fn sealer(secret: u8, ticket: u8) -> Sealer {
        let ticket = TicketKey { id: 1, key: Key([ticket; 32]) };
        Sealer::new(&Keys { secret: StaticSecret::new([secret; 32]), ticket })
    }

    #[test]
    fn only_the_place_it_was_sealed_for_and_who_has_the_keys_can_open_it() {
        let (ours, at) = (sealer(1, 2), Duration::from_millis(77));
        let sealed = ours.seal(&[b"key", b"field"], at, b"text");
        assert_eq!(ours.open(&[b"key", b"field"], &sealed), Some((at, b"text".to_vec())));
        assert!(!sealed.windows(4).any(|window| window == b"text"));
        assert_eq!(ours.open(&[b"keyf", b"ield"], &sealed), None);
        for others in [sealer(2, 2), sealer(1, 1)] {
            assert_eq!(others.open(&[b"key", b"field"], &sealed), None);
            assert_ne!(others.fingerprint, ours.fingerprint);
        }
        for n in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[n] ^= 1;
            assert_eq!(ours.open(&[b"key", b"field"], &forged), None, "octet {n}");
            assert_eq!(ours.open(&[b"key", b"field"], &sealed[..n]), None, "{n} octets");
        }
        assert_eq!(sealer(1, 2).fingerprint, ours.fingerprint);
    }
}
