//! Features at the pixels of a high-resolution image: the encoder's stages, decoded by UPerNet's pyramid.
//!
//! The official configuration for segmentation of high-resolution images (iSAID) reads all four stages of the encoder and no
//! fusion. What follows the pyramid there, a 1 × 1 convolution and then bilinear interpolation, may be turned round without
//! changing the result, so the interpolation is part of this and heads stand on the image's own pixels.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::onnx::{Graph, Value};
use crate::pyramid::Pyramid;
use crate::resample::{self, Rule, resample};
use crate::swin::{SwinV2, SwinV2Config};
use crate::tape::Tape;
use crate::{ModelError, Result};

/// Shape of a [`PixelEncoder`].
#[derive(Debug, Clone, PartialEq)]
pub struct PixelEncoderConfig {
    /// The encoder; all its stages must be among those that are given.
    pub hr: SwinV2Config,
    /// Channels of the pyramid.
    pub hidden: usize,
    /// Channels of the features.
    pub channels: usize,
}

/// See the module. The encoder has the name of the published whole model.
#[derive(Module, Debug)]
pub struct PixelEncoder {
    /// High-resolution encoder.
    pub backbone_hr: SwinV2,
    pyramid: Pyramid,
}

impl PixelEncoderConfig {
    /// The usual one on an encoder: 512 channels in the pyramid as in mmsegmentation, and 128 of features, for all pixels hold
    /// these; on narrow encoders (up to 48 channels in the first stage) 64 of both. Our choice.
    pub fn new(hr: SwinV2Config) -> Self {
        let (hidden, channels) = if hr.channels > 48 { (512, 128) } else { (64, 64) };
        let out_stages = (0..hr.depths.len()).collect();
        Self { hr: SwinV2Config { out_stages, ..hr }, hidden, channels }
    }

    /// A module with fresh weights.
    ///
    /// # Errors
    /// An encoder that makes no sense, or that does not give all its stages.
    pub fn init(&self, device: &Device) -> Result<PixelEncoder> {
        let stages = self.hr.depths.len();
        if !self.hr.out_stages.iter().copied().eq(0..stages) {
            let given = &self.hr.out_stages;
            return Err(ModelError::Config(format!(
                "the pyramid reads all {stages} stages, the encoder gives {given:?}"
            )));
        }
        let levels: Vec<usize> = (0..stages).map(|stage| self.hr.stage_channels(stage)).collect();
        Ok(PixelEncoder {
            backbone_hr: self.hr.init(device)?,
            pyramid: Pyramid::new(&levels, [self.hidden, self.channels], device),
        })
    }
}

impl PixelEncoder {
    /// Normalised pixels `[batch, band, height, width]` → features `[batch, channel, height, width]`, with the blocks of the
    /// encoder on a tape; check the size with [`SwinV2Config::check_size`] first.
    pub fn forward_on(&self, tape: &Tape, pixels: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = pixels.dims();
        let map = self.pyramid.forward(&self.backbone_hr.forward_on(tape, pixels));
        resample(Rule::Linear, map, [height, width])
    }

    /// The nodes of [`PixelEncoder::forward_on`].
    pub(crate) fn onnx(&self, graph: &mut Graph, pixels: &Value, size: [usize; 2]) -> Value {
        let stages = self.backbone_hr.onnx_stages(graph, pixels, size);
        let maps: Vec<Value> = stages.into_iter().map(|(_, map)| map).collect();
        let sides = self.backbone_hr.config().stage_sizes(size);
        let map = self.pyramid.onnx(graph, &maps, &sides);
        resample::onnx(Rule::Linear, graph, &map, sides[0], size)
    }

    /// Channels of the features.
    pub fn channels(&self) -> usize {
        self.pyramid.channels()
    }
}
