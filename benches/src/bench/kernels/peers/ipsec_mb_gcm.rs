//! Intel's Multi-Buffer Crypto for IPsec: its AES-GCM-128, one frame after the other.

use std::ffi::c_void;

use super::super::Contender;
use super::super::work::{Keys, Work};
use super::ipsec_mb::{Frame, Manager};

/// A key with its rounds and powers of the hash key.
#[repr(C, align(64))]
#[derive(Clone)]
struct Schedule([u8; 1024]);

const EMPTY: Schedule = Schedule([0; 1024]);

unsafe extern "C" {
    fn bench_ipsec_mb_gcm_schedule() -> usize;
    fn bench_ipsec_mb_gcm_expand(manager: *mut c_void, key: *const u8, schedule: *mut Schedule);
    fn bench_ipsec_mb_gcm(manager: *mut c_void, frame: *mut Frame, seal: i32) -> i32;
}

/// A manager, and the keys it is to use.
pub struct IpsecMbGcm {
    name: &'static str,
    manager: Manager,
    /// All of the working set; empty: a key is expanded when a frame needs it.
    stored: Vec<Schedule>,
    scratch: Box<Schedule>,
}

impl IpsecMbGcm {
    /// For these keys, expanded before or with each frame; tables call it `name`.
    ///
    /// # Panics
    /// If there is no memory, or its keys are larger than ours have room for.
    pub fn new(name: &'static str, keys: &Keys, before: bool) -> IpsecMbGcm {
        // SAFETY: it returns a constant.
        assert!(unsafe { bench_ipsec_mb_gcm_schedule() } <= size_of::<Schedule>(), "room for a schedule");
        let manager = Manager::new(false);
        let stored = keys.keys.iter().filter(|_| before).map(|key| {
            let mut schedule = EMPTY;
            expand(manager.as_ptr(), &key.0, &mut schedule);
            schedule
        });
        IpsecMbGcm { name, stored: stored.collect(), manager, scratch: Box::new(EMPTY) }
    }

    fn burst(&mut self, work: &mut Work, seal: bool) -> usize {
        let Work { frames, keys, .. } = work;
        let mut right = 0;
        for frame in frames {
            let schedule = match self.stored.get(frame.key) {
                Some(schedule) => schedule,
                None => {
                    expand(self.manager.as_ptr(), &keys.keys[frame.key].0, &mut self.scratch);
                    &self.scratch
                }
            };
            // The first octet of CCM's nonce is flags; what follows is GCM's.
            let (nonce, aad, len) = (frame.nonce[1..].as_ptr(), frame.aad.as_ptr(), frame.len as u64);
            let (body, mic) = frame.parts_of::<16>();
            let (body, mic) = (body.as_mut_ptr(), mic.as_mut_ptr());
            let schedule = std::ptr::from_ref(schedule).cast();
            let mut job = Frame { schedule, body, len, nonce, aad, mic, computed: [0; 16] };
            // SAFETY: every pointer is to as many octets as the library reads or writes there, and the frame is the caller's alone.
            right += unsafe { bench_ipsec_mb_gcm(self.manager.as_ptr(), &mut job, seal.into()) };
        }
        right as usize
    }
}

fn expand(manager: *mut c_void, key: &[u8; 16], schedule: &mut Schedule) {
    // SAFETY: 16 octets are read; the schedule has room for what is written, which was asserted when its manager was made.
    unsafe { bench_ipsec_mb_gcm_expand(manager, key.as_ptr(), schedule) };
}

impl Contender for IpsecMbGcm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn seal(&mut self, work: &mut Work) {
        self.burst(work, true);
    }

    fn open(&mut self, work: &mut Work) -> usize {
        self.burst(work, false)
    }
}
