//! Average precision of ranked samples: the area below precision over recall, as steps.

use serde::{Deserialize, Serialize};

use crate::ratio::mean;
use crate::{Accumulator, MetricError, check};

/// Scores of samples of one class with what is true of them. Keeps every score: 16 bytes a sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    samples: Vec<(f64, bool)>,
}

impl Ranking {
    /// Takes samples with their scores, which may be logits or probabilities.
    ///
    /// # Errors
    /// When the lists differ in length or a score is not finite; then no sample is taken.
    pub fn add(&mut self, truth: &[bool], scores: &[f64]) -> Result<(), MetricError> {
        check::length("scores", scores.len(), truth.len(), "truth")?;
        check::finite("score", scores)?;
        self.samples.extend(scores.iter().copied().zip(truth.iter().copied()));
        Ok(())
    }

    /// Σ (Rₙ − Rₙ₋₁) Pₙ over the scores from the highest on; samples of the same score come in together. So is
    /// scikit-learn's `average_precision_score`.
    ///
    /// `None` without a true sample; scikit-learn gives 0 there.
    pub fn average_precision(&self) -> Option<f64> {
        average_precision(self.samples.clone())
    }
}

fn average_precision(mut samples: Vec<(f64, bool)>) -> Option<f64> {
    samples.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let all = samples.iter().filter(|sample| sample.1).count() as f64;
    let (mut seen, mut found, mut area) = (0, 0, 0.0);
    // −0 and 0 are one score, though they sort apart.
    for same in samples.chunk_by(|a, b| a.0 == b.0) {
        let more = same.iter().filter(|sample| sample.1).count();
        seen += same.len();
        found += more;
        area += more as f64 / all * (found as f64 / seen as f64);
    }
    (all > 0.0).then_some(area)
}

impl Accumulator for Ranking {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        self.samples.extend_from_slice(&other.samples);
        Ok(())
    }
}

/// [`Ranking`]s of several classes, for samples of one class each or of any number of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AveragePrecision {
    classes: Vec<Ranking>,
}

impl AveragePrecision {
    /// Without a sample.
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![Ranking::default(); classes] }
    }

    /// Takes one sample with any number of labels.
    ///
    /// # Errors
    /// When there are not so many classes, or a score is not finite.
    pub fn add(&mut self, truth: &[bool], scores: &[f64]) -> Result<(), MetricError> {
        check::length("truths", truth.len(), self.classes.len(), "class")?;
        check::length("scores", scores.len(), self.classes.len(), "class")?;
        check::finite("score", scores)?;
        let samples = scores.iter().copied().zip(truth.iter().copied());
        self.classes.iter_mut().zip(samples).for_each(|(class, sample)| class.samples.push(sample));
        Ok(())
    }

    /// Takes one sample of one class: each class against all others.
    ///
    /// # Errors
    /// When there are not so many classes, or a score is not finite.
    pub fn add_class(&mut self, truth: usize, scores: &[f64]) -> Result<(), MetricError> {
        check::class("truth", 0, truth, self.classes.len())?;
        let truth: Vec<bool> = (0..self.classes.len()).map(|class| class == truth).collect();
        self.add(&truth, scores)
    }

    /// Of each class; `None` without a true sample.
    pub fn by_class(&self) -> Vec<Option<f64>> {
        self.classes.iter().map(Ranking::average_precision).collect()
    }

    /// Mean over the classes that are true somewhere: mAP.
    pub fn macro_mean(&self) -> Option<f64> {
        mean(self.by_class())
    }

    /// Mean over all classes, in which one that is never true counts as 0, however good the model: the number that
    /// scikit-learn and torchmetrics call macro, to be set beside theirs. `None` without a class.
    pub fn macro_mean_of_all(&self) -> Option<f64> {
        mean(self.by_class().into_iter().map(|class| Some(class.unwrap_or(0.0))))
    }

    /// Of all classes ranked together.
    pub fn micro_mean(&self) -> Option<f64> {
        average_precision(self.classes.iter().flat_map(|class| class.samples.iter().copied()).collect())
    }
}

impl Accumulator for AveragePrecision {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("average precisions by their classes", &other.classes.len(), &self.classes.len())?;
        self.classes.iter_mut().zip(&other.classes).try_for_each(|(class, more)| class.merge(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_true_has_no_average() {
        let mut classes = AveragePrecision::new(2);
        assert_eq!((classes.macro_mean(), classes.micro_mean()), (None, None));
        classes.add(&[true, false], &[0.3, 0.9]).unwrap();
        assert_eq!(classes.by_class(), [Some(1.0), None]);
        assert_eq!((classes.macro_mean(), classes.micro_mean()), (Some(1.0), Some(0.5)));
        assert_eq!(classes.macro_mean_of_all(), Some(0.5));
    }

    #[test]
    fn zeros_of_both_signs_are_one_score() {
        let mut ranking = Ranking::default();
        ranking.add(&[true, false], &[0.0, -0.0]).unwrap();
        assert_eq!(ranking.average_precision(), Some(0.5));
    }

    #[test]
    fn what_is_no_number_has_no_rank() {
        let mut classes = AveragePrecision::new(2);
        assert!(classes.add(&[true, false], &[0.1, f64::NAN]).is_err());
        assert!(classes.add(&[true], &[0.1]).is_err());
        assert!(classes.add_class(2, &[0.1, 0.2]).is_err());
        assert!(Ranking::default().add(&[true], &[f64::INFINITY]).is_err());
        assert_eq!(classes, AveragePrecision::new(2));
    }
}
