//! Patch merging: 2 × 2 neighbours become one token of twice the channels.

use burn::module::Module;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};

use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::onnx::{Graph, Value};

/// Reads neighbours in the order of PyTorch's `Unfold`, `channel · 4 + row · 2 + column`; projects, then normalises.
#[derive(Module, Debug)]
pub(super) struct PatchMerging {
    reduction: Linear,
    norm: LayerNorm,
}

impl PatchMerging {
    pub(super) fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            reduction: Linear::new(4 * channels, 2 * channels, false, device),
            norm: LayerNorm::new(2 * channels, epsilon, device),
        }
    }

    /// `[batch, height, width, channel]` → half the sides, rounded up, and twice the channels.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channel] = x.dims();
        let (bottom, right) = (height % 2, width % 2);
        let x = if bottom + right > 0 {
            x.pad([(0, 0), (0, bottom), (0, right), (0, 0)], PadMode::Constant(0.0))
        } else {
            x
        };
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        let pairs = x.reshape([batch, rows, 2, columns, 2, channel]).permute([0, 1, 3, 5, 2, 4]);
        self.norm.forward(self.reduction.forward(pairs.reshape([batch, rows, columns, 4 * channel])))
    }

    /// The nodes of [`PatchMerging::forward`].
    pub(super) fn onnx(&self, graph: &mut Graph, x: &Value, [height, width]: [usize; 2]) -> Value {
        let (bottom, right) = ((height % 2) as i64, (width % 2) as i64);
        let x = if bottom + right > 0 { graph.pad(x, &[0, 0, 0, 0, 0, bottom, right, 0]) } else { x.clone() };
        let (rows, columns) = (height.div_ceil(2) as i64, width.div_ceil(2) as i64);
        let merged = self.reduction.weight.dims()[1] as i64;
        let pairs = graph.reshape(&x, &[-1, rows, 2, columns, 2, merged / 4]);
        let pairs = graph.permute(&pairs, &[0, 1, 3, 5, 2, 4]);
        let rows = graph.reshape(&pairs, &[-1, rows, columns, merged]);
        let rows = self.reduction.onnx(graph, &rows);
        self.norm.onnx(graph, &rows)
    }
}
