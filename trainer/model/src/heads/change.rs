//! Change between two times, whose features the same encoder gave: what they differ by, and what they are.
//!
//! A siamese network with concatenation and difference (after Daudt, Le Saux and Boulch, ICIP 2018), on fused features: the
//! size of the difference and the difference itself go into a light head.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::segmentation::{SegmentationHead, SegmentationHeadConfig};
use crate::onnx::{Graph, Value};

/// Shape of a [`ChangeHead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeHeadConfig {
    /// Channels of the features of one time.
    pub channels: usize,
    /// Channels of the hidden map.
    pub hidden: usize,
    /// Number of classes, no change among them.
    pub classes: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub struct ChangeHead {
    pixels: SegmentationHead,
}

impl ChangeHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> ChangeHead {
        let Self { channels, hidden, classes } = *self;
        ChangeHead { pixels: SegmentationHeadConfig { channels: 3 * channels, hidden, classes }.init(device) }
    }
}

impl ChangeHead {
    /// Features of the earlier and of the later time `[batch, 2 · channel, height, width]` → logits
    /// `[batch, class, height, width]`.
    pub fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let channels = features.dims()[1] / 2;
        let (before, after) = (features.clone().narrow(1, 0, channels), features.narrow(1, channels, channels));
        let difference = after.clone() - before.clone();
        self.pixels.forward(Tensor::cat(vec![difference.clone().abs(), difference, after + before], 1))
    }

    /// The nodes of [`ChangeHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value) -> Value {
        let channels = self.pixels.channels() as i64 / 3;
        let before = graph.slice(features, 1, 0, channels);
        let after = graph.slice(features, 1, channels, 2 * channels);
        let difference = graph.op("Sub", &[&after, &before], &[]);
        let size = graph.op("Abs", &[&difference], &[]);
        let sum = graph.op("Add", &[&after, &before], &[]);
        let all = graph.concat(&[&size, &difference, &sum], 1);
        self.pixels.onnx(graph, &all)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.pixels.classes()
    }
}
