//! CCMP-128 (802.11-2020 §12.5.3) for bursts of frames of different keys and lengths, in place.
//!
//! [`prepare`] reads the MAC headers, [`engine`] is the structure of all kernels and explains why it is fast, the files named after processors
//! say what a vector is there. A frame that no kernel takes (management, an empty body, no room behind it) goes through the reference,
//! [`dot11::ccmp`], as all do on a processor without AES instructions.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod engine;
mod prepare;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use dot11::ccmp::{Ccmp, Pn};
use dot11::rsn::Tk;

use super::{OpenJob, SealJob};
use crate::packet::BURST;

/// Blocks of the longest body that kernels take: an A-MSDU of 7935 octets has 496.
const MAX_BLOCKS: usize = 512;

/// Ways of doing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kernel {
    /// The reference, one frame after the other.
    Portable = 1,
    /// AES-NI: four frames at a time.
    AesNi,
    /// VAES in 256-bit registers: eight frames at a time.
    Vaes256,
    /// VAES in 512-bit registers: eight frames at a time.
    Vaes512,
}

impl Kernel {
    /// All of them, the slowest first.
    pub const ALL: [Kernel; 4] = [Kernel::Portable, Kernel::AesNi, Kernel::Vaes256, Kernel::Vaes512];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
            Kernel::AesNi => "aes-ni",
            Kernel::Vaes256 => "vaes-256",
            Kernel::Vaes512 => "vaes-512",
        }
    }

    /// Whether this processor can run it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Kernel::Portable => true,
            Kernel::AesNi => {
                is_x86_feature_detected!("aes")
                    && is_x86_feature_detected!("ssse3")
                    && is_x86_feature_detected!("sse4.1")
            }
            Kernel::Vaes256 => {
                Kernel::AesNi.is_available()
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("vaes")
            }
            Kernel::Vaes512 => {
                Kernel::Vaes256.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    /// Whether this processor can run it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Kernel::Portable
    }

    /// The fastest that this processor can run.
    #[inline]
    pub fn best() -> Self {
        static BEST: AtomicU8 = AtomicU8::new(0);
        match BEST.load(Relaxed) {
            1 => Kernel::Portable,
            2 => Kernel::AesNi,
            3 => Kernel::Vaes256,
            4 => Kernel::Vaes512,
            _ => {
                let all = Kernel::ALL.into_iter().rev();
                let best = all.into_iter().find(|kernel| kernel.is_available()).unwrap_or(Kernel::Portable);
                BEST.store(best as u8, Relaxed);
                best
            }
        }
    }

    /// Seals every frame; see [`SealJob`].
    ///
    /// # Panics
    /// If the processor cannot run this kernel.
    pub fn seal(self, jobs: &mut [SealJob<'_>]) {
        assert!(self == Kernel::best() || self.is_available(), "no {} on this processor", self.name());
        for jobs in jobs.chunks_mut(BURST) {
            if self == Kernel::Portable {
                jobs.iter_mut().for_each(seal_one);
                continue;
            }
            // SAFETY: the processor has what the kernel needs.
            #[cfg(target_arch = "x86_64")]
            unsafe {
                match self {
                    Kernel::Portable => unreachable!("dealt with above"),
                    Kernel::AesNi => x86::seal_aes_ni(jobs),
                    Kernel::Vaes256 => x86::seal_vaes256(jobs),
                    Kernel::Vaes512 => x86::seal_vaes512(jobs),
                }
            }
        }
    }

    /// Opens every frame; see [`OpenJob`].
    ///
    /// # Panics
    /// If the processor cannot run this kernel.
    pub fn open(self, jobs: &mut [OpenJob<'_>]) {
        assert!(self == Kernel::best() || self.is_available(), "no {} on this processor", self.name());
        for jobs in jobs.chunks_mut(BURST) {
            if self == Kernel::Portable {
                jobs.iter_mut().for_each(open_one);
                continue;
            }
            // SAFETY: the processor has what the kernel needs.
            #[cfg(target_arch = "x86_64")]
            unsafe {
                match self {
                    Kernel::Portable => unreachable!("dealt with above"),
                    Kernel::AesNi => x86::open_aes_ni(jobs),
                    Kernel::Vaes256 => x86::open_vaes256(jobs),
                    Kernel::Vaes512 => x86::open_vaes512(jobs),
                }
            }
        }
    }
}

/// Seals a frame by the reference.
fn seal_one(job: &mut SealJob<'_>) {
    let frame = job.frame_len();
    let ccmp = Ccmp::new(&Tk::new(*job.key)).with_spp_amsdu(job.spp_amsdu);
    job.done = Pn::new(job.pn)
        .is_some_and(|pn| ccmp.seal_in_place(job.header_len, job.key_id, pn, &mut job.buf[..frame]).is_ok());
}

/// Opens a frame by the reference.
fn open_one(job: &mut OpenJob<'_>) {
    let frame = job.frame_len();
    let ccmp = Ccmp::new(&Tk::new(*job.key)).with_spp_amsdu(job.spp_amsdu);
    job.done = ccmp.open_in_place(job.header_len, &mut job.buf[..frame]).is_ok();
}
