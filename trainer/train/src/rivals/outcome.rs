//! What a contest found.

use serde::{Deserialize, Serialize};
use skysense_metric::Scores;

use crate::probe::Spread;

/// One run of one rival.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) scores: Scores,
    pub(super) parameters: u64,
    /// Seconds of a step, the median; `None` of what takes no steps.
    pub(super) step: Option<f64>,
    /// Seconds of the training.
    pub(super) trained: f64,
    /// Seconds of a chip.
    pub(super) chip: f64,
}

/// What a contest found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Labelled chips.
    pub chips: usize,
    /// Steps of each training.
    pub steps: usize,
    /// Seeds of the runs.
    pub seeds: Vec<u64>,
    /// Shares of the labels that were learned from.
    pub shares: Vec<f64>,
    /// By rival, in the order given.
    pub entries: Vec<RivalEntry>,
}

/// One rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RivalEntry {
    /// What it is called.
    pub name: String,
    /// Parameters; of a forest its nodes.
    pub parameters: u64,
    /// Milliseconds of a step, the median over all steps of the first seed with all labels; none of what takes no steps.
    pub step_ms: Option<f64>,
    /// Seconds of that training.
    pub training_seconds: f64,
    /// Milliseconds of a chip, as it is scored.
    pub chip_ms: f64,
    /// By share, in the order of the shares.
    pub shares: Vec<RivalScores>,
}

/// Scores with one share of the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RivalScores {
    /// Share of the labels.
    pub share: f64,
    /// By seed, over regions that were not learned from.
    pub scores: Vec<Scores>,
}

impl RivalScores {
    /// Mean and deviation of one number over the seeds.
    pub fn spread(&self, pick: impl Fn(&Scores) -> f64) -> Spread {
        Spread::of(&self.scores.iter().map(pick).collect::<Vec<_>>())
    }
}
