//! Putting fragments together within fixed bounds of memory and time (RFC 5415 §3.4).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use super::MAX_FRAME;
use super::header::{DataHeader, FragmentField, FrameInfo};

/// What a [`Reassembler`] may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Incomplete frames; at least 1.
    pub entries: usize,
    /// Octets of incomplete frames, gaps included; at least [`MAX_FRAME`].
    pub octets: usize,
    /// How long after its first fragment a frame is given up.
    pub age: Duration,
}

impl Default for Limits {
    /// 64 frames, 256 KiB, one second.
    fn default() -> Limits {
        Limits { entries: 64, octets: 256 << 10, age: Duration::from_secs(1) }
    }
}

/// Why a fragment was thrown away. Where it contradicts what came before, its whole frame goes with it, since
/// nobody can tell which part is the forged one (as RFC 5722 does for IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No octets, or not a multiple of 8 before the last fragment.
    #[error("fragment of a length that no sender makes")]
    Length,
    /// The frame would be longer than [`MAX_FRAME`] or have more than 64 fragments.
    #[error("fragmented frame too long")]
    TooLong,
    /// Octets that another fragment brought already.
    #[error("fragment overlaps another of its frame")]
    Overlap,
    /// Two ends, or octets behind the end.
    #[error("fragment contradicts another of its frame")]
    Inconsistent,
}

/// What was received and what was thrown away, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Fragments offered.
    pub fragments: u64,
    /// Frames put together.
    pub completed: u64,
    /// Fragments ignored as identical copies.
    pub duplicates: u64,
    /// Fragments refused for [`Rejected::Length`].
    pub bad_length: u64,
    /// Fragments refused for [`Rejected::TooLong`].
    pub too_long: u64,
    /// Fragments refused for [`Rejected::Overlap`].
    pub overlapping: u64,
    /// Fragments refused for [`Rejected::Inconsistent`].
    pub inconsistent: u64,
    /// Incomplete frames given up for their age.
    pub expired: u64,
    /// Incomplete frames given up for newer ones, oldest first.
    pub evicted: u64,
}

/// A whole frame; the octets last until the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reassembled<'a> {
    /// The frame.
    pub frame: &'a [u8],
    /// Frame info of the datagram that the frame began in.
    pub info: Option<FrameInfo>,
}

/// Holds incomplete frames by (source, fragment id). `S` is whatever names the sender, its socket address or tunnel.
///
/// Memory: at most [`Limits::octets`] for incomplete frames, and 2 KiB of spare buffer for each of [`Limits::entries`],
/// so that after a while nothing is allocated any more.
#[derive(Debug)]
pub struct Reassembler<S> {
    limits: Limits,
    index: HashMap<(S, u16), usize>,
    slots: Vec<Slot<S>>,
    free: Vec<usize>,
    /// Slots with their serial, oldest first; a pair whose serial is no longer the slot's is dead.
    order: VecDeque<(usize, u64)>,
    serial: u64,
    octets: usize,
    /// The slot that was completed last: its buffer was lent out, and is trimmed at the next call.
    lent: Option<usize>,
    counters: Counters,
}

impl<S: Copy + Eq + Hash> Reassembler<S> {
    /// An empty one. Limits below their minima are raised to them.
    pub fn new(limits: Limits) -> Reassembler<S> {
        let limits =
            Limits { entries: limits.entries.max(1), octets: limits.octets.max(MAX_FRAME), age: limits.age };
        Reassembler {
            limits,
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            serial: 0,
            octets: 0,
            lent: None,
            counters: Counters::default(),
        }
    }

    /// Takes one datagram's payload; gives the frame when it is whole, at once if it was not fragmented.
    /// `now` is the time since any fixed moment.
    pub fn push<'a>(
        &'a mut self,
        source: S,
        header: &DataHeader<'a>,
        payload: &'a [u8],
        now: Duration,
    ) -> Result<Option<Reassembled<'a>>, Rejected> {
        let Some(field) = header.fragment() else {
            return Ok(Some(Reassembled { frame: payload, info: header.frame_info() }));
        };
        self.counters.fragments += 1;
        if let Some(slot) = self.lent.take() {
            self.slots[slot].trim();
        }
        self.expire(now);
        match self.add((source, field.id), field, header.frame_info(), payload, now) {
            Ok(None) => Ok(None),
            Ok(Some(slot)) => {
                self.counters.completed += 1;
                let Slot { buffer, extent, info, .. } = &self.slots[slot];
                Ok(Some(Reassembled { frame: &buffer[..*extent], info: *info }))
            }
            Err(rejected) => {
                match rejected {
                    Rejected::Length => self.counters.bad_length += 1,
                    Rejected::TooLong => self.counters.too_long += 1,
                    Rejected::Overlap => self.counters.overlapping += 1,
                    Rejected::Inconsistent => self.counters.inconsistent += 1,
                }
                Err(rejected)
            }
        }
    }

    /// Gives up the frames that are too old at `now`. [`Reassembler::push`] does it too.
    pub fn expire(&mut self, now: Duration) {
        while let Some(slot) = self.oldest() {
            if now.saturating_sub(self.slots[slot].since) <= self.limits.age {
                break;
            }
            self.counters.expired += 1;
            self.release(slot);
        }
    }

    /// Incomplete frames held.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// No incomplete frame is held.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Octets of incomplete frames held, gaps included.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Gives the slot whose frame this fragment completed; it is free by then, its buffer still filled.
    fn add(
        &mut self,
        key: (S, u16),
        field: FragmentField,
        info: Option<FrameInfo>,
        payload: &[u8],
        now: Duration,
    ) -> Result<Option<usize>, Rejected> {
        let start = usize::from(field.offset);
        let end = start + payload.len();
        if payload.is_empty() || !field.last && !payload.len().is_multiple_of(8) {
            return Err(Rejected::Length);
        }
        if end > MAX_FRAME {
            return Err(Rejected::TooLong);
        }
        let slot = match self.index.get(&key) {
            Some(&slot) => slot,
            None => self.open(key, now),
        };
        match self.slots[slot].check(start, end, field.last, payload) {
            Ok(Check::Duplicate) => {
                self.counters.duplicates += 1;
                return Ok(None);
            }
            Ok(Check::New) => {}
            Err(rejected) => {
                self.release(slot);
                return Err(rejected);
            }
        }
        self.make_room(end.saturating_sub(self.slots[slot].extent), slot);
        let entry = &mut self.slots[slot];
        if end > entry.extent {
            self.octets += end - entry.extent;
            entry.extent = end;
        }
        if entry.buffer.len() < end {
            entry.buffer.reserve_exact(end - entry.buffer.len());
            entry.buffer.resize(end, 0);
        }
        entry.buffer[start..end].copy_from_slice(payload);
        entry.ranges.push((start as u16, end as u16));
        entry.received += payload.len();
        entry.ended |= field.last;
        if start == 0 {
            entry.info = info;
        }
        if !(entry.ended && entry.received == entry.extent) {
            return Ok(None);
        }
        self.forget(slot);
        self.lent = Some(slot);
        Ok(Some(slot))
    }

    /// A slot for a new frame; the oldest frame makes place if there is none.
    fn open(&mut self, key: (S, u16), now: Duration) -> usize {
        while self.index.len() >= self.limits.entries {
            self.evict();
        }
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new(key));
            self.slots.len() - 1
        });
        self.slots[slot].restart(key, self.serial, now);
        self.index.insert(key, slot);
        if self.order.len() >= 2 * self.limits.entries {
            let slots = &self.slots;
            self.order.retain(|&(slot, serial)| slots[slot].serial == serial);
        }
        self.order.push_back((slot, self.serial));
        slot
    }

    /// Evicts until `growth` more octets fit; `keep`, the frame that grows, stays.
    fn make_room(&mut self, growth: usize, keep: usize) {
        while self.octets + growth > self.limits.octets {
            let slots = &self.slots;
            let live = |&&(slot, serial): &&(usize, u64)| slot != keep && slots[slot].serial == serial;
            let Some(&(slot, _)) = self.order.iter().find(live) else { break };
            self.counters.evicted += 1;
            self.release(slot);
        }
    }

    fn evict(&mut self) {
        if let Some(slot) = self.oldest() {
            self.counters.evicted += 1;
            self.release(slot);
        }
    }

    /// The oldest live slot, dropping dead pairs before it.
    fn oldest(&mut self) -> Option<usize> {
        while let Some(&(slot, serial)) = self.order.front() {
            if self.slots[slot].serial == serial {
                return Some(slot);
            }
            self.order.pop_front();
        }
        None
    }

    fn release(&mut self, slot: usize) {
        self.forget(slot);
        self.slots[slot].trim();
    }

    /// Frees the slot but for its buffer.
    fn forget(&mut self, slot: usize) {
        let entry = &mut self.slots[slot];
        self.index.remove(&entry.key);
        self.octets -= entry.extent;
        entry.serial = 0;
        self.free.push(slot);
    }
}

/// Buffers longer than this are not kept for the next frame.
const SPARE: usize = 2048;

/// Fragments of one frame at most: MAX_FRAME over a path of 300 octets needs 45.
const MAX_FRAGMENTS: usize = 64;

#[derive(Debug)]
struct Slot<S> {
    key: (S, u16),
    /// 0 when free.
    serial: u64,
    since: Duration,
    buffer: Vec<u8>,
    /// Highest end of a fragment so far: the frame's length once `ended`.
    extent: usize,
    ended: bool,
    received: usize,
    ranges: Vec<(u16, u16)>,
    info: Option<FrameInfo>,
}

enum Check {
    New,
    Duplicate,
}

impl<S> Slot<S> {
    fn new(key: (S, u16)) -> Slot<S> {
        Slot {
            key,
            serial: 0,
            since: Duration::ZERO,
            buffer: Vec::new(),
            extent: 0,
            ended: false,
            received: 0,
            ranges: Vec::new(),
            info: None,
        }
    }

    fn restart(&mut self, key: (S, u16), serial: u64, now: Duration) {
        *self = Slot {
            key,
            serial,
            since: now,
            buffer: std::mem::take(&mut self.buffer),
            extent: 0,
            ended: false,
            received: 0,
            ranges: std::mem::take(&mut self.ranges),
            info: None,
        };
        self.ranges.clear();
    }

    fn trim(&mut self) {
        if self.buffer.capacity() > SPARE {
            self.buffer = Vec::new();
        }
    }

    fn check(&self, start: usize, end: usize, last: bool, payload: &[u8]) -> Result<Check, Rejected> {
        for &(from, to) in &self.ranges {
            let (from, to) = (usize::from(from), usize::from(to));
            if start >= to || end <= from {
                continue;
            }
            let same_end = last == (self.ended && to == self.extent);
            let same = (from, to) == (start, end) && same_end && self.buffer.get(start..end) == Some(payload);
            return if same { Ok(Check::Duplicate) } else { Err(Rejected::Overlap) };
        }
        let contradicts = if self.ended { last || end > self.extent } else { last && end < self.extent };
        if contradicts {
            return Err(Rejected::Inconsistent);
        }
        if self.ranges.len() == MAX_FRAGMENTS {
            return Err(Rejected::TooLong);
        }
        Ok(Check::New)
    }
}
