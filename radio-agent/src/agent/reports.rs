//! Reports of what devices used, on their way to the matchmaker: a few at a time, so that they are in nobody's way, and the
//! last one of a device until it is taken.

use std::collections::VecDeque;
use std::time::Duration;

use proto::matchmaking::messages::answer::Answer;
use proto::matchmaking::messages::{Accounting, failure::Reason};

/// Under way at a time.
pub(super) const MAX_UNDER_WAY: usize = 4;

/// That wait: two BSSes full of devices.
const MAX_WAITING: usize = 256;

/// After a failure nothing is reported for so long.
const AGAIN: Duration = Duration::from_secs(5);

/// The last report of a device is sent so often.
const TRIES: u8 = 5;

#[derive(Debug)]
pub(super) struct Report {
    pub(super) said: Accounting,
    tries: u8,
}

#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: VecDeque<Report>,
    not_before: Duration,
}

impl Reports {
    /// Takes one; `false`: there is no place for it, or for the one that it displaces.
    pub(super) fn push(&mut self, said: Accounting) -> bool {
        self.put(Report { said, tries: 0 })
    }

    fn put(&mut self, report: Report) -> bool {
        let said = &report.said;
        let same =
            |other: &Accounting| (&other.client, &other.session_id) == (&said.client, &said.session_id);
        // They are totals: the newer one says all that the older did.
        if self.waiting.iter().any(|other| same(&other.said) && other.said.sequence > said.sequence) {
            return true;
        }
        self.waiting.retain(|other| !same(&other.said));
        let full = self.waiting.len() >= MAX_WAITING;
        if full {
            let passing = self.waiting.iter().position(|other| !other.said.ended);
            let Some(at) = passing.filter(|_| said.ended) else { return false };
            self.waiting.remove(at);
        }
        self.waiting.push_back(report);
        !full
    }

    /// When the next may be sent, if one waits.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.not_before)
    }

    pub(super) fn next(&mut self, now: Duration) -> Option<Report> {
        if now < self.not_before {
            return None;
        }
        self.pop()
    }

    /// The next, whenever it is due.
    pub(super) fn pop(&mut self) -> Option<Report> {
        self.waiting.pop_front()
    }

    /// What became of one; `false`: it is lost, and so is what the device used.
    pub(super) fn answered(&mut self, mut report: Report, answer: Option<&Answer>, now: Duration) -> bool {
        let again = match answer {
            None => true,
            Some(Answer::Failure(failure)) => {
                matches!(failure.reason(), Reason::Rate | Reason::NotRegistered | Reason::Overload)
            }
            Some(_) => return true,
        };
        if again {
            self.not_before = now + AGAIN;
        }
        // The next one of a device that goes on makes good for this one.
        if !report.said.ended {
            return true;
        }
        report.tries += 1;
        again && report.tries < TRIES && self.put(report)
    }
}
