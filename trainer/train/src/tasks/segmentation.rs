//! A class for each pixel: cross-entropy over labelled pixels.

use burn::tensor::{Int, Tensor, TensorData};
use skysense_metric::{Confusion, Temperature};
use skysense_model::{Head, Precision};

use super::kept::Kept;
use super::{Objective, Part, Tally, TaskScores};
use crate::FinetuneConfig;
use crate::dataset::{Prepared, Target, class_counts};
use crate::loss::{ClassWeights, cross_entropy, median_frequency};

/// See the module.
pub(crate) struct Segmentation {
    /// Weight of each class.
    weights: Vec<f32>,
}

/// Weight of each class by the labelled pixels that train.
pub(crate) fn class_weights(config: &FinetuneConfig, ready: &[Prepared]) -> Vec<f32> {
    let classes = config.classes.len().max(1);
    match &config.class_weights {
        ClassWeights::Equal => vec![1.0; classes],
        ClassWeights::MedianFrequency => median_frequency(&class_counts(ready, classes, false)),
        ClassWeights::Given(weights) => weights.clone(),
    }
}

/// What a pixel weighs that trains: as much as its class.
fn weight_of(target: &Target, class_weights: &[f32]) -> f32 {
    match target.class {
        Some(class) if !target.validates => class_weights[usize::from(class)],
        _ => 0.0,
    }
}

/// What the pixels of samples weigh together.
pub(crate) fn pixel_weight(samples: &[&Prepared], class_weights: &[f32]) -> f64 {
    let targets = samples.iter().flat_map(|sample| &sample.targets);
    targets.map(|target| f64::from(weight_of(target, class_weights))).sum()
}

/// `[batch, height, width]`: index of each pixel's class, 0 where there is none, and its weight, 0 where it does not count.
pub(crate) fn pixels(part: &Part<'_>, class_weights: &[f32]) -> (Tensor<3, Int>, Tensor<3>) {
    let size = part.samples.first().map_or(0, |sample| sample.size);
    let targets = || part.samples.iter().flat_map(|sample| &sample.targets);
    let classes: Vec<i64> = targets().map(|target| i64::from(target.class.unwrap_or(0))).collect();
    let weights: Vec<f32> = targets().map(|target| weight_of(target, class_weights)).collect();
    let shape = [part.samples.len(), size, size];
    (
        Tensor::from_data(TensorData::new(classes, shape), part.device),
        Tensor::from_data(TensorData::new(weights, shape), part.device),
    )
}

impl Segmentation {
    pub(crate) fn new(config: &FinetuneConfig, ready: &[Prepared]) -> Self {
        Self { weights: class_weights(config, ready) }
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.weights.len()
    }
}

impl Objective for Segmentation {
    fn weight(&self, samples: &[&Prepared]) -> f64 {
        pixel_weight(samples, &self.weights)
    }

    fn loss(&self, head: &Head, features: Tensor<4>, part: &Part<'_>) -> Tensor<1> {
        let logits = Precision::F32.cast(head.forward(features));
        let (classes, weights) = pixels(part, &self.weights);
        cross_entropy(logits, classes, weights)
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(Pixels::new(self.weights.len()))
    }
}

/// Counts of pixels, and what a temperature is fitted on.
pub(super) struct Pixels {
    pub(super) confusion: Confusion,
    kept: Kept,
}

impl Pixels {
    pub(super) fn new(classes: usize) -> Self {
        Self { confusion: Confusion::new(classes), kept: Kept::new(classes) }
    }
}

impl Tally for Pixels {
    fn add(&mut self, sample: &Prepared, output: &[f32], validates: bool) {
        let area = sample.size * sample.size;
        for (place, target) in sample.targets.iter().enumerate().filter(|(_, t)| t.validates == validates) {
            let Some(class) = target.class else { continue };
            let logits = || output.iter().skip(place).step_by(area).copied();
            // The first of equal ones, as maps are made.
            let best = logits().enumerate().fold((0, f32::NEG_INFINITY), |best, (at, value)| match value > best.1 {
                true => (at, value),
                false => best,
            });
            self.confusion.add(usize::from(class), best.0);
            self.kept.add(logits(), usize::from(class));
        }
    }

    fn scores(&self) -> TaskScores {
        TaskScores::Classes(self.confusion.scores())
    }

    fn temperature(&self) -> Option<Temperature> {
        self.kept.temperature()
    }
}
