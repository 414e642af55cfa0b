//! A linear layer with weights as PyTorch stores them.

use std::ops::Range;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::fused;
use crate::onnx::{Graph, Value};
use crate::precision::like;

/// `y = x·Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`.
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Weights from a normal distribution of deviation `0.64 / √in`, which is the 0.02 that ViTs of 1024 channels
    /// start with, and keeps narrow ones from starting with branches that hardly speak (our choice); biases at zero.
    pub fn new(input: usize, output: usize, bias: bool, device: &Device) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: 0.64 / (input as f64).sqrt() };
        Self {
            weight: normal.init([output, input], device),
            bias: bias.then(|| Initializer::Zeros.init([output], device)),
        }
    }

    /// `[…, in]` → `[…, out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_part(x, 0..self.outputs())
    }

    /// Some of the outputs alone: `[…, in]` → `[…, outputs.len()]`.
    pub(crate) fn forward_part<const D: usize>(&self, x: Tensor<D>, outputs: Range<usize>) -> Tensor<D> {
        // As one matrix: with batch axes left in, Burn makes a gradient of the weights for each member of the batch
        // before it adds them up, which takes seven times as long for the short sequences of the fusion.
        let mut shape = x.dims();
        let width = shape[D - 1];
        let rows = x.reshape([shape.iter().product::<usize>() / width, width]);
        let (weight, bias) = self.part(outputs);
        let (weight, bias) = (like(weight, &rows), bias.map(|bias| like(bias, &rows)));
        shape[D - 1] = weight.dims()[0];
        fused::linear(rows, weight, bias).reshape(shape)
    }

    /// The nodes of [`Linear::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        self.onnx_part(graph, x, 0..self.outputs())
    }

    /// The nodes of [`Linear::forward_part`].
    pub(crate) fn onnx_part(&self, graph: &mut Graph, x: &Value, outputs: Range<usize>) -> Value {
        let (weight, bias) = self.part(outputs);
        let weight = graph.parameter("weight", weight.transpose());
        let product = graph.op("MatMul", &[x, &weight], &[]);
        match bias {
            Some(bias) => {
                let bias = graph.parameter("bias", bias);
                graph.op("Add", &[&product, &bias], &[])
            }
            None => product,
        }
    }

    fn outputs(&self) -> usize {
        self.weight.dims()[0]
    }

    /// Weights and biases of some outputs.
    fn part(&self, outputs: Range<usize>) -> (Tensor<2>, Option<Tensor<1>>) {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        if outputs == (0..self.outputs()) {
            return (weight, bias);
        }
        let length = outputs.len();
        (weight.narrow(0, outputs.start, length), bias.map(|bias| bias.narrow(0, outputs.start, length)))
    }
}
