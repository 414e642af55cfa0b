//! Multinomial logistic regression on features that stay as they are, the linear probe.
//!
//! It minimises `−1/n Σ log softmax(X W)ᵧ + decay/2 ‖W‖²` (no decay of biases) by full-batch gradient steps with
//! Nesterov's acceleration (Nesterov, Introductory Lectures on Convex Optimization, 2.2.1).
//! The length of a step follows from the data: the loss has no curvature above `λ/2 + decay`, `λ` the largest eigenvalue of
//! `XᵀX / n` (Böhning 1992). So there is no learning rate to choose, nothing is drawn, and the same features give the
//! same weights.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::nearest::first_largest;

/// How the regression is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// Full-batch steps.
    pub steps: usize,
    /// Weight of the squared weights: keeps features of many channels from being learned by heart.
    pub decay: f64,
}

/// Ours.
impl Default for Linear {
    fn default() -> Self {
        Self { steps: 300, decay: 1e-3 }
    }
}

/// Rounds of the power iteration; what it lacks of the eigenvalue is covered by [`MARGIN`].
const ROUNDS: usize = 30;
const MARGIN: f64 = 1.05;

impl Linear {
    /// The classes of `asked`, learned from standardised features of `known` with their `classes`.
    pub(super) fn classify(&self, known: &Features, classes: &[u8], count: usize, asked: &Features) -> Vec<u8> {
        if known.count() == 0 {
            return vec![0; asked.count()];
        }
        Self::given(&self.fit(known, classes, count), asked, count)
    }

    /// The classes that weights `[channel + 1, class]` give; of equals the first.
    pub(crate) fn given(weights: &Tensor<2>, asked: &Features, count: usize) -> Vec<u8> {
        let scores: Vec<f32> = with_bias(asked).matmul(weights.clone()).into_data().iter::<f32>().collect();
        scores.chunks_exact(count).map(|scores| first_largest(scores.iter().map(|score| f64::from(*score)))).collect()
    }

    /// Weights `[channel + 1, class]`, biases last.
    pub(crate) fn fit(&self, known: &Features, classes: &[u8], count: usize) -> Tensor<2> {
        let (rows, device) = (known.count(), Device::flex());
        let x = with_bias(known);
        let transposed = x.clone().transpose();
        let mut truth = vec![0.0_f32; rows * count];
        classes.iter().enumerate().for_each(|(row, class)| truth[row * count + usize::from(*class)] = 1.0);
        let truth = Tensor::<2>::from_data(TensorData::new(truth, [rows, count]), &device);
        let mut decayed = vec![self.decay as f32; known.width];
        decayed.push(0.0);
        let decayed = Tensor::<2>::from_data(TensorData::new(decayed, [known.width + 1, 1]), &device);
        let steepest = MARGIN * largest_eigenvalue(&x) / 2.0 + self.decay;
        let flat = (self.decay / steepest).sqrt();
        let momentum = (1.0 - flat) / (1.0 + flat);
        let mut weights = Tensor::<2>::zeros([known.width + 1, count], &device);
        let mut ahead = weights.clone();
        for step in 0..self.steps {
            let wrong = softmax(x.clone().matmul(ahead.clone()), 1) - truth.clone();
            let gradient = transposed.clone().matmul(wrong) / rows as f64 + ahead.clone() * decayed.clone();
            let next = ahead - gradient / steepest;
            // Without decay nothing is known of the flattest direction: momentum grows as for functions that are merely convex.
            let momentum = momentum.min(step as f64 / (step as f64 + 3.0));
            ahead = next.clone() + (next.clone() - weights) * momentum;
            weights = next;
        }
        weights
    }
}

/// The features with a last channel of ones.
fn with_bias(features: &Features) -> Tensor<2> {
    let ones = Tensor::<2>::ones([features.count(), 1], &Device::flex());
    Tensor::cat(vec![features.tensor(), ones], 1)
}

/// Of `XᵀX / n`, by power iteration.
fn largest_eigenvalue(x: &Tensor<2>) -> f64 {
    let [rows, columns] = x.dims();
    let start: Vec<f32> = (0..columns).map(|at| 1.0 + (at % 7) as f32 / 7.0).collect();
    let mut vector = Tensor::<2>::from_data(TensorData::new(start, [columns, 1]), &x.device());
    let mut value = 0.0;
    for _ in 0..ROUNDS {
        let length = f64::from(vector.clone().powi_scalar(2).sum().sqrt().into_scalar::<f32>());
        if length == 0.0 {
            break;
        }
        let next = x.clone().transpose().matmul(x.clone().matmul(vector / length)) / rows as f64;
        value = f64::from(next.clone().powi_scalar(2).sum().sqrt().into_scalar::<f32>());
        vector = next;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(linear: Linear, features: &Features, classes: &[u8], count: usize) -> Vec<f32> {
        linear.fit(features, classes, count).into_data().iter::<f32>().collect()
    }

    /// Two classes, one channel of ±1 that tells the class with chance `p`: by symmetry `W = (−w, w)` without biases, and
    /// where the gradient is zero `p − σ(2w) = decay · w`.
    #[test]
    fn weights_are_those_that_a_known_problem_has() {
        let values: Vec<f32> = (0..400).map(|at| if at % 2 == 0 { 1.0 } else { -1.0 }).collect();
        // Every fourth pair is the other way round: p = 3/4.
        let classes: Vec<u8> = (0..400).map(|at| u8::from((at % 2 == 0) != (at / 2 % 4 == 0))).collect();
        let features = Features { width: 1, values };
        for decay in [0.001, 0.01, 0.3] {
            let found = weights(Linear { steps: 2000, decay }, &features, &classes, 2);
            let excess = |w: f64| 0.75 - 1.0 / (1.0 + (-2.0 * w).exp()) - decay * w;
            let (mut low, mut high) = (0.0, 2.0);
            for _ in 0..60 {
                let middle = (low + high) / 2.0;
                if excess(middle) > 0.0 { low = middle } else { high = middle }
            }
            assert!((f64::from(found[1]) - low).abs() < 1e-4, "{decay}: {found:?}, expected {low}");
            // What both biases have in common changes no probability.
            assert!((found[0] + found[1]).abs() < 1e-4 && (found[2] - found[3]).abs() < 1e-5, "{found:?}");
        }
    }

    #[test]
    fn classes_that_a_plane_separates_are_told_apart_and_others_are_not() {
        // Three classes in the corners of a triangle, and one channel of noise a hundred times as large.
        let corner = |class: usize| [[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]][class];
        let rows = |shift: usize| {
            let row = move |at: usize| {
                let [x, y]: [f32; 2] = corner(at % 3);
                let wobble = ((at * 37 + shift) % 101) as f32 / 101.0 - 0.5;
                [x + 0.5 * wobble, y - 0.5 * wobble, 100.0 * (((at * 53 + shift) % 97) as f32 / 97.0 - 0.5)]
            };
            Features { width: 3, values: (0..300).flat_map(row).collect() }
        };
        let classes: Vec<u8> = (0..300).map(|at| (at % 3) as u8).collect();
        let standard = super::super::features::Standard::of(&rows(0));
        let given = Linear::default().classify(&standard.apply(&rows(0)), &classes, 3, &standard.apply(&rows(11)));
        assert_eq!(given, classes);
        // Exclusive or: no plane separates it.
        let corners: Vec<f32> = (0..400).flat_map(|at| [(at % 2) as f32 - 0.5, (at / 2 % 2) as f32 - 0.5]).collect();
        let xor = Features { width: 2, values: corners };
        let classes: Vec<u8> = (0..400).map(|at| ((at % 2) ^ (at / 2 % 2)) as u8).collect();
        let given = Linear::default().classify(&xor, &classes, 2, &xor);
        let right = given.iter().zip(&classes).filter(|(a, b)| a == b).count();
        assert!(right <= 300, "a line gets three corners of four at most: {right} of 400");
    }
}
