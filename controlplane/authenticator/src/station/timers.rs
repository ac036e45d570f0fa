//! The timers of a station: a table with one row for each.

use crate::Time;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Timer {
    /// An authenticated device associates.
    Association,
    /// Frames of the wrong class are answered again.
    ClassError,
    /// A restored station takes up what it was doing.
    Resume,
    /// The device answers an EAP request.
    EapResponse,
    /// EAP ends.
    EapTotal,
    /// RADIUS answers.
    Radius,
    /// The device answers message 1 or 3 of the 4-way handshake.
    Pairwise,
    /// The device answers message 1 of the group key handshake.
    Group,
    /// The session ends by RADIUS's word.
    Session,
    /// The pairwise key is old.
    PairwiseRekey,
}

impl Timer {
    pub const ALL: [Timer; 10] = [
        Timer::Association,
        Timer::ClassError,
        Timer::Resume,
        Timer::EapResponse,
        Timer::EapTotal,
        Timer::Radius,
        Timer::Pairwise,
        Timer::Group,
        Timer::Session,
        Timer::PairwiseRekey,
    ];
}

/// When each timer fires, if it is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    at: [Option<Time>; Timer::ALL.len()],
}

impl Timers {
    pub fn set(&mut self, timer: Timer, at: Time) {
        self.at[timer as usize] = Some(at);
    }

    pub fn set_or_stop(&mut self, timer: Timer, at: Option<Time>) {
        self.at[timer as usize] = at;
    }

    pub fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = None;
    }

    pub fn get(&self, timer: Timer) -> Option<Time> {
        self.at[timer as usize]
    }

    /// Stops every timer but the one that limits answers to frames of the wrong class.
    pub fn stop_all(&mut self) {
        let class_error = self.get(Timer::ClassError);
        *self = Timers::default();
        self.set_or_stop(Timer::ClassError, class_error);
    }

    pub fn next(&self) -> Option<Time> {
        self.at.iter().flatten().min().copied()
    }

    /// Stops the timer and says true, if it has come due.
    pub fn take_due(&mut self, timer: Timer, now: Time) -> bool {
        let due = self.get(timer).is_some_and(|at| at <= now);
        if due {
            self.stop(timer);
        }
        due
    }
}
