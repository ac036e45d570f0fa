//! OpenSSL's EVP interface.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use dataplane::packet::BURST;

use super::super::Contender;
use super::super::work::{Keys, Work};

unsafe extern "C" {
    fn EVP_CIPHER_CTX_new() -> *mut c_void;
    fn EVP_CIPHER_CTX_free(context: *mut c_void);
    fn EVP_CIPHER_fetch(library: *mut c_void, algorithm: *const i8, properties: *const i8) -> *mut c_void;
    fn EVP_CIPHER_CTX_ctrl(context: *mut c_void, kind: c_int, number: c_int, data: *mut c_void) -> c_int;
    fn EVP_CipherInit_ex(
        context: *mut c_void,
        cipher: *const c_void,
        engine: *mut c_void,
        key: *const u8,
        iv: *const u8,
        encrypt: c_int,
    ) -> c_int;
    fn EVP_CipherUpdate(
        context: *mut c_void,
        out: *mut u8,
        out_len: *mut c_int,
        input: *const u8,
        len: c_int,
    ) -> c_int;
}

const SET_NONCE_LEN: c_int = 0x9;
const GET_TAG: c_int = 0x10;
const SET_TAG: c_int = 0x11;

/// Contexts for both directions: one for each key where these are few, else one that takes the key of each frame.
pub struct OpenSsl {
    seal: Vec<Context>,
    open: Vec<Context>,
}

struct Context(NonNull<c_void>);

impl OpenSsl {
    /// For these keys.
    ///
    /// # Panics
    /// If the library has no AES-CCM.
    pub fn new(keys: &Keys) -> OpenSsl {
        let few = keys.keys.len() <= BURST;
        let contexts = |encrypt| {
            let keys = keys.keys.iter().take(if few { BURST } else { 1 });
            keys.map(|key| Context::new(&key.0, encrypt)).collect()
        };
        OpenSsl { seal: contexts(1), open: contexts(0) }
    }
}

impl Context {
    fn new(key: &[u8; 16], encrypt: c_int) -> Context {
        // SAFETY: as the library's manual has it: cipher first, then the lengths of nonce and MIC, then the key of 16 octets. A name ends with
        // a zero. Null means what it says: defaults, and no key or nonce yet.
        unsafe {
            let cipher = EVP_CIPHER_fetch(ptr::null_mut(), c"AES-128-CCM".as_ptr(), ptr::null());
            assert!(!cipher.is_null(), "OpenSSL has AES-128-CCM");
            let context = NonNull::new(EVP_CIPHER_CTX_new()).expect("memory for OpenSSL");
            let c = context.as_ptr();
            let mut right = EVP_CipherInit_ex(c, cipher, ptr::null_mut(), ptr::null(), ptr::null(), encrypt);
            right &= EVP_CIPHER_CTX_ctrl(c, SET_NONCE_LEN, 13, ptr::null_mut());
            right &= EVP_CIPHER_CTX_ctrl(c, SET_TAG, 8, ptr::null_mut());
            right &= EVP_CipherInit_ex(c, ptr::null(), ptr::null_mut(), key.as_ptr(), ptr::null(), encrypt);
            assert_eq!(right, 1, "OpenSSL takes CCMP's parameters");
            Context(context)
        }
    }

    /// Nonce (and key, unless it is there), total length, additional data, body.
    fn run(
        &self,
        key: Option<&[u8; 16]>,
        nonce: &[u8; 13],
        aad: &[u8],
        body: &mut [u8],
        mic: &mut [u8; 8],
        seal: bool,
    ) -> bool {
        let (c, none, mut len) = (self.0.as_ptr(), ptr::null_mut(), 0);
        let key = key.map_or(ptr::null(), |key| key.as_ptr());
        let total = body.len() as c_int;
        // SAFETY: every pointer is to as many octets as its length says; body is encrypted in place, which CCM allows.
        unsafe {
            if !seal && EVP_CIPHER_CTX_ctrl(c, SET_TAG, 8, mic.as_mut_ptr().cast()) != 1 {
                return false;
            }
            let mut right = EVP_CipherInit_ex(c, ptr::null(), none, key, nonce.as_ptr(), seal.into());
            right &= EVP_CipherUpdate(c, ptr::null_mut(), &mut len, ptr::null(), total);
            right &= EVP_CipherUpdate(c, ptr::null_mut(), &mut len, aad.as_ptr(), aad.len() as c_int);
            right &= EVP_CipherUpdate(c, body.as_mut_ptr(), &mut len, body.as_ptr(), total);
            if seal {
                right &= EVP_CIPHER_CTX_ctrl(c, GET_TAG, 8, mic.as_mut_ptr().cast());
            }
            right == 1
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was made by `EVP_CIPHER_CTX_new`, and is not used again.
        unsafe { EVP_CIPHER_CTX_free(self.0.as_ptr()) };
    }
}

impl Contender for OpenSsl {
    fn name(&self) -> &'static str {
        "OpenSSL"
    }

    fn seal(&mut self, work: &mut Work) {
        assert_eq!(burst(&self.seal, work, true), work.frames.len(), "OpenSSL seals");
    }

    fn open(&mut self, work: &mut Work) -> usize {
        burst(&self.open, work, false)
    }
}

fn burst(contexts: &[Context], work: &mut Work, seal: bool) -> usize {
    let Work { frames, keys, .. } = work;
    let mut right = 0;
    for frame in frames {
        let (context, key) = match contexts {
            [context] if keys.keys.len() > 1 => (context, Some(&keys.keys[frame.key].0)),
            contexts => (&contexts[frame.key], None),
        };
        let (nonce, aad) = (frame.nonce, frame.aad);
        let (body, mic) = frame.parts();
        right += usize::from(context.run(key, &nonce, &aad, body, mic, seal));
    }
    right
}
