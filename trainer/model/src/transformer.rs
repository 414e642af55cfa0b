//! The pre-norm transformer layer that the series encoders and the fusion share.
//!
//! `x = x + attention(ln1(x)); x = x + feed_forward(ln2(x))`, exact GELU, stochastic depth on the
//! feed-forward branch only: the layer of the official code.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::draws::Draws;
use crate::drop_path::DropPath;
use crate::fused;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::{like, single};

/// Added to the logits of keys that must not be seen: their weight becomes exactly zero in f32.
pub const HIDDEN: f32 = -1e9;

/// Widths of a layer.
#[derive(Debug, Clone, Copy)]
pub struct LayerWidths {
    /// Channels of a token.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward branch in channels.
    pub mlp_ratio: usize,
    /// Epsilon of the norms.
    pub epsilon: f64,
}

/// One layer.
#[derive(Module, Debug)]
pub struct TransformerLayer {
    ln1: LayerNorm,
    attn: Attention,
    ln2: LayerNorm,
    ffn: FeedForward,
    drop_path: DropPath,
}

impl TransformerLayer {
    /// A layer that drops its feed-forward branch with probability `drop`.
    pub fn new(widths: LayerWidths, drop: f64, device: &Device) -> Self {
        let LayerWidths { channels, heads, mlp_ratio, epsilon } = widths;
        Self {
            ln1: LayerNorm::new(channels, epsilon, device),
            attn: Attention::new(channels, heads, device),
            ln2: LayerNorm::new(channels, epsilon, device),
            ffn: FeedForward::new(channels, mlp_ratio, device),
            drop_path: DropPath::new(drop),
        }
    }

    /// `[group · member, token, channel]` → the same shape.
    ///
    /// `hidden` is `[group, 1, 1, token]`, added to the logits of every member of a group: 0 for keys that are
    /// seen, [`HIDDEN`] for others. Members of one group are the positions of one chip, which lack the same dates.
    pub(crate) fn forward(&self, x: Tensor<3>, hidden: Option<&Tensor<4>>, draws: &Draws) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.ln1.forward(x), hidden);
        self.widen(x, draws)
    }

    /// `[group · member, token, channel]` → the same shape, by a layer that drops nothing. `hidden` is `[group, 1, 1, token]`,
    /// added to the logits of every member of a group: 0 for keys that are seen, [`HIDDEN`] for others.
    pub fn apply(&self, x: Tensor<3>, hidden: Option<&Tensor<4>>) -> Tensor<3> {
        self.forward(x, hidden, &Draws::of_device())
    }

    /// What [`TransformerLayer::forward`] gives for the first token alone, `[group · member, 1, channel]`, without
    /// the work on the others: the last layer of a stack whose first token is all that is read.
    pub(crate) fn forward_first(&self, x: Tensor<3>, hidden: Option<&Tensor<4>>, draws: &Draws) -> Tensor<3> {
        let first = x.clone().narrow(1, 0, 1);
        self.widen(first + self.attn.forward_first(self.ln1.forward(x), hidden), draws)
    }

    fn widen(&self, x: Tensor<3>, draws: &Draws) -> Tensor<3> {
        x.clone() + self.drop_path.forward(self.ffn.forward(self.ln2.forward(x)), draws)
    }

    /// The nodes of [`TransformerLayer::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value, hidden: Option<&Value>) -> Value {
        let normed = self.ln1.onnx(graph, x);
        let branch = self.attn.onnx(graph, &normed, hidden);
        self.widen_onnx(graph, x, &branch)
    }

    /// The nodes of [`TransformerLayer::forward_first`].
    pub(crate) fn onnx_first(&self, graph: &mut Graph, x: &Value, hidden: Option<&Value>) -> Value {
        let normed = self.ln1.onnx(graph, x);
        let branch = self.attn.onnx_first(graph, &normed, hidden);
        let first = graph.slice(x, 1, 0, 1);
        self.widen_onnx(graph, &first, &branch)
    }

    fn widen_onnx(&self, graph: &mut Graph, x: &Value, attended: &Value) -> Value {
        let x = graph.op("Add", &[x, attended], &[]);
        let normed = self.ln2.onnx(graph, &x);
        let branch = self.ffn.onnx(graph, &normed);
        graph.op("Add", &[&x, &branch], &[])
    }
}

/// Multi-head attention with packed projections, as `torch.nn.MultiheadAttention`.
#[derive(Module, Debug)]
struct Attention {
    in_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    fn new(channels: usize, heads: usize, device: &Device) -> Self {
        Self {
            in_proj: Linear::new(channels, 3 * channels, true, device),
            out_proj: Linear::new(channels, channels, true, device),
            heads,
        }
    }

    fn forward(&self, x: Tensor<3>, hidden: Option<&Tensor<4>>) -> Tensor<3> {
        let packed = self.in_proj.forward(x);
        if let Some(joined) = fused::attend(&packed, self.heads, hidden) {
            return self.out_proj.forward(joined);
        }
        let [query, key, value] = self.heads_of(packed);
        self.attend(query, key, value, hidden)
    }

    /// As [`Attention::forward`] for the query of the first token alone.
    fn forward_first(&self, x: Tensor<3>, hidden: Option<&Tensor<4>>) -> Tensor<3> {
        let [_, _, channel] = x.dims();
        let query = self.in_proj.forward_part(x.clone().narrow(1, 0, 1), 0..channel);
        let packed = self.in_proj.forward_part(x, channel..3 * channel);
        if let Some(joined) = fused::attend_first(&query, &packed, self.heads, hidden) {
            return self.out_proj.forward(joined);
        }
        let ([query], [key, value]) = (self.heads_of(query), self.heads_of(packed));
        self.attend(query, key, value, hidden)
    }

    /// `[batch, token, part · channel]` → for each part `[batch, head, token, channel / head]`.
    fn heads_of<const PARTS: usize>(&self, packed: Tensor<3>) -> [Tensor<4>; PARTS] {
        let [batch, token, channels] = packed.dims();
        let width = channels / PARTS / self.heads;
        let packed = packed.reshape([batch, token, PARTS, self.heads, width]).permute([2, 0, 3, 1, 4]);
        std::array::from_fn(|part| packed.clone().narrow(0, part, 1).reshape([batch, self.heads, token, width]))
    }

    fn attend(&self, query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, hidden: Option<&Tensor<4>>) -> Tensor<3> {
        let [batch, heads, token, width] = query.dims();
        let query = query * (width as f64).powf(-0.5);
        let weights = softmax(hide(single(query.matmul(key.swap_dims(2, 3))), hidden), 3);
        let joined = like(weights, &value).matmul(value).swap_dims(1, 2).reshape([batch, token, heads * width]);
        self.out_proj.forward(joined)
    }

    fn onnx(&self, graph: &mut Graph, x: &Value, hidden: Option<&Value>) -> Value {
        let packed = self.in_proj.onnx(graph, x);
        let [query, key, value] = self.heads_of_onnx(graph, &packed);
        self.attend_onnx(graph, [query, key, value], hidden)
    }

    fn onnx_first(&self, graph: &mut Graph, x: &Value, hidden: Option<&Value>) -> Value {
        let channel = self.channels();
        let first = graph.slice(x, 1, 0, 1);
        let query = self.in_proj.onnx_part(graph, &first, 0..channel);
        let packed = self.in_proj.onnx_part(graph, x, channel..3 * channel);
        let [query] = self.heads_of_onnx(graph, &query);
        let [key, value] = self.heads_of_onnx(graph, &packed);
        self.attend_onnx(graph, [query, key, value], hidden)
    }

    fn heads_of_onnx<const PARTS: usize>(&self, graph: &mut Graph, packed: &Value) -> [Value; PARTS] {
        let (heads, width) = (self.heads as i64, (self.channels() / self.heads) as i64);
        let packed = graph.reshape(packed, &[0, 0, PARTS as i64, heads, width]);
        let packed = graph.permute(&packed, &[2, 0, 3, 1, 4]);
        std::array::from_fn(|part| {
            let part = graph.int(part as i64);
            graph.op("Gather", &[&packed, &part], &[("axis", Attribute::Int(0))])
        })
    }

    fn attend_onnx(&self, graph: &mut Graph, [query, key, value]: [Value; 3], hidden: Option<&Value>) -> Value {
        let width = self.channels() / self.heads;
        let scale = graph.float((width as f32).powf(-0.5));
        let query = graph.op("Mul", &[&query, &scale], &[]);
        let key = graph.permute(&key, &[0, 1, 3, 2]);
        let mut logits = graph.op("MatMul", &[&query, &key], &[]);
        if let Some(hidden) = hidden {
            logits = hide_onnx(graph, &logits, hidden);
        }
        let weights = graph.op("Softmax", &[&logits], &[("axis", Attribute::Int(-1))]);
        let joined = graph.op("MatMul", &[&weights, &value], &[]);
        let joined = graph.permute(&joined, &[0, 2, 1, 3]);
        let joined = graph.reshape(&joined, &[0, 0, self.channels() as i64]);
        self.out_proj.onnx(graph, &joined)
    }

    fn channels(&self) -> usize {
        self.out_proj.weight.dims()[0]
    }
}

/// Adds `hidden` `[group, 1, 1, key]` to logits `[group · member, head, query, key]`.
fn hide(logits: Tensor<4>, hidden: Option<&Tensor<4>>) -> Tensor<4> {
    let Some(hidden) = hidden else { return logits };
    let [batch, heads, query, key] = logits.dims();
    let group = hidden.dims()[0];
    let grouped = logits.reshape([group, batch / group * heads, query, key]) + hidden.clone();
    grouped.reshape([batch, heads, query, key])
}

fn hide_onnx(graph: &mut Graph, logits: &Value, hidden: &Value) -> Value {
    let shape = graph.op("Shape", &[logits], &[]);
    let (query, key) = (graph.side(logits, 2), graph.side(logits, 3));
    let (group, rest) = (graph.side(hidden, 0), graph.ints(&[-1]));
    let grouped = graph.concat(&[&group, &rest, &query, &key], 0);
    let grouped = graph.op("Reshape", &[logits, &grouped], &[]);
    let grouped = graph.op("Add", &[&grouped, hidden], &[]);
    graph.op("Reshape", &[&grouped, &shape], &[])
}

/// Two linear layers with an exact GELU between.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    expand: Linear,
    contract: Linear,
}

impl FeedForward {
    pub(crate) fn new(channels: usize, ratio: usize, device: &Device) -> Self {
        Self {
            expand: Linear::new(channels, channels * ratio, true, device),
            contract: Linear::new(channels * ratio, channels, true, device),
        }
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.contract.forward(fused::gelu(self.expand.forward(x)))
    }

    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        let wide = self.expand.onnx(graph, x);
        let wide = graph.op("Gelu", &[&wide], &[]);
        self.contract.onnx(graph, &wide)
    }
}
