//! Training: samples, losses, loops, export.
//!
//! [`finetune()`] trains a model for segmentation on labelled chips ([`Sample`]) and gives a [`Trained`] model with
//! scores over blocks of the map that it did not learn from; [`export()`] writes that as a model package, which
//! inference reads. The same samples, settings and seed give the same weights, and a run that was killed goes on
//! from its checkpoint to the same weights.
//!
//! [`import()`] makes a package of the published weights.
//!
//! One file each: losses in `loss`, metrics in `metric`, augmentations in `augment`.

mod augment;
mod batch;
mod checkpoint;
mod config;
mod cost;
mod dataset;
mod device;
mod error;
mod export;
mod finetune;
mod graphs;
mod hooks;
mod import;
pub mod loss;
mod loss_scale;
pub mod metric;
mod network;
mod normalise;
mod optimiser;
mod planned;
mod random;
mod reduce;
mod sample;
mod schedule;
mod score;
mod setup;
mod split;
mod trained;

pub use augment::Augmentation;
pub use config::{FinetuneConfig, Start};
pub use cost::{ByModule, Cost, CostRequest, DatesRow, FlopsReport, GeoContextRequest, MemoryReport, cost};
pub use device::TrainingDevice;
pub use error::TrainError;
pub use export::export;
pub use finetune::finetune;
pub use hooks::{Hooks, NoHooks, Progress};
pub use import::{ImportConfig, ImportFiles, Imported, import};
pub use normalise::Normalisation;
pub use planned::planned_contract;
pub use reduce::{Precision, Ranges, Reduction};
pub use sample::{Sample, SampleSeries};
pub use skysense_model::checkpoint::{CheckpointError, ImportReport, Part, ShapeSettings};
pub use skysense_model::{Calendar as EncodedCalendar, Checkpointing, Interpolation, Precision as TrainingPrecision};
pub use trained::Trained;
