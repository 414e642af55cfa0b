//! The ground of a contest: labelled chips, which of their pixels are scored, and which labels may be learned from.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use skysense_contract::{Class, Modality, Offer};

use crate::dataset::{Legend, Prepared, labelled_blocks, locate, mark, prepare};
use crate::random::{Purpose, rng};
use crate::setup::Setup;
use crate::split::Split;
use crate::{Sample, TrainError};

/// Labelled chips and what they hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) samples: &'a [Sample],
    pub(super) offers: &'a BTreeMap<Modality, Offer>,
    pub(super) classes: &'a [Class],
    pub(super) ignore: &'a [u8],
}

impl Ground<'_> {
    /// The chips as one start sees them, with nothing marked.
    pub(super) fn ready(&self, setup: &Setup) -> Result<Vec<Prepared>, TrainError> {
        let legend = Legend { classes: self.classes, ignore: self.ignore };
        let mut ready = prepare(self.samples, &setup.inputs, &setup.bands, setup.chip_size, legend)?;
        locate(&self.samples, &mut ready, setup.geo_context.as_ref())?;
        Ok(ready)
    }

    /// Marks which pixels are scored, each place of the map once, and takes labels from the rest until a share is left.
    ///
    /// # Errors
    /// [`TrainError::NoLabels`] where fewer than two regions are labelled.
    pub(super) fn share_out(
        &self,
        ready: &mut [Prepared],
        (block, validation): (usize, f64),
        (square, share): (usize, f64),
        seed: u64,
    ) -> Result<(), TrainError> {
        let blocks = labelled_blocks(&self.samples, ready, block);
        if blocks.len() < 2 {
            let hint = format!(
                "a comparison needs two regions at least: {} of {block} × {block} pixels are labelled",
                blocks.len()
            );
            return Err(TrainError::NoLabels { hint });
        }
        mark(&self.samples, ready, &Split::new(block, validation, &blocks, seed))?;
        let kept = self.kept(ready, square, share, seed);
        let mut seen = BTreeSet::new();
        self.each(ready, |at, target| {
            let stays =
                if target.validates { seen.insert(at) } else { kept.contains(&Split::block_of(square, at.0, at.1)) };
            if !stays {
                target.class = None;
            }
        });
        Ok(())
    }

    /// The squares whose labels may be learned from. Those of a smaller share are among those of a larger one.
    fn kept(&self, ready: &mut [Prepared], square: usize, share: f64, seed: u64) -> BTreeSet<(i64, i64)> {
        let mut counts: BTreeMap<(i64, i64), usize> = BTreeMap::new();
        self.each(ready, |at, target| {
            if target.class.is_some() && !target.validates {
                *counts.entry(Split::block_of(square, at.0, at.1)).or_insert(0) += 1;
            }
        });
        let wanted = share * counts.values().sum::<usize>() as f64;
        let mut order: Vec<_> = counts.into_iter().collect();
        order.shuffle(&mut rng(seed, Purpose::Split, 1));
        let mut sum = 0;
        let enough = |(_, count): &((i64, i64), usize)| {
            let more = (sum as f64) < wanted;
            sum += count;
            more
        };
        order.into_iter().take_while(enough).map(|(place, _)| place).collect()
    }

    fn each(&self, ready: &mut [Prepared], mut visit: impl FnMut((i64, i64), &mut crate::dataset::Target)) {
        for (sample, ready) in self.samples.iter().zip(ready) {
            let (size, [x, y]) = (ready.size, sample.origin);
            for (place, target) in ready.targets.iter_mut().enumerate() {
                visit((x + (place % size) as i64, y + (place / size) as i64), target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Target;
    use crate::dataset::tests::prepared;

    /// Chips of 16 × 16 in a row, all labelled; the last one lies on the first.
    fn chips(count: usize) -> (Vec<Sample>, Vec<Prepared>) {
        let target = Target { class: Some(0), validates: false };
        let ready = Prepared { size: 16, targets: vec![target; 256], ..prepared(1, 1) };
        let sample = |at: usize| Sample { origin: [16 * (at % (count - 1)) as i64, 0], ..Sample::default() };
        ((0..count).map(sample).collect(), vec![ready; count])
    }

    #[test]
    fn places_are_scored_once_and_small_shares_are_among_large_ones() {
        let (samples, ready) = chips(9);
        let offers = BTreeMap::new();
        let ground = Ground { samples: &samples, offers: &offers, classes: &[], ignore: &[] };
        let shared = |share: f64, seed: u64| {
            let mut ready = ready.clone();
            ground.share_out(&mut ready, (16, 0.4), (4, share), seed).unwrap();
            let mut found = [BTreeSet::new(), BTreeSet::new()];
            let mut scored = 0;
            ground.each(&mut ready, |at, target| {
                if target.class.is_some() {
                    found[usize::from(target.validates)].insert(at);
                    scored += usize::from(target.validates);
                }
            });
            assert_eq!(scored, found[1].len(), "a place is scored once");
            found
        };
        for seed in 0..4 {
            let [all, scored] = shared(1.0, seed);
            assert_eq!((all.len() + scored.len(), scored.len() % 256), (8 * 256, 0));
            assert!(scored.len() >= 3 * 256 && scored.len() <= 5 * 256, "{}", scored.len());
            let [some, same] = shared(0.1, seed);
            assert_eq!(same, scored, "what is scored does not depend on the share");
            let [few, _] = shared(0.01, seed);
            assert!(few.is_subset(&some) && some.is_subset(&all) && few.len() >= 16, "{}", few.len());
            let share = some.len() as f64 / all.len() as f64;
            assert!((0.1..0.12).contains(&share), "{share}");
        }
        assert_ne!(shared(0.1, 1), shared(0.1, 2));
        let one = ground.share_out(&mut ready.clone(), (1000, 0.4), (4, 1.0), 0).unwrap_err().to_string();
        assert!(one.contains("1 of 1000 × 1000"), "{one}");
    }
}
