//! UPerNet's decoder: maps of several levels become one.
//!
//! Source: Xiao et al., Unified Perceptual Parsing for Scene Understanding, ECCV 2018, as mmsegmentation's `UPerHead` has it:
//! pyramid pooling over 1, 2, 3 and 6 parts of a side on the coarsest level, lateral 1 × 1 convolutions, sums from coarse to
//! fine, a 3 × 3 convolution on each level, and one over all of them. Channels are normalised at each pixel where the source
//! normalises over the batch, which is small here.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use crate::fused::gelu;
use crate::norm::LayerNorm;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;
use crate::resample::{self, Rule, resample};

/// Parts of a side that the coarsest level is pooled over.
const POOLS: [usize; 4] = [1, 2, 3, 6];

/// See the module.
#[derive(Module, Debug)]
pub(crate) struct Pyramid {
    pools: Vec<Block>,
    bottleneck: Block,
    laterals: Vec<Block>,
    levels: Vec<Block>,
    together: Block,
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

impl Pyramid {
    /// For levels with these channels, finest first, one at least; with `hidden` channels inside it gives `out`.
    pub(crate) fn new(channels: &[usize], [hidden, out]: [usize; 2], device: &Device) -> Self {
        let block = |channels, kernel| Block::new(channels, hidden, kernel, device);
        let (coarsest, finer) = channels.split_last().unwrap_or((&hidden, &[]));
        Self {
            pools: POOLS.iter().map(|_| block(*coarsest, 1)).collect(),
            bottleneck: block(coarsest + POOLS.len() * hidden, 3),
            laterals: finer.iter().map(|channels| block(*channels, 1)).collect(),
            levels: finer.iter().map(|_| block(hidden, 3)).collect(),
            together: Block::new(channels.len() * hidden, out, 3, device),
        }
    }

    /// Maps `[batch, channel, height, width]`, finest first → one `[batch, out, height, width]` of the finest's sides.
    pub(crate) fn forward(&self, maps: &[Tensor<4>]) -> Tensor<4> {
        let side = |map: &Tensor<4>| [map.dims()[2], map.dims()[3]];
        let (finest, coarsest) = (side(&maps[0]), &maps[maps.len() - 1]);
        let mut pooled = vec![coarsest.clone()];
        for (parts, block) in POOLS.into_iter().zip(&self.pools) {
            let map = block.forward(resample(Rule::Mean, coarsest.clone(), [parts; 2]));
            pooled.push(resample(Rule::Linear, map, side(coarsest)));
        }
        let mut above = self.bottleneck.forward(Tensor::cat(pooled, 1));
        let mut all = vec![resample(Rule::Linear, above.clone(), finest)];
        // From coarse to fine.
        for ((map, lateral), level) in maps.iter().zip(&self.laterals).zip(&self.levels).rev() {
            above = lateral.forward(map.clone()) + resample(Rule::Linear, above, side(map));
            all.push(resample(Rule::Linear, level.forward(above.clone()), finest));
        }
        self.together.forward(Tensor::cat(all, 1))
    }

    /// The nodes of [`Pyramid::forward`]; `sides` are those of the maps.
    pub(crate) fn onnx(&self, graph: &mut Graph, maps: &[Value], sides: &[[usize; 2]]) -> Value {
        let (finest, last) = (sides[0], maps.len() - 1);
        let (coarsest, side) = (&maps[last], sides[last]);
        let mut pooled = vec![coarsest.clone()];
        for (parts, block) in POOLS.into_iter().zip(&self.pools) {
            let map = resample::onnx(Rule::Mean, graph, coarsest, side, [parts; 2]);
            let map = block.onnx(graph, &map);
            pooled.push(resample::onnx(Rule::Linear, graph, &map, [parts; 2], side));
        }
        let pooled = graph.concat(&pooled.iter().collect::<Vec<_>>(), 1);
        let mut above = self.bottleneck.onnx(graph, &pooled);
        let mut all = vec![resample::onnx(Rule::Linear, graph, &above, side, finest)];
        for at in (0..self.laterals.len()).rev() {
            let lateral = self.laterals[at].onnx(graph, &maps[at]);
            let raised = resample::onnx(Rule::Linear, graph, &above, sides[at + 1], sides[at]);
            above = graph.op("Add", &[&lateral, &raised], &[]);
            let map = self.levels[at].onnx(graph, &above);
            all.push(resample::onnx(Rule::Linear, graph, &map, sides[at], finest));
        }
        let all = graph.concat(&all.iter().collect::<Vec<_>>(), 1);
        self.together.onnx(graph, &all)
    }

    /// Channels of what it gives.
    pub(crate) fn channels(&self) -> usize {
        self.together.weight.dims()[0]
    }
}
