//! A linear layer with weights as PyTorch stores them.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::onnx::{Graph, Value};

/// `y = x·Wᵀ + b`.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[out, in]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`.
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Weights from a normal distribution of deviation 0.02, as ViTs start; biases at zero.
    pub(crate) fn new(input: usize, output: usize, bias: bool, device: &Device) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        Self {
            weight: normal.init([output, input], device),
            bias: bias.then(|| Initializer::Zeros.init([output], device)),
        }
    }

    /// `[…, in]` → `[…, out]`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        // As one matrix: with batch axes left in, Burn makes a gradient of the weights for each member of the batch
        // before it adds them up, which takes seven times as long for the short sequences of the fusion.
        let mut shape = x.dims();
        let width = shape[D - 1];
        let rows = x.reshape([shape.iter().product::<usize>() / width, width]);
        let bias = self.bias.as_ref().map(Param::val);
        shape[D - 1] = self.weight.dims()[0];
        burn::tensor::module::linear(rows, self.weight.val().transpose(), bias).reshape(shape)
    }

    /// The nodes of [`Linear::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        let weight = graph.parameter("weight", self.weight.val().transpose());
        let product = graph.op("MatMul", &[x, &weight], &[]);
        match &self.bias {
            Some(bias) => {
                let bias = graph.parameter("bias", bias.val());
                graph.op("Add", &[&product, &bias], &[])
            }
            None => product,
        }
    }
}
