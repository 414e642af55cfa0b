//! Samples that have any number of labels.

use serde::{Deserialize, Serialize};

use crate::ratio::{mean, ratio};
use crate::{Accumulator, Binary, MetricError, check};

/// Counts by label, and of the samples whose labels are all right.
///
/// A label that is neither true nor found anywhere has no F1 and is left out of the mean, as torchmetrics does and
/// scikit-learn with `zero_division=nan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiLabel {
    labels: Vec<Binary>,
    exact: u64,
    samples: u64,
}

impl MultiLabel {
    /// Without a sample.
    pub fn new(labels: usize) -> Self {
        Self { labels: vec![Binary::default(); labels], exact: 0, samples: 0 }
    }

    /// Counts one sample.
    ///
    /// # Errors
    /// When truth or prediction is not of so many labels.
    pub fn add(&mut self, truth: &[bool], predicted: &[bool]) -> Result<(), MetricError> {
        check::length("truths", truth.len(), self.labels.len(), "label")?;
        check::length("predictions", predicted.len(), self.labels.len(), "label")?;
        self.labels
            .iter_mut()
            .zip(truth.iter().zip(predicted))
            .for_each(|(label, (truth, found))| label.add(*truth, *found));
        self.exact += u64::from(truth == predicted);
        self.samples += 1;
        Ok(())
    }

    /// Counts one sample by the probabilities of its labels: found from `threshold` on.
    ///
    /// # Errors
    /// When there are not so many labels, or a probability is not from 0 to 1.
    pub fn add_probabilities(
        &mut self,
        truth: &[bool],
        probabilities: &[f64],
        threshold: f64,
    ) -> Result<(), MetricError> {
        check::shares("probability", probabilities)?;
        let predicted: Vec<bool> = probabilities.iter().map(|probability| *probability >= threshold).collect();
        self.add(truth, &predicted)
    }

    /// Counts of each label.
    pub fn labels(&self) -> &[Binary] {
        &self.labels
    }

    /// How many samples were counted.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Share of samples whose labels are all right, scikit-learn's `accuracy_score`.
    pub fn exact_accuracy(&self) -> Option<f64> {
        ratio(self.exact, self.samples)
    }

    /// Share of labels of all samples that are right, 1 − the Hamming loss.
    pub fn label_accuracy(&self) -> Option<f64> {
        self.together().overall_accuracy()
    }

    /// Mean F1 of the labels that are true or found somewhere.
    pub fn macro_f1(&self) -> Option<f64> {
        mean(self.labels.iter().map(Binary::f1))
    }

    /// F1 of the counts of all labels together.
    pub fn micro_f1(&self) -> Option<f64> {
        self.together().f1()
    }

    fn together(&self) -> Binary {
        self.labels.iter().fold(Binary::default(), |sum, label| Binary {
            true_positive: sum.true_positive + label.true_positive,
            false_positive: sum.false_positive + label.false_positive,
            false_negative: sum.false_negative + label.false_negative,
            true_negative: sum.true_negative + label.true_negative,
        })
    }
}

impl Accumulator for MultiLabel {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("multi-label counts by their labels", &other.labels.len(), &self.labels.len())?;
        for (label, more) in self.labels.iter_mut().zip(&other.labels) {
            label.merge(more)?;
        }
        self.exact += other.exact;
        self.samples += other.samples;
        Ok(())
    }
}
