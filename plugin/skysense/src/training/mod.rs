//! From chips and label items to a trained model package: what `skysense.finetune` and
//! `skysense.distill` do around `skysense-train`.

mod checkpoints;
mod detection;
mod given_split;
mod holdout;
mod label_dates;
mod label_reader;
mod labels;
mod objects;
mod options;
mod package;
mod places;
mod pretrain_settings;
mod probe;
mod records;
mod samples;
mod shard_places;
mod suited;
mod together;
mod truth;
mod vector_labels;

pub(crate) use checkpoints::keep_checkpoints;
pub(crate) use detection::{ObjectsSetting, detection_samples, hr_scale, placed, tell as tell_detector};
pub(crate) use given_split::{Part, PlannedSplit, SplitSetting};
pub(crate) use holdout::{Holdout, training_chips, without_pixel};
pub(crate) use label_dates::{LabelDates, Span};
pub(crate) use label_reader::{LabelReader, unused};
pub(crate) use labels::{LabelSource, Wanted, classes, label_sources, task_classes, task_sources};
pub(crate) use objects::{ObjectSource, in_chip, object_classes, object_sources};
pub(crate) use options::{CalendarSetting, Checkpointing, LoraSetting, Precision, calendar, compute, cpu};
pub(crate) use package::{Place, Teller, model_row, taken};
pub(crate) use places::{AssumedPlaces, PlannedPlaces};
pub(crate) use pretrain_settings::{
    Heads, Light, NormalisationSetting, Objects, Optimiser, PrototypesSetting, SideSetting, Teacher, Terms,
    ValidationSetting, Values, ViewsSetting,
};
pub(crate) use probe::{LabelledChips, PlannedProbe, ProbeSetting};
pub(crate) use records::{Records, show};
pub(crate) use samples::{labelled, sample_bytes, samples, spool_folder, spooled_bytes, unlabelled};
pub use shard_places::ShardPlaces;
pub(crate) use suited::of_no_use;
pub(crate) use together::{lost, train_together};
pub(crate) use truth::{Known, Truth};
pub(crate) use vector_labels::ShapesSetting;
