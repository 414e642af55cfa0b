//! A step of AdamW in one pass over the parameters.

use rayon::prelude::*;

use crate::wide::wide;

/// Values of a part.
const PART: usize = 1 << 13;

/// Settings of a step. `θ ← θ·(1 − rate·decay) − rate·m̂ / (√v̂ + ε)` with the moments
/// `m ← β₁·m + (1 − β₁)·g` and `v ← β₂·v + (1 − β₂)·g²`, each divided by `1 − βᵗ` as `m̂` and `v̂`.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// What the weights lose, times the rate.
    pub decay: f32,
    /// Decay of both moments.
    pub betas: [f32; 2],
    /// Keeps the division from zero.
    pub epsilon: f32,
    /// Steps so far, this one counted.
    pub time: i32,
}

impl AdamW {
    /// Changes parameters and moments in place.
    pub fn step(self, parameters: &mut [f32], gradient: &[f32], moments: [&mut [f32]; 2]) {
        let [first, second] = moments;
        let lengths = [gradient.len(), first.len(), second.len()];
        assert_eq!(lengths, [parameters.len(); 3], "one gradient and two moments for each parameter");
        let parts = parameters.par_chunks_mut(PART).zip(gradient.par_chunks(PART));
        parts
            .zip(first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART)))
            .for_each(|((parameters, gradient), (first, second))| step(self, parameters, gradient, first, second));
    }
}

wide! {
    fn step(of: AdamW, parameters: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let [beta_1, beta_2] = of.betas;
        let (kept, left) = (1.0 - of.rate * of.decay, of.rate / (1.0 - beta_1.powi(of.time)));
        let whole = 1.0 / (1.0 - beta_2.powi(of.time));
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((parameter, &gradient), (first, second)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *first = beta_1 * *first + (1.0 - beta_1) * gradient;
            *second = beta_2 * *second + (1.0 - beta_2) * gradient * gradient;
            *parameter = kept * *parameter - left * *first / ((*second * whole).sqrt() + of.epsilon);
        }
    }
}
