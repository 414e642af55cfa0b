//! A metric by place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Accumulator, Bootstrap, Interval, MetricError, Score, check};

/// One accumulator for each block of the map that was seen. Blocks are squares, counted from the origin of the
/// coordinates, so that they are the same for every worker, chip and run.
///
/// A block should be as large as errors reach: at least as large as a field, a forest stand or a cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored<A>", into = "Stored<A>")]
#[serde(bound(serialize = "A: Accumulator + Serialize", deserialize = "A: Accumulator + Deserialize<'de>"))]
pub struct Blocks<A> {
    side: f64,
    empty: A,
    blocks: BTreeMap<[i64; 2], A>,
}

/// As it stands in files, where a place cannot be a key.
#[derive(Serialize, Deserialize)]
struct Stored<A> {
    side: f64,
    empty: A,
    blocks: Vec<([i64; 2], A)>,
}

impl<A: Accumulator> TryFrom<Stored<A>> for Blocks<A> {
    type Error = MetricError;

    fn try_from(stored: Stored<A>) -> Result<Self, MetricError> {
        let mut blocks = Self::new(stored.side, stored.empty)?;
        for (block, sum) in stored.blocks {
            blocks.blocks.entry(block).or_insert_with(|| blocks.empty.clone()).merge(&sum)?;
        }
        Ok(blocks)
    }
}

impl<A> From<Blocks<A>> for Stored<A> {
    fn from(blocks: Blocks<A>) -> Self {
        Self { side: blocks.side, empty: blocks.empty, blocks: blocks.blocks.into_iter().collect() }
    }
}

impl<A: Accumulator> Blocks<A> {
    /// Without a block. `side` is in the unit of the coordinates, `empty` what each begins with.
    ///
    /// # Errors
    /// When the side is not above 0.
    pub fn new(side: f64, empty: A) -> Result<Self, MetricError> {
        if !(side.is_finite() && side > 0.0) {
            let (found, expected) = (side.to_string(), "a length above 0");
            return Err(MetricError::Setting { setting: "side of a block", found, expected });
        }
        Ok(Self { side, empty, blocks: BTreeMap::new() })
    }

    /// The accumulator of the block that a place lies in.
    ///
    /// # Errors
    /// When a coordinate is not finite.
    pub fn at(&mut self, place: [f64; 2]) -> Result<&mut A, MetricError> {
        check::finite("coordinate (x, y)", &place)?;
        let block = place.map(|along| (along / self.side).floor() as i64);
        Ok(self.blocks.entry(block).or_insert_with(|| self.empty.clone()))
    }

    /// How many blocks were seen.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks with column and row, in their order: for a map of errors.
    pub fn iter(&self) -> impl Iterator<Item = ([i64; 2], &A)> {
        self.blocks.iter().map(|(block, sum)| (*block, sum))
    }

    /// All blocks together.
    ///
    /// # Errors
    /// When accumulators were changed to count something else.
    pub fn total(&self) -> Result<A, MetricError> {
        let mut total = self.empty.clone();
        self.blocks.values().try_for_each(|block| total.merge(block))?;
        Ok(total)
    }

    /// The interval of a score, from whole blocks that are drawn anew: see [`Bootstrap::interval`].
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn interval(
        &self,
        bootstrap: Bootstrap,
        score: impl Fn(&A) -> Option<f64>,
    ) -> Result<Option<Interval>, MetricError> {
        Ok(self.intervals(bootstrap, &[&score])?.pop().flatten())
    }

    /// The intervals of several scores from the same draws: see [`Bootstrap::intervals`].
    ///
    /// # Errors
    /// As [`Blocks::interval`].
    pub fn intervals(
        &self,
        bootstrap: Bootstrap,
        scores: &[Score<'_, A>],
    ) -> Result<Vec<Option<Interval>>, MetricError> {
        let blocks: Vec<A> = self.blocks.values().cloned().collect();
        bootstrap.intervals(&blocks, scores)
    }
}

impl<A: Accumulator> Accumulator for Blocks<A> {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("blocks by their side", &other.side, &self.side)?;
        for (block, more) in &other.blocks {
            self.blocks.entry(*block).or_insert_with(|| self.empty.clone()).merge(more)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Confusion;

    #[test]
    fn places_of_a_block_count_together_whoever_saw_them() {
        let blocks = || Blocks::new(100.0, Confusion::new(2)).unwrap();
        let (mut one, mut other) = (blocks(), blocks());
        one.at([50.0, -1.0]).unwrap().add(0, 0);
        one.at([99.9, -100.0]).unwrap().add(0, 1);
        other.at([0.0, -50.0]).unwrap().add(1, 1);
        other.at([100.0, 0.0]).unwrap().add(1, 1);
        one.merge(&other).unwrap();
        let seen: Vec<_> = one.iter().map(|(block, sum)| (block, sum.total())).collect();
        assert_eq!(seen, [([0, -1], 3), ([1, 0], 1)]);
        assert_eq!((one.count(), one.total().unwrap().total()), (2, 4));
        assert!(one.merge(&Blocks::new(50.0, Confusion::new(2)).unwrap()).is_err());
        assert!(one.at([f64::NAN, 0.0]).is_err());
        assert!(Blocks::new(0.0, Confusion::new(2)).is_err());
        assert!(one.interval(Bootstrap::default(), Confusion::overall_accuracy).unwrap().is_some());
    }
}
