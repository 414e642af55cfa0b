//! Samples as one series, as networks of others read them: all acquisitions in the order of the calendar, with the bands of all
//! modalities side by side. An acquisition has zeros in the bands that it lacks, and, where there are several modalities, a band
//! for each that says whether it is of this one (ours: the sources know one modality).

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use skysense_baseline::Series;
use skysense_contract::{Input, Modality};

use crate::TrainError;
use crate::dataset::Prepared;

/// Bands of the series.
pub(super) fn bands(inputs: &BTreeMap<Modality, Input>) -> usize {
    let flags = if inputs.len() > 1 { inputs.len() } else { 0 };
    inputs.values().map(|input| input.bands.len()).sum::<usize>() + flags
}

/// Refuses what does not lie on the 10 m grid.
pub(super) fn check(inputs: &BTreeMap<Modality, Input>) -> Result<(), TrainError> {
    match inputs.iter().find(|(_, input)| input.scale != 1) {
        Some((modality, input)) => Err(TrainError::Setting {
            setting: "modalities",
            value: format!("{modality}, {} pixels to one of the 10 m grid", input.scale),
            expected: "those of the 10 m grid alone: the networks of others read one grid".into(),
        }),
        None => Ok(()),
    }
}

/// A batch, padded to its longest series.
pub(super) fn series(
    samples: &[&Prepared],
    inputs: &BTreeMap<Modality, Input>,
    device: &Device,
) -> Result<Series, TrainError> {
    let size = samples.first().map_or(0, |sample| sample.size);
    let (bands, area) = (bands(inputs), size * size);
    let dates = |sample: &&Prepared| sample.series.values().map(|series| series.days.len()).sum::<usize>();
    let time = samples.iter().map(dates).max().unwrap_or(0).max(1);
    let mut pixels = vec![0.0_f32; samples.len() * time * bands * area];
    let mut days = vec![0_i64; samples.len() * time];
    let mut present = vec![false; samples.len() * time];
    for (index, sample) in samples.iter().enumerate() {
        let mut all: Vec<(i64, usize, Modality)> = Vec::new();
        for (modality, series) in &sample.series {
            all.extend(series.days.iter().enumerate().map(|(date, day)| (*day, date, *modality)));
        }
        all.sort_by_key(|(day, ..)| *day);
        for (slot, (day, date, modality)) in all.into_iter().enumerate() {
            let at = index * time + slot;
            (days[at], present[at]) = (day, true);
            let image = &mut pixels[at * bands * area..][..bands * area];
            write(image, (sample, modality, date), inputs, area);
        }
    }
    let shape = [samples.len(), time];
    let pixels = Tensor::from_data(TensorData::new(pixels, [samples.len(), time, bands, size, size]), device);
    let days = Tensor::<2, Int>::from_data(TensorData::new(days, shape), device);
    let present = Tensor::<2, Bool>::from_data(TensorData::new(present, shape), device);
    Series::new(pixels, days, present).map_err(|error| TrainError::Model(error.to_string()))
}

/// One acquisition, normalised, into its image `[band, height, width]`.
fn write(
    image: &mut [f32],
    (sample, modality, date): (&Prepared, Modality, usize),
    inputs: &BTreeMap<Modality, Input>,
    area: usize,
) {
    let series = &sample.series[&modality];
    let mut first = 0;
    for (place, (other, input)) in inputs.iter().enumerate() {
        let count = input.bands.len();
        if *other == modality {
            for band in 0..count {
                let (mean, std) = (input.mean[band] as f32, input.std[band] as f32);
                let from = &series.pixels[(date * count + band) * area..][..area];
                let to = &mut image[(first + band) * area..][..area];
                to.iter_mut().zip(from).for_each(|(to, value)| *to = (value - mean) / std);
            }
            if inputs.len() > 1 {
                let flags = image.len() / area - inputs.len();
                image[(flags + place) * area..][..area].fill(1.0);
            }
        }
        first += count;
    }
}

#[cfg(test)]
mod tests {
    use skysense_contract::{Dtype, Unit};

    use super::*;
    use crate::dataset::tests::prepared;

    fn input(mean: f64) -> Input {
        Input {
            bands: vec!["a".into()],
            unit: Unit::ReflectanceE4,
            dtype: Dtype::I16,
            mean: vec![mean],
            std: vec![2.0],
            dates: 4,
            scale: 1,
        }
    }

    #[test]
    fn acquisitions_of_all_modalities_are_one_series_by_day_and_say_whose_they_are() {
        let inputs = BTreeMap::from([(Modality::S2, input(2.0)), (Modality::S1, input(100.0))]);
        let mut two = prepared(2, 2);
        two.series.get_mut(&Modality::S1).unwrap().days = vec![5, 20];
        let one = prepared(1, 1);
        let found = series(&[&two, &one], &inputs, &Device::flex()).unwrap();
        assert_eq!((bands(&inputs), found.pixels().dims()), (4, [2, 4, 4, 2, 2]));
        assert_eq!(found.days().into_data().iter::<i64>().collect::<Vec<_>>(), [0, 5, 10, 20, 0, 0, 0, 0]);
        let present: Vec<bool> = found.present().into_data().iter::<bool>().collect();
        assert_eq!(present, [true, true, true, true, true, false, false, false]);
        let pixels: Vec<f32> = found.pixels().into_data().iter::<f32>().collect();
        // Bands by modality in the table's order, then the flags: of day 0 and day 5.
        let order: Vec<&Modality> = inputs.keys().collect();
        let (s2, s1) = (
            order.iter().position(|m| **m == Modality::S2).unwrap(),
            order.iter().position(|m| **m == Modality::S1).unwrap(),
        );
        let plane = |date: usize, band: usize| &pixels[(date * 4 + band) * 4..][..4];
        assert_eq!((plane(0, s2), plane(0, s1)), (&[-1.0, -0.5, 0.0, 0.5][..], &[0.0; 4][..]));
        assert_eq!((plane(0, 2 + s2), plane(0, 2 + s1)), (&[1.0; 4][..], &[0.0; 4][..]));
        assert_eq!((plane(1, s1), plane(1, 2 + s1)), (&[0.0, 0.5, 1.0, 1.5][..], &[1.0; 4][..]));
        assert!(pixels[4 * 16 + 16..].iter().all(|value| *value == 0.0), "padding");
        assert_eq!(bands(&BTreeMap::from([(Modality::S2, input(0.0))])), 1, "one modality needs no flag");
    }

    #[test]
    fn finer_grids_are_refused() {
        let fine = Input { scale: 32, ..input(0.0) };
        let told = check(&BTreeMap::from([(Modality::Hr, fine)])).unwrap_err().to_string();
        assert!(told.contains("hr, 32 pixels"), "{told}");
    }
}
