//! AdamW with decay on matrices only.
//!
//! Norms and biases have no weight decay, as in the official second-stage configuration (0 for names with `norm`
//! or `bias`); we go by rank, which says the same and needs no names.

use burn::grad_clipping::GradientClipping;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use crate::AdamW;
use crate::layers::shares;

/// The optimiser of a module.
pub(crate) fn adamw<M: Module>(module: &M, weight_decay: f64, clip: f64) -> ModuleOptimizer {
    grouped(module, [AdamW::new(weight_decay), AdamW::new(0.0)], clip)
}

/// The same with rates that fall towards the input of the encoders by `layers` from block to block.
pub(crate) fn layered<M: Module>(module: &M, weight_decay: f64, clip: f64, layers: f64) -> ModuleOptimizer {
    let placed = shares(module, layers);
    let mut optimiser = adamw(module, weight_decay, clip);
    let mut done: Vec<(u64, bool)> = Vec::new();
    for one in placed.iter().filter(|one| one.share < 1.0) {
        let key = (one.share.to_bits(), one.rank < 2);
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        let alike = placed.iter().filter(|other| (other.share.to_bits(), other.rank < 2) == key);
        let ids = alike.map(|other| other.id).collect();
        let decay = if one.rank < 2 { 0.0 } else { weight_decay };
        let clipping = Some(GradientClipping::Norm(clip as f32));
        optimiser = optimiser.with_group(ParamGroup::from_ids(ids), AdamW::new(decay).share(one.share), clipping);
    }
    optimiser
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
