//! A table of numbers: one row for each labelled pixel.

use burn::tensor::{Device, Tensor, TensorData};

/// Features of pixels, `[pixel, channel]`. What is not known is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Channels.
    pub width: usize,
    /// Row after row.
    pub values: Vec<f32>,
}

impl Features {
    /// Rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }

    pub(super) fn rows(&self, rows: &[usize]) -> Self {
        Self { width: self.width, values: rows.iter().flat_map(|row| self.row(*row)).copied().collect() }
    }

    /// On the CPU, `[pixel, channel]`.
    pub(super) fn tensor(&self) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.values.clone(), [self.count(), self.width]), &Device::flex())
    }
}

/// Mean and deviation of each channel: classifiers must not depend on the units that numbers come in.
#[derive(Debug, Clone)]
pub(crate) struct Standard {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standard {
    pub(crate) fn of(features: &Features) -> Self {
        let known = |channel: usize| {
            let values = (0..features.count()).map(move |row| f64::from(features.row(row)[channel]));
            values.filter(|value| value.is_finite())
        };
        let mean: Vec<f64> = (0..features.width)
            .map(|channel| known(channel).sum::<f64>() / known(channel).count().max(1) as f64)
            .collect();
        let deviation = |(channel, mean): (usize, &f64)| {
            let squares: f64 = known(channel).map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / known(channel).count().max(1) as f64).sqrt();
            // A channel that says the same everywhere stays at 0 once its mean is off.
            if deviation > 1e-6 * mean.abs().max(1e-6) { deviation } else { 1.0 }
        };
        let deviation = mean.iter().enumerate().map(deviation).collect();
        Self { mean, deviation }
    }

    /// Standardised; what is not known takes the mean.
    pub(crate) fn apply(&self, features: &Features) -> Features {
        let scaled = |(at, value): (usize, &f32)| {
            let channel = at % features.width;
            let scaled = ((f64::from(*value) - self.mean[channel]) / self.deviation[channel]) as f32;
            if scaled.is_finite() { scaled } else { 0.0 }
        };
        Features { width: features.width, values: features.values.iter().enumerate().map(scaled).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_takes_the_mean_and_constants_stay_at_zero() {
        let training = Features { width: 3, values: vec![1.0, 5.0, 7.0, 3.0, f32::NAN, 7.0] };
        let standard = Standard::of(&training);
        let scaled = standard.apply(&Features { width: 3, values: vec![3.0, f32::NAN, 7.0, 2.0, 6.0, 7.0] });
        assert_eq!(scaled.values, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
