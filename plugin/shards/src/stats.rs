//! Mean and standard deviation of every band, in one pass over a part.

use std::collections::BTreeMap;

use serde::Serialize;
use skysense_edges::{PixelsRef, Series};

use crate::{Result, ShardPart};

/// Statistics of a modality, band by band in the order of the header.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BandStatistics {
    /// Names of the bands.
    pub bands: Vec<String>,
    /// Mean of the valid pixels, in the unit of the pixels; 0 where there is none.
    pub mean: Vec<f64>,
    /// Standard deviation of the valid pixels (of the population); 1 where a band does not vary.
    pub std: Vec<f64>,
    /// Lowest valid value.
    pub min: Vec<f64>,
    /// Highest valid value.
    pub max: Vec<f64>,
    /// Valid pixels of a band.
    pub count: Vec<u64>,
    /// Share of the pixels that are valid.
    pub valid: f64,
}

/// Count, mean, sum of squared deviations, lowest and highest of a band.
#[derive(Debug, Clone, Copy)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Moments {
    const NONE: Self = Self { count: 0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// Of the values of one image, which are at hand twice: the mean first, then the deviations from it.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (mut found, mut total) = (Self::NONE, 0.0);
        for value in values.clone() {
            found.count += 1;
            total += value;
            (found.min, found.max) = (found.min.min(value), found.max.max(value));
        }
        if found.count > 0 {
            found.mean = total / found.count as f64;
            found.squares = values.map(|value| (value - found.mean).powi(2)).sum();
        }
        found
    }

    /// Both together (Chan, Golub and LeVeque 1979, equation 2.1): no large sums are subtracted from each other.
    fn join(self, other: Self) -> Self {
        if self.count == 0 {
            return other;
        }
        if other.count == 0 {
            return self;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        Self {
            count: self.count + other.count,
            mean: self.mean + apart * b / (a + b),
            squares: self.squares + other.squares + apart * apart * a * b / (a + b),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// Statistics by modality of all samples of a part, read one after the other. `going_on` is asked after each sample; one
/// that cannot be read goes to `bad` and counts for nothing.
///
/// # Errors
/// What `going_on` refuses, and what `bad` gives back.
pub fn stats<E>(
    part: &ShardPart,
    mut bad: impl FnMut(crate::ShardError) -> std::result::Result<(), E>,
    mut going_on: impl FnMut(usize) -> std::result::Result<(), E>,
) -> std::result::Result<BTreeMap<String, BandStatistics>, E> {
    let modalities = &part.set().manifest().header.modalities;
    let mut all: BTreeMap<&str, (Vec<Moments>, [u64; 2])> =
        modalities.iter().map(|(name, m)| (name.as_str(), (vec![Moments::NONE; m.bands.len()], [0; 2]))).collect();
    for number in 0..part.count() {
        match one(part, number) {
            Ok(found) => {
                for (modality, moments, pixels) in found {
                    let Some((sums, seen)) = all.get_mut(modality) else { continue };
                    sums.iter_mut().zip(moments).for_each(|(sum, more)| *sum = sum.join(more));
                    *seen = [seen[0] + pixels[0], seen[1] + pixels[1]];
                }
            }
            Err(error) => bad(error)?,
        }
        going_on(number + 1)?;
    }
    let statistics = |(name, (sums, seen)): (&str, (Vec<Moments>, [u64; 2]))| {
        let deviation = |m: &Moments| {
            let variance = if m.count > 0 { m.squares / m.count as f64 } else { 0.0 };
            if variance > 1e-12 { variance.sqrt() } else { 1.0 }
        };
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        let found = BandStatistics {
            bands: modalities[name].bands.clone(),
            mean: sums.iter().map(|m| m.mean).collect(),
            std: sums.iter().map(deviation).collect(),
            min: sums.iter().map(|m| finite(m.min)).collect(),
            max: sums.iter().map(|m| finite(m.max)).collect(),
            count: sums.iter().map(|m| m.count).collect(),
            valid: seen[0] as f64 / seen[1].max(1) as f64,
        };
        (name.to_owned(), found)
    };
    Ok(all.into_iter().map(statistics).collect())
}

type Found<'a> = Vec<(&'a str, Vec<Moments>, [u64; 2])>;

/// The moments of a sample, and how many of its pixels are valid.
fn one(part: &ShardPart, number: usize) -> Result<Found<'_>> {
    let sample = part.read(number)?;
    let modalities = &part.set().manifest().header.modalities;
    let of = |name: &'static str| {
        let series = sample.series(name, 0)?;
        let valid = series.valid.iter().filter(|&&valid| valid != 0).count();
        let (name, _) = modalities.get_key_value(name)?;
        Some((name.as_str(), moments(&series), [valid as u64, series.valid.len() as u64]))
    };
    Ok(skysense_edges::MODALITIES.into_iter().filter_map(of).collect())
}

fn moments(series: &Series<'_>) -> Vec<Moments> {
    match series.pixels {
        PixelsRef::U8(values) => each(series, values),
        PixelsRef::U16(values) => each(series, values),
        PixelsRef::I16(values) => each(series, values),
        PixelsRef::F32(values) => each(series, values),
    }
}

fn each<T: Copy + Into<f64>>(series: &Series<'_>, values: &[T]) -> Vec<Moments> {
    let [dates, bands, height, width] = series.shape;
    let area = height * width;
    let image = |date: usize, band: usize| {
        let pixels = values[(date * bands + band) * area..][..area].iter().zip(&series.valid[date * area..][..area]);
        let valid = pixels.filter(|(_, valid)| **valid != 0).map(|(value, _)| (*value).into());
        Moments::of(valid.filter(|value: &f64| value.is_finite()))
    };
    let band = |band: usize| (0..dates).map(|date| image(date, band)).fold(Moments::NONE, Moments::join);
    (0..bands).map(band).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_to_the_whole_far_from_zero() {
        // The squares of these numbers lose all of the deviations in single and in double precision.
        let values: Vec<f64> = (0..1000).map(|n| 1e9 + f64::from(n % 7)).collect();
        let whole =
            values.chunks(37).map(|chunk| Moments::of(chunk.iter().copied())).fold(Moments::NONE, Moments::join);
        let mean = values.iter().map(|value| value - 1e9).sum::<f64>() / 1000.0;
        let variance = values.iter().map(|value| (value - 1e9 - mean).powi(2)).sum::<f64>() / 1000.0;
        assert!((whole.mean - 1e9 - mean).abs() < 1e-6, "{whole:?}");
        assert!((whole.squares / 1000.0 - variance).abs() < 1e-6, "{whole:?} {variance}");
        assert_eq!((whole.count, whole.min, whole.max), (1000, 1e9, 1e9 + 6.0));
    }
}
