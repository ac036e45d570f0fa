//! Which servers to ask, in which order: dead ones are passed over and tried again later. Pure: time comes in.

use std::time::Duration;

use tokio::time::Instant;

/// Whether a server answers.
#[derive(Debug)]
pub(crate) struct Health {
    state: State,
    last_answer: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Dead {
        retry: Instant,
    },
    /// Dead, and one request is out to see whether it still is.
    Probing {
        retry: Instant,
    },
}

/// How an exchange may use a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// As any.
    Normal,
    /// With a single transmission, to see whether it is back.
    Probe,
    /// Only when nobody else answers.
    LastResort,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { state: State::Alive, last_answer: None }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state != State::Alive
    }

    /// How an exchange that begins now may use it. `Probe` is given to one exchange per dead time, and only if
    /// `by_request`: else something other than users' requests finds out.
    pub(crate) fn choose(&mut self, now: Instant, dead_time: Duration, by_request: bool) -> Use {
        match self.state {
            State::Alive => Use::Normal,
            // A probe that was given up (its exchange dropped) must not keep others from probing.
            State::Dead { retry } | State::Probing { retry } if by_request && now >= retry => {
                self.state = State::Probing { retry: now + dead_time };
                Use::Probe
            }
            State::Dead { .. } | State::Probing { .. } => Use::LastResort,
        }
    }

    /// A reply of this server was believed. True if it was dead until now.
    pub(crate) fn answered(&mut self, now: Instant) -> bool {
        let was_dead = self.is_dead();
        self.last_answer = Some(now);
        self.state = State::Alive;
        was_dead
    }

    /// An exchange that asked since `began` had no answer. True if that made the server dead: it does not if some other
    /// exchange was answered meanwhile (then this one request was lost or ignored).
    pub(crate) fn unanswered(&mut self, began: Instant, now: Instant, dead_time: Duration) -> bool {
        if self.last_answer.is_some_and(|last| last >= began) {
            return false;
        }
        let was_alive = !self.is_dead();
        self.state = State::Dead { retry: now + dead_time };
        was_alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: Duration = Duration::from_secs(60);

    #[test]
    fn one_probe_per_dead_time_and_back_to_life() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut health = Health::new();
        assert_eq!(health.choose(at(0), DEAD, true), Use::Normal);
        assert!(health.unanswered(at(0), at(14), DEAD));
        assert!(!health.unanswered(at(0), at(14), DEAD), "announced once");
        assert_eq!(health.choose(at(73), DEAD, true), Use::LastResort);
        assert_eq!(health.choose(at(74), DEAD, false), Use::LastResort);
        assert_eq!(health.choose(at(74), DEAD, true), Use::Probe);
        assert_eq!(health.choose(at(75), DEAD, true), Use::LastResort);
        assert_eq!(health.choose(at(134), DEAD, true), Use::Probe, "an abandoned probe is replaced");
        assert!(health.answered(at(135)));
        assert_eq!(health.choose(at(136), DEAD, true), Use::Normal);
        assert!(!health.answered(at(137)));
    }

    #[test]
    fn a_single_ignored_request_does_not_kill_a_server_that_answers_others() {
        let start = Instant::now();
        let mut health = Health::new();
        health.answered(start + Duration::from_secs(5));
        assert!(!health.unanswered(start, start + Duration::from_secs(14), DEAD));
        assert!(!health.is_dead());
    }
}
