//! Samples stacked into tensors.

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use skysense_contract::{Input, Modality};

use crate::dataset::{Prepared, Target};

/// A batch on a device.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) stacks: BTreeMap<Modality, Stack>,
    /// `[batch, height, width]`, index of the class; 0 where there is none.
    pub(crate) classes: Tensor<3, Int>,
    /// `[batch, height, width]`, weight of the pixel in the loss; 0 where it does not count.
    pub(crate) weights: Tensor<3>,
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

/// Stacks samples. A pixel weighs what `class_weights` says of its class if it belongs to the wanted part
/// (`validates`), else nothing.
pub(crate) fn stack(
    samples: &[Prepared],
    inputs: &BTreeMap<Modality, Input>,
    class_weights: &[f32],
    validates: bool,
    device: &Device,
) -> Batch {
    let mut stacks = BTreeMap::new();
    for (modality, input) in inputs {
        let dates = |sample: &Prepared| sample.series.get(modality).map_or(0, |series| series.days.len());
        let time = samples.iter().map(dates).max().unwrap_or(0);
        if time > 0 {
            stacks.insert(*modality, stack_one(samples, *modality, input, time, device));
        }
    }
    let size = samples[0].size;
    let targets = || samples.iter().flat_map(|sample| &sample.targets);
    let classes: Vec<i64> = targets().map(|target| i64::from(target.class.unwrap_or(0))).collect();
    let weights: Vec<f32> = targets().map(|target| weight_of(target, class_weights, validates)).collect();
    let shape = [samples.len(), size, size];
    Batch {
        stacks,
        classes: Tensor::from_data(TensorData::new(classes, shape), device),
        weights: Tensor::from_data(TensorData::new(weights, shape), device),
    }
}

/// What the pixels of samples weigh together.
pub(crate) fn weight(samples: &[Prepared], class_weights: &[f32], validates: bool) -> f64 {
    let targets = samples.iter().flat_map(|sample| &sample.targets);
    targets.map(|target| f64::from(weight_of(target, class_weights, validates))).sum()
}

fn weight_of(target: &Target, class_weights: &[f32], validates: bool) -> f32 {
    match target.class {
        Some(class) if target.validates == validates => class_weights[usize::from(class)],
        _ => 0.0,
    }
}

fn stack_one(samples: &[Prepared], modality: Modality, input: &Input, time: usize, device: &Device) -> Stack {
    let side = samples[0].size * input.scale;
    let (bands, area) = (input.bands.len(), side * side);
    let length = time * bands * area;
    let mut pixels = vec![0.0_f32; samples.len() * length];
    let mut days = vec![0_i64; samples.len() * time];
    let mut present = vec![false; samples.len() * time];
    for (index, sample) in samples.iter().enumerate() {
        let Some(series) = sample.series.get(&modality) else { continue };
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
        let mut samples = [prepared(1, 1), prepared(1, 2)];
        samples[1].targets[3].class = None;
        samples[1].targets[2].validates = true;
        let batch = stack(&samples, &inputs, &[0.5], false, &Device::flex());
        assert!(!batch.stacks.contains_key(&Modality::S1));
        let s2 = &batch.stacks[&Modality::S2];
        assert_eq!(s2.pixels.dims(), [2, 2, 1, 2, 2]);
        let pixels = s2.pixels.to_data().try_to_vec::<f32>().unwrap();
        assert_eq!(pixels[..8], [-1.0, -0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(s2.present.to_data().try_to_vec::<bool>().unwrap(), [true, false, true, true]);
        assert_eq!(s2.days.to_data().convert::<i64>().try_to_vec::<i64>().unwrap(), [0, 0, 0, 10]);
        let weights = batch.weights.to_data().try_to_vec::<f32>().unwrap();
        assert_eq!(weights, [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]);
    }
}
