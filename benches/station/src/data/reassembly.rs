//! Fragments back into one MSDU (802.11-2020 §10.5): one frame at a time, in order, all under the same key.

use std::time::Duration;

use dot11::ccmp::Pn;

use crate::time::Time;

/// The most octets kept: an A-MSDU of the maximum size that needs no HT capability, and its overhead.
const MAX_LEN: usize = 4096;
/// Fragments older than this are no longer completed.
const MAX_AGE: Duration = Duration::from_secs(2);

/// A received fragment in the clear.
pub(super) struct Fragment<'a> {
    pub tid: u8,
    /// Sequence number, the same for all fragments.
    pub number: u16,
    /// Fragment number.
    pub index: u8,
    pub more: bool,
    /// The packet number it came under, if it was encrypted.
    pub pn: Option<Pn>,
    pub body: &'a [u8],
}

/// What there is of a frame.
#[derive(Debug)]
pub(super) struct Reassembly {
    tid: u8,
    number: u16,
    next_index: u8,
    /// What the next fragment must come under: packet numbers are consecutive (802.11-2020 §12.5.3.4.4).
    next_pn: Option<Pn>,
    began: Time,
    body: Vec<u8>,
}

impl Reassembly {
    /// Adds a fragment to what `slot` holds. `Some(Some(body))` when the frame is complete, `Some(None)` when more
    /// is to come, `None` when the fragment continues nothing; whatever was begun is then given up.
    pub fn take(
        slot: &mut Option<Box<Reassembly>>,
        now: Time,
        fragment: &Fragment<'_>,
    ) -> Option<Option<Vec<u8>>> {
        let mut begun = match slot.take() {
            _ if fragment.index == 0 => Box::new(Reassembly {
                tid: fragment.tid,
                number: fragment.number,
                next_index: 0,
                next_pn: fragment.pn,
                began: now,
                body: Vec::new(),
            }),
            Some(begun) => begun,
            None => return None,
        };
        let continues = begun.tid == fragment.tid
            && begun.number == fragment.number
            && begun.next_index == fragment.index
            && begun.next_pn == fragment.pn
            && now - begun.began <= MAX_AGE
            && begun.body.len() + fragment.body.len() <= MAX_LEN;
        if !continues {
            return None;
        }
        begun.body.extend_from_slice(fragment.body);
        begun.next_index += 1;
        begun.next_pn = begun.next_pn.and_then(Pn::next);
        if !fragment.more {
            return Some(Some(begun.body));
        }
        *slot = Some(begun);
        Some(None)
    }
}
