//! Whether the true class is among the best few.

use serde::{Deserialize, Serialize};

use crate::ratio::ratio;
use crate::{Accumulator, MetricError, check};

/// Counts of samples whose true class is among the `k` that have the highest scores. Of classes with the same score the
/// later ones come first, as in scikit-learn's `top_k_accuracy_score`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    k: usize,
    hits: u64,
    samples: u64,
}

impl TopK {
    /// Without a sample; with `k` 0 nothing is ever right.
    pub fn new(k: usize) -> Self {
        Self { k, hits: 0, samples: 0 }
    }

    /// Counts one sample by the scores of its classes, which may be logits or probabilities.
    ///
    /// # Errors
    /// When a score is not finite, or the true class has none.
    pub fn add(&mut self, scores: &[f64], truth: usize) -> Result<(), MetricError> {
        check::finite("score", scores)?;
        check::class("truth", 0, truth, scores.len())?;
        let of_truth = scores[truth];
        let before = scores.iter().enumerate();
        let before = before.filter(|(class, score)| **score > of_truth || (**score == of_truth && *class > truth));
        self.hits += u64::from(before.count() < self.k);
        self.samples += 1;
        Ok(())
    }

    /// Share of samples that are right.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.hits, self.samples)
    }
}

impl Accumulator for TopK {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("top-k counts by their k", &other.k, &self.k)?;
        self.hits += other.hits;
        self.samples += other.samples;
        Ok(())
    }
}
