//! The keys known so far: those given, and those that handshakes in the capture gave away.

use std::collections::HashMap;

use dot11::{
    Frame, MacAddr,
    ccmp::Ccmp,
    rsn::{Pmk, Tk},
};

use super::seen::Seen;

/// What the operator knows.
#[derive(Debug, Default)]
pub struct Given {
    /// Pairwise master keys, from passphrases or as they are.
    pub pmks: Vec<Pmk>,
    /// Temporal keys, of whomever.
    pub tks: Vec<Tk>,
}

/// A temporal key and what has been heard under it.
pub struct TemporalKey {
    tk: Tk,
    ccmp: Ccmp,
    seen: HashMap<(MacAddr, u8), Seen>,
}

/// A frame that was opened.
pub struct Opened {
    /// The frame, no longer protected.
    pub plain: Vec<u8>,
    /// Whether it was heard for the first time.
    pub fresh: bool,
    /// What it was protected with.
    pub protection: Protection,
}

/// Key and packet number of a frame: fragments of one MSDU have the same key and consecutive numbers
/// (802.11-2020 §12.5.3.4.4).
#[derive(PartialEq, Eq)]
pub struct Protection {
    tk: Tk,
    pn: u64,
}

impl Protection {
    /// That of the next fragment.
    pub fn next(&self) -> Self {
        Protection { tk: self.tk.clone(), pn: self.pn + 1 }
    }
}

impl TemporalKey {
    pub fn new(tk: Tk) -> Self {
        TemporalKey { ccmp: Ccmp::new(&tk), tk, seen: HashMap::new() }
    }

    /// Opens a frame of `transmitter` in replay class `class`; `None` when this is not its key.
    pub fn open(&mut self, transmitter: MacAddr, class: u8, frame: &Frame<'_>) -> Option<Opened> {
        let opened = self.ccmp.open(frame.bytes()).ok();
        let (header, plain) = match opened {
            None if frame.qos().is_some_and(|qos| qos.amsdu_present()) => {
                // The two may have agreed to authenticate the A-MSDU Present bit.
                self.ccmp.clone().with_spp_amsdu(true).open(frame.bytes()).ok()?
            }
            opened => opened?,
        };
        let pn = header.pn.value();
        let fresh = self.seen.entry((transmitter, class)).or_default().note(pn);
        Some(Opened { plain, fresh, protection: Protection { tk: self.tk.clone(), pn } })
    }
}

/// Keys of one pair of devices, or the group keys of one BSS under one key identifier; the newest last.
#[derive(Default)]
pub struct KeyList {
    keys: Vec<TemporalKey>,
    /// Which of the keys given to all have opened something here.
    given: Vec<usize>,
    /// Whether the key now in use is known, as far as one can tell: then a frame that does not open is a failure.
    settled: bool,
}

impl KeyList {
    /// Frames under older keys than these do not turn up.
    const MAX: usize = 8;

    /// Adds a key, unless it is there: a repeated message of a handshake must not make packet numbers unheard again.
    pub fn add(&mut self, tk: Tk) {
        self.settled = true;
        if self.keys.iter().any(|key| key.tk == tk) {
            return;
        }
        if self.keys.len() == KeyList::MAX {
            self.keys.remove(0);
        }
        self.keys.push(TemporalKey::new(tk));
    }

    /// Opens a frame under any of these keys, the newest first.
    pub fn open(&mut self, transmitter: MacAddr, class: u8, frame: &Frame<'_>) -> Option<Opened> {
        self.keys.iter_mut().rev().find_map(|key| key.open(transmitter, class, frame))
    }

    /// A key given to all, the one with this index, has opened a frame: the key in use is known, unless it is an
    /// earlier one that is on its way out.
    pub fn opened_by_given(&mut self, index: usize) {
        if !self.given.contains(&index) {
            self.given.push(index);
            self.settled = true;
        }
    }

    /// Something new is in use, or may be.
    pub fn unsettle(&mut self) {
        self.settled = false;
    }

    /// What is in use is known after all.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// Whether the key now in use is known.
    pub fn is_settled(&self) -> bool {
        self.settled
    }
}
