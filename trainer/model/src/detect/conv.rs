//! A convolution that keeps the size of its map.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;

/// `side` × `side`, with zeros around the map.
#[derive(Module, Debug)]
pub(super) struct Conv {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Conv {
    /// Weights from a normal distribution of this deviation; biases at zero.
    pub(super) fn new([input, output, side]: [usize; 3], std: f64, device: &Device) -> Self {
        Self {
            weight: Initializer::Normal { mean: 0.0, std }.init([output, input, side, side], device),
            bias: Initializer::Zeros.init([output], device),
        }
    }

    /// `[batch, channel, height, width]` → the same with other channels.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let rim = self.weight.dims()[2] / 2;
        let options = ConvOptions::new([1, 1], [rim, rim], [1, 1], 1);
        let (weight, bias) = (like(self.weight.val(), &x), like(self.bias.val(), &x));
        conv2d(x, weight, Some(bias), options)
    }

    /// The node of [`Conv::forward`].
    pub(super) fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        let side = self.weight.dims()[2];
        let weight = graph.parameter("weight", self.weight.val());
        let bias = graph.parameter("bias", self.bias.val());
        let around = [
            ("kernel_shape", Attribute::Ints(vec![side as i64; 2])),
            ("pads", Attribute::Ints(vec![(side / 2) as i64; 4])),
        ];
        graph.op("Conv", &[x, &weight, &bias], &around)
    }
}
