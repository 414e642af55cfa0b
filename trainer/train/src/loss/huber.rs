//! Huber's loss over pixels: squares near the truth, absolute errors far from it, so that single wrong truths do not rule.
//!
//! `L = Σ_i w_i · h(z_i − t_i) / Σ_i w_i` with `h(d) = d²/2` where `|d| ≤ 1`, else `|d| − 1/2` (Huber 1964). PyTorch's
//! `HuberLoss` with `delta = 1`, which its `SmoothL1Loss` with `beta = 1` is too.

use burn::tensor::Tensor;

/// The loss of a batch, `[1]`.
///
/// # Shapes
/// - `values`, `truth`: `[batch, height, width]`, in deviations of the truth; any truth where `weights` is 0
/// - `weights`: `[batch, height, width]`, 0 where a pixel does not count. With all of them 0 the loss is 0.
pub fn huber(values: Tensor<3>, truth: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
    let loss = smooth_l1(values, truth, 1.0);
    let total = weights.clone().sum().clamp_min(1e-12);
    (loss * weights).sum() / total
}

/// `d²/2β` up to `β`, and `|d| − β/2` beyond it, of each distance `d` (Girshick 2015, arXiv:1504.08083, equation 3).
pub(crate) fn smooth_l1<const D: usize>(values: Tensor<D>, truth: Tensor<D>, beta: f64) -> Tensor<D> {
    let apart = (values - truth).abs();
    // min(d, β)² / 2β + (d − min(d, β)) is the same without a case.
    let near = apart.clone().clamp_max(beta);
    near.clone() * near.clone() / (2.0 * beta) + (apart - near)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn it_agrees_with_the_formula_and_ignores_what_weighs_nothing() {
        let line =
            |values: [f32; 4]| Tensor::<3>::from_data(TensorData::new(values.to_vec(), [1, 1, 4]), &Device::flex());
        // 0.125, 2.5, 0 and something far off that does not count.
        let loss = huber(line([0.5, -3.0, 1.0, 99.0]), line([0.0, 0.0, 1.0, 0.0]), line([1.0, 1.0, 2.0, 0.0]));
        assert!((loss.into_scalar::<f32>() - 2.625 / 4.0).abs() < 1e-6);
        let none = huber(line([1.0; 4]), line([0.0; 4]), line([0.0; 4]));
        assert_eq!(none.into_scalar::<f32>(), 0.0);
    }
}
