//! Resizing a table of position embeddings.
//!
//! The rules of PyTorch's `interpolate(align_corners=False)` without antialiasing: the centre of output
//! pixel `i` lies at `(i + 0.5) · in/out − 0.5`; taps outside take the nearest pixel inside; the cubic
//! kernel has `a = −0.75`. Both are separable, so a resize is one product with a constant matrix.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// How values between the rows of a table are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Cubic convolution over four taps.
    Bicubic,
    /// Linear between two taps.
    Bilinear,
    /// The nearest lower tap, as PyTorch's `nearest`.
    Nearest,
}

/// `[1, row · column, channel]` on a grid of `from` → the same on a grid of `to`.
pub(crate) fn resize(table: Tensor<3>, from: [usize; 2], to: [usize; 2], mode: Interpolation) -> Tensor<3> {
    let device = table.device();
    let (rows, columns) = (taps(from[0], to[0], mode), taps(from[1], to[1], mode));
    let mut matrix = vec![0f32; to[0] * to[1] * from[0] * from[1]];
    for (out_row, row_taps) in rows.iter().enumerate() {
        for (out_column, column_taps) in columns.iter().enumerate() {
            let line = (out_row * to[1] + out_column) * from[0] * from[1];
            for &(row, row_weight) in row_taps {
                for &(column, column_weight) in column_taps {
                    matrix[line + row * from[1] + column] += (row_weight * column_weight) as f32;
                }
            }
        }
    }
    let shape = [1, to[0] * to[1], from[0] * from[1]];
    Tensor::<3>::from_data(TensorData::new(matrix, shape), &device).matmul(table)
}

/// For each output pixel the input pixels and their weights.
fn taps(input: usize, output: usize, mode: Interpolation) -> Vec<Vec<(usize, f64)>> {
    let scale = input as f64 / output as f64;
    let clamp = |index: i64| index.clamp(0, input as i64 - 1) as usize;
    (0..output)
        .map(|index| {
            let centre = (index as f64 + 0.5) * scale - 0.5;
            match mode {
                Interpolation::Nearest => vec![(clamp((index as f64 * scale).floor() as i64), 1.0)],
                Interpolation::Bilinear => {
                    let centre = centre.max(0.0);
                    let (low, rest) = (centre.floor() as i64, centre - centre.floor());
                    vec![(clamp(low), 1.0 - rest), (clamp(low + 1), rest)]
                }
                Interpolation::Bicubic => {
                    let (low, rest) = (centre.floor() as i64, centre - centre.floor());
                    (-1..=2).map(|tap| (clamp(low + tap), cubic(rest - tap as f64))).collect()
                }
            }
        })
        .collect()
}

fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let x = distance.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_every_output_sum_to_one() {
        for mode in [Interpolation::Bicubic, Interpolation::Bilinear, Interpolation::Nearest] {
            for (input, output) in [(16, 4), (4, 16), (5, 7), (1, 3)] {
                for taps in taps(input, output, mode) {
                    let sum: f64 = taps.iter().map(|tap| tap.1).sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{mode:?} {input} to {output}: {sum}");
                }
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        for mode in [Interpolation::Bicubic, Interpolation::Bilinear, Interpolation::Nearest] {
            for (index, taps) in taps(5, 5, mode).iter().enumerate() {
                let value: f64 = taps.iter().map(|&(tap, weight)| weight * tap as f64).sum();
                assert!((value - index as f64).abs() < 1e-12);
            }
        }
    }
}
