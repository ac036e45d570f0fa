//! CCMP over a whole burst of frames, every frame under a key of its own.
//!
//! This interface is what the stages are written against; what is behind it may run many frames at once, because the CBC-MAC of one frame is
//! serial and a burst is not.

pub mod ccmp;

pub use ccmp::Kernel;

/// One frame to seal.
///
/// `buf` is MAC header, a hole of 8 octets, plain body, a hole of 8 octets, and `spare` octets behind the frame; sealing fills the holes and
/// sets the Protected Frame bit, and may leave anything in the spare octets. With 15 of them a frame can take the fast way.
pub struct SealJob<'a> {
    /// The temporal key.
    pub key: &'a [u8; 16],
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
    /// Out: whether it was sealed. It is unless it is no frame that CCMP protects.
    pub done: bool,
}

/// One frame to open.
///
/// `buf` is MAC header, CCMP header, encrypted body, MIC, and `spare` octets behind the frame. Afterwards the plain body lies between header
/// and MIC, if the MIC was right, and zeros if not; in the place of the MIC and in the spare octets there may be anything.
pub struct OpenJob<'a> {
    /// The temporal key.
    pub key: &'a [u8; 16],
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

impl SealJob<'_> {
    /// A job that asks for nothing, to fill arrays with.
    pub const fn idle() -> Self {
        SealJob {
            key: &IDLE_KEY,
            key_id: 0,
            spp_amsdu: false,
            pn: 0,
            header_len: 0,
            buf: &mut [],
            spare: 0,
            done: false,
        }
    }

    /// Octets of the frame.
    #[inline(always)]
    fn frame_len(&self) -> usize {
        self.buf.len().saturating_sub(self.spare)
    }
}

impl OpenJob<'_> {
    /// A job that asks for nothing, to fill arrays with.
    pub const fn idle() -> Self {
        OpenJob { key: &IDLE_KEY, spp_amsdu: false, header_len: 0, buf: &mut [], spare: 0, done: false }
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

static IDLE_KEY: [u8; 16] = [0; 16];

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
