//! From a borrowed series to what an encoder takes: bands in the model's order, the model's type, no invalid
//! pixel. A series that is so already is passed on without a copy.

use std::borrow::Cow;

use skysense_contract::{Input, Layout, Modality, day_index, fill};

use crate::{InferError, Pixel, Pixels, Series};

/// A series ready for its encoder.
#[derive(Debug)]
pub(crate) struct Prepared<'a, T: Pixel> {
    /// `[time, band, height, width]`.
    pub(crate) pixels: Cow<'a, [T]>,
    /// Day of the year − 1 of each date that stayed.
    pub(crate) days: Vec<i64>,
    /// `[height, width]` of the 10 m grid: whether any date was valid.
    pub(crate) valid: Vec<u8>,
}

/// How the data of one modality lies and what the model takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) modality: Modality,
    pub(crate) input: &'a Input,
    /// Source of each band of the model.
    pub(crate) bands: &'a [Option<usize>],
    /// Side of a chip in pixels of the 10 m grid.
    pub(crate) size: usize,
    /// Most dates.
    pub(crate) dates: usize,
}

impl Shape<'_> {
    fn side(&self) -> usize {
        self.size * self.input.scale
    }

    /// Prepares a series, the `chip`-th of its batch. Dates without any valid pixel leave the sequence.
    pub(crate) fn prepare<'a, T: Pixel>(
        &self,
        series: &Series<'a>,
        chip: usize,
    ) -> Result<Prepared<'a, T>, InferError> {
        let fault = |fault: String| InferError::Chip { chip, modality: self.modality, fault };
        let (time, area) = (series.datetimes.len(), self.side() * self.side());
        let length = series.pixels.len();
        if (time == 0 && length > 0) || (time > 0 && (length == 0 || !length.is_multiple_of(time * area))) {
            let side = self.side();
            return Err(fault(format!("{length} values are not {time} dates of bands of {side} × {side} pixels")));
        }
        let band = if time == 0 { 0 } else { length / (time * area) };
        let identity = self.bands.iter().enumerate().all(|(at, source)| *source == Some(at));
        let needed = self.bands.iter().flatten().max().map_or(0, |last| last + 1);
        if time > 0 && (band < needed || (identity && band != needed)) {
            return Err(fault(format!("{band} bands, expected {needed} ({})", self.input.bands.join(", "))));
        }
        if series.valid.is_some_and(|valid| valid.len() != time * area) {
            let found = series.valid.map_or(0, <[u8]>::len);
            return Err(fault(format!("validity has {found} values, expected {}", time * area)));
        }
        let mask = mask_of(series, Layout { time, band, area });
        let any = |date: &usize| mask.as_ref().is_none_or(|mask| mask[date * area..][..area].contains(&1));
        let kept: Vec<usize> = (0..time).filter(any).collect();
        if kept.len() > self.dates {
            return Err(fault(format!("{} dates, the plan has at most {}", kept.len(), self.dates)));
        }
        let pixels = match (&mask, T::cast(&series.pixels)) {
            (None, values @ Cow::Borrowed(_)) if identity => values,
            (_, values) => Cow::Owned(self.copy(&values, mask.as_deref(), &kept, series.datetimes)),
        };
        let days = kept.iter().map(|date| day_index(series.datetimes[*date])).collect();
        Ok(Prepared { pixels, days, valid: self.valid(mask.as_deref(), kept.len()) })
    }

    /// Copies the dates that stay with the model's bands and fills invalid pixels. A band that the data lacks
    /// holds its mean; the model does not look at it (see `subset`).
    fn copy<T: Pixel>(&self, values: &[T], mask: Option<&[u8]>, kept: &[usize], datetimes: &[i64]) -> Vec<T> {
        let area = self.side() * self.side();
        let data_bands = if datetimes.is_empty() { 0 } else { values.len() / (datetimes.len() * area) };
        let mut pixels = Vec::with_capacity(kept.len() * self.bands.len() * area);
        for date in kept {
            for (source, mean) in self.bands.iter().zip(&self.input.mean) {
                match source {
                    Some(band) => pixels.extend_from_slice(&values[(date * data_bands + band) * area..][..area]),
                    None => pixels.extend(std::iter::repeat_n(T::from_f64(*mean), area)),
                }
            }
        }
        if let Some(mask) = mask {
            let valid: Vec<u8> = kept.iter().flat_map(|date| &mask[date * area..][..area]).copied().collect();
            let instants: Vec<i64> = kept.iter().map(|date| datetimes[*date]).collect();
            let layout = Layout { time: kept.len(), band: self.bands.len(), area };
            fill(&mut pixels, &valid, &instants, layout);
        }
        pixels
    }

    /// Whether any date was valid, on the 10 m grid.
    fn valid(&self, mask: Option<&[u8]>, kept: usize) -> Vec<u8> {
        let (size, scale, side) = (self.size, self.input.scale, self.side());
        let Some(mask) = mask else { return vec![u8::from(kept > 0); size * size] };
        let mut valid = vec![0_u8; size * size];
        for (index, _) in mask.iter().enumerate().filter(|(_, value)| **value != 0) {
            let place = index % (side * side);
            valid[place / side / scale * size + place % side / scale] = 1;
        }
        valid
    }
}

/// Validity `[time, area]` as 0 and 1, or `None` where everything is valid. Values that are not numbers count
/// as invalid, whatever the mask says: one of them would spoil the whole chip.
fn mask_of(series: &Series<'_>, layout: Layout) -> Option<Vec<u8>> {
    let Layout { time, band, area } = layout;
    let mut mask: Vec<u8> = match series.valid {
        Some(valid) => valid.iter().map(|value| u8::from(*value != 0)).collect(),
        None => vec![1; time * area],
    };
    if let Pixels::F32(values) = series.pixels {
        for (index, _) in values.iter().enumerate().filter(|(_, value)| !value.is_finite()) {
            mask[index / (band * area) * area + index % area] = 0;
        }
    }
    mask.contains(&0).then_some(mask)
}

#[cfg(test)]
mod tests {
    use skysense_contract::{Dtype, Unit};

    use super::*;

    fn input(scale: usize) -> Input {
        Input {
            bands: vec!["a".into(), "b".into()],
            unit: Unit::ReflectanceE4,
            dtype: Dtype::I16,
            mean: vec![100.0, 200.0],
            std: vec![1.0, 1.0],
            dates: 4,
            scale,
        }
    }

    fn shape<'a>(input: &'a Input, bands: &'a [Option<usize>], size: usize) -> Shape<'a> {
        Shape { modality: Modality::S2, input, bands, size, dates: 2 }
    }

    const BOTH: [Option<usize>; 2] = [Some(0), Some(1)];

    #[test]
    fn good_pixels_are_passed_on_without_a_copy() {
        let values: Vec<i16> = (0..4).collect();
        let series = Series { pixels: Pixels::I16(&values), valid: Some(&[1, 1]), datetimes: &[0, 1] };
        let input = input(1);
        let prepared = shape(&input, &BOTH, 1).prepare::<i16>(&series, 0).unwrap();
        assert!(matches!(prepared.pixels, Cow::Borrowed(_)));
        assert_eq!(prepared.pixels.as_ptr(), values.as_ptr());
        assert_eq!((prepared.days, prepared.valid), (vec![0, 0], vec![1]));
    }

    #[test]
    fn bands_are_reordered_and_lacking_ones_hold_the_mean() {
        let input = input(1);
        let series = Series { pixels: Pixels::F32(&[1.4, 2.6]), valid: None, datetimes: &[0] };
        let swapped = shape(&input, &[Some(1), Some(0)], 1).prepare::<i16>(&series, 0).unwrap();
        assert_eq!(*swapped.pixels, [3, 1]);
        let one = Series { pixels: Pixels::I16(&[7]), ..series };
        let subset = shape(&input, &[None, Some(0)], 1).prepare::<i16>(&one, 0).unwrap();
        assert_eq!(*subset.pixels, [100, 7]);
    }

    #[test]
    fn a_date_without_a_valid_pixel_leaves_and_the_rest_is_filled() {
        let input = input(1);
        // Three dates, two bands, 1 × 1 pixel would have no hole to fill: use 2 × 2.
        let values: Vec<i16> = (0..24).collect();
        let valid = [1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0];
        let series =
            Series { pixels: Pixels::I16(&values), valid: Some(&valid), datetimes: &[0, 86_400_000, 172_800_000] };
        let prepared = shape(&input, &BOTH, 2).prepare::<i16>(&series, 0).unwrap();
        assert_eq!(prepared.days, [0, 2]);
        // Date 0 lacks pixel 3, which no date has: the lower median of the band's valid pixels.
        // Date 2 lacks pixels 2 (date 0 has it) and 3.
        assert_eq!(*prepared.pixels, [0, 1, 2, 2, 4, 5, 6, 6, 16, 17, 2, 2, 20, 21, 6, 6]);
        assert_eq!(prepared.valid, [1, 1, 1, 0]);
    }

    #[test]
    fn what_is_not_a_number_is_invalid() {
        let input = Input { dtype: Dtype::F32, ..input(1) };
        let values = [f32::NAN, 1.0, 2.0, 3.0];
        let series = Series { pixels: Pixels::F32(&values), valid: None, datetimes: &[0, 1] };
        let prepared = shape(&input, &BOTH, 1).prepare::<f32>(&series, 0).unwrap();
        assert_eq!((*prepared.pixels).to_vec(), [2.0, 3.0]);
        assert_eq!(prepared.days.len(), 1);
    }

    #[test]
    fn high_resolution_validity_comes_down_to_the_grid() {
        let input = input(2);
        let values = [0_i16; 8];
        let series = Series { pixels: Pixels::I16(&values), valid: Some(&[0, 0, 0, 1]), datetimes: &[0] };
        assert_eq!(shape(&input, &BOTH, 1).prepare::<i16>(&series, 0).unwrap().valid, [1]);
    }

    #[test]
    fn wrong_lengths_and_too_many_dates_are_named() {
        let input = input(1);
        let shape = shape(&input, &BOTH, 1);
        let series = |pixels, datetimes| Series { pixels: Pixels::I16(pixels), valid: None, datetimes };
        let fault = |series| shape.prepare::<i16>(&series, 3).unwrap_err().to_string();
        assert!(fault(series(&[1; 3], &[0, 1])).contains("chip 3 of the batch, s2: 3 values"));
        assert!(fault(series(&[1; 6], &[0, 1, 2])).contains("3 dates, the plan has at most 2"));
        assert!(fault(series(&[1; 3], &[0])).contains("3 bands, expected 2 (a, b)"));
        assert!(fault(Series { valid: Some(&[1, 1]), ..series(&[1; 2], &[0]) }).contains("validity has 2"));
    }
}
