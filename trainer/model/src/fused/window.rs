//! Cosine attention in windows on packed projections.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use skysense_kernels::{Attention, WindowAttention, WindowGradients};

use super::primitive::{Place, give, ordered, place, tensor, values};

/// Packed queries, keys and values `[window, token, 3 · channel]`, a scale for each head, a bias `[head, token, token]` and
/// a mask `[window, token, token]` for window after window → the joined heads `[window, token, channel]`. `None` where
/// there is no kernel.
pub(crate) fn attend_in_windows(
    packed: &Tensor<3>,
    scale: &Tensor<1>,
    bias: &Tensor<3>,
    mask: Option<Vec<f32>>,
) -> Option<Tensor<3>> {
    let ([windows, tokens, channels], [heads]) = (packed.dims(), scale.dims());
    let shape = Attention { tokens, heads, width: channels / 3 / heads };
    let operation = Windowed { shape, mask };
    let joined = |values: Vec<f32>| tensor(values, [windows, tokens, channels / 3]);
    Some(match place([packed.into(), scale.into(), bias.into()])? {
        Place::Plain(inputs) => {
            let [packed, scale, bias] = inputs.map(|input| ordered(&input));
            let [given, _] = operation.with(&scale, &bias).forward(values(&packed));
            Tensor::from_primitive::<Flex>(joined(given))
        }
        Place::Recorded(inputs) => {
            let [(packed, packed_node), (scale, scale_node), (bias, bias_node)] =
                inputs.map(|input| input.into_parts());
            let [packed, scale, bias] = [packed, scale, bias].map(|input| ordered(&input));
            let [given, weights] = operation.with(&scale, &bias).forward(values(&packed));
            let given = joined(given);
            let nodes = [packed_node, scale_node, bias_node];
            let given = match operation.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => {
                    let count = weights.len();
                    prepared.finish([packed, scale, bias, tensor(weights, [count])], given)
                }
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
    })
}

#[derive(Debug)]
struct Windowed {
    shape: Attention,
    mask: Option<Vec<f32>>,
}

impl Windowed {
    fn with<'a>(&'a self, scale: &'a FlexTensor, bias: &'a FlexTensor) -> WindowAttention<'a> {
        WindowAttention { shape: self.shape, scale: values(scale), bias: values(bias), mask: self.mask.as_deref() }
    }
}

impl Backward<Flex, 3> for Windowed {
    /// Packed projections, scale, bias, weights.
    type State = [FlexTensor; 4];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let [packed, scale, bias, weights] = &ops.state;
        let given = self.with(scale, bias).backward(values(packed), values(weights), values(&gradient));
        let WindowGradients { packed: to_packed, scale: to_scale, bias: to_bias } = given;
        let to_packed = tensor(to_packed, packed.shape());
        let (to_scale, to_bias) = (tensor(to_scale, scale.shape()), tensor(to_bias, bias.shape()));
        give(ops, gradients, [Some(to_packed), Some(to_scale), Some(to_bias)]);
    }
}
