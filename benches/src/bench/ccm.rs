//! The `ccm` crate by itself, as CCMP uses it: what the pipeline is compared with.
//!
//! A burst is 32 frames under 32 keys that were expanded before; a frame is additional data and a body, encrypted or
//! decrypted in place. No header, no table, no packet number: only what no gateway can do without.

use std::time::{Duration, Instant};

use aes::Aes128Enc;
use ccm::Ccm;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U8, U13};
use dataplane::packet::BURST;

/// Octets of additional data: that of a QoS data frame with three addresses (802.11-2020 §12.5.3.3.3).
pub const AAD: usize = 24;

/// A key's cipher, with the MIC and nonce of CCMP-128.
type Cipher = Ccm<Aes128Enc, U8, U13>;

/// Bursts of frames with bodies of one length.
pub struct Bare {
    ciphers: Vec<Cipher>,
    sealed: Vec<Sealed>,
    work: Vec<Vec<u8>>,
    next: u64,
}

struct Sealed {
    body: Vec<u8>,
    mic: [u8; 8],
}

impl Bare {
    /// With bodies of so many octets.
    ///
    /// # Panics
    /// If `body` exceeds 65535.
    pub fn new(body: usize) -> Bare {
        let ciphers: Vec<_> = (0..BURST).map(|n| Cipher::new(&[n as u8; 16].into())).collect();
        let seal = |cipher: &Cipher| {
            let mut body = vec![0x55; body];
            let mic = cipher.encrypt_inout_detached(&nonce(0).into(), &[0; AAD], body.as_mut_slice().into());
            Sealed { body, mic: mic.expect("a length that CCM takes").into() }
        };
        let sealed = ciphers.iter().map(seal).collect();
        Bare { ciphers, sealed, work: vec![vec![0x55; body]; BURST], next: 0 }
    }

    /// Time that sealing so many bursts takes.
    pub fn seal(&mut self, bursts: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..bursts {
            self.next += 1;
            let nonce = nonce(self.next).into();
            for (cipher, body) in self.ciphers.iter().zip(&mut self.work) {
                let mic = cipher.encrypt_inout_detached(&nonce, &[0; AAD], body.as_mut_slice().into());
                std::hint::black_box(mic.expect("a length that CCM takes"));
            }
        }
        start.elapsed()
    }

    /// Time that opening so many bursts takes, without that of putting the sealed frames there.
    ///
    /// # Panics
    /// If a MIC is wrong.
    pub fn open(&mut self, bursts: usize) -> Duration {
        let mut taken = Duration::ZERO;
        let nonce = nonce(0).into();
        for _ in 0..bursts {
            for (work, sealed) in self.work.iter_mut().zip(&self.sealed) {
                work.copy_from_slice(&sealed.body);
            }
            let start = Instant::now();
            for ((cipher, body), sealed) in self.ciphers.iter().zip(&mut self.work).zip(&self.sealed) {
                let mic = &sealed.mic.into();
                let opened =
                    cipher.decrypt_inout_detached(&nonce, &[0; AAD], body.as_mut_slice().into(), mic);
                assert!(opened.is_ok(), "the MIC is right");
            }
            taken += start.elapsed();
        }
        taken
    }
}

fn nonce(number: u64) -> [u8; 13] {
    let mut nonce = [0; 13];
    nonce[5..].copy_from_slice(&number.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use dot11::build::DataHeader;
    use dot11::ccmp::{self, MAX_AAD_LEN};
    use dot11::{Frame, MacAddr, QosControl};

    #[test]
    fn the_additional_data_is_as_long_as_that_of_the_pipelines_frames() {
        let header = DataHeader::to_ap(MacAddr::ZERO, MacAddr::ZERO, MacAddr::ZERO, Some(QosControl::new(0)));
        let frame = header.frame(&[]);
        assert_eq!(ccmp::aad(&Frame::parse(&frame).unwrap(), &mut [0; MAX_AAD_LEN]), AAD);
    }

    #[test]
    fn what_was_sealed_opens_again_and_again() {
        let mut bare = Bare::new(72);
        bare.open(2);
        assert!(bare.work.iter().all(|body| *body == [0x55; 72]), "plain");
        bare.seal(1);
        assert!(bare.work.iter().all(|body| *body != [0x55; 72]), "sealed");
        let distinct: std::collections::BTreeSet<_> = bare.work.iter().collect();
        assert_eq!(distinct.len(), BURST, "each under another key");
        bare.open(1);
    }
}
