//! Whether a model is as sure as it may be.

mod entropy;
mod reliability;
mod temperature;

pub use entropy::{entropy, relative_entropy};
pub use reliability::{Reliability, ReliabilityBin};
pub use temperature::Temperature;
