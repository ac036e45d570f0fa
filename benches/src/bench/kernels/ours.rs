//! The gateway's own kernels: whole frames, as the stages give them.

use dataplane::crypto::{self, OpenJob, SealJob};
use dataplane::packet::BURST;
use dataplane::prefetch::prefetch;

use super::Contender;
use super::work::{Frame, HEADER, Work};

/// The kernel that the gateway chooses here.
pub struct Ours;

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn seal(&mut self, work: &mut Work) {
        let keys = &work.keys.keys;
        work.frames.iter().for_each(|frame| prefetch(&keys[frame.key]));
        let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
        for (job, frame) in jobs.iter_mut().zip(&mut work.frames) {
            let Frame { key, pn, buf, .. } = frame;
            *job = SealJob { key: &keys[*key].0, key_id: 0, pn: *pn, header_len: HEADER, buf, done: false };
        }
        crypto::seal(&mut jobs);
    }

    fn open(&mut self, work: &mut Work) -> usize {
        let keys = &work.keys.keys;
        work.frames.iter().for_each(|frame| prefetch(&keys[frame.key]));
        let mut jobs: [OpenJob<'_>; BURST] = std::array::from_fn(|_| OpenJob::idle());
        for (job, frame) in jobs.iter_mut().zip(&mut work.frames) {
            let Frame { key, buf, .. } = frame;
            *job = OpenJob { key: &keys[*key].0, header_len: HEADER, buf, done: false };
        }
        crypto::open(&mut jobs);
        jobs.iter().filter(|job| job.done).count()
    }
}
