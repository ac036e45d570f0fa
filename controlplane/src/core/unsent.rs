//! What the matchmaker must be told once, and had no room for: it is said again until it is taken.

use std::{collections::VecDeque, time::Duration};

use proto::matchmaking::messages::request::Request;

use super::{
    Connection, Core,
    registration::{Asked, Matchmaker},
    timers::Subject,
};
use crate::matchmaking;

/// So soon it is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// Requests that wait; then the oldest is lost, and counted. Gateways that went are not many.
const MOST: usize = 4096;

/// In the order in which they came.
#[derive(Debug)]
pub(super) struct Unsent<T> {
    waiting: VecDeque<T>,
}

impl<T> Default for Unsent<T> {
    fn default() -> Self {
        Unsent { waiting: VecDeque::new() }
    }
}

impl<T> Unsent<T> {
    /// Gives what is lost for it.
    fn push(&mut self, said: T) -> Option<T> {
        let lost = if self.waiting.len() >= MOST { self.waiting.pop_front() } else { None };
        self.waiting.push_back(said);
        lost
    }

    /// Says what waits until something is not taken. Whether all was.
    fn send(&mut self, mut taken: impl FnMut(&T) -> bool) -> bool {
        while let Some(first) = self.waiting.front() {
            if !taken(first) {
                return false;
            }
            self.waiting.pop_front();
        }
        true
    }
}

/// What waits for the matchmaker.
#[derive(Debug, Default)]
pub(super) struct ForMatchmaker {
    gone: Unsent<Connection>,
    requests: Unsent<(Connection, Request)>,
}

impl Core {
    /// The matchmaker of this process is to know that a gateway is gone.
    pub(super) fn say_gone(&mut self, connection: Connection) {
        if matches!(self.matchmaker, Matchmaker::Local(_)) {
            if self.unsent.gone.push(connection).is_some() {
                self.counters.add("matchmaker_lost", 1);
            }
            self.send_unsent();
        }
    }

    /// Asks for something that nobody asks for again by himself.
    pub(super) fn ask_surely(&mut self, connection: Connection, request: Request) {
        if self.unsent.requests.push((connection, request)).is_some() {
            self.counters.add("matchmaker_lost", 1);
        }
        self.send_unsent();
        self.drain_peer(connection);
    }

    /// Says what waits; what is not taken is tried again.
    pub(super) fn send_unsent(&mut self) {
        let mut unsent = std::mem::take(&mut self.unsent);
        let gone = match &self.matchmaker {
            Matchmaker::Local(local) => unsent
                .gone
                .send(|connection| local.messages.try_send(matchmaking::Message::Gone(*connection)).is_ok()),
            _ => true,
        };
        let asked = unsent.requests.send(|(connection, request)| {
            // Whose gateway is gone has nobody to ask through.
            !self.registrations.contains_key(connection)
                || self.ask(*connection, request.clone(), Asked::Other)
        });
        self.unsent = unsent;
        let again = (!(gone && asked)).then(|| self.clock.now() + AGAIN);
        self.timers.set(Subject::Unsent, again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_said_again_in_its_order() {
        let mut unsent = Unsent::default();
        assert!((0..5).all(|n| unsent.push(n).is_none()));
        let (mut room, mut said) = (2, Vec::new());
        let mut take = |room: &mut usize, n: &u32| {
            let taken = *room > 0;
            if taken {
                *room -= 1;
                said.push(*n);
            }
            taken
        };
        assert!(!unsent.send(|n| take(&mut room, n)));
        assert!(!unsent.send(|n| take(&mut room, n)));
        room = 9;
        assert!(unsent.send(|n| take(&mut room, n)));
        assert_eq!(said, [0, 1, 2, 3, 4]);
        assert!((0..MOST as u32).all(|n| unsent.push(n).is_none()));
        assert_eq!(unsent.push(7), Some(0));
    }
}
