//! Augmentations: one file each. A sample is drawn anew at every step.

mod dates;
mod dropout;
mod turn;

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use skysense_contract::Modality;

use crate::dataset::Prepared;

pub(crate) use dropout::drop_modalities;
pub(crate) use turn::Turn;

/// What was done to a sample, so that something that belongs to it can follow.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    turn: Option<Turn>,
    /// Places of the dates that stay, of the modalities that stay.
    pub(crate) dates: BTreeMap<Modality, Vec<usize>>,
}

impl Drawn {
    /// Planes of the sample's side, turned as the sample was.
    pub(crate) fn planes(&self, values: &[f32], side: usize) -> Vec<f32> {
        match self.turn {
            Some(turn) => turn.planes(values, side),
            None => values.to_vec(),
        }
    }
}

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

    /// One draw of a sample, and what was done to it.
    pub(crate) fn draw(&self, sample: Cow<'_, Prepared>, rng: &mut ChaCha8Rng) -> (Prepared, Drawn) {
        // Always the same numbers are drawn in the same order, so that one setting does not shift another's.
        let turn = Turn::draw(rng);
        let mut drawn = sample.into_owned();
        drop_modalities(&mut drawn, self.modality_dropout, rng);
        let dates = dates::keep_some(&mut drawn, self.dates, rng);
        let turn = self.turns.then_some(turn);
        let drawn = if let Some(turn) = turn { turn.apply(drawn) } else { drawn };
        (drawn, Drawn { turn, dates })
    }
}
