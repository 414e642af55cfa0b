//! The region proposal network (Ren et al. 2015, arXiv:1506.01497, section 3.1): the same small head on every level.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::conv::Conv;
use crate::onnx::{Graph, Value};

/// A 3 × 3 convolution, and 1 × 1 ones for whether there is an object and where.
#[derive(Module, Debug)]
pub(super) struct RpnHead {
    conv: Conv,
    objectness: Conv,
    codes: Conv,
}

impl RpnHead {
    /// With `anchors` to a cell, each of which tells a box by `codes` numbers.
    pub(super) fn new(channels: usize, anchors: usize, codes: usize, device: &Device) -> Self {
        Self {
            conv: Conv::new([channels, channels, 3], (2.0 / (9 * channels) as f64).sqrt(), device),
            // The deviation of the paper.
            objectness: Conv::new([channels, anchors, 1], 0.01, device),
            codes: Conv::new([channels, anchors * codes, 1], 0.01, device),
        }
    }

    /// A level → logits `[batch, anchor, row, column]` and codes `[batch, anchor · code, row, column]`.
    pub(super) fn forward(&self, level: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let hidden = relu(self.conv.forward(level));
        (self.objectness.forward(hidden.clone()), self.codes.forward(hidden))
    }

    /// The nodes of [`RpnHead::forward`].
    pub(super) fn onnx(&self, graph: &mut Graph, level: &Value) -> (Value, Value) {
        let hidden = self.conv.onnx(graph, level);
        let hidden = graph.op("Relu", &[&hidden], &[]);
        (self.objectness.onnx(graph, &hidden), self.codes.onnx(graph, &hidden))
    }
}
