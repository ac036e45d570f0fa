//! The structure that all kernels share; what a vector is comes from an [`Isa`].
//!
//! ```text
//!            lane 0        lane 1        lane 2        lane 3          W frames, each under its own key, side by side in one vector
//! keys[r]   | frame a, r  | frame b, r  | frame c, r  | frame d, r  |  their round keys lie the same way: one load feeds both chains
//! mac       | CBC-MAC a   | CBC-MAC b   | CBC-MAC c   | CBC-MAC d   |  chain 1: serial within a frame
//! stream    | counter a   | counter b   | counter c   | counter d   |  chain 2: the key stream of the block after this one
//! ```
//!
//! That is a *group*. An AES round has a latency of three or four cycles while one or two can start in each, so [`Isa::SLOTS`] groups are on
//! their way at a time, two chains each. What makes it fast, besides that:
//!
//! * Frames are taken in the order of their length, so that those of a group are about as long; a group that has ended is replaced by
//!   the next one, so that a long frame does not hold up the others. A lane whose frame has ended goes on with nothing (`Idle`).
//! * Keys are expanded here, for every burst anew, and only 16 octets a key are kept: with many stations the memory for the rest would cost
//!   more than the expansion does. Expansion is a long chain of its own, so B0 and the first counter block go through the rounds with it.
//! * Counters run one block ahead: when a block is loaded, its key stream is there already, and the one after it is made while the MAC takes
//!   this one. After the last block that is the one of the MIC, whose counter is 0.
//! * The first round key is folded into the last one for the MAC chain, where the result is exclusive-ored with it anyway.
//! * Only the last block of a frame is masked; the loop over the others knows no ends.

// An iterator's closures would be compiled without the features of the kernel.
#![allow(clippy::needless_range_loop)]

use std::mem::{MaybeUninit, offset_of};

use super::prepare::{Frame, Frames};
use crate::packet::BURST;

/// What a processor offers: vectors of [`W`](Isa::W) AES blocks side by side.
///
/// # Safety
/// The functions do what their comments say, with no other instructions than those that the caller of [`run`] has found to be there.
pub unsafe trait Isa {
    /// One block each of `W` frames.
    type V: Copy;
    /// Frames side by side, 1, 2 or 4.
    const W: usize;
    /// Groups on their way at a time, 1 to 4.
    const SLOTS: usize;

    /// 16 octets at `offset` from each of the first `W` pointers.
    unsafe fn gather(from: &[*mut u8; 4], offset: usize) -> Self::V;
    /// 16 octets to `offset` from each of the first `W` pointers.
    unsafe fn scatter(to: &[*mut u8; 4], offset: usize, v: Self::V);
    /// The same block `W` times.
    unsafe fn splat(block: u128) -> Self::V;
    /// Exclusive or.
    unsafe fn xor(a: Self::V, b: Self::V) -> Self::V;
    /// And.
    unsafe fn and(a: Self::V, b: Self::V) -> Self::V;
    /// SubBytes, ShiftRows, MixColumns, AddRoundKey (FIPS 197 §5.1).
    unsafe fn round(state: Self::V, key: Self::V) -> Self::V;
    /// The same without MixColumns.
    unsafe fn last_round(state: Self::V, key: Self::V) -> Self::V;
    /// Adds 16-bit words, their low octet first.
    unsafe fn add16(a: Self::V, b: Self::V) -> Self::V;
    /// Exchanges the last two octets of each block.
    unsafe fn swap_last(v: Self::V) -> Self::V;
    /// The round key after `key` in AES-128; each word of `constant` is the round's (FIPS 197 §5.2).
    unsafe fn next_key(key: Self::V, constant: Self::V) -> Self::V;
}

/// `W` frames side by side.
#[repr(C)]
struct Group<V> {
    /// The round keys, and behind them the last exclusive-ored with the first.
    keys: [V; 12],
    /// CBC-MAC so far, exclusive-ored with the first round key.
    mac: V,
    /// Key stream for the next block.
    stream: V,
    /// The counter block that made it, the counter's low octet first.
    counter: V,
    /// Where the next block is.
    at: [*mut u8; 4],
    /// What is kept of the last one.
    masks: [*mut u8; 4],
    /// Where the MIC goes.
    mics: [*mut u8; 4],
    /// Blocks in each lane, in descending order; 0 in a lane without frame.
    blocks: [usize; 4],
    /// How many of them are done.
    done: usize,
    /// The lane that ends next.
    lane: usize,
}

/// Where lanes work that have no frame, or none any more; as long as the longest frame, and all zero before.
type Idle = MaybeUninit<[u128; super::MAX_BLOCKS]>;

/// Octets that a last block of 1 to 16 octets keeps: those from `16 - length` on.
static MASKS: [u8; 32] = {
    let mut masks = [0; 32];
    let mut i = 0;
    while i < 16 {
        masks[i] = 0xff;
        i += 1;
    }
    masks
};
/// The counter is not kept: it is 0 for the MIC.
static MIC_COUNTER: [u8; 16] =
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
static NOTHING: [u8; 16] = [0; 16];

/// Round constants of AES-128 (FIPS 197 §5.2).
const CONSTANTS: [u8; 10] = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];
/// What B0 and counter blocks have in common: all but flags and the last two octets (802.11-2020 §12.5.3.3.3; RFC 3610 §2.2, §2.3).
const NONCE: u128 = 0x0000_ffff_ffff_ffff_ffff_ffff_ffff_ff00;
/// Flags of a counter block, and counter 1.
const FIRST_COUNTER: u128 = 1 << 112 | 0x01;
/// One, where the counter is.
const ONE: u128 = 1 << 112;

/// Seals or opens the frames, and leaves in each what its MIC is.
///
/// # Safety
/// The processor has the instructions of `I`, and `frames` are as [`Frame`] demands. `GROUPS` is `BURST / I::W`.
#[inline(always)]
pub unsafe fn run<I: Isa, const GROUPS: usize, const SEAL: bool>(frames: &mut Frames) {
    const { assert!(GROUPS * I::W == BURST && I::SLOTS >= 1 && I::SLOTS <= 4) };
    let mut idle = Idle::uninit();
    let idle: *mut u8 = idle.as_mut_ptr().cast();
    let mut groups = [const { MaybeUninit::<Group<I::V>>::uninit() }; GROUPS];
    let n = frames.len().div_ceil(I::W);
    let groups: *mut Group<I::V> = groups.as_mut_ptr().cast();
    if !frames.is_even() || !frames.len().is_multiple_of(I::W) {
        // SAFETY: no frame has more blocks than `idle`.
        unsafe { idle.write_bytes(0, 16 * frames.longest()) };
    }
    // SAFETY: `n` is at most `GROUPS`; every group is written by `begin` before it is read. A group is in one slot at most.
    unsafe {
        let mut g = 0;
        while g + 4 <= n {
            begin::<I, 4>(groups.add(g), frames, g * I::W, idle);
            g += 4;
        }
        while g + 2 <= n {
            begin::<I, 2>(groups.add(g), frames, g * I::W, idle);
            g += 2;
        }
        if g < n {
            begin::<I, 1>(groups.add(g), frames, g * I::W, idle);
        }
        let mut slots = [groups; 4];
        let mut active = n.min(I::SLOTS);
        for (slot, group) in slots.iter_mut().enumerate().take(active) {
            *group = groups.add(slot);
        }
        let mut next = active;
        while active > 0 {
            match active {
                1 => advance::<I, 1, SEAL>(&slots, idle),
                2 => advance::<I, 2, SEAL>(&slots, idle),
                3 => advance::<I, 3, SEAL>(&slots, idle),
                _ => advance::<I, 4, SEAL>(&slots, idle),
            }
            let mut slot = 0;
            while slot < active {
                let group = &*slots[slot];
                if group.blocks[group.lane] > group.done {
                    slot += 1;
                } else if next < n {
                    slots[slot] = groups.add(next);
                    next += 1;
                    slot += 1;
                } else {
                    active -= 1;
                    slots[slot] = slots[active];
                }
            }
        }
    }
}

/// Fills in `N` groups with the frames from `first` on in the order of their lengths.
///
/// # Safety
/// As for [`run`]; there is room for `N` groups, and at least one frame for each.
#[inline(always)]
unsafe fn begin<I: Isa, const N: usize>(
    groups: *mut Group<I::V>,
    frames: &mut Frames,
    first: usize,
    idle: *mut u8,
) {
    // SAFETY: as the caller says. A lane without frame reads the idle frame and writes to `idle`.
    unsafe {
        let zero = I::splat(0);
        let (mut key, mut mac, mut stream) = ([zero; N], [zero; N], [zero; N]);
        let (mut aad0, mut aad1) = ([zero; N], [zero; N]);
        for g in 0..N {
            let group = groups.add(g);
            let mut from = [frames.idle(); 4];
            let (mut keys, mut at, mut masks, mut mics) =
                ([NOTHING.as_ptr().cast_mut(); 4], [idle; 4], [idle; 4], [idle; 4]);
            let mut blocks = [0; 4];
            let mut lane = 0;
            for l in 0..I::W {
                let Some(frame) = frames.in_order(first + g * I::W + l) else { break };
                let this = &*frame;
                keys[l] = this.key.cast_mut();
                at[l] = this.body;
                masks[l] = MASKS.as_ptr().add(this.blocks * 16 - this.len).cast_mut();
                mics[l] = (&raw mut (*frame).mic).cast();
                blocks[l] = this.blocks;
                from[l] = frame;
                lane = l;
            }
            let from = [from[0].cast(), from[1].cast(), from[2].cast(), from[3].cast()];
            key[g] = I::gather(&keys, 0);
            let b0 = I::gather(&from, offset_of!(Frame, b0));
            aad0[g] = I::gather(&from, offset_of!(Frame, aad));
            aad1[g] = I::gather(&from, offset_of!(Frame, aad) + 16);
            let counter = I::xor(I::and(b0, I::splat(NONCE)), I::splat(FIRST_COUNTER));
            (&raw mut (*group).counter).write(counter);
            (&raw mut (*group).at).write(at);
            (&raw mut (*group).masks).write(masks);
            (&raw mut (*group).mics).write(mics);
            (&raw mut (*group).blocks).write(blocks);
            (&raw mut (*group).done).write(0);
            (&raw mut (*group).lane).write(lane);
            (&raw mut (*group).keys[0]).write(key[g]);
            stream[g] = I::xor(I::swap_last(counter), key[g]);
            mac[g] = I::xor(b0, key[g]);
        }
        for r in 1..10 {
            let constant = I::splat(each_word(CONSTANTS[r - 1]));
            for g in 0..N {
                key[g] = I::next_key(key[g], constant);
                (&raw mut (*groups.add(g)).keys[r]).write(key[g]);
                mac[g] = I::round(mac[g], key[g]);
                stream[g] = I::round(stream[g], key[g]);
            }
        }
        for g in 0..N {
            let group = groups.add(g);
            let last = I::next_key(key[g], I::splat(each_word(CONSTANTS[9])));
            let folded = I::xor(last, (*group).keys[0]);
            (&raw mut (*group).keys[10]).write(last);
            (&raw mut (*group).keys[11]).write(folded);
            (&raw mut (*group).stream).write(I::last_round(stream[g], last));
            mac[g] = I::xor(I::last_round(mac[g], folded), aad0[g]);
        }
        mac_only::<I, N>(groups, &mut mac);
        for g in 0..N {
            mac[g] = I::xor(mac[g], aad1[g]);
        }
        mac_only::<I, N>(groups, &mut mac);
        for g in 0..N {
            (&raw mut (*groups.add(g)).mac).write(mac[g]);
        }
    }
}

/// Takes `N` groups through the last block of the lane that ends first among them, or of those that end together.
///
/// # Safety
/// As for [`run`]; the first `N` slots hold different groups with blocks to do.
#[inline(always)]
unsafe fn advance<I: Isa, const N: usize, const SEAL: bool>(slots: &[*mut Group<I::V>; 4], idle: *mut u8) {
    // SAFETY: a lane that goes on has all the blocks that are done here before it, the others have `idle`.
    unsafe {
        let (zero, one) = (I::splat(0), I::splat(ONE));
        let (mut mac, mut stream, mut counter) = ([zero; N], [zero; N], [zero; N]);
        let mut at = [[idle; 4]; N];
        let mut before = usize::MAX;
        for g in 0..N {
            let group = &*slots[g];
            (mac[g], stream[g], counter[g], at[g]) = (group.mac, group.stream, group.counter, group.at);
            before = before.min(group.blocks[group.lane] - 1 - group.done);
        }
        let end = before * 16;
        let mut offset = 0;
        while offset < end {
            for g in 0..N {
                let text = I::gather(&at[g], offset);
                let other = I::xor(text, stream[g]);
                I::scatter(&at[g], offset, other);
                mac[g] = I::xor(mac[g], if SEAL { text } else { other });
                counter[g] = I::add16(counter[g], one);
                stream[g] = I::xor(I::swap_last(counter[g]), (*slots[g]).keys[0]);
            }
            both::<I, N>(slots, &mut mac, &mut stream);
            offset += 16;
        }
        for g in 0..N {
            let group = &mut *slots[g];
            group.done += before + 1;
            let mut kept = [MASKS.as_ptr().cast_mut(); 4];
            let mut counting = kept;
            for lane in 0..I::W {
                let ends = group.blocks[lane] == group.done;
                kept[lane] = if ends { group.masks[lane] } else { kept[lane] };
                counting[lane] = if ends { MIC_COUNTER.as_ptr().cast_mut() } else { counting[lane] };
            }
            let kept = I::gather(&kept, 0);
            let text = I::gather(&at[g], offset);
            let plain = I::and(if SEAL { text } else { I::xor(text, stream[g]) }, kept);
            I::scatter(&at[g], offset, if SEAL { I::xor(plain, stream[g]) } else { plain });
            mac[g] = I::xor(mac[g], plain);
            counter[g] = I::and(I::add16(counter[g], one), I::gather(&counting, 0));
            stream[g] = I::xor(I::swap_last(counter[g]), group.keys[0]);
        }
        both::<I, N>(slots, &mut mac, &mut stream);
        for g in 0..N {
            let group = &mut *slots[g];
            let done = group.done;
            let mut mics = [idle; 4];
            let mut going = [MASKS.as_ptr().cast_mut(); 4];
            for lane in 0..I::W {
                let ends = group.blocks[lane] == done;
                mics[lane] = if ends { group.mics[lane] } else { idle };
                let goes_on = group.blocks[lane] > done;
                group.at[lane] = if goes_on { at[g][lane].add(end + 16) } else { idle };
                going[lane] = if goes_on { going[lane] } else { NOTHING.as_ptr().cast_mut() };
            }
            // The MAC has the first round key in it.
            let mic = I::xor(I::xor(mac[g], group.keys[0]), stream[g]);
            I::scatter(&mics, 0, mic);
            while group.lane > 0 && group.blocks[group.lane] <= done {
                group.lane -= 1;
            }
            group.mac = mac[g];
            // What an ended lane goes on with is not its key stream.
            group.counter = I::and(counter[g], I::gather(&going, 0));
            group.stream = I::and(stream[g], I::gather(&going, 0));
        }
    }
}

/// AES of both chains.
///
/// # Safety
/// As for [`advance`].
#[inline(always)]
unsafe fn both<I: Isa, const N: usize>(
    slots: &[*mut Group<I::V>; 4],
    mac: &mut [I::V; N],
    stream: &mut [I::V; N],
) {
    // SAFETY: as the caller says.
    unsafe {
        for r in 1..10 {
            for g in 0..N {
                let key = (*slots[g]).keys[r];
                mac[g] = I::round(mac[g], key);
                stream[g] = I::round(stream[g], key);
            }
        }
        for g in 0..N {
            mac[g] = I::last_round(mac[g], (*slots[g]).keys[11]);
            stream[g] = I::last_round(stream[g], (*slots[g]).keys[10]);
        }
    }
}

/// AES of the MAC chains alone.
///
/// # Safety
/// As for [`begin`], with the keys expanded.
#[inline(always)]
unsafe fn mac_only<I: Isa, const N: usize>(groups: *const Group<I::V>, mac: &mut [I::V; N]) {
    // SAFETY: as the caller says.
    unsafe {
        for r in 1..10 {
            for g in 0..N {
                mac[g] = I::round(mac[g], (*groups.add(g)).keys[r]);
            }
        }
        for g in 0..N {
            mac[g] = I::last_round(mac[g], (*groups.add(g)).keys[11]);
        }
    }
}

/// An octet as the first of each word.
const fn each_word(octet: u8) -> u128 {
    octet as u128 * 0x0000_0001_0000_0001_0000_0001_0000_0001
}
