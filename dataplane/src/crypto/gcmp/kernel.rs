//! GCM over a burst of frames of different keys: see the module above for the picture.

// An iterator's closures would be compiled without the features of the kernel.
#![allow(clippy::needless_range_loop)]

use super::ghash::{Sum, multiply};
use super::isa::{Block, Isa};
use std::hint::black_box;

/// Octets of the MIC.
pub(super) const MIC: usize = 16;
/// Frames whose keys are made ready together.
pub(super) const GROUP: usize = 8;
/// Round keys of AES-256; AES-128 uses eleven.
const ROUND_KEYS: usize = 15;
/// The most powers of H: for sixteen blocks, the last not quite whole, two of additional data before and the lengths behind.
const POWERS: usize = 19;
/// Zero blocks behind the powers, which the lanes behind the last block are multiplied by.
const PADDING: usize = 5;

/// One frame, as GCM sees it.
pub(super) struct Task<'a> {
    /// The key, as many octets as the rounds ask for.
    pub(super) key: &'a [u8],
    /// A2 and packet number; the counter behind it is zero.
    pub(super) nonce: Block,
    /// Additional data, zero up to two blocks.
    pub(super) aad: [Block; 2],
    /// The block behind all others, from its end: lengths of body and additional data in bits, least significant octet first.
    pub(super) lengths: Block,
    /// The body and behind it the MIC or the hole for it.
    pub(super) text: &'a mut [u8],
    /// Out: whether it was sealed, or opened with the right MIC.
    pub(super) done: &'a mut bool,
}

impl Task<'_> {
    /// That block.
    #[inline]
    pub(super) const fn lengths(aad: usize, body: usize) -> Block {
        (((aad as u128 * 8) << 64) | (body as u128 * 8)).to_le_bytes()
    }

    fn blocks(&self) -> usize {
        (self.text.len() - MIC).div_ceil(16)
    }
}

/// The keys of a group of frames, made ready.
#[repr(align(64))]
struct Keys {
    /// Round by round, the key of each frame: a lane is a frame.
    rounds: [[Block; GROUP]; ROUND_KEYS],
    /// The last step of the MIC: the block with counter 1, encrypted.
    masks: [[Block; GROUP]; 1],
    /// For each frame, its powers of H from the highest, the [`POWERS`]th, down to the first, and the padding.
    powers: [[Block; POWERS + PADDING]; GROUP],
}

/// Key and nonce where there is no frame.
static IDLE: Block = [0; 16];
/// Counter 1 as GCM writes it.
const FIRST_COUNTER: Block = 1_u128.to_be_bytes();
/// Counter 2 as the processor adds.
const SECOND_COUNTER: Block = (2_u128 << 96).to_le_bytes();
/// All octets of a block in reverse.
const REVERSE: Block = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
/// The last word of a block in reverse: a counter as the processor adds it becomes one as GCM writes it.
const COUNTER: Block = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12];
/// RotWord of the last word, in all four.
const ROTATED: Block = [13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12];
/// The last word, in all four.
const LAST_WORD: Block = [12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15];
/// Round constants of the key expansion (FIPS 197 §5.2).
const ROUND_CONSTANTS: [u8; 10] = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];
/// Ones, then zeros: a vector read so that as many ones come first as are wanted.
static KEEP: [u8; 128] = {
    let mut keep = [0; 128];
    let mut at = 0;
    while at < 64 {
        keep[at] = 0xff;
        at += 1;
    }
    keep
};
/// The numbers of the lanes, as added to a counter.
static LANE_NUMBERS: [Block; 4] = {
    let mut numbers = [[0; 16]; 4];
    let mut lane = 0;
    while lane < 4 {
        numbers[lane][12] = lane as u8;
        lane += 1;
    }
    numbers
};

/// Seals or opens frames, all of keys with `ROUNDS` rounds (10 or 14); `VECTORS` are those of a group, `STRIDE` those of the main loop.
#[inline(always)]
pub(super) fn run<
    'a,
    I: Isa,
    const VECTORS: usize,
    const STRIDE: usize,
    const ROUNDS: usize,
    const SEAL: bool,
>(
    isa: I,
    mut tasks: impl Iterator<Item = Task<'a>>,
) {
    const { assert!(VECTORS * I::LANES == GROUP && STRIDE * I::LANES + 3 <= POWERS && I::LANES <= PADDING) };
    let mut keys = Keys {
        rounds: [[[0; 16]; GROUP]; ROUND_KEYS],
        masks: [[[0; 16]; GROUP]; 1],
        powers: [[[0; 16]; POWERS + PADDING]; GROUP],
    };
    loop {
        let mut group = [const { None }; GROUP];
        for (place, task) in group.iter_mut().zip(&mut tasks) {
            *place = Some(task);
        }
        if group[0].is_none() {
            break;
        }
        make_ready::<I, VECTORS, STRIDE, ROUNDS>(isa, &mut keys, &group);
        for (slot, task) in group.iter_mut().flatten().enumerate() {
            frame::<I, STRIDE, ROUNDS, SEAL>(isa, &keys, slot, task);
        }
    }
    // Nothing of the keys stays on the stack.
    keys.rounds = [[[0; 16]; GROUP]; ROUND_KEYS];
    keys.masks = [[[0; 16]; GROUP]; 1];
    keys.powers = [[[0; 16]; POWERS + PADDING]; GROUP];
    black_box(&keys);
}

/// Expands the keys of a group, a lane for each frame, and from them what GHASH needs.
#[inline(always)]
fn make_ready<I: Isa, const VECTORS: usize, const STRIDE: usize, const ROUNDS: usize>(
    isa: I,
    keys: &mut Keys,
    group: &[Option<Task<'_>>; GROUP],
) {
    let stride = STRIDE * I::LANES;
    let mut powers = 0;
    let mut raw = [[&IDLE; GROUP]; 3];
    for (slot, task) in group.iter().flatten().enumerate() {
        let (halves, _) = task.key.as_chunks::<16>();
        raw[0][slot] = &halves[0];
        raw[1][slot] = &halves[halves.len() - 1];
        raw[2][slot] = &task.nonce;
        powers = powers.max(task.blocks().min(stride) + 3);
    }
    let mut round_keys = [[isa.zero(); VECTORS]; ROUND_KEYS];
    round_keys[0] = gather(isa, &raw[0]);
    if ROUNDS == 14 {
        round_keys[1] = gather(isa, &raw[1]);
    }
    expand::<I, VECTORS, ROUNDS>(isa, &mut round_keys);
    for (vectors, blocks) in round_keys.iter().zip(&mut keys.rounds) {
        scatter(isa, vectors, blocks);
    }
    let mut first = gather(isa, &raw[2]);
    for v in &mut first {
        *v = isa.xor(*v, isa.splat(&FIRST_COUNTER));
    }
    let masks = encrypt::<I, VECTORS, ROUNDS>(isa, &round_keys, first);
    scatter(isa, &masks, &mut keys.masks[0]);

    // H times x, then each power from two lower ones of about half: few steps that wait for another.
    let reverse = isa.splat(&REVERSE);
    let mut table = [[isa.zero(); VECTORS]; POWERS + 1];
    table[1] = encrypt::<I, VECTORS, ROUNDS>(isa, &round_keys, [isa.zero(); VECTORS]);
    for v in &mut table[1] {
        *v = isa.double(isa.permute(*v, reverse));
    }
    for power in 2..=powers {
        let (a, b) = (table[power / 2], table[power.div_ceil(2)]);
        for i in 0..VECTORS {
            table[power][i] = multiply(isa, a[i], b[i]);
        }
    }
    for power in 1..=powers {
        let mut lanes = [[0; 16]; GROUP];
        scatter(isa, &table[power], &mut lanes);
        for (frame, lane) in keys.powers.iter_mut().zip(lanes) {
            frame[POWERS - power] = lane;
        }
    }
}

#[inline(always)]
fn gather<I: Isa, const VECTORS: usize>(isa: I, blocks: &[&Block; GROUP]) -> [I::V; VECTORS] {
    let mut vectors = [isa.zero(); VECTORS];
    for (v, blocks) in vectors.iter_mut().zip(blocks.chunks_exact(I::LANES)) {
        *v = isa.gather(blocks);
    }
    vectors
}

#[inline(always)]
fn scatter<I: Isa, const VECTORS: usize>(isa: I, vectors: &[I::V; VECTORS], blocks: &mut [Block; GROUP]) {
    for (v, octets) in vectors.iter().zip(blocks.as_flattened_mut().chunks_exact_mut(16 * I::LANES)) {
        isa.store(*v, octets);
    }
}

/// The key expansion (FIPS 197 §5.2) of as many keys as there are lanes.
///
/// With a word in all four columns of a block ShiftRows changes nothing, so AESENCLAST is SubWord and the exclusive or with the round
/// constant at once. The exclusive or of each word with the one before does not wait for it.
#[inline(always)]
fn expand<I: Isa, const VECTORS: usize, const ROUNDS: usize>(
    isa: I,
    keys: &mut [[I::V; VECTORS]; ROUND_KEYS],
) {
    let rotated = isa.splat(&ROTATED);
    let last_word = isa.splat(&LAST_WORD);
    let key_blocks = if ROUNDS == 14 { 2 } else { 1 };
    for round in key_blocks..=ROUNDS {
        let rotate = round % key_blocks == 0;
        let constant = if rotate { ROUND_CONSTANTS[round / key_blocks - 1] } else { 0 };
        let constant = isa.splat(&u128::to_le_bytes(constant as u128 * 0x1_0000_0001_0000_0001_0000_0001));
        for i in 0..VECTORS {
            let word = isa.permute(keys[round - 1][i], if rotate { rotated } else { last_word });
            keys[round][i] =
                isa.xor(isa.prefix_xor32(keys[round - key_blocks][i]), isa.aes_last(word, constant));
        }
    }
}

/// AES of several vectors, interleaved, each under its own round keys.
#[inline(always)]
fn encrypt<I: Isa, const VECTORS: usize, const ROUNDS: usize>(
    isa: I,
    keys: &[[I::V; VECTORS]; ROUND_KEYS],
    mut blocks: [I::V; VECTORS],
) -> [I::V; VECTORS] {
    for i in 0..VECTORS {
        blocks[i] = isa.xor(blocks[i], keys[0][i]);
    }
    for round in 1..ROUNDS {
        for i in 0..VECTORS {
            blocks[i] = isa.aes_round(blocks[i], keys[round][i]);
        }
    }
    for i in 0..VECTORS {
        blocks[i] = isa.aes_last(blocks[i], keys[ROUNDS][i]);
    }
    blocks
}

/// The key stream of a frame: as many vectors at a time as one likes.
#[derive(Clone, Copy)]
struct Stream<I: Isa, const ROUNDS: usize> {
    isa: I,
    keys: [I::V; ROUND_KEYS],
    counter: I::V,
    step: I::V,
    order: I::V,
}

impl<I: Isa, const ROUNDS: usize> Stream<I, ROUNDS> {
    /// That of the frame in a slot: the first block has counter 2.
    #[inline(always)]
    fn new(isa: I, keys: &Keys, slot: usize, nonce: &Block) -> Self {
        let mut round_keys = [isa.zero(); ROUND_KEYS];
        for round in 0..=ROUNDS {
            round_keys[round] = isa.splat(&keys.rounds[round][slot]);
        }
        let first = isa.xor(isa.splat(nonce), isa.splat(&SECOND_COUNTER));
        let counter = isa.add32(first, isa.load(LANE_NUMBERS.as_flattened()));
        let step = isa.splat(&((I::LANES as u128) << 96).to_le_bytes());
        Self { isa, keys: round_keys, counter, step, order: isa.splat(&COUNTER) }
    }

    #[inline(always)]
    fn next<const N: usize>(&mut self) -> [I::V; N] {
        let isa = self.isa;
        let mut blocks = [isa.zero(); N];
        for block in &mut blocks {
            *block = isa.xor(isa.permute(self.counter, self.order), self.keys[0]);
            self.counter = isa.add32(self.counter, self.step);
        }
        for round in 1..ROUNDS {
            for block in &mut blocks {
                *block = isa.aes_round(*block, self.keys[round]);
            }
        }
        for block in &mut blocks {
            *block = isa.aes_last(*block, self.keys[ROUNDS]);
        }
        blocks
    }
}

/// The powers from the `first`th down, a lane each.
#[inline(always)]
fn power<I: Isa>(isa: I, powers: &[u8], first: usize) -> I::V {
    isa.load(&powers[16 * (POWERS - first)..])
}

/// Seals or opens one frame whose keys are ready.
#[inline(always)]
fn frame<I: Isa, const STRIDE: usize, const ROUNDS: usize, const SEAL: bool>(
    isa: I,
    keys: &Keys,
    slot: usize,
    task: &mut Task<'_>,
) {
    let vector = 16 * I::LANES;
    let reverse = isa.splat(&REVERSE);
    let powers = keys.powers[slot].as_flattened();
    let mut stream = Stream::<I, ROUNDS>::new(isa, keys, slot, &task.nonce);
    let length = task.text.len() - MIC;
    let mut claimed = [0; MIC];
    claimed.copy_from_slice(&task.text[length..]);

    // Blocks of the first stretch: a stride, or all that there is and the one of the lengths.
    let stretch = if length >= STRIDE * vector { STRIDE * I::LANES } else { task.blocks() + 1 };
    let mut sum = Sum::new(isa);
    for (i, aad) in task.aad.as_flattened().chunks(vector).enumerate() {
        sum.add(
            isa,
            isa.permute(isa.load_some(aad), reverse),
            power(isa, powers, stretch + 2 - i * I::LANES),
        );
    }
    let mut hash = isa.zero();
    let mut at = 0;
    while length - at >= STRIDE * vector {
        let key_stream = stream.next::<STRIDE>();
        let text = &mut task.text[at..at + STRIDE * vector];
        for (i, (octets, key_stream)) in text.chunks_exact_mut(vector).zip(key_stream).enumerate() {
            let before = isa.load(octets);
            let after = isa.xor(before, key_stream);
            isa.store(after, octets);
            let hashed = isa.permute(if SEAL { after } else { before }, reverse);
            let hashed = if i == 0 { isa.xor(hashed, hash) } else { hashed };
            sum.add(isa, hashed, power(isa, powers, (STRIDE - i) * I::LANES));
        }
        hash = isa.fold(sum.reduce(isa));
        sum = Sum::new(isa);
        at += STRIDE * vector;
    }
    // What remains is read and written as whole blocks: behind the body there are the sixteen octets of the MIC.
    let mut rest = (length - at).div_ceil(16);
    let mut first = rest + 1;
    while rest > 0 {
        let [key_stream] = stream.next::<1>();
        let blocks = rest.min(I::LANES);
        let octets = &mut task.text[at..at + 16 * blocks];
        let before = isa.load_some(octets);
        let after = isa.xor(before, key_stream);
        isa.store_some(after, octets);
        let keep = isa.load(&KEEP[64 - (length - at).min(vector)..]);
        let hashed = isa.and(if SEAL { after } else { before }, keep);
        let hashed = isa.xor(isa.permute(hashed, reverse), hash);
        hash = isa.zero();
        sum.add(isa, hashed, power(isa, powers, first));
        at += vector;
        first = first.saturating_sub(I::LANES);
        rest -= blocks;
    }
    let hashed = isa.xor(isa.load_some(&task.lengths), hash);
    sum.add(isa, hashed, power(isa, powers, 1));
    hash = isa.fold(sum.reduce(isa));
    let mask = isa.load_some(&keys.masks[0][slot]);
    let mut mic = [0; MIC];
    isa.store_some(isa.xor(isa.permute(hash, reverse), mask), &mut mic);

    if SEAL {
        task.text[length..].copy_from_slice(&mic);
        *task.done = true;
    } else {
        // One comparison of the whole, whose time does not depend on where they differ.
        *task.done = black_box(u128::from_ne_bytes(mic) ^ u128::from_ne_bytes(claimed)) == 0;
        if !*task.done {
            task.text[..length].fill(0);
        }
    }
}
