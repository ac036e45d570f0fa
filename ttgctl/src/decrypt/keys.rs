//! The keys known so far: those given, and those that handshakes in the capture gave away.

use std::collections::HashMap;

use dot11::{
    MacAddr,
    ccmp::Ccmp,
    rsn::{Kck, Kek, Pmk, Tk},
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
    /// The keys that go with it in an EAPOL handshake, for pairwise keys that came from one.
    pub eapol: Option<(Kck, Kek)>,
}

impl TemporalKey {
    pub fn new(tk: Tk, eapol: Option<(Kck, Kek)>) -> Self {
        TemporalKey { ccmp: Ccmp::new(&tk), tk, seen: HashMap::new(), eapol }
    }

    /// The plain frame, and whether it was heard for the first time; `None` when this is not its key.
    pub fn open(&mut self, transmitter: MacAddr, class: u8, protected: &[u8]) -> Option<(Vec<u8>, bool)> {
        let (header, plain) = self.ccmp.open(protected).ok()?;
        let fresh = self.seen.entry((transmitter, class)).or_default().note(header.pn.value());
        Some((plain, fresh))
    }
}

/// Keys of one pair of devices, or the group keys of one BSS under one key identifier; the newest last.
#[derive(Default)]
pub struct KeyList {
    keys: Vec<TemporalKey>,
}

impl KeyList {
    /// Frames under older keys than these do not turn up.
    const MAX: usize = 8;

    /// Adds a key, unless it is there: a repeated message of a handshake must not make packet numbers unheard again.
    pub fn add(&mut self, tk: Tk, eapol: Option<(Kck, Kek)>) {
        if let Some(known) = self.keys.iter_mut().find(|key| key.tk == tk) {
            if eapol.is_some() {
                known.eapol = eapol;
            }
            return;
        }
        if self.keys.len() == KeyList::MAX {
            self.keys.remove(0);
        }
        self.keys.push(TemporalKey::new(tk, eapol));
    }

    /// Newest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut TemporalKey> {
        self.keys.iter_mut().rev()
    }

    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &TemporalKey> {
        self.keys.iter().rev()
    }
}
