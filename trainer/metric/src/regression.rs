//! Errors of numbers: yield, biomass, height.

use serde::{Deserialize, Serialize};

use crate::{Accumulator, MetricError, check};

/// Sums over pairs of truth and prediction. The spread of the truth is kept about its mean (Chan, Golub and LeVeque 1979),
/// so that values far from zero lose nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    count: u64,
    truth_mean: f64,
    /// Σ (truth − mean)².
    truth_spread: f64,
    /// Σ (prediction − truth).
    error: f64,
    absolute: f64,
    squared: f64,
}

/// Errors in the unit of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegressionScores {
    /// Pairs counted.
    pub count: u64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean of prediction − truth: positive where too much is predicted.
    pub bias: f64,
    /// 1 − Σ (truth − prediction)² / Σ (truth − mean)². `None` where the truth does not vary; scikit-learn gives 1 or 0
    /// there.
    pub r2: Option<f64>,
}

impl Regression {
    /// Counts pairs.
    ///
    /// # Errors
    /// When the lists differ in length or a value is not finite; then nothing is counted.
    pub fn add(&mut self, truth: &[f64], predicted: &[f64]) -> Result<(), MetricError> {
        check::length("predictions", predicted.len(), truth.len(), "truth")?;
        check::finite("truth", truth)?;
        check::finite("prediction", predicted)?;
        for (truth, predicted) in truth.iter().zip(predicted) {
            let error = predicted - truth;
            let one = Self {
                count: 1,
                truth_mean: *truth,
                truth_spread: 0.0,
                error,
                absolute: error.abs(),
                squared: error * error,
            };
            self.merge(&one)?;
        }
        Ok(())
    }

    /// Pairs counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The scores; `None` without a pair.
    pub fn scores(&self) -> Option<RegressionScores> {
        let count = self.count as f64;
        (self.count > 0).then(|| RegressionScores {
            count: self.count,
            rmse: (self.squared / count).sqrt(),
            mae: self.absolute / count,
            bias: self.error / count,
            r2: (self.truth_spread > 0.0).then(|| 1.0 - self.squared / self.truth_spread),
        })
    }

    /// Mean of the truth.
    pub(crate) fn truth_mean(&self) -> f64 {
        self.truth_mean
    }
}

impl Accumulator for Regression {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if other.count == 0 {
            return Ok(());
        }
        let (mine, more) = (self.count as f64, other.count as f64);
        let apart = other.truth_mean - self.truth_mean;
        self.truth_spread += other.truth_spread + apart * apart * (mine * more / (mine + more));
        // With no pair of our own the mean is the other's, to the last bit.
        self.truth_mean =
            if self.count == 0 { other.truth_mean } else { self.truth_mean + apart * (more / (mine + more)) };
        self.count += other.count;
        self.error += other.error;
        self.absolute += other.absolute;
        self.squared += other.squared;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pairs_say_little() {
        let mut pairs = Regression::default();
        assert_eq!(pairs.scores(), None);
        pairs.add(&[2.0], &[3.0]).unwrap();
        let scores = pairs.scores().unwrap();
        assert_eq!((scores.rmse, scores.mae, scores.bias, scores.r2), (1.0, 1.0, 1.0, None));
        assert!(pairs.add(&[1.0, f64::NAN], &[1.0, 1.0]).is_err());
        assert!(pairs.add(&[1.0], &[f64::NEG_INFINITY]).is_err());
        assert!(pairs.add(&[1.0], &[]).is_err());
        assert_eq!(pairs.count(), 1);
    }

    #[test]
    fn values_far_from_zero_lose_nothing() {
        let far = 1e9;
        let truth: Vec<f64> = (0..1000).map(|i| far + f64::from(i % 10)).collect();
        let predicted: Vec<f64> = truth.iter().map(|truth| truth + 0.5).collect();
        let mut pairs = Regression::default();
        pairs.add(&truth, &predicted).unwrap();
        // The numbers 0 to 9 have variance 8.25.
        assert!((pairs.scores().unwrap().r2.unwrap() - (1.0 - 0.25 / 8.25)).abs() < 1e-9);
    }
}
