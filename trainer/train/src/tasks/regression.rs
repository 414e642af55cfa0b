//! A number for each pixel: Huber's loss on deviations of the truth.

use burn::tensor::{Tensor, TensorData};
use skysense_contract::{Head as HeadRecord, Quantity};
use skysense_metric::{BiasPlot, Regression as Errors};
use skysense_model::{Head, Precision};

use super::segmentation::{pixel_weight, pixels};
use super::{Objective, Part, Tally, TaskScores, ValueScores};
use crate::dataset::{Prepared, Truth};
use crate::loss::huber;

/// Bins of the bias plot.
const BINS: usize = 10;

/// See the module.
pub(crate) struct Regression {
    quantity: Quantity,
    /// Least and largest truth.
    range: [f64; 2],
}

/// Truths of a sample that count in one part.
fn known(sample: &Prepared, validates: bool) -> impl Iterator<Item = (usize, f32)> + '_ {
    let values: &[f32] = match &sample.truth {
        Truth::Values(values) => values,
        _ => &[],
    };
    let counts = move |(place, value): (usize, &f32)| {
        let target = sample.targets[place];
        (target.class.is_some() && target.validates == validates).then_some((place, *value))
    };
    values.iter().enumerate().filter_map(counts)
}

impl Regression {
    /// Mean and deviation of what trains go into the record of the head.
    pub(crate) fn new(quantity: &Quantity, ready: &[Prepared]) -> Self {
        let (mut count, mut mean, mut spread) = (0.0_f64, 0.0_f64, 0.0_f64);
        let mut range = [f64::INFINITY, f64::NEG_INFINITY];
        for (_, value) in ready.iter().flat_map(|sample| known(sample, false)) {
            let value = f64::from(value);
            count += 1.0;
            let apart = value - mean;
            mean += apart / count;
            spread += apart * (value - mean);
            range = [range[0].min(value), range[1].max(value)];
        }
        // A truth that does not vary has no deviation to count in.
        let std = (spread / count.max(1.0)).sqrt();
        let std = if std > 0.0 { std } else { 1.0 };
        Self { quantity: Quantity { mean, std, ..quantity.clone() }, range }
    }
}

impl Objective for Regression {
    fn weight(&self, samples: &[&Prepared]) -> f64 {
        pixel_weight(samples, &[1.0])
    }

    fn loss(&self, head: &Head, features: Tensor<4>, part: &Part<'_>) -> Tensor<1> {
        let values: Tensor<3> = Precision::F32.cast(head.forward(features)).squeeze_dim::<3>(1);
        let (_, weights) = pixels(part, &[1.0]);
        let mut truth = vec![0.0_f32; part.samples.iter().map(|sample| sample.targets.len()).sum()];
        let mut from = 0;
        for sample in part.samples {
            for (place, value) in known(sample, false) {
                truth[from + place] = ((f64::from(value) - self.quantity.mean) / self.quantity.std) as f32;
            }
            from += sample.targets.len();
        }
        let truth = Tensor::from_data(TensorData::new(truth, weights.dims()), part.device);
        huber(values, truth, weights)
    }

    fn tally(&self) -> Box<dyn Tally> {
        let [from, to] = self.range;
        // Without a spread of truths there is no plot.
        let plot = BiasPlot::new(from, to, BINS).ok();
        Box::new(Collected { errors: Errors::default(), plot, quantity: self.quantity.clone() })
    }

    fn record(&self, head: HeadRecord) -> HeadRecord {
        HeadRecord { quantity: Some(self.quantity.clone()), ..head }
    }
}

struct Collected {
    errors: Errors,
    plot: Option<BiasPlot>,
    quantity: Quantity,
}

impl Tally for Collected {
    fn add(&mut self, sample: &Prepared, output: &[f32], validates: bool) {
        for (place, truth) in known(sample, validates) {
            let found = f64::from(output[place]) * self.quantity.std + self.quantity.mean;
            let (truth, found) = ([f64::from(truth)], [found]);
            // What is not finite is refused and counts for nothing: a loss of it ended the training before.
            if self.errors.add(&truth, &found).is_ok() {
                let _outside = self.plot.as_mut().map(|plot| plot.add(&truth, &found));
            }
        }
    }

    fn scores(&self) -> TaskScores {
        TaskScores::Values(ValueScores {
            errors: self.errors.scores(),
            unit: self.quantity.unit.clone(),
            bias_plot: self.plot.as_ref().map(BiasPlot::points).unwrap_or_default(),
        })
    }
}
