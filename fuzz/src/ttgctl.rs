//! What must hold for any octets that `ttgctl decrypt` is given. Not a module of `fuzz` unless its feature `ttgctl` is
//! on, since that builds all of `ttgctl`; `ttgctl/tests/anything.rs` runs the same body.

use dataplane::capture::{LinkType, Record};
use dot11::rsn::{Pmk, Tk};
use ttgctl::decrypt::{Air, Content, Given, Link};

/// Every link type that is understood, and one that is not.
pub const LINK_TYPES: [u16; 17] =
    [0, 1, 12, 14, 101, 105, 108, 113, 119, 127, 147, 163, 192, 228, 229, 276, u16::MAX];

/// Records, each of any link type: first an octet that chooses it, then two of length (little-endian), of which the
/// highest bit says that the record was cut. Every frame ends in at most one count.
pub fn decrypt(mut data: &[u8]) {
    let given = Given { pmks: vec![Pmk::new([0x11; 32])], tks: vec![Tk::new([0x22; 16])] };
    let (mut link, mut air) = (Link::default(), Air::new(given));
    let mut number = 0;
    while let Some((&[kind, low, high], rest)) = data.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high & 0x7f])).min(rest.len());
        let (record, after) = rest.split_at(length);
        data = after;
        number += 1;
        let record = Record {
            number,
            link_type: LinkType(LINK_TYPES[usize::from(kind) % LINK_TYPES.len()]),
            timestamp: Some(number * 1_000_000),
            original_len: (length + usize::from(high >> 7) * 3) as u32,
            data: record,
        };
        let Content::Frame(heard) = link.content(&record) else { continue };
        let before = air.counts();
        air.frame(number * 1_000_000, &heard, &mut |ethernet| assert!(ethernet.len() >= 14));
        let after = air.counts();
        assert_eq!(after.frames, before.frames + 1);
        let protected = |counts: ttgctl::decrypt::Counts| {
            counts.decrypted + counts.mic_failures + counts.replays + counts.no_key + counts.cut
        };
        assert!(protected(after) - protected(before) <= 1);
    }
}
