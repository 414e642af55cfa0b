//! Classes of whole chips, one of several or any of them.
//!
//! A chip trains or validates as a whole, by where more of its pixels belong.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use skysense_metric::{AveragePrecision, Confusion, MultiLabel, Temperature};
use skysense_model::{Head, Precision};

use super::kept::Kept;
use super::{ChipScores, Objective, Part, Tally, TaskScores};
use crate::FinetuneConfig;
use crate::dataset::{Prepared, Truth};
use crate::loss::{ClassWeights, binary_cross_entropy, median_frequency};

/// Probability from which on a label is found.
const THRESHOLD: f64 = 0.5;

/// See the module.
pub(crate) struct Scene {
    /// Weight of each class.
    weights: Vec<f32>,
    /// Whether a chip may have any number of classes.
    any: bool,
}

/// The classes of a chip that counts in one part.
fn labels(sample: &Prepared, validates: bool) -> Option<&[bool]> {
    match &sample.truth {
        Truth::Chip(classes) if sample.validates() == validates => Some(classes),
        _ => None,
    }
}

impl Scene {
    pub(crate) fn new(config: &FinetuneConfig, ready: &[Prepared], any: bool) -> Self {
        let classes = config.classes.len();
        let weights = match &config.class_weights {
            ClassWeights::Equal => vec![1.0; classes],
            ClassWeights::MedianFrequency => {
                let mut counts = vec![0_u64; classes];
                for labels in ready.iter().filter_map(|sample| labels(sample, false)) {
                    counts.iter_mut().zip(labels).for_each(|(count, has)| *count += u64::from(*has));
                }
                median_frequency(&counts)
            }
            ClassWeights::Given(weights) => weights.clone(),
        };
        Self { weights, any }
    }

    /// What a chip weighs: its class, or all labels together. One of no class weighs nothing where it must have one.
    fn of_chip(&self, sample: &Prepared) -> f32 {
        let Some(labels) = labels(sample, false) else { return 0.0 };
        match self.any {
            true => self.weights.iter().sum(),
            false => labels.iter().position(|has| *has).map_or(0.0, |class| self.weights[class]),
        }
    }
}

impl Objective for Scene {
    fn weight(&self, samples: &[&Prepared]) -> f64 {
        samples.iter().map(|sample| f64::from(self.of_chip(sample))).sum()
    }

    /// One that validates as a whole teaches nothing, although some of its pixels do not validate.
    fn trains(&self, sample: &Prepared) -> bool {
        let has = |classes: &[bool]| self.any || classes.contains(&true);
        sample.trains() && labels(sample, false).is_some_and(has)
    }

    fn loss(&self, head: &Head, features: Tensor<4>, part: &Part<'_>) -> Tensor<1> {
        let logits = match head {
            Head::Scene(head) => head.chips(features),
            // The table of tasks puts no other head on chips; of a map the mean is as good.
            other => other.forward(features).mean_dim(3).mean_dim(2).squeeze_dim::<3>(3).squeeze_dim::<2>(2),
        };
        let logits = Precision::F32.cast(logits);
        let shape = [part.samples.len(), self.weights.len()];
        let mut truth = vec![0.0_f32; shape[0] * shape[1]];
        let mut weights = truth.clone();
        for (at, sample) in part.samples.iter().enumerate() {
            let Some(labels) = labels(sample, false) else { continue };
            for (class, has) in labels.iter().enumerate() {
                let place = at * shape[1] + class;
                truth[place] = f32::from(u8::from(*has));
                weights[place] = if self.any || *has { self.weights[class] } else { 0.0 };
            }
        }
        let tensor = |values| Tensor::<2>::from_data(TensorData::new(values, shape), part.device);
        let (truth, weights) = (tensor(truth), tensor(weights));
        if self.any {
            return binary_cross_entropy(logits, truth, weights);
        }
        // Truth is 1 at one class, which alone weighs: the cross-entropy of pixels, of one for each chip.
        let total = weights.clone().sum().clamp_min(1e-12);
        -(log_softmax(logits, 1) * weights).sum() / total
    }

    fn tally(&self) -> Box<dyn Tally> {
        let classes = self.weights.len();
        Box::new(Collected {
            any: self.any,
            confusion: Confusion::new(classes),
            labels: MultiLabel::new(classes),
            ranking: AveragePrecision::new(classes),
            kept: Kept::new(if self.any { 2 } else { classes }),
        })
    }
}

struct Collected {
    any: bool,
    confusion: Confusion,
    labels: MultiLabel,
    ranking: AveragePrecision,
    /// Of labels each as two classes, of which the other has a logit of 0.
    kept: Kept,
}

impl Tally for Collected {
    fn add(&mut self, sample: &Prepared, output: &[f32], validates: bool) {
        let Some(truth) = labels(sample, validates) else { return };
        // All pixels of a chip are alike.
        let logits: Vec<f64> =
            output.iter().step_by(sample.size * sample.size).map(|value| f64::from(*value)).collect();
        // What is not finite or of another length is refused and counts for nothing: a loss of it ended the training before.
        if self.any {
            let probabilities: Vec<f64> = logits.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
            if self.ranking.add(truth, &logits).is_ok() {
                let _counted = self.labels.add_probabilities(truth, &probabilities, THRESHOLD);
                for (logit, has) in logits.iter().zip(truth) {
                    self.kept.add([0.0, *logit as f32].into_iter(), usize::from(*has));
                }
            }
            return;
        }
        let Some(class) = truth.iter().position(|has| *has) else { return };
        let best = logits.iter().enumerate().fold(0, |best, (at, value)| if *value > logits[best] { at } else { best });
        if self.ranking.add_class(class, &logits).is_ok() {
            self.confusion.add(class, best);
            self.kept.add(logits.iter().map(|logit| *logit as f32), class);
        }
    }

    fn temperature(&self) -> Option<Temperature> {
        self.kept.temperature()
    }

    fn scores(&self) -> TaskScores {
        let (chips, accuracy, f1) = match self.any {
            true => (self.labels.samples(), self.labels.exact_accuracy(), self.labels.macro_f1()),
            false => (self.confusion.total(), self.confusion.overall_accuracy(), self.confusion.macro_f1()),
        };
        TaskScores::Chips(ChipScores {
            chips,
            overall_accuracy: accuracy,
            label_accuracy: self.labels.label_accuracy(),
            macro_f1: f1,
            mean_average_precision: self.ranking.macro_mean(),
            average_precision: self.ranking.by_class(),
        })
    }
}
