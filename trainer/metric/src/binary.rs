//! Two classes, of which one is looked for: change, a label, a crop.

use serde::{Deserialize, Serialize};

use crate::ratio::ratio;
use crate::{Accumulator, Confusion, MetricError, check};

/// Counts of what is (`positive`, as changed) and is not, against what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// Found, and is.
    pub true_positive: u64,
    /// Found, and is not.
    pub false_positive: u64,
    /// Not found, and is.
    pub false_negative: u64,
    /// Not found, and is not.
    pub true_negative: u64,
}

impl Binary {
    /// Any class against the first, as any change against none: one class taken for another is still found.
    pub fn against_first(confusion: &Confusion) -> Self {
        let mut all = Self::default();
        for truth in 0..confusion.classes() {
            for found in 0..confusion.classes() {
                *all.of(truth > 0, found > 0) += confusion.count(truth, found);
            }
        }
        all
    }

    fn of(&mut self, truth: bool, predicted: bool) -> &mut u64 {
        match (truth, predicted) {
            (true, true) => &mut self.true_positive,
            (false, true) => &mut self.false_positive,
            (true, false) => &mut self.false_negative,
            (false, false) => &mut self.true_negative,
        }
    }

    /// Counts one pixel or sample.
    pub fn add(&mut self, truth: bool, predicted: bool) {
        *self.of(truth, predicted) += 1;
    }

    /// Counts the pixels of masks, 0 for no and 1 for yes, without those whose truth is `ignore`.
    ///
    /// # Errors
    /// When the masks differ in length or hold another value; then nothing is counted.
    pub fn add_all<L: Copy + Into<i64>>(
        &mut self,
        truth: &[L],
        predicted: &[L],
        ignore: Option<i64>,
    ) -> Result<(), MetricError> {
        let mut confusion = Confusion::new(2);
        confusion.add_all(truth, predicted, ignore)?;
        self.merge(&Self {
            true_positive: confusion.count(1, 1),
            false_positive: confusion.count(0, 1),
            false_negative: confusion.count(1, 0),
            true_negative: confusion.count(0, 0),
        })
    }

    /// Counts samples by the probability of yes: yes from `threshold` on.
    ///
    /// # Errors
    /// When the lists differ in length or a probability is not from 0 to 1; then nothing is counted.
    pub fn add_probabilities(
        &mut self,
        truth: &[bool],
        probabilities: &[f64],
        threshold: f64,
    ) -> Result<(), MetricError> {
        check::length("probabilities", probabilities.len(), truth.len(), "truth")?;
        check::shares("probability", probabilities)?;
        truth.iter().zip(probabilities).for_each(|(truth, probability)| self.add(*truth, *probability >= threshold));
        Ok(())
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.true_positive + self.false_positive + self.false_negative + self.true_negative
    }

    /// Share of what was found that is.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// Share of what is that was found.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// 2 TP / (2 TP + FP + FN); `None` where nothing is and nothing was found.
    pub fn f1(&self) -> Option<f64> {
        let twice = 2 * self.true_positive;
        ratio(twice, twice + self.false_positive + self.false_negative)
    }

    /// TP / (TP + FP + FN); `None` where nothing is and nothing was found.
    pub fn iou(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_positive + self.false_negative)
    }

    /// Share that is right.
    pub fn overall_accuracy(&self) -> Option<f64> {
        ratio(self.true_positive + self.true_negative, self.total())
    }

    /// Cohen's kappa; `None` where chance alone is always right.
    pub fn kappa(&self) -> Option<f64> {
        let wide = u128::from;
        let total = wide(self.total());
        let yes = wide(self.true_positive + self.false_negative) * wide(self.true_positive + self.false_positive);
        let no = wide(self.true_negative + self.false_positive) * wide(self.true_negative + self.false_negative);
        let (by_chance, right) = (yes + no, wide(self.true_positive + self.true_negative) * total);
        let beyond = total * total - by_chance;
        (beyond > 0).then(|| (right as f64 - by_chance as f64) / beyond as f64)
    }
}

impl Accumulator for Binary {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        self.true_positive += other.true_positive;
        self.false_positive += other.false_positive;
        self.false_negative += other.false_negative;
        self.true_negative += other.true_negative;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_without_change_says_nothing_of_change() {
        let mut change = Binary::default();
        assert_eq!((change.f1(), change.overall_accuracy(), change.kappa()), (None, None, None));
        change.add_all(&[0_u8, 0, 255], &[0, 0, 1], Some(255)).unwrap();
        assert_eq!((change.f1(), change.iou(), change.kappa()), (None, None, None));
        assert_eq!((change.overall_accuracy(), change.total()), (Some(1.0), 2));
        change.add(false, true);
        assert_eq!((change.f1(), change.iou(), change.recall()), (Some(0.0), Some(0.0), None));
    }

    #[test]
    fn a_change_into_another_class_is_still_a_change() {
        let mut confusion = Confusion::new(3);
        for (truth, found) in [(0, 0), (0, 1), (1, 2), (2, 2), (2, 0)] {
            confusion.add(truth, found);
        }
        let expected = Binary { true_positive: 2, false_positive: 1, false_negative: 1, true_negative: 1 };
        assert_eq!(Binary::against_first(&confusion), expected);
    }

    #[test]
    fn probabilities_are_shares() {
        let mut found = Binary::default();
        found.add_probabilities(&[true, false, true], &[0.5, 0.4, 0.1], 0.5).unwrap();
        assert_eq!((found.true_positive, found.true_negative, found.false_negative), (1, 1, 1));
        for wrong in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            assert!(found.add_probabilities(&[true, true], &[0.5, wrong], 0.5).is_err());
        }
        assert!(found.add_all(&[2_u8], &[0], None).is_err());
        assert_eq!(found.total(), 3);
    }
}
