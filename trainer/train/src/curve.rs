//! How a training went, in few enough numbers for a package.

use serde::{Deserialize, Serialize};

/// Most points of a line.
const MOST: usize = 200;

/// How a training went, step by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Steps with the loss: a mean over those since the point before.
    pub losses: Vec<(usize, f64)>,
    /// Steps with the score of what validates, where it was looked at on the way; `None` where nothing could be said.
    pub scores: Vec<(usize, Option<f64>)>,
}

impl Curve {
    /// Of the losses of all steps, and of looks that came every so many of them.
    pub(crate) fn new(losses: &[f32], (watched, every): (&[f64], usize)) -> Self {
        let width = losses.len().div_ceil(MOST).max(1);
        let mean = |part: &[f32]| part.iter().map(|loss| f64::from(*loss)).sum::<f64>() / part.len() as f64;
        let point = |(at, part): (usize, &[f32])| (at * width + part.len(), mean(part));
        let looks = watched.len().div_ceil(MOST).max(1);
        let look = |(at, score): (usize, &f64)| ((at + 1) * every, Some(*score).filter(|score| score.is_finite()));
        Self {
            losses: losses.chunks(width).enumerate().map(point).collect(),
            scores: watched.iter().enumerate().step_by(looks).map(look).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_has_few_points_and_its_last_step() {
        let losses: Vec<f32> = (0..1001).map(|at| at as f32).collect();
        let curve = Curve::new(&losses, (&[0.5, f64::NEG_INFINITY], 50));
        assert!(curve.losses.len() <= MOST && curve.losses.len() > MOST / 2);
        assert_eq!((curve.losses[0], curve.losses.last()), ((6, 2.5), Some(&(1001, 998.0))));
        assert_eq!(curve.scores, [(50, Some(0.5)), (100, None)]);
        let short = Curve::new(&[3.0, 1.0], (&[], 1));
        assert_eq!(short.losses, [(1, 3.0), (2, 1.0)]);
        assert_eq!(Curve::new(&[], (&[], 1)), Curve::default());
    }
}
