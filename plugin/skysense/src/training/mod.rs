//! From chips and label items to a trained model package: what `skysense.finetune` and
//! `skysense.distill` do around `skysense-train`.

mod holdout;
mod label_reader;
mod labels;
mod options;
mod package;
mod samples;
mod shard_places;

pub(crate) use holdout::{Holdout, training_chips};
pub(crate) use label_reader::{LabelReader, unused};
pub(crate) use labels::{LabelSource, classes, label_sources};
pub(crate) use options::{CalendarSetting, Checkpointing, Precision, calendar, compute, cpu};
pub(crate) use package::{Place, Teller, finished, model_row, place, taken};
pub use shard_places::ShardPlaces;

pub(crate) use samples::{sample_bytes, samples, unlabelled};
