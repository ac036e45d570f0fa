//! aws-lc's AEAD for Bluetooth, whose parameters are those of CCMP-128: MIC of 8 octets, length of 2.

use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys::{
    EVP_AEAD_CTX, EVP_AEAD_CTX_cleanup, EVP_AEAD_CTX_init, EVP_AEAD_CTX_open_gather,
    EVP_AEAD_CTX_seal_scatter, EVP_aead_aes_128_ccm_bluetooth_8,
};
use dataplane::packet::BURST;

use super::super::Contender;
use super::super::work::{Frame, Keys, Work};

/// With a working set no larger than a burst keys are expanded before; else with each frame.
pub struct AwsLc(Vec<Context>);

struct Context(EVP_AEAD_CTX);

impl AwsLc {
    /// For these keys.
    pub fn new(keys: &Keys) -> AwsLc {
        let few = keys.keys.len() <= BURST;
        AwsLc(keys.keys.iter().filter(|_| few).map(|key| Context(init(&key.0))).collect())
    }
}

fn init(key: &[u8; 16]) -> EVP_AEAD_CTX {
    let mut context = MaybeUninit::uninit();
    // SAFETY: it reads 16 octets of key and initialises the context, which can be moved: state with pointers to itself would be of an
    // algorithm that is not this one.
    unsafe {
        let aead = EVP_aead_aes_128_ccm_bluetooth_8();
        let right = EVP_AEAD_CTX_init(context.as_mut_ptr(), aead, key.as_ptr(), 16, 8, ptr::null_mut());
        assert_eq!(right, 1, "aws-lc takes CCMP's parameters");
        context.assume_init()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was initialised by `init`, and is not used again.
        unsafe { EVP_AEAD_CTX_cleanup(&mut self.0) };
    }
}

fn seal(context: &EVP_AEAD_CTX, frame: &mut Frame) -> bool {
    let (nonce, aad, mut len) = (frame.nonce, frame.aad, 0);
    let (body, mic) = frame.parts();
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

fn open(context: &EVP_AEAD_CTX, frame: &mut Frame) -> bool {
    let (nonce, aad) = (frame.nonce, frame.aad);
    let (body, mic) = frame.parts();
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
    fn burst(&self, work: &mut Work, run: fn(&EVP_AEAD_CTX, &mut Frame) -> bool) -> usize {
        let Work { frames, keys, .. } = work;
        let one = |frame: &mut Frame| match self.0.get(frame.key) {
            Some(context) => run(&context.0, frame),
            None => run(&Context(init(&keys.keys[frame.key].0)).0, frame),
        };
        frames.iter_mut().map(one).filter(|&right| right).count()
    }
}

impl Contender for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn seal(&mut self, work: &mut Work) {
        assert_eq!(self.burst(work, seal), work.frames.len(), "aws-lc seals");
    }

    fn open(&mut self, work: &mut Work) -> usize {
        self.burst(work, open)
    }
}
