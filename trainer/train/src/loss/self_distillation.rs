//! What a student learns from its teacher about one feature: the loss `L_CL` of the paper.
//!
//! `L(u, v) = − Σ_k softmax((v − c) / τ_t)_k · log softmax(u / τ_s)_k` over the `K` outputs of the projection, where the
//! teacher's `v` gives no gradient and `c` is the centre of the teacher's outputs (DINO: Caron et al., ICCV 2021,
//! algorithm 1). The paper says that its loss is that of the DINO family, has positive pairs only, and names no
//! temperature; those here are DINO's.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

/// How sharp the outputs of both sides are made, both above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Temperatures {
    /// τ_s.
    pub student: f64,
    /// τ_t, below that of the student.
    pub teacher: f64,
}

impl Default for Temperatures {
    fn default() -> Self {
        Self { student: 0.1, teacher: 0.04 }
    }
}

/// The mean loss of features, `[1]`; 0 where none counts.
///
/// # Shapes
/// - `student`, `teacher`: `[batch, feature, output]`
/// - `centre`: `[output]`
/// - `weights`: `[batch, feature]`, 0 where a feature does not count
pub fn self_distillation(
    student: Tensor<3>,
    teacher: Tensor<3>,
    centre: Tensor<1>,
    weights: Tensor<2>,
    temperatures: Temperatures,
) -> Tensor<1> {
    let targets = targets(teacher, centre, temperatures.teacher);
    let count = weights.clone().sum().clamp_min(1e-12);
    summed(student, targets, weights, temperatures.student) / count
}

/// The teacher's half of the loss: `softmax((v − c) / τ_t)`, without a gradient; shapes as in [`self_distillation`].
pub fn targets(teacher: Tensor<3>, centre: Tensor<1>, temperature: f64) -> Tensor<3> {
    softmax((teacher.detach() - centre.detach().unsqueeze()) / temperature, 2)
}

/// The student's half: the weighted sum of the losses, `[1]`. Parts of a batch add theirs up and divide by the weight of
/// all of them; shapes as in [`self_distillation`].
pub fn summed(student: Tensor<3>, targets: Tensor<3>, weights: Tensor<2>, temperature: f64) -> Tensor<1> {
    let losses = -(targets * log_softmax(student / temperature, 2)).sum_dim(2).squeeze_dim::<2>(2);
    (losses * weights).sum()
}

/// The centre after a batch: `c ← m · c + (1 − m) · mean(v)` over the features that count (DINO, equation 4).
///
/// Its sums are given apart, `sum` `[output]` and `count`, so that processes can add theirs up first. Without a feature
/// that counts the centre stays.
pub fn moved_centre(centre: Tensor<1>, sum: Tensor<1>, count: f64, momentum: f64) -> Tensor<1> {
    if count == 0.0 { centre } else { centre * momentum + sum * ((1.0 - momentum) / count) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::loss::reference::{device, finite_differences, numbers, tensor1, tensor2, tensor3, values};

    const SHAPE: [usize; 3] = [2, 3, 4];

    /// The formula in plain loops.
    fn expected(student: &[f32], teacher: &[f32], centre: &[f32], weights: &[f32], t: Temperatures) -> f64 {
        let [_, _, outputs] = SHAPE;
        let exponentials = |row: &[f64]| -> Vec<f64> {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(|x| x.exp() / sum).collect()
        };
        let (mut total, mut count) = (0.0, 0.0);
        for (row, weight) in weights.iter().enumerate() {
            let of =
                |x: &[f32]| x[row * outputs..(row + 1) * outputs].iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let u: Vec<f64> = of(student).iter().map(|x| x / t.student).collect();
            let v: Vec<f64> = of(teacher).iter().zip(centre).map(|(x, c)| (x - f64::from(*c)) / t.teacher).collect();
            let (p, q) = (exponentials(&u), exponentials(&v));
            total -= f64::from(*weight) * q.iter().zip(&p).map(|(q, p)| q * p.ln()).sum::<f64>();
            count += f64::from(*weight);
        }
        total / count
    }

    #[test]
    fn it_is_the_formula_in_plain_loops_and_its_gradient_the_difference_quotient() {
        let (student, teacher, centre) = (numbers(24, 3), numbers(24, 4), numbers(4, 5));
        let weights = [1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
        let temperatures = Temperatures { student: 0.5, teacher: 0.2 };
        let loss = |student: Tensor<3>| {
            let (teacher, centre) = (tensor3(&teacher, SHAPE), tensor1(&centre));
            self_distillation(student, teacher, centre, tensor2(&weights, [2, 3]), temperatures)
        };
        let found = f64::from(loss(tensor3(&student, SHAPE)).into_scalar::<f32>());
        assert!((found - expected(&student, &teacher, &centre, &weights, temperatures)).abs() < 1e-5);
        finite_differences(&student, SHAPE, loss);
    }

    #[test]
    fn a_teacher_learns_nothing_and_without_a_feature_there_is_no_loss() {
        let teacher = tensor3(&numbers(24, 6), SHAPE).require_grad();
        let student = tensor3(&numbers(24, 7), SHAPE).require_grad();
        let none = tensor2(&[0.0; 6], [2, 3]);
        let loss =
            self_distillation(student.clone(), teacher.clone(), tensor1(&[0.0; 4]), none, Temperatures::default());
        assert_eq!(loss.clone().into_scalar::<f32>(), 0.0);
        let gradients = loss.backward();
        assert!(teacher.grad(&gradients).is_none());
        assert!(student.grad(&gradients).is_some());
    }

    #[test]
    fn the_centre_follows_the_mean() {
        let centre = Tensor::<1>::from_data(TensorData::from([1.0, 2.0]), &device());
        let moved = moved_centre(centre.clone(), tensor1(&[6.0, 3.0]), 3.0, 0.9);
        assert_eq!(values(moved), [0.9 + 0.2, 1.8 + 0.1]);
        assert_eq!(values(moved_centre(centre, tensor1(&[0.0, 0.0]), 0.0, 0.9)), [1.0, 2.0]);
    }
}
