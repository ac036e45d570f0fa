//! Every kernel of every suite against the reference: all lengths, all forms of header and AAD, mixed bursts, wrong MICs.

use dataplane::crypto::{Kernel, OpenJob, SealJob, Suite};
use dataplane::packet::BURST;
use dot11::ccmp::{Ccmp, Ccmp256, Pn};
use dot11::gcmp::{Gcmp, Gcmp256};
use dot11::rsn::{Tk, Tk256};
use proptest::prelude::*;

const SUITES: [Suite; 4] = [Suite::Ccmp128, Suite::Ccmp256, Suite::Gcmp128, Suite::Gcmp256];

/// The headers that are protected: Frame Control and what follows the first 24 octets.
const FORMS: [(&str, u16, usize); 10] = [
    ("data", 0x0108, 24),
    ("data from the distribution system, retry, more data", 0x2a08, 24),
    ("data with the order bit", 0x8108, 24),
    ("fragment", 0x0508, 24),
    ("qos data", 0x0188, 26),
    ("qos data with ht control", 0x8188, 30),
    ("four addresses", 0x0308, 30),
    ("qos data with four addresses", 0x0388, 32),
    ("qos data with four addresses and ht control", 0x8388, 36),
    ("robust management", 0x00d0, 24),
];

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
}

fn kernels_and_suites() -> impl Iterator<Item = (Kernel, Suite)> {
    // CCMP-256 has no kernels.
    let there = |(kernel, suite): &_| *suite != Suite::Ccmp256 || *kernel == Kernel::Portable;
    kernels().flat_map(|kernel| SUITES.map(|suite| (kernel, suite))).filter(there)
}

/// A sequence of octets without visible order.
struct Octets(u64);

impl Octets {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 56) as u8
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from_le_bytes([self.next(), self.next(), self.next(), 0, 0, 0, 0, 0]) % n
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next())
    }
}

/// A plain frame with what it is to be sealed under.
#[derive(Clone, Debug)]
struct Plain {
    suite: Suite,
    key: [u8; 32],
    key_id: u8,
    pn: u64,
    spp_amsdu: bool,
    header_len: usize,
    /// Header and body.
    frame: Vec<u8>,
    /// Octets behind the frame.
    spare: usize,
    /// Octets in front of it: no kernel may count on alignment.
    shift: usize,
}

impl Plain {
    fn new(suite: Suite, octets: &mut Octets, form: usize, body: usize, spare: usize) -> Self {
        let (_, control, header_len) = FORMS[form % FORMS.len()];
        let mut frame: Vec<u8> = (0..header_len + body).map(|_| octets.next()).collect();
        frame[..2].copy_from_slice(&control.to_le_bytes());
        let pn = u64::from_le_bytes(octets.array()) >> 16;
        Self {
            suite,
            key: octets.array(),
            key_id: octets.next() & 3,
            pn,
            spp_amsdu: octets.next() & 1 == 1,
            header_len,
            frame,
            spare,
            shift: octets.below(16),
        }
    }

    fn short_key(&self) -> &[u8; 16] {
        self.key.first_chunk().unwrap()
    }

    fn key(&self) -> &[u8] {
        &self.key[..self.suite.key_len()]
    }

    fn mic_len(&self) -> usize {
        self.suite.mic_len()
    }

    fn reference(&self) -> Vec<u8> {
        let (short, long) = (Tk::new(*self.short_key()), Tk256::new(self.key));
        let (spp, id, pn) = (self.spp_amsdu, self.key_id, Pn::new(self.pn).unwrap());
        let sealed = match self.suite {
            Suite::Ccmp128 => Ccmp::new(&short).with_spp_amsdu(spp).seal(id, pn, &self.frame),
            Suite::Ccmp256 => Ccmp256::new(&long).with_spp_amsdu(spp).seal(id, pn, &self.frame),
            Suite::Gcmp128 => Gcmp::new(&short).with_spp_amsdu(spp).seal(id, pn, &self.frame),
            Suite::Gcmp256 => Gcmp256::new(&long).with_spp_amsdu(spp).seal(id, pn, &self.frame),
        };
        sealed.unwrap()
    }

    /// The frame with holes, as it lies in a packet's buffer.
    fn buffer(&self) -> Vec<u8> {
        let (header, body) = self.frame.split_at(self.header_len);
        let (front, spare) = (vec![0xee; self.shift], vec![0xcc; self.spare]);
        [&front, header, &[0xdd; 8], body, &vec![0xdd; self.mic_len()], &spare].concat()
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.shift..self.shift + self.frame.len() + 8 + self.mic_len()
    }
}

fn seal(kernel: Kernel, plain: &[Plain], buffers: &mut [Vec<u8>]) -> Vec<bool> {
    let mut jobs: Vec<_> = plain
        .iter()
        .zip(buffers)
        .map(|(plain, buffer)| SealJob {
            suite: plain.suite,
            key: plain.key(),
            key_id: plain.key_id,
            spp_amsdu: plain.spp_amsdu,
            pn: plain.pn,
            header_len: plain.header_len,
            buf: &mut buffer[plain.shift..],
            spare: plain.spare,
            done: false,
        })
        .collect();
    kernel.seal(&mut jobs);
    jobs.iter().map(|job| job.done).collect()
}

fn open(kernel: Kernel, plain: &[Plain], buffers: &mut [Vec<u8>]) -> Vec<bool> {
    let mut jobs: Vec<_> = plain
        .iter()
        .zip(buffers)
        .map(|(plain, buffer)| OpenJob {
            suite: plain.suite,
            key: plain.key(),
            spp_amsdu: plain.spp_amsdu,
            header_len: plain.header_len,
            buf: &mut buffer[plain.shift..],
            spare: plain.spare,
            done: false,
        })
        .collect();
    kernel.open(&mut jobs);
    jobs.iter().map(|job| job.done).collect()
}

/// Seals, compares with the reference, opens, compares with the plain frames.
fn round_trip(kernel: Kernel, plain: &[Plain]) {
    let mut buffers: Vec<_> = plain.iter().map(Plain::buffer).collect();
    let done = seal(kernel, plain, &mut buffers);
    assert!(done.iter().all(|&done| done), "{kernel:?}");
    for (plain, buffer) in plain.iter().zip(&buffers) {
        assert!(buffer[plain.range()] == plain.reference(), "{kernel:?} seals otherwise: {plain:?}");
        assert!(buffer[..plain.shift].iter().all(|&octet| octet == 0xee), "what is in front stays");
    }
    let done = open(kernel, plain, &mut buffers);
    for ((plain, buffer), done) in plain.iter().zip(&buffers).zip(done) {
        assert!(done, "{kernel:?} does not open {plain:?}");
        let body = &buffer[plain.range()][plain.header_len + 8..][..plain.frame.len() - plain.header_len];
        assert!(body == &plain.frame[plain.header_len..], "{kernel:?} opens otherwise: {plain:?}");
        assert!(buffer[..plain.shift].iter().all(|&octet| octet == 0xee), "what is in front stays");
    }
}

#[test]
fn every_length_of_an_msdu_and_the_longest_amsdu() {
    for (kernel, suite) in kernels_and_suites() {
        let mut octets = Octets(1);
        // Neighbours in a burst are of about the same length, in falling, rising and mixed order, with bursts that are not full.
        let mut lengths: Vec<usize> = (0..=2304).chain([4095, 4096, 4097, 7919, 7920, 7935]).collect();
        // Where we test in emulation it would take too long.
        lengths.retain(|len| cfg!(target_arch = "x86_64") || *len <= 272 || len % 37 == 0);
        for burst in [BURST, 31, 7, 1] {
            for lengths in lengths.chunks(burst) {
                let plain: Vec<_> =
                    lengths.iter().map(|&len| Plain::new(suite, &mut octets, len, len, 16)).collect();
                round_trip(kernel, &plain);
            }
            lengths.reverse();
        }
    }
}

#[test]
fn every_form_of_header() {
    for (kernel, suite) in kernels_and_suites() {
        let mut octets = Octets(2);
        for form in 0..FORMS.len() {
            for len in [0, 1, 8, 15, 16, 17, 100, 1500] {
                let plain: Vec<_> = (0..5).map(|_| Plain::new(suite, &mut octets, form, len, 16)).collect();
                round_trip(kernel, &plain);
            }
        }
    }
}

#[test]
fn any_room_behind_the_frame_will_do() {
    for (kernel, suite) in kernels_and_suites() {
        let mut octets = Octets(3);
        for spare in 0..=16 {
            let plain: Vec<_> = (0..BURST).map(|len| Plain::new(suite, &mut octets, 4, len, spare)).collect();
            round_trip(kernel, &plain);
        }
    }
}

#[test]
fn a_frame_that_was_changed_is_refused_and_gives_away_nothing() {
    for (kernel, suite) in kernels_and_suites() {
        let mut octets = Octets(4);
        for round in 0..200 {
            let plain: Vec<_> = (0..BURST)
                .map(|n| {
                    let body = 1 + octets.below(200);
                    Plain::new(suite, &mut octets, n, body, 16)
                })
                .collect();
            let mut buffers: Vec<_> = plain.iter().map(Plain::reference).collect();
            let mut changed = [false; BURST];
            for (n, (plain, buffer)) in plain.iter().zip(&mut buffers).enumerate() {
                let len = buffer.len();
                if n % 3 == round % 3 {
                    // Any octet of body, MIC, packet number or the addresses.
                    let at = match octets.below(4) {
                        0 => len - 1 - octets.below(plain.mic_len()),
                        1 => plain.header_len + [0, 1, 4, 5, 6, 7][octets.below(6)],
                        2 => 4 + octets.below(18),
                        _ => {
                            plain.header_len + 8 + octets.below(len - plain.header_len - 8 - plain.mic_len())
                        }
                    };
                    buffer[at] ^= 1 << octets.below(8);
                    changed[n] = true;
                }
                buffer.splice(..0, vec![0xee; plain.shift]);
                buffer.extend([0xcc; 16]);
            }
            let done = open(kernel, &plain, &mut buffers);
            for (n, (plain, buffer)) in plain.iter().zip(&buffers).enumerate() {
                assert_eq!(done[n], !changed[n], "{kernel:?} {plain:?}");
                let body =
                    &buffer[plain.range()][plain.header_len + 8..][..plain.frame.len() - plain.header_len];
                if changed[n] {
                    assert!(body.iter().all(|&octet| octet == 0), "{kernel:?}: a failed frame is wiped");
                } else {
                    assert_eq!(body, &plain.frame[plain.header_len..]);
                }
            }
        }
    }
}

#[test]
fn what_is_no_protected_frame_is_refused_and_stays() {
    for (kernel, suite) in kernels_and_suites() {
        let mut octets = Octets(5);
        let good = Plain::new(suite, &mut octets, 4, 100, 16);
        let control = |control: u16| {
            let mut plain = good.clone();
            plain.frame[..2].copy_from_slice(&control.to_le_bytes());
            plain
        };
        let header = |len: usize| Plain { header_len: len, ..good.clone() };
        let bad = [
            control(0x0148),
            control(0x01c8),
            control(0x00b4),
            control(0x0189),
            control(0x0080),
            header(24),
            header(1000),
        ];
        for plain in bad {
            let mut buffer = [&good.frame[..], &[0; 40]].concat();
            buffer[..2].copy_from_slice(&plain.frame[..2]);
            buffer[1] |= 0x40;
            buffer.splice(..0, vec![0xee; plain.shift]);
            let before = buffer.clone();
            let mut buffers = [buffer.clone(), good.buffer(), buffer];
            let all = [plain.clone(), good.clone(), plain];
            assert_eq!(seal(kernel, &all, &mut buffers), [false, true, false], "{kernel:?} {:?}", all[0]);
            assert!(buffers[0] == before && buffers[2] == before, "{kernel:?} {:?}", all[0]);
            assert_eq!(open(kernel, &all, &mut buffers), [false, true, false], "{kernel:?} {:?}", all[0]);
            assert!(buffers[0] == before && buffers[2] == before, "{kernel:?} {:?}", all[0]);
        }
        // WEP: no extended IV. Unprotected: the bit is clear.
        for (at, bit) in [(26 + 3, 0x20), (1, 0x40)] {
            let mut buffers = [good.buffer()];
            seal(kernel, std::slice::from_ref(&good), &mut buffers);
            buffers[0][good.shift + at] ^= bit;
            let before = buffers.clone();
            assert_eq!(open(kernel, std::slice::from_ref(&good), &mut buffers), [false]);
            assert_eq!(buffers, before);
        }
        // Shorter than its headers.
        for len in 0..good.header_len + 8 + good.mic_len() {
            let mut buffers = [good.buffer()[..good.shift + len].to_vec()];
            let plain = [Plain { spare: 0, ..good.clone() }];
            assert_eq!(seal(kernel, &plain, &mut buffers), [false]);
            assert_eq!(open(kernel, &plain, &mut buffers), [false]);
        }
        let beyond = [Plain { pn: 1 << 48, ..good.clone() }];
        assert_eq!(seal(kernel, &beyond, &mut [good.buffer()]), [false], "49 bits of packet number");
    }
}

proptest! {
    #[test]
    fn any_burst(
        shapes in proptest::collection::vec(
            (0usize..FORMS.len(), prop_oneof![0usize..80, 0usize..1600], 0usize..20, prop::sample::select(&SUITES)),
            1..70,
        ),
        seed: u64,
    ) {
        let mut octets = Octets(seed);
        let plain: Vec<_> =
            shapes.iter().map(|&(form, body, spare, suite)| Plain::new(suite, &mut octets, form, body, spare)).collect();
        for kernel in kernels() {
            round_trip(kernel, &plain);
        }
    }
}
