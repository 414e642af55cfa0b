//! Stochastic depth.

use burn::module::{Flag, Module, Param};
use burn::tensor::Tensor;

use crate::draws::Draws;
use crate::precision::like;

/// Drops a whole branch for some samples of a batch while training, and scales the others up.
#[derive(Module, Debug)]
pub(crate) struct DropPath {
    rate: f64,
    training: Param<Flag>,
}

impl DropPath {
    /// Drops with probability `rate`.
    pub(crate) fn new(rate: f64) -> Self {
        Self { rate, training: Param::from_bool(true) }
    }

    /// `[sample, …]` → the same shape.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>, draws: &Draws) -> Tensor<D> {
        if self.rate == 0.0 || !self.training.is_enabled() || !x.device().is_autodiff() {
            return x;
        }
        let keep = 1.0 - self.rate;
        let mut shape = [1; D];
        shape[0] = x.dims()[0];
        let kept = draws.ones(shape, keep, &x.device());
        let scale = like(kept * (1.0 / keep), &x);
        x * scale
    }
}
