//! Intel's Multi-Buffer Crypto for IPsec: its AES-CCM-128 over bursts of jobs, on the instruction set that it chooses itself.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use dataplane::packet::BURST;
use dataplane::prefetch::{prefetch, prefetch_all};

use super::super::Contender;
use super::super::work::{Keys, Work};

/// One frame, as ipsec_mb.c reads it.
#[repr(C)]
pub struct Frame {
    pub schedule: *const c_void,
    pub body: *mut u8,
    pub len: u64,
    pub nonce: *const u8,
    pub aad: *const u8,
    pub mic: *mut u8,
    pub computed: [u8; 16],
}

/// A key with its rounds: 176 octets.
#[repr(C, align(64))]
#[derive(Clone)]
struct Schedule([u8; 192]);

const EMPTY: Schedule = Schedule([0; 192]);

unsafe extern "C" {
    fn bench_ipsec_mb_new(avx2: i32, arch: *mut u32) -> *mut c_void;
    fn bench_ipsec_mb_free(manager: *mut c_void);
    fn bench_ipsec_mb_expand(
        manager: *mut c_void,
        key: *const u8,
        schedule: *mut Schedule,
        unused: *mut Schedule,
    );
    fn bench_ipsec_mb_burst(manager: *mut c_void, frames: *mut Frame, count: u32, seal: i32) -> u32;
    fn bench_ipsec_mb_right(frames: *const Frame, count: u32) -> u32;
}

/// How it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// At its best, keys expanded before.
    Stored,
    /// At its best, keys expanded with each frame.
    Expanding,
    /// As on a processor without AVX-512, keys expanded before.
    Avx2,
}

/// A manager: which functions it uses, and jobs under way.
pub struct Manager {
    manager: NonNull<c_void>,
    arch: u32,
}

impl Manager {
    /// At its best, or held to AVX2, which the processor must have then.
    ///
    /// # Panics
    /// If there is no memory.
    pub fn new(avx2: bool) -> Manager {
        let mut arch = 0;
        // SAFETY: it writes one number; AVX2 is only asked for where the processor has it.
        let manager = unsafe { bench_ipsec_mb_new(avx2.into(), &mut arch) };
        Manager { manager: NonNull::new(manager).expect("memory for ipsec-mb"), arch }
    }

    /// For the library.
    pub fn as_ptr(&self) -> *mut c_void {
        self.manager.as_ptr()
    }
}

/// A manager, and the keys it is to use.
pub struct IpsecMb {
    how: Use,
    manager: Manager,
    frames: Vec<Frame>,
    /// All of the working set; empty: a key is expanded when a frame needs it.
    stored: Vec<Schedule>,
    scratch: Vec<Schedule>,
}

impl IpsecMb {
    /// For these keys.
    ///
    /// # Panics
    /// If there is no memory.
    pub fn new(keys: &Keys, how: Use) -> IpsecMb {
        let manager = Manager::new(how == Use::Avx2);
        let (frames, scratch) = (Vec::new(), vec![EMPTY; BURST]);
        let mut this = IpsecMb { how, manager, frames, stored: Vec::new(), scratch };
        if how != Use::Expanding {
            let expand = |key: &super::super::work::Key| {
                let mut schedule = EMPTY;
                this.expand(&key.0, &mut schedule);
                schedule
            };
            this.stored = keys.keys.iter().map(expand).collect();
        }
        this
    }

    /// The instruction set it uses.
    pub fn arch(&self) -> &'static str {
        match self.manager.arch {
            1 => "no AES-NI",
            2 => "SSE",
            3 => "AVX",
            4 => "AVX2",
            5 => "AVX-512",
            _ => "unknown",
        }
    }

    fn expand(&self, key: &[u8; 16], schedule: &mut Schedule) {
        let mut unused = EMPTY;
        // SAFETY: 16 octets are read, 176 of each schedule written.
        unsafe { bench_ipsec_mb_expand(self.manager.as_ptr(), key.as_ptr(), schedule, &mut unused) };
    }

    fn burst(&mut self, work: &Work, seal: bool) {
        if self.stored.is_empty() {
            let keys = &work.keys.keys;
            work.frames.iter().for_each(|frame| prefetch(&keys[frame.key]));
            let mut scratch = std::mem::take(&mut self.scratch);
            for (schedule, frame) in scratch.iter_mut().zip(&work.frames) {
                self.expand(&keys[frame.key].0, schedule);
            }
            self.scratch = scratch;
        } else {
            work.frames.iter().for_each(|frame| prefetch_all(&self.stored[frame.key]));
        }
        let count = self.frames.len() as u32;
        // SAFETY: `prepare` made every pointer from `work`, which has not moved or changed since and is the caller's alone.
        let done = unsafe {
            bench_ipsec_mb_burst(self.manager.as_ptr(), self.frames.as_mut_ptr(), count, seal.into())
        };
        assert_eq!(done, count, "ipsec-mb completes a burst");
    }
}

impl Contender for IpsecMb {
    fn name(&self) -> &'static str {
        match self.how {
            Use::Stored => "ipsec-mb",
            Use::Expanding => "ipsec-mb+key",
            Use::Avx2 => "ipsec-mb AVX2",
        }
    }

    fn prepare(&mut self, work: &mut Work) {
        self.frames.clear();
        for (place, frame) in work.frames.iter_mut().enumerate() {
            let schedule = match self.stored.get(frame.key) {
                Some(schedule) => schedule,
                None => &self.scratch[place],
            };
            let schedule = ptr::from_ref(schedule).cast();
            let (nonce, aad, len) = (frame.nonce.as_ptr(), frame.aad.as_ptr(), frame.len as u64);
            let (body, mic) = frame.parts();
            let (body, mic) = (body.as_mut_ptr(), mic.as_mut_ptr());
            self.frames.push(Frame { schedule, body, len, nonce, aad, mic, computed: [0; 16] });
        }
    }

    fn seal(&mut self, work: &mut Work) {
        self.burst(work, true);
    }

    fn open(&mut self, work: &mut Work) -> usize {
        self.burst(work, false);
        // SAFETY: as in `burst`.
        let right = unsafe { bench_ipsec_mb_right(self.frames.as_ptr(), self.frames.len() as u32) };
        right as usize
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // SAFETY: it was made by `bench_ipsec_mb_new`, and is not used again.
        unsafe { bench_ipsec_mb_free(self.as_ptr()) };
    }
}
