//! Convolutions over a map and over a series of maps, with channels normalised at each pixel.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::{conv_transpose2d, conv_transpose3d, conv2d, conv3d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor};
use skysense_model::parts::LayerNorm;

/// Weights that keep the deviation of what goes through a rectifier (He et al., ICCV 2015).
fn weights<const D: usize>(shape: [usize; D], fan_in: usize, device: &Device) -> Param<Tensor<D>> {
    Initializer::Normal { mean: 0.0, std: (2.0 / fan_in as f64).sqrt() }.init(shape, device)
}

/// A convolution that keeps the sides.
#[derive(Module, Debug)]
pub(crate) struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Conv2d {
    pub(crate) fn new(channels: usize, out: usize, kernel: usize, device: &Device) -> Self {
        let weight = weights([out, channels, kernel, kernel], kernel * kernel * channels, device);
        Self { weight, bias: Initializer::Zeros.init([out], device) }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let rim = self.weight.dims()[2] / 2;
        let around = ConvOptions::new([1, 1], [rim, rim], [1, 1], 1);
        conv2d(x, self.weight.val(), Some(self.bias.val()), around)
    }
}

/// Twice the sides: each pixel becomes 2 × 2.
#[derive(Module, Debug)]
pub(crate) struct Raise2d {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Raise2d {
    pub(crate) fn new(channels: usize, out: usize, device: &Device) -> Self {
        Self { weight: weights([channels, out, 2, 2], channels, device), bias: Initializer::Zeros.init([out], device) }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
        conv_transpose2d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Norm over the channels of each pixel of `[batch, channel, height, width]`.
pub(crate) fn norm2d(norm: &LayerNorm, x: Tensor<4>) -> Tensor<4> {
    norm.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
}

/// A 3 × 3 × 3 convolution over time, rows and columns that keeps the sides.
#[derive(Module, Debug)]
pub(crate) struct Conv3d {
    weight: Param<Tensor<5>>,
    bias: Param<Tensor<1>>,
}

impl Conv3d {
    pub(crate) fn new(channels: usize, out: usize, device: &Device) -> Self {
        Self {
            weight: weights([out, channels, 3, 3, 3], 27 * channels, device),
            bias: Initializer::Zeros.init([out], device),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let around = ConvOptions::new([1; 3], [1; 3], [1; 3], 1);
        conv3d(x, self.weight.val(), Some(self.bias.val()), around)
    }
}

/// Twice the sides and dates, by a transposed 3 × 3 × 3 convolution.
#[derive(Module, Debug)]
pub(crate) struct Raise3d {
    weight: Param<Tensor<5>>,
    bias: Param<Tensor<1>>,
}

impl Raise3d {
    pub(crate) fn new(channels: usize, out: usize, device: &Device) -> Self {
        // Every second cell is under half of the kernel along each axis: 27 / 8 of it on the mean.
        let weight = weights([channels, out, 3, 3, 3], 27 * channels / 8, device);
        Self { weight, bias: Initializer::Zeros.init([out], device) }
    }

    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let options = ConvTransposeOptions::new([2; 3], [1; 3], [1; 3], [1; 3], 1);
        conv_transpose3d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Norm over the channels of each cell of `[batch, channel, time, height, width]`.
pub(crate) fn norm3d(norm: &LayerNorm, x: Tensor<5>) -> Tensor<5> {
    norm.forward(x.permute([0, 2, 3, 4, 1])).permute([0, 4, 1, 2, 3])
}

/// What is lacking to a multiple.
pub(crate) fn lacking(side: usize, multiple: usize) -> usize {
    side.next_multiple_of(multiple) - side
}
