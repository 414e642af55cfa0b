//! Statistics of rows as they pass, the same however the rows are bundled.

use serde::Serialize;

use crate::{DType, Sample};

/// What the valid pixels of a band hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BandStatistics {
    /// Number of valid pixels.
    pub count: u64,
    /// Number of all pixels.
    pub pixels: u64,
    /// Least value, where there is a valid pixel.
    pub minimum: Option<f64>,
    /// Greatest value.
    pub maximum: Option<f64>,
    /// Mean.
    pub mean: Option<f64>,
    /// Standard deviation of the population.
    pub stddev: Option<f64>,
    /// Share of valid pixels in percent.
    pub valid_percent: f64,
    /// For bytes: how many pixels have each value that occurs, nodata left out.
    pub histogram: Vec<(u8, u64)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    count: u64,
    pixels: u64,
    minimum: f64,
    maximum: f64,
    mean: f64,
    squares: f64,
    histogram: Vec<u64>,
}

impl Running {
    /// Adds one row. Rows are merged by Chan, Golub and LeVeque (1983), so sums of large rasters keep digits.
    pub(crate) fn add<T: Sample>(&mut self, row: &[T], nodata: Option<T>) {
        let bytes = T::DTYPE == DType::UInt8;
        if bytes {
            self.histogram.resize(256, 0);
        }
        let (mut count, mut sum, mut low, mut high) = (0_u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        let valid = |value: &&T| value.is_finite() && Some(**value) != nodata;
        for value in row.iter().filter(valid) {
            let value = value.to_f64();
            (count, sum, low, high) = (count + 1, sum + value, low.min(value), high.max(value));
            if bytes {
                self.histogram[value as usize] += 1;
            }
        }
        self.pixels += row.len() as u64;
        if count == 0 {
            return;
        }
        let mean = sum / count as f64;
        let squares: f64 = row.iter().filter(valid).map(|value| (value.to_f64() - mean).powi(2)).sum();
        if self.count == 0 {
            (self.minimum, self.maximum, self.mean, self.squares) = (low, high, mean, squares);
        } else {
            let (before, now) = (self.count as f64, count as f64);
            let delta = mean - self.mean;
            self.squares += squares + delta * delta * before * now / (before + now);
            self.mean += delta * now / (before + now);
            self.minimum = self.minimum.min(low);
            self.maximum = self.maximum.max(high);
        }
        self.count += count;
    }

    pub(crate) fn finish(&self) -> BandStatistics {
        let some = |value: f64| (self.count > 0).then_some(value);
        BandStatistics {
            count: self.count,
            pixels: self.pixels,
            minimum: some(self.minimum),
            maximum: some(self.maximum),
            mean: some(self.mean),
            stddev: some((self.squares / self.count.max(1) as f64).sqrt()),
            valid_percent: 100.0 * self.count as f64 / self.pixels.max(1) as f64,
            histogram: self
                .histogram
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(|(value, count)| (value as u8, *count))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_the_statistics_of_the_whole() {
        let mut running = Running::default();
        running.add(&[1_u8, 2, 255], Some(255));
        running.add(&[255_u8, 255, 255], Some(255));
        running.add(&[3_u8, 4, 255], Some(255));
        let found = running.finish();
        assert_eq!((found.count, found.minimum, found.maximum, found.mean), (4, Some(1.0), Some(4.0), Some(2.5)));
        assert!((found.stddev.unwrap() - 1.25_f64.sqrt()).abs() < 1e-12);
        assert!((found.valid_percent - 400.0 / 9.0).abs() < 1e-12);
        assert_eq!(found.histogram, [(1, 1), (2, 1), (3, 1), (4, 1)]);
    }

    #[test]
    fn nothing_valid_has_no_mean() {
        let mut running = Running::default();
        running.add(&[f32::NAN], None);
        assert_eq!(running.finish().mean, None);
    }
}
