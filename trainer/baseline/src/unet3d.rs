//! U-Net over time, rows and columns.
//!
//! Source: Rustowicz et al., Semantic Segmentation of Crop Type in Africa, CVPR Workshops 2019, at the sizes that Tarasiou et
//! al. (CVPR 2023, DeepSatModels) compare with: two poolings by 2 along all three axes, 64, 128 and 256 channels, transposed
//! convolutions on the way up, leaky rectifiers, a last convolution to classes at each date. Where they end in a linear map over
//! a fixed number of dates, the mean over the dates that are there is taken; the season comes in as two more bands (ours).
//!
//! Cells of dates that are not there are set to zero after each layer, which is what lies beyond the end of a series.

use burn::module::Module;
use burn::tensor::activation::leaky_relu;
use burn::tensor::ops::PadMode;
use burn::tensor::{Bool, Device, Tensor};
use skysense_model::parts::LayerNorm;

use crate::conv::{Conv3d, Raise3d, lacking, norm3d};
use crate::error::at_least_one;
use crate::{BaselineError, Series};

/// What a cell is multiplied with where it is negative: PyTorch's default, which the source has.
const SLOPE: f64 = 0.01;
/// Sides and dates are a multiple of this for two poolings.
const MULTIPLE: usize = 4;

/// Sizes of a [`Unet3d`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unet3dConfig {
    /// Bands of the series.
    pub bands: usize,
    /// Number of classes.
    pub classes: usize,
    /// Channels of the finest level; the two coarser ones have twice and four times as many.
    pub width: usize,
}

/// A convolution with norm and rectifier.
#[derive(Module, Debug)]
struct Block {
    conv: Conv3d,
    norm: LayerNorm,
}

impl Block {
    fn new(channels: usize, out: usize, device: &Device) -> Self {
        Self { conv: Conv3d::new(channels, out, device), norm: LayerNorm::new(out, 1e-5, device) }
    }

    fn forward(&self, x: Tensor<5>, there: &There) -> Tensor<5> {
        there.only(leaky_relu(norm3d(&self.norm, self.conv.forward(x)), SLOPE))
    }
}

/// See the module.
#[derive(Module, Debug)]
pub struct Unet3d {
    fine: [Block; 2],
    middle: [Block; 2],
    coarse: [Block; 2],
    raise_middle: Raise3d,
    up_middle: [Block; 2],
    raise_fine: Raise3d,
    raise_norm: LayerNorm,
    up_fine: [Block; 2],
    classes: Conv3d,
}

impl Unet3dConfig {
    /// Sizes of about as many parameters as the preset `tiny` of the model; ours.
    pub fn small(bands: usize, classes: usize) -> Self {
        Self { bands, classes, width: 24 }
    }

    /// The sizes of DeepSatModels.
    pub fn published(bands: usize, classes: usize) -> Self {
        Self { bands, classes, width: 64 }
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// [`BaselineError::Size`].
    pub fn init(&self, device: &Device) -> Result<Unet3d, BaselineError> {
        let Self { bands, classes, width } = *self;
        at_least_one("UNet3D", &[("bands", bands), ("classes", classes)])?;
        if width < 2 {
            let value = width.to_string();
            return Err(BaselineError::Size { network: "UNet3D", setting: "width", value, expected: "2 or more" });
        }
        let block = |channels, out| Block::new(channels, out, device);
        Ok(Unet3d {
            // The season is two bands.
            fine: [block(bands + 2, width), block(width, width)],
            middle: [block(width, 2 * width), block(2 * width, 2 * width)],
            coarse: [block(2 * width, 4 * width), block(4 * width, 4 * width)],
            raise_middle: Raise3d::new(4 * width, 2 * width, device),
            up_middle: [block(4 * width, 2 * width), block(2 * width, 2 * width)],
            raise_fine: Raise3d::new(2 * width, width, device),
            raise_norm: LayerNorm::new(width, 1e-5, device),
            up_fine: [block(2 * width, width), block(width, width / 2)],
            classes: Conv3d::new(width / 2, classes, device),
        })
    }
}

impl Unet3d {
    /// Logits `[batch, class, height, width]`.
    pub fn forward(&self, series: &Series) -> Tensor<4> {
        let pixels = series.with_season();
        let [_, time, _, height, width] = pixels.dims();
        let (later, bottom, right) = (lacking(time, MULTIPLE), lacking(height, MULTIPLE), lacking(width, MULTIPLE));
        let padding = [(0, 0), (0, later), (0, 0), (0, bottom), (0, right)];
        let pixels = pixels.pad(padding, PadMode::Constant(0.0)).swap_dims(1, 2);
        let present = series.present().int().pad([(0, 0), (0, later)], PadMode::Constant(0.0)).bool();
        let fine_there = There::of(present);
        let middle_there = fine_there.halved();
        let coarse_there = middle_there.halved();
        let both = |[first, second]: &[Block; 2], x, there: &There| second.forward(first.forward(x, there), there);

        let fine = both(&self.fine, fine_there.only(pixels), &fine_there);
        let middle = both(&self.middle, fine_there.pooled(fine.clone()), &middle_there);
        let coarse = both(&self.coarse, middle_there.pooled(middle.clone()), &coarse_there);
        let raised = middle_there.only(self.raise_middle.forward(coarse));
        let up = both(&self.up_middle, Tensor::cat(vec![raised, middle], 1), &middle_there);
        let raised = leaky_relu(norm3d(&self.raise_norm, self.raise_fine.forward(up)), SLOPE);
        let up = both(&self.up_fine, Tensor::cat(vec![fine_there.only(raised), fine], 1), &fine_there);
        let logits = self.classes.forward(up).narrow(2, 0, time).narrow(3, 0, height).narrow(4, 0, width);
        series.mean(logits.swap_dims(1, 2))
    }
}

/// Which dates of a level are there.
struct There {
    /// `[batch, time]`.
    present: Tensor<2, Bool>,
}

impl There {
    fn of(present: Tensor<2, Bool>) -> Self {
        Self { present }
    }

    /// Of half as many dates: one is there where either of its two is.
    fn halved(&self) -> Self {
        let [batch, time] = self.present.dims();
        let pairs = self.present.clone().int().reshape([batch, time / 2, 2]).sum_dim(2);
        Self { present: pairs.squeeze_dim::<2>(2).greater_elem(0) }
    }

    fn absent(&self, shape: [usize; 5]) -> Tensor<5, Bool> {
        self.present.clone().bool_not().unsqueeze_dims::<5>(&[1, 3, 4]).expand(shape)
    }

    /// Zero where a date is not there, of `[batch, channel, time, height, width]`.
    fn only(&self, x: Tensor<5>) -> Tensor<5> {
        let absent = self.absent(x.dims());
        x.mask_fill(absent, 0.0)
    }

    /// The maximum of each 2 × 2 × 2 cells, of those that are there; zero of none.
    fn pooled(&self, x: Tensor<5>) -> Tensor<5> {
        let shape @ [batch, channel, time, height, width] = x.dims();
        let (times, rows, columns) = (time / 2, height / 2, width / 2);
        // Lower than anything that the rectifier lets through.
        let x = x.mask_fill(self.absent(shape), f32::MIN);
        let x = x.reshape([batch * channel * times, 2, height * width]).max_dim(1);
        let x = x.reshape([batch * channel * times * rows, 2, width]).max_dim(1);
        let x = x.reshape([batch * channel * times * rows * columns, 2]).max_dim(1);
        self.halved().only(x.reshape([batch, channel, times, rows, columns]))
    }
}
