//! The acquisitions of a batch as one series.

use burn::tensor::{Bool, Int, Tensor};

use crate::BaselineError;

/// Days of a year, for angles.
const YEAR: f64 = 365.25;

/// Series of a batch, padded to the longest. Where a date is not there, pixels are 0 whatever was given.
#[derive(Debug, Clone)]
pub struct Series {
    pixels: Tensor<5>,
    days: Tensor<2, Int>,
    present: Tensor<2, Bool>,
}

impl Series {
    /// Normalised pixels `[batch, time, band, height, width]`, the day of the year − 1 of each date `[batch, time]`, and
    /// which dates are there `[batch, time]`. Dates are in order, and those that are there come first: what looks at
    /// neighbours in time sees the same then, however long the padding is.
    ///
    /// # Errors
    /// [`BaselineError::Shape`].
    pub fn new(pixels: Tensor<5>, days: Tensor<2, Int>, present: Tensor<2, Bool>) -> Result<Self, BaselineError> {
        let [batch, time, ..] = pixels.dims();
        for (what, found) in [("days", days.dims()), ("dates that are there", present.dims())] {
            if found != [batch, time] {
                let (found, expected) = (format!("{found:?}"), format!("[{batch}, {time}]"));
                return Err(BaselineError::Shape { what, found, expected });
            }
        }
        let absent = present.clone().bool_not().unsqueeze_dims::<5>(&[2, 3, 4]).expand(pixels.dims());
        Ok(Self { pixels: pixels.mask_fill(absent, 0.0), days, present })
    }

    /// `[batch, time, band, height, width]`.
    pub fn pixels(&self) -> Tensor<5> {
        self.pixels.clone()
    }

    /// `[batch, time]`, day of the year − 1.
    pub fn days(&self) -> Tensor<2, Int> {
        self.days.clone()
    }

    /// `[batch, time]`.
    pub fn present(&self) -> Tensor<2, Bool> {
        self.present.clone()
    }

    /// The pixels with two more bands: sine and cosine of the day of the year, the same all over an image.
    pub(crate) fn with_season(&self) -> Tensor<5> {
        let [batch, time, _, height, width] = self.pixels.dims();
        let angle = self.days.clone().float() * (std::f64::consts::TAU / YEAR);
        let plane = |values: Tensor<2>| values.unsqueeze_dims::<5>(&[2, 3, 4]).expand([batch, time, 1, height, width]);
        Tensor::cat(vec![self.pixels.clone(), plane(angle.clone().sin()), plane(angle.cos())], 2)
    }

    /// Mean over the dates that are there of maps `[batch, time, channel, height, width]`; 0 of none.
    pub(crate) fn mean(&self, maps: Tensor<5>) -> Tensor<4> {
        let there = self.present.clone().float().unsqueeze_dims::<5>(&[2, 3, 4]);
        let count = there.clone().sum_dim(1).clamp_min(1.0);
        ((maps * there).sum_dim(1) / count).squeeze_dim::<4>(1)
    }
}
