//! Downlink that waits while a device gets a new key: a fixed number of places, a chain of them for each station.

use crate::packet::Packet;
use crate::station::Chain;

/// The queue of one worker.
pub struct HoldQueue {
    places: Vec<Place>,
    free: Vec<u32>,
    per_station: usize,
}

struct Place {
    held: Option<Held>,
    next: u32,
}

/// A packet that waits.
pub struct Held {
    /// An Ethernet frame without tag.
    pub packet: Packet,
    /// Its user priority.
    pub priority: u8,
}

impl HoldQueue {
    /// With room for `capacity` packets, `per_station` of them for one station.
    pub fn new(capacity: usize, per_station: usize) -> Self {
        Self {
            places: (0..capacity).map(|_| Place { held: None, next: 0 }).collect(),
            free: (0..capacity as u32).rev().collect(),
            per_station,
        }
    }

    /// Whether [`push`](Self::push) has room for one more of this station.
    pub fn has_room(&self, chain: &Chain) -> bool {
        (chain.len as usize) < self.per_station && !self.free.is_empty()
    }

    /// Appends to a station's chain; false (the packet is gone) if that or the queue is full.
    pub fn push(&mut self, chain: &mut Chain, held: Held) -> bool {
        if !self.has_room(chain) {
            return false;
        }
        let Some(place) = self.free.pop() else { return false };
        self.places[place as usize] = Place { held: Some(held), next: 0 };
        if chain.len == 0 {
            chain.head = place;
        } else {
            self.places[chain.tail as usize].next = place;
        }
        chain.tail = place;
        chain.len += 1;
        true
    }

    /// Takes the oldest of a station's chain.
    pub fn pop(&mut self, chain: &mut Chain) -> Option<Held> {
        if chain.len == 0 {
            return None;
        }
        let place = chain.head;
        let entry = &mut self.places[place as usize];
        let held = entry.held.take();
        chain.head = entry.next;
        chain.len -= 1;
        self.free.push(place);
        held
    }

    /// Drops a station's chain and says how many it had.
    pub fn clear(&mut self, chain: &mut Chain) -> u64 {
        let mut n = 0;
        while self.pop(chain).is_some() {
            n += 1;
        }
        n
    }

    /// Places that are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Pool, PoolConfig};

    #[test]
    fn chains_are_in_order_and_bounded_each_and_together() {
        let pool = Pool::new(PoolConfig { packets: 20, buffer: 64, headroom: 0 });
        let mut queue = HoldQueue::new(5, 3);
        let held = |n: u8| {
            let mut packet = pool.alloc().unwrap();
            packet.copy_from(&[n]);
            Held { packet, priority: n }
        };
        let (mut a, mut b) = (Chain::default(), Chain::default());
        let pushed: Vec<_> = (0..4).map(|n| queue.push(&mut a, held(n))).collect();
        assert_eq!(pushed, [true, true, true, false]);
        let pushed: Vec<_> = (10..13).map(|n| queue.push(&mut b, held(n))).collect();
        assert_eq!(pushed, [true, true, false]);
        assert_eq!(queue.pop(&mut a).map(|h| h.priority), Some(0));
        assert!(queue.push(&mut b, held(13)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(&mut b)).map(|h| h.packet.data()[0]).collect();
        assert_eq!(order, [10, 11, 13]);
        assert_eq!((queue.clear(&mut a), queue.clear(&mut b), queue.free()), (2, 0, 5));
        assert_eq!(pool.in_use(), 0);
    }
}
