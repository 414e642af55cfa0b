//! Cross-entropy of labels of which a sample may have any.
//!
//! `L = Σ_bc w_bc · (max(z, 0) − z·t + log(1 + exp(−|z|))) / Σ_bc w_bc`, PyTorch's `BCEWithLogitsLoss` as a weighted mean.

use burn::tensor::Tensor;

/// The loss of a batch, `[1]`.
///
/// # Shapes
/// - `logits`, `truth` (0 or 1), `weights`: `[batch, class]`. With all weights 0 the loss is 0.
pub fn binary_cross_entropy(logits: Tensor<2>, truth: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    let loss = logistic(logits, truth);
    let total = weights.clone().sum().clamp_min(1e-12);
    (loss * weights).sum() / total
}

/// `−t ln σ(z) − (1 − t) ln (1 − σ(z))` of each, without an exponential that overflows.
pub(crate) fn logistic<const D: usize>(logits: Tensor<D>, truth: Tensor<D>) -> Tensor<D> {
    let tail = (logits.clone().abs().neg().exp() + 1.0).log();
    logits.clone().clamp_min(0.0) - logits * truth + tail
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn it_agrees_with_the_formula_and_stays_finite() {
        let table =
            |values: [f32; 4]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &Device::flex());
        let loss = |logits, truth, weights| {
            binary_cross_entropy(table(logits), table(truth), table(weights)).into_scalar::<f32>()
        };
        let sure = |z: f32| (1.0 + (-z).exp()).ln();
        let found = loss([2.0, -1.0, 0.0, 5.0], [1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 2.0, 0.0]);
        let expected = (sure(2.0) + sure(1.0) + 2.0 * 2.0_f32.ln()) / 4.0;
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        assert_eq!(loss([1e4, -1e4, 1e4, 1e4], [1.0, 0.0, 1.0, 1.0], [1.0; 4]), 0.0);
    }
}
