//! U-Net on each date, with the mean over the dates before the classes.
//!
//! Source: Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015: on the
//! way down two 3 × 3 convolutions and a 2 × 2 maximum, channels doubled; on the way up a 2 × 2 transposed convolution, the map
//! of the way down beside it, two convolutions; last a 1 × 1 convolution. Sides are kept by padding, where the source crops.
//!
//! The source knows one image. Here all dates go through the same weights, each with its season as two more bands, and the
//! maps before the last convolution are averaged over the dates that are there (ours).

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::{MaxPoolOptions, PadMode};
use burn::tensor::{Device, Tensor};
use skysense_model::parts::LayerNorm;

use crate::conv::{Conv2d, Raise2d, lacking, norm2d};
use crate::error::at_least_one;
use crate::{BaselineError, Series};

/// Sizes of a [`Unet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnetConfig {
    /// Bands of the series.
    pub bands: usize,
    /// Number of classes.
    pub classes: usize,
    /// Channels of the finest level; each coarser one has twice as many.
    pub width: usize,
    /// Levels, of which each has half the sides of the one above.
    pub levels: usize,
}

/// Two convolutions, each with norm and rectifier.
#[derive(Module, Debug)]
struct Pair {
    first: Conv2d,
    first_norm: LayerNorm,
    second: Conv2d,
    second_norm: LayerNorm,
}

impl Pair {
    fn new(channels: usize, out: usize, device: &Device) -> Self {
        Self {
            first: Conv2d::new(channels, out, 3, device),
            first_norm: LayerNorm::new(out, 1e-5, device),
            second: Conv2d::new(out, out, 3, device),
            second_norm: LayerNorm::new(out, 1e-5, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = relu(norm2d(&self.first_norm, self.first.forward(x)));
        relu(norm2d(&self.second_norm, self.second.forward(x)))
    }
}

/// See the module.
#[derive(Module, Debug)]
pub struct Unet {
    down: Vec<Pair>,
    raise: Vec<Raise2d>,
    up: Vec<Pair>,
    classes: Conv2d,
}

impl UnetConfig {
    /// Sizes of about as many parameters as the preset `tiny` of the model; ours.
    pub fn small(bands: usize, classes: usize) -> Self {
        Self { bands, classes, width: 48, levels: 3 }
    }

    /// The sizes of the source.
    pub fn published(bands: usize, classes: usize) -> Self {
        Self { bands, classes, width: 64, levels: 5 }
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// [`BaselineError::Size`].
    pub fn init(&self, device: &Device) -> Result<Unet, BaselineError> {
        let Self { bands, classes, width, levels } = *self;
        at_least_one("U-Net", &[("bands", bands), ("classes", classes), ("width", width), ("levels", levels)])?;
        if levels > 8 {
            let value = levels.to_string();
            return Err(BaselineError::Size { network: "U-Net", setting: "levels", value, expected: "at most 8" });
        }
        let at = |level: usize| width << level;
        let down = (0..levels).map(|level| match level {
            // The season is two bands.
            0 => Pair::new(bands + 2, width, device),
            _ => Pair::new(at(level - 1), at(level), device),
        });
        Ok(Unet {
            down: down.collect(),
            raise: (1..levels).map(|level| Raise2d::new(at(level), at(level - 1), device)).collect(),
            up: (1..levels).map(|level| Pair::new(at(level), at(level - 1), device)).collect(),
            classes: Conv2d::new(width, classes, 1, device),
        })
    }
}

impl Unet {
    /// Logits `[batch, class, height, width]`.
    pub fn forward(&self, series: &Series) -> Tensor<4> {
        let pixels = series.with_season();
        let [batch, time, band, height, width] = pixels.dims();
        let multiple = 1 << self.raise.len();
        let (bottom, right) = (lacking(height, multiple), lacking(width, multiple));
        let images = pixels.reshape([batch * time, band, height, width]);
        let images = images.pad([(0, 0), (0, 0), (0, bottom), (0, right)], PadMode::Constant(0.0));
        let maps = self.maps(images).narrow(2, 0, height).narrow(3, 0, width);
        let channels = maps.dims()[1];
        self.classes.forward(series.mean(maps.reshape([batch, time, channels, height, width])))
    }

    /// `[image, band, height, width]` → `[image, channel, height, width]`.
    fn maps(&self, images: Tensor<4>) -> Tensor<4> {
        let mut x = images;
        let mut beside = Vec::new();
        for (level, pair) in self.down.iter().enumerate() {
            if level > 0 {
                x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            x = pair.forward(x);
            beside.push(x.clone());
        }
        beside.pop();
        for level in (0..self.up.len()).rev() {
            let raised = self.raise[level].forward(x);
            x = match beside.pop() {
                Some(map) => self.up[level].forward(Tensor::cat(vec![map, raised], 1)),
                None => unreachable!("there is a map beside each way up"),
            };
        }
        x
    }
}
