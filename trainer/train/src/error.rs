//! What can go wrong in training.

use std::path::PathBuf;

use skysense_collective::GroupError;
use skysense_contract::{ContractError, Modality};

/// An error of training, worded for the person who gave the samples or the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// There is nothing to learn from.
    #[error("no sample has a labelled valid pixel of a class; {hint}")]
    NoLabels {
        /// What was seen instead.
        hint: String,
    },
    /// There is nothing to distil from.
    #[error("teacher {teacher} and the student see no valid pixel together in {samples} samples")]
    NoPixels {
        /// How many samples there are.
        samples: usize,
        /// Name of the teacher.
        teacher: String,
    },
    /// A sample does not fit the others.
    #[error("sample {sample}: {fault}")]
    Sample {
        /// Place among the samples, from 0.
        sample: usize,
        /// What was found and what was expected.
        fault: String,
    },
    /// A setting is out of its range.
    #[error("setting {setting} is {value}, expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// As given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// No preset has this name.
    #[error("no preset is named {name:?}; known are {}", .known.join(", "))]
    Preset {
        /// As given.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A modality has no normalisation constants.
    #[error("{modality} has no published constants for bands {}; use the statistics of the samples", .bands.join(", "))]
    Constants {
        /// The modality.
        modality: Modality,
        /// Bands that are not known.
        bands: Vec<String>,
    },
    /// A checkpoint cannot be used.
    #[error("checkpoint {path} cannot be used: {message}; remove the folder to begin again")]
    Checkpoint {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Numbers of a run cannot be recorded, or read again.
    #[error("metrics in {path}: {message}")]
    Record {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Samples that wait in a file cannot be written or read.
    #[error("cannot {action} the file of samples in {folder}: {source}")]
    Spool {
        /// Where the file is.
        folder: PathBuf,
        /// `make`, `write` or `read`.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The loss is not a number any more.
    #[error("the loss is not finite at step {step}; lower the learning rate ({rate:e})")]
    Diverged {
        /// The step.
        step: usize,
        /// Learning rate at that step.
        rate: f64,
    },
    /// The loss of pretraining is not a number any more.
    #[error("the loss is not finite at step {step} on places {places}{saved}; lower the learning rate ({rate:e})")]
    DivergedOn {
        /// The step.
        step: usize,
        /// Learning rate at that step.
        rate: f64,
        /// Names of its places.
        places: String,
        /// Where they were written to.
        saved: String,
    },
    /// No place of a step can be learned from.
    #[error("no place of step {step} can be read; the first: {why}")]
    NoPlaces {
        /// The step.
        step: usize,
        /// Of the first of them.
        why: String,
    },
    /// The caller stopped the training; the checkpoint holds what was learned.
    #[error("training was cancelled at step {step}")]
    Cancelled {
        /// The step.
        step: usize,
    },
    /// The package to start from, or the one to write, is at fault.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A file of weights cannot be used.
    #[error(transparent)]
    Weights(#[from] skysense_model::checkpoint::CheckpointError),
    /// Weights that a model needs are not in the files.
    #[error("{found}\nhint: {hint}")]
    Incomplete {
        /// What lacks, with shapes.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// The device to train on is not there.
    #[error("training device {device}: {message}")]
    Device {
        /// As given.
        device: String,
        /// What lacks, and what to do.
        message: String,
    },
    /// The processes that train as one have ended.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The model is at fault.
    #[error("model: {0}")]
    Model(String),
}
