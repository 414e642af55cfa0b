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
    grouped(module, [AdamW::new(weight_decay), AdamW::new(0.0)], clip)
}

/// An optimiser for matrices and one for vectors.
pub(crate) fn grouped<M: Module>(module: &M, [matrices, others]: [AdamW; 2], clip: f64) -> ModuleOptimizer {
    let clipping = || GradientClipping::Norm(clip as f32);
    let mut vectors = Vectors::default();
    module.visit(&mut vectors);
    ModuleOptimizer::from(matrices).with_grad_clipping(clipping()).with_group(
        ParamGroup::from_ids(vectors.ids),
        others,
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
