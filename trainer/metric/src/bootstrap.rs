//! Confidence intervals without a formula, from samples that are drawn anew.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Accumulator, MetricError};

/// A score of what was added up; `None` where there is none.
pub type Score<'a, A> = &'a dyn Fn(&A) -> Option<f64>;

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How often all blocks are drawn anew.
    pub replicates: usize,
    /// Share of the replicates that lies within: 0.95 by default.
    pub level: f64,
    /// The same seed gives the same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 1000, level: 0.95, seed: 0 }
    }
}

/// A score with what it could have been on other places of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Of all blocks.
    pub estimate: f64,
    /// The percentile at (1 − level) / 2 of the replicates.
    pub lower: f64,
    /// The percentile at (1 + level) / 2.
    pub upper: f64,
    /// Blocks that were drawn from. Below some thirty of them intervals are too narrow.
    pub blocks: usize,
    /// Replicates that had a score: fewer than asked for where a class is rare.
    pub replicates: usize,
}

impl Bootstrap {
    /// The interval of a score over blocks. Each replicate draws as many blocks as there are, with replacement, and scores
    /// their sum (percentile bootstrap, Efron 1979; whole blocks, since neighbouring pixels err together).
    ///
    /// `None` where all blocks together have no score, no replicate has one, or there are fewer than two blocks.
    ///
    /// # Errors
    /// When a setting is out of its range, or blocks do not add up.
    pub fn interval<A: Accumulator>(
        &self,
        blocks: &[A],
        score: impl Fn(&A) -> Option<f64>,
    ) -> Result<Option<Interval>, MetricError> {
        Ok(self.intervals(blocks, &[&score])?.pop().flatten())
    }

    /// The intervals of several scores over the same draws, each as [`Bootstrap::interval`] gives it alone: what is drawn is
    /// added up once for all.
    ///
    /// # Errors
    /// As [`Bootstrap::interval`].
    pub fn intervals<A: Accumulator>(
        &self,
        blocks: &[A],
        scores: &[Score<'_, A>],
    ) -> Result<Vec<Option<Interval>>, MetricError> {
        self.check()?;
        let Some(total) = sum(blocks.iter())? else { return Ok(vec![None; scores.len()]) };
        let of = |score: &dyn Fn(&A) -> Option<f64>, sum: &A| score(sum).filter(|score| score.is_finite());
        let estimates: Vec<Option<f64>> = scores.iter().map(|score| of(score, &total)).collect();
        let mut replicates: Vec<Vec<f64>> = vec![Vec::with_capacity(self.replicates); scores.len()];
        if estimates.iter().any(Option::is_some) {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            for _ in 0..self.replicates {
                // All are drawn before one is used, so that what a score does cannot change what is drawn.
                let drawn: Vec<usize> = blocks.iter().map(|_| rng.random_range(0..blocks.len())).collect();
                let Some(sum) = sum(drawn.into_iter().map(|block| &blocks[block]))? else { continue };
                scores.iter().zip(&mut replicates).for_each(|(score, found)| found.extend(of(score, &sum)));
            }
        }
        let interval = |(estimate, found): (Option<f64>, Vec<f64>)| self.between(estimate?, found, blocks.len());
        Ok(estimates.into_iter().zip(replicates).map(interval).collect())
    }

    /// The percentiles of what replicates gave.
    fn between(&self, estimate: f64, mut found: Vec<f64>, blocks: usize) -> Option<Interval> {
        found.sort_by(f64::total_cmp);
        let outside = (1.0 - self.level) / 2.0;
        let (lower, upper) = percentile(&found, outside).zip(percentile(&found, 1.0 - outside))?;
        (blocks > 1).then_some(Interval { estimate, lower, upper, blocks, replicates: found.len() })
    }

    fn check(&self) -> Result<(), MetricError> {
        if self.replicates == 0 {
            let (found, expected) = ("0".to_owned(), "1 or more, 1000 as a rule");
            return Err(MetricError::Setting { setting: "replicates", found, expected });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            let (found, expected) = (self.level.to_string(), "between 0 and 1, 0.95 as a rule");
            return Err(MetricError::Setting { setting: "level", found, expected });
        }
        Ok(())
    }
}

/// The sum of blocks; `None` of none.
fn sum<'a, A: Accumulator + 'a>(mut blocks: impl Iterator<Item = &'a A>) -> Result<Option<A>, MetricError> {
    let Some(mut sum) = blocks.next().cloned() else { return Ok(None) };
    blocks.try_for_each(|block| sum.merge(block))?;
    Ok(Some(sum))
}

/// Of sorted values, between two of them in proportion, as NumPy does by default; `None` of none.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Confusion, Regression};

    #[test]
    fn percentiles_lie_between_values() {
        let values = [1.0, 2.0, 4.0, 8.0];
        let found: Vec<_> = [0.0, 0.5, 0.75, 1.0].iter().map(|share| percentile(&values, *share)).collect();
        assert_eq!(found, [Some(1.0), Some(3.0), Some(5.0), Some(8.0)]);
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn the_seed_decides() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let block = |_| {
            let mut block = Regression::default();
            block.add(&[0.0, 0.0], &[rng.random::<f64>(), rng.random::<f64>()]).unwrap();
            block
        };
        let blocks: Vec<Regression> = (0..20).map(block).collect();
        let interval = |seed| {
            let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
            bootstrap.interval(&blocks, |sum| sum.scores().map(|scores| scores.bias)).unwrap().unwrap()
        };
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
        assert!(interval(1).lower < interval(1).estimate && interval(1).estimate < interval(1).upper);
    }

    #[test]
    fn scores_together_have_the_intervals_that_each_has_alone() {
        let blocks: Vec<Confusion> = (0..12)
            .map(|at| {
                let mut block = Confusion::new(3);
                // The third class is in one block only.
                (0..20).for_each(|pixel| block.add(pixel % 2, usize::from((pixel * at) % 3 == 1)));
                (0..at / 11).for_each(|_| block.add(2, 2));
                block
            })
            .collect();
        let bootstrap = Bootstrap { replicates: 200, ..Bootstrap::default() };
        let rare = |sum: &Confusion| sum.iou(2);
        let never = |_: &Confusion| None;
        let scores: [Score<'_, Confusion>; 4] = [&Confusion::overall_accuracy, &rare, &never, &Confusion::kappa];
        let alone: Vec<_> = scores.iter().map(|score| bootstrap.interval(&blocks, score).unwrap()).collect();
        assert_eq!(bootstrap.intervals(&blocks, &scores).unwrap(), alone);
        assert!(alone[0].unwrap().replicates == 200 && alone[1].unwrap().replicates < 200 && alone[2].is_none());
    }

    #[test]
    fn what_cannot_be_said_is_not() {
        let bootstrap = Bootstrap::default();
        let none: &[Confusion] = &[];
        assert_eq!(bootstrap.interval(none, Confusion::mean_iou), Ok(None));
        assert_eq!(bootstrap.interval(&[Confusion::new(2), Confusion::new(2)], Confusion::mean_iou), Ok(None));
        let mut one = Confusion::new(2);
        one.add(0, 0);
        assert_eq!(bootstrap.interval(&[one.clone()], Confusion::mean_iou), Ok(None));
        // A class that one block of two has is missing from a quarter of the replicates.
        let mut other = Confusion::new(2);
        other.add(1, 1);
        let interval = bootstrap.interval(&[one.clone(), other], |sum| sum.iou(1)).unwrap().unwrap();
        assert!((650..850).contains(&interval.replicates), "{interval:?}");
        assert!(bootstrap.interval(&[one, Confusion::new(3)], Confusion::mean_iou).is_err());
        for wrong in [Bootstrap { replicates: 0, ..bootstrap }, Bootstrap { level: 1.0, ..bootstrap }] {
            assert!(wrong.interval(none, Confusion::mean_iou).is_err());
        }
    }
}
