//! Defragmentation of MSDUs (802.11-2020 §10.5), so that no two fragments ever meet that were not sent as one MSDU: same station and TID, same
//! sequence number, consecutive fragment numbers, and either all unprotected or all under one key with consecutive packet numbers
//! (§12.5.3.4.4; CVE-2020-24586, -24587, -26146, -26147).

use std::time::Duration;

use dot11::{MacAddr, SequenceControl};

use crate::clock::Time;
use crate::counters::DropReason;
use crate::packet::Packet;
use crate::station::StationId;

/// How long after its first fragment an MSDU is given up.
pub const MAX_AGE: Duration = Duration::from_secs(2);

/// MSDUs of one station that may be incomplete at a time; the standard asks for three.
const PER_STATION: usize = 4;

/// How a fragment was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Installation count of the key.
    pub epoch: u8,
    /// Packet number.
    pub pn: u64,
}

/// What is known of a fragment.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// Its station.
    pub station: StationId,
    /// Its TID, as an index of replay counters.
    pub index: usize,
    /// Sequence and fragment number.
    pub sequence: SequenceControl,
    /// Whether others follow.
    pub more: bool,
    /// Where the MSDU goes.
    pub destination: MacAddr,
    /// `None`: unprotected.
    pub protection: Option<Protection>,
}

/// What became of a fragment.
#[derive(Debug)]
pub struct Outcome {
    /// The whole MSDU, or nothing yet; or why it is gone, and how many kept fragments went with it.
    pub result: Result<Option<Packet>, (DropReason, u64)>,
    /// Fragments of other MSDUs given up for it.
    pub evicted: u64,
    /// Fragments given up for their age.
    pub expired: u64,
}

/// Incomplete MSDUs of one worker, in a fixed number of places.
pub struct Defragmenter {
    places: Vec<Option<Partial>>,
    used: usize,
}

struct Partial {
    last: Fragment,
    fragments: u64,
    since: Time,
    msdu: Packet,
}

impl Defragmenter {
    /// With room for `capacity` incomplete MSDUs, at least one.
    pub fn new(capacity: usize) -> Self {
        Self { places: (0..capacity.max(1)).map(|_| None).collect(), used: 0 }
    }

    /// Takes a fragment, `body` being its plain text.
    pub fn push(&mut self, fragment: Fragment, body: Packet, now: Time) -> Outcome {
        let mut outcome = Outcome { result: Ok(None), evicted: 0, expired: 0 };
        let place = self.places.iter().position(|place| {
            place.as_ref().is_some_and(|partial| {
                partial.last.station == fragment.station && partial.last.index == fragment.index
            })
        });
        if fragment.sequence.fragment() == 0 {
            // A device sends the MSDUs of one TID one after the other.
            outcome.evicted += place.map_or(0, |place| self.release(place));
            self.start(fragment, body, now, &mut outcome);
            return outcome;
        }
        let Some(place) = place else {
            outcome.result = Err((DropReason::FragmentOrphan, 0));
            return outcome;
        };
        let Some(partial) = &mut self.places[place] else { unreachable!("found just now") };
        if now.since(partial.since) > MAX_AGE {
            outcome.expired += self.release(place);
            outcome.result = Err((DropReason::FragmentOrphan, 0));
            return outcome;
        }
        if let Err(reason) = partial.last.check_next(&fragment) {
            // An orphan belongs to another MSDU, and this one may still be completed; anything else contradicts it.
            let with_it = if reason == DropReason::FragmentOrphan { 0 } else { self.release(place) };
            outcome.result = Err((reason, with_it));
            return outcome;
        }
        match partial.msdu.append(body.len()) {
            Some(space) => space.copy_from_slice(body.data()),
            None => {
                let with_it = self.release(place);
                outcome.result = Err((DropReason::TooLong, with_it));
                return outcome;
            }
        }
        partial.last = fragment;
        partial.fragments += 1;
        if !fragment.more {
            self.used -= 1;
            outcome.result = Ok(self.places[place].take().map(|partial| partial.msdu));
        }
        outcome
    }

    /// Gives up what a station left incomplete, and says how many fragments that were.
    pub fn forget(&mut self, station: StationId) -> u64 {
        self.release_if(|partial| partial.last.station == station)
    }

    /// Gives up what is too old, and says how many fragments that were.
    pub fn expire(&mut self, now: Time) -> u64 {
        self.release_if(|partial| now.since(partial.since) > MAX_AGE)
    }

    /// Incomplete MSDUs.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn start(&mut self, fragment: Fragment, msdu: Packet, now: Time, outcome: &mut Outcome) {
        let of_station = |place: &&(usize, Time, StationId)| place.2 == fragment.station;
        let live = || {
            self.places.iter().enumerate().filter_map(|(i, place)| {
                place.as_ref().map(|partial| (i, partial.since, partial.last.station))
            })
        };
        // A station that has its share gives up its own oldest, a full table the oldest of all.
        let victim = if live().filter(|place| of_station(&place)).count() >= PER_STATION {
            live().filter(|place| of_station(&place)).min_by_key(|place| place.1)
        } else if self.used == self.places.len() {
            live().min_by_key(|place| place.1)
        } else {
            None
        };
        if let Some((place, ..)) = victim {
            outcome.evicted += self.release(place);
        }
        if let Some(place) = self.places.iter_mut().find(|place| place.is_none()) {
            *place = Some(Partial { last: fragment, fragments: 1, since: now, msdu });
            self.used += 1;
        }
    }

    fn release(&mut self, place: usize) -> u64 {
        let Some(partial) = self.places[place].take() else { return 0 };
        self.used -= 1;
        partial.fragments
    }

    fn release_if(&mut self, condition: impl Fn(&Partial) -> bool) -> u64 {
        if self.used == 0 {
            return 0;
        }
        (0..self.places.len())
            .map(|i| if self.places[i].as_ref().is_some_and(&condition) { self.release(i) } else { 0 })
            .sum()
    }
}

impl Fragment {
    /// Whether `next` follows this one.
    fn check_next(&self, next: &Fragment) -> Result<(), DropReason> {
        if next.sequence.number() != self.sequence.number()
            || next.sequence.fragment() != self.sequence.fragment() + 1
            || next.destination != self.destination
        {
            return Err(DropReason::FragmentOrphan);
        }
        match (self.protection, next.protection) {
            (None, None) => Ok(()),
            (Some(this), Some(next)) if this.epoch != next.epoch => Err(DropReason::FragmentMixed),
            (Some(this), Some(next)) if next.pn != this.pn + 1 => Err(DropReason::FragmentPn),
            (Some(_), Some(_)) => Ok(()),
            _ => Err(DropReason::FragmentMixed),
        }
    }
}
