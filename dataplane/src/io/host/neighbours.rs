//! Who is at which Ethernet address: the neighbour cache of one worker, for ARP (RFC 826, RFC 1122 §2.3.2) and neighbour discovery (RFC 4861 §7)
//! alike.
//!
//! ```text
//!             answer                    30 s            a packet            5 s             no answer
//! incomplete ────────▶ reachable ────────────▶ stale ────────────▶ delay ────────▶ probe ────────────▶ failed
//!      │ no answer        ▲                                                          │ answer            │ 3 s, a packet
//!      ▼                  └──────────────────────────────────────────────────────────┘                   ▼
//!    failed                                                                                          incomplete
//! ```
//!
//! An answer may have come in at another worker; then it is on the [`Board`].

use std::net::Ipv6Addr;
use std::time::Duration;

use dot11::MacAddr;

use super::board::{Board, Note};
use super::stats::HostCounter as C;
use crate::clock::Time;
use crate::packet::Packet;

/// How long an answer is believed (RFC 4861 §10, REACHABLE_TIME).
pub const REACHABLE: Duration = Duration::from_secs(30);
/// Between questions (RETRANS_TIMER; RFC 1122 §2.3.2.1 wants no more for ARP).
pub const RETRANSMIT: Duration = Duration::from_secs(1);
/// From a use of a stale entry to its probe (DELAY_FIRST_PROBE_TIME).
pub const DELAY: Duration = Duration::from_secs(5);
/// Questions before giving up (MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT).
pub const QUESTIONS: u8 = 3;
/// How long who did not answer is not asked again.
pub const HOLD: Duration = Duration::from_secs(3);
/// Packets that wait for one neighbour.
pub const WAITING: usize = 8;

/// Put off because of the rate limit.
const PUT_OFF: Duration = Duration::from_millis(100);
/// Between looks at the board for changes of known neighbours.
const LOOK: Duration = Duration::from_millis(100);
/// Places that a neighbour can be in.
const WAYS: usize = 4;
const NEVER: Time = Time::from_nanos(u64::MAX);

/// What the cache wants done.
pub trait Actions {
    /// Asks for an address: the neighbour that was there if `at` says where, otherwise everybody. False if the rate limit forbids it.
    fn ask(&mut self, address: Ipv6Addr, at: Option<MacAddr>) -> bool;
    /// Sends an IP packet that waited.
    fn send(&mut self, packet: Packet, to: MacAddr);
    /// Counts.
    fn count(&mut self, counter: C);
    /// What other workers heard.
    fn board(&self) -> &Board;
}

/// What to do with a packet for a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send it there.
    To(MacAddr),
    /// Let it [`wait`](Neighbours::wait).
    Wait,
    /// Drop it: the neighbour did not answer a moment ago.
    Unreachable,
}

/// The cache.
#[derive(Debug)]
pub struct Neighbours {
    entries: Box<[Entry]>,
    seed: u64,
    /// When the earliest timer is due.
    next: Time,
    waiting: usize,
    board_version: u64,
    looked_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
}

#[derive(Debug)]
struct Entry {
    address: Ipv6Addr,
    mac: MacAddr,
    state: State,
    /// Never forgotten for others.
    pinned: bool,
    questions: u8,
    /// End of the state, or when to ask again.
    until: Time,
    /// Since when an answer is wanted.
    asked: Time,
    /// When `mac` was heard.
    heard: Time,
    used: Time,
    waiting: usize,
    packets: [Option<Packet>; WAITING],
}

/// How it is written on the board where a neighbour is: `confirmed` if it answered, not if it only said so.
pub fn noted(mac: MacAddr, confirmed: bool) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    KNOWN | (u64::from(confirmed) << 49) | u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// How it is written that somebody is asked for: only then are answers believed.
pub const ASKED: u64 = 0;

const KNOWN: u64 = 1 << 48;
const CONFIRMED: u64 = 1 << 49;

/// Where a note says that a neighbour is.
pub fn of_note(note: Note) -> Option<MacAddr> {
    let [.., a, b, c, d, e, f] = note.value.to_be_bytes();
    (note.value & KNOWN != 0).then_some(MacAddr([a, b, c, d, e, f]))
}

fn is_confirmed(note: Note) -> bool {
    note.value & CONFIRMED != 0
}

impl Neighbours {
    /// With room for `neighbours`, more or less.
    pub fn new(neighbours: usize, seed: u64) -> Self {
        let entries = neighbours.max(WAYS).next_power_of_two();
        Self {
            entries: (0..entries).map(|_| Entry::free()).collect(),
            seed,
            next: NEVER,
            waiting: 0,
            board_version: 0,
            looked_at: Time::ZERO,
        }
    }

    /// Keeps a place for a neighbour that is always needed: a gateway.
    pub fn pin(&mut self, address: Ipv6Addr) {
        let i = self.find(address).unwrap_or_else(|| self.victim(address));
        self.entries[i] = Entry { address, pinned: true, state: State::Failed, ..Entry::free() };
    }

    /// Where to send to, now.
    #[inline]
    pub fn look_up(&mut self, address: Ipv6Addr, now: Time, actions: &mut impl Actions) -> Next {
        if let Some(i) = self.find(address) {
            let entry = &mut self.entries[i];
            entry.used = now;
            if entry.state == State::Reachable && now < entry.until {
                return Next::To(entry.mac);
            }
            return self.look_closer(i, now, actions);
        }
        let i = self.insert(address, now, actions);
        self.look_closer(i, now, actions)
    }

    #[cold]
    fn look_closer(&mut self, i: usize, now: Time, actions: &mut impl Actions) -> Next {
        let entry = &mut self.entries[i];
        match entry.state {
            State::Delay | State::Probe => return Next::To(entry.mac),
            State::Incomplete => return Next::Wait,
            State::Failed if now < entry.until => return Next::Unreachable,
            _ => {}
        }
        if let Some(note) = actions.board().read(entry.address)
            && let Some(mac) = of_note(note)
            && is_confirmed(note)
            && note.at + REACHABLE > now
            && note.at >= entry.heard
        {
            entry.confirm(mac, note.at);
            return Next::To(mac);
        }
        entry.asked = now;
        entry.questions = 0;
        if matches!(entry.state, State::Reachable | State::Stale) {
            entry.state = State::Delay;
            entry.until = now + DELAY;
            self.next = self.next.min(entry.until);
            return Next::To(entry.mac);
        }
        entry.state = State::Incomplete;
        entry.ask(now, actions);
        self.next = self.next.min(entry.until);
        Next::Wait
    }

    /// Lets an IP packet wait for its neighbour, for whom [`look_up`](Self::look_up) said so. The oldest makes room (RFC 4861 §7.2.2).
    pub fn wait(&mut self, address: Ipv6Addr, packet: Packet, actions: &mut impl Actions) {
        let Some(i) = self.find(address) else { return actions.count(C::WaitDropEvicted) };
        let entry = &mut self.entries[i];
        if entry.waiting == WAITING {
            entry.packets.rotate_left(1);
            entry.packets[WAITING - 1] = Some(packet);
            return actions.count(C::WaitDropFull);
        }
        entry.packets[entry.waiting] = Some(packet);
        entry.waiting += 1;
        self.waiting += 1;
    }

    /// A neighbour answered.
    pub fn confirm(&mut self, address: Ipv6Addr, mac: MacAddr, now: Time, actions: &mut impl Actions) {
        let Some(i) = self.find(address) else { return };
        let entry = &mut self.entries[i];
        if matches!(entry.state, State::Incomplete | State::Failed) {
            actions.count(C::NeighbourResolved);
        }
        entry.confirm(mac, now);
        self.waiting -= entry.release(actions);
    }

    /// A neighbour said where it is without being asked: good to send to, but nothing shows yet that it hears us (RFC 4861 §7.2.3).
    pub fn hear(&mut self, address: Ipv6Addr, mac: MacAddr, now: Time, actions: &mut impl Actions) {
        let Some(i) = self.find(address) else {
            // News of strangers displaces nobody.
            if let Some(i) = self.set(address).find(|&i| self.entries[i].state == State::Free) {
                let state = State::Stale;
                self.entries[i] = Entry { address, mac, state, used: now, heard: now, ..Entry::free() };
            }
            return;
        };
        let entry = &mut self.entries[i];
        if entry.mac != mac || matches!(entry.state, State::Incomplete | State::Failed) {
            entry.move_to(mac, now);
            self.waiting -= entry.release(actions);
        }
    }

    /// Whether the neighbour is in the cache.
    pub fn knows(&self, address: Ipv6Addr) -> bool {
        self.find(address).is_some()
    }

    /// The Ethernet address that is sent to, if there is one.
    pub fn mac(&self, address: Ipv6Addr) -> Option<MacAddr> {
        let entry = &self.entries[self.find(address)?];
        matches!(entry.state, State::Reachable | State::Stale | State::Delay | State::Probe)
            .then_some(entry.mac)
    }

    /// What time does. To be called often; costs a comparison if nothing is due.
    #[inline]
    pub fn tick(&mut self, now: Time, actions: &mut impl Actions) {
        let news = actions.board().version() != self.board_version;
        if now >= self.next || (news && (self.waiting > 0 || now.since(self.looked_at) >= LOOK)) {
            self.scan(now, actions);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn deadline(&self) -> Option<Time> {
        (self.next != NEVER).then_some(self.next)
    }

    /// Packets that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    #[cold]
    fn scan(&mut self, now: Time, actions: &mut impl Actions) {
        self.board_version = actions.board().version();
        self.looked_at = now;
        self.next = NEVER;
        for entry in self.entries.iter_mut().filter(|entry| entry.state != State::Free) {
            if let Some(note) = actions.board().read(entry.address)
                && let Some(mac) = of_note(note)
            {
                let wanted = matches!(entry.state, State::Incomplete | State::Delay | State::Probe);
                if wanted && is_confirmed(note) && note.at >= entry.asked {
                    if entry.state == State::Incomplete {
                        actions.count(C::NeighbourResolved);
                    }
                    entry.confirm(mac, note.at);
                    self.waiting -= entry.release(actions);
                } else if entry.state != State::Failed && entry.mac != mac && note.at > entry.heard {
                    entry.move_to(mac, note.at);
                    self.waiting -= entry.release(actions);
                }
            }
            if !matches!(entry.state, State::Incomplete | State::Delay | State::Probe) {
                continue;
            }
            if now >= entry.until {
                if entry.state == State::Delay {
                    entry.state = State::Probe;
                }
                if entry.questions >= QUESTIONS {
                    entry.state = State::Failed;
                    entry.until = now + HOLD;
                    actions.count(C::NeighbourFailed);
                    self.waiting -= entry.lose(C::WaitDropUnreachable, actions);
                    continue;
                }
                entry.ask(now, actions);
            }
            self.next = self.next.min(entry.until);
        }
    }

    #[inline]
    fn find(&self, address: Ipv6Addr) -> Option<usize> {
        self.set(address)
            .find(|&i| self.entries[i].address == address && self.entries[i].state != State::Free)
    }

    #[inline]
    fn set(&self, address: Ipv6Addr) -> std::ops::Range<usize> {
        let bits = address.to_bits();
        let mixed = ((bits >> 64) as u64 ^ (bits as u64).rotate_left(31) ^ self.seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let first = (mixed >> 32) as usize & (self.entries.len() - 1) & !(WAYS - 1);
        first..first + WAYS
    }

    /// The place to use for a new neighbour: a free one, or that of who is missed least.
    fn victim(&self, address: Ipv6Addr) -> usize {
        let missed = |&i: &usize| {
            let entry = &self.entries[i];
            let worth = match entry.state {
                State::Free => 0,
                State::Failed => 1,
                State::Stale => 2,
                _ => 3,
            };
            (entry.pinned, worth, entry.used)
        };
        let set = self.set(address);
        let first = set.start;
        set.min_by_key(missed).unwrap_or(first)
    }

    fn insert(&mut self, address: Ipv6Addr, now: Time, actions: &mut impl Actions) -> usize {
        let i = self.victim(address);
        let entry = &mut self.entries[i];
        if entry.state != State::Free {
            actions.count(C::NeighbourEvicted);
            self.waiting -= entry.lose(C::WaitDropEvicted, actions);
        }
        *entry = Entry { address, state: State::Failed, used: now, ..Entry::free() };
        i
    }
}

impl Entry {
    fn free() -> Self {
        Self {
            address: Ipv6Addr::UNSPECIFIED,
            mac: MacAddr::ZERO,
            state: State::Free,
            pinned: false,
            questions: 0,
            until: Time::ZERO,
            asked: Time::ZERO,
            heard: Time::ZERO,
            used: Time::ZERO,
            waiting: 0,
            packets: [const { None }; WAITING],
        }
    }

    fn ask(&mut self, now: Time, actions: &mut impl Actions) {
        let at = (self.state == State::Probe).then_some(self.mac);
        if actions.ask(self.address, at) {
            self.questions += 1;
            self.until = now + RETRANSMIT;
        } else {
            self.until = now + PUT_OFF;
        }
    }

    fn confirm(&mut self, mac: MacAddr, at: Time) {
        self.mac = mac;
        self.heard = at;
        self.state = State::Reachable;
        self.until = at + REACHABLE;
    }

    fn move_to(&mut self, mac: MacAddr, at: Time) {
        self.mac = mac;
        self.heard = at;
        self.state = State::Stale;
    }

    /// Sends what waited; how much that was.
    fn release(&mut self, actions: &mut impl Actions) -> usize {
        for packet in self.packets[..self.waiting].iter_mut().filter_map(Option::take) {
            actions.count(C::WaitSent);
            actions.send(packet, self.mac);
        }
        std::mem::take(&mut self.waiting)
    }

    /// Drops what waited; how much that was.
    fn lose(&mut self, reason: C, actions: &mut impl Actions) -> usize {
        for packet in self.packets[..self.waiting].iter_mut().filter_map(Option::take) {
            actions.count(reason);
            drop(packet);
        }
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests;
