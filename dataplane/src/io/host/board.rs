//! What workers tell each other: a bounded table of addresses that any of them writes and all read, without anybody ever waiting.
//!
//! A port spreads what arrives over its queues by flow, so an answer may reach another worker than the one that asked: ARP has no flow, and an
//! ICMP error has that of the router. Each entry is protected by a sequence number (a seqlock): readers who saw it change read again or do
//! without, writers who find another writer give up. Both lose little: everything here is heard again.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::clock::Time;

/// The table. Addresses are in the form of [`mapped`](crate::inet::mapped).
#[derive(Debug)]
pub struct Board {
    slots: Box<[Slot]>,
    seed: u64,
    version: AtomicU64,
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The caller's.
    pub value: u64,
    /// When it was written.
    pub at: Time,
}

/// Places that an address can be in.
const WAYS: usize = 4;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    /// Odd while somebody writes.
    sequence: AtomicU64,
    key: [AtomicU64; 2],
    value: AtomicU64,
    /// Nanoseconds; 0: free.
    at: AtomicU64,
}

impl Board {
    /// With room for `addresses`, more or less.
    pub fn new(addresses: usize, seed: u64) -> Self {
        let slots = addresses.max(WAYS).next_power_of_two();
        Self { slots: (0..slots).map(|_| Slot::default()).collect(), seed, version: AtomicU64::new(0) }
    }

    /// Rises with each change.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What was written last about an address.
    #[inline]
    pub fn read(&self, address: Ipv6Addr) -> Option<Note> {
        if self.version.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let key = words(address);
        // Two writers may have put an address in two places: the newest counts.
        self.set(key).iter().filter_map(|slot| slot.read(key)).max_by_key(|note| note.at)
    }

    /// Writes about an address, in place of what was written of it before, or of the oldest that shares its places. False if another worker was
    /// writing there.
    pub fn write(&self, address: Ipv6Addr, value: u64, at: Time) -> bool {
        let key = words(address);
        let set = self.set(key);
        let known = set.iter().find(|slot| slot.read(key).is_some());
        let Some(slot) = known.or_else(|| set.iter().min_by_key(|slot| slot.at.load(Ordering::Relaxed)))
        else {
            return false;
        };
        let written = slot.write(key, value, at.nanos().max(1));
        if written {
            self.version.fetch_add(1, Ordering::Release);
        }
        written
    }

    #[inline]
    fn set(&self, key: [u64; 2]) -> &[Slot] {
        let mixed = (key[0] ^ key[1].rotate_left(31) ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let first = (mixed >> 32) as usize & (self.slots.len() - 1) & !(WAYS - 1);
        &self.slots[first..first + WAYS]
    }
}

impl Slot {
    #[inline]
    fn read(&self, key: [u64; 2]) -> Option<Note> {
        for _ in 0..2 {
            let before = self.sequence.load(Ordering::Acquire);
            let found = [self.key[0].load(Ordering::Relaxed), self.key[1].load(Ordering::Relaxed)];
            let value = self.value.load(Ordering::Relaxed);
            let at = self.at.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return (found == key && at != 0).then_some(Note { value, at: Time::from_nanos(at) });
            }
        }
        None
    }

    fn write(&self, key: [u64; 2], value: u64, at: u64) -> bool {
        let before = self.sequence.load(Ordering::Relaxed);
        if !before.is_multiple_of(2)
            || self
                .sequence
                .compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        // Nothing below may be seen before the odd number.
        fence(Ordering::Release);
        self.key[0].store(key[0], Ordering::Relaxed);
        self.key[1].store(key[1], Ordering::Relaxed);
        self.value.store(value, Ordering::Relaxed);
        self.at.store(at, Ordering::Relaxed);
        self.sequence.store(before + 2, Ordering::Release);
        true
    }
}

#[inline]
fn words(address: Ipv6Addr) -> [u64; 2] {
    let bits = address.to_bits();
    [(bits >> 64) as u64, bits as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u64) -> Ipv6Addr {
        Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(n))
    }

    #[test]
    fn the_newest_is_read_and_the_oldest_makes_room() {
        let board = Board::new(WAYS, 7);
        assert_eq!((board.read(address(1)), board.version()), (None, 0));
        for n in 1..=4 {
            assert!(board.write(address(n), n * 10, Time::from_nanos(n)));
        }
        assert!(board.write(address(1), 11, Time::from_nanos(9)));
        assert_eq!(board.read(address(1)), Some(Note { value: 11, at: Time::from_nanos(9) }));
        assert!(board.write(address(5), 50, Time::from_nanos(10)));
        assert_eq!(board.read(address(2)), None);
        let left: Vec<_> = [1, 3, 4, 5].map(|n| board.read(address(n)).unwrap().value).to_vec();
        assert_eq!(left, [11, 30, 40, 50]);
        assert_eq!(board.version(), 6);
    }

    /// Values that belong to their address by construction: whoever reads half of one and half of another sees it.
    #[test]
    fn no_reader_sees_half_a_note() {
        let board = Board::new(8, 1);
        let value = |n: u64, round: u64| n << 32 | round;
        std::thread::scope(|scope| {
            for writer in 0..2u64 {
                let board = &board;
                scope.spawn(move || {
                    for round in 1..20_000u64 {
                        let n = (round + writer) % 16;
                        board.write(address(n), value(n, round), Time::from_nanos(round));
                    }
                });
            }
            let mut read = 0u64;
            for i in 0..200_000u64 {
                if let Some(note) = board.read(address(i % 16)) {
                    assert_eq!(note.value, value(i % 16, note.at.nanos()));
                    read += 1;
                }
            }
            // On one core the writers may come only now.
            assert!(read <= 200_000);
        });
    }
}
