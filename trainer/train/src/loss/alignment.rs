//! Cross-modal alignment: features of one place from two modalities come together, those of different places part.
//!
//! `L_align = Σ_{i ≠ j} L_MMCL(F_i, F_j)` over ordered pairs of modalities. The paper calls `L_MMCL` a contrastive loss
//! between modalities and gives no logits, level or temperature; here it is that of CLIP (Radford et al., ICML 2021) on
//! the features of whole chips, with a fixed temperature:
//!
//! `L(F_i, F_j) = − 1/N Σ_n log ( exp(f_i[n]·f_j[n] / τ) / Σ_m exp(f_i[n]·f_j[m] / τ) )`
//!
//! over the `N` chips that have both modalities, with features of length 1. That is our choice.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::granularity::unit;

/// What is added to the logits of chips that lack a modality: the exponential of it is nothing.
const ABSENT: f64 = -1e4;

/// The loss of one ordered pair of modalities, `[1]`; 0 unless two chips have both.
///
/// # Shapes
/// - `from`, `to`: features of chips `[chip, output]`
/// - `both`: `[chip]`, 1 where a chip has both modalities, else 0
pub fn alignment(from: Tensor<2>, to: Tensor<2>, both: Tensor<1>, temperature: f64) -> Tensor<1> {
    let [chips, _] = from.dims();
    let length_one = |features: Tensor<2>| unit(features.unsqueeze_dim::<3>(0)).squeeze_dim::<2>(0);
    let logits = length_one(from).matmul(length_one(to).transpose()) / temperature;
    let absent = (both.clone().neg() + 1.0) * ABSENT;
    let probabilities = log_softmax(logits + absent.unsqueeze_dim::<2>(0), 1);
    let same = Tensor::<2>::eye(chips, &probabilities.device());
    let losses = -(probabilities * same).sum_dim(1).squeeze_dim::<1>(1);
    let count = both.clone().sum().clamp_min(1e-12);
    (losses * both).sum() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{finite_differences, numbers, tensor1, tensor2, tensor3};

    #[test]
    fn it_is_the_formula_in_plain_loops_and_its_gradient_the_difference_quotient() {
        let (from, to, both) = (numbers(12, 10), numbers(12, 11), [1.0, 1.0, 0.0, 1.0]);
        let loss = |from: Tensor<3>| alignment(from.squeeze_dim::<2>(0), tensor2(&to, [4, 3]), tensor1(&both), 0.3);
        let row = |x: &[f32], n: usize| {
            let row: Vec<f64> = x[n * 3..n * 3 + 3].iter().map(|x| f64::from(*x)).collect();
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter().map(|x| x / length).collect::<Vec<_>>()
        };
        let present = [0, 1, 3];
        let logit = |n, m| row(&from, n).iter().zip(row(&to, m)).map(|(a, b)| a * b / 0.3).sum::<f64>();
        let expected: f64 = present
            .iter()
            .map(|&n| present.iter().map(|&m| logit(n, m).exp()).sum::<f64>().ln() - logit(n, n))
            .sum::<f64>()
            / 3.0;
        let found = f64::from(loss(tensor3(&from, [1, 4, 3])).into_scalar::<f32>());
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
        finite_differences(&from, [1, 4, 3], loss);
    }

    #[test]
    fn a_place_alone_has_nothing_to_part_from() {
        let features = tensor2(&numbers(12, 12), [4, 3]);
        let one = alignment(features.clone(), features.clone(), tensor1(&[0.0, 1.0, 0.0, 0.0]), 0.1);
        let none = alignment(features.clone(), features, tensor1(&[0.0; 4]), 0.1);
        assert_eq!([one, none].map(|loss| loss.into_scalar::<f32>()), [0.0, 0.0]);
    }
}
