//! Every GCMP kernel against another implementation of GCM, that of AWS-LC, and against published frames.
#![cfg(target_arch = "x86_64")]

use aws_lc_sys::{
    EVP_AEAD_CTX, EVP_AEAD_CTX_free, EVP_AEAD_CTX_new, EVP_AEAD_CTX_seal, EVP_aead_aes_128_gcm,
    EVP_aead_aes_256_gcm,
};
use dataplane::crypto::{Kernel, OpenJob, SealJob, Suite};
use dataplane::packet::BURST;
use dot11::build::DataHeader;
use dot11::ccmp::{self, MAX_AAD_LEN, Pn};
use dot11::{Frame, MacAddr, QosControl};
use proptest::prelude::*;

struct AwsLc(*mut EVP_AEAD_CTX);

impl AwsLc {
    fn new(key: &[u8]) -> Self {
        // SAFETY: the key is as long as said; a MIC of 16 octets is what GCM has.
        let context = unsafe {
            let aead = if key.len() == 16 { EVP_aead_aes_128_gcm() } else { EVP_aead_aes_256_gcm() };
            EVP_AEAD_CTX_new(aead, key.as_ptr(), key.len(), 16)
        };
        assert!(!context.is_null());
        Self(context)
    }

    fn seal(&self, nonce: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() + 16];
        let mut len = 0;
        // SAFETY: every pointer goes with its length.
        let done = unsafe {
            EVP_AEAD_CTX_seal(
                self.0,
                out.as_mut_ptr(),
                &raw mut len,
                out.len(),
                nonce.as_ptr(),
                nonce.len(),
                plain.as_ptr(),
                plain.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        assert_eq!((done, len), (1, out.len()));
        out
    }
}

impl Drop for AwsLc {
    fn drop(&mut self) {
        // SAFETY: `new` made it.
        unsafe { EVP_AEAD_CTX_free(self.0) }
    }
}

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
}

/// Key, whether it is of 256 bits, TID, packet number, body.
type Plain = ([u8; 32], bool, Option<u8>, u64, Vec<u8>);

fn key((key, is_long, ..): &Plain) -> (Suite, &[u8]) {
    if *is_long { (Suite::Gcmp256, key) } else { (Suite::Gcmp128, &key[..16]) }
}

fn header((_, _, tid, ..): &Plain) -> DataHeader {
    let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
    DataHeader::to_ap(mac(1), mac(2), mac(3), tid.map(QosControl::new))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_burst_is_what_aws_lc_makes(
        burst in proptest::collection::vec(
            (any::<[u8; 32]>(), any::<bool>(), proptest::option::of(0u8..16), 0u64..1 << 48, proptest::collection::vec(any::<u8>(), 0..1700)),
            1..=BURST,
        ),
        broken in any::<u32>(),
    ) {
        let expected: Vec<_> = burst.iter().map(|plain| {
            let (_, _, _, pn, body) = plain;
            let frame = header(plain).frame(body);
            let frame = Frame::parse(&frame).unwrap();
            let mut aad = [0; MAX_AAD_LEN];
            let aad_len = ccmp::aad(&frame, &mut aad);
            let nonce = [&frame.addr2().unwrap().0[..], &pn.to_be_bytes()[2..]].concat();
            AwsLc::new(key(plain).1).seal(&nonce, &aad[..aad_len], body)
        }).collect();
        for kernel in kernels() {
            let mut buffers: Vec<_> = burst.iter()
                .map(|plain| [&header(plain).frame(&[])[..], &[0; 8], &plain.4, &[0; 16]].concat())
                .collect();
            let mut jobs: Vec<_> = burst.iter().zip(&mut buffers).map(|(plain, buf)| SealJob {
                suite: key(plain).0, key: key(plain).1, pn: plain.3, header_len: header(plain).len(), buf, ..SealJob::idle()
            }).collect();
            kernel.seal(&mut jobs);
            prop_assert!(jobs.iter().all(|job| job.done));
            for (n, (plain, buffer)) in burst.iter().zip(&mut buffers).enumerate() {
                prop_assert_eq!(&buffer[header(plain).len() + 8..], &expected[n], "{:?}", kernel);
                *buffer.last_mut().unwrap() ^= (broken >> n & 1) as u8;
            }
            let mut jobs: Vec<_> = burst.iter().zip(&mut buffers).map(|(plain, buf)| OpenJob {
                suite: key(plain).0, key: key(plain).1, header_len: header(plain).len(), buf, ..OpenJob::idle()
            }).collect();
            kernel.open(&mut jobs);
            for (n, (plain, job)) in burst.iter().zip(&jobs).enumerate() {
                let body = &job.buf[job.header_len + 8..][..plain.4.len()];
                prop_assert_eq!(job.done, broken >> n & 1 == 0);
                let expected = if job.done { plain.4.clone() } else { vec![0; body.len()] };
                prop_assert_eq!(body, expected);
            }
        }
    }
}

/// The frames of `dot11/tests/gcmp.rs`, where it says who published them.
#[test]
fn published_frames() {
    const LONG: [u8; 32] = *b"\xc9\x7c\x1f\x67\xce\x37\x11\x85\x51\x4a\x8a\x19\xf2\xbd\xd5\x2f\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
    let header = b"\x88\x48\x0b\0\x0f\xd2\xe1\x28\xa5\x7c\x50\x30\xf1\x84\x44\x08\x50\x30\xf1\x84\x44\x08\x80\x33\x03\0";
    let body: Vec<u8> = (0..40).collect();
    let cases = [
        (Suite::Gcmp128, &LONG[..16], 0xdef6_19c2_a374_b6df_66ff_a53b_6c69_d79e_u128),
        (Suite::Gcmp256, &LONG[..], 0x1143_1685_9095_473d_5b1b_d596_b3de_a3bf),
    ];
    for kernel in kernels() {
        for (suite, key, mic) in cases {
            let mut buf = [&header[..], &[0; 8], &body, &[0; 16]].concat();
            let pn = Pn::new(0x0089_5f5f_2b08).unwrap().value();
            kernel.seal(&mut [SealJob { suite, key, pn, header_len: 26, buf: &mut buf, ..SealJob::idle() }]);
            assert_eq!(buf[26..34], [0x08, 0x2b, 0, 0x20, 0x5f, 0x5f, 0x89, 0]);
            assert_eq!(buf[74..], mic.to_be_bytes(), "{kernel:?}");
        }
    }
}
