//! Which samples a step sees, and how they are varied.

use rand::seq::SliceRandom;

use crate::augment::{Augmentation, Drawn};
use crate::dataset::Prepared;
use crate::random::{Purpose, rng};

/// Draws the samples of a step: every sample once an epoch, in an order of that epoch, each augmented anew. A function
/// of seed and step alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw<'a> {
    pub(crate) ready: &'a [Prepared],
    /// Places in `ready` of the samples that train.
    pub(crate) training: &'a [usize],
    pub(crate) batch: usize,
    pub(crate) seed: u64,
    pub(crate) augmentation: &'a Augmentation,
}

impl Draw<'_> {
    /// The samples of a step with their places and with what was done to them.
    pub(crate) fn step(&self, step: usize) -> Vec<(usize, Prepared, Drawn)> {
        let count = self.training.len();
        let batch = self.batch.min(count);
        let mut augment = rng(self.seed, Purpose::Augment, step);
        let mut drawn = Vec::with_capacity(batch);
        let mut order: Option<(usize, Vec<usize>)> = None;
        for at in step * batch..(step + 1) * batch {
            let epoch = at / count;
            if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
                order = Some((epoch, shuffled(count, self.seed, epoch)));
            }
            if let Some((_, order)) = &order {
                let place = self.training[order[at % count]];
                let (sample, how) = self.augmentation.draw(&self.ready[place], &mut augment);
                drawn.push((place, sample, how));
            }
        }
        drawn
    }
}

/// The order of so many samples in an epoch.
pub(crate) fn shuffled(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut rng(seed, Purpose::Order, epoch));
    order
}
