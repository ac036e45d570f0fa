//! The level of overload of a service: the signal that it demands of newcomers, so that the best links get what there is.
//!
//! Newcomers are counted over a quarter of a second by the highest level whose demand they fulfil
//! ([`visibility::demanded_under_overload`]). The level goes up at once to the highest at which more of those who came than the
//! instances take would have been left; for load alone (all instances above 1000 thousandths) by one a second. So what there is
//! is used, by the best who came. It comes down by one when for two seconds those who fulfil it were under four fifths of what
//! fits, and the load under 900 thousandths.

use std::time::Duration;

use visibility::{MAX_OVERLOAD, demanded_under_overload};

const WINDOW: Duration = Duration::from_millis(250);
/// Windows in which it must have been calm before the level comes down.
const CALM: u32 = 8;
/// Windows between steps up for load alone.
const PATIENCE: u32 = 4;

#[derive(Debug, Clone, Default)]
pub(crate) struct Overload {
    level: u8,
    /// Ends the present window.
    until: Duration,
    /// Newcomers in this window, by the highest level that they fulfil.
    came: [u32; MAX_OVERLOAD as usize + 1],
    calm: u32,
    since_step: u32,
}

impl Overload {
    /// The level at this moment. `rate`: newcomers that fit in a second, `None`: any number; `load_permille`: of the instance that has
    /// the least.
    pub(crate) fn level(&mut self, rate: Option<u32>, load_permille: u16, now: Duration) -> u8 {
        if now >= self.until {
            let windows = (now - self.until).as_millis() / WINDOW.as_millis() + 1;
            self.turn(rate, load_permille);
            // In the others nobody came.
            for _ in 1..windows.min(u128::from(CALM) * u128::from(MAX_OVERLOAD) + 1) {
                if self.level == 0 {
                    break;
                }
                self.turn(rate, load_permille);
            }
            self.until = now + WINDOW;
        }
        self.level
    }

    /// Whether a window is over, and the level may change.
    #[inline]
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now >= self.until
    }

    /// The level as it last was.
    #[inline]
    pub(crate) fn last(&self) -> u8 {
        self.level
    }

    /// A newcomer came.
    pub(crate) fn came(&mut self, rssi_dbm: Option<i8>) {
        let fulfils = |level: &u8| {
            demanded_under_overload(*level)
                .is_none_or(|demanded| rssi_dbm.is_some_and(|rssi| rssi >= demanded))
        };
        let highest = (0..=MAX_OVERLOAD).rev().find(fulfils).unwrap_or_default();
        self.came[usize::from(highest)] += 1;
    }

    /// A window is over.
    fn turn(&mut self, rate: Option<u32>, load_permille: u16) {
        let came = std::mem::take(&mut self.came);
        let would_come = |level: u8| came[usize::from(level)..].iter().sum::<u32>();
        let fits = rate.map_or(u32::MAX, |rate| (rate / 4).max(1));
        self.since_step = self.since_step.saturating_add(1);
        if let Some(up) = (self.level + 1..=MAX_OVERLOAD).rev().find(|&level| would_come(level) > fits) {
            self.step(up);
        } else if load_permille > 1000 {
            self.calm = 0;
            if self.since_step >= PATIENCE {
                self.step(self.level.saturating_add(1).min(MAX_OVERLOAD));
            }
        } else if self.level > 0 && load_permille <= 900 && would_come(self.level) <= fits / 5 * 4 + fits % 5
        {
            self.calm += 1;
            if self.calm >= CALM {
                self.step(self.level - 1);
            }
        } else {
            self.calm = 0;
        }
    }

    fn step(&mut self, level: u8) {
        (self.level, self.calm, self.since_step) = (level, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        overload: &mut Overload,
        from_ms: u64,
        windows: u64,
        rssi: &[i8],
        rate: u32,
        load: u16,
    ) -> Vec<u8> {
        let mut levels = Vec::new();
        for window in 0..windows {
            let now = Duration::from_millis(from_ms + window * 250);
            levels.push(overload.level(Some(rate), load, now));
            rssi.iter().for_each(|&rssi| overload.came(Some(rssi)));
        }
        levels
    }

    #[test]
    fn the_level_goes_up_to_where_newcomers_fit_and_comes_down_by_steps() {
        let mut overload = Overload::default();
        // 2 in a window fit: four fulfil level 4, two level 5.
        let levels = run(&mut overload, 0, 3, &[-90, -78, -62, -61, -52, -40], 8, 0);
        assert_eq!(levels, [0, 4, 4]);
        // Still more than fit; nobody else is worth a change.
        assert_eq!(run(&mut overload, 750, 20, &[-90, -66, -61, -52, -40], 8, 0)[19], 4);
        assert_eq!(run(&mut overload, 5_750, 1, &[-50, -50, -50], 8, 0), [4]);
        // Nobody comes any more: two seconds a step.
        let levels = run(&mut overload, 6_000, 72, &[], 8, 0);
        assert_eq!(levels[0], 7);
        for level in 1..7u8 {
            assert_eq!(levels.iter().filter(|&&other| other == level).count(), 8, "{levels:?}");
        }
        assert_eq!(levels[71], 0);
    }

    #[test]
    fn load_alone_raises_it_by_one_a_second_and_holds_it_above_900() {
        let mut overload = Overload::default();
        assert_eq!(run(&mut overload, 0, 13, &[], 0, 1001)[12], 3);
        assert_eq!(run(&mut overload, 3_250, 40, &[], 0, 950)[39], 3);
        assert_eq!(run(&mut overload, 13_250, 60, &[], 0, 900)[59], 0);
        let mut overload = Overload::default();
        run(&mut overload, 0, 100, &[], 0, 2000);
        assert_eq!(overload.level, MAX_OVERLOAD);
        // A long silence counts as long as it was.
        assert_eq!(overload.level(None, 0, Duration::from_secs(60)), 0);
    }

    #[test]
    fn unknown_signals_are_the_weakest() {
        let mut overload = Overload::default();
        overload.level(Some(4), 0, Duration::ZERO);
        [None, None, None, Some(-80)].into_iter().for_each(|rssi| overload.came(rssi));
        assert_eq!(overload.level(Some(4), 0, WINDOW), 0);
        [None, Some(-80), Some(-80)].into_iter().for_each(|rssi| overload.came(rssi));
        assert_eq!(overload.level(Some(4), 0, WINDOW * 2), 1);
    }
}
