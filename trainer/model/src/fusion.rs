//! The fusion transformer: every position of the grid is a sequence over dates and modalities.
//!
//! Source: the official family's `transformer_encoder.py`. Tokens are projected (`porj_linear`, the official
//! spelling), an extra token is put in front, and what it holds after the last layer is the fused feature.
//! There is no final norm and, without the calendar encoding, no order among tokens.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, is_year, year};
use crate::draws::Draws;
use crate::linear::Linear;
use crate::onnx::{ElementType, Graph, Value};
use crate::precision::like;
use crate::tape::Tape;
use crate::transformer::{HIDDEN, LayerWidths, TransformerLayer};

/// Shape of a [`Fusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FusionConfig {
    /// Channels of the tokens that go in.
    pub channels_in: usize,
    /// Channels inside, and of what comes out.
    pub channels: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward branch in channels.
    pub mlp_ratio: usize,
    /// Epsilon of the layer norms; 1e-5 in the official configuration.
    pub epsilon: f64,
    /// Stochastic depth of the last layer, linear from zero at the first.
    pub drop_path: f64,
    /// Which tokens carry the calendar encoding.
    pub calendar: Calendar,
    /// Rows of the calendar table; later days take the last one.
    #[serde(default = "year", skip_serializing_if = "is_year")]
    pub days: usize,
}

/// The tokens of a batch of chips.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `[batch, time, channel, height, width]`; time counts the dates of all modalities, HR, S2, S1 in turn.
    pub features: Tensor<5>,
    /// Day of the year − 1, `[batch, time]`.
    pub day: Tensor<2, Int>,
    /// 1 where a token takes the calendar encoding, else 0, `[batch, time]`.
    pub calendar: Tensor<2>,
    /// Whether there is such a date, `[batch, time]`; absent ones are not attended to.
    pub present: Option<Tensor<2, Bool>>,
}

/// See the module.
#[derive(Module, Debug)]
pub struct Fusion {
    porj_linear: Linear,
    cls_token: Param<Tensor<3>>,
    layers: Vec<TransformerLayer>,
    /// `[1, day, channels in]`, where the calendar is on.
    ctpe: Option<Param<Tensor<3>>>,
    #[module(skip)]
    config: FusionConfig,
}

impl FusionConfig {
    /// A fusion with fresh weights.
    pub fn init(&self, device: &Device) -> Fusion {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let widths = LayerWidths {
            channels: self.channels,
            heads: self.heads,
            mlp_ratio: self.mlp_ratio,
            epsilon: self.epsilon,
        };
        let last = self.layers.saturating_sub(1).max(1) as f64;
        Fusion {
            porj_linear: Linear::new(self.channels_in, self.channels, true, device),
            cls_token: normal.init([1, 1, self.channels], device),
            layers: (0..self.layers)
                .map(|layer| TransformerLayer::new(widths, self.drop_path * layer as f64 / last, device))
                .collect(),
            ctpe: (self.calendar != Calendar::None).then(|| normal.init([1, self.days, self.channels_in], device)),
            config: self.clone(),
        }
    }
}

impl Fusion {
    /// The shape it was made with.
    pub fn config(&self) -> &FusionConfig {
        &self.config
    }

    /// Tokens → features `[batch, channel, height, width]`.
    pub fn forward(&self, tokens: Tokens) -> Tensor<4> {
        self.forward_on(&Tape::off(), tokens)
    }

    /// As [`Fusion::forward`], every layer a block of the tape.
    pub fn forward_on(&self, tape: &Tape, tokens: Tokens) -> Tensor<4> {
        let [batch, time, channel, height, width] = tokens.features.dims();
        let features = match &self.ctpe {
            None => tokens.features,
            Some(ctpe) => {
                let table = ctpe.val();
                let known = table.dims()[1];
                let days = tokens.day.clamp(0, known as i64 - 1).reshape([batch * time]);
                let rows = table.reshape([known, channel]).select(0, days).reshape([batch, time, channel]);
                let rows = rows * tokens.calendar.reshape([batch, time, 1]);
                let rows = like(rows, &tokens.features);
                tokens.features + rows.reshape([batch, time, channel, 1, 1])
            }
        };
        let sequences = features.permute([0, 3, 4, 1, 2]).reshape([batch * height * width, time, channel]);
        let hidden = tokens.present.map(|present| {
            let extra = Tensor::<2>::zeros([batch, 1], &sequences.device());
            let absent = present.bool_not().float() * HIDDEN;
            Tensor::cat(vec![extra, absent], 1).reshape([batch, 1, 1, time + 1])
        });
        let fused = self.forward_sequences_on(tape, sequences, hidden.as_ref());
        let channels = self.config.channels;
        fused.reshape([batch, height, width, channels]).permute([0, 3, 1, 2])
    }

    /// `[sequence, token, channel in]` → what the extra token holds, `[sequence, channel]`.
    ///
    /// `hidden` `[group, 1, 1, 1 + token]` is added to the logits of each sequence of a group.
    pub fn forward_sequences(&self, sequences: Tensor<3>, hidden: Option<&Tensor<4>>) -> Tensor<2> {
        self.forward_sequences_on(&Tape::off(), sequences, hidden)
    }

    fn forward_sequences_on(&self, tape: &Tape, sequences: Tensor<3>, hidden: Option<&Tensor<4>>) -> Tensor<2> {
        let [sequence, _, _] = sequences.dims();
        let channels = self.config.channels;
        let x = self.porj_linear.forward(sequences);
        let extra = like(self.cls_token.val(), &x).expand([sequence, 1, channels]);
        let x = Tensor::cat(vec![extra, x], 1);
        // Nothing but the extra token is read of the last layer.
        let first = match self.layers.split_last() {
            Some((last, before)) => {
                let run = |x, layer| {
                    let hidden = hidden.cloned();
                    tape.block(layer, x, move |layer: &TransformerLayer, x, draws| {
                        layer.forward(x, hidden.as_ref(), draws)
                    })
                };
                let (x, hidden) = (before.iter().fold(x, run), hidden.cloned());
                tape.block(last, x, move |layer: &TransformerLayer, x, draws| {
                    layer.forward_first(x, hidden.as_ref(), draws)
                })
            }
            None => x.narrow(1, 0, 1),
        };
        first.reshape([sequence, channels])
    }

    /// `[sequence, token, channel in]` → all tokens after each layer; with the extra token in front where `extra` says so.
    ///
    /// The official code gives these where its fusion is told to give more than its extra token.
    pub fn forward_layers(&self, sequences: Tensor<3>, extra: bool) -> Vec<Tensor<3>> {
        let [sequence, _, _] = sequences.dims();
        let mut x = self.porj_linear.forward(sequences);
        if extra {
            let token = self.cls_token.val().expand([sequence, 1, self.config.channels]);
            x = Tensor::cat(vec![token, x], 1);
        }
        let step = |x: &mut Tensor<3>, layer: &TransformerLayer| {
            *x = layer.forward(x.clone(), None, &Draws::of_device());
            Some(x.clone())
        };
        self.layers.iter().scan(x, step).collect()
    }

    /// The nodes of [`Fusion::forward_layers`].
    pub(crate) fn onnx_layers(&self, graph: &mut Graph, sequences: &Value, extra: bool) -> Vec<Value> {
        let mut x = self.porj_linear.onnx(graph, sequences);
        if extra {
            let token = graph.parameter("cls_token", self.cls_token.val());
            let (count, one) = (graph.side(&x, 0), graph.ints(&[1, self.config.channels as i64]));
            let shape = graph.concat(&[&count, &one], 0);
            let token = graph.op("Expand", &[&token, &shape], &[]);
            x = graph.concat(&[&token, &x], 1);
        }
        let step = |x: &mut Value, layer: &TransformerLayer| {
            *x = layer.onnx(graph, x, None);
            Some(x.clone())
        };
        self.layers.iter().scan(x, step).collect()
    }

    /// The nodes of [`Fusion::forward`] on a grid of `height` × `width`.
    pub(crate) fn onnx(&self, graph: &mut Graph, inputs: &FusionValues, [height, width]: [usize; 2]) -> Value {
        let (channel, channels) = (self.config.channels_in as i64, self.config.channels as i64);
        let features = match &self.ctpe {
            None => inputs.tokens.clone(),
            Some(ctpe) => {
                let (low, high) = (graph.int(0), graph.int(ctpe.dims()[1] as i64 - 1));
                let days = graph.op("Clip", &[&inputs.day, &low, &high], &[]);
                let table = graph.parameter("ctpe", ctpe.val().reshape([ctpe.dims()[1], channel as usize]));
                let rows = graph.op("Gather", &[&table, &days], &[]);
                let takes = graph.reshape(&inputs.calendar, &[0, 0, 1]);
                let rows = graph.op("Mul", &[&rows, &takes], &[]);
                let rows = graph.reshape(&rows, &[0, 0, channel, 1, 1]);
                graph.op("Add", &[&inputs.tokens, &rows], &[])
            }
        };
        let sequences = graph.permute(&features, &[0, 3, 4, 1, 2]);
        let (rest, time, width_in) = (graph.ints(&[-1]), graph.side(&inputs.tokens, 1), graph.ints(&[channel]));
        let shape = graph.concat(&[&rest, &time, &width_in], 0);
        let sequences = graph.op("Reshape", &[&sequences, &shape], &[]);
        let x = self.porj_linear.onnx(graph, &sequences);
        let extra = graph.parameter("cls_token", self.cls_token.val());
        let (count, one) = (graph.side(&x, 0), graph.ints(&[1, channels]));
        let shape = graph.concat(&[&count, &one], 0);
        let extra = graph.op("Expand", &[&extra, &shape], &[]);
        let mut x = graph.concat(&[&extra, &x], 1);
        let absent = graph.op("Not", &[&inputs.present], &[]);
        let absent = graph.cast(&absent, ElementType::F32);
        let weight = graph.float(HIDDEN);
        let absent = graph.op("Mul", &[&absent, &weight], &[]);
        let seen = graph.pad(&absent, &[0, 1, 0, 0]);
        let (axes_a, axes_b) = (graph.ints(&[1]), graph.ints(&[1]));
        let hidden = graph.op("Unsqueeze", &[&seen, &axes_a], &[]);
        let hidden = graph.op("Unsqueeze", &[&hidden, &axes_b], &[]);
        let first = match self.layers.split_last() {
            Some((last, before)) => {
                for layer in before {
                    x = layer.onnx(graph, &x, Some(&hidden));
                }
                last.onnx_first(graph, &x, Some(&hidden))
            }
            None => graph.slice(&x, 1, 0, 1),
        };
        let map = graph.reshape(&first, &[-1, height as i64, width as i64, channels]);
        graph.permute(&map, &[0, 3, 1, 2])
    }
}

/// The inputs of the fusion graph.
pub(crate) struct FusionValues {
    pub(crate) tokens: Value,
    pub(crate) day: Value,
    pub(crate) calendar: Value,
    pub(crate) present: Value,
}
