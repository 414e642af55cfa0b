//! Linear layers with weights `[out, in]`, as PyTorch stores them.

use std::mem::MaybeUninit;

use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use crate::columns;
use crate::fresh::written;

/// Products of fewer multiplications than this run on one core: sharing them out costs more.
const SHARED: usize = 1 << 21;

/// `y = x·Wᵀ + b` for each row.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// `[out, in]`.
    pub weight: &'a [f32],
    /// Values of a row of `x`.
    pub inputs: usize,
}

impl Linear<'_> {
    fn outputs(self) -> usize {
        self.weight.len() / self.inputs
    }

    /// `[row, in]` → `[row, out]`.
    pub fn forward(self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (rows, outputs) = (x.len() / self.inputs, self.outputs());
        let (x, weight) = (Matrix { values: x, row: self.inputs, column: 1 }, self.transposed());
        product([rows, outputs, self.inputs], bias, x, weight)
    }

    /// Gradient of the input, `[row, in]`.
    pub fn input_gradient(self, gradient: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.outputs(), self.inputs);
        let rows = gradient.len() / outputs;
        let weight = Matrix { values: self.weight, row: inputs, column: 1 };
        let gradient = Matrix { values: gradient, row: outputs, column: 1 };
        product([rows, inputs, outputs], None, gradient, weight)
    }

    /// Gradient of the weights, `[out, in]`.
    pub fn weight_gradient(self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.outputs(), self.inputs);
        let rows = x.len() / inputs;
        let gradient = Matrix { values: gradient, row: 1, column: outputs };
        let x = Matrix { values: x, row: inputs, column: 1 };
        product([outputs, inputs, rows], None, gradient, x)
    }

    /// Gradient of the bias, `[out]`.
    pub fn bias_gradient(self, gradient: &[f32]) -> Vec<f32> {
        columns::sums(gradient, self.outputs())
    }

    fn transposed(&self) -> Matrix<'_> {
        Matrix { values: self.weight, row: 1, column: self.inputs }
    }
}

/// Values with the steps from one row, and from one column, to the next.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

impl Matrix<'_> {
    fn holds(self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// `a·b`, with `start` added to each row; `a` is `[m, k]`, `b` is `[k, n]`.
fn product([m, n, k]: [usize; 3], start: Option<&[f32]>, a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    if m * n * k == 0 {
        return vec![0.0; m * n];
    }
    let fill = |given: &mut [MaybeUninit<f32>]| {
        if let Some(start) = start {
            given.par_chunks_mut(columns::ROWS * n).for_each(|part| {
                part.chunks_exact_mut(n).for_each(|row| {
                    row.write_copy_of_slice(start);
                });
            });
        }
        multiply([m, n, k], given, start.is_some(), a, b);
    };
    // SAFETY: a product of no empty matrices writes every value, after those of `start` where it adds to them.
    unsafe { written(m * n, fill) }
}

/// `given = a·b`, or `given + a·b`; `a` is `[m, k]`, `b` is `[k, n]`.
fn multiply([m, n, k]: [usize; 3], given: &mut [MaybeUninit<f32>], add: bool, a: Matrix<'_>, b: Matrix<'_>) {
    assert!(a.holds(m, k) && b.holds(k, n) && given.len() == m * n, "matrices of other sizes");
    let shared = if m * n * k < SHARED { Parallelism::None } else { Parallelism::Rayon(0) };
    // SAFETY: all three matrices lie within their slices, as was just checked, and nothing else refers to `given`, which is
    // read only where it is added to.
    unsafe {
        gemm(
            m,
            n,
            k,
            given.as_mut_ptr().cast::<f32>(),
            1,
            n as isize,
            add,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            shared,
        );
    }
}
