//! One value from the source pixels of a kernel.

use crate::dtype::sealed::Real;
use crate::kernel::{Taps, cubic_four};
use crate::pixels::Patch;
use crate::{Resampling, Sample};

/// Half of a pixel's area up to rounding: less of it makes no value where the grid is coarser.
pub(crate) const ENOUGH: f64 = 0.5 - 1e-6;
/// Least sum of weights that a value may be divided by.
const LEAST: f64 = 1e-6;

/// Taps of one value along one axis with their weights, which sum to 1.
#[derive(Clone, Copy)]
pub(crate) struct Weighted<'a, R> {
    pub(crate) taps: Taps,
    pub(crate) weights: &'a [R],
}

/// What a kernel found.
pub(crate) enum Found<R> {
    Value(R),
    Invalid,
    /// Some pixels of the kernel are invalid, and the kernel does not bear it: negative weights would swing.
    Gaps,
}

impl<R: Real> Found<R> {
    #[inline]
    pub(crate) fn store<T: Sample<Sum = R>>(self, value: &mut T, valid: &mut u8) {
        if let Self::Value(found) = self {
            (*value, *valid) = (T::from_sum(found), 1);
        }
    }
}

/// Adds up the pixels of a kernel: along rows first, then the rows.
///
/// Where all pixels are valid the value is that of the fast ways, to the last bit: they add in this order too.
pub(crate) fn combine<T: Sample>(
    patch: &Patch<T>,
    across: Weighted<'_, T::Sum>,
    down: Weighted<'_, T::Sum>,
    coarse: bool,
    gaps: bool,
) -> Found<T::Sum> {
    if across.taps.count == 0 || down.taps.count == 0 {
        return Found::Invalid;
    }
    if coarse {
        if across.taps.share * down.taps.share < ENOUGH {
            return Found::Invalid;
        }
    } else {
        let (Some(x), Some(y)) = (across.taps.under, down.taps.under) else { return Found::Invalid };
        if patch.valid.as_ref().is_some_and(|valid| valid[patch.place(x, y)] == 0) {
            return Found::Invalid;
        }
    }
    let (mut sum, mut weight, mut missing) = (T::Sum::default(), T::Sum::default(), false);
    for (row, &wy) in down.weights.iter().enumerate() {
        let from = patch.place(across.taps.first, down.taps.first + row);
        let values = &patch.values[from..from + across.weights.len()];
        let (mut row_sum, mut row_weight) = (T::Sum::default(), T::Sum::default());
        match &patch.valid {
            None => {
                for (value, &wx) in values.iter().zip(across.weights) {
                    row_sum += wx * value.to_sum();
                    row_weight += wx;
                }
            }
            Some(valid) => {
                let valid = &valid[from..from + values.len()];
                for ((value, &wx), &valid) in values.iter().zip(across.weights).zip(valid) {
                    if valid != 0 {
                        row_sum += wx * value.to_sum();
                        row_weight += wx;
                    } else {
                        // Weights that only fill up a table do not count.
                        missing |= wx != T::Sum::default() && wy != T::Sum::default();
                    }
                }
            }
        }
        sum += wy * row_sum;
        weight += wy * row_weight;
    }
    if !missing {
        return Found::Value(sum);
    }
    if !gaps {
        return Found::Gaps;
    }
    let enough = if coarse { ENOUGH / (across.taps.share * down.taps.share) } else { LEAST };
    if weight < T::Sum::of(enough) { Found::Invalid } else { Found::Value(sum / weight) }
}

/// The kernels whose pixels can be named without a table, where the grid is as fine as the source or finer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Small {
    Nearest,
    Linear,
    Cubic,
}

impl Small {
    /// `None` for kernels that need a table of weights.
    pub(crate) fn of(resampling: Resampling, coarse: bool) -> Option<Self> {
        match resampling {
            Resampling::Nearest => Some(Self::Nearest),
            Resampling::Bilinear if !coarse => Some(Self::Linear),
            Resampling::Cubic if !coarse => Some(Self::Cubic),
            _ => None,
        }
    }

    /// From a position to the place of the first pixel; what is left of it is the fraction.
    pub(crate) fn shift(self) -> f64 {
        match self {
            // A centre on an edge belongs to the right, as in `kernel`.
            Self::Nearest => 1e-9,
            Self::Linear => -0.5,
            Self::Cubic => -1.5,
        }
    }

    /// Pixels along a side.
    pub(crate) fn side(self) -> usize {
        match self {
            Self::Nearest => 1,
            Self::Linear => 2,
            Self::Cubic => 4,
        }
    }
}

/// Linear between the pixels at `at`, right of it and below both.
#[inline]
pub(crate) fn linear<T: Sample>(values: &[T], at: usize, width: usize, s: T::Sum, t: T::Sum) -> T::Sum {
    let (upper, lower) = (&values[at..at + 2], &values[at + width..at + width + 2]);
    let (left, above) = (T::Sum::ONE - s, T::Sum::ONE - t);
    let top = upper[0].to_sum() * left + upper[1].to_sum() * s;
    let bottom = lower[0].to_sum() * left + lower[1].to_sum() * s;
    top * above + bottom * t
}

/// Cubic convolution of the 16 pixels from `at` on.
#[inline]
pub(crate) fn cubic<T: Sample>(values: &[T], at: usize, width: usize, s: T::Sum, t: T::Sum) -> T::Sum {
    let (across, down) = (cubic_four(s), cubic_four(t));
    let row = |row: usize| {
        let from = at + row * width;
        let values = &values[from..from + 4];
        values[0].to_sum() * across[0]
            + values[1].to_sum() * across[1]
            + values[2].to_sum() * across[2]
            + values[3].to_sum() * across[3]
    };
    row(0) * down[0] + row(1) * down[1] + row(2) * down[2] + row(3) * down[3]
}
