//! Which pixels validate: whole blocks of the map, so that neighbours of a training pixel do not.
//!
//! Pixels of one field are nearly copies of each other; a split by pixel or by overlapping chip would report
//! how well copies are remembered. Blocks are squares of the target grid and the same for every chip that
//! overlaps them. The model still sees the imagery (not the labels) of validation blocks as surroundings.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;

use crate::random::{Purpose, rng};

/// Assignment of the map's blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    block: i64,
    validation: BTreeSet<(i64, i64)>,
}

impl Split {
    /// Chooses blocks that hold about `share` of the labelled pixels; `labelled` counts them by block.
    ///
    /// At least one block validates and one trains where there are two, unless `share` is 0.
    pub(crate) fn new(block: usize, share: f64, labelled: &BTreeMap<(i64, i64), usize>, seed: u64) -> Self {
        let block = block.max(1) as i64;
        let mut order: Vec<(i64, i64)> = labelled.keys().copied().collect();
        order.shuffle(&mut rng(seed, Purpose::Split, 0));
        let wanted = share * labelled.values().sum::<usize>() as f64;
        let mut validation = BTreeSet::new();
        let mut count = 0;
        for place in order.iter().skip(1) {
            if wanted <= 0.0 || (count as f64 >= wanted && !validation.is_empty()) {
                break;
            }
            count += labelled[place];
            validation.insert(*place);
        }
        Self { block, validation }
    }

    /// The block of a pixel of the map.
    pub(crate) fn block_of(block: usize, x: i64, y: i64) -> (i64, i64) {
        let block = block.max(1) as i64;
        (x.div_euclid(block), y.div_euclid(block))
    }

    /// Whether a pixel of the map validates.
    pub(crate) fn validates(&self, x: i64, y: i64) -> bool {
        self.validation.contains(&(x.div_euclid(self.block), y.div_euclid(self.block)))
    }

    /// Whether any block validates.
    pub(crate) fn any(&self) -> bool {
        !self.validation.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_validate_and_about_the_share_of_them() {
        let labelled: BTreeMap<_, _> = (0..10).flat_map(|x| (0..10).map(move |y| ((x, y), 16))).collect();
        let split = Split::new(4, 0.2, &labelled, 7);
        assert_eq!(split.validation.len(), 20);
        assert_eq!(split, Split::new(4, 0.2, &labelled, 7));
        assert_ne!(split, Split::new(4, 0.2, &labelled, 8));
        for x in 0..40 {
            for y in 0..40 {
                assert_eq!(split.validates(x, y), split.validates(x / 4 * 4, y / 4 * 4));
            }
        }
    }

    #[test]
    fn one_block_trains_and_none_validates_where_none_should() {
        let one = BTreeMap::from([((0, 0), 5)]);
        assert!(!Split::new(4, 0.5, &one, 1).any());
        let two = BTreeMap::from([((0, 0), 5), ((1, 0), 5)]);
        assert!(Split::new(4, 0.01, &two, 1).any());
        assert!(!Split::new(4, 0.0, &two, 1).any());
    }
}
