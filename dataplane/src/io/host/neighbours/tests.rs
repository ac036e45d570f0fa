//! The neighbour cache on virtual time: each state, each way out of it.

use super::*;
use crate::io::host::stats::HostStats;
use crate::packet::{Pool, PoolConfig};

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
const X: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

struct Seen {
    board: Board,
    asked: Vec<(Ipv6Addr, Option<MacAddr>)>,
    sent: Vec<(Vec<u8>, MacAddr)>,
    stats: HostStats,
    limited: bool,
}

impl Actions for Seen {
    fn ask(&mut self, address: Ipv6Addr, at: Option<MacAddr>) -> bool {
        self.asked.push((address, at));
        !self.limited
    }

    fn send(&mut self, packet: Packet, to: MacAddr) {
        self.sent.push((packet.data().to_vec(), to));
    }

    fn count(&mut self, counter: C) {
        self.stats.count(counter);
    }

    fn board(&self) -> &Board {
        &self.board
    }
}

struct World {
    cache: Neighbours,
    seen: Seen,
    now: Time,
    pool: Pool,
}

impl World {
    fn new() -> Self {
        let seen = Seen {
            board: Board::new(64, 2),
            asked: Vec::new(),
            sent: Vec::new(),
            stats: HostStats::default(),
            limited: false,
        };
        Self {
            cache: Neighbours::new(4, 1),
            seen,
            now: Time::from_nanos(1_000_000_000),
            pool: Pool::new(PoolConfig { packets: 32, ..PoolConfig::default() }),
        }
    }

    fn look_up(&mut self, address: Ipv6Addr) -> Next {
        self.cache.look_up(address, self.now, &mut self.seen)
    }

    fn wait(&mut self, address: Ipv6Addr, content: u8) {
        let mut packet = self.pool.alloc().unwrap();
        packet.copy_from(&[content]);
        self.cache.wait(address, packet, &mut self.seen);
    }

    fn confirm(&mut self, address: Ipv6Addr, mac: MacAddr) {
        self.cache.confirm(address, mac, self.now, &mut self.seen);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.cache.tick(self.now, &mut self.seen);
    }

    fn counted(&self) -> Vec<(C, u64)> {
        self.seen.stats.nonzero().collect()
    }
}

#[test]
fn packets_wait_for_the_answer_in_order() {
    let mut world = World::new();
    assert_eq!(world.look_up(X), Next::Wait);
    world.wait(X, 1);
    assert_eq!(world.look_up(X), Next::Wait);
    world.wait(X, 2);
    assert_eq!(world.seen.asked, [(X, None)], "asked once");
    world.confirm(X, A);
    assert_eq!(world.seen.sent, [(vec![1], A), (vec![2], A)]);
    assert_eq!(world.look_up(X), Next::To(A));
    assert_eq!(world.counted(), [(C::WaitSent, 2), (C::NeighbourResolved, 1)]);
    assert_eq!(world.cache.waiting(), 0);
}

#[test]
fn the_oldest_makes_room_when_too_many_wait() {
    let mut world = World::new();
    world.look_up(X);
    (0..10).for_each(|n| world.wait(X, n));
    world.confirm(X, A);
    let sent: Vec<_> = world.seen.sent.iter().map(|(packet, _)| packet[0]).collect();
    assert_eq!(sent, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(world.counted(), [(C::WaitSent, 8), (C::WaitDropFull, 2), (C::NeighbourResolved, 1)]);
}

#[test]
fn who_never_answers_is_asked_three_times_and_then_left_alone_for_a_while() {
    let mut world = World::new();
    world.look_up(X);
    world.wait(X, 1);
    world.pass(Duration::from_millis(999));
    assert_eq!(world.seen.asked.len(), 1);
    world.pass(Duration::from_millis(1));
    world.pass(RETRANSMIT);
    assert_eq!(world.seen.asked.len(), 3);
    world.pass(RETRANSMIT);
    assert_eq!(world.seen.asked.len(), 3);
    assert_eq!(world.counted(), [(C::WaitDropUnreachable, 1), (C::NeighbourFailed, 1)]);
    assert_eq!((world.look_up(X), world.cache.deadline()), (Next::Unreachable, None));
    assert_eq!(world.pool.in_use(), 0);
    world.pass(HOLD);
    assert_eq!(world.look_up(X), Next::Wait);
    assert_eq!(world.seen.asked.len(), 4);
    // It may come late.
    world.confirm(X, B);
    assert_eq!(world.look_up(X), Next::To(B));
}

#[test]
fn a_neighbour_in_use_is_probed_where_it_was_and_stays() {
    let mut world = World::new();
    world.look_up(X);
    world.confirm(X, A);
    world.pass(REACHABLE);
    assert_eq!((world.look_up(X), world.seen.asked.len()), (Next::To(A), 1));
    world.pass(DELAY);
    assert_eq!((world.look_up(X), world.seen.asked[1..].to_vec()), (Next::To(A), vec![(X, Some(A))]));
    world.confirm(X, A);
    world.pass(DELAY);
    assert_eq!((world.look_up(X), world.seen.asked.len()), (Next::To(A), 2));
    assert_eq!(world.cache.deadline(), None);
}

#[test]
fn a_neighbour_that_is_gone_is_found_out() {
    let mut world = World::new();
    world.look_up(X);
    world.confirm(X, A);
    world.pass(REACHABLE);
    world.look_up(X);
    world.pass(DELAY);
    for _ in 0..3 {
        assert_eq!(world.look_up(X), Next::To(A));
        world.pass(RETRANSMIT);
    }
    assert_eq!(world.look_up(X), Next::Unreachable);
    assert_eq!(world.counted(), [(C::NeighbourResolved, 1), (C::NeighbourFailed, 1)]);
}

#[test]
fn one_that_moves_is_followed() {
    let mut world = World::new();
    world.look_up(X);
    world.confirm(X, A);
    world.cache.hear(X, B, world.now, &mut world.seen);
    assert_eq!(world.look_up(X), Next::To(B));
    // What was confirmed before is no longer true.
    world.seen.board.write(X, noted(A, true), Time::from_nanos(1));
    assert_eq!(world.look_up(X), Next::To(B));
    // What it said has to be confirmed.
    world.pass(DELAY);
    assert_eq!(world.seen.asked.last(), Some(&(X, Some(B))));
}

#[test]
fn an_answer_at_another_worker_counts() {
    let mut world = World::new();
    world.look_up(X);
    world.wait(X, 1);
    world.seen.board.write(X, ASKED, world.now);
    world.pass(Duration::from_millis(1));
    assert!(world.seen.sent.is_empty(), "that somebody asks is no answer");
    world.seen.board.write(X, noted(A, true), world.now);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.seen.sent, [(vec![1], A)]);
    assert_eq!(world.look_up(X), Next::To(A));
    // Another worker's probe saves ours, and what moved there moves here.
    world.pass(Duration::from_secs(20));
    world.seen.board.write(X, noted(A, true), world.now);
    world.pass(Duration::from_secs(20));
    assert_eq!((world.look_up(X), world.cache.deadline()), (Next::To(A), None));
    world.seen.board.write(X, noted(B, true), world.now);
    world.pass(LOOK);
    assert_eq!(world.look_up(X), Next::To(B));
    assert_eq!(world.seen.asked, [(X, None)]);
}

#[test]
fn a_question_above_the_rate_comes_later() {
    let mut world = World::new();
    world.seen.limited = true;
    assert_eq!(world.look_up(X), Next::Wait);
    for _ in 0..50 {
        world.pass(PUT_OFF);
    }
    assert_eq!(world.look_up(X), Next::Wait);
    world.seen.limited = false;
    world.pass(PUT_OFF);
    assert_eq!(world.cache.deadline(), Some(world.now + RETRANSMIT));
}

#[test]
fn the_least_missed_makes_room_and_a_gateway_never() {
    let mut world = World::new();
    let other = |n: u16| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 100 + n);
    world.cache.pin(X);
    for n in 0..3 {
        world.pass(Duration::from_millis(1));
        assert_eq!(world.look_up(other(n)), Next::Wait);
        world.wait(other(n), n as u8);
    }
    world.confirm(other(0), A);
    // News of a stranger finds no room.
    world.cache.hear(other(9), B, world.now, &mut world.seen);
    assert!(!world.cache.knows(other(9)));
    assert_eq!(world.look_up(other(3)), Next::Wait);
    assert!(world.cache.knows(X) && !world.cache.knows(other(0)));
    assert_eq!(world.look_up(other(4)), Next::Wait);
    assert!(world.cache.knows(X) && !world.cache.knows(other(1)));
    assert_eq!(
        world.counted(),
        [(C::WaitSent, 1), (C::WaitDropEvicted, 1), (C::NeighbourResolved, 1), (C::NeighbourEvicted, 2)]
    );
    assert_eq!((world.cache.waiting(), world.pool.in_use()), (1, 1));
}

#[test]
fn a_move_that_another_worker_heard_of_is_followed_and_confirmed_here() {
    let mut world = World::new();
    world.look_up(X);
    world.confirm(X, A);
    world.pass(LOOK);
    world.seen.board.write(X, noted(B, false), world.now);
    world.pass(LOOK);
    assert_eq!(world.look_up(X), Next::To(B));
    world.pass(DELAY);
    assert_eq!(world.seen.asked.last(), Some(&(X, Some(B))));
}
