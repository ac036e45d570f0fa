//! GCMP-128 and GCMP-256 (802.11-2020 §12.5.5) for bursts of frames of different keys and lengths, in place.
//!
//! A frame is sealed by AES in counter mode and a sum over its blocks, GHASH, of which each block takes part multiplied by another power of
//! the number H, the encrypted zero block. Unlike CCMP's, none of that is serial. What is serial is making a key ready, and every frame of a
//! burst has another: for a short frame that costs more than the frame. So there are two steps, and a lane is something else in each:
//!
//! ```text
//!                      lane 0        lane 1        lane 2        lane 3        (512 bits; 256: two lanes, AES-NI: one)
//! 1. make ready, for eight frames together: a lane is a frame
//!    round key r      | frame a     | frame b     | frame c     | frame d     |   and a second register with e, f, g, h
//!    H, H², …, H¹⁹    | of a        | of b        | of c        | of d        |
//!    E(counter 1)     | of a        | of b        | of c        | of d        |   hides the sum, which makes it the MIC
//! 2. one frame after the other: a lane is a block
//!    counters         | n           | n + 1       | n + 2       | n + 3       |   four such at a time: a stride of 16 blocks
//!    round key r      | the frame's, from its lane above, in all four         |
//!    block reversed   | n           | n + 1       | n + 2       | n + 3       |   times
//!    power            | Hᵏ          | Hᵏ⁻¹        | Hᵏ⁻²        | Hᵏ⁻³        |   added up, reduced once a stride
//!
//! in memory, for each frame:   H¹⁹ H¹⁸ … H² H¹ 0 0 0 0 0
//!                                      └─── a load from anywhere in it fits: blocks behind the last meet zeros
//! ```
//!
//! * Keys are expanded anew in each burst, and only 16 or 32 octets a key are kept: as for CCMP, with many stations the memory for more would
//!   cost more. AESENCLAST does SubWord ([`kernel`]); the chain of an expansion is as long for eight frames as for one.
//! * Only as many powers of H are made as the longest frame of the eight needs: seven for 64 octets, nineteen from a stride on. Each comes from
//!   two of half the exponent, so the chain is short there too.
//! * A frame shorter than a stride is one sum with one reduction: two blocks of additional data, the body, the block of lengths.
//! * There is no interleaving by hand in the second step: strides and frames depend on each other so little that the processor finds it.
//!   For that, nothing is loaded that has just been stored in parts, which would wait for everything before it.
//! * The last blocks are read and written whole: behind the body there is the room of the MIC. What is not body is masked out of the sum.
//! * The kernel decrypts while it adds up, and wipes a frame whose MIC is wrong: its plain text is never seen.
//!
//! The kernel is written once, over [`isa::Isa`], without `unsafe`. Without these instructions, frames go through the reference,
//! [`dot11::gcmp`].

#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "there is no kernel for other processors")
)]
mod ghash;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "there is no kernel for other processors")
)]
mod isa;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "there is no kernel for other processors")
)]
mod kernel;
mod prepare;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86;

use dot11::gcmp::{Gcmp, Gcmp256};
use dot11::rsn::{Tk, Tk256};
use kernel::Task;

use super::{Kernel, OpenJob, SealJob, Suite, open_by, seal_by};

/// Rounds of AES-128 (FIPS 197 §5).
const ROUNDS_128: usize = 10;
/// Rounds of AES-256.
const ROUNDS_256: usize = 14;

/// Seals those of the jobs that are for GCMP-128.
pub(super) fn seal_128(kernel: Kernel, jobs: &mut [SealJob<'_>]) {
    let tasks = jobs.iter_mut().filter_map(|job| {
        let key = job.key::<16>(Suite::Gcmp128)?;
        prepare::seal(job, key)
    });
    if !run::<ROUNDS_128, true>(kernel, tasks) {
        for job in jobs {
            let Some(key) = job.key(Suite::Gcmp128) else { continue };
            seal_by(Gcmp::new(&Tk::new(*key)), job);
        }
    }
}

/// Seals those of the jobs that are for GCMP-256.
pub(super) fn seal_256(kernel: Kernel, jobs: &mut [SealJob<'_>]) {
    let tasks = jobs.iter_mut().filter_map(|job| {
        let key = job.key::<32>(Suite::Gcmp256)?;
        prepare::seal(job, key)
    });
    if !run::<ROUNDS_256, true>(kernel, tasks) {
        for job in jobs {
            let Some(key) = job.key(Suite::Gcmp256) else { continue };
            seal_by(Gcmp256::new(&Tk256::new(*key)), job);
        }
    }
}

/// Opens those of the jobs that are for GCMP-128.
pub(super) fn open_128(kernel: Kernel, jobs: &mut [OpenJob<'_>]) {
    let tasks = jobs.iter_mut().filter_map(|job| {
        let key = job.key::<16>(Suite::Gcmp128)?;
        prepare::open(job, key)
    });
    if !run::<ROUNDS_128, false>(kernel, tasks) {
        for job in jobs {
            let Some(key) = job.key(Suite::Gcmp128) else { continue };
            open_by(Gcmp::new(&Tk::new(*key)), job);
        }
    }
}

/// Opens those of the jobs that are for GCMP-256.
pub(super) fn open_256(kernel: Kernel, jobs: &mut [OpenJob<'_>]) {
    let tasks = jobs.iter_mut().filter_map(|job| {
        let key = job.key::<32>(Suite::Gcmp256)?;
        prepare::open(job, key)
    });
    if !run::<ROUNDS_256, false>(kernel, tasks) {
        for job in jobs {
            let Some(key) = job.key(Suite::Gcmp256) else { continue };
            open_by(Gcmp256::new(&Tk256::new(*key)), job);
        }
    }
}

/// Does all tasks with this kernel or the next slower one that this processor has; returns whether there is one, or else does nothing.
#[cfg(target_arch = "x86_64")]
fn run<'a, const ROUNDS: usize, const SEAL: bool>(
    kernel: Kernel,
    tasks: impl Iterator<Item = Task<'a>>,
) -> bool {
    if kernel == Kernel::Vaes512
        && let Some(isa) = x86::Vaes512::detect()
    {
        isa.run::<ROUNDS, SEAL>(tasks);
    } else if matches!(kernel, Kernel::Vaes512 | Kernel::Vaes256)
        && let Some(isa) = x86::Vaes256::detect()
    {
        isa.run::<ROUNDS, SEAL>(tasks);
    } else if kernel != Kernel::Portable
        && let Some(isa) = x86::AesNi::detect()
    {
        isa.run::<ROUNDS, SEAL>(tasks);
    } else {
        return false;
    }
    true
}

/// The same for ARMv8, which has one kernel.
#[cfg(target_arch = "aarch64")]
fn run<'a, const ROUNDS: usize, const SEAL: bool>(
    kernel: Kernel,
    tasks: impl Iterator<Item = Task<'a>>,
) -> bool {
    if kernel == Kernel::Armv8
        && let Some(isa) = aarch64::Armv8::detect()
    {
        isa.run::<ROUNDS, SEAL>(tasks);
        return true;
    }
    false
}

/// Does nothing: there is no kernel for this processor.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn run<'a, const ROUNDS: usize, const SEAL: bool>(_: Kernel, _: impl Iterator<Item = Task<'a>>) -> bool {
    false
}
