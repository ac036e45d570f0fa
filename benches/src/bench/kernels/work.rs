//! The frames that kernels seal and open: bursts of 32, each frame under another key.
//!
//! A frame is what a gateway has: QoS header with three addresses, room for the CCMP or GCMP header, body, room for the MIC. Kernels that only know
//! CCM or GCM get nonce and additional data ready-made, outside of the timing.

use dataplane::crypto::{self, SealJob, Suite};
use dataplane::packet::BURST;
use dot11::build::DataHeader;
use dot11::ccmp::{self, MAX_AAD_LEN};
use dot11::{Frame as View, MacAddr, QosControl};

/// Octets of the MAC header.
pub const HEADER: usize = 26;
/// Octets before the body.
pub const BODY: usize = HEADER + ccmp::HEADER_LEN;
/// Octets of additional data (802.11-2020 §12.5.3.3.3).
pub const AAD: usize = 24;
/// Octets behind a frame that nobody cares for: packets have tailroom.
pub const SPARE: usize = 16;
/// Longest body.
pub const LONGEST: usize = 1500;

/// A key on a cache line of its own, as in a table of stations.
#[repr(align(64))]
#[derive(Clone)]
pub struct Key(pub [u8; 16]);

/// A working set of keys.
pub struct Keys {
    /// What kernels are timed with.
    pub keys: Vec<Key>,
    state: u64,
}

/// How long bodies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// All the same.
    Fixed(usize),
    /// 64, 576 and 1500 octets, 7:4:1, in random order.
    Imix,
    /// Anything from 1 to 1500.
    Random,
}

/// One frame.
pub struct Frame {
    /// Which key.
    pub key: usize,
    /// Octets of the body.
    pub len: usize,
    /// Packet number.
    pub pn: u64,
    /// Of CCM; without its first octet, of GCM.
    pub nonce: [u8; 13],
    /// Additional data.
    pub aad: [u8; AAD],
    /// Header, CCMP or GCMP header, body, MIC, spare octets.
    pub buf: Vec<u8>,
}

/// A burst of frames.
pub struct Work {
    /// The frames.
    pub frames: Vec<Frame>,
    /// The keys.
    pub keys: Keys,
    /// What they are for.
    pub suite: Suite,
    sizes: Sizes,
    pn: u64,
}

impl Sizes {
    /// As the tables say it.
    pub fn name(self) -> String {
        match self {
            Sizes::Fixed(octets) => octets.to_string(),
            Sizes::Imix => "IMIX".to_owned(),
            Sizes::Random => "random".to_owned(),
        }
    }

    /// Octets of an average body.
    pub fn mean(self) -> usize {
        match self {
            Sizes::Fixed(octets) => octets,
            Sizes::Imix => (7 * 64 + 4 * 576 + 1500) / 12,
            Sizes::Random => LONGEST / 2,
        }
    }
}

impl Keys {
    /// So many.
    pub fn new(count: usize) -> Keys {
        Keys { keys: (0..count).map(|n| Key(key(n))).collect(), state: 1 }
    }

    fn random(&mut self) -> u64 {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// The `n`th key, from nowhere in memory.
fn key(n: usize) -> [u8; 16] {
    let mut key = [0x3c; 16];
    key[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

impl Work {
    /// With this many keys, of 16 octets.
    pub fn new(suite: Suite, keys: usize) -> Work {
        let frame = |n: usize| {
            let mac = |m| MacAddr([2, 0, 0, 0, m, n as u8]);
            let buf =
                DataHeader::to_ap(mac(1), mac(2), mac(3), Some(QosControl::new(n as u8 % 8))).frame(&[]);
            let mut aad = [0; MAX_AAD_LEN];
            let view = View::parse(&buf).expect("a frame of our own");
            assert_eq!((ccmp::aad(&view, &mut aad), view.header_len()), (AAD, HEADER));
            let aad = aad[..AAD].try_into().expect("as long");
            Frame { key: 0, len: 0, pn: 0, nonce: [0; 13], aad, buf }
        };
        let frames = (0..BURST).map(frame).collect();
        Work { frames, keys: Keys::new(keys), suite, sizes: Sizes::Fixed(64), pn: 0 }
    }

    /// How long bodies are from now on.
    pub fn set_sizes(&mut self, sizes: Sizes) {
        self.sizes = sizes;
    }

    /// Octets of the bodies of this burst.
    pub fn octets(&self) -> usize {
        self.frames.iter().map(|frame| frame.len).sum()
    }

    /// The next burst, in clear. With a working set no larger than a burst every frame has its own key; else keys are drawn at random.
    pub fn next(&mut self) {
        let keys = self.keys.keys.len();
        for (n, frame) in self.frames.iter_mut().enumerate() {
            self.pn += 1;
            let random = self.keys.random();
            frame.key = if keys <= BURST { n % keys } else { random as usize % keys };
            frame.len = match self.sizes {
                Sizes::Fixed(octets) => octets,
                Sizes::Imix => match (random >> 40) % 12 {
                    0..7 => 64,
                    7..11 => 576,
                    _ => 1500,
                },
                Sizes::Random => 1 + (random >> 40) as usize % LONGEST,
            };
            frame.pn = self.pn;
            frame.nonce[0] = frame.buf[24] & 0x0f;
            frame.nonce[1..7].copy_from_slice(&frame.buf[10..16]);
            frame.nonce[7..].copy_from_slice(&self.pn.to_be_bytes()[2..]);
            // Not protected yet: sealing sets the bit.
            frame.buf[1] &= !0x40;
            frame.buf.resize(BODY + frame.len + self.suite.mic_len() + SPARE, 0x55);
        }
    }

    /// The next burst, sealed. The keys that kernels are timed with are not touched: who opens it finds them where the cache has them.
    ///
    /// # Panics
    /// If a frame was not sealed.
    pub fn next_sealed(&mut self) {
        self.next();
        let keys: [[u8; 16]; BURST] = std::array::from_fn(|n| key(self.frames[n].key));
        let suite = self.suite;
        let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
        for ((job, frame), key) in jobs.iter_mut().zip(&mut self.frames).zip(&keys) {
            let Frame { pn, buf, .. } = frame;
            *job = SealJob { suite, key, pn: *pn, header_len: HEADER, buf, spare: SPARE, ..SealJob::idle() };
        }
        crypto::seal(&mut jobs);
        assert!(jobs.iter().all(|job| job.done), "every frame is sealed");
    }
}

impl Frame {
    /// Body and MIC, of CCMP-128.
    pub fn parts(&mut self) -> (&mut [u8], &mut [u8; 8]) {
        self.parts_of()
    }

    /// Body and MIC of so many octets.
    pub fn parts_of<const MIC: usize>(&mut self) -> (&mut [u8], &mut [u8; MIC]) {
        let (body, mic) = self.buf[BODY..].split_at_mut(self.len);
        (body, mic.first_chunk_mut().expect("a MIC behind every body"))
    }
}
