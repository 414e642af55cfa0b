//! Which samples a step sees, and how they are varied.

use std::borrow::Cow;
use std::ops::Range;

use rand::seq::SliceRandom;

use crate::TrainError;
use crate::augment::{Augmentation, Drawn};
use crate::dataset::Prepared;
use crate::random::{Purpose, rng};

/// Draws the samples of a step: every sample once an epoch, in an order of that epoch, each augmented anew. A function
/// of seed and step alone, for each sample by itself: processes that share a batch draw their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw<'a> {
    /// Places of the samples that train.
    pub(crate) training: &'a [usize],
    pub(crate) batch: usize,
    pub(crate) seed: u64,
    pub(crate) augmentation: &'a Augmentation,
}

impl Draw<'_> {
    /// Samples of one step.
    pub(crate) fn count(&self) -> usize {
        self.batch.min(self.training.len())
    }

    /// Some of the samples of a step with their places and with what was done to them; `sample` gives that of a place.
    ///
    /// # Errors
    /// Those of `sample`.
    pub(crate) fn step<'s>(
        &self,
        step: usize,
        part: Range<usize>,
        sample: impl Fn(usize) -> Result<Cow<'s, Prepared>, TrainError>,
    ) -> Result<Vec<(usize, Prepared, Drawn)>, TrainError> {
        let (count, first) = (self.training.len(), step * self.count());
        let mut drawn = Vec::with_capacity(part.len());
        let mut order: Option<(usize, Vec<usize>)> = None;
        for at in first + part.start..first + part.end {
            let epoch = at / count;
            if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
                order = Some((epoch, shuffled(count, self.seed, epoch)));
            }
            if let Some((_, order)) = &order {
                let place = self.training[order[at % count]];
                let mut augment = rng(self.seed, Purpose::Augment, at);
                let (drawn_anew, how) = self.augmentation.draw(sample(place)?, &mut augment);
                drawn.push((place, drawn_anew, how));
            }
        }
        Ok(drawn)
    }
}

/// The order of so many samples in an epoch.
pub(crate) fn shuffled(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut rng(seed, Purpose::Order, epoch));
    order
}
