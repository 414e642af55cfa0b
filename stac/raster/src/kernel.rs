//! Weights of source pixels along one axis.

use crate::Resampling;
use crate::dtype::sealed::Real;

/// Weights below this come from rounding and would let a neighbour's nodata decide.
const NOTHING: f64 = 1e-9;
/// Least sum of weights that a value may be divided by.
const LEAST: f64 = 1e-6;

/// The source pixels along one axis that make one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taps {
    /// First source pixel.
    pub(crate) first: usize,
    /// Number of source pixels; 0 where none is near.
    pub(crate) count: usize,
    /// The source pixel under the centre, if there is one.
    pub(crate) under: Option<usize>,
    /// The part of the kernel that lies on pixels of the source: 1, less at its edge.
    pub(crate) share: f64,
}

impl Taps {
    const NONE: Self = Self { first: 0, count: 0, under: None, share: 0.0 };
}

/// How far from a centre source pixels may have a weight.
pub(crate) fn reach(resampling: Resampling, ratio: f64) -> f64 {
    match resampling {
        Resampling::Nearest => 1.0,
        Resampling::Average => ratio / 2.0 + 1.0,
        Resampling::Bilinear => ratio.max(1.0) + 1.0,
        Resampling::Cubic => 2.0 * ratio.max(1.0) + 1.0,
    }
}

/// Writes the weights for a centre at `position` (pixel edges are whole numbers) over `weights`.
///
/// `ratio` is the number of source pixels per pixel of the grid. Weights sum to 1: those that a kernel at the edge
/// of `0..size` loses are made up for by the others.
pub(crate) fn taps(resampling: Resampling, position: f64, ratio: f64, size: usize, weights: &mut Vec<f64>) -> Taps {
    weights.clear();
    let inside = position > -1e6 && position < size as f64 + 1e6;
    if !inside {
        return Taps::NONE;
    }
    // Positions come out of a projection with an error of 1e-9 or so; a centre on an edge belongs to the right.
    let under = floor(position + NOTHING);
    let under = (under >= 0.0 && under < size as f64).then_some(under as usize);
    let first = match resampling {
        Resampling::Nearest => {
            let Some(first) = under else { return Taps::NONE };
            weights.push(1.0);
            return Taps { first, count: 1, under, share: 1.0 };
        }
        Resampling::Average => {
            let (low, high) = (position - ratio / 2.0, position + ratio / 2.0);
            weigh(low, high, size, weights, |pixel| ((pixel + 1.0).min(high) - pixel.max(low)).max(0.0) / ratio)
        }
        Resampling::Bilinear if ratio <= 1.0 => two(position, size, weights),
        Resampling::Bilinear => {
            let radius = ratio.max(1.0);
            weigh(position - radius - 0.5, position + radius + 0.5, size, weights, |pixel| {
                (1.0 - (pixel + 0.5 - position).abs() / radius).max(0.0) / radius
            })
        }
        Resampling::Cubic => {
            let scale = ratio.max(1.0);
            weigh(position - 2.0 * scale - 0.5, position + 2.0 * scale + 0.5, size, weights, |pixel| {
                cubic((pixel + 0.5 - position).abs() / scale) / scale
            })
        }
    };
    let share: f64 = weights.iter().sum();
    if share.abs() < LEAST {
        weights.clear();
        return Taps { under, ..Taps::NONE };
    }
    weights.iter_mut().for_each(|weight| *weight /= share);
    Taps { first, count: weights.len(), under, share }
}

/// The bilinear kernel that is not widened: the pixels left and right of the centre.
#[inline]
fn two(position: f64, size: usize, weights: &mut Vec<f64>) -> usize {
    let left = floor(position - 0.5);
    let right_weight = position - 0.5 - left;
    let exists = |pixel: f64| pixel >= 0.0 && pixel < size as f64;
    let mut first = left;
    if exists(left) && 1.0 - right_weight > NOTHING {
        weights.push(1.0 - right_weight);
    } else {
        first += 1.0;
    }
    if exists(left + 1.0) && right_weight > NOTHING {
        weights.push(right_weight);
    }
    first.max(0.0) as usize
}

/// Adds the weights of the pixels between two positions; returns the first that has one.
#[inline]
fn weigh(low: f64, high: f64, size: usize, weights: &mut Vec<f64>, weight: impl Fn(f64) -> f64) -> usize {
    let from = floor(low).max(0.0) as usize;
    let to = (floor(high) + 1.0).clamp(0.0, size as f64) as usize;
    let mut first = None;
    for pixel in from..to {
        let value = weight(pixel as f64);
        if value.abs() > NOTHING {
            // Zeros of a cubic between two weights keep their place.
            let first = *first.get_or_insert(pixel);
            weights.resize(pixel - first, 0.0);
            weights.push(value);
        }
    }
    first.unwrap_or(0)
}

/// The largest whole number that is not above a number of less than 2^62; without a call into the C library.
#[inline]
fn floor(value: f64) -> f64 {
    let whole = value as i64 as f64;
    if whole > value { whole - 1.0 } else { whole }
}

/// Keys' cubic convolution with a = -0.5.
#[inline]
fn cubic(distance: f64) -> f64 {
    let d = distance;
    if d < 1.0 {
        (1.5 * d - 2.5) * d * d + 1.0
    } else if d < 2.0 {
        ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    } else {
        0.0
    }
}

/// The cubic weights of four pixels, of which the second lies `t` before the centre.
#[inline]
pub(crate) fn cubic_four<R: Real>(t: R) -> [R; 4] {
    let of = R::of;
    let (square, cube) = (t * t, t * t * t);
    [
        of(-0.5) * t + square + of(-0.5) * cube,
        R::ONE + of(-2.5) * square + of(1.5) * cube,
        of(0.5) * t + of(2.0) * square + of(-1.5) * cube,
        of(-0.5) * square + of(0.5) * cube,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resampling: Resampling, position: f64, ratio: f64) -> (Taps, Vec<f64>) {
        let mut weights = Vec::new();
        let taps = taps(resampling, position, ratio, 100, &mut weights);
        assert_eq!(taps.count, weights.len());
        (taps, weights)
    }

    #[test]
    fn kernels_have_the_textbook_weights() {
        let told = |resampling, position, ratio| {
            let (taps, weights) = of(resampling, position, ratio);
            (taps.first, weights)
        };
        assert_eq!(told(Resampling::Nearest, 7.9, 1.0), (7, vec![1.0]));
        assert_eq!(told(Resampling::Bilinear, 8.0, 1.0), (7, vec![0.5, 0.5]));
        assert_eq!(told(Resampling::Bilinear, 8.5, 1.0), (8, vec![1.0]));
        assert_eq!(told(Resampling::Cubic, 8.0, 1.0), (6, vec![-0.0625, 0.5625, 0.5625, -0.0625]));
        assert_eq!(told(Resampling::Average, 8.0, 2.0), (7, vec![0.5, 0.5]));
        let (taps, weights) = of(Resampling::Average, 8.0, 3.0);
        let wanted = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];
        assert!(taps.first == 6 && weights.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{weights:?}");
    }

    #[test]
    fn whole_kernels_sum_to_one_and_the_edge_keeps_its_part() {
        for resampling in [Resampling::Bilinear, Resampling::Cubic, Resampling::Average] {
            for ratio in [1.0, 2.0, 4.0] {
                let (taps, weights) = of(resampling, 50.0, ratio);
                assert!((taps.share - 1.0).abs() < 1e-9, "{resampling:?} {ratio}: {}", taps.share);
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
        let (taps, weights) = of(Resampling::Average, 0.0, 2.0);
        assert_eq!((taps.share, weights), (0.5, vec![1.0]));
        assert_eq!(of(Resampling::Bilinear, f64::NAN, 1.0).0, Taps::NONE);
    }

    #[test]
    fn four_cubic_weights_are_those_of_the_kernel() {
        for t in [0.0, 0.1, 0.5, 0.77, 0.999] {
            let four = cubic_four(t);
            let wanted = [1.0 + t, t, 1.0 - t, 2.0 - t].map(cubic);
            assert!(four.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{t}: {four:?} {wanted:?}");
        }
    }

    #[test]
    fn nothing_beyond_the_reach_has_a_weight() {
        for resampling in [Resampling::Nearest, Resampling::Bilinear, Resampling::Cubic, Resampling::Average] {
            for (position, ratio) in [(40.0, 0.3), (40.3, 1.0), (40.999, 1.7), (41.5, 6.0)] {
                let (taps, _) = of(resampling, position, ratio);
                let reach = reach(resampling, ratio);
                assert!(taps.first as f64 >= position - reach, "{resampling:?} {ratio}");
                assert!((taps.first + taps.count) as f64 <= position + reach, "{resampling:?} {ratio}");
            }
        }
    }
}
