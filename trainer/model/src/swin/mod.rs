//! The high-resolution encoder: Swin Transformer V2.
//!
//! Source: the official family's `swin_v2.py` on mmcls's attention, whose rules differ from Microsoft's code in
//! places: merging stands at the start of a stage, reads 2 × 2 neighbours channel by channel, and normalises
//! after the projection; windows that reach over the map are padded with zeros that are not masked.

mod attention;
mod block;
mod merge;
mod window;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::norm::LayerNorm;
use crate::onnx::{Graph, Value};
use crate::patch_embed::PatchEmbed;
use crate::tape::Tape;
use crate::{ModelError, Result};
use block::{BlockConfig, SwinBlock};
use merge::PatchMerging;

/// Shape of a [`SwinV2`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwinV2Config {
    /// Bands: 3 for RGB, 4 with near infrared.
    pub bands: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Channels of the first stage; each further stage doubles them.
    pub channels: usize,
    /// Blocks in each stage.
    pub depths: Vec<usize>,
    /// Attention heads in each stage.
    pub heads: Vec<usize>,
    /// Side of an attention window in tokens.
    pub window: usize,
    /// The same for each stage, where stages differ; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<usize>,
    /// Window of pre-training in each stage, 0 where it is the same.
    pub pretrained_windows: Vec<usize>,
    /// A norm at the end of every so many blocks of a stage; 0 for none.
    pub extra_norm_every: usize,
    /// Pads maps that are smaller than a window, where they are an error otherwise.
    pub pad_small_map: bool,
    /// Width of the hidden layer that gives the position bias.
    pub bias_hidden: usize,
    /// Width of the feed-forward branch in channels.
    pub mlp_ratio: usize,
    /// Epsilon of the layer norms.
    pub epsilon: f64,
    /// Stochastic depth of the last block, linear from zero at the first.
    pub drop_path: f64,
    /// Stages whose output is given, each with a norm of its own.
    pub out_stages: Vec<usize>,
}

/// See the module.
#[derive(Module, Debug)]
pub struct SwinV2 {
    patch_embed: NormedPatchEmbed,
    stages: Vec<Stage>,
    /// One for each stage, in the stages that are given.
    norms: Vec<Option<LayerNorm>>,
    #[module(skip)]
    config: SwinV2Config,
}

#[derive(Module, Debug)]
struct NormedPatchEmbed {
    projection: PatchEmbed,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<PatchMerging>,
    blocks: Vec<SwinBlock>,
}

impl SwinV2Config {
    /// Channels of a stage.
    pub fn stage_channels(&self, stage: usize) -> usize {
        self.channels << stage
    }

    /// Side of an attention window of a stage in tokens.
    pub fn stage_window(&self, stage: usize) -> usize {
        self.windows.get(stage).copied().unwrap_or(self.window)
    }

    /// Rows and columns of tokens in each stage for an image.
    pub fn stage_sizes(&self, [height, width]: [usize; 2]) -> Vec<[usize; 2]> {
        let first = [height.div_ceil(self.patch), width.div_ceil(self.patch)];
        (0..self.depths.len())
            .scan(first, |size, stage| {
                if stage > 0 {
                    *size = [size[0].div_ceil(2), size[1].div_ceil(2)];
                }
                Some(*size)
            })
            .collect()
    }

    /// Whether an image of this size can be read.
    ///
    /// # Errors
    /// A stage whose map is smaller than the window.
    pub fn check_size(&self, size: [usize; 2]) -> Result<()> {
        for (stage, [height, width]) in self.stage_sizes(size).into_iter().enumerate() {
            let window = self.stage_window(stage);
            if height.min(width) < window && !self.pad_small_map {
                return Err(ModelError::SmallMap { stage, height, width, window });
            }
        }
        Ok(())
    }

    /// A model with fresh weights.
    ///
    /// # Errors
    /// As [`SwinV2Config::check`].
    pub fn init(&self, device: &Device) -> Result<SwinV2> {
        self.check()?;
        let stages = self.depths.len();
        Ok(SwinV2 {
            patch_embed: NormedPatchEmbed {
                projection: PatchEmbed::new(self.bands, self.channels, self.patch, device),
                norm: LayerNorm::new(self.channels, self.epsilon, device),
            },
            stages: (0..stages).map(|stage| self.init_stage(stage, device)).collect(),
            norms: (0..stages)
                .map(|stage| {
                    let given = self.out_stages.contains(&stage);
                    given.then(|| LayerNorm::new(self.stage_channels(stage), self.epsilon, device))
                })
                .collect(),
            config: self.clone(),
        })
    }

    fn init_stage(&self, stage: usize, device: &Device) -> Stage {
        let channels = self.stage_channels(stage);
        let before: usize = self.depths[..stage].iter().sum();
        let last = (self.depths.iter().sum::<usize>().max(2) - 1) as f64;
        let block = |index: usize| BlockConfig {
            channels,
            heads: self.heads[stage],
            window: self.stage_window(stage),
            pretrained_window: self.pretrained_windows[stage],
            shift: if index % 2 == 1 { self.stage_window(stage) / 2 } else { 0 },
            pad_small_map: self.pad_small_map,
            bias_hidden: self.bias_hidden,
            mlp_ratio: self.mlp_ratio,
            epsilon: self.epsilon,
            // The counter starts anew in each stage.
            extra_norm: self.extra_norm_every > 0 && (index + 1).is_multiple_of(self.extra_norm_every),
            drop_path: self.drop_path * (before + index) as f64 / last,
        };
        Stage {
            downsample: (stage > 0).then(|| PatchMerging::new(channels / 2, self.epsilon, device)),
            blocks: (0..self.depths[stage]).map(|index| block(index).init(device)).collect(),
        }
    }
}

impl SwinV2 {
    /// The shape it was made with.
    pub fn config(&self) -> &SwinV2Config {
        &self.config
    }

    /// Normalised pixels `[batch, band, height, width]` → one `[batch, channel, rows, columns]` for each of the
    /// stages that are given; check the size with [`SwinV2Config::check_size`] first.
    pub fn forward(&self, pixels: Tensor<4>) -> Vec<Tensor<4>> {
        self.forward_on(&Tape::off(), pixels)
    }

    /// As [`SwinV2::forward`], every block a block of the tape, and every merging of patches.
    pub fn forward_on(&self, tape: &Tape, pixels: Tensor<4>) -> Vec<Tensor<4>> {
        let [batch, _, height, width] = pixels.dims();
        let sizes = self.config.stage_sizes([height, width]);
        let x = self.patch_embed.norm.forward(self.patch_embed.projection.forward(pixels));
        let mut x = x.reshape([batch, sizes[0][0], sizes[0][1], self.config.channels]);
        let mut maps = Vec::new();
        for (stage, layers) in self.stages.iter().enumerate() {
            if let Some(downsample) = &layers.downsample {
                x = tape.block(downsample, x, |downsample: &PatchMerging, x, _| downsample.forward(x));
            }
            x = layers.blocks.iter().fold(x, |x, block| tape.block(block, x, SwinBlock::forward));
            // The norm is on the copy that is given: the stream goes on without it.
            if let Some(norm) = &self.norms[stage] {
                maps.push(norm.forward(x.clone()).permute([0, 3, 1, 2]));
            }
        }
        maps
    }

    /// The nodes of the last output of [`SwinV2::forward`] for inputs of `height` × `width`.
    pub(crate) fn onnx(&self, graph: &mut Graph, pixels: &Value, size: [usize; 2]) -> Value {
        let stages = self.onnx_stages(graph, pixels, size);
        stages.into_iter().next_back().map_or_else(|| pixels.clone(), |(_, features)| features)
    }

    /// The nodes of [`SwinV2::forward`]: every output with its stage.
    pub(crate) fn onnx_stages(&self, graph: &mut Graph, pixels: &Value, size: [usize; 2]) -> Vec<(usize, Value)> {
        let sizes = self.config.stage_sizes(size);
        let x = self.patch_embed.projection.onnx(graph, pixels, size);
        let x = self.patch_embed.norm.onnx(graph, &x);
        let mut x = graph.reshape(&x, &[-1, sizes[0][0] as i64, sizes[0][1] as i64, self.config.channels as i64]);
        let mut given = Vec::new();
        for (stage, layers) in self.stages.iter().enumerate() {
            if let Some(downsample) = &layers.downsample {
                x = downsample.onnx(graph, &x, sizes[stage - 1]);
            }
            for block in &layers.blocks {
                x = block.onnx(graph, &x, sizes[stage]);
            }
            if let Some(norm) = &self.norms[stage] {
                let features = norm.onnx(graph, &x);
                given.push((stage, graph.permute(&features, &[0, 3, 1, 2])));
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::SafeTensors;

    use super::*;

    #[test]
    fn output_norms_are_named_after_their_stage() {
        let hr = crate::preset("tiny").unwrap().hr.unwrap();
        let model = SwinV2Config { out_stages: vec![1, 3], ..hr }.init(&Device::flex()).unwrap();
        let file = crate::checkpoint::save(&model, "").unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        for (stage, channels) in [(0, None), (1, Some(24)), (2, None), (3, Some(96))] {
            let shape = tensors.tensor(&format!("norm{stage}.weight")).ok().map(|view| view.shape().to_vec());
            assert_eq!(shape, channels.map(|channels| vec![channels]), "stage {stage}");
        }
        assert_eq!(model.forward(Tensor::zeros([1, 3, 128, 128], &Device::flex())).len(), 2);
    }
}
