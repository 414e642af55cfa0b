//! TSViT: a transformer over the dates of each patch, then over the patches for each class.
//!
//! Source: Tarasiou, Chavez and Zafeiriou, ViTs for SITS: Vision Transformers for Satellite Image Time Series, CVPR 2023. A
//! patch of each date is a token, to which the embedding of its day of the year is added; as many learned tokens as there are
//! classes go before them. After the temporal encoder only those are kept; for each class the patches with their position go
//! through the spatial encoder, and a norm and a linear map give the logits of the class at each pixel of a patch. Both
//! encoders are pre-norm layers with a norm at the end.
//!
//! Dates that are not there are hidden from attention (the source pads with zeros that are seen). The embedding of days starts
//! at a deviation of 0.02 and class tokens at 1, as tables of transformers and the source's tokens do.

use burn::module::{Initializer, Module, Param};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Int, Tensor};
use skysense_model::parts::{HIDDEN, LayerNorm, LayerWidths, Linear, TransformerLayer};

use crate::conv::lacking;
use crate::error::at_least_one;
use crate::{BaselineError, Series};

/// Rows of the table of days: a leap year's.
const DAYS: usize = 366;
const EPSILON: f64 = 1e-5;

/// Sizes of a [`Tsvit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsvitConfig {
    /// Bands of the series.
    pub bands: usize,
    /// Number of classes.
    pub classes: usize,
    /// Side of the images in pixels: the table of positions is made for it.
    pub side: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Channels of a token.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
    /// Layers over the dates.
    pub temporal: usize,
    /// Layers over the patches.
    pub spatial: usize,
    /// Width of the feed-forward branch in channels.
    pub mlp_ratio: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub struct Tsvit {
    embed: Linear,
    days: Param<Tensor<2>>,
    class_tokens: Param<Tensor<3>>,
    temporal: Vec<TransformerLayer>,
    temporal_norm: LayerNorm,
    positions: Param<Tensor<3>>,
    spatial: Vec<TransformerLayer>,
    spatial_norm: LayerNorm,
    head_norm: LayerNorm,
    head: Linear,
    patch: usize,
}

impl TsvitConfig {
    /// The sizes of the source for PASTIS.
    pub fn published(bands: usize, classes: usize, side: usize) -> Self {
        Self { bands, classes, side, patch: 2, channels: 128, heads: 4, temporal: 4, spatial: 4, mlp_ratio: 4 }
    }

    /// Sizes of about as many parameters as the preset `tiny` of the model; ours.
    pub fn small(bands: usize, classes: usize, side: usize) -> Self {
        Self { temporal: 3, spatial: 2, ..Self::published(bands, classes, side) }
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// [`BaselineError::Size`].
    pub fn init(&self, device: &Device) -> Result<Tsvit, BaselineError> {
        let Self { bands, classes, side, patch, channels, heads, temporal, spatial, mlp_ratio } = *self;
        let sizes = [("bands", bands), ("classes", classes), ("side", side), ("patch", patch), ("channels", channels)];
        at_least_one("TSViT", &sizes)?;
        let sizes = [("heads", heads), ("temporal", temporal), ("spatial", spatial), ("mlp_ratio", mlp_ratio)];
        at_least_one("TSViT", &sizes)?;
        if !channels.is_multiple_of(heads) {
            let (value, expected) = (format!("{channels} for {heads} heads"), "a multiple of the heads");
            return Err(BaselineError::Size { network: "TSViT", setting: "channels", value, expected });
        }
        let widths = LayerWidths { channels, heads, mlp_ratio, epsilon: EPSILON };
        let layers = |count: usize| (0..count).map(|_| TransformerLayer::new(widths, 0.0, device)).collect();
        let norm = || LayerNorm::new(channels, EPSILON, device);
        let table = Initializer::Normal { mean: 0.0, std: 0.02 };
        let tokens = Initializer::Normal { mean: 0.0, std: 1.0 };
        Ok(Tsvit {
            embed: Linear::new(bands * patch * patch, channels, true, device),
            days: table.init([DAYS, channels], device),
            class_tokens: tokens.init([1, classes, channels], device),
            temporal: layers(temporal),
            temporal_norm: norm(),
            positions: table.init([1, side.div_ceil(patch).pow(2), channels], device),
            spatial: layers(spatial),
            spatial_norm: norm(),
            head_norm: norm(),
            head: Linear::new(channels, patch * patch, true, device),
            patch,
        })
    }
}

impl Tsvit {
    /// Logits `[batch, class, height, width]`.
    ///
    /// # Errors
    /// [`BaselineError::Shape`] of images of another side than it was made for.
    pub fn forward(&self, series: &Series) -> Result<Tensor<4>, BaselineError> {
        let pixels = series.pixels();
        let [batch, time, band, height, width] = pixels.dims();
        let patch = self.patch;
        let (rows, columns) = (height.div_ceil(patch), width.div_ceil(patch));
        let [_, patches, channels] = self.positions.dims();
        if rows * columns != patches {
            let found = format!("{height} × {width} pixels in {} patches", rows * columns);
            return Err(BaselineError::Shape { what: "TSViT's images", found, expected: format!("{patches} patches") });
        }
        let padding = [(0, 0), (0, 0), (0, 0), (0, lacking(height, patch)), (0, lacking(width, patch))];
        let pixels = pixels.pad(padding, PadMode::Constant(0.0));
        // Rows of patches, then patches of a row, then dates, so that the dates of a patch are one sequence.
        let tokens = pixels.reshape([batch * time * band, rows, patch, columns, patch]).swap_dims(2, 3);
        let tokens = tokens.reshape([batch, time, band, patches, patch * patch]).permute([0, 3, 1, 2, 4]);
        let tokens = self.embed.forward(tokens.reshape([batch, patches, time, band * patch * patch]));
        let days = series.days().clamp(0, DAYS as i64 - 1).reshape([batch * time]);
        let days = self.days.val().select(0, days).reshape([batch, 1, time, channels]);
        let tokens = (tokens + days).reshape([batch * patches, time, channels]);

        let classes = self.class_tokens.dims()[1];
        let asked = self.class_tokens.val().expand([batch * patches, classes, channels]);
        let hidden = self.hidden(series, classes);
        let tokens = Tensor::cat(vec![asked, tokens], 1);
        let tokens = self.temporal.iter().fold(tokens, |x, layer| layer.apply(x, Some(&hidden)));
        let found = self.temporal_norm.forward(tokens.narrow(1, 0, classes));

        let found = found.reshape([batch, patches, classes, channels]).swap_dims(1, 2);
        let found = found.reshape([batch * classes, patches, channels]) + self.positions.val();
        let found = self.spatial.iter().fold(found, |x, layer| layer.apply(x, None));
        let logits = self.head.forward(self.head_norm.forward(self.spatial_norm.forward(found)));
        let logits = logits.reshape([batch * classes, rows, columns, patch, patch]).swap_dims(2, 3);
        let logits = logits.reshape([batch, classes, rows * patch, columns * patch]);
        Ok(logits.narrow(2, 0, height).narrow(3, 0, width))
    }

    /// `[batch, 1, 1, class + time]`, added to the logits of attention.
    fn hidden(&self, series: &Series, classes: usize) -> Tensor<4> {
        let absent: Tensor<2, Int> = series.present().bool_not().int();
        let seen = Tensor::<2>::zeros([absent.dims()[0], classes], &series.pixels().device());
        Tensor::cat(vec![seen, absent.float() * f64::from(HIDDEN)], 1).unsqueeze_dims::<4>(&[1, 2])
    }
}
