//! A processor that we have no kernel for.

use super::Kernel;
use crate::crypto::{OpenJob, SealJob};

/// Whether the processor can run a kernel.
pub fn has(_: Kernel) -> bool {
    false
}

/// Seals at most a burst of CCMP-128; the bits of the other suites there are.
///
/// # Safety
/// The processor can run the kernel.
pub unsafe fn seal(kernel: Kernel, _: &mut [SealJob<'_>]) -> u8 {
    unreachable!("no {} here", kernel.name())
}

/// Opens at most a burst of CCMP-128; the bits of the other suites there are.
///
/// # Safety
/// The processor can run the kernel.
pub unsafe fn open(kernel: Kernel, _: &mut [OpenJob<'_>]) -> u8 {
    unreachable!("no {} here", kernel.name())
}
