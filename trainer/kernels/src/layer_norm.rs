//! Layer normalisation over rows.

use rayon::prelude::*;

use crate::columns::{self, ROWS};
use crate::math::sum;
use crate::wide::wide;

/// `y = (x − mean) / √(variance + ε) · weight + bias` for each row of `weight.len()` values.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm<'a> {
    /// One for each column.
    pub weight: &'a [f32],
    /// One for each column.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// What [`LayerNorm::forward`] gives.
#[derive(Debug)]
pub struct Normed {
    /// `[row, column]`.
    pub given: Vec<f32>,
    /// Mean and one over the deviation of each row, `[row, 2]`: what the backward pass needs beside the input.
    pub moments: Vec<f32>,
}

/// What [`LayerNorm::backward`] gives.
#[derive(Debug)]
pub struct NormGradients {
    /// `[row, column]`.
    pub input: Vec<f32>,
    /// `[column]`.
    pub weight: Vec<f32>,
    /// `[column]`.
    pub bias: Vec<f32>,
}

impl LayerNorm<'_> {
    /// Normalises `[row, column]`.
    pub fn forward(self, x: &[f32]) -> Normed {
        let width = self.weight.len();
        let mut given = vec![0.0; x.len()];
        let mut moments = vec![0.0; 2 * (x.len() / width)];
        let parts = given.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width));
        parts.zip(moments.par_chunks_mut(2 * ROWS)).for_each(|((given, x), moments)| forward(self, x, given, moments));
        Normed { given, moments }
    }

    /// Gradients from the input, its moments, and the gradient of what was given.
    pub fn backward(self, x: &[f32], moments: &[f32], gradient: &[f32]) -> NormGradients {
        let width = self.weight.len();
        let mut input = vec![0.0; x.len()];
        let parts = input.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width));
        let parts = parts.zip(gradient.par_chunks(ROWS * width)).zip(moments.par_chunks(2 * ROWS));
        let sums: Vec<Vec<f32>> = parts
            .map(|(((input, x), gradient), moments)| {
                let mut sums = vec![0.0; 2 * width];
                backward(self.weight, [x, moments, gradient], input, &mut sums);
                sums
            })
            .collect();
        let mut weight = columns::join(sums, 2 * width);
        let bias = weight.split_off(width);
        NormGradients { input, weight, bias }
    }
}

wide! {
    fn forward(norm: LayerNorm<'_>, x: &[f32], given: &mut [f32], moments: &mut [f32]) {
        let width = norm.weight.len();
        let share = 1.0 / width as f32;
        for ((x, given), moments) in x.chunks_exact(width).zip(given.chunks_exact_mut(width)).zip(moments.chunks_exact_mut(2)) {
            let mean = share * sum([x], |[x]| x);
            let variance = share * sum([x], |[x]| (x - mean) * (x - mean));
            let inverse = 1.0 / (variance + norm.epsilon).sqrt();
            moments.copy_from_slice(&[mean, inverse]);
            for (((given, &x), &weight), &bias) in given.iter_mut().zip(x).zip(norm.weight).zip(norm.bias) {
                *given = (x - mean) * inverse * weight + bias;
            }
        }
    }
}

wide! {
    /// `sums` holds those of the weights, then those of the biases.
    fn backward(weight: &[f32], of: [&[f32]; 3], input: &mut [f32], sums: &mut [f32]) {
        let [x, moments, gradient] = of;
        let width = weight.len();
        let share = 1.0 / width as f32;
        let (of_weight, of_bias) = sums.split_at_mut(width);
        let rows = x.chunks_exact(width).zip(gradient.chunks_exact(width)).zip(moments.chunks_exact(2));
        for (((x, gradient), moments), input) in rows.zip(input.chunks_exact_mut(width)) {
            let (mean, inverse) = (moments[0], moments[1]);
            let level = share * sum([gradient, weight], |[g, w]| g * w);
            let tilt = share * inverse * sum([gradient, weight, x], |[g, w, x]| g * w * (x - mean));
            for at in 0..width {
                let normal = (x[at] - mean) * inverse;
                of_weight[at] += gradient[at] * normal;
                of_bias[at] += gradient[at];
                input[at] = inverse * (gradient[at] * weight[at] - level - normal * tilt);
            }
        }
    }
}
