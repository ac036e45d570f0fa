//! MSDUs out of data frames: fragments put together, A-MSDUs taken apart.

use std::collections::HashMap;

use dot11::{
    Frame, MacAddr,
    amsdu::{self, Subframes},
};

use super::keys::Protection;

/// Fragments by transmitter, receiver and TID.
#[derive(Default)]
pub struct Assembly {
    partial: HashMap<(MacAddr, MacAddr, u8), Partial>,
}

/// An MSDU of which not all fragments have been heard.
struct Partial {
    sequence: u16,
    next: u8,
    time: u64,
    /// What the next fragment is protected with; `None`: not at all.
    protection: Option<Protection>,
    frame: Vec<u8>,
}

/// MSDUs under way at a time; each has at most 36 KiB.
const MAX_PARTIAL: usize = 4096;
/// In nanoseconds. Receivers give up after aMaxReceiveLifetime, which is two seconds wherever it matters.
const MAX_AGE: u64 = 2_000_000_000;
/// In place of a TID, for frames without.
const NO_TID: u8 = 16;

impl Assembly {
    /// Takes a plain data frame, which was protected in this way or not at all, heard at `time` nanoseconds. Gives
    /// a frame with a whole body: this one, or the first of the fragments with all of their bodies.
    pub fn add(&mut self, time: u64, frame: &Frame<'_>, protection: Option<&Protection>) -> Option<Vec<u8>> {
        let (sequence, transmitter) = (frame.sequence()?, frame.addr2()?);
        let (number, fragment) = (sequence.number(), sequence.fragment());
        let more = frame.control().more_fragments();
        if fragment == 0 && !more {
            return Some(frame.bytes().to_vec());
        }
        let key = (transmitter, frame.addr1(), frame.qos().map_or(NO_TID, |qos| qos.tid()));
        let next_protection = protection.map(Protection::next);
        if fragment == 0 {
            if self.partial.len() >= MAX_PARTIAL {
                self.partial.retain(|_, partial| time.saturating_sub(partial.time) <= MAX_AGE);
            }
            if self.partial.len() < MAX_PARTIAL || self.partial.contains_key(&key) {
                let frame = frame.bytes().to_vec();
                let first = Partial { sequence: number, next: 1, time, protection: next_protection, frame };
                self.partial.insert(key, first);
            }
            return None;
        }
        let partial = self.partial.get_mut(&key)?;
        let late = time.saturating_sub(partial.time) > MAX_AGE;
        if partial.sequence != number || late {
            self.partial.remove(&key);
            return None;
        }
        if fragment < partial.next {
            // A retransmission in the clear.
            return None;
        }
        if partial.next != fragment || partial.protection.as_ref() != protection {
            self.partial.remove(&key);
            return None;
        }
        partial.frame.extend_from_slice(frame.body());
        partial.next += 1;
        partial.protection = next_protection;
        if more { None } else { self.partial.remove(&key).map(|partial| partial.frame) }
    }
}

/// Hands each MSDU in a frame with a whole body to `take`, with destination and source.
pub fn each(frame: &Frame<'_>, mut take: impl FnMut(MacAddr, MacAddr, &[u8])) {
    let body = frame.body();
    if frame.qos().is_some_and(|qos| qos.amsdu_present()) {
        if amsdu::is_disguised_msdu(body) {
            return;
        }
        for subframe in Subframes::new(body).map_while(Result::ok) {
            take(subframe.da, subframe.sa, subframe.msdu);
        }
    } else if let (Some(da), Some(sa)) = (frame.destination(), frame.source())
        && !body.is_empty()
    {
        take(da, sa, body);
    }
}
