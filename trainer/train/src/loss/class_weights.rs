//! Weights of classes in a loss.
//!
//! `w_c = median(f) / f_c` with the share `f_c` of class `c` among labelled pixels (median frequency balancing:
//! Eigen & Fergus, ICCV 2015), held to [1/10, 10] so that a class of a few pixels does not rule the loss (our
//! choice). A class without a pixel has weight 1; it takes no part.

use serde::{Deserialize, Serialize};

/// How classes are weighed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All alike: favours overall accuracy.
    #[default]
    Equal,
    /// Median frequency balancing: favours rare classes and the mean IoU.
    MedianFrequency,
    /// As given, in the order of the classes.
    Given(Vec<f32>),
}

const LIMIT: f32 = 10.0;

/// Median frequency weights from counts of labelled pixels by class.
pub fn median_frequency(counts: &[u64]) -> Vec<f32> {
    let mut present: Vec<u64> = counts.iter().copied().filter(|count| *count > 0).collect();
    present.sort_unstable();
    let Some(median) = present.get(present.len().saturating_sub(1) / 2) else { return vec![1.0; counts.len()] };
    let weight = |count: &u64| {
        if *count == 0 { 1.0 } else { (*median as f32 / *count as f32).clamp(1.0 / LIMIT, LIMIT) }
    };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_weigh_more_within_the_limit() {
        assert_eq!(median_frequency(&[100, 50, 200, 0, 1]), [0.5, 1.0, 0.25, 1.0, 10.0]);
        assert_eq!(median_frequency(&[0, 0]), [1.0, 1.0]);
    }
}
