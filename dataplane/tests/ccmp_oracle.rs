//! Every CCMP kernel against another implementation of CCM, that of AWS-LC, and against the example of the standard.
#![cfg(target_arch = "x86_64")]

use aws_lc_sys::{
    EVP_AEAD_CTX, EVP_AEAD_CTX_free, EVP_AEAD_CTX_new, EVP_AEAD_CTX_open, EVP_AEAD_CTX_seal,
    EVP_aead_aes_128_ccm_bluetooth_8,
};
use dataplane::crypto::{Kernel, OpenJob, SealJob};
use dataplane::packet::BURST;
use dot11::Frame;
use dot11::ccmp::{self, MAX_AAD_LEN, Pn};
use proptest::prelude::*;

/// AES-128-CCM with a MIC of 8 octets and a length of 2: what Bluetooth calls by its name is CCMP's.
struct AwsLc(*mut EVP_AEAD_CTX);

impl AwsLc {
    fn new(key: &[u8; 16]) -> Self {
        // SAFETY: the key is as long as said; 8 is the only length of MIC that this AEAD takes.
        let context =
            unsafe { EVP_AEAD_CTX_new(EVP_aead_aes_128_ccm_bluetooth_8(), key.as_ptr(), key.len(), 8) };
        assert!(!context.is_null());
        Self(context)
    }

    fn seal(&self, nonce: &[u8; 13], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() + 8];
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

    fn open(&self, nonce: &[u8; 13], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; sealed.len()];
        let mut len = 0;
        // SAFETY: every pointer goes with its length.
        let done = unsafe {
            EVP_AEAD_CTX_open(
                self.0,
                out.as_mut_ptr(),
                &raw mut len,
                out.len(),
                nonce.as_ptr(),
                nonce.len(),
                sealed.as_ptr(),
                sealed.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        out.truncate(len);
        (done == 1).then_some(out)
    }
}

impl Drop for AwsLc {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and freed once.
        unsafe { EVP_AEAD_CTX_free(self.0) };
    }
}

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
}

#[derive(Clone, Debug)]
struct Plain {
    key: [u8; 16],
    pn: u64,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Plain {
    fn sealed(&self) -> Vec<u8> {
        let frame = [&self.header[..], &self.body].concat();
        let frame = Frame::parse(&frame).unwrap();
        let mut aad = [0; MAX_AAD_LEN];
        let len = ccmp::aad(&frame, &mut aad);
        let nonce = ccmp::nonce(&frame, Pn::new(self.pn).unwrap());
        let sealed = AwsLc::new(&self.key).seal(&nonce, &aad[..len], &self.body);
        assert_eq!(AwsLc::new(&self.key).open(&nonce, &aad[..len], &sealed).as_ref(), Some(&self.body));
        sealed
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let forms = prop_oneof![
        Just((0x0108u16, 24usize)),
        Just((0x0188, 26)),
        Just((0x0288, 26)),
        Just((0x0388, 32)),
        Just((0x0308, 30)),
        Just((0x0588, 26)),
    ];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..100),
        proptest::collection::vec(any::<u8>(), 1400..1600),
        proptest::collection::vec(any::<u8>(), 1..2305),
    ];
    (any::<[u8; 16]>(), 0u64..1 << 48, forms, any::<[u8; 32]>(), body).prop_map(
        |(key, pn, (control, len), header, body)| {
            let mut header = header[..len].to_vec();
            header[..2].copy_from_slice(&control.to_le_bytes());
            Plain { key, pn, header, body }
        },
    )
}

proptest! {
    #[test]
    fn another_implementation_agrees(burst in proptest::collection::vec(plain(), 1..=BURST)) {
        let expected: Vec<_> = burst.iter().map(Plain::sealed).collect();
        for kernel in kernels() {
            let mut buffers: Vec<_> = burst
                .iter()
                .map(|plain| [&plain.header[..], &[0; 8], &plain.body, &[0; 8 + 15]].concat())
                .collect();
            let mut jobs: Vec<_> = burst
                .iter()
                .zip(&mut buffers)
                .map(|(plain, buf)| SealJob {
                    key: &plain.key,
                    pn: plain.pn,
                    header_len: plain.header.len(),
                    buf,
                    spare: 15,
                    ..SealJob::idle()
                })
                .collect();
            kernel.seal(&mut jobs);
            prop_assert!(jobs.iter().all(|job| job.done));
            for ((plain, buffer), expected) in burst.iter().zip(&buffers).zip(&expected) {
                prop_assert_eq!(&buffer[plain.header.len() + 8..buffer.len() - 15], expected.as_slice());
            }
            let mut jobs: Vec<_> = burst
                .iter()
                .zip(&mut buffers)
                .map(|(plain, buf)| OpenJob {
                    key: &plain.key,
                    header_len: plain.header.len(),
                    buf,
                    spare: 15,
                    ..OpenJob::idle()
                })
                .collect();
            kernel.open(&mut jobs);
            prop_assert!(jobs.iter().all(|job| job.done));
            for (plain, buffer) in burst.iter().zip(&buffers) {
                prop_assert_eq!(&buffer[plain.header.len() + 8..][..plain.body.len()], plain.body.as_slice());
            }
        }
    }
}

/// 802.11-2020 Annex J.6.4.
#[test]
fn the_example_of_the_standard() {
    let key = 0xc97c_1f67_ce37_1185_514a_8a19_f2bd_d52f_u128.to_be_bytes();
    let header =
        b"\x08\x48\xc3\x2c\x0f\xd2\xe1\x28\xa5\x7c\x50\x30\xf1\x84\x44\x08\xab\xae\xa5\xb8\xfc\xba\x80\x33";
    let body = b"\xf8\xba\x1a\x55\xd0\x2f\x85\xae\x96\x7b\xb6\x2f\xb6\xcd\xa8\xeb\x7e\x78\xa0\x50";
    let sealed = b"\x0c\xe7\x00\x20\x76\x97\x03\xb5\
        \xf3\xd0\xa2\xfe\x9a\x3d\xbf\x23\x42\xa6\x43\xe4\x32\x46\xe8\x0c\x3c\x04\xd0\x19\
        \x78\x45\xce\x0b\x16\xf9\x76\x23";
    for kernel in kernels() {
        let mut buf = [&header[..], &[0; 8], body, &[0; 8], &[0; 16]].concat();
        let job = SealJob {
            key: &key,
            pn: 0xb503_9776_e70c,
            header_len: 24,
            buf: &mut buf,
            spare: 16,
            ..SealJob::idle()
        };
        let mut jobs = [job];
        kernel.seal(&mut jobs);
        assert!(jobs[0].done);
        assert_eq!(buf[..60], [&header[..], sealed].concat(), "{kernel:?}");
        let mut jobs = [OpenJob { key: &key, header_len: 24, buf: &mut buf, spare: 16, ..OpenJob::idle() }];
        kernel.open(&mut jobs);
        assert!(jobs[0].done);
        assert_eq!(&buf[32..52], body, "{kernel:?}");
    }
}
