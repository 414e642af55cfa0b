//! Cross-entropy over pixels, weighted by class, blind to pixels without a label.
//!
//! `L = − Σ_i w[y_i] · log softmax(z_i)[y_i] / Σ_i w[y_i]` over the pixels `i` that count: labelled with a class
//! and valid. This is the weighted mean of PyTorch's `CrossEntropyLoss` with `ignore_index`; the softmax is
//! taken as `z − max z − log Σ exp(z − max z)`.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// The loss of a batch, `[1]`.
///
/// # Shapes
/// - `logits`: `[batch, class, height, width]`
/// - `classes`: `[batch, height, width]`, index of the class; any index where `weights` is 0
/// - `weights`: `[batch, height, width]`, weight of the pixel's class, 0 where it does not count. With all of them
///   0 the loss is 0.
pub fn cross_entropy(logits: Tensor<4>, classes: Tensor<3, Int>, weights: Tensor<3>) -> Tensor<1> {
    let log_probabilities = log_softmax(logits, 1);
    let picked = log_probabilities.gather(1, classes.unsqueeze_dim::<4>(1)).squeeze_dim::<3>(1);
    let total = weights.clone().sum().clamp_min(1e-12);
    -(picked * weights).sum() / total
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn loss(logits: &[f32], classes: &[i64], weights: &[f32]) -> f32 {
        let device = Device::flex();
        let (class, pixel) = (logits.len() / classes.len(), classes.len());
        let logits = Tensor::<4>::from_data(TensorData::new(logits.to_vec(), [1, class, 1, pixel]), &device);
        let classes = Tensor::<3, Int>::from_data(TensorData::new(classes.to_vec(), [1, 1, pixel]), &device);
        let weights = Tensor::<3>::from_data(TensorData::new(weights.to_vec(), [1, 1, pixel]), &device);
        cross_entropy(logits, classes, weights).into_scalar::<f32>()
    }

    #[test]
    fn it_agrees_with_the_formula_and_ignores_what_weighs_nothing() {
        // Two pixels of two classes: z = (1, 3) with y = 1, and (2, 0) with y = 1.
        let (z, y) = ([1.0, 2.0, 3.0, 0.0], [1, 1]);
        let first = (1.0 + (-2.0_f32).exp()).ln();
        let second = 2.0 + (1.0 + (-2.0_f32).exp()).ln();
        assert!((loss(&z, &y, &[1.0, 0.0]) - first).abs() < 1e-6);
        assert!((loss(&z, &y, &[1.0, 3.0]) - (first + 3.0 * second) / 4.0).abs() < 1e-6);
        assert_eq!(loss(&z, &y, &[0.0, 0.0]), 0.0);
    }

    #[test]
    fn large_logits_stay_finite() {
        assert_eq!(loss(&[1e4, -1e4], &[0], &[1.0]), 0.0);
    }
}
