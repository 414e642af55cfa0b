//! Settings of a fine-tuning run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use skysense_contract::{Calendar, Class};
use skysense_model::{Checkpointing, Precision};

use crate::augment::Augmentation;
use crate::loss::ClassWeights;
use crate::normalise::Normalisation;
use crate::steps::Pace;
use crate::{TrainError, TrainingDevice};

/// Settings of a fine-tuning run for segmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinetuneConfig {
    /// What the weights are at the start.
    pub start: Start,
    /// Name of the model.
    pub name: String,
    /// Classes of the map in the order of the logits.
    pub classes: Vec<Class>,
    /// Label values that are no class; everything else that is no class is an error.
    pub ignore: Vec<u8>,
    /// Steps of the optimiser.
    pub steps: usize,
    /// Seconds that the steps may take, without the scores at the end. Steps are timed, and their number is lowered
    /// to what fits; the weights then depend on the speed of the machine. What it was lowered to is in
    /// [`crate::Trained`].
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
    /// How classes are weighed.
    pub class_weights: ClassWeights,
    /// Seed of weights, split, order and augmentation.
    pub seed: u64,
    /// Whether only the head learns.
    pub frozen: bool,
    /// What activations and products are computed in.
    pub precision: Precision,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// Where it is computed.
    pub device: TrainingDevice,
    /// What is varied.
    pub augmentation: Augmentation,
    /// Share of labelled pixels that validate, in whole blocks of the map.
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
    /// Licence of the resulting weights as an SPDX expression, or `proprietary`.
    pub licence: String,
}

/// What the weights are at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Drawn at random for an architecture, such as `tiny`.
    Preset(String),
    /// Those of a model package; its head too where the classes are the same.
    Package(PathBuf),
}

impl FinetuneConfig {
    /// Settings that suit the `tiny` preset on two cores.
    pub fn new(name: impl Into<String>, classes: Vec<Class>) -> Self {
        Self {
            start: Start::Preset("tiny".into()),
            name: name.into(),
            classes,
            ignore: vec![0, 255],
            steps: 300,
            seconds: None,
            batch: 4,
            learning_rate: 2e-3,
            weight_decay: 0.05,
            warm_up: 0.1,
            clip: 1.0,
            class_weights: ClassWeights::Equal,
            seed: 0,
            frozen: false,
            precision: Precision::F32,
            checkpointing: Checkpointing::Off,
            device: TrainingDevice::cpu(),
            augmentation: Augmentation::default(),
            validation: 0.2,
            block: 16,
            normalisation: Normalisation::Samples,
            calendar: Calendar::S2Only,
            checkpoint: None,
            every: 50,
            licence: "proprietary".into(),
        }
    }

    /// What the loop of steps needs.
    pub(crate) fn pace(&self) -> Pace<'_> {
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
            precision: self.precision,
        }
    }

    /// Checks the ranges.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        if self.classes.len() < 2 {
            return fault("classes", format!("{} classes", self.classes.len()), "two or more");
        }
        if let Some(class) = self.classes.iter().find(|class| self.ignore.contains(&class.value)) {
            return fault("ignore", class.value.to_string(), "values that are no class");
        }
        self.pace().check()?;
        if let ClassWeights::Given(weights) = &self.class_weights {
            let good = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
            if weights.len() != self.classes.len() || !good {
                let expected = format!("{} weights, none negative", self.classes.len());
                return fault("class_weights", format!("{weights:?}"), &expected);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FinetuneConfig {
        let class = |value: u8| Class { value, name: value.to_string(), color: "000000".into() };
        FinetuneConfig::new("test", vec![class(1), class(2)])
    }

    #[test]
    fn the_defaults_hold_and_what_is_out_of_range_is_named() {
        config().check().unwrap();
        let fault = |change: &dyn Fn(&mut FinetuneConfig)| {
            let mut config = config();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(fault(&|c| c.ignore = vec![1]).contains("ignore is 1"));
        assert!(fault(&|c| c.learning_rate = f64::NAN).contains("NaN"));
        assert!(fault(&|c| c.validation = 1.0).contains("validation"));
        assert!(fault(&|c| c.batch = 0).contains("batch"));
        assert!(fault(&|c| c.class_weights = ClassWeights::Given(vec![1.0])).contains("2 weights"));
        assert!(fault(&|c| drop(c.classes.pop())).contains("1 classes"));
    }
}
