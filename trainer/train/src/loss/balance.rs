//! Balanced targets: a centre for the teacher's outputs by Sinkhorn–Knopp over a whole step, in place of one that follows
//! their mean.
//!
//! Targets are `softmax((v − c) / τ)`, and `c` is such that each of the `K` outputs is the target of as much as each other:
//! `Σ_i w_i p_ik = Σ_i w_i / K`. Rows of the assignment are scaled by the softmax, columns by
//! `c_k ← c_k + τ · log(K · Σ_i w_i p_ik / Σ_i w_i)`, in turns, rows last, so that each target sums to 1 exactly and the
//! outputs come near to balance (SwAV: Caron et al., NeurIPS 2020; DINOv2 does so in place of centring, with three
//! iterations). Theirs begins with columns, ours with rows: exponentials of single outputs would leave single precision.
//!
//! Parts of a step, on threads and in processes, add up [`output_sums`]: what they find is what one would with all.

use burn::tensor::Tensor;

/// In place of 0, which has no logarithm.
const NOTHING: f64 = 1e-30;

/// `Σ_i w_i p_ik` with `p_i = softmax((v_i − c) / τ)`: how much each output `[output]` is the target of.
///
/// # Shapes
/// - `outputs`: the teacher's, `[batch, feature, output]`
/// - `weights`: `[batch, feature]`, 0 where a feature does not count
/// - `centre`: `[output]`
pub fn output_sums(outputs: Tensor<3>, weights: Tensor<2>, centre: Tensor<1>, temperature: f64) -> Tensor<1> {
    let [batch, features, count] = outputs.dims();
    let targets = super::targets(outputs, centre, temperature).reshape([batch * features, count]);
    weights.reshape([1, batch * features]).matmul(targets).reshape([count])
}

/// The centre after one iteration, from the sums over the whole step; as it was where nothing counts.
pub fn balanced_centre(centre: &[f64], sums: &[f64], temperature: f64) -> Vec<f64> {
    let all: f64 = sums.iter().sum();
    if all <= 0.0 {
        return centre.to_vec();
    }
    let outputs = sums.len() as f64;
    let moved = |(centre, sum): (&f64, &f64)| centre + temperature * (outputs * sum / all).max(NOTHING).ln();
    centre.iter().zip(sums).map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{numbers, tensor1, tensor2, tensor3, values};

    const SHAPE: [usize; 3] = [2, 6, 3];
    const WEIGHTS: [f32; 12] = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    const TEMPERATURE: f64 = 0.2;

    fn sums(outputs: &[f32], centre: &[f64]) -> Vec<f64> {
        let centre: Vec<f32> = centre.iter().map(|value| *value as f32).collect();
        let found = output_sums(tensor3(outputs, SHAPE), tensor2(&WEIGHTS, [2, 6]), tensor1(&centre), TEMPERATURE);
        values(found).into_iter().map(f64::from).collect()
    }

    fn centre(outputs: &[f32], iterations: usize) -> Vec<f64> {
        (0..iterations).fold(vec![0.0; 3], |c, _| balanced_centre(&c, &sums(outputs, &c), TEMPERATURE))
    }

    #[test]
    fn each_output_is_the_target_of_as_much_as_each_other() {
        let outputs = numbers(36, 21);
        for sum in sums(&outputs, &centre(&outputs, 300)) {
            assert!((sum / 10.0 - 1.0 / 3.0).abs() < 1e-5, "{sum} of 10");
        }
        let uneven = sums(&outputs, &[0.0; 3]);
        assert!(uneven.iter().any(|sum| (sum / 10.0 - 1.0 / 3.0).abs() > 0.02), "{uneven:?} were even before");
    }

    #[test]
    fn it_is_the_scaling_of_rows_and_columns_in_plain_loops() {
        let outputs = numbers(36, 22);
        let counts: Vec<usize> = (0..12).filter(|row| WEIGHTS[*row] > 0.0).collect();
        let mut expected: Vec<Vec<f64>> = counts
            .iter()
            .map(|row| outputs[row * 3..row * 3 + 3].iter().map(|v| (f64::from(*v) / TEMPERATURE).exp()).collect())
            .collect();
        let rows = |all: &mut Vec<Vec<f64>>| {
            for row in all.iter_mut() {
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|value| *value /= sum);
            }
        };
        rows(&mut expected);
        for _ in 0..3 {
            for output in 0..3 {
                let sum: f64 = expected.iter().map(|row| row[output]).sum();
                expected.iter_mut().for_each(|row| row[output] *= counts.len() as f64 / 3.0 / sum);
            }
            rows(&mut expected);
        }
        let centre: Vec<f32> = centre(&outputs, 3).into_iter().map(|value| value as f32).collect();
        let found = values(crate::loss::targets(tensor3(&outputs, SHAPE), tensor1(&centre), TEMPERATURE));
        for (row, expected) in counts.iter().zip(&expected) {
            for (found, expected) in found[row * 3..row * 3 + 3].iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} instead of {expected}");
            }
        }
    }

    #[test]
    fn without_a_feature_that_counts_the_centre_stays() {
        assert_eq!(balanced_centre(&[0.5, 1.0], &[0.0, 0.0], 0.1), [0.5, 1.0]);
        let unused = balanced_centre(&[0.0, 0.0], &[4.0, 0.0], 0.1);
        assert!(unused.iter().all(|value| value.is_finite()), "{unused:?}");
    }
}
