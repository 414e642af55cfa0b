//! From chips and label items to a trained model package: what `skysense.finetune` does around `skysense-train`.

mod holdout;
mod label_reader;
mod labels;

pub(crate) use holdout::{Holdout, Side};
pub(crate) use label_reader::LabelReader;
pub(crate) use labels::{LabelSource, classes, label_sources};
