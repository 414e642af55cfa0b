//! Cosine attention in a window with a continuous position bias.
//!
//! `logits = cos(q, k) · exp(min(scale, ln 100)) + 16 · sigmoid(bias)`; the bias comes from a small network over
//! logarithmic distances. Queries and values have a bias, keys have none.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::window::Windows;
use crate::fused;
use crate::linear::Linear;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::{like, single};

/// Keeps zero vectors, which padding makes, from dividing by zero.
const TINY: f64 = 1e-12;

pub(super) struct AttentionConfig {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) window: usize,
    pub(super) pretrained_window: usize,
    pub(super) bias_hidden: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub(super) struct WindowAttention {
    /// `[head, 1, 1]`, a logarithm.
    logit_scale: Param<Tensor<3>>,
    q_bias: Param<Tensor<1>>,
    v_bias: Param<Tensor<1>>,
    cpb_first: Linear,
    cpb_second: Linear,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    window: usize,
    pretrained_window: usize,
}

impl AttentionConfig {
    pub(super) fn init(&self, device: &Device) -> WindowAttention {
        let (channels, heads) = (self.channels, self.heads);
        WindowAttention {
            logit_scale: Initializer::Constant { value: 10f64.ln() }.init([heads, 1, 1], device),
            q_bias: Initializer::Zeros.init([channels], device),
            v_bias: Initializer::Zeros.init([channels], device),
            cpb_first: Linear::new(2, self.bias_hidden, true, device),
            cpb_second: Linear::new(self.bias_hidden, heads, false, device),
            qkv: Linear::new(channels, 3 * channels, false, device),
            proj: Linear::new(channels, channels, true, device),
            heads,
            window: self.window,
            pretrained_window: self.pretrained_window,
        }
    }
}

impl WindowAttention {
    /// `[batch · window, token, channel]` → the same shape.
    pub(super) fn forward(&self, x: Tensor<3>, windows: &Windows) -> Tensor<3> {
        let [batch, token, channel] = x.dims();
        let (heads, width, device) = (self.heads, channel / self.heads, x.device());
        let packed = self.project(x);
        let (scale, bias) = (self.scale().reshape([heads]), self.bias(&device).reshape([heads, token, token]));
        let mask = windows.mask().map(|(mask, _)| mask);
        if let Some(joined) = fused::attend_in_windows(&packed, &scale, &bias, mask) {
            return self.proj.forward(joined);
        }
        let packed = packed.reshape([batch, token, 3, heads, width]).permute([2, 0, 3, 1, 4]);
        let part = |index: usize| packed.clone().narrow(0, index, 1).reshape([batch, heads, token, width]);
        let cosines = single(unit(part(0)).matmul(unit(part(1)).swap_dims(2, 3)));
        let logits = cosines * scale.reshape([1, heads, 1, 1]);
        let mut logits = logits + bias.reshape([1, heads, token, token]);
        if let Some(mask) = windows.mask_tensor(&device) {
            let count = windows.count();
            let masked = logits.reshape([batch / count, count, heads, token * token])
                + mask.reshape([1, count, 1, token * token]);
            logits = masked.reshape([batch, heads, token, token]);
        }
        let value = part(2);
        let joined = like(softmax(logits, 3), &value).matmul(value).swap_dims(1, 2).reshape([batch, token, channel]);
        self.proj.forward(joined)
    }

    /// The nodes of [`WindowAttention::forward`]; the bias is a constant there.
    pub(super) fn onnx(&self, graph: &mut Graph, x: &Value, windows: &Windows) -> Value {
        let channel = self.proj.weight.dims()[0];
        let (heads, token) = (self.heads as i64, (self.window * self.window) as i64);
        let packed = self.qkv.onnx(graph, x);
        let bias = graph.parameter("qkv_bias", self.packed_bias());
        let packed = graph.op("Add", &[&packed, &bias], &[]);
        let packed = graph.reshape(&packed, &[-1, token, 3, heads, channel as i64 / heads]);
        let packed = graph.permute(&packed, &[2, 0, 3, 1, 4]);
        let part = |index: i64, graph: &mut Graph| {
            let index = graph.int(index);
            graph.op("Gather", &[&packed, &index], &[("axis", Attribute::Int(0))])
        };
        let (query, key, value) = (part(0, graph), part(1, graph), part(2, graph));
        let (query, key) = (unit_onnx(graph, &query), unit_onnx(graph, &key));
        let key = graph.permute(&key, &[0, 1, 3, 2]);
        let logits = graph.op("MatMul", &[&query, &key], &[]);
        let scale = graph.parameter("logit_scale", self.scale());
        let logits = graph.op("Mul", &[&logits, &scale], &[]);
        let bias = graph.parameter("position_bias", self.bias(&self.logit_scale.val().device()));
        let mut logits = graph.op("Add", &[&logits, &bias], &[]);
        if let Some((mask, [count, ..])) = windows.mask() {
            let split = graph.reshape(&logits, &[-1, count as i64, heads, token, token]);
            let mask = graph.floats("mask", &mask, &[1, count, 1, token as usize, token as usize]);
            let masked = graph.op("Add", &[&split, &mask], &[]);
            logits = graph.reshape(&masked, &[-1, heads, token, token]);
        }
        let weights = graph.op("Softmax", &[&logits], &[("axis", Attribute::Int(-1))]);
        let joined = graph.op("MatMul", &[&weights, &value], &[]);
        let joined = graph.permute(&joined, &[0, 2, 1, 3]);
        let joined = graph.reshape(&joined, &[0, 0, channel as i64]);
        self.proj.onnx(graph, &joined)
    }

    /// `[head, 1, 1]`.
    fn scale(&self) -> Tensor<3> {
        self.logit_scale.val().clamp_max(100f64.ln()).exp()
    }

    /// `[window, token, channel]` → packed queries, keys and values `[window, token, 3 · channel]`.
    fn project(&self, x: Tensor<3>) -> Tensor<3> {
        let [windows, token, channel] = x.dims();
        let rows = x.reshape([windows * token, channel]);
        let (weight, bias) = (like(self.qkv.weight.val(), &rows), like(self.packed_bias(), &rows));
        fused::linear(rows, weight, Some(bias)).reshape([windows, token, 3 * channel])
    }

    /// Query bias, zeros, value bias.
    fn packed_bias(&self) -> Tensor<1> {
        let query = self.q_bias.val();
        let zeros = query.zeros_like();
        Tensor::cat(vec![query, zeros, self.v_bias.val()], 0)
    }

    /// `[head, token, token]`.
    fn bias(&self, device: &Device) -> Tensor<3> {
        let side = 2 * self.window - 1;
        let distances = Tensor::<2>::from_data(TensorData::new(self.distances(), [side * side, 2]), device);
        let table = self.cpb_second.forward(relu(self.cpb_first.forward(distances)));
        let tokens = self.window * self.window;
        let pairs = TensorData::new(self.pairs(), [tokens * tokens]);
        let rows = table.select(0, Tensor::<1, Int>::from_data(pairs, device));
        let bias = rows.reshape([tokens, tokens, self.heads]).permute([2, 0, 1]);
        sigmoid(bias) * 16.0
    }

    /// Signed logarithmic distances of all pairs of offsets, `(row, column)` for each.
    fn distances(&self) -> Vec<f32> {
        let reach = self.window as i64 - 1;
        let span = if self.pretrained_window > 0 { self.pretrained_window as i64 - 1 } else { reach };
        // A window of one token has the one distance zero.
        let logarithm = |offset: i64| {
            let scaled = offset as f64 / (span.max(1)) as f64 * 8.0;
            (scaled.signum() * (scaled.abs() + 1.0).log2() / 3.0 * f64::from(u8::from(offset != 0))) as f32
        };
        (-reach..=reach)
            .flat_map(|row| (-reach..=reach).flat_map(move |column| [logarithm(row), logarithm(column)]))
            .collect()
    }

    /// Row of the distance table for each pair of tokens.
    fn pairs(&self) -> Vec<i64> {
        let w = self.window as i64;
        let tokens = w * w;
        (0..tokens)
            .flat_map(|a| (0..tokens).map(move |b| (a / w - b / w + w - 1) * (2 * w - 1) + (a % w - b % w + w - 1)))
            .collect()
    }
}

/// Vectors of length one along the last axis.
fn unit(x: Tensor<4>) -> Tensor<4> {
    // The bound stands before the root: the gradient of a root at zero is not a number.
    let wide = single(x.clone());
    let length = (wide.clone() * wide.clone()).sum_dim(3).clamp_min(TINY * TINY).sqrt();
    like(wide / length, &x)
}

fn unit_onnx(graph: &mut Graph, x: &Value) -> Value {
    let axis = graph.ints(&[-1]);
    let length = graph.op("ReduceL2", &[x, &axis], &[("keepdims", Attribute::Int(1))]);
    let tiny = graph.float(TINY as f32);
    let length = graph.op("Max", &[&length, &tiny], &[]);
    graph.op("Div", &[x, &length], &[])
}
