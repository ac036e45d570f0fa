//! Frames that wait for the key they are under.
//!
//! A device uses its new pairwise key from the moment it has sent message 4 of the handshake (802.11-2020 §12.7.6.5); here the key is installed
//! only when control has seen that message. What comes between looks like a replay, or has a wrong MIC, or comes before there is any key.
//! It is kept until the key is there, and then goes through the stage as if it had just come. If no key comes in time, it goes through all the
//! same, and is dropped for what is wrong with it.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Item, Items, Opened};
use crate::clock::Time;
use crate::command::Signal;
use crate::counters::{DropReason, Forwarded};
use crate::crypto::{self, OpenJob};
use crate::packet::{BURST, Packet};
use crate::state::State;
use crate::station::{Flag, StationId};

/// How long a frame waits for its key. Control answers message 4 within milliseconds, unless its machine has a bad second.
pub const PARKED_FOR: Duration = Duration::from_secs(1);

/// How many of a station's frames wait at most: they go on in one burst.
const PER_STATION: usize = BURST;

/// The frames of one worker that wait, oldest first; a fixed number at most. They are few and wait briefly, so that a list that is walked does.
pub(crate) struct Parked {
    frames: VecDeque<Frame>,
    capacity: usize,
}

struct Frame {
    packet: Packet,
    signal: Signal,
    station: StationId,
    until: Time,
}

impl Parked {
    /// With room for `capacity` frames.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { frames: VecDeque::with_capacity(capacity), capacity }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn has_room_for(&self, id: StationId) -> bool {
        self.frames.len() < self.capacity
            && self.frames.iter().filter(|frame| frame.station == id).count() < PER_STATION
    }

    /// Takes out the frames of a station, in order.
    fn take_of(&mut self, id: StationId, mut taken: impl FnMut(Frame)) {
        for _ in 0..self.frames.len() {
            let Some(frame) = self.frames.pop_front() else { break };
            if frame.station == id {
                taken(frame);
            } else {
                self.frames.push_back(frame);
            }
        }
    }

    fn next_due(&mut self, now: Time) -> Option<Frame> {
        let due = self.frames.front().is_some_and(|frame| frame.until <= now);
        if due { self.frames.pop_front() } else { None }
    }
}

impl State {
    /// Whether a protected frame of a station may be under a key that is agreed on and not installed yet.
    #[inline]
    pub(super) fn may_wait_for_key(&self, item: &Item) -> bool {
        let hot = self.stations.hot(item.station);
        let expected = if hot.is(Flag::Keyed) {
            hot.is(Flag::Holding) && !hot.is(Flag::Grace)
        } else {
            hot.is(Flag::Protect)
        };
        expected && !item.parked
    }

    /// Opens a frame under the present key, if it is under that; leaves it as it is otherwise.
    pub(super) fn open_before_key(&mut self, packet: &mut Packet, item: &Item) -> Opened {
        let header_len = item.mpdu.header_len();
        let key_id = packet.data()[header_len + 3] >> 6;
        let hot = self.stations.hot(item.station);
        if !hot.is(Flag::Keyed)
            || key_id != hot.key_id
            || !self.stations.is_new(item.station, item.mpdu.index(), item.pn)
        {
            return Opened::No;
        }
        // A failed attempt leaves nothing to try again on.
        self.copy.clear();
        self.copy.extend_from_slice(packet.data());
        let mut job = [OpenJob { key: hot.key(), header_len, buf: packet.data_mut(), ..OpenJob::idle() }];
        crypto::open(&mut job);
        if job[0].done {
            return Opened::Current;
        }
        packet.data_mut().copy_from_slice(&self.copy);
        Opened::No
    }

    /// Keeps a frame until its key comes.
    pub(super) fn park(&mut self, packet: Packet, item: &Item) {
        let (id, mpdu) = (item.station, item.mpdu);
        if self.stations.hot(id).is_duplicate(mpdu.index(), mpdu.control.retry(), mpdu.sequence.0) {
            return self.drop(DropReason::Duplicate);
        }
        if !self.parked.has_room_for(id) {
            return self.drop(DropReason::HoldFull);
        }
        let until = self.now + PARKED_FOR;
        self.parked.frames.push_back(Frame { packet, signal: item.signal, station: id, until });
        self.count(Forwarded::Parked);
    }

    /// A station has a new key: the frames that waited for it go on.
    pub(crate) fn unpark(&mut self, id: StationId) {
        if self.parked.is_empty() {
            return;
        }
        let mut items = std::mem::take(&mut self.items);
        let mut parked = std::mem::replace(&mut self.parked, Parked::new(0));
        parked.take_of(id, |frame| self.item_again(frame, &mut items));
        self.parked = parked;
        self.frames(&mut items);
        self.items = items;
    }

    /// Those for which no key came in time go on without it.
    pub(crate) fn expire_parked(&mut self) {
        while !self.parked.is_empty() {
            let mut items = std::mem::take(&mut self.items);
            while items.items.len() < BURST
                && let Some(frame) = self.parked.next_due(self.now)
            {
                self.item_again(frame, &mut items);
            }
            let full = items.items.len() == BURST;
            self.frames(&mut items);
            self.items = items;
            if !full {
                break;
            }
        }
    }

    /// Drops those of a station, and says how many there were.
    pub(crate) fn forget_parked(&mut self, id: StationId) -> u64 {
        let mut n = 0;
        self.parked.take_of(id, |_| n += 1);
        n
    }

    fn item_again(&mut self, frame: Frame, items: &mut Items) {
        self.item(frame.packet, frame.signal, false, items);
        if let Some(item) = items.items.last_mut() {
            item.parked = true;
        }
    }
}
