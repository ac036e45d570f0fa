//! Replay windows: which counters of a peer were used, and from which address.

/// What is remembered of a peer that spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Of its ticket.
    serial: u64,
    /// The highest counter that was accepted.
    highest: u64,
    /// Bit n: the counter `highest - 1 - n` was accepted, or cannot be told from one that was.
    seen: u64,
    /// Of the hash of the address that was proved.
    source: u32,
}

impl Window {
    /// Of a peer that proved its address with this counter. Nobody knows what came before: none of it is accepted.
    pub(super) fn new(serial: u64, counter: u64, source: u64) -> Window {
        Window { serial, highest: counter, seen: u64::MAX, source: source as u32 }
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether the source with this hash proved itself.
    pub(super) fn is_from(&self, source: u64) -> bool {
        self.source == source as u32
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
        self.source = source as u32;
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

const WAYS: usize = 4;

/// Windows in a table of a fixed size, 32 octets each, by a hash of their peers with a secret. When the places for a peer are taken, one of the
/// others loses its window, which costs its peer a round trip: a cookie, that is to say.
pub(super) struct WindowTable {
    /// Of four windows, each as `serial | highest | seen | source · half of the hash`: numbers, because the operating system has zeros for
    /// nothing, so that a large table costs what is used of it. A serial of zero: none.
    sets: Vec<[[u64; 4]; WAYS]>,
    victim: usize,
}

impl WindowTable {
    /// For at least so many, if their hashes fall well.
    pub fn new(peers: usize) -> WindowTable {
        WindowTable { sets: vec![[[0; 4]; WAYS]; peers.div_ceil(WAYS).next_power_of_two()], victim: 0 }
    }

    fn at(&self, peer: u64) -> usize {
        peer as usize & (self.sets.len() - 1)
    }

    /// Reads something of where the peer's window is.
    #[inline]
    pub fn touch(&self, peer: u64) -> u64 {
        let set = &self.sets[self.at(peer)];
        set[0][0] ^ set[WAYS - 1][0]
    }

    /// That of the peer with this hash.
    pub fn find(&self, peer: u64) -> Option<Window> {
        let is = |place: &&[u64; 4]| place[0] != 0 && place[3] as u32 == half(peer);
        let &[serial, highest, seen, rest] = self.sets[self.at(peer)].iter().find(is)?;
        Some(Window { serial, highest, seen, source: (rest >> 32) as u32 })
    }

    /// Keeps one, in place of an older one of the same peer.
    pub fn put(&mut self, peer: u64, window: Window) {
        self.victim = (self.victim + 1) % WAYS;
        let victim = self.victim;
        let at = self.at(peer);
        let set = &mut self.sets[at];
        let own = set.iter().position(|place| place[0] != 0 && place[3] as u32 == half(peer));
        let free = || set.iter().position(|place| place[0] == 0);
        let at = own.or_else(free).unwrap_or(victim);
        let Window { serial, highest, seen, source } = window;
        set[at] = [serial, highest, seen, u64::from(source) << 32 | u64::from(half(peer))];
    }
}

/// The half of the hash that does not say where.
fn half(peer: u64) -> u32 {
    (peer >> 32) as u32
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
        assert!(window.is_from(9) && !window.is_from(8));
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
        let peer = |n: u64| n << 32;
        for n in 0..5 {
            table.put(peer(n), Window::new(n + 1, 0, 0));
        }
        let mut last = Window::new(9, 7, u64::MAX);
        last.accept(9, 1 << 40 | 3);
        table.put(peer(4), last);
        let found = (0..5).filter(|n| table.find(peer(*n)).is_some()).count();
        assert_eq!((found, table.find(peer(4))), (4, Some(last)));
        assert_eq!(table.find(peer(5)), None);
    }

    #[test]
    fn as_many_peers_as_it_is_made_for_find_theirs() {
        let mut table = WindowTable::new(1 << 12);
        let keyed = super::super::limits::Keyed::new(1);
        let peers: Vec<u64> = (0..1u32 << 11).map(|n| keyed.hash(&n.to_be_bytes())).collect();
        for (n, &peer) in peers.iter().enumerate() {
            table.put(peer, Window::new(n as u64 + 1, 0, 0));
        }
        let found = peers
            .iter()
            .enumerate()
            .filter(|&(n, &peer)| table.find(peer).is_some_and(|window| window.serial() == n as u64 + 1));
        // Half full; 5 % of the sets have more than their four.
        assert!(found.count() > peers.len() * 95 / 100);
    }
}
