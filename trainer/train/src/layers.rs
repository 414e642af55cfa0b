//! Which layer of its encoder a parameter belongs to, for learning rates that fall towards the input.
//!
//! Layer-wise decay as in BEiT (Bao et al., ICLR 2022) and mmsegmentation's `LearningRateDecayOptimizerConstructor`: a
//! backbone of `n` blocks has the rate of the head times `decay^(n − i + 1)` in block `i`, counted from 1, and times
//! `decay^(n + 1)` before the first block; what lies behind the backbones learns at the full rate.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// A parameter with the share of the learning rate that it has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) id: ParamId,
    /// Sides of its shape.
    pub(crate) rank: usize,
    pub(crate) share: f64,
}

/// All parameters of a module with their shares.
pub(crate) fn shares<M: Module>(module: &M, decay: f64) -> Vec<Placed> {
    let mut walk = Walk::default();
    module.visit(&mut walk);
    let mut blocks: BTreeMap<&str, Vec<&[usize]>> = BTreeMap::new();
    for found in &walk.found {
        if let Some((backbone, block)) = &found.block {
            let known = blocks.entry(backbone).or_default();
            if !block.is_empty() && !known.contains(&block.as_slice()) {
                known.push(block);
            }
        }
    }
    let share = |found: &Found| {
        let Some((backbone, block)) = &found.block else { return 1.0 };
        let known = &blocks[backbone.as_str()];
        // Blocks come in the order in which they are run; what is in none comes before the first.
        let at = known.iter().position(|known| *known == block.as_slice()).map_or(0, |at| at + 1);
        decay.powi((known.len() + 1 - at) as i32)
    };
    walk.found.iter().map(|found| Placed { id: found.id, rank: found.rank, share: share(found) }).collect()
}

struct Found {
    id: ParamId,
    rank: usize,
    /// Backbone and the numbers of its block; no number where it is in none.
    block: Option<(String, Vec<usize>)>,
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    found: Vec<Found>,
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        let _left = self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let backbone = self.path.iter().position(|part| part.starts_with("backbone_"));
        let block = backbone.map(|at| {
            let numbers = self.path[at..].iter().filter_map(|part| part.parse().ok()).collect();
            (self.path[at].clone(), numbers)
        });
        self.found.push(Found { id: param.id, rank: D, block });
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use skysense_model::preset;

    use super::*;

    #[test]
    fn rates_fall_towards_the_input_and_what_lies_behind_keeps_its_own() {
        let mut config = preset("tiny").unwrap();
        config.hr = None;
        let layers = config.s2.as_ref().unwrap().0.layers as i32;
        let encoder = config.init(&Device::flex()).unwrap();
        let found = shares(&encoder, 0.5);
        let has = |share: f64| found.iter().any(|placed| (placed.share - share).abs() < 1e-12);
        // The fusion, the last block, the first one, and the patch embedding.
        assert!(has(1.0) && has(0.5) && has(0.5_f64.powi(layers)) && has(0.5_f64.powi(layers + 1)), "{layers} layers");
        assert!(found.iter().all(|placed| placed.share >= 0.5_f64.powi(layers + 1) - 1e-12));
        assert!(shares(&encoder, 1.0).iter().all(|placed| placed.share == 1.0));
    }
}
