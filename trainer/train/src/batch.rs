//! Samples stacked into tensors.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use skysense_contract::{Input, Modality};

use crate::dataset::{Prepared, PreparedSeries};

/// A batch on a device.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) stacks: BTreeMap<Modality, Stack>,
    /// Those of an earlier time, where a task compares two; else empty.
    pub(crate) before: BTreeMap<Modality, Stack>,
    /// `[batch]`, region of each sample, where the model has prototypes.
    pub(crate) regions: Option<Tensor<1, Int>>,
}

impl Batch {
    /// Where the dates of each modality lie among the tokens.
    pub(crate) fn places(&self) -> BTreeMap<Modality, Range<usize>> {
        let mut places = BTreeMap::new();
        let mut from = 0;
        for modality in Modality::ALL {
            if let Some(stack) = self.stacks.get(&modality) {
                let end = from + stack.days.dims()[1];
                places.insert(modality, from..end);
                from = end;
            }
        }
        places
    }
}

/// One modality of a batch, padded to its longest series.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// `[batch, time, band, height, width]`, normalised; absent dates are 0 and hidden by `present`.
    pub(crate) pixels: Tensor<5>,
    /// `[batch, time]`, day of the year − 1.
    pub(crate) days: Tensor<2, Int>,
    /// `[batch, time]`.
    pub(crate) present: Tensor<2, Bool>,
}

/// Stacks samples.
pub(crate) fn stack(samples: &[&Prepared], inputs: &BTreeMap<Modality, Input>, device: &Device) -> Batch {
    let regions: Option<Vec<i64>> = samples.iter().map(|sample| sample.region.map(|region| region as i64)).collect();
    Batch {
        stacks: stacks(samples, |sample| &sample.series, inputs, device),
        before: stacks(samples, |sample| &sample.before, inputs, device),
        regions: regions.map(|regions| Tensor::from_data(TensorData::new(regions, [samples.len()]), device)),
    }
}

/// The acquisitions of one time by modality, without those that no sample has.
fn stacks(
    samples: &[&Prepared],
    of: impl Fn(&Prepared) -> &BTreeMap<Modality, PreparedSeries>,
    inputs: &BTreeMap<Modality, Input>,
    device: &Device,
) -> BTreeMap<Modality, Stack> {
    let mut stacks = BTreeMap::new();
    for (modality, input) in inputs {
        let series: Vec<Option<&PreparedSeries>> = samples.iter().map(|sample| of(sample).get(modality)).collect();
        let time = series.iter().flatten().map(|series| series.days.len()).max().unwrap_or(0);
        if time > 0 {
            stacks.insert(*modality, stack_one(&series, samples[0].size, input, time, device));
        }
    }
    stacks
}

fn stack_one(samples: &[Option<&PreparedSeries>], size: usize, input: &Input, time: usize, device: &Device) -> Stack {
    let side = size * input.scale;
    let (bands, area) = (input.bands.len(), side * side);
    let length = time * bands * area;
    let mut pixels = vec![0.0_f32; samples.len() * length];
    let mut days = vec![0_i64; samples.len() * time];
    let mut present = vec![false; samples.len() * time];
    for (index, sample) in samples.iter().enumerate() {
        let Some(series) = sample else { continue };
        for (at, value) in series.pixels.iter().enumerate() {
            let band = at / area % bands;
            let (mean, std) = (input.mean[band] as f32, input.std[band] as f32);
            pixels[index * length + at] = (value - mean) / std;
        }
        let from = index * time;
        days[from..from + series.days.len()].copy_from_slice(&series.days);
        present[from..from + series.days.len()].fill(true);
    }
    let count = samples.len();
    Stack {
        pixels: Tensor::from_data(TensorData::new(pixels, [count, time, bands, side, side]), device),
        days: Tensor::from_data(TensorData::new(days, [count, time]), device),
        present: Tensor::from_data(TensorData::new(present, [count, time]), device),
    }
}

#[cfg(test)]
mod tests {
    use skysense_contract::{Dtype, Unit};

    use super::*;
    use crate::dataset::tests::prepared;

    #[test]
    fn short_series_are_padded_and_hidden_and_pixels_are_normalised() {
        let input = Input {
            bands: vec!["B02".into()],
            unit: Unit::ReflectanceE4,
            dtype: Dtype::I16,
            mean: vec![2.0],
            std: vec![2.0],
            dates: 4,
            scale: 1,
        };
        let inputs = BTreeMap::from([(Modality::S2, input.clone()), (Modality::S1, input)]);
        let samples = [prepared(1, 1), prepared(1, 2)];
        let samples: Vec<&Prepared> = samples.iter().collect();
        let batch = stack(&samples, &inputs, &Device::flex());
        assert_eq!(batch.places(), BTreeMap::from([(Modality::S2, 0..2)]));
        assert!(!batch.stacks.contains_key(&Modality::S1));
        let s2 = &batch.stacks[&Modality::S2];
        assert_eq!(s2.pixels.dims(), [2, 2, 1, 2, 2]);
        let pixels = s2.pixels.to_data().try_to_vec::<f32>().unwrap();
        assert_eq!(pixels[..8], [-1.0, -0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(s2.present.to_data().try_to_vec::<bool>().unwrap(), [true, false, true, true]);
        assert_eq!(s2.days.to_data().convert::<i64>().try_to_vec::<i64>().unwrap(), [0, 0, 0, 10]);
    }
}
