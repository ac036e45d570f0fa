//! CCMP over a whole burst of frames, every frame under a key of its own.
//!
//! This interface is what the stages are written against; what is behind it may run many frames at once, because the CBC-MAC of one frame is
//! serial and a burst is not. Behind it now is [`dot11::ccmp`], one frame after the other.

use dot11::ccmp::{self, Ccmp, Pn};
use dot11::rsn::Tk;

/// One frame to seal.
///
/// `buf` is MAC header, a hole of 8 octets, plain body, a hole of 8 octets; sealing fills the holes and sets the Protected Frame bit.
pub struct SealJob<'a> {
    /// The temporal key.
    pub key: &'a [u8; 16],
    /// Its identifier, 0 to 3.
    pub key_id: u8,
    /// The packet number, 1 to 2⁴⁸ − 1; the caller never gives the same one twice under a key.
    pub pn: u64,
    /// Octets of the MAC header.
    pub header_len: usize,
    /// The frame.
    pub buf: &'a mut [u8],
    /// Out: whether it was sealed. It is unless it is no frame that CCMP protects.
    pub done: bool,
}

/// One frame to open.
///
/// `buf` is MAC header, CCMP header, encrypted body, MIC. Afterwards the plain body lies between the two, if the MIC was right; if not, it
/// is not to be used.
pub struct OpenJob<'a> {
    /// The temporal key.
    pub key: &'a [u8; 16],
    /// Octets of the MAC header.
    pub header_len: usize,
    /// The frame.
    pub buf: &'a mut [u8],
    /// Out: whether the MIC was right.
    pub done: bool,
}

impl SealJob<'_> {
    /// A job that asks for nothing, to fill arrays with.
    pub const fn idle() -> Self {
        SealJob { key: &IDLE_KEY, key_id: 0, pn: 0, header_len: 0, buf: &mut [], done: false }
    }
}

impl OpenJob<'_> {
    /// A job that asks for nothing, to fill arrays with.
    pub const fn idle() -> Self {
        OpenJob { key: &IDLE_KEY, header_len: 0, buf: &mut [], done: false }
    }
}

/// Seals every frame of a burst.
pub fn seal(jobs: &mut [SealJob<'_>]) {
    for job in jobs {
        job.done = Pn::new(job.pn).is_some_and(|pn| {
            Ccmp::new(&Tk::new(*job.key)).seal_in_place(job.header_len, job.key_id, pn, job.buf).is_ok()
        });
    }
}

/// Opens every frame of a burst.
pub fn open(jobs: &mut [OpenJob<'_>]) {
    for job in jobs {
        job.done = ccmp::open_in_place(&Tk::new(*job.key), job.header_len, job.buf).is_ok();
    }
}

static IDLE_KEY: [u8; 16] = [0; 16];

#[cfg(test)]
mod tests {
    use super::*;
    use dot11::build::DataHeader;
    use dot11::{MacAddr, QosControl};
    use proptest::prelude::*;

    fn plain(n: usize, body: &[u8]) -> Vec<u8> {
        let mac = |m: u8| MacAddr([2, 0, 0, 0, m, n as u8]);
        let qos = n.is_multiple_of(2).then(|| QosControl::new(n as u8 % 16));
        DataHeader::to_ap(mac(1), mac(2), mac(3), qos).frame(body)
    }

    proptest! {
        #[test]
        fn a_burst_equals_single_frames(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..32),
            keys: [u8; 16],
            pn in 1u64..1 << 48,
            broken in proptest::collection::vec(any::<bool>(), 32),
        ) {
            let keys: Vec<_> = (0..bodies.len()).map(|i| { let mut k = keys; k[0] ^= i as u8; k }).collect();
            let frames: Vec<_> = bodies.iter().enumerate().map(|(i, body)| plain(i, body)).collect();
            let header = |i: usize| frames[i].len() - bodies[i].len();
            let mut buffers: Vec<_> = (0..frames.len())
                .map(|i| [&frames[i][..header(i)], &[0; 8], &bodies[i], &[0; 8]].concat())
                .collect();
            let mut jobs: Vec<_> = buffers.iter_mut().enumerate()
                .map(|(i, buf)| SealJob { key: &keys[i], key_id: 1, pn, header_len: header(i), buf, done: false })
                .collect();
            seal(&mut jobs);
            prop_assert!(jobs.iter().all(|job| job.done));
            for (i, frame) in frames.iter().enumerate() {
                let expected = ccmp::seal(&Tk::new(keys[i]), 1, Pn::new(pn).unwrap(), frame).unwrap();
                prop_assert_eq!(&buffers[i], &expected);
                if broken[i] {
                    *buffers[i].last_mut().unwrap() ^= 1;
                }
            }
            let mut jobs: Vec<_> = buffers.iter_mut().enumerate()
                .map(|(i, buf)| OpenJob { key: &keys[i], header_len: header(i), buf, done: false })
                .collect();
            open(&mut jobs);
            for (i, job) in jobs.iter().enumerate() {
                prop_assert_eq!(job.done, !broken[i]);
                if job.done {
                    prop_assert_eq!(&job.buf[job.header_len + 8..job.buf.len() - 8], bodies[i].as_slice());
                }
            }
        }
    }

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
