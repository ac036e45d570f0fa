//! Replay windows: which counters of a peer were used, and from which address.

use super::super::PublicKey;

/// What is remembered of a peer that spoke: 32 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Of its ticket.
    serial: u64,
    /// The highest counter that was accepted.
    highest: u64,
    /// Bit n: the counter `highest - 1 - n` was accepted, or cannot be told from one that was.
    seen: u64,
    /// Hash of the address that was proved.
    source: u64,
}

const _: () = assert!(size_of::<Window>() == 32);

impl Window {
    /// Of a peer that proved its address with this counter. Nobody knows what came before: none of it is accepted.
    pub(super) fn new(serial: u64, counter: u64, source: u64) -> Window {
        Window { serial, highest: counter, seen: u64::MAX, source }
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn source(&self) -> u64 {
        self.source
    }

    pub(super) fn is_new(&self, counter: u64) -> bool {
        match self.highest.checked_sub(counter) {
            None => true,
            Some(0) => false,
            Some(below) => below <= 64 && self.seen & (1 << (below - 1)) == 0,
        }
    }

    /// Only for a counter that is new, and that is authentic.
    pub(super) fn accept(&mut self, counter: u64, source: u64) {
        self.source = source;
        match counter.checked_sub(self.highest) {
            // The old highest is now `ahead` below the new one.
            Some(ahead @ 1..=64) => {
                self.seen = self.seen.checked_shl(ahead as u32).unwrap_or(0) | 1 << (ahead - 1);
                self.highest = counter;
            }
            Some(0) => (),
            Some(_) => (self.seen, self.highest) = (0, counter),
            None => self.seen |= 1 << (self.highest - counter - 1),
        }
    }
}

/// Where the windows are: with what the matchmaker knows of its peers anyway, or in a [`WindowTable`]. A window that
/// is lost costs its peer a round trip.
pub trait Windows {
    /// That of this peer.
    fn find(&mut self, peer: &PublicKey) -> Option<&mut Window>;
    /// Keeps one, in place of an older one of the same peer. It need not.
    fn insert(&mut self, peer: &PublicKey, window: Window);
}

const WAYS: usize = 4;

/// Windows in a table of a fixed size: 64 octets each. When the places for a peer are taken, one of the others loses its
/// window.
pub struct WindowTable {
    sets: Vec<[Option<(PublicKey, Window)>; WAYS]>,
    victim: usize,
}

impl WindowTable {
    /// For at least so many, if their keys fall well.
    pub fn new(peers: usize) -> WindowTable {
        WindowTable { sets: vec![[None; WAYS]; peers.div_ceil(WAYS).next_power_of_two()], victim: 0 }
    }

    fn set(&mut self, peer: &PublicKey) -> &mut [Option<(PublicKey, Window)>; WAYS] {
        // Public keys of Curve25519: every value is as likely, as far as nobody chooses.
        let at = u64::from_le_bytes(*peer.0.first_chunk().expect("8 of 32 octets")) as usize;
        let mask = self.sets.len() - 1;
        &mut self.sets[at & mask]
    }
}

impl Windows for WindowTable {
    fn find(&mut self, peer: &PublicKey) -> Option<&mut Window> {
        self.set(peer).iter_mut().flatten().find(|(of, _)| of == peer).map(|(_, window)| window)
    }

    fn insert(&mut self, peer: &PublicKey, window: Window) {
        self.victim = (self.victim + 1) % WAYS;
        let victim = self.victim;
        let set = self.set(peer);
        let own = set.iter().position(|place| place.is_some_and(|(of, _)| of == *peer));
        let free = || set.iter().position(Option::is_none);
        let at = own.or_else(free).unwrap_or(victim);
        set[at] = Some((*peer, window));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn edges() {
        let mut window = Window::new(1, 100, 7);
        assert!(!window.is_new(100) && !window.is_new(99) && !window.is_new(36) && !window.is_new(0));
        window.accept(164, 8);
        assert!(!window.is_new(164) && !window.is_new(100) && window.is_new(101) && window.is_new(163));
        assert!(!window.is_new(99), "further below than the window reaches");
        window.accept(101, 8);
        assert!(!window.is_new(101));
        window.accept(u64::MAX, 9);
        assert!(window.is_new(u64::MAX - 64) && !window.is_new(u64::MAX - 65));
        assert_eq!(window.source(), 9);
    }

    proptest! {
        #[test]
        fn nothing_is_accepted_twice(first in 0u64..100, steps in prop::collection::vec(0u64..400, 1..300)) {
            let mut window = Window::new(1, first, 0);
            let mut used: HashSet<u64> = (0..=first).collect();
            let mut highest = first;
            for counter in steps {
                let new = window.is_new(counter);
                prop_assert_eq!(new, !used.contains(&counter) && counter + 64 >= highest);
                if new {
                    window.accept(counter, 0);
                    used.insert(counter);
                    highest = highest.max(counter);
                }
            }
        }
    }

    #[test]
    fn a_full_table_forgets_but_one() {
        let mut table = WindowTable::new(4);
        let key = |n| PublicKey([n; 32]);
        for n in 0..5 {
            table.insert(&key(n), Window::new(n.into(), 0, 0));
        }
        table.insert(&key(4), Window::new(9, 0, 0));
        let found = (0..5).filter(|n| table.find(&key(*n)).is_some()).count();
        assert_eq!((found, table.find(&key(4)).unwrap().serial()), (4, 9));
    }
}
