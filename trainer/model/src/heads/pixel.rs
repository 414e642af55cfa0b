//! What is left of a head where the features are those of a decoder already: a 1 × 1 convolution.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;

/// Shape of a [`PixelHead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelHeadConfig {
    /// Channels of the features.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub struct PixelHead {
    classes_weight: Param<Tensor<4>>,
    classes_bias: Param<Tensor<1>>,
}

impl PixelHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> PixelHead {
        let Self { channels, classes } = *self;
        let std = (1.0 / channels as f64).sqrt();
        PixelHead {
            classes_weight: Initializer::Normal { mean: 0.0, std }.init([classes, channels, 1, 1], device),
            classes_bias: Initializer::Zeros.init([classes], device),
        }
    }
}

impl PixelHead {
    /// Features `[batch, channel, height, width]` → logits `[batch, class, height, width]`.
    pub fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let weight = like(self.classes_weight.val(), &features);
        let bias = like(self.classes_bias.val(), &features);
        conv2d(features, weight, Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
    }

    /// The nodes of [`PixelHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value) -> Value {
        let weight = graph.parameter("classes", self.classes_weight.val());
        let bias = graph.parameter("bias", self.classes_bias.val());
        graph.op("Conv", &[features, &weight, &bias], &[("kernel_shape", Attribute::Ints(vec![1, 1]))])
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes_bias.dims()[0]
    }
}
