//! The gateway's own kernels: whole frames, as the stages give them.

use dataplane::crypto::{Kernel, OpenJob, SealJob};
use dataplane::packet::BURST;
use dataplane::prefetch::prefetch;

use super::Contender;
use super::work::{Frame, HEADER, SPARE, Work};

/// A kernel.
pub struct Ours {
    kernel: Kernel,
    name: &'static str,
}

impl Ours {
    /// The one that the gateway chooses here, and then the others, but for the portable one.
    pub fn all() -> Vec<Ours> {
        let best = Kernel::best();
        let others = Kernel::ALL.into_iter().rev();
        let others =
            others.filter(|&kernel| kernel.is_available() && kernel != best && kernel != Kernel::Portable);
        let others = others.map(|kernel| Ours { kernel, name: kernel.name() });
        std::iter::once(Ours { kernel: best, name: "ours" }).chain(others).collect()
    }
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn seal(&mut self, work: &mut Work) {
        let (suite, keys) = (work.suite, &work.keys.keys);
        work.frames.iter().for_each(|frame| prefetch(&keys[frame.key]));
        let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
        for (job, frame) in jobs.iter_mut().zip(&mut work.frames) {
            let Frame { key, pn, buf, .. } = frame;
            let key = &keys[*key].0;
            *job = SealJob { suite, key, pn: *pn, header_len: HEADER, buf, spare: SPARE, ..SealJob::idle() };
        }
        self.kernel.seal(&mut jobs);
    }

    fn open(&mut self, work: &mut Work) -> usize {
        let (suite, keys) = (work.suite, &work.keys.keys);
        work.frames.iter().for_each(|frame| prefetch(&keys[frame.key]));
        let mut jobs: [OpenJob<'_>; BURST] = std::array::from_fn(|_| OpenJob::idle());
        for (job, frame) in jobs.iter_mut().zip(&mut work.frames) {
            let Frame { key, buf, .. } = frame;
            let key = &keys[*key].0;
            *job = OpenJob { suite, key, header_len: HEADER, buf, spare: SPARE, ..OpenJob::idle() };
        }
        self.kernel.open(&mut jobs);
        jobs.iter().filter(|job| job.done).count()
    }
}
