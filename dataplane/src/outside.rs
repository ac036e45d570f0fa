//! Destinations of which a look-up has just told that no station has them: the router, above all. Nearly all uplink goes there, and one
//! comparison spares it two look-ups in large tables.

use dot11::MacAddr;

/// A few such destinations, each good as long as no station has joined a VLAN, here or elsewhere.
#[derive(Default)]
pub struct Outside {
    entries: [Entry; ENTRIES],
    epoch: u64,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    mac: MacAddr,
    vlan: u16,
    /// 0: none. Epochs begin at 1.
    epoch: u64,
}

const ENTRIES: usize = 16;

impl Outside {
    /// Whether a destination is known not to be a station's.
    #[inline]
    pub fn has(&self, vlan: u16, mac: MacAddr) -> bool {
        let entry = &self.entries[place(vlan, mac)];
        entry.mac == mac && entry.vlan == vlan && entry.epoch == self.epoch + 1
    }

    /// Notes that no station has a destination.
    pub fn note(&mut self, vlan: u16, mac: MacAddr) {
        self.entries[place(vlan, mac)] = Entry { mac, vlan, epoch: self.epoch + 1 };
    }

    /// A station may have become reachable: nothing is known any more.
    pub fn forget(&mut self) {
        self.epoch += 1;
    }
}

#[inline]
fn place(vlan: u16, mac: MacAddr) -> usize {
    (usize::from(mac.0[5] ^ mac.0[4]) ^ usize::from(vlan)) % ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_until_a_station_comes() {
        let mut outside = Outside::default();
        let (router, other) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 1, 0]));
        assert!(!outside.has(0, MacAddr::ZERO), "nothing is known at first");
        outside.note(7, router);
        assert!(outside.has(7, router) && !outside.has(8, router) && !outside.has(7, other));
        outside.note(7, other);
        assert!(outside.has(7, other) && !outside.has(7, router), "they share a place");
        outside.forget();
        assert!(!outside.has(7, other));
    }
}
