//! Losses: one file each, with formula and source.

mod alignment;
mod balance;
mod binary_cross_entropy;
mod class_weights;
mod cross_entropy;
mod feature;
mod granularity;
mod huber;
#[cfg(test)]
pub(crate) mod reference;
mod self_distillation;
mod sinkhorn;

pub use alignment::alignment;
pub use balance::{balanced_centre, output_sums};
pub use binary_cross_entropy::binary_cross_entropy;
pub(crate) use binary_cross_entropy::logistic;
pub use class_weights::{ClassWeights, median_frequency};
pub use cross_entropy::cross_entropy;
pub use feature::feature_loss;
pub use granularity::{Grain, Granularity, Levels, Objects};
pub(crate) use granularity::{column_shares, unit};
pub use huber::huber;
pub(crate) use huber::smooth_l1;
pub use self_distillation::{Temperatures, moved_centre, self_distillation, summed, targets};
pub use sinkhorn::Sinkhorn;
