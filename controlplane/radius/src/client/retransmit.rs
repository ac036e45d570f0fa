//! When to send again (RFC 5080 §2.2.1): exponential, jittered, bounded. Pure: the random part comes in.

use std::time::Duration;

use super::Timings;

/// The waits of one request to one server.
pub(crate) struct Retransmission {
    initial: Duration,
    maximum: Duration,
    last: Option<Duration>,
}

impl Retransmission {
    pub(crate) fn new(timings: &Timings) -> Self {
        Self { initial: timings.initial_retransmission, maximum: timings.maximum_retransmission, last: None }
    }

    /// The wait after the next transmission. `random` is uniform; it becomes RAND in -0.1..=0.1.
    pub(crate) fn next(&mut self, random: u32) -> Duration {
        let rand = f64::from(random) / f64::from(u32::MAX) * 0.2 - 0.1;
        let wait = match self.last {
            None => self.initial.mul_f64(1.0 + rand),
            Some(last) => last.mul_f64(2.0 + rand),
        };
        let wait = if !self.maximum.is_zero() && wait > self.maximum {
            self.maximum.mul_f64(1.0 + rand)
        } else {
            wait
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_with_jitter_up_to_the_maximum() {
        let timings = Timings::default();
        let mut middle = Retransmission::new(&timings);
        let waits: Vec<_> = (0..5).map(|_| middle.next(u32::MAX / 2).as_secs_f64().round()).collect();
        assert_eq!(waits, [2.0, 4.0, 8.0, 16.0, 16.0]);
        let mut low = Retransmission::new(&timings);
        assert_eq!(low.next(0), Duration::from_millis(1800));
        assert_eq!(low.next(0), Duration::from_millis(3420));
        let mut high = Retransmission::new(&timings);
        assert_eq!(high.next(u32::MAX), Duration::from_millis(2200));
        for _ in 0..8 {
            assert!(high.next(u32::MAX) <= Duration::from_millis(17_600));
        }
    }
}
