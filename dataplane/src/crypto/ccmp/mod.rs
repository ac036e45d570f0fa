//! CCMP-128 (802.11-2020 §12.5.3) for bursts of frames of different keys and lengths, in place.
//!
//! [`prepare`] reads the MAC headers, [`engine`] is the structure of all kernels and explains why it is fast, the files named after processors
//! say what a vector is there. A frame that no kernel takes (management, an empty body, no room behind it) goes through the reference,
//! [`dot11::ccmp`], as all do on a processor without AES instructions.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod engine;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod prepare;

#[cfg_attr(target_arch = "x86_64", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "other.rs")]
mod processor;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dot11::ccmp::{Ccmp, Ccmp256};
use dot11::rsn::{Tk, Tk256};

use super::{OpenJob, SealJob, Suite, open_by, seal_by};

/// Blocks of the longest body that kernels take: an A-MSDU of 7935 octets has 496.
const MAX_BLOCKS: usize = 512;

/// Ways of doing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The reference, one frame after the other.
    Portable,
    /// AES-NI: four frames at a time.
    AesNi,
    /// VAES in 256-bit registers: eight frames at a time.
    Vaes256,
    /// VAES in 512-bit registers: eight frames at a time.
    Vaes512,
    /// The AES extension of ARMv8: four frames at a time.
    Armv8,
}

impl Kernel {
    /// All of them, for every processor the slowest first.
    pub const ALL: [Kernel; 5] =
        [Kernel::Portable, Kernel::AesNi, Kernel::Vaes256, Kernel::Vaes512, Kernel::Armv8];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
            Kernel::AesNi => "aes-ni",
            Kernel::Vaes256 => "vaes-256",
            Kernel::Vaes512 => "vaes-512",
            Kernel::Armv8 => "armv8",
        }
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        self == Kernel::Portable || processor::has(self)
    }

    /// The fastest that this processor can run.
    #[inline]
    pub fn best() -> Self {
        /// A place in [`Kernel::ALL`], and beyond it as long as nobody has asked.
        static BEST: AtomicUsize = AtomicUsize::new(usize::MAX);
        match Kernel::ALL.get(BEST.load(Relaxed)) {
            Some(&kernel) => kernel,
            None => {
                let best = Kernel::ALL.iter().rposition(|kernel| kernel.is_available()).unwrap_or(0);
                BEST.store(best, Relaxed);
                Kernel::ALL[best]
            }
        }
    }

    /// Seals those of at most a burst of jobs that are for CCMP-128; the [bits](Suite::bit) of the suites of the others.
    #[inline]
    pub(super) fn seal_ccmp_128(self, jobs: &mut [SealJob<'_>]) -> u8 {
        self.demand();
        match self {
            Kernel::Portable => jobs.iter_mut().map(seal_one).fold(0, |bits, bit| bits | bit),
            // SAFETY: the processor has what the kernel needs.
            kernel => unsafe { processor::seal(kernel, jobs) },
        }
    }

    /// Opens those of at most a burst of jobs that are for CCMP-128; the [bits](Suite::bit) of the suites of the others.
    #[inline]
    pub(super) fn open_ccmp_128(self, jobs: &mut [OpenJob<'_>]) -> u8 {
        self.demand();
        match self {
            Kernel::Portable => jobs.iter_mut().map(open_one).fold(0, |bits, bit| bits | bit),
            // SAFETY: the processor has what the kernel needs.
            kernel => unsafe { processor::open(kernel, jobs) },
        }
    }

    #[inline]
    pub(super) fn demand(self) {
        assert!(self == Kernel::best() || self.is_available(), "no {} on this processor", self.name());
    }
}

/// Seals those of the jobs that are for CCMP-256, by the reference.
pub(super) fn seal_256(jobs: &mut [SealJob<'_>]) {
    for job in jobs {
        let Some(key) = job.key(Suite::Ccmp256) else { continue };
        seal_by(Ccmp256::new(&Tk256::new(*key)), job);
    }
}

/// Opens those of the jobs that are for CCMP-256, by the reference.
pub(super) fn open_256(jobs: &mut [OpenJob<'_>]) {
    for job in jobs {
        let Some(key) = job.key(Suite::Ccmp256) else { continue };
        open_by(Ccmp256::new(&Tk256::new(*key)), job);
    }
}

/// Seals a frame by the reference, if it is for CCMP-128; the bit of its suite if not.
fn seal_one(job: &mut SealJob<'_>) -> u8 {
    let Some(key) = job.key(Suite::Ccmp128) else {
        job.done = false;
        return job.suite.bit();
    };
    seal_by(Ccmp::new(&Tk::new(*key)), job);
    0
}

/// Opens a frame by the reference, if it is for CCMP-128; the bit of its suite if not.
fn open_one(job: &mut OpenJob<'_>) -> u8 {
    let Some(key) = job.key(Suite::Ccmp128) else {
        job.done = false;
        return job.suite.bit();
    };
    open_by(Ccmp::new(&Tk::new(*key)), job);
    0
}
