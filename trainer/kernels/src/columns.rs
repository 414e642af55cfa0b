//! Sums over rows, for the gradients of what is added to or multiplied with every row.

use rayon::prelude::*;

use crate::wide::wide;

/// Rows of a part. Fixed, so that the sum does not depend on the number of threads.
pub(crate) const ROWS: usize = 64;

/// Sum of each column of `[row, column]`.
pub(crate) fn sums(values: &[f32], width: usize) -> Vec<f32> {
    let parts = values.par_chunks(ROWS * width).map(|part| {
        let mut sum = vec![0.0; width];
        add_rows(part, &mut sum);
        sum
    });
    join(parts.collect(), width)
}

/// Sum of the parts' sums, in their order.
pub(crate) fn join(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for part in parts {
        add_rows(&part, &mut sum);
    }
    sum
}

wide! {
    fn add_rows(rows: &[f32], sum: &mut [f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}
