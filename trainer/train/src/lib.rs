//! Training: samples, losses, loops, export.
//!
//! [`finetune()`] trains a model for a task on labelled chips ([`Sample`]) and gives a [`Trained`] model with
//! scores over blocks of the map that it did not learn from; [`export()`] writes that as a model package, which
//! inference reads. The same samples, settings and seed give the same weights, and a run that was killed goes on
//! from its checkpoint to the same weights.
//!
//! [`train_detector()`] trains a detector on chips with objects ([`DetectionSample`]), and [`export_detector()`] writes it.
//!
//! [`distill()`] teaches a small model to give the features of a large one, without labels; [`export_student()`] writes it.
//!
//! [`pretrain::pretrain()`] learns features from places without labels and without a teacher that is there before;
//! [`pretrain::export_pretrained`] writes the model.
//!
//! [`import()`] makes a package of the published weights, [`export_files`] writes graphs and weights of one for other
//! software, and [`check_weights`] holds its weights against its sizes.
//!
//! [`rivals`] trains the model and networks of others on the same ground, and compares them.
//!
//! [`probe`] measures what features are worth before anything is trained on them; [`Recorder`] keeps the numbers of each
//! step.
//!
//! One file each: tasks in `tasks`, losses in `loss`, augmentations in `augment`; metrics are those of `skysense-metric`.

// Tests inside share helpers with those outside.
#[cfg(test)]
extern crate self as skysense_train;

mod adamw;
mod adapters;
mod alone;
mod augment;
mod batch;
mod checkpoint;
mod compute;
mod config;
mod cost;
mod curve;
mod dataset;
mod detect;
mod device;
mod distill;
mod draw;
mod encoded;
mod encoder;
mod error;
mod export;
mod files;
mod finetune;
mod graphs;
mod hooks;
mod import;
mod layers;
pub mod loss;
mod loss_scale;
mod network;
mod normalise;
mod optimiser;
mod parts;
mod planned;
pub mod pretrain;
pub mod probe;
mod random;
mod recipe;
mod record;
mod reduce;
pub mod rivals;
mod sample;
mod schedule;
mod score;
mod setup;
mod split;
mod steps;
mod tasks;
mod tensors;
mod together;
mod trained;

pub use adamw::AdamW;
pub use adapters::Lora;
pub use augment::Augmentation;
pub use compute::Compute;
pub use config::{EarlyStopping, FinetuneConfig};
pub use cost::{ByModule, Cost, CostRequest, DatesRow, FlopsReport, GeoContextRequest, MemoryReport, cost};
pub use curve::Curve;
pub use detect::{
    DetectConfig, DetectionSample, DetectionScores, Evaluation, TrainedDetector, export_detector, planned_detector,
    train_detector,
};
pub use device::TrainingDevice;
pub use distill::{DistillConfig, Distilled, Likeness, PlannedStudent, distill, export_student, planned_student};
pub use error::TrainError;
pub use export::export;
pub use files::{FilesConfig, Written, WrittenWeights, export_files};
pub use finetune::finetune;
pub use hooks::{Hooks, NoHooks, Progress};
pub use import::{ImportConfig, ImportFiles, Imported, Regions, import};
pub use normalise::Normalisation;
pub use parts::{Parts, part_seed};
pub use planned::planned_contract;
pub use recipe::{Recipe, Start};
pub use record::{Recorder, read_measures};
pub use reduce::{Precision, Ranges, Reduction};
pub use sample::{Labels, Sample, SampleSeries, Use};
pub use skysense_collective::{Alone, Group, GroupError, Place, PlaceError, Tcp};
pub use skysense_detect::{Found, Object as DetectionObject, RotatedBox};
pub use skysense_model::checkpoint::{CheckpointError, ImportReport, Part, ShapeSettings};
pub use skysense_model::{Calendar as EncodedCalendar, Checkpointing, Interpolation, Precision as TrainingPrecision};
pub use tasks::{ChangeScores, ChipScores, TaskScores, ValueScores};
pub use tensors::{TensorCheck, check_weights};
pub use trained::Trained;
