//! UPerNet for classes or values of pixels, on a pyramid that is made of one map.
//!
//! As with plain vision transformers (mmsegmentation's `Feature2Pyramid`; Li et al., 2022, arXiv:2203.16527) the levels are
//! made of the one map that the fusion gives: at its own side, a half and a quarter of it. The maps of an encoder's stages are
//! decoded by [`crate::PixelEncoder`].

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::pixel::{PixelHead, PixelHeadConfig};
use crate::onnx::{Graph, Value};
use crate::pyramid::Pyramid;
use crate::resample::{self, Rule, resample};

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
    pyramid: Pyramid,
    pixels: PixelHead,
}

impl UperHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> UperHead {
        let Self { channels, hidden, classes } = *self;
        UperHead {
            pyramid: Pyramid::new(&[channels; LEVELS.len()], [hidden; 2], device),
            pixels: PixelHeadConfig { channels: hidden, classes }.init(device),
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
        let levels = sides([height, width]).map(|side| resample(Rule::Mean, features.clone(), side));
        self.pixels.forward(self.pyramid.forward(&levels))
    }

    /// The nodes of [`UperHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value, size: [usize; 2]) -> Value {
        let sides = sides(size);
        let levels = sides.map(|side| resample::onnx(Rule::Mean, graph, features, size, side));
        let map = self.pyramid.onnx(graph, &levels, &sides);
        self.pixels.onnx(graph, &map)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.pixels.classes()
    }
}
