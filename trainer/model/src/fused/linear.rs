//! Linear layers.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use skysense_kernels::Linear;

use super::primitive::{Input, Place, Recorded, give, ordered, place, tensor, values};

/// `x·Wᵀ + b` for rows `[row, in]` and weights `[out, in]`.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let inputs: [Input; 2] = [(&x).into(), (&weight).into()];
    let kernel = match &bias {
        None => place(inputs).map(|inputs| match inputs {
            Place::Plain(inputs) => plain(inputs, None),
            Place::Recorded(inputs) => recorded(inputs),
        }),
        Some(bias) => {
            let [x, weight] = inputs;
            place([x, weight, bias.into()]).map(|inputs| match inputs {
                Place::Plain([x, weight, bias]) => plain([x, weight], Some(bias)),
                Place::Recorded(inputs) => recorded(inputs),
            })
        }
    };
    kernel.unwrap_or_else(|| burn::tensor::module::linear(x, weight.transpose(), bias))
}

fn plain(inputs: [FlexTensor; 2], bias: Option<FlexTensor>) -> Tensor<2> {
    let [x, weight] = inputs.map(|input| ordered(&input));
    Tensor::from_primitive::<Flex>(forward(&x, &weight, bias.map(|bias| ordered(&bias)).as_ref()))
}

fn recorded<const N: usize>(inputs: [Recorded; N]) -> Tensor<2>
where
    Product: Backward<Flex, N, State = [FlexTensor; 2]>,
{
    let sources = inputs.each_ref().map(|input| ordered(input.primitive()));
    let nodes = inputs.map(|input| input.into_parts().1);
    let given = forward(&sources[0], &sources[1], sources.get(2));
    let given = match Product.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let [x, weight] = [0, 1].map(|at: usize| sources[at].clone());
            prepared.finish([x, weight], given)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(given),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(given)
}

fn forward(x: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>) -> FlexTensor {
    let [rows, inputs] = x.shape().dims();
    let [outputs, _] = weight.shape().dims();
    tensor(Linear { weight: values(weight), inputs }.forward(values(x), bias.map(values)), [rows, outputs])
}

#[derive(Debug)]
struct Product;

/// The gradients that are asked for, of input, weights and bias.
fn gradients_of(state: &[FlexTensor; 2], gradient: &FlexTensor, asked: [bool; 3]) -> [Option<FlexTensor>; 3] {
    let [x, weight] = state;
    let ([rows, inputs], [outputs, _]) = (x.shape().dims(), weight.shape().dims());
    let (linear, gradient) = (Linear { weight: values(weight), inputs }, values(gradient));
    [
        asked[0].then(|| tensor(linear.input_gradient(gradient), [rows, inputs])),
        asked[1].then(|| tensor(linear.weight_gradient(values(x), gradient), [outputs, inputs])),
        asked[2].then(|| tensor(linear.bias_gradient(gradient), [outputs])),
    ]
}

impl Backward<Flex, 2> for Product {
    /// Input and weights.
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let asked = [ops.parents[0].is_some(), ops.parents[1].is_some(), false];
        let [x, weight, _] = gradients_of(&ops.state, &gradient, asked);
        give(ops, gradients, [x, weight]);
    }
}

impl Backward<Flex, 3> for Product {
    /// Input and weights.
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let given = gradients_of(&ops.state, &gradient, ops.parents.each_ref().map(Option::is_some));
        give(ops, gradients, given);
    }
}
