//! Temperature scaling: one number that makes a model as sure as it may be (Guo et al. 2017).

use serde::{Deserialize, Serialize};

use crate::{MetricError, check};

/// Logits are divided by this before softmax or sigmoid. Which class is given does not change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// Above 1 where the model was too sure.
    pub temperature: f64,
    /// Mean negative log-likelihood with temperature 1, in nats.
    pub before: f64,
    /// The same with this temperature.
    pub after: f64,
    /// Whether the best temperature lies beyond [`Temperature::RANGE`]: everything was right, or wrong.
    pub at_limit: bool,
}

impl Temperature {
    /// Temperatures that are looked at.
    pub const RANGE: [f64; 2] = [0.01, 100.0];

    /// The temperature with the least negative log-likelihood of the true classes. Logits are `[sample, class]` in one
    /// row after the other. `None` without a sample.
    ///
    /// # Errors
    /// When a logit is not finite or beyond 1e100, the rows are not whole or a truth is no class.
    pub fn fit<L: Copy + Into<f64>>(
        logits: &[L],
        classes: usize,
        truth: &[usize],
    ) -> Result<Option<Self>, MetricError> {
        check::length("logits", logits.len(), truth.len() * classes, "class of each truth")?;
        let logits: Vec<f64> = logits.iter().map(|logit| (*logit).into()).collect();
        check::finite("logit", &logits)?;
        if let Some(at) = logits.iter().position(|logit| logit.abs() > LARGEST) {
            let expected = "at most 1e100 either way";
            return Err(MetricError::Range { what: "logit", at, found: logits[at], expected });
        }
        for (at, class) in truth.iter().enumerate() {
            check::class("truth", at, *class, classes)?;
        }
        if truth.is_empty() {
            return Ok(None);
        }
        let rows = || logits.chunks_exact(classes).zip(truth);
        Ok(Some(least(|inverse| {
            let all = rows().map(|(row, class)| Likelihood::of(row.iter().copied(), row[*class], inverse));
            Likelihood::mean(all, truth.len())
        })))
    }

    /// The same for labels, each with a logit of its own, over all labels of all samples.
    ///
    /// # Errors
    /// When a logit is not finite, or there are not so many.
    pub fn fit_labels<L: Copy + Into<f64>>(logits: &[L], truth: &[bool]) -> Result<Option<Self>, MetricError> {
        // A sigmoid is a softmax over the logit and 0.
        let pairs: Vec<f64> = logits.iter().flat_map(|logit| [0.0, (*logit).into()]).collect();
        let truth: Vec<usize> = truth.iter().map(|label| usize::from(*label)).collect();
        check::length("logits", logits.len(), truth.len(), "truth")?;
        Self::fit(&pairs, 2, &truth)
    }
}

/// Squares of larger logits are no numbers.
const LARGEST: f64 = 1e100;

/// Negative log-likelihood over the inverse temperature, with its first and second derivative.
#[derive(Debug, Clone, Copy, Default)]
struct Likelihood {
    value: f64,
    slope: f64,
    curve: f64,
}

impl Likelihood {
    /// ln Σ exp(βz) − βz of the true class. The slope is the mean logit by softmax less that of the true class, the curve
    /// the variance by softmax.
    fn of(row: impl Iterator<Item = f64> + Clone, truth: f64, inverse: f64) -> Self {
        let top = row.clone().fold(f64::NEG_INFINITY, f64::max);
        // Differences to the top, so that nothing overflows and large logits lose no digits.
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for below in row.map(|logit| logit - top) {
            let weight = (inverse * below).exp();
            sum += weight;
            first += weight * below;
            second += weight * below * below;
        }
        let (mean, truth) = (first / sum, truth - top);
        Self { value: sum.ln() - inverse * truth, slope: mean - truth, curve: (second / sum - mean * mean).max(0.0) }
    }

    fn mean(all: impl Iterator<Item = Self>, count: usize) -> Self {
        let sum = all.fold(Self::default(), |sum, one| Self {
            value: sum.value + one.value,
            slope: sum.slope + one.slope,
            curve: sum.curve + one.curve,
        });
        let count = count as f64;
        Self { value: sum.value / count, slope: sum.slope / count, curve: sum.curve / count }
    }
}

/// The least of a function that is convex in the inverse temperature: Newton's steps where they at least halve the step
/// before the last, bisection where they do not.
fn least(at: impl Fn(f64) -> Likelihood) -> Temperature {
    let [coldest, hottest] = Temperature::RANGE;
    let (mut low, mut high) = (1.0 / hottest, 1.0 / coldest);
    let start = at(1.0);
    let found = |inverse: f64, at_limit| Temperature {
        temperature: 1.0 / inverse,
        before: start.value,
        after: at(inverse).value,
        at_limit,
    };
    // Where all temperatures are alike, as with equal logits, none is better than 1.
    if start.slope == 0.0 {
        return found(1.0, false);
    }
    if at(low).slope >= 0.0 {
        return found(low, true);
    }
    if at(high).slope <= 0.0 {
        return found(high, true);
    }
    let (mut inverse, mut here) = (1.0_f64, start);
    let mut before_last = high - low;
    let mut last = before_last;
    // Steps halve every second round, so this ends long before.
    for _ in 0..1000 {
        if here.slope > 0.0 {
            high = inverse
        } else {
            low = inverse
        }
        let newton = inverse - here.slope / here.curve;
        let good = newton > low && newton < high && (newton - inverse).abs() <= before_last / 2.0;
        let next = if good { newton } else { f64::midpoint(low, high) };
        (before_last, last) = (last, (next - inverse).abs());
        inverse = next;
        here = at(inverse);
        if last <= 1e-14 * inverse || here.slope == 0.0 {
            break;
        }
    }
    found(inverse, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_three_times_too_sure_is_cooled_down() {
        // Logits 0 and ±ln 3 are right in 3 of 4 samples: calibrated. Three times that is too sure by a factor of 3.
        let sure = 3.0 * 3_f64.ln();
        let logits: Vec<f64> = (0..8).flat_map(|_| [0.0, sure]).collect();
        let truth = [1, 1, 1, 0, 1, 1, 1, 0];
        let fit = Temperature::fit(&logits, 2, &truth).unwrap().unwrap();
        assert!((fit.temperature - 3.0).abs() < 1e-9, "{fit:?}");
        assert!(fit.after < fit.before && !fit.at_limit);
        let labels: Vec<bool> = truth.iter().map(|class| *class == 1).collect();
        let fit = Temperature::fit_labels(&[sure; 8], &labels).unwrap().unwrap();
        assert!((fit.temperature - 3.0).abs() < 1e-9, "{fit:?}");
    }

    #[test]
    fn what_has_no_best_temperature_says_so() {
        let always_right = Temperature::fit(&[0.0, 2.0, 3.0, 0.0], 2, &[1, 0]).unwrap().unwrap();
        assert_eq!((always_right.temperature, always_right.at_limit), (0.01, true));
        let always_wrong = Temperature::fit(&[0.0_f32, 2.0, 3.0, 0.0], 2, &[0, 1]).unwrap().unwrap();
        assert_eq!((always_wrong.temperature, always_wrong.at_limit), (100.0, true));
        let undecided = Temperature::fit(&[1.0, 1.0], 2, &[0]).unwrap().unwrap();
        assert_eq!((undecided.temperature, undecided.at_limit), (1.0, false));
    }

    #[test]
    fn extremes_stay_numbers() {
        let wide = Temperature::fit(&[1e100, -1e100, -1e100, 1e100, 0.0, 1.0], 2, &[0, 0, 1]).unwrap().unwrap();
        assert!(wide.temperature.is_finite() && wide.after.is_finite(), "{wide:?}");
        assert!(Temperature::fit(&[1e101, 0.0], 2, &[0]).is_err());
    }

    #[test]
    fn empty_and_wrong() {
        assert_eq!(Temperature::fit::<f64>(&[], 3, &[]).unwrap(), None);
        assert!(Temperature::fit(&[0.0, f64::NAN], 2, &[0]).is_err());
        assert!(Temperature::fit(&[0.0, 1.0, 2.0], 2, &[0]).is_err());
        assert!(Temperature::fit(&[0.0, 1.0], 2, &[2]).is_err());
        assert!(Temperature::fit_labels(&[0.0], &[]).is_err());
    }
}
