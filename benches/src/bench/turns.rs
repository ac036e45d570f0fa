//! Taking turns: what is compared runs alternately, in an order that changes from round to round, so that what else
//! the machine does meets all of it. A number is the median over the rounds, a ratio the median of the rounds' ratios.

/// What was measured, by contender and round.
pub struct Samples(Vec<Vec<f64>>);

/// Lets so many contenders take turns: `turn(n)` measures the `n`th. A tenth of `rounds` more is not counted.
pub fn take(contenders: usize, rounds: usize, mut turn: impl FnMut(usize) -> f64) -> Samples {
    let warm_up = rounds / 10 + 1;
    let mut samples = vec![Vec::with_capacity(rounds); contenders];
    for round in 0..warm_up + rounds {
        for at in 0..contenders {
            let whose = (at + round) % contenders;
            let sample = turn(whose);
            if round >= warm_up {
                samples[whose].push(sample);
            }
        }
    }
    Samples(samples)
}

impl Samples {
    /// Of one contender.
    pub fn median(&self, whose: usize) -> f64 {
        median(self.0[whose].clone())
    }

    /// One divided by another.
    pub fn ratio(&self, a: usize, b: usize) -> f64 {
        median(self.0[a].iter().zip(&self.0[b]).map(|(a, b)| a / b).collect())
    }

    /// One less another.
    pub fn difference(&self, a: usize, b: usize) -> f64 {
        median(self.0[a].iter().zip(&self.0[b]).map(|(a, b)| a - b).collect())
    }
}

/// Of an even number, the upper one of the middle; of none, not a number.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_not_moved_by_an_interruption() {
        assert_eq!(median(vec![3.0, 1e9, 1.0, 2.0, 2.5]), 2.5);
        assert_eq!(median(vec![2.0, 1.0]), 2.0);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn everybody_has_as_many_turns_and_goes_first_at_times() {
        let mut order = Vec::new();
        let samples = take(3, 20, |n| {
            order.push(n);
            (n + 1) as f64
        });
        assert_eq!(order.len(), 3 * 23);
        assert_eq!(order[..6], [0, 1, 2, 1, 2, 0]);
        assert_eq!(samples.median(2), 3.0);
        assert_eq!((samples.ratio(1, 0), samples.difference(2, 0)), (2.0, 2.0));
        assert!(samples.0.iter().all(|samples| samples.len() == 20));
    }
}
