//! One block: windowed attention and a feed-forward branch, each normalised after and added.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::attention::{AttentionConfig, WindowAttention};
use super::window::Windows;
use crate::draws::Draws;
use crate::drop_path::DropPath;
use crate::norm::LayerNorm;
use crate::onnx::{Graph, Value};
use crate::transformer::FeedForward;

/// What a block is made of.
pub(super) struct BlockConfig {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) window: usize,
    pub(super) pretrained_window: usize,
    pub(super) shift: usize,
    pub(super) pad_small_map: bool,
    pub(super) bias_hidden: usize,
    pub(super) mlp_ratio: usize,
    pub(super) epsilon: f64,
    pub(super) extra_norm: bool,
    pub(super) drop_path: f64,
}

/// `x = x + norm1(attention(x)); x = x + norm2(feed_forward(x)); x = norm3(x)` where it has a third norm.
///
/// Stochastic depth comes before the norms, so a dropped sample adds the norm's bias and not nothing.
#[derive(Module, Debug)]
pub(super) struct SwinBlock {
    attn: WindowAttention,
    norm1: LayerNorm,
    ffn: FeedForward,
    norm2: LayerNorm,
    norm3: Option<LayerNorm>,
    drop_path: DropPath,
    window: usize,
    shift: usize,
    pad_small_map: bool,
}

impl BlockConfig {
    pub(super) fn init(&self, device: &Device) -> SwinBlock {
        let norm = || LayerNorm::new(self.channels, self.epsilon, device);
        SwinBlock {
            attn: AttentionConfig {
                channels: self.channels,
                heads: self.heads,
                window: self.window,
                pretrained_window: self.pretrained_window,
                bias_hidden: self.bias_hidden,
            }
            .init(device),
            norm1: norm(),
            ffn: FeedForward::new(self.channels, self.mlp_ratio, device),
            norm2: norm(),
            norm3: self.extra_norm.then(norm),
            drop_path: DropPath::new(self.drop_path),
            window: self.window,
            shift: self.shift,
            pad_small_map: self.pad_small_map,
        }
    }
}

impl SwinBlock {
    /// `[batch, height, width, channel]` → the same shape.
    pub(super) fn forward(&self, x: Tensor<4>, draws: &Draws) -> Tensor<4> {
        let [_, height, width, _] = x.dims();
        let windows = self.windows([height, width]);
        let attended = windows.join(self.attn.forward(windows.split(x.clone()), &windows));
        let x = x + self.norm1.forward(self.drop_path.forward(attended, draws));
        let x = x.clone() + self.norm2.forward(self.drop_path.forward(self.ffn.forward(x), draws));
        match &self.norm3 {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// The nodes of [`SwinBlock::forward`].
    pub(super) fn onnx(&self, graph: &mut Graph, x: &Value, size: [usize; 2]) -> Value {
        let windows = self.windows(size);
        let channels = self.norm1.weight.dims()[0];
        let split = windows.split_onnx(graph, x, channels);
        let attended = self.attn.onnx(graph, &split, &windows);
        let attended = windows.join_onnx(graph, &attended, channels);
        let branch = self.norm1.onnx(graph, &attended);
        let x = graph.op("Add", &[x, &branch], &[]);
        let branch = self.ffn.onnx(graph, &x);
        let branch = self.norm2.onnx(graph, &branch);
        let x = graph.op("Add", &[&x, &branch], &[]);
        match &self.norm3 {
            Some(norm) => norm.onnx(graph, &x),
            None => x,
        }
    }

    fn windows(&self, size: [usize; 2]) -> Windows {
        Windows::new(size, self.window, self.shift, self.pad_small_map)
    }
}
