//! Weights of source pixels along one axis.

use crate::Resampling;

/// Weights below this come from rounding and would let a neighbour's nodata decide.
const NOTHING: f64 = 1e-9;

/// The source pixels along one axis that make one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taps {
    /// First source pixel.
    pub(crate) first: usize,
    /// Place of its weight in the list of weights.
    pub(crate) begin: usize,
    /// Number of source pixels; 0 where none is near.
    pub(crate) count: usize,
    /// The source pixel under the centre, if there is one.
    pub(crate) under: Option<usize>,
}

/// Appends the weights for a centre at `position` (pixel edges are whole numbers) to `weights`.
///
/// `ratio` is the number of source pixels per pixel of the grid. Weights of the whole kernel sum to 1; those
/// of pixels outside `0..size` are left out.
pub(crate) fn taps(resampling: Resampling, position: f64, ratio: f64, size: usize, weights: &mut Vec<f64>) -> Taps {
    let begin = weights.len();
    let none = Taps { first: 0, begin, count: 0, under: None };
    let inside = position > -1e6 && position < size as f64 + 1e6;
    if !inside {
        return none;
    }
    // Positions come out of a projection with an error of 1e-9 or so; a centre on an edge belongs to the right.
    let under = (position + NOTHING).floor();
    let under = (under >= 0.0 && under < size as f64).then_some(under as usize);
    let (low, high, weight): (f64, f64, &dyn Fn(f64) -> f64) = match resampling {
        Resampling::Nearest => {
            return match under {
                Some(first) => {
                    weights.push(1.0);
                    Taps { first, begin, count: 1, under }
                }
                None => none,
            };
        }
        Resampling::Average => {
            let half = ratio / 2.0;
            (position - half, position + half, &move |pixel: f64| {
                ((pixel + 1.0).min(position + half) - pixel.max(position - half)).max(0.0) / ratio
            })
        }
        Resampling::Bilinear => {
            let radius = ratio.max(1.0);
            (position - radius - 0.5, position + radius + 0.5, &move |pixel: f64| {
                (1.0 - (pixel + 0.5 - position).abs() / radius).max(0.0) / radius
            })
        }
        Resampling::Cubic => {
            let scale = ratio.max(1.0);
            (position - 2.0 * scale - 0.5, position + 2.0 * scale + 0.5, &move |pixel: f64| {
                cubic((pixel + 0.5 - position).abs() / scale) / scale
            })
        }
    };
    let from = low.floor().max(0.0);
    let to = high.ceil().min(size as f64);
    let mut first = None;
    let mut pixel = from;
    while pixel < to {
        let value = weight(pixel);
        if value.abs() > NOTHING {
            // Zeros of a cubic between two weights keep their place.
            let first = *first.get_or_insert(pixel as usize);
            weights.resize(begin + pixel as usize - first, 0.0);
            weights.push(value);
        }
        pixel += 1.0;
    }
    Taps { first: first.unwrap_or(0), begin, count: weights.len() - begin, under }
}

/// Keys' cubic convolution with a = -0.5.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resampling: Resampling, position: f64, ratio: f64) -> (usize, Vec<f64>) {
        let mut weights = Vec::new();
        let taps = taps(resampling, position, ratio, 100, &mut weights);
        (taps.first, weights)
    }

    #[test]
    fn kernels_have_the_textbook_weights() {
        assert_eq!(of(Resampling::Nearest, 7.9, 1.0), (7, vec![1.0]));
        assert_eq!(of(Resampling::Bilinear, 8.0, 1.0), (7, vec![0.5, 0.5]));
        assert_eq!(of(Resampling::Bilinear, 8.5, 1.0), (8, vec![1.0]));
        assert_eq!(of(Resampling::Cubic, 8.0, 1.0), (6, vec![-0.0625, 0.5625, 0.5625, -0.0625]));
        assert_eq!(of(Resampling::Average, 8.0, 2.0), (7, vec![0.5, 0.5]));
        assert_eq!(of(Resampling::Average, 8.0, 3.0), (6, vec![1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0]));
    }

    #[test]
    fn whole_kernels_sum_to_one_and_the_edge_keeps_its_part() {
        for resampling in [Resampling::Bilinear, Resampling::Cubic, Resampling::Average] {
            for ratio in [1.0, 2.0, 4.0] {
                let sum: f64 = of(resampling, 50.0, ratio).1.iter().sum();
                assert!((sum - 1.0).abs() < 1e-9, "{resampling:?} {ratio}: {sum}");
            }
        }
        let at_edge: f64 = of(Resampling::Average, 0.0, 2.0).1.iter().sum();
        assert_eq!(at_edge, 0.5);
        assert_eq!(of(Resampling::Bilinear, f64::NAN, 1.0).1, Vec::<f64>::new());
    }
}
