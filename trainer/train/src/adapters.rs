//! Low-rank adapters: an encoder that stays as it is, beside whose attention projections small products learn.
//!
//! LoRA (Hu et al. 2022, arXiv:2106.09685): a projection `W` of width `out × in` gives `(W + α/r · A B) x`, where `A`
//! (`out × r`) and `B` (`r × in`) alone learn. `B` begins at zero, so training begins with what the encoder gives. Once it
//! has ended the product is added to `W`, and nothing is left of the adapters but other numbers in the same weights.

use burn::module::{Lora as Adapter, Module, ParamGroup};
use burn::tensor::Device;
use rand::RngExt;
use serde::Serialize;

use crate::TrainError;
use crate::network::seeded;
use crate::random::{Purpose, rng};

/// How adapters are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lora {
    /// Width of the products.
    pub rank: usize,
    /// What they are scaled with, over the rank.
    pub alpha: f64,
}

impl Lora {
    /// Checks the ranges.
    pub(crate) fn check(self) -> Result<(), TrainError> {
        if self.rank == 0 || !(self.alpha.is_finite() && self.alpha > 0.0) {
            let value = format!("rank {}, alpha {}", self.rank, self.alpha);
            let expected = "a rank of 1 or more, and an alpha above 0".into();
            return Err(TrainError::Setting { setting: "lora", value, expected });
        }
        Ok(())
    }

    /// An encoder of which nothing learns but adapters of all its attention projections: packed queries, keys and values,
    /// and outputs, of the encoders and of the fusion.
    pub(crate) fn attached<M: Module>(self, encoder: M, seed: u64, device: &Device) -> M {
        let of_attention = ["in_proj", "out_proj", "qkv", "proj"].map(|name| format!(".attn.{name}.weight"));
        let adapter =
            Adapter::new(self.rank, self.alpha).set_param_group(ParamGroup::from_any_predicates(of_attention.to_vec()));
        seeded(device, rng(seed, Purpose::Adapters, 0).random(), || encoder.apply_lora(adapter))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleMapper, ModuleVisitor, Param};
    use burn::tensor::Tensor;
    use skysense_model::preset;

    use super::*;
    use crate::network::drawn;

    /// Names of what learns, and of what has an adapter.
    #[derive(Debug, Default)]
    struct Learning {
        path: Vec<String>,
        names: Vec<String>,
        adapted: Vec<String>,
    }

    impl ModuleVisitor for Learning {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            drop(self.path.pop());
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().is_require_grad() {
                self.names.push(self.path.join("."));
            }
            if self.path.last().is_some_and(|name| name == "a") {
                self.adapted.push(self.path[..self.path.len() - 2].join("."));
            }
        }
    }

    /// Gives the factors that begin at zero some value.
    struct Filled;

    impl ModuleMapper for Filled {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let zero = param.val().abs().sum().into_scalar::<f32>() == 0.0;
            if zero && D == 2 { param.map(|value| value + 0.05) } else { param }
        }
    }

    #[test]
    fn all_attention_projections_have_an_adapter_and_nothing_else_learns() {
        let device = Device::flex().autodiff();
        let encoder = drawn(preset("tiny").unwrap().init(&device).unwrap());
        let adapted = Lora { rank: 2, alpha: 4.0 }.attached(encoder, 1, &device);
        let mut learning = Learning::default();
        adapted.visit(&mut learning);
        assert!(learning.names.iter().all(|name| name.contains(".attn.") && name.contains(".lora.")), "{learning:?}");
        assert_eq!(learning.names.len(), 2 * learning.adapted.len());
        for module in ["backbone_hr", "backbone_s2", "backbone_s1", "fusion"] {
            let of = |end: [&str; 2]| {
                let has = |name: &&String| name.contains(module) && end.iter().any(|end| name.ends_with(end));
                learning.adapted.iter().filter(has).count()
            };
            let (into, out) = (of(["qkv.weight", "in_proj.weight"]), of([".proj.weight", "out_proj.weight"]));
            assert!(into > 0 && into == out, "{module}: {into} and {out} of {:?}", learning.adapted);
        }
    }

    #[test]
    fn merged_weights_give_what_the_adapters_give() {
        let device = Device::flex();
        let config = skysense_model::VitConfig { positions: [4, 4], ..preset("tiny").unwrap().s2.unwrap().0 };
        let plain = drawn(config.init(&device));
        let pixels = Tensor::<4>::from_data(
            burn::tensor::TensorData::new(
                (0..2560).map(|at| (at % 37) as f32 / 37.0).collect::<Vec<_>>(),
                [1, 10, 16, 16],
            ),
            &device,
        );
        let run = |vit: &skysense_model::Vit| {
            vit.forward_on(&skysense_model::Tape::off(), pixels.clone()).into_data().iter::<f32>().collect::<Vec<_>>()
        };
        let group = ParamGroup::from_predicate(".attn.");
        let adapted = plain.clone().apply_lora(Adapter::new(2, 4.0).set_param_group(group));
        assert_eq!(run(&adapted), run(&plain), "adapters begin with what is there");
        let adapted = adapted.map(&mut Filled);
        let merged = adapted.clone().materialize();
        assert_eq!(merged.num_params(), plain.num_params());
        let ([base, with], merged) = ([run(&plain), run(&adapted)], run(&merged));
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
        assert!(apart(&with, &merged) < 1e-6 && apart(&with, &base) > 1e-2, "{}", apart(&with, &base));
    }
}
