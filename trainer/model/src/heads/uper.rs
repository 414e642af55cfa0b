//! UPerNet for classes or values of pixels.
//!
//! Source: Xiao et al., Unified Perceptual Parsing for Scene Understanding, ECCV 2018, with the sizes of mmsegmentation's
//! `UPerHead`: pyramid pooling over 1, 2, 3 and 6 parts of a side on the coarsest level, lateral 1 × 1 convolutions, sums
//! from coarse to fine, a 3 × 3 convolution on each level, and one over all of them. As with plain vision transformers
//! (mmsegmentation's `Feature2Pyramid`; Li et al., 2022, arXiv:2203.16527) the levels are made of the one map that the
//! fusion gives: at its own side, a half and a quarter of it. Channels are normalised at each pixel where the source
//! normalises over the batch, which is small here.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::resample::{self, Rule, resample};
use crate::fused::gelu;
use crate::norm::LayerNorm;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;

/// Parts of a side that the coarsest level is pooled over.
const POOLS: [usize; 4] = [1, 2, 3, 6];
/// How many times coarser each level is than the map.
const LEVELS: [usize; 3] = [1, 2, 4];

/// Shape of a [`UperHead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UperHeadConfig {
    /// Channels of the features.
    pub channels: usize,
    /// Channels of the pyramid.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub struct UperHead {
    pools: Vec<Block>,
    bottleneck: Block,
    laterals: Vec<Block>,
    levels: Vec<Block>,
    together: Block,
    classes_weight: Param<Tensor<4>>,
    classes_bias: Param<Tensor<1>>,
}

/// A convolution that keeps the sides, a norm over channels, GELU.
#[derive(Module, Debug)]
struct Block {
    weight: Param<Tensor<4>>,
    norm: LayerNorm,
}

impl Block {
    fn new(channels: usize, hidden: usize, kernel: usize, device: &Device) -> Self {
        let std = (1.0 / (kernel * kernel * channels) as f64).sqrt();
        let weight = Initializer::Normal { mean: 0.0, std }.init([hidden, channels, kernel, kernel], device);
        Self { weight, norm: LayerNorm::new(hidden, 1e-6, device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let rim = self.weight.dims()[2] / 2;
        let weight = like(self.weight.val(), &x);
        let map = conv2d(x, weight, None, ConvOptions::new([1, 1], [rim, rim], [1, 1], 1));
        gelu(self.norm.forward(map.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]))
    }

    fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        let kernel = self.weight.dims()[2] as i64;
        let weight = graph.parameter("weight", self.weight.val());
        let sides =
            [("kernel_shape", Attribute::Ints(vec![kernel; 2])), ("pads", Attribute::Ints(vec![kernel / 2; 4]))];
        let map = graph.op("Conv", &[x, &weight], &sides);
        let last = graph.permute(&map, &[0, 2, 3, 1]);
        let normed = self.norm.onnx(graph, &last);
        let first = graph.permute(&normed, &[0, 3, 1, 2]);
        graph.op("Gelu", &[&first], &[])
    }
}

impl UperHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> UperHead {
        let Self { channels, hidden, classes } = *self;
        let block = |channels, kernel| Block::new(channels, hidden, kernel, device);
        let std = (1.0 / hidden as f64).sqrt();
        UperHead {
            pools: POOLS.iter().map(|_| block(channels, 1)).collect(),
            bottleneck: block(channels + POOLS.len() * hidden, 3),
            laterals: LEVELS[1..].iter().map(|_| block(channels, 1)).collect(),
            levels: LEVELS[1..].iter().map(|_| block(hidden, 3)).collect(),
            together: block(LEVELS.len() * hidden, 3),
            classes_weight: Initializer::Normal { mean: 0.0, std }.init([classes, hidden, 1, 1], device),
            classes_bias: Initializer::Zeros.init([classes], device),
        }
    }
}

/// Sides of the levels.
fn sides([height, width]: [usize; 2]) -> [[usize; 2]; LEVELS.len()] {
    LEVELS.map(|coarser| [height.div_ceil(coarser), width.div_ceil(coarser)])
}

impl UperHead {
    /// Features `[batch, channel, height, width]` → logits `[batch, class, height, width]`.
    pub fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = features.dims();
        let sides = sides([height, width]);
        let levels = sides.map(|side| resample(Rule::Mean, features.clone(), side));
        let [.., top] = &levels;
        let coarsest = sides[LEVELS.len() - 1];
        let mut pooled = vec![top.clone()];
        for (parts, block) in POOLS.into_iter().zip(&self.pools) {
            let map = block.forward(resample(Rule::Mean, top.clone(), [parts; 2]));
            pooled.push(resample(Rule::Linear, map, coarsest));
        }
        let mut above = self.bottleneck.forward(Tensor::cat(pooled, 1));
        let mut maps = vec![resample(Rule::Linear, above.clone(), sides[0])];
        // From coarse to fine.
        for at in (0..self.laterals.len()).rev() {
            above = self.laterals[at].forward(levels[at].clone()) + resample(Rule::Linear, above, sides[at]);
            maps.push(resample(Rule::Linear, self.levels[at].forward(above.clone()), sides[0]));
        }
        let all = self.together.forward(Tensor::cat(maps, 1));
        let (weight, bias) = (like(self.classes_weight.val(), &all), like(self.classes_bias.val(), &all));
        conv2d(all, weight, Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
    }

    /// The nodes of [`UperHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value, size: [usize; 2]) -> Value {
        let sides = sides(size);
        let levels = sides.map(|side| resample::onnx(Rule::Mean, graph, features, size, side));
        let [.., top] = &levels;
        let coarsest = sides[LEVELS.len() - 1];
        let mut pooled = vec![top.clone()];
        for (parts, block) in POOLS.into_iter().zip(&self.pools) {
            let map = resample::onnx(Rule::Mean, graph, top, coarsest, [parts; 2]);
            let map = block.onnx(graph, &map);
            pooled.push(resample::onnx(Rule::Linear, graph, &map, [parts; 2], coarsest));
        }
        let pooled = graph.concat(&pooled.iter().collect::<Vec<_>>(), 1);
        let mut above = self.bottleneck.onnx(graph, &pooled);
        let mut maps = vec![resample::onnx(Rule::Linear, graph, &above, coarsest, sides[0])];
        for at in (0..self.laterals.len()).rev() {
            let lateral = self.laterals[at].onnx(graph, &levels[at]);
            let raised = resample::onnx(Rule::Linear, graph, &above, sides[at + 1], sides[at]);
            above = graph.op("Add", &[&lateral, &raised], &[]);
            let map = self.levels[at].onnx(graph, &above);
            maps.push(resample::onnx(Rule::Linear, graph, &map, sides[at], sides[0]));
        }
        let all = graph.concat(&maps.iter().collect::<Vec<_>>(), 1);
        let all = self.together.onnx(graph, &all);
        let weight = graph.parameter("classes", self.classes_weight.val());
        let bias = graph.parameter("bias", self.classes_bias.val());
        graph.op("Conv", &[&all, &weight, &bias], &[("kernel_shape", Attribute::Ints(vec![1, 1]))])
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes_bias.dims()[0]
    }
}
