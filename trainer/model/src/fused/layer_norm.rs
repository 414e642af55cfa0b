//! Layer normalisation over the last axis.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use skysense_kernels::{LayerNorm, Normed};

use super::primitive::{Place, give, ordered, place, tensor, values};

/// `(x − mean) / √(variance + ε) · weight + bias` over the last axis.
pub(crate) fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    match place([(&x).into(), (&weight).into(), (&bias).into()]) {
        None => burn::tensor::module::layer_norm(x, weight, Some(bias), epsilon),
        Some(Place::Plain(inputs)) => {
            let [x, weight, bias] = inputs.map(|input| ordered(&input));
            let shape = x.shape();
            let norm = LayerNorm { weight: values(&weight), bias: values(&bias), epsilon: epsilon as f32 };
            Tensor::from_primitive::<Flex>(tensor(norm.forward(values(&x)).given, shape))
        }
        Some(Place::Recorded(inputs)) => {
            let [(x, x_node), (weight, weight_node), (bias, bias_node)] = inputs.map(|input| input.into_parts());
            let [x, weight, bias] = [x, weight, bias].map(|input| ordered(&input));
            let norm = LayerNorm { weight: values(&weight), bias: values(&bias), epsilon: epsilon as f32 };
            let Normed { given, moments } = norm.forward(values(&x));
            let given = tensor(given, x.shape());
            let operation = Norm { epsilon: epsilon as f32 };
            let nodes = [x_node, weight_node, bias_node];
            let given = match operation.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => {
                    let rows = moments.len() / 2;
                    prepared.finish([x, tensor(moments, [rows, 2]), weight, bias], given)
                }
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
    }
}

#[derive(Debug)]
struct Norm {
    epsilon: f32,
}

impl Backward<Flex, 3> for Norm {
    /// Input, moments, weight, bias.
    type State = [FlexTensor; 4];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let [x, moments, weight, bias] = &ops.state;
        let norm = LayerNorm { weight: values(weight), bias: values(bias), epsilon: self.epsilon };
        let given = norm.backward(values(x), values(moments), values(&gradient));
        let width = given.weight.len();
        let input = tensor(given.input, x.shape());
        let (weight, bias) = (tensor(given.weight, [width]), tensor(given.bias, [width]));
        give(ops, gradients, [Some(input), Some(weight), Some(bias)]);
    }
}
