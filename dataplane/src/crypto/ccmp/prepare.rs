//! From jobs to what the kernels run on: B0, AAD and a place to work at, for each frame that CCMP protects; and back.

use std::mem::MaybeUninit;

use dot11::ccmp::{HEADER_LEN, MIC_LEN};

use super::{MAX_BLOCKS, open_one, seal_one};
use crate::crypto::{OpenJob, SealJob, Suite};
use crate::packet::BURST;

/// Octets of the MAC header and what follows it that are always there: 24 and the CCMP header.
const FRONT: usize = 32;
/// In the second octet of Frame Control.
const PROTECTED: u8 = 0x40;
/// In the fourth octet of the CCMP header.
const EXTENDED_IV: u8 = 0x20;

/// One frame for a kernel.
///
/// `key` points to 16 octets; `body` to `16 * blocks`, of which the first `len` are the frame's body, and what is behind these may be
/// overwritten. No two frames overlap.
#[repr(C, align(16))]
pub struct Frame {
    /// First block of the CBC-MAC (RFC 3610 §2.2).
    pub b0: [u64; 2],
    /// The two blocks of AAD: its length in the first two octets, then up to 30 octets, then zeros.
    pub aad: [u64; 4],
    /// Out: the encrypted MIC in the first half.
    pub mic: MaybeUninit<[u64; 2]>,
    /// In, when opening: the MIC that came.
    pub expected: u64,
    /// The temporal key.
    pub key: *const u8,
    /// Where the body begins.
    pub body: *mut u8,
    /// Its octets, at least 1.
    pub len: usize,
    /// Its blocks.
    pub blocks: usize,
    /// Which job it is of.
    job: usize,
}

impl Frame {
    /// # Safety
    /// A kernel has written it.
    #[inline(always)]
    unsafe fn mic(&self) -> u64 {
        // SAFETY: as the caller says.
        unsafe { self.mic.assume_init()[0] }
    }
}

/// The frames of a burst.
pub struct Frames {
    frames: [MaybeUninit<Frame>; BURST],
    /// Lengths, made distinct by what comes first.
    keys: [i16; BURST],
    order: [u8; BURST],
    len: usize,
    longest: usize,
    shortest: usize,
}

/// Keys of frames that are not there: the smallest, and distinct.
const ABSENT: [i16; BURST] = {
    let mut keys = [0; BURST];
    let mut i = 0;
    while i < BURST {
        keys[i] = -1 - i as i16;
        i += 1;
    }
    keys
};
const IN_ORDER: [u8; BURST] = {
    let mut order = [0; BURST];
    let mut i = 0;
    while i < BURST {
        order[i] = i as u8;
        i += 1;
    }
    order
};

/// What a frame that is none has: all zero.
static IDLE: [u64; 16] = [0; 16];

const _: () = assert!(size_of::<Frame>() <= size_of_val(&IDLE));

impl Frames {
    /// None yet.
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            frames: [const { MaybeUninit::uninit() }; BURST],
            keys: ABSENT,
            order: IN_ORDER,
            len: 0,
            longest: 0,
            shortest: usize::MAX,
        }
    }

    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Blocks of the longest.
    #[inline(always)]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Whether all have as many blocks.
    #[inline(always)]
    pub fn is_even(&self) -> bool {
        self.shortest == self.longest
    }

    /// The `n`th of them, the longest first; `None` if there are not so many.
    #[inline(always)]
    pub fn in_order(&mut self, n: usize) -> Option<*mut Frame> {
        (n < self.len).then(|| self.frames[usize::from(self.order[n]) % BURST].as_mut_ptr())
    }

    /// A frame to read blocks of zeros from.
    #[inline(always)]
    pub fn idle(&self) -> *mut Frame {
        (&raw const IDLE).cast_mut().cast()
    }

    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn push(
        &mut self,
        header: Header,
        Place { len, blocks }: Place,
        pn: u64,
        body: *mut u8,
        key: &[u8; 16],
        expected: u64,
        job: usize,
    ) {
        self.longest = self.longest.max(blocks);
        self.shortest = self.shortest.min(blocks);
        let b0 = [header.nonce, (pn << 16 | len as u64).swap_bytes()];
        let (aad, mic, key) = (header.aad, MaybeUninit::uninit(), key.as_ptr());
        let n = self.len % BURST;
        self.keys[n] = (blocks * BURST + BURST - 1 - n) as i16;
        self.frames[n].write(Frame { b0, aad, mic, expected, key, body, len, blocks, job });
        self.len = n + 1;
    }

    fn all(&self) -> &[Frame] {
        // SAFETY: the first `len` were written by `push`.
        unsafe { std::slice::from_raw_parts(self.frames.as_ptr().cast(), self.len) }
    }

    /// Finds the order: how many frames are longer than one, or as long and before it, is its place. No branches that depend on lengths, and
    /// loops of constant length, which become a few dozen vector instructions.
    #[inline(always)]
    fn sort(&mut self) {
        if self.is_even() {
            return;
        }
        let mut places = [0i16; BURST];
        for i in 0..BURST {
            let key = self.keys[i];
            for (place, &other) in places.iter_mut().zip(&self.keys) {
                *place += i16::from(key > other);
            }
        }
        // What is not there is behind all the others.
        for (i, &place) in places.iter().enumerate() {
            self.order[place as usize % BURST] = i as u8;
        }
    }
}

const _: () = assert!(MAX_BLOCKS * BURST + BURST <= i16::MAX as usize);

/// Takes the jobs that a kernel can do and puts their CCMP headers in; the others go through the reference. Returns the
/// [bits](Suite::bit) of the suites of those that are not for CCMP-128, and so not dealt with.
#[inline(always)]
pub fn seal_jobs(jobs: &mut [SealJob<'_>], frames: &mut Frames) -> u8 {
    let mut others = 0;
    for (i, job) in jobs.iter_mut().enumerate() {
        let Some(key) = job.key(Suite::Ccmp128) else {
            job.done = false;
            others |= job.suite.bit();
            continue;
        };
        if let Some((header, place)) = read(job.buf, job.spare, job.header_len, job.spp_amsdu)
            && job.pn >> 48 == 0
        {
            job.buf[1] |= PROTECTED;
            let ccmp_header =
                job.pn & 0xffff | u64::from(0x20 | (job.key_id & 3) << 6) << 24 | job.pn >> 16 << 32;
            job.buf[job.header_len..][..HEADER_LEN].copy_from_slice(&ccmp_header.to_le_bytes());
            let body = job.buf[job.header_len + HEADER_LEN..].as_mut_ptr();
            frames.push(header, place, job.pn, body, key, 0, i);
        } else {
            seal_one(job);
        }
    }
    frames.sort();
    others
}

/// Takes the jobs that a kernel can do; the others go through the reference. Returns the
/// [bits](Suite::bit) of the suites of those that are not for CCMP-128, and so not dealt with.
#[inline(always)]
pub fn open_jobs(jobs: &mut [OpenJob<'_>], frames: &mut Frames) -> u8 {
    let mut others = 0;
    for (i, job) in jobs.iter_mut().enumerate() {
        let Some(key) = job.key(Suite::Ccmp128) else {
            job.done = false;
            others |= job.suite.bit();
            continue;
        };
        if let Some((header, place)) = read(job.buf, job.spare, job.header_len, job.spp_amsdu)
            && job.buf[1] & PROTECTED != 0
            && job.buf[job.header_len + 3] & EXTENDED_IV != 0
        {
            let body = &mut job.buf[job.header_len..];
            let ccmp_header = word(body);
            let pn = ccmp_header & 0xffff | ccmp_header >> 32 << 16;
            let expected = word(&body[HEADER_LEN + place.len..]);
            frames.push(header, place, pn, body[HEADER_LEN..].as_mut_ptr(), key, expected, i);
        } else {
            open_one(job);
        }
    }
    frames.sort();
    others
}

/// Puts the MICs in.
///
/// # Safety
/// A kernel has run over the frames.
#[inline(always)]
pub unsafe fn sealed(frames: &Frames, jobs: &mut [SealJob<'_>]) {
    for frame in frames.all() {
        let job = &mut jobs[frame.job];
        let at = job.header_len + HEADER_LEN + frame.len;
        // SAFETY: as the caller says.
        let mic = unsafe { frame.mic() };
        job.buf[at..at + MIC_LEN].copy_from_slice(&mic.to_le_bytes());
        job.done = true;
    }
}

/// Compares the MICs, each in one comparison of 64 bits; a frame whose MIC is wrong loses its plain text.
///
/// # Safety
/// A kernel has run over the frames.
#[inline(always)]
pub unsafe fn opened(frames: &Frames, jobs: &mut [OpenJob<'_>]) {
    for frame in frames.all() {
        let job = &mut jobs[frame.job];
        // SAFETY: as the caller says.
        job.done = unsafe { frame.mic() } == frame.expected;
        if !job.done {
            wipe(job, frame.len);
        }
    }
}

#[cold]
fn wipe(job: &mut OpenJob<'_>, len: usize) {
    job.buf[job.header_len + HEADER_LEN..][..len].fill(0);
}

/// What the MAC header says for B0 and AAD.
struct Header {
    /// Flags of B0, TID and A2.
    nonce: u64,
    aad: [u64; 4],
}

/// How long the body is.
#[derive(Clone, Copy)]
struct Place {
    len: usize,
    blocks: usize,
}

/// Reads what is a data frame with `header_len` octets of header, a body, and room behind it; `None` for any other (802.11-2020 §12.5.3.3.3,
/// §12.5.3.3.4).
#[inline(always)]
fn read(buf: &[u8], spare: usize, header_len: usize, spp_amsdu: bool) -> Option<(Header, Place)> {
    let front: &[u8; FRONT] = buf.first_chunk()?;
    // Wraps to something too large where the frame is too short.
    let len = buf.len().wrapping_sub(spare).wrapping_sub(header_len).wrapping_sub(HEADER_LEN + MIC_LEN);
    let blocks = len.wrapping_add(15) / 16;
    // All blocks of the body, the last one whole, are within the buffer.
    if len.wrapping_sub(1) >= 16 * MAX_BLOCKS || header_len + HEADER_LEN + 16 * blocks > buf.len() {
        return None;
    }
    let (w0, w1, w2, w3) = (word(front), word(&front[8..]), word(&front[16..]), word(&front[24..]));
    let control = w0 & 0xffff;
    // Version 0, type Data, and not one of the subtypes without data (§9.2.4.1.3).
    if control & 0x004f != 0x0008 {
        return None;
    }
    let qos = control >> 7 & 1;
    let four = (control >> 8 & 1) & (control >> 9 & 1);
    let ht_control = control >> 15 & qos;
    if header_len as u64 != 24 + 6 * four + 2 * qos + 4 * ht_control {
        return None;
    }
    // Out go subtype bits 4 to 6, Retry, Power Management, More Data, in QoS data +HTC/Order; Protected Frame is set.
    let masked = control & !(0x3870 | qos << 15) | 0x4000;
    let aad_len = 22 + 6 * four + 2 * qos;
    let keep = 0x0f | u64::from(spp_amsdu) << 7;
    let shift = 48 * four;
    let qos_control = (w3 >> shift) & keep & qos.wrapping_neg();
    let addr4 = w3 & 0xffff_ffff_ffff & four.wrapping_neg();
    let aad = [
        aad_len << 8 | masked << 16 | w0 & 0xffff_ffff_0000_0000,
        w1,
        // Of Sequence Control, the fragment number stays.
        w2 & 0x000f_ffff_ffff_ffff,
        addr4 | qos_control << shift,
    ];
    let nonce = w1 & !0xffff | (qos_control & 0x0f) << 8 | 0x59;
    Some((Header { nonce, aad }, Place { len, blocks }))
}

#[inline(always)]
fn word(octets: &[u8]) -> u64 {
    match octets.first_chunk() {
        Some(&octets) => u64::from_le_bytes(octets),
        None => 0,
    }
}
