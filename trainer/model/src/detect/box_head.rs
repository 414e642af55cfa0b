//! The second stage: what a region holds and where exactly (two hidden layers, as in FPN, section 4.2).
//!
//! Boxes are told for all classes alike, as in Oriented R-CNN; Faster R-CNN has codes of its own for each class.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::linear::Linear;
use crate::onnx::{Graph, Value};

/// See the module.
#[derive(Module, Debug)]
pub(super) struct BoxHead {
    first: Linear,
    second: Linear,
    classes: Linear,
    codes: Linear,
}

/// What the head says of regions.
#[derive(Debug, Clone)]
pub struct Judged {
    /// `[region, class + 1]`, the last for nothing.
    pub logits: Tensor<2>,
    /// `[region, code]`.
    pub codes: Tensor<2>,
}

impl BoxHead {
    /// Reads `inputs` numbers of a region.
    pub(super) fn new([inputs, hidden, classes, codes]: [usize; 4], device: &Device) -> Self {
        Self {
            first: Linear::new(inputs, hidden, true, device),
            second: Linear::new(hidden, hidden, true, device),
            classes: Linear::new(hidden, classes + 1, true, device),
            codes: Linear::new(hidden, codes, true, device),
        }
    }

    /// Pooled features `[region, channel, bin, bin]`.
    pub(super) fn forward(&self, pooled: Tensor<4>) -> Judged {
        let [regions, channels, rows, columns] = pooled.dims();
        let hidden = relu(self.first.forward(pooled.reshape([regions, channels * rows * columns])));
        let hidden = relu(self.second.forward(hidden));
        Judged { logits: self.classes.forward(hidden.clone()), codes: self.codes.forward(hidden) }
    }

    /// The nodes of [`BoxHead::forward`]: logits and codes.
    pub(super) fn onnx(&self, graph: &mut Graph, pooled: &Value) -> (Value, Value) {
        let inputs = self.first.weight.dims()[1] as i64;
        let mut hidden = graph.reshape(pooled, &[-1, inputs]);
        for layer in [&self.first, &self.second] {
            let next = layer.onnx(graph, &hidden);
            hidden = graph.op("Relu", &[&next], &[]);
        }
        (self.classes.onnx(graph, &hidden), self.codes.onnx(graph, &hidden))
    }

    /// Numbers of a region that it reads.
    pub(super) fn inputs(&self) -> usize {
        self.first.weight.dims()[1]
    }

    /// Outputs: classes and one for nothing, codes.
    pub(super) fn outputs(&self) -> [usize; 2] {
        [self.classes.weight.dims()[0], self.codes.weight.dims()[0]]
    }
}
