//! Who takes part, and under which conditions.

use std::path::PathBuf;

use crate::{Augmentation, Recipe, Start, TrainError};

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// The model from a start: an architecture with random weights, or packages, of which there is one for all seeds or one
    /// for each.
    Model(Vec<Start>),
    /// U-Net on each date.
    Unet,
    /// U-Net over time, rows and columns.
    Unet3d,
    /// Transformers over dates, then over places.
    Tsvit,
    /// A forest of this many trees on a pixel's own values.
    Forest(usize),
    /// Multinomial logistic regression on a pixel's own values.
    Logistic,
}

/// The conditions, the same for all.
#[derive(Debug, Clone, PartialEq)]
pub struct RivalsConfig {
    /// Those who take part, with their names.
    pub rivals: Vec<(String, Rival)>,
    /// Seeds: of the regions that are scored, of the labels that are kept, of weights and order.
    pub seeds: Vec<u64>,
    /// Shares of the labels that may be learned from.
    pub shares: Vec<f64>,
    /// Steps of the optimiser.
    pub steps: usize,
    /// Chips of a step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Side of a region in pixels of the 10 m grid: all of it is learned from, or all of it is scored.
    pub block: usize,
    /// Share of the labelled pixels that is scored.
    pub validation: f64,
    /// Side of the squares of labels that are kept or not, in pixels of the 10 m grid.
    pub square: usize,
    /// What is varied.
    pub augmentation: Augmentation,
}

impl Default for RivalsConfig {
    /// What suits the preset `tiny` on two cores; ours.
    fn default() -> Self {
        let Recipe { batch, learning_rate, .. } = Recipe::default();
        Self {
            rivals: Vec::new(),
            seeds: vec![0, 1, 2],
            shares: vec![0.01, 0.1, 1.0],
            steps: 150,
            batch,
            learning_rate,
            block: 32,
            validation: 0.4,
            square: 4,
            augmentation: Augmentation::default(),
        }
    }
}

impl RivalsConfig {
    /// Checks what the recipe of a run does not.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        if self.rivals.is_empty() || self.seeds.is_empty() || self.shares.is_empty() {
            let value = format!("{}, {}, {}", self.rivals.len(), self.seeds.len(), self.shares.len());
            return fault("rivals, seeds, shares", value, "one or more of each");
        }
        if let Some(share) = self.shares.iter().find(|share| !(**share > 0.0 && **share <= 1.0)) {
            return fault("shares", share.to_string(), "more than 0 and at most 1");
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            return fault("validation", self.validation.to_string(), "more than 0 and less than 1");
        }
        if self.square == 0 || self.block == 0 {
            return fault("block, square", format!("{}, {}", self.block, self.square), "1 or more");
        }
        for (name, rival) in &self.rivals {
            if let Rival::Model(starts) = rival
                && starts.len() != 1
                && starts.len() != self.seeds.len()
            {
                let value = format!("{} for {name}", starts.len());
                return fault("packages", value, &format!("one, or one for each of {} seeds", self.seeds.len()));
            }
        }
        Ok(())
    }

    /// The recipe of a run with a seed.
    pub(super) fn recipe(&self, start: Option<&Start>, seed: u64) -> Recipe {
        let mut recipe = Recipe {
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.learning_rate,
            block: self.block,
            validation: self.validation,
            seed,
            augmentation: self.augmentation.clone(),
            ..Recipe::default()
        };
        if let Some(start) = start {
            recipe.start = start.clone();
        }
        recipe
    }

    /// The package folders of a rival, for messages.
    pub(super) fn start(starts: &[Start], at: usize) -> Option<&Start> {
        starts.get(at).or_else(|| starts.first())
    }
}

impl Rival {
    /// The model from packages.
    pub fn packages(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::Model(folders.into_iter().map(Start::Package).collect())
    }
}
