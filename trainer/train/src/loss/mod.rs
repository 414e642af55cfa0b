//! Losses: one file each, with formula and source.

mod class_weights;
mod cross_entropy;

pub use class_weights::{ClassWeights, median_frequency};
pub use cross_entropy::cross_entropy;
