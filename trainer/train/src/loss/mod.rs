//! Losses: one file each, with formula and source.

mod class_weights;
mod cross_entropy;
mod feature;

pub use class_weights::{ClassWeights, median_frequency};
pub use cross_entropy::cross_entropy;
pub use feature::feature_loss;
