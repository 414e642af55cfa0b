//! Layer normalisation over the last axis.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::fused;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::{like, single};

/// `y = (x − mean) / √(variance + ε) · weight + bias` over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Starts as the plain normalisation.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([width], device),
            bias: Initializer::Zeros.init([width], device),
            epsilon,
        }
    }

    /// `[…, channel]` → the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let normed = fused::layer_norm(single(x.clone()), self.weight.val(), self.bias.val(), self.epsilon);
        like(normed, &x)
    }

    /// The node of [`LayerNorm::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        let weight = graph.parameter("weight", self.weight.val());
        let bias = graph.parameter("bias", self.bias.val());
        graph.op(
            "LayerNormalization",
            &[x, &weight, &bias],
            &[("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(self.epsilon as f32))],
        )
    }
}
