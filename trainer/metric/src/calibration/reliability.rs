//! How often a model is right, by how sure it was.

use serde::{Deserialize, Serialize};

use crate::{Accumulator, MetricError, check};

/// Predictions in bins of equal width over their confidence, the probability of the class that was given. A confidence on
/// an edge belongs to the bin below it, as in Guo et al. 2017 and scikit-learn's `calibration_curve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Reliability {
    bins: Vec<Bin>,
}

/// As it comes from a file.
#[derive(Deserialize)]
struct Stored {
    bins: Vec<Bin>,
}

impl TryFrom<Stored> for Reliability {
    type Error = MetricError;

    fn try_from(stored: Stored) -> Result<Self, MetricError> {
        Self::new(stored.bins.len()).map(|_| Self { bins: stored.bins })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    count: u64,
    right: u64,
    confidence: f64,
}

/// One bar of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Confidences above this.
    pub from: f64,
    /// Confidences up to this.
    pub to: f64,
    /// Predictions.
    pub count: u64,
    /// Mean confidence; `None` in an empty bin.
    pub confidence: Option<f64>,
    /// Share that is right; `None` in an empty bin.
    pub accuracy: Option<f64>,
}

impl Reliability {
    /// Without a prediction. 15 bins are common.
    ///
    /// # Errors
    /// When there is no bin.
    pub fn new(bins: usize) -> Result<Self, MetricError> {
        if bins == 0 {
            return Err(MetricError::Setting { setting: "bins", found: "0".into(), expected: "1 or more" });
        }
        Ok(Self { bins: vec![Bin::default(); bins] })
    }

    /// Counts a prediction by its confidence and whether it is right.
    ///
    /// # Errors
    /// When the confidence is not from 0 to 1.
    pub fn add(&mut self, confidence: f64, right: bool) -> Result<(), MetricError> {
        check::shares("confidence", &[confidence])?;
        let bins = self.bins.len();
        let near = ((confidence * bins as f64) as usize).min(bins - 1);
        // The product may round across an edge, and an edge belongs below.
        let at = if confidence <= edge(near, bins) {
            near.saturating_sub(1)
        } else if confidence > edge(near + 1, bins) {
            (near + 1).min(bins - 1)
        } else {
            near
        };
        let bin = &mut self.bins[at];
        bin.count += 1;
        bin.right += u64::from(right);
        bin.confidence += confidence;
        Ok(())
    }

    /// Counts a prediction by the probabilities of all classes; of equal ones the first is given.
    ///
    /// # Errors
    /// When a probability is not from 0 to 1, or the true class has none.
    pub fn add_probabilities(&mut self, probabilities: &[f64], truth: usize) -> Result<(), MetricError> {
        check::shares("probability", probabilities)?;
        check::class("truth", 0, truth, probabilities.len())?;
        let first = (0, probabilities[0]);
        let best = probabilities.iter().copied().enumerate();
        let (given, confidence) = best.fold(first, |best, one| if one.1 > best.1 { one } else { best });
        self.add(confidence, given == truth)
    }

    /// The bars, from the least confidence on.
    pub fn bins(&self) -> Vec<ReliabilityBin> {
        let bins = self.bins.len();
        let bar = |(at, bin): (usize, &Bin)| {
            let mean = |sum: f64| (bin.count > 0).then(|| sum / bin.count as f64);
            ReliabilityBin {
                from: edge(at, bins),
                to: edge(at + 1, bins),
                count: bin.count,
                confidence: mean(bin.confidence),
                accuracy: mean(bin.right as f64),
            }
        };
        self.bins.iter().enumerate().map(bar).collect()
    }

    /// Expected calibration error: the mean of |accuracy − confidence| over the bins, each by its share of predictions.
    /// `None` without a prediction.
    pub fn expected_error(&self) -> Option<f64> {
        let all: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let apart: f64 = self.bins.iter().map(|bin| (bin.right as f64 - bin.confidence).abs()).sum();
        (all > 0).then(|| apart / all as f64)
    }

    /// Maximum calibration error: |accuracy − confidence| of the worst bin. `None` without a prediction.
    pub fn maximum_error(&self) -> Option<f64> {
        let apart = |bin: &Bin| (bin.right as f64 - bin.confidence).abs() / bin.count as f64;
        self.bins.iter().filter(|bin| bin.count > 0).map(apart).reduce(f64::max)
    }
}

fn edge(at: usize, bins: usize) -> f64 {
    if at == bins { 1.0 } else { at as f64 * (1.0 / bins as f64) }
}

impl Accumulator for Reliability {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("reliabilities by their bins", &other.bins.len(), &self.bins.len())?;
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.count += more.count;
            bin.right += more.right;
            bin.confidence += more.confidence;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_bin_below() {
        for bins in [1, 3, 7, 10, 15] {
            for at in 0..=bins {
                let mut reliability = Reliability::new(bins).unwrap();
                reliability.add(edge(at, bins), true).unwrap();
                let found = reliability.bins().iter().position(|bin| bin.count == 1);
                assert_eq!(found, Some(at.saturating_sub(1)), "{at} of {bins}");
            }
        }
    }

    #[test]
    fn empty_and_wrong() {
        let mut reliability = Reliability::new(15).unwrap();
        assert_eq!((reliability.expected_error(), reliability.maximum_error()), (None, None));
        assert!(reliability.add(f64::NAN, true).is_err() && reliability.add(1.1, true).is_err());
        assert!(
            reliability.add_probabilities(&[], 0).is_err() && reliability.add_probabilities(&[0.5, 0.5], 2).is_err()
        );
        assert_eq!(reliability.expected_error(), None);
        assert!(Reliability::new(0).is_err() && reliability.merge(&Reliability::new(10).unwrap()).is_err());
        reliability.add_probabilities(&[0.2, 0.4, 0.4], 1).unwrap();
        assert!((reliability.expected_error().unwrap() - 0.6).abs() < 1e-12);
    }
}
