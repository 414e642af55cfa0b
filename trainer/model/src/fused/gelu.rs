//! The exact GELU.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use skysense_kernels as kernels;

use super::primitive::{Place, give, ordered, place, tensor, values};

/// `x · Φ(x)`.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match place([(&x).into()]) {
        None => burn::tensor::activation::gelu(x),
        Some(Place::Plain([x])) => Tensor::from_primitive::<Flex>(forward(&ordered(&x))),
        Some(Place::Recorded([x])) => {
            let (primitive, node) = x.into_parts();
            let x = ordered(&primitive);
            let given = forward(&x);
            let given = match Gelu.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(x, given),
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
    }
}

fn forward(x: &FlexTensor) -> FlexTensor {
    tensor(kernels::gelu(values(x)), x.shape())
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let given = kernels::gelu_backward(values(&ops.state), values(&gradient));
        let given = tensor(given, ops.state.shape());
        give(ops, gradients, [Some(given)]);
    }
}
