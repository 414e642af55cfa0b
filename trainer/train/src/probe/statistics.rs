//! What a pixel's own values say, without neighbours and without a model.

use std::collections::BTreeMap;

use skysense_contract::{Input, Modality};

use super::features::Features;
use crate::dataset::Prepared;

/// Numbers for each band: mean, deviation, least and largest over the dates (and, of a finer grid, over the pixels that lie
/// in one of the 10 m grid).
const EACH: usize = 4;

/// Of each of these pixels, given by sample and place. NaN where a sample lacks a modality.
pub(crate) fn statistics(
    ready: &[Prepared],
    inputs: &BTreeMap<Modality, Input>,
    pixels: &[(usize, usize)],
) -> Features {
    let width = EACH * inputs.values().map(|input| input.bands.len()).sum::<usize>();
    let mut values = Vec::with_capacity(width * pixels.len());
    for (sample, place) in pixels {
        let sample = &ready[*sample];
        for (modality, input) in inputs {
            let Some(series) = sample.series.get(modality) else {
                values.extend(std::iter::repeat_n(f32::NAN, EACH * input.bands.len()));
                continue;
            };
            let (bands, side, scale) = (input.bands.len(), series.side, input.scale);
            let (row, column) = (place / sample.size * scale, place % sample.size * scale);
            for band in 0..bands {
                let planes = (0..series.days.len()).map(|date| (date * bands + band) * side * side);
                let inside = planes.flat_map(|plane| {
                    (row..row + scale).flat_map(move |y| (column..column + scale).map(move |x| plane + y * side + x))
                });
                values.extend(of(inside.map(|at| series.pixels[at])));
            }
        }
    }
    Features { width, values }
}

fn of(values: impl Iterator<Item = f32>) -> [f32; EACH] {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let (mut least, mut largest) = (f32::INFINITY, f32::NEG_INFINITY);
    for value in values {
        let wide = f64::from(value);
        (count, sum, squares) = (count + 1.0, sum + wide, squares + wide * wide);
        (least, largest) = (least.min(value), largest.max(value));
    }
    let mean: f64 = sum / count;
    [mean as f32, (squares / count - mean * mean).max(0.0).sqrt() as f32, least, largest]
}

#[cfg(test)]
mod tests {
    use skysense_contract::{Dtype, Unit};

    use super::*;
    use crate::dataset::tests::prepared;

    #[test]
    fn numbers_of_a_pixel_over_its_dates() {
        let input = Input {
            bands: vec!["B02".into()],
            unit: Unit::ReflectanceE4,
            dtype: Dtype::I16,
            mean: vec![0.0],
            std: vec![1.0],
            dates: 4,
            scale: 1,
        };
        let inputs = BTreeMap::from([(Modality::S2, input.clone()), (Modality::S1, input)]);
        // Pixel 3 of S2 is 3 and 7 on its two dates; there is no S1.
        let found = statistics(&[prepared(1, 2)], &inputs, &[(0, 3)]);
        assert_eq!((found.width, &found.values[..4]), (8, &[5.0, 2.0, 3.0, 7.0][..]));
        assert!(found.values[4..].iter().all(|value| value.is_nan()));
    }
}
