//! Scaling of the loss for half precision.
//!
//! Gradients of activations are small, and half precision has nothing below 6e-8. The loss is multiplied before the
//! backward pass and the gradients of the weights, which are in single precision, are divided after it. The factor
//! follows the gradients: halved when one is not finite, doubled after [`GROWTH`] steps without such (Micikevicius et al.,
//! 2018, arXiv:1710.03740; the numbers are those of PyTorch's `GradScaler`).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use skysense_model::Precision;

/// Factor at the start.
const START: f32 = 65536.0;

/// Steps without an overflow after which the factor is doubled.
const GROWTH: usize = 2000;

/// What the loss is multiplied with; 1 where the precision has the range of single precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    factor: f32,
    /// Steps since the factor changed; `None` where it never does.
    steps: Option<usize>,
}

impl Default for LossScale {
    fn default() -> Self {
        Self::new(Precision::F32)
    }
}

impl LossScale {
    pub(crate) fn new(precision: Precision) -> Self {
        match precision {
            Precision::F16 => Self { factor: START, steps: Some(0) },
            Precision::F32 | Precision::Bf16 => Self { factor: 1.0, steps: None },
        }
    }

    /// The loss to take gradients of.
    pub(crate) fn scale(&self, loss: Tensor<1>) -> Tensor<1> {
        if self.steps.is_some() { loss * self.factor } else { loss }
    }

    /// Gradients of the loss itself; `None` where one of them is not finite.
    pub(crate) fn unscale<M: Module>(&mut self, mut gradients: GradientsParams, module: &M) -> Option<GradientsParams> {
        let Some(steps) = self.steps else { return Some(gradients) };
        let mut unscale = Unscale { gradients: &mut gradients, factor: 1.0 / self.factor, sum: None };
        module.visit(&mut unscale);
        let finite = unscale.sum.is_none_or(|sum| sum.into_scalar::<f32>().is_finite());
        let change = if !finite {
            0.5
        } else if steps + 1 == GROWTH {
            2.0
        } else {
            1.0
        };
        self.factor *= change;
        self.steps = Some(if change == 1.0 { steps + 1 } else { 0 });
        finite.then_some(gradients)
    }

    /// Whether no factor helps: gradients overflow without one.
    pub(crate) fn spent(&self) -> bool {
        self.factor < 1.0
    }
}

/// Divides gradients, and adds up their sizes: not finite if one is not.
struct Unscale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f32,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Unscale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let gradient = gradient * self.factor;
        let size = gradient.clone().abs().sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + size,
            None => size,
        });
        self.gradients.register(param.id, gradient);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    fn gradients(of: f32, scale: &LossScale) -> (One, GradientsParams) {
        let weight = Tensor::<1>::from_floats([1.0], &Device::flex().autodiff());
        let module = One { weight: Param::from_tensor(weight) };
        let gradients = scale.scale(module.weight.val() * of).backward();
        let gradients = GradientsParams::from_grads(gradients, &module);
        (module, gradients)
    }

    #[test]
    fn gradients_come_back_as_they_were_and_an_overflow_halves_the_factor() {
        let mut scale = LossScale::new(Precision::F16);
        let (module, found) = gradients(3.0, &scale);
        assert_eq!(found.get::<1>(module.weight.id).unwrap().into_scalar::<f32>(), 3.0 * START);
        let found = scale.unscale(found, &module).unwrap();
        assert_eq!(found.get::<1>(module.weight.id).unwrap().into_scalar::<f32>(), 3.0);
        let (module, found) = gradients(f32::INFINITY, &scale);
        assert!(scale.unscale(found, &module).is_none());
        assert_eq!(scale, LossScale { factor: START / 2.0, steps: Some(0) });
        scale.steps = Some(GROWTH - 1);
        let (module, found) = gradients(1.0, &scale);
        assert!(scale.unscale(found, &module).is_some() && !scale.spent());
        assert_eq!(scale, LossScale { factor: START, steps: Some(0) });
    }

    #[test]
    fn other_precisions_are_left_alone() {
        let mut scale = LossScale::new(Precision::Bf16);
        let (module, found) = gradients(3.0, &scale);
        let found = scale.unscale(found, &module).unwrap();
        assert_eq!(found.get::<1>(module.weight.id).unwrap().into_scalar::<f32>(), 3.0);
        assert_eq!(scale, LossScale::default());
    }
}
