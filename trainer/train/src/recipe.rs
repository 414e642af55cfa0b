//! What every kind of training is told: where it starts, how long and how fast it goes, what it varies and holds out.

use std::path::PathBuf;

use serde::Serialize;
use skysense_contract::Calendar;

use crate::TrainError;
use crate::augment::Augmentation;
use crate::normalise::Normalisation;
use crate::schedule::Schedule;

/// The settings that every kind of training has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    /// What the weights are at the start. A package is told by its name and checksum, not by where it lies.
    #[serde(skip)]
    pub start: Start,
    /// Steps of the optimiser.
    pub steps: usize,
    /// Seconds that the steps may take, without what comes before and after them. Steps are timed, and their number is
    /// lowered to what fits; the weights then depend on the speed of the machine. What it was lowered to is in
    /// [`crate::Trained`] and [`crate::Distilled`].
    pub seconds: Option<f64>,
    /// Samples of one step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end, as a share of the peak.
    pub final_rate: f64,
    /// Decoupled weight decay of matrices; vectors (norms, biases) have none.
    pub weight_decay: f64,
    /// Share of the steps that warm up.
    pub warm_up: f64,
    /// Largest norm of a gradient (each parameter by itself).
    pub clip: f64,
    /// Seed of weights, split, order and augmentation.
    pub seed: u64,
    /// What is varied.
    pub augmentation: Augmentation,
    /// Share of the pixels that could be learned from that is held out, in whole blocks of the map.
    pub validation: f64,
    /// Side of such a block in pixels of the 10 m grid.
    pub block: usize,
    /// Where mean and standard deviation come from, for a preset; a package brings its own.
    pub normalisation: Normalisation,
    /// Which tokens carry the calendar encoding, for a preset.
    pub calendar: Calendar,
    /// Folder for checkpoints; a run that finds one of the same settings and samples goes on from it.
    #[serde(skip)]
    pub checkpoint: Option<PathBuf>,
    /// Steps between checkpoints.
    #[serde(skip)]
    pub every: usize,
}

/// What the weights are at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Drawn at random for an architecture, such as `tiny`.
    Preset(String),
    /// Those of a model package; its head too where the classes are the same.
    Package(PathBuf),
}

/// What suits the `tiny` preset on two cores.
impl Default for Recipe {
    fn default() -> Self {
        Self {
            start: Start::Preset("tiny".into()),
            steps: 300,
            seconds: None,
            batch: 4,
            learning_rate: 2e-3,
            final_rate: 0.01,
            weight_decay: 0.05,
            warm_up: 0.1,
            clip: 1.0,
            seed: 0,
            augmentation: Augmentation::default(),
            validation: 0.2,
            block: 16,
            normalisation: Normalisation::Samples,
            calendar: Calendar::S2Only,
            checkpoint: None,
            every: 50,
        }
    }
}

impl Recipe {
    /// Checks the ranges.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if self.steps == 0 || self.batch == 0 || self.block == 0 {
            let value = format!("{}, {}, {}", self.steps, self.batch, self.block);
            return fault("steps, batch, block", value, "1 or more");
        }
        if !positive(self.learning_rate) || !positive(self.clip) {
            let value = format!("{}, {}", self.learning_rate, self.clip);
            return fault("learning_rate, clip", value, "more than 0");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return fault("weight_decay", self.weight_decay.to_string(), "0 or more");
        }
        if !share(self.final_rate) {
            return fault("final_rate", self.final_rate.to_string(), "a share of 1");
        }
        if !share(self.warm_up) || !(0.0..1.0).contains(&self.validation) {
            return fault("warm_up, validation", format!("{}, {}", self.warm_up, self.validation), "shares of 1");
        }
        let Augmentation { dates, modality_dropout, .. } = self.augmentation;
        if !share(dates) || !share(modality_dropout) {
            return fault("augmentation", format!("{dates}, {modality_dropout}"), "shares of 1");
        }
        if self.seconds.is_some_and(|seconds| !positive(seconds)) {
            return fault("seconds", format!("{:?}", self.seconds), "more than 0");
        }
        Ok(())
    }

    /// The learning rate over so many steps.
    pub(crate) fn schedule(&self, steps: usize) -> Schedule {
        let warm_up = (self.warm_up * steps as f64).ceil() as usize;
        Schedule { peak: self.learning_rate, last: self.final_rate, warm_up, steps }
    }
}
