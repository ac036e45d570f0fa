//! Noise's primitives from the generation of RustCrypto that the rest of the project uses.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use sha2::{Digest, Sha256};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use subtle::ConstantTimeEq;

use super::super::keys::{Key, StaticSecret, portable_public};

/// X25519 (RFC 7748): the public key of a private one, and the secret that one shares with somebody's public key.
#[derive(Clone, Copy)]
pub(super) struct Curve {
    pub public: fn([u8; 32]) -> [u8; 32],
    pub shared: fn([u8; 32], [u8; 32]) -> [u8; 32],
}

impl Curve {
    /// Small.
    pub const PORTABLE: Curve = Curve { public: portable_public, shared: x25519_dalek::x25519 };
    /// Fast.
    #[cfg(feature = "matchmaking-server")]
    pub const ACCELERATED: Curve = Curve { public: accelerated::public, shared: accelerated::shared };
}

/// For one handshake.
pub(super) struct Primitives {
    pub curve: Curve,
    /// What the ephemeral key is made of.
    pub ephemeral: Key,
    /// Its public key is known: a handshake need not compute it.
    pub local: StaticSecret,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let dh = || Box::new(X25519(self.curve, self.local.clone())) as Box<dyn Dh>;
        matches!(choice, DHChoice::Curve25519).then(dh)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(HashSha256(Sha256::new())) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let cipher = || Box::new(ChaChaPoly(ChaCha20Poly1305::new(&[0; 32].into()))) as Box<dyn Cipher>;
        matches!(choice, CipherChoice::ChaChaPoly).then(cipher)
    }
}

/// Noise draws once in a handshake, 32 octets.
struct Once(Option<Key>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let key = self.0.take().filter(|key| key.0.len() == dest.len()).ok_or(Error::Rng)?;
        dest.copy_from_slice(&key.0);
        Ok(())
    }
}

struct X25519(Curve, StaticSecret);

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        if !bool::from(self.1.octets()[..].ct_eq(privkey)) {
            self.1 = StaticSecret::with(privkey.try_into().expect("a key of 32 octets"), self.0.public);
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Key([0; 32]);
        rng.try_fill_bytes(&mut secret.0)?;
        self.1 = StaticSecret::with(secret.0, self.0.public);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.1.public_octets()
    }

    fn privkey(&self) -> &[u8] {
        self.1.octets()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let theirs = pubkey.first_chunk().ok_or(Error::Dh)?;
        let shared = (self.0.shared)(*self.1.octets(), *theirs);
        // A point of small order (RFC 7748 §6.1): nobody who has a private key sends it.
        if bool::from(shared.ct_eq(&[0; 32])) {
            return Err(Error::Dh);
        }
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(&shared);
        Ok(())
    }
}

struct HashSha256(Sha256);

impl Hash for HashSha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Sha256::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

struct ChaChaPoly(ChaCha20Poly1305);

/// Noise §12.3: 32 zero bits and the counter, little-endian.
fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = ChaCha20Poly1305::new(&(*key).into());
    }

    fn encrypt(&self, counter: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = self.0.encrypt_inout_detached(&nonce(counter).into(), authtext, text.into());
        rest[..16].copy_from_slice(&tag.expect("a handshake's text"));
        plaintext.len() + 16
    }

    fn decrypt(
        &self,
        counter: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (sealed, tag) = ciphertext.split_last_chunk::<16>().ok_or(Error::Decrypt)?;
        let text = out.get_mut(..sealed.len()).ok_or(Error::Decrypt)?;
        text.copy_from_slice(sealed);
        let opened =
            self.0.decrypt_inout_detached(&nonce(counter).into(), authtext, text.into(), &(*tag).into());
        opened.map_err(|_| Error::Decrypt)?;
        Ok(sealed.len())
    }
}

#[cfg(feature = "matchmaking-server")]
mod accelerated {
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

    fn key(secret: [u8; 32]) -> PrivateKey {
        PrivateKey::from_private_key(&X25519, &secret).expect("any 32 octets are a key")
    }

    pub(super) fn public(secret: [u8; 32]) -> [u8; 32] {
        let public = key(secret).compute_public_key().expect("it has one");
        public.as_ref().try_into().expect("a key of 32 octets")
    }

    /// Zeros for a point of small order, as RFC 7748 has it; AWS-LC refuses it.
    pub(super) fn shared(secret: [u8; 32], theirs: [u8; 32]) -> [u8; 32] {
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        agree(&key(secret), theirs, (), |shared| shared.try_into().map_err(|_| ())).unwrap_or_default()
    }
}
