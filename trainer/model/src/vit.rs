//! The series encoder: a plain vision transformer over one acquisition.
//!
//! Source: the official family's `vit.py`. Patch 4, learned positions, pre-norm layers, no final norm.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::draws::Draws;
use crate::onnx::{Graph, Value};
use crate::patch_embed::PatchEmbed;
use crate::position::{Interpolation, resize};
use crate::precision::like;
use crate::tape::Tape;
use crate::transformer::{LayerWidths, TransformerLayer};

/// Shape of a [`Vit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VitConfig {
    /// Bands of the input: 10 for Sentinel-2, 2 for Sentinel-1.
    pub bands: usize,
    /// Channels of a token.
    pub channels: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward branch in channels.
    pub mlp_ratio: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Rows and columns of the position table, in tokens.
    pub positions: [usize; 2],
    /// Whether the position table has a slot for the class token.
    pub position_of_class: bool,
    /// Whether a class token takes part in attention.
    pub class_token: bool,
    /// How the position table is resized.
    pub interpolation: Interpolation,
    /// Epsilon of the layer norms; 1e-6 in the official configuration.
    pub epsilon: f64,
    /// Stochastic depth of the last layer, linear from zero at the first.
    pub drop_path: f64,
}

/// A plain vision transformer.
#[derive(Module, Debug)]
pub struct Vit {
    patch_embed: PatchEmbed,
    cls_token: Param<Tensor<3>>,
    pos_embed: Param<Tensor<3>>,
    layers: Vec<TransformerLayer>,
    #[module(skip)]
    config: VitConfig,
}

impl VitConfig {
    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> Vit {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let [rows, columns] = self.positions;
        let slots = rows * columns + usize::from(self.position_of_class);
        let widths = LayerWidths {
            channels: self.channels,
            heads: self.heads,
            mlp_ratio: self.mlp_ratio,
            epsilon: self.epsilon,
        };
        let last = self.layers.saturating_sub(1).max(1) as f64;
        Vit {
            patch_embed: PatchEmbed::new(self.bands, self.channels, self.patch, device),
            cls_token: normal.init([1, 1, self.channels], device),
            pos_embed: normal.init([1, slots, self.channels], device),
            layers: (0..self.layers)
                .map(|layer| TransformerLayer::new(widths, self.drop_path * layer as f64 / last, device))
                .collect(),
            config: self.clone(),
        }
    }
}

impl Vit {
    /// The shape it was made with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Normalised pixels `[batch, band, height, width]` → features `[batch, channel, height/4, width/4]` of the last layer.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.forward_on(&Tape::off(), pixels)
    }

    /// As [`Vit::forward`], every layer a block of the tape.
    pub fn forward_on(&self, tape: &Tape, pixels: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = pixels.dims();
        let grid = [self.patch_embed.tokens(height), self.patch_embed.tokens(width)];
        let run = |x, layer| tape.block(layer, x, |layer: &TransformerLayer, x, draws| layer.forward(x, None, draws));
        let x = self.layers.iter().fold(self.embed(pixels, grid), run);
        self.to_map(x, grid)
    }

    /// As [`Vit::forward`], but the features after each of these layers, in the order of the layers.
    pub fn forward_layers(&self, pixels: Tensor<4>, layers: &[usize]) -> Vec<Tensor<4>> {
        let [_, _, height, width] = pixels.dims();
        let grid = [self.patch_embed.tokens(height), self.patch_embed.tokens(width)];
        let mut x = self.embed(pixels, grid);
        let mut maps = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, None, &Draws::of_device());
            if layers.contains(&index) {
                maps.push(self.to_map(x.clone(), grid));
            }
        }
        maps
    }

    fn embed(&self, pixels: Tensor<4>, grid: [usize; 2]) -> Tensor<3> {
        let x = self.patch_embed.forward(pixels);
        let (class, places) = self.positions_for(grid);
        let places = like(places, &x);
        let x = x + places;
        if !self.config.class_token {
            return x;
        }
        let [batch, _, channel] = x.dims();
        let class = like(class, &x).expand([batch, 1, channel]);
        Tensor::cat(vec![class, x], 1)
    }

    /// The class token with its position, and the positions of a grid of tokens.
    ///
    /// The table is resized only where the number of tokens differs: 2 × 8 positions on a table of 4 × 4 are
    /// taken as they are, as the official code does.
    fn positions_for(&self, grid: [usize; 2]) -> (Tensor<3>, Tensor<3>) {
        let table = self.pos_embed.val();
        let slots = table.dims()[1];
        let first = usize::from(self.config.position_of_class);
        let places = table.clone().narrow(1, first, slots - first);
        let places = match slots - first == grid[0] * grid[1] {
            true => places,
            false => resize(places, self.config.positions, grid, self.config.interpolation),
        };
        let class = match self.config.position_of_class {
            true => self.cls_token.val() + table.narrow(1, 0, 1),
            false => self.cls_token.val(),
        };
        (class, places)
    }

    fn to_map(&self, x: Tensor<3>, [rows, columns]: [usize; 2]) -> Tensor<4> {
        let first = usize::from(self.config.class_token);
        let [batch, tokens, channel] = x.dims();
        let x = if first > 0 { x.narrow(1, first, tokens - first) } else { x };
        x.swap_dims(1, 2).reshape([batch, channel, rows, columns])
    }

    /// The nodes of [`Vit::forward`] for inputs of `height` × `width`.
    pub(crate) fn onnx(&self, graph: &mut Graph, pixels: &Value, size: [usize; 2]) -> Value {
        let last = self.layers.len().saturating_sub(1);
        self.onnx_layers(graph, pixels, size, &[last]).pop().unwrap_or_else(|| pixels.clone())
    }

    /// The nodes of [`Vit::forward_layers`].
    pub(crate) fn onnx_layers(
        &self,
        graph: &mut Graph,
        pixels: &Value,
        [height, width]: [usize; 2],
        layers: &[usize],
    ) -> Vec<Value> {
        let grid = [self.patch_embed.tokens(height), self.patch_embed.tokens(width)];
        let x = self.patch_embed.onnx(graph, pixels, [height, width]);
        let (class, places) = self.positions_for(grid);
        let places = graph.parameter("positions", places);
        let mut x = graph.op("Add", &[&x, &places], &[]);
        let channel = self.config.channels as i64;
        if self.config.class_token {
            let class = graph.parameter("class_token", class);
            let (batch, ones) = (graph.side(pixels, 0), graph.ints(&[1, channel]));
            let shape = graph.concat(&[&batch, &ones], 0);
            let class = graph.op("Expand", &[&class, &shape], &[]);
            x = graph.concat(&[&class, &x], 1);
        }
        let mut maps = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.onnx(graph, &x, None);
            if layers.contains(&index) {
                let places = if self.config.class_token { graph.slice(&x, 1, 1, i64::MAX) } else { x.clone() };
                let map = graph.permute(&places, &[0, 2, 1]);
                maps.push(graph.reshape(&map, &[0, channel, grid[0] as i64, grid[1] as i64]));
            }
        }
        maps
    }
}
