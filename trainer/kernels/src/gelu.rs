//! The exact GELU, `x · Φ(x)`.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::fresh::written;
use crate::math::{erf, exp};
use crate::wide::wide;

/// Values of a part: 64 KiB, which a core's own cache holds with what is written.
const PART: usize = 1 << 14;

/// `x · Φ(x)` of each value.
pub fn gelu(x: &[f32]) -> Vec<f32> {
    let fill = |given: &mut [MaybeUninit<f32>]| {
        given.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(given, x)| forward(x, given));
    };
    // SAFETY: there is a value of `x` for each, and each is written.
    unsafe { written(x.len(), fill) }
}

/// The gradient of the input, from the input and the gradient of what was given.
pub fn gelu_backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    assert_eq!(x.len(), gradient.len(), "a gradient for each value");
    let fill = |given: &mut [MaybeUninit<f32>]| {
        let parts = given.par_chunks_mut(PART).zip(x.par_chunks(PART)).zip(gradient.par_chunks(PART));
        parts.for_each(|((given, x), gradient)| backward(x, gradient, given));
    };
    // SAFETY: there are a value of `x` and a gradient for each, and each is written.
    unsafe { written(x.len(), fill) }
}

wide! {
    fn forward(x: &[f32], given: &mut [MaybeUninit<f32>]) {
        for (given, &x) in given.iter_mut().zip(x) {
            given.write(0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
        }
    }
}

wide! {
    fn backward(x: &[f32], gradient: &[f32], given: &mut [MaybeUninit<f32>]) {
        // 1 / √(2π), the height of the normal density.
        const PEAK: f32 = 0.398_942_3;
        for ((given, &x), &gradient) in given.iter_mut().zip(x).zip(gradient) {
            let share = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            given.write(gradient * (share + x * PEAK * exp(-0.5 * x * x)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope() {
        for step in -60..=60 {
            let x = step as f32 / 10.0;
            let high = f64::from(gelu(&[x + 0.01])[0]);
            let low = f64::from(gelu(&[x - 0.01])[0]);
            let slope = (high - low) / f64::from((x + 0.01) - (x - 0.01));
            assert!((f64::from(gelu_backward(&[x], &[1.0])[0]) - slope).abs() < 1e-4, "{x}");
        }
        assert_eq!(gelu(&[0.0]), [0.0]);
        assert!((gelu(&[1.0])[0] - 0.841_344_7).abs() < 1e-6);
    }
}
