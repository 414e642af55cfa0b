//! A light head for semantic segmentation.

use crate::fused::gelu;
use burn::module::{Initializer, Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;

/// Shape of a [`SegmentationHead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentationHeadConfig {
    /// Channels of the features.
    pub channels: usize,
    /// Channels of the hidden map.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
}

/// A 3 × 3 convolution, GELU, a 1 × 1 convolution.
#[derive(Module, Debug)]
pub struct SegmentationHead {
    neighbours_weight: Param<Tensor<4>>,
    neighbours_bias: Param<Tensor<1>>,
    classes_weight: Param<Tensor<4>>,
    classes_bias: Param<Tensor<1>>,
}

impl SegmentationHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> SegmentationHead {
        let normal = |fan_in: usize| Initializer::Normal { mean: 0.0, std: (1.0 / fan_in as f64).sqrt() };
        SegmentationHead {
            neighbours_weight: normal(9 * self.channels).init([self.hidden, self.channels, 3, 3], device),
            neighbours_bias: Initializer::Zeros.init([self.hidden], device),
            classes_weight: normal(self.hidden).init([self.classes, self.hidden, 1, 1], device),
            classes_bias: Initializer::Zeros.init([self.classes], device),
        }
    }
}

impl SegmentationHead {
    /// Features `[batch, channel, height, width]` → logits `[batch, class, height, width]`.
    pub fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let around = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let weight = like(self.neighbours_weight.val(), &features);
        let bias = like(self.neighbours_bias.val(), &features);
        let hidden = gelu(conv2d(features, weight, Some(bias), around));
        let alone = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let (weight, bias) = (like(self.classes_weight.val(), &hidden), like(self.classes_bias.val(), &hidden));
        conv2d(hidden, weight, Some(bias), alone)
    }

    /// The nodes of [`SegmentationHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value) -> Value {
        let weight = graph.parameter("neighbours", self.neighbours_weight.val());
        let bias = graph.parameter("bias", self.neighbours_bias.val());
        let around = [("kernel_shape", Attribute::Ints(vec![3, 3])), ("pads", Attribute::Ints(vec![1; 4]))];
        let hidden = graph.op("Conv", &[features, &weight, &bias], &around);
        let hidden = graph.op("Gelu", &[&hidden], &[]);
        let weight = graph.parameter("classes", self.classes_weight.val());
        let bias = graph.parameter("bias", self.classes_bias.val());
        graph.op("Conv", &[&hidden, &weight, &bias], &[("kernel_shape", Attribute::Ints(vec![1, 1]))])
    }

    /// Channels of the features.
    pub fn channels(&self) -> usize {
        self.neighbours_weight.dims()[1]
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes_bias.dims()[0]
    }
}
