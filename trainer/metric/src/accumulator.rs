//! What metrics have in common.

use crate::MetricError;

/// Something that was counted over a part of the samples, and adds up with what was counted over another part.
///
/// Parts in any order and of any cut give the same scores, up to the last bits where sums of `f64` are kept. All that this
/// crate has can be written with serde, so that processes add up, too; who reads a broken part is told. A format that cuts
/// digits of `f64`, as some readers of JSON do, may change the order of equal scores.
pub trait Accumulator: Clone {
    /// Adds what another part counted.
    ///
    /// # Errors
    /// When the other counts something else, as other classes.
    fn merge(&mut self, other: &Self) -> Result<(), MetricError>;
}

/// Two metrics of the same samples, as of two models that are compared: a block bootstrap draws both together.
impl<A: Accumulator, B: Accumulator> Accumulator for (A, B) {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        self.0.merge(&other.0)?;
        self.1.merge(&other.1)
    }
}
