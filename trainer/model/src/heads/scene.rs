//! Classes of a whole chip: the mean over its pixels, a norm, a linear map.
//!
//! What it gives stands on every pixel of the chip, so that chips that overlap blend as maps do.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::onnx::{Attribute, Graph, Value};

/// Shape of a [`SceneHead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneHeadConfig {
    /// Channels of the features.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub struct SceneHead {
    norm: LayerNorm,
    classes: Linear,
}

impl SceneHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> SceneHead {
        SceneHead {
            norm: LayerNorm::new(self.channels, 1e-6, device),
            classes: Linear::new(self.channels, self.classes, true, device),
        }
    }
}

impl SceneHead {
    /// Features `[batch, channel, height, width]` → logits `[batch, class]`.
    pub fn chips(&self, features: Tensor<4>) -> Tensor<2> {
        let [batch, channel, height, width] = features.dims();
        let mean: Tensor<2> = features.reshape([batch, channel, height * width]).mean_dim(2).reshape([batch, channel]);
        self.classes.forward(self.norm.forward(mean))
    }

    /// As [`SceneHead::chips`], on every pixel: `[batch, class, height, width]`.
    pub fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = features.dims();
        let logits = self.chips(features);
        let class = logits.dims()[1];
        logits.reshape([batch, class, 1, 1]).repeat(&[1, 1, height, width])
    }

    /// The nodes of [`SceneHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value, [height, width]: [usize; 2]) -> Value {
        let axes = graph.ints(&[2, 3]);
        let mean = graph.op("ReduceMean", &[features, &axes], &[("keepdims", Attribute::Int(0))]);
        let normed = self.norm.onnx(graph, &mean);
        let logits = self.classes.onnx(graph, &normed);
        let logits = graph.reshape(&logits, &[0, 0, 1, 1]);
        let everywhere = graph.floats("ones", &vec![1.0; height * width], &[1, 1, height, width]);
        graph.op("Mul", &[&logits, &everywhere], &[])
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes.weight.dims()[0]
    }
}
