//! Augmentations: one file each. A sample is drawn anew at every step.

mod dates;
mod dropout;
mod turn;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::dataset::Prepared;

/// What is varied. The default turns, and drops dates and modalities now and then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Flips and quarter turns, of pixels and labels alike.
    pub turns: bool,
    /// Least share of a sample's dates that a random subset keeps; 1 keeps all.
    pub dates: f64,
    /// Chance that a modality of a sample that has several is left out.
    pub modality_dropout: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { turns: true, dates: 0.5, modality_dropout: 0.1 }
    }
}

impl Augmentation {
    /// Nothing is varied.
    pub fn none() -> Self {
        Self { turns: false, dates: 1.0, modality_dropout: 0.0 }
    }

    /// One draw of a sample.
    pub(crate) fn draw(&self, sample: &Prepared, rng: &mut ChaCha8Rng) -> Prepared {
        // Always the same numbers are drawn in the same order, so that one setting does not shift another's.
        let turn = turn::Turn::draw(rng);
        let mut drawn = sample.clone();
        dropout::drop_modalities(&mut drawn, self.modality_dropout, rng);
        dates::keep_some(&mut drawn, self.dates, rng);
        if self.turns { turn.apply(drawn) } else { drawn }
    }
}
