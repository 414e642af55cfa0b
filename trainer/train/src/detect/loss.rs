//! The losses of both stages (Faster R-CNN, equation 1; Oriented R-CNN, section 3.3).
//!
//! Of an image: `L = BCE(objectness) + smooth(codes of anchors) + CE(classes) + smooth(codes of proposals)`, each a sum
//! over the boxes that were sampled, divided by their number. The smooth L1 loss is `x² / 2β` below `β` and `|x| − β / 2`
//! above (Girshick 2015, arXiv:1504.08083, equation 3, with Detectron's `β`: 1/9 for anchors, 1 for proposals).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::loss::{self, logistic};

/// `β` of anchors.
pub(super) const ANCHOR_BETA: f64 = 1.0 / 9.0;
/// `β` of proposals.
pub(super) const PROPOSAL_BETA: f64 = 1.0;

/// Weighted sum of `−t ln σ(x) − (1 − t) ln (1 − σ(x))`, `[1]`.
pub(super) fn binary_cross_entropy(logits: Tensor<1>, targets: &[f32], weights: &[f32]) -> Tensor<1> {
    let device = logits.device();
    let (targets, weights) = (row(targets, &device), row(weights, &device));
    (logistic(logits, targets) * weights).sum()
}

/// Weighted sum of `−ln softmax(x)[class]`, `[1]`.
pub(super) fn cross_entropy(logits: Tensor<2>, classes: &[i64], weights: &[f32]) -> Tensor<1> {
    let device = logits.device();
    let places = Tensor::<2, Int>::from_data(TensorData::new(classes.to_vec(), [classes.len(), 1]), &device);
    let picked = log_softmax(logits, 1).gather(1, places).squeeze_dim::<1>(1);
    (picked * row(weights, &device)).sum().neg()
}

/// Weighted sum of the smooth L1 distance of rows, `[1]`.
pub(super) fn smooth_l1(codes: Tensor<2>, targets: &[f32], weights: &[f32], beta: f64) -> Tensor<1> {
    let ([rows, width], device) = (codes.dims(), codes.device());
    let targets = Tensor::<2>::from_data(TensorData::new(targets.to_vec(), [rows, width]), &device);
    let each = loss::smooth_l1(codes, targets, beta);
    (each.sum_dim(1).squeeze_dim::<1>(1) * row(weights, &device)).sum()
}

fn row(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: Tensor<1>) -> f32 {
        value.into_scalar::<f32>()
    }

    #[test]
    fn they_are_the_formulas_in_plain_loops() {
        let device = Device::flex();
        let logits = [-3.0_f32, 0.2, 40.0, -40.0];
        let (targets, weights) = ([1.0, 0.0, 1.0, 1.0], [0.5, 0.25, 1.0, 0.125]);
        let sigma = |x: f32| 1.0 / (1.0 + f64::from(-x).exp());
        let plain: f64 = (0..3)
            .map(|at| {
                let p = sigma(logits[at]);
                let loss = if targets[at] == 1.0 { -p.ln() } else { -(1.0 - p).ln() };
                loss * f64::from(weights[at])
            })
            .sum::<f64>()
            + 40.0 * 0.125;
        let found = one(binary_cross_entropy(row(&logits, &device), &targets, &weights));
        assert!((f64::from(found) - plain).abs() < 1e-5, "{found} {plain}");

        let logits = Tensor::<2>::from_data([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]], &device);
        let plain =
            0.5 * ((1f64.exp() + 2f64.exp() + 1.0).ln() - 2.0) + 2.0 * ((1.0 + (-1f64).exp() + 3f64.exp()).ln());
        let found = one(cross_entropy(logits, &[1, 0], &[0.5, 2.0]));
        assert!((f64::from(found) - plain).abs() < 1e-5, "{found} {plain}");

        let (codes, targets) = ([[0.0, 0.3, -2.0], [1.0, 1.0, 1.0]], [0.1, 0.0, 1.0, 1.0, 1.5, 0.0]);
        for beta in [ANCHOR_BETA, PROPOSAL_BETA] {
            let smooth = |x: f64| if x.abs() < beta { x * x / 2.0 / beta } else { x.abs() - beta / 2.0 };
            let row = |at: usize| {
                (0..3).map(|c| smooth(f64::from(codes[at][c]) - f64::from(targets[at * 3 + c]))).sum::<f64>()
            };
            let plain = 0.5 * row(0) + 3.0 * row(1);
            let targets = targets.map(|target: f32| target);
            let found = one(smooth_l1(
                Tensor::from_data(codes.map(|row| row.map(|v: f32| v)), &device),
                &targets,
                &[0.5, 3.0],
                beta,
            ));
            assert!((f64::from(found) - plain).abs() < 1e-5, "{beta}: {found} {plain}");
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let device = Device::flex().autodiff();
        let loss = |at: [f32; 4]| {
            let x = Tensor::<2>::from_data(TensorData::new(at.to_vec(), [2, 2]), &device).require_grad();
            let flat = x.clone().reshape([4]);
            let sum = binary_cross_entropy(flat, &[1.0, 0.0, 0.0, 1.0], &[1.0, 0.5, 1.0, 2.0])
                + cross_entropy(x.clone(), &[0, 1], &[1.0, 0.3])
                + smooth_l1(x.clone(), &[0.0, 0.4, 3.0, -1.0], &[1.0, 0.7], ANCHOR_BETA);
            (sum, x)
        };
        let point = [0.05, 0.9, -0.3, -1.04];
        let (value, x) = loss(point);
        let gradient: Vec<f32> = x.grad(&value.backward()).unwrap().into_data().iter::<f32>().collect();
        for at in 0..4 {
            let moved = |by: f32| {
                let mut point = point;
                point[at] += by;
                loss(point).0.into_scalar::<f32>()
            };
            let difference = (moved(2e-3) - moved(-2e-3)) / 4e-3;
            assert!((difference - gradient[at]).abs() < 5e-3, "{at}: {difference} {}", gradient[at]);
        }
    }
}
