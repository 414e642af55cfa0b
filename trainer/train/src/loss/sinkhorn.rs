//! Sinkhorn–Knopp: a balanced soft assignment of rows to columns.
//!
//! `S = diag(u) · exp(M / ε) · diag(v)` with rows that sum to their share of the weight (`1 / rows` where all weigh alike) and
//! columns that sum to `1 / columns` (Cuturi, NeurIPS 2013). Rows and columns are scaled in turns, columns last, so that after any number of iterations columns sum
//! exactly and rows come near. Computed with logarithms: `exp(M / ε)` of a cosine of 1 at ε = 0.01 overflows single
//! precision.
//!
//! The paper names the algorithm and no settings; ε = 0.05 and three iterations are those of SwAV (NeurIPS 2020).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How sharp an assignment is, and how near it comes to balance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sinkhorn {
    /// ε, above 0: small values assign almost to one column alone.
    pub epsilon: f64,
    /// How often rows and columns are scaled.
    pub iterations: usize,
}

/// In place of 0, which has no logarithm; far below what a row can weigh.
const NOTHING: f64 = 1e-30;

impl Default for Sinkhorn {
    fn default() -> Self {
        Self { epsilon: 0.05, iterations: 3 }
    }
}

impl Sinkhorn {
    /// Scores `[batch, row, column]` and weights of rows `[batch, row]` → assignment of the shape of the scores.
    ///
    /// A row of weight 0 takes no part; the others are as if it were not there. Gradients do not flow through this.
    pub fn assign(&self, scores: Tensor<3>, weights: Tensor<2>) -> Tensor<3> {
        let [_, _, columns] = scores.dims();
        let weights = weights.detach();
        let shares = weights.clone() / weights.sum_dim(1).clamp_min(NOTHING);
        let shares = shares.clamp_min(NOTHING).log().unsqueeze_dim::<3>(2);
        let mut logarithms = scores.detach() / self.epsilon;
        for _ in 0..self.iterations {
            let sums = log_sum_exp(logarithms.clone(), 2);
            logarithms = logarithms - sums + shares.clone();
            let sums = log_sum_exp(logarithms.clone(), 1);
            logarithms = logarithms - sums - (columns as f64).ln();
        }
        logarithms.exp()
    }
}

/// `log Σ exp x` along an axis, which stays with length 1.
fn log_sum_exp(x: Tensor<3>, axis: usize) -> Tensor<3> {
    let most = x.clone().max_dim(axis);
    (x - most.clone()).exp().sum_dim(axis).log() + most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{numbers, tensor2, tensor3, values};

    const SHAPE: [usize; 3] = [2, 6, 3];

    #[test]
    fn marginals_are_even() {
        let scores = tensor3(&numbers(36, 1), SHAPE);
        let assignment = Sinkhorn { epsilon: 0.2, iterations: 500 }.assign(scores, tensor2(&[1.0; 12], [2, 6]));
        for sum in values(assignment.clone().sum_dim(2)) {
            assert!((sum - 1.0 / 6.0).abs() < 1e-5, "a row sums to {sum}");
        }
        for sum in values(assignment.sum_dim(1)) {
            assert!((sum - 1.0 / 3.0).abs() < 1e-5, "a column sums to {sum}");
        }
    }

    #[test]
    fn it_is_the_scaling_of_rows_and_columns_in_plain_loops() {
        let scores = numbers(36, 2);
        let (settings, [batch, rows, columns]) = (Sinkhorn { epsilon: 0.2, iterations: 3 }, SHAPE);
        let mut expected: Vec<f64> = scores.iter().map(|score| (f64::from(*score) / 0.2).exp()).collect();
        for chip in expected.chunks_mut(rows * columns) {
            for _ in 0..settings.iterations {
                for row in chip.chunks_mut(columns) {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|value| *value /= sum * rows as f64);
                }
                for column in 0..columns {
                    let sum: f64 = chip.iter().skip(column).step_by(columns).sum();
                    chip.iter_mut().skip(column).step_by(columns).for_each(|value| *value /= sum * columns as f64);
                }
            }
        }
        assert_eq!(expected.len(), batch * rows * columns);
        let found = values(settings.assign(tensor3(&scores, SHAPE), tensor2(&[2.0; 12], [2, 6])));
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn the_sharpest_scores_stay_finite() {
        let scores = tensor3(&[1.0, -1.0, -1.0, 1.0], [1, 2, 2]);
        let found = values(Sinkhorn { epsilon: 0.001, iterations: 3 }.assign(scores, tensor2(&[1.0; 2], [1, 2])));
        assert_eq!(found, [0.5, 0.0, 0.0, 0.5]);
    }

    #[test]
    fn rows_that_weigh_nothing_are_as_if_they_were_not_there() {
        let settings = Sinkhorn { epsilon: 0.2, iterations: 5 };
        let scores = numbers(12, 3);
        let with = values(settings.assign(tensor3(&scores, [1, 4, 3]), tensor2(&[1.0, 1.0, 0.0, 1.0], [1, 4])));
        let others = [&scores[..6], &scores[9..]].concat();
        let without = values(settings.assign(tensor3(&others, [1, 3, 3]), tensor2(&[1.0; 3], [1, 3])));
        for (with, without) in [&with[..6], &with[9..]].concat().iter().zip(without) {
            assert!((with - without).abs() < 1e-6, "{with} instead of {without}");
        }
        assert!(with[6..9].iter().all(|share| *share < 1e-20));
        let none = values(settings.assign(tensor3(&scores, [1, 4, 3]), tensor2(&[0.0; 4], [1, 4])));
        assert!(none.iter().all(|share| share.is_finite()));
    }
}
