//! Likeness of a student's features to a teacher's, position by position.
//!
//! `L = Σ_i w_i · (1 − cos(p_i, t_i) + mean_c h(p_ic − t_ic)) / Σ_i w_i` with the student's projected features `p`, the
//! teacher's standardised features `t`, the cosine `cos(p, t) = ⟨p, t⟩ / √((‖p‖² + ε)(‖t‖² + ε))`, and the smooth L1
//! `h(d) = d² / 2β` for `|d| < β`, else `|d| − β / 2`.
//!
//! Sources: a linear projection of the student that is thrown away after training, from FitNets (Romero et al., ICLR
//! 2015); standardised targets and the smooth L1 with β = 2, from feature distillation (Wei et al., "Contrastive learning
//! rivals masked image modeling in fine-tuning via feature distillation", 2022). The cosine beside it is our choice: it is
//! what the result is measured by, and the smooth L1 holds the length that a cosine leaves free.

use burn::tensor::Tensor;

/// Where the smooth L1 turns from a parabola into a line; in standard deviations of the teacher's channels.
const BETA: f32 = 2.0;
/// Keeps the cosine of a vector of zeros a number.
const EPSILON: f32 = 1e-6;

/// The loss of a batch, `[1]`.
///
/// # Shapes
/// - `predicted`: `[position, channel]`, the student's features, projected to the teacher's channels
/// - `target`: `[position, channel]`, the teacher's features, of mean 0 and deviation 1 in each channel
/// - `weights`: `[position]`, 0 where a position does not count. With all of them 0 the loss is 0.
pub fn feature_loss(predicted: Tensor<2>, target: Tensor<2>, weights: Tensor<1>) -> Tensor<1> {
    let squares = |x: &Tensor<2>| (x.clone() * x.clone()).sum_dim(1) + EPSILON;
    let norms = (squares(&predicted) * squares(&target)).sqrt();
    let cosine = (predicted.clone() * target.clone()).sum_dim(1) / norms;
    let apart = (predicted - target).abs();
    let within = apart.clone().clamp_max(BETA);
    // m · (d − m / 2) / β with m = min(d, β) is both branches in one.
    let smooth = (within.clone() * (apart - within * 0.5) / BETA).mean_dim(1);
    let total = weights.clone().sum().clamp_min(1e-12);
    let each = (smooth - cosine + 1.0).squeeze_dim::<1>(1);
    (each * weights).sum() / total
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn loss(predicted: [f32; 4], target: [f32; 4], weights: [f32; 2]) -> f32 {
        let device = Device::flex();
        let rows = |values: [f32; 4]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &device);
        let weights = Tensor::<1>::from_data(TensorData::new(weights.to_vec(), [2]), &device);
        feature_loss(rows(predicted), rows(target), weights).into_scalar::<f32>()
    }

    #[test]
    fn it_agrees_with_the_formula_and_ignores_what_weighs_nothing() {
        // (3, 4) against (4, 3): cosine 24/25, both apart by 1: 1²/4 each.
        let first = 1.0 - 24.0 / 25.0 + 0.25;
        // (1, 0) against (−4, 0): cosine −1, apart by 5 and 0: (5 − 1 + 0) / 2.
        let second = 2.0 + 2.0;
        let (p, t) = ([3.0, 4.0, 1.0, 0.0], [4.0, 3.0, -4.0, 0.0]);
        for (weights, expected) in
            [([1.0, 0.0], first), ([0.0, 2.0], second), ([1.0, 3.0], (first + 3.0 * second) / 4.0)]
        {
            assert!((loss(p, t, weights) - expected).abs() < 1e-5, "{weights:?}: {}", loss(p, t, weights));
        }
        assert_eq!(loss(p, t, [0.0, 0.0]), 0.0);
        assert!(loss(t, t, [1.0, 1.0]).abs() < 1e-5, "the same features");
    }

    #[test]
    fn a_vector_of_zeros_stays_finite() {
        assert!(loss([0.0; 4], [0.0; 4], [1.0, 1.0]).is_finite());
    }
}
