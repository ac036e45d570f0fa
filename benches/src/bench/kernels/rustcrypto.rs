//! The `ccm` crate with the `aes` crate.

use aes::Aes128Enc;
use ccm::Ccm;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U8, U13};

use super::Contender;
use super::work::{Frame, Keys, Work};
use dataplane::packet::BURST;

/// A key's cipher, with the MIC and nonce of CCMP-128.
type Cipher = Ccm<Aes128Enc, U8, U13>;

/// With a working set no larger than a burst keys are expanded before; else with each frame.
pub struct RustCrypto(Vec<Cipher>);

impl RustCrypto {
    /// For these keys.
    pub fn new(keys: &Keys) -> RustCrypto {
        let few = keys.keys.len() <= BURST;
        RustCrypto(keys.keys.iter().filter(|_| few).map(|key| Cipher::new(&key.0.into())).collect())
    }
}

impl Contender for RustCrypto {
    fn name(&self) -> &'static str {
        "ccm"
    }

    fn seal(&mut self, work: &mut Work) {
        let Work { frames, keys, .. } = work;
        for frame in frames {
            let (expanded, nonce, aad) = (self.0.get(frame.key), frame.nonce.into(), frame.aad);
            let key = &keys.keys[frame.key];
            let (body, mic) = frame.parts();
            let sealed = match expanded {
                Some(cipher) => cipher.encrypt_inout_detached(&nonce, &aad, body.into()),
                None => Cipher::new(&key.0.into()).encrypt_inout_detached(&nonce, &aad, body.into()),
            };
            *mic = sealed.expect("a length that CCM takes").into();
        }
    }

    fn open(&mut self, work: &mut Work) -> usize {
        let Work { frames, keys, .. } = work;
        let open = |frame: &mut Frame| {
            let (expanded, nonce, aad) = (self.0.get(frame.key), frame.nonce.into(), frame.aad);
            let key = &keys.keys[frame.key];
            let (body, mic) = frame.parts();
            let mic = (*mic).into();
            match expanded {
                Some(cipher) => cipher.decrypt_inout_detached(&nonce, &aad, body.into(), &mic),
                None => Cipher::new(&key.0.into()).decrypt_inout_detached(&nonce, &aad, body.into(), &mic),
            }
            .is_ok()
        };
        frames.iter_mut().map(open).filter(|&opened| opened).count()
    }
}
