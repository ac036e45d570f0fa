//! What the core has to wake up for, soonest first. One entry per subject: setting it again replaces it.

use std::collections::{BTreeSet, HashMap};

use authenticator::Time;
use dot11::MacAddr;

use super::{Connection, sessions::SessionKey};

/// What a timer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A device's state machine.
    Session(SessionKey),
    /// A session's interim accounting.
    Interim(SessionKey),
    /// What a session used is reported to the matchmaker.
    Report(SessionKey),
    /// A session that ended and whose last totals have not come.
    Stop(SessionKey),
    /// A virtual BSS's group keys.
    Radio(MacAddr),
    /// The next datagram that opens our NAT for the radio of a virtual BSS.
    Punch(MacAddr, usize),
    /// Services are registered with the matchmaker again.
    Matchmaking,
    /// What the matchmaker had no room for.
    Unsent,
    /// A gateway's conversation with a matchmaker elsewhere.
    Peer(Connection),
    /// Gateways that did not come back.
    LostGateways,
    /// Sessions of an earlier process that no gateway has reported.
    Orphans,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Time, Subject)>,
    of: HashMap<Subject, Time>,
}

impl Timers {
    /// Sets, moves or (with `None`) removes the subject's timer.
    pub fn set(&mut self, subject: Subject, time: Option<Time>) {
        let old = match time {
            Some(time) => self.of.insert(subject, time),
            None => self.of.remove(&subject),
        };
        if old == time {
            return;
        }
        if let Some(old) = old {
            self.queue.remove(&(old, subject));
        }
        if let Some(time) = time {
            self.queue.insert((time, subject));
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(time, _)| time)
    }

    /// Takes the next one that is due.
    pub fn pop(&mut self, now: Time) -> Option<Subject> {
        let &(time, subject) = self.queue.first()?;
        if time > now {
            return None;
        }
        self.queue.pop_first();
        self.of.remove(&subject);
        Some(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Subject = Subject::Radio(MacAddr([2, 0, 0, 0, 0, 1]));

    #[test]
    fn a_subject_has_one_timer_and_it_fires_once() {
        let at = Time;
        let mut timers = Timers::default();
        timers.set(A, Some(at(10)));
        timers.set(A, Some(at(20)));
        timers.set(Subject::LostGateways, Some(at(15)));
        assert_eq!(timers.pop(at(14)), None);
        assert_eq!(timers.pop(at(30)), Some(Subject::LostGateways));
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.pop(at(30)), Some(A));
        assert_eq!((timers.pop(at(99)), timers.next()), (None, None));
        timers.set(A, Some(at(10)));
        timers.set(A, None);
        assert_eq!(timers.pop(at(99)), None);
    }
}
