//! CCMP and GCMP over a whole burst of frames, every frame under a key of its own, of whatever suite.
//!
//! This interface is what the stages are written against; what is behind it may run many frames at once, because the CBC-MAC of one frame is
//! serial and a burst is not.

pub mod ccmp;
mod gcmp;

pub use ccmp::Kernel;
/// Group-addressed management frames are few: they are protected one by one.
pub use dot11::bip;

use crate::packet::BURST;
use dot11::ccmp::{AeadInOut, MIC_LEN, MIC_LEN_256, Pn, Protection};

/// What protects a frame, by which key (802.11-2020 Table 9-149).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suite {
    /// CCMP-128: 16 octets of key.
    Ccmp128,
    /// CCMP-256: 32 octets of key.
    Ccmp256,
    /// GCMP-128: 16 octets of key.
    Gcmp128,
    /// GCMP-256: 32 octets of key.
    Gcmp256,
}

impl Suite {
    /// Octets of the key.
    #[inline]
    pub const fn key_len(self) -> usize {
        if matches!(self, Suite::Ccmp128 | Suite::Gcmp128) { 16 } else { 32 }
    }

    /// Octets of the MIC.
    #[inline]
    pub const fn mic_len(self) -> usize {
        if matches!(self, Suite::Ccmp128) { MIC_LEN } else { MIC_LEN_256 }
    }

    /// One bit, another for each.
    #[inline(always)]
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Whether it is among these bits.
    #[inline(always)]
    const fn is_in(self, bits: u8) -> bool {
        bits & self.bit() != 0
    }
}

/// One frame to seal.
///
/// `buf` is MAC header, a hole of 8 octets, plain body, a hole for the MIC ([`Suite::mic_len`]), and `spare` octets behind the frame; sealing fills the holes and
/// sets the Protected Frame bit, and may leave anything in the spare octets. With 15 of them a frame can take the fast way.
pub struct SealJob<'a> {
    /// The suite; [`Suite::Ccmp128`] in an idle job.
    pub suite: Suite,
    /// The temporal key, as long as the suite has it ([`Suite::key_len`]).
    pub key: &'a [u8],
    /// Its identifier, 0 to 3.
    pub key_id: u8,
    /// Whether SPP A-MSDUs were negotiated: the A-MSDU Present bit is authenticated (802.11-2020 §11.17).
    pub spp_amsdu: bool,
    /// The packet number, 1 to 2⁴⁸ − 1; the caller never gives the same one twice under a key.
    pub pn: u64,
    /// Octets of the MAC header.
    pub header_len: usize,
    /// The frame and what is behind it.
    pub buf: &'a mut [u8],
    /// Octets of `buf` that are not the frame's.
    pub spare: usize,
    /// Out: whether it was sealed. It is unless it is no frame that its suite protects, or the key is not as long.
    pub done: bool,
}

/// One frame to open.
///
/// `buf` is MAC header, CCMP or GCMP header, encrypted body, MIC, and `spare` octets behind the frame. Afterwards the plain body lies between header
/// and MIC, if the MIC was right, and zeros if not; in the place of the MIC and in the spare octets there may be anything.
pub struct OpenJob<'a> {
    /// The suite; [`Suite::Ccmp128`] in an idle job.
    pub suite: Suite,
    /// The temporal key, as long as the suite has it ([`Suite::key_len`]).
    pub key: &'a [u8],
    /// Whether SPP A-MSDUs were negotiated.
    pub spp_amsdu: bool,
    /// Octets of the MAC header.
    pub header_len: usize,
    /// The frame and what is behind it.
    pub buf: &'a mut [u8],
    /// Octets of `buf` that are not the frame's.
    pub spare: usize,
    /// Out: whether the MIC was right.
    pub done: bool,
}

impl<'a> SealJob<'a> {
    /// A job that asks for nothing, to fill arrays with.
    pub const fn idle() -> Self {
        SealJob {
            suite: Suite::Ccmp128,
            key: &[],
            key_id: 0,
            spp_amsdu: false,
            pn: 0,
            header_len: 0,
            buf: &mut [],
            spare: 0,
            done: false,
        }
    }

    /// The key, if the job is for this suite and the key is as long.
    #[inline(always)]
    fn key<const N: usize>(&self, suite: Suite) -> Option<&'a [u8; N]> {
        if self.suite == suite { self.key.try_into().ok() } else { None }
    }

    /// Octets of the frame.
    #[inline(always)]
    fn frame_len(&self) -> usize {
        self.buf.len().saturating_sub(self.spare)
    }
}

impl<'a> OpenJob<'a> {
    /// A job that asks for nothing, to fill arrays with.
    pub const fn idle() -> Self {
        OpenJob {
            suite: Suite::Ccmp128,
            key: &[],
            spp_amsdu: false,
            header_len: 0,
            buf: &mut [],
            spare: 0,
            done: false,
        }
    }

    /// The key, if the job is for this suite and the key is as long.
    #[inline(always)]
    fn key<const N: usize>(&self, suite: Suite) -> Option<&'a [u8; N]> {
        if self.suite == suite { self.key.try_into().ok() } else { None }
    }

    /// Octets of the frame.
    #[inline(always)]
    fn frame_len(&self) -> usize {
        self.buf.len().saturating_sub(self.spare)
    }
}

/// Seals every frame of a burst.
#[inline]
pub fn seal(jobs: &mut [SealJob<'_>]) {
    Kernel::best().seal(jobs);
}

/// Opens every frame of a burst.
#[inline]
pub fn open(jobs: &mut [OpenJob<'_>]) {
    Kernel::best().open(jobs);
}

impl Kernel {
    /// Seals every frame; see [`SealJob`].
    ///
    /// # Panics
    /// If the processor cannot run this kernel.
    #[inline]
    pub fn seal(self, jobs: &mut [SealJob<'_>]) {
        for jobs in jobs.chunks_mut(BURST) {
            let others = self.seal_ccmp_128(jobs);
            if others != 0 {
                self.seal_others(jobs, others);
            }
        }
    }

    /// Seals those of the jobs that are for other suites, which these are the bits of.
    #[cold]
    fn seal_others(self, jobs: &mut [SealJob<'_>], suites: u8) {
        if Suite::Ccmp256.is_in(suites) {
            ccmp::seal_256(jobs);
        }
        if Suite::Gcmp128.is_in(suites) {
            gcmp::seal_128(self, jobs);
        }
        if Suite::Gcmp256.is_in(suites) {
            gcmp::seal_256(self, jobs);
        }
    }

    /// Opens every frame; see [`OpenJob`].
    ///
    /// # Panics
    /// If the processor cannot run this kernel.
    #[inline]
    pub fn open(self, jobs: &mut [OpenJob<'_>]) {
        for jobs in jobs.chunks_mut(BURST) {
            let others = self.open_ccmp_128(jobs);
            if others != 0 {
                self.open_others(jobs, others);
            }
        }
    }

    /// Opens those of the jobs that are for other suites, which these are the bits of.
    #[cold]
    fn open_others(self, jobs: &mut [OpenJob<'_>], suites: u8) {
        if Suite::Ccmp256.is_in(suites) {
            ccmp::open_256(jobs);
        }
        if Suite::Gcmp128.is_in(suites) {
            gcmp::open_128(self, jobs);
        }
        if Suite::Gcmp256.is_in(suites) {
            gcmp::open_256(self, jobs);
        }
    }
}

/// Seals a frame by the reference.
fn seal_by<A: AeadInOut>(protection: Protection<A>, job: &mut SealJob<'_>) {
    let frame = job.frame_len();
    job.done = Pn::new(job.pn).is_some_and(|pn| {
        let protection = protection.with_spp_amsdu(job.spp_amsdu);
        protection.seal_in_place(job.header_len, job.key_id, pn, &mut job.buf[..frame]).is_ok()
    });
}

/// Opens a frame by the reference.
fn open_by<A: AeadInOut>(protection: Protection<A>, job: &mut OpenJob<'_>) {
    let frame = job.frame_len();
    let protection = protection.with_spp_amsdu(job.spp_amsdu);
    job.done = protection.open_in_place(job.header_len, &mut job.buf[..frame]).is_ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ccmp_does_not_protect_is_left_alone() {
        let mut buf = [0; 40];
        let mut jobs = [SealJob { header_len: 24, pn: 1, buf: &mut buf, ..SealJob::idle() }, SealJob::idle()];
        seal(&mut jobs);
        assert!(jobs.iter().all(|job| !job.done));
        let mut jobs = [OpenJob::idle()];
        open(&mut jobs);
        assert!(!jobs[0].done);
    }
}
