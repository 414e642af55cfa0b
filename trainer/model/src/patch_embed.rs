//! Cutting pixels into patches and projecting each.

use burn::module::{Initializer, Module, Param};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};

use crate::fused;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;

/// A convolution whose stride is its kernel, after zeros at the right and the bottom ("corner" padding).
#[derive(Module, Debug)]
pub(crate) struct PatchEmbed {
    /// `[channel, band, patch, patch]`.
    pub(crate) weight: Param<Tensor<4>>,
    /// `[channel]`.
    pub(crate) bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// Projects patches of `patch` × `patch` × `bands` to `channels`.
    pub(crate) fn new(bands: usize, channels: usize, patch: usize, device: &Device) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: (1.0 / (bands * patch * patch) as f64).sqrt() };
        Self {
            weight: normal.init([channels, bands, patch, patch], device),
            bias: Initializer::Zeros.init([channels], device),
        }
    }

    /// Tokens along a side of `pixels`.
    pub(crate) fn tokens(&self, pixels: usize) -> usize {
        pixels.div_ceil(self.patch())
    }

    fn patch(&self) -> usize {
        self.weight.dims()[2]
    }

    /// `[batch, band, height, width]` → `[batch, row · column, channel]`, row by row.
    pub(crate) fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [_, _, height, width] = pixels.dims();
        let patch = self.patch();
        let (bottom, right) = (height.next_multiple_of(patch) - height, width.next_multiple_of(patch) - width);
        let padded =
            if bottom + right > 0 { pixels.pad((0, right, 0, bottom), PadMode::Constant(0.0)) } else { pixels };
        // Patches do not overlap: a matrix of them times the weights is the convolution.
        let [batch, band, height, width] = padded.dims();
        let (rows, columns, weight) = (height / patch, width / patch, self.weight.val());
        let (channels, values) = (weight.dims()[0], band * patch * patch);
        let cut = padded.reshape([batch, band, rows, patch, columns, patch]).permute([0, 2, 4, 1, 3, 5]);
        let cut = cut.reshape([batch * rows * columns, values]);
        let (weight, bias) = (like(weight.reshape([channels, values]), &cut), like(self.bias.val(), &cut));
        fused::linear(cut, weight, Some(bias)).reshape([batch, rows * columns, channels])
    }

    /// The nodes of [`PatchEmbed::forward`] for inputs of `height` × `width`.
    pub(crate) fn onnx(&self, graph: &mut Graph, pixels: &Value, [height, width]: [usize; 2]) -> Value {
        let [channels, _, patch, _] = self.weight.dims();
        let (bottom, right) = (height.next_multiple_of(patch) - height, width.next_multiple_of(patch) - width);
        let padded = match bottom + right {
            0 => pixels.clone(),
            _ => graph.pad(pixels, &[0, 0, 0, 0, 0, 0, bottom as i64, right as i64]),
        };
        // Inference replaces these weights where the data lacks bands, so they go by their published name.
        let weight = graph.named("patch_embed.projection.weight", self.weight.val());
        let bias = graph.parameter("bias", self.bias.val());
        let side = Attribute::Ints(vec![patch as i64; 2]);
        let map = graph.op("Conv", &[&padded, &weight, &bias], &[("kernel_shape", side.clone()), ("strides", side)]);
        let rows = graph.reshape(&map, &[0, channels as i64, -1]);
        graph.permute(&rows, &[0, 2, 1])
    }
}
