//! Settings of a distillation.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use skysense_contract::{Calendar, Modality};
use skysense_model::Precision;

use crate::augment::Augmentation;
use crate::normalise::Normalisation;
use crate::steps::Pace;
use crate::{Start, TrainError};

/// Settings of a distillation: a student learns to give a teacher's features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistillConfig {
    /// Folder of the teacher's package. The result names the teacher by its name and checksum, not by this place.
    #[serde(skip)]
    pub teacher: PathBuf,
    /// What the student's weights are at the start.
    pub start: Start,
    /// What the student sees of the samples; `None` for all. A teacher that sees more teaches what it knows of that too.
    pub modalities: Option<Vec<Modality>>,
    /// Name of the student.
    pub name: String,
    /// Weight of the features of each modality's encoder beside the fused ones; with 0 the fused ones alone teach.
    pub encoders: f64,
    /// Bytes up to which the teacher's features are held; beyond, they are computed anew at every step. Changes no
    /// weight, only memory and time.
    #[serde(skip)]
    pub hold: u64,
    /// Steps of the optimiser.
    pub steps: usize,
    /// Seconds that the steps may take, without the teacher's features before them and the measures after them; as in
    /// [`crate::FinetuneConfig`].
    pub seconds: Option<f64>,
    /// Samples of one step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay of matrices; vectors (norms, biases) have none.
    pub weight_decay: f64,
    /// Share of the steps that warm up.
    pub warm_up: f64,
    /// Largest norm of a gradient (each parameter by itself).
    pub clip: f64,
    /// Seed of weights, split, order and augmentation.
    pub seed: u64,
    /// What is varied: of the student's inputs alone. The teacher sees every sample as it is, with all its dates; where
    /// the student's input is turned, the teacher's features are.
    pub augmentation: Augmentation,
    /// Share of the valid pixels that are held out, in whole blocks of the map.
    pub validation: f64,
    /// Side of such a block in pixels of the 10 m grid.
    pub block: usize,
    /// Where the student's mean and standard deviation come from, for a preset; a package brings its own.
    pub normalisation: Normalisation,
    /// Which tokens of the student carry the calendar encoding, for a preset.
    pub calendar: Calendar,
    /// Folder for checkpoints; a run that finds one of the same settings, teacher and samples goes on from it.
    #[serde(skip)]
    pub checkpoint: Option<PathBuf>,
    /// Steps between checkpoints.
    #[serde(skip)]
    pub every: usize,
    /// Licence of the resulting weights as an SPDX expression, or `proprietary`; `None` for the teacher's.
    pub licence: Option<String>,
}

impl DistillConfig {
    /// Settings that suit a student of preset `tiny` on two cores.
    pub fn new(name: impl Into<String>, teacher: impl Into<PathBuf>) -> Self {
        Self {
            teacher: teacher.into(),
            start: Start::Preset("tiny".into()),
            modalities: None,
            name: name.into(),
            encoders: 1.0,
            hold: 2 << 30,
            steps: 300,
            seconds: None,
            batch: 4,
            learning_rate: 2e-3,
            weight_decay: 0.05,
            warm_up: 0.1,
            clip: 1.0,
            seed: 0,
            augmentation: Augmentation::default(),
            validation: 0.1,
            block: 16,
            normalisation: Normalisation::Samples,
            calendar: Calendar::S2Only,
            checkpoint: None,
            every: 50,
            licence: None,
        }
    }

    /// What the loop of steps needs.
    pub(super) fn pace(&self) -> Pace<'_> {
        Pace {
            steps: self.steps,
            seconds: self.seconds,
            batch: self.batch,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            warm_up: self.warm_up,
            clip: self.clip,
            augmentation: &self.augmentation,
            validation: self.validation,
            block: self.block,
            checkpoint: self.checkpoint.as_deref(),
            every: self.every,
            precision: Precision::F32,
        }
    }

    /// Checks the ranges.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.pace().check()?;
        if !(self.encoders.is_finite() && self.encoders >= 0.0) {
            let value = self.encoders.to_string();
            return Err(TrainError::Setting { setting: "encoders", value, expected: "0 or more".into() });
        }
        Ok(())
    }
}
