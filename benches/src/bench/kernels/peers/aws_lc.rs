//! aws-lc's AEADs: that for Bluetooth, whose parameters are those of CCMP-128 (MIC of 8 octets, length of 2), and AES-GCM.

use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys::{
    EVP_AEAD_CTX, EVP_AEAD_CTX_cleanup, EVP_AEAD_CTX_init, EVP_AEAD_CTX_open_gather,
    EVP_AEAD_CTX_seal_scatter, EVP_aead_aes_128_ccm_bluetooth_8, EVP_aead_aes_128_gcm,
};
use dataplane::packet::BURST;

use super::super::Contender;
use super::super::work::{Frame, Key, Keys, Work};

/// Which of its AEADs, and where the keys are expanded.
pub struct AwsLc {
    name: &'static str,
    aead: Aead,
    /// Of all keys; empty: a key is expanded with each frame.
    contexts: Vec<Context>,
}

#[derive(Clone, Copy)]
enum Aead {
    Ccm,
    Gcm,
}

struct Context(EVP_AEAD_CTX);

impl AwsLc {
    /// CCM for these keys. With a working set no larger than a burst they are expanded before; else with each frame.
    pub fn ccm(keys: &Keys) -> AwsLc {
        AwsLc::new("aws-lc", Aead::Ccm, keys, keys.keys.len() <= BURST)
    }

    /// GCM for these keys, expanded before or with each frame; tables call it `name`.
    pub fn gcm(name: &'static str, keys: &Keys, before: bool) -> AwsLc {
        AwsLc::new(name, Aead::Gcm, keys, before)
    }

    fn new(name: &'static str, aead: Aead, keys: &Keys, before: bool) -> AwsLc {
        let contexts = keys.keys.iter().filter(|_| before).map(|key| aead.context(key)).collect();
        AwsLc { name, aead, contexts }
    }
}

impl Aead {
    fn context(self, key: &Key) -> Context {
        let mut context = MaybeUninit::uninit();
        // SAFETY: it reads 16 octets of key and initialises the context, which can be moved: state with pointers to itself would be of an
        // algorithm that is none of these.
        unsafe {
            let (aead, mic) = match self {
                Aead::Ccm => (EVP_aead_aes_128_ccm_bluetooth_8(), 8),
                Aead::Gcm => (EVP_aead_aes_128_gcm(), 16),
            };
            let right =
                EVP_AEAD_CTX_init(context.as_mut_ptr(), aead, key.0.as_ptr(), 16, mic, ptr::null_mut());
            assert_eq!(right, 1, "aws-lc takes CCMP's and GCMP's parameters");
            Context(context.assume_init())
        }
    }

    /// The first octet of CCM's nonce is flags; what follows is GCM's (802.11-2020 §12.5.5.3.4).
    fn nonce(self, nonce: &[u8; 13]) -> &[u8] {
        match self {
            Aead::Ccm => nonce,
            Aead::Gcm => &nonce[1..],
        }
    }

    fn parts(self, frame: &mut Frame) -> (&mut [u8], &mut [u8]) {
        match self {
            Aead::Ccm => {
                let (body, mic) = frame.parts_of::<8>();
                (body, mic)
            }
            Aead::Gcm => {
                let (body, mic) = frame.parts_of::<16>();
                (body, mic)
            }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was initialised by `context`, and is not used again.
        unsafe { EVP_AEAD_CTX_cleanup(&mut self.0) };
    }
}

fn seal(Context(context): &Context, aead: Aead, frame: &mut Frame) -> bool {
    let (nonce, aad, mut len) = (frame.nonce, frame.aad, 0);
    let nonce = aead.nonce(&nonce);
    let (body, mic) = aead.parts(frame);
    // SAFETY: every pointer is to as many octets as its length says; in place is allowed.
    let right = unsafe {
        EVP_AEAD_CTX_seal_scatter(
            context,
            body.as_mut_ptr(),
            mic.as_mut_ptr(),
            &mut len,
            mic.len(),
            nonce.as_ptr(),
            nonce.len(),
            body.as_ptr(),
            body.len(),
            ptr::null(),
            0,
            aad.as_ptr(),
            aad.len(),
        )
    };
    right == 1
}

fn open(Context(context): &Context, aead: Aead, frame: &mut Frame) -> bool {
    let (nonce, aad) = (frame.nonce, frame.aad);
    let nonce = aead.nonce(&nonce);
    let (body, mic) = aead.parts(frame);
    // SAFETY: as above.
    let right = unsafe {
        EVP_AEAD_CTX_open_gather(
            context,
            body.as_mut_ptr(),
            nonce.as_ptr(),
            nonce.len(),
            body.as_ptr(),
            body.len(),
            mic.as_ptr(),
            mic.len(),
            aad.as_ptr(),
            aad.len(),
        )
    };
    right == 1
}

impl AwsLc {
    fn burst(&self, work: &mut Work, run: fn(&Context, Aead, &mut Frame) -> bool) -> usize {
        let Work { frames, keys, .. } = work;
        let one = |frame: &mut Frame| match self.contexts.get(frame.key) {
            Some(context) => run(context, self.aead, frame),
            None => run(&self.aead.context(&keys.keys[frame.key]), self.aead, frame),
        };
        frames.iter_mut().map(one).filter(|&right| right).count()
    }
}

impl Contender for AwsLc {
    fn name(&self) -> &'static str {
        self.name
    }

    fn seal(&mut self, work: &mut Work) {
        assert_eq!(self.burst(work, seal), work.frames.len(), "aws-lc seals");
    }

    fn open(&mut self, work: &mut Work) -> usize {
        self.burst(work, open)
    }
}
