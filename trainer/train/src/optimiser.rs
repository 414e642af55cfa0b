//! AdamW with decay on matrices only.
//!
//! Norms and biases have no weight decay, as in the official second-stage configuration (0 for names with `norm`
//! or `bias`); we go by rank, which says the same and needs no names.

use burn::grad_clipping::GradientClipping;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use crate::AdamW;

/// The optimiser of a module.
pub(crate) fn adamw<M: Module>(module: &M, weight_decay: f64, clip: f64) -> ModuleOptimizer {
    let plain = AdamW { weight_decay: 0.0, epsilon: 1e-8 };
    let decaying = AdamW { weight_decay: weight_decay as f32, epsilon: 1e-8 };
    let clipping = || GradientClipping::Norm(clip as f32);
    let mut vectors = Vectors::default();
    module.visit(&mut vectors);
    ModuleOptimizer::from(decaying).with_grad_clipping(clipping()).with_group(
        ParamGroup::from_ids(vectors.ids),
        plain,
        Some(clipping()),
    )
}

/// Collects parameters that are no matrices.
#[derive(Default)]
struct Vectors {
    ids: Vec<ParamId>,
}

impl ModuleVisitor for Vectors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D < 2 {
            self.ids.push(param.id);
        }
    }
}
