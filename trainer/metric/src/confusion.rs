//! Confusion matrix of classes, and what is read from it.

use serde::{Deserialize, Serialize};

use crate::ratio::{mean, ratio};
use crate::{Accumulator, MetricError, check};

/// Counts of pixels, or of samples, by true and predicted class.
///
/// Scores of a class are `None` where they are 0/0. A class that is neither true nor predicted anywhere is left out of
/// means; one that is predicted but never true counts with 0. So do scikit-learn without `labels` and torchmetrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Without a pixel.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// How many classes are counted.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts one pixel whose classes are known to be counted; [`Confusion::add_all`] checks those of data.
    ///
    /// # Panics
    /// When a class is out of range.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        assert!(truth < self.classes && predicted < self.classes, "classes are counted from 0");
        self.counts[truth * self.classes + predicted] += 1;
    }

    /// Counts pixels, in the order of both lists, without those whose truth is `ignore`.
    ///
    /// # Errors
    /// When the lists differ in length, or a class that is not ignored is not counted; then nothing is.
    pub fn add_all<L: Copy + Into<i64>>(
        &mut self,
        truth: &[L],
        predicted: &[L],
        ignore: Option<i64>,
    ) -> Result<(), MetricError> {
        check::length("predictions", predicted.len(), truth.len(), "truth")?;
        let classes = self.classes;
        let class = |what, at, found: i64| {
            let known = usize::try_from(found).ok().filter(|class| *class < classes);
            known.ok_or(MetricError::Class { what, at, found, classes })
        };
        let mut counts = self.counts.clone();
        for (at, (truth, predicted)) in truth.iter().zip(predicted).enumerate() {
            let truth: i64 = (*truth).into();
            if Some(truth) != ignore {
                let (truth, predicted) = (class("truth", at, truth)?, class("prediction", at, (*predicted).into())?);
                counts[truth * classes + predicted] += 1;
            }
        }
        self.counts = counts;
        Ok(())
    }

    /// Pixels of a true class that were given a predicted class; 0 of a class that is not counted.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        let known = truth < self.classes && predicted < self.classes;
        if known { self.counts[truth * self.classes + predicted] } else { 0 }
    }

    /// Pixels of a class in the truth.
    pub fn in_truth(&self, class: usize) -> u64 {
        (0..self.classes).map(|other| self.count(class, other)).sum()
    }

    /// Pixels of a class in the prediction.
    pub fn in_prediction(&self, class: usize) -> u64 {
        (0..self.classes).map(|other| self.count(other, class)).sum()
    }

    /// All pixels.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Pixels whose class is right.
    pub fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Intersection over union of a class, TP / (TP + FP + FN).
    pub fn iou(&self, class: usize) -> Option<f64> {
        let right = self.count(class, class);
        ratio(right, self.in_truth(class) + self.in_prediction(class) - right)
    }

    /// TP / (TP + FP), the user's accuracy.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.in_prediction(class))
    }

    /// TP / (TP + FN), the producer's accuracy.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.in_truth(class))
    }

    /// 2 TP / (2 TP + FP + FN).
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(2 * self.count(class, class), self.in_truth(class) + self.in_prediction(class))
    }

    /// Mean IoU of the classes that are true or predicted somewhere.
    pub fn mean_iou(&self) -> Option<f64> {
        mean((0..self.classes).map(|class| self.iou(class)))
    }

    /// Mean F1 of the classes that are true or predicted somewhere.
    pub fn macro_f1(&self) -> Option<f64> {
        mean((0..self.classes).map(|class| self.f1(class)))
    }

    /// F1 of the counts of all classes together. Where every pixel has one class, that is the overall accuracy.
    pub fn micro_f1(&self) -> Option<f64> {
        ratio(2 * self.right(), 2 * self.total())
    }

    /// Share of pixels that are right.
    pub fn overall_accuracy(&self) -> Option<f64> {
        ratio(self.right(), self.total())
    }

    /// Cohen's kappa, the agreement beyond chance: (p₀ − pₑ) / (1 − pₑ). `None` where chance alone is always right, as
    /// with a single class; scikit-learn gives NaN there.
    pub fn kappa(&self) -> Option<f64> {
        // In whole numbers, so that "always right" is no matter of rounding.
        let total = u128::from(self.total());
        let by_chance: u128 = (0..self.classes)
            .map(|class| u128::from(self.in_truth(class)) * u128::from(self.in_prediction(class)))
            .sum();
        let beyond = total * total - by_chance;
        let right = u128::from(self.right()) * total;
        (beyond > 0).then(|| (right as f64 - by_chance as f64) / beyond as f64)
    }
}

impl Accumulator for Confusion {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check::alike("confusion matrices by their classes", &other.classes, &self.classes)?;
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        Ok(())
    }
}

/// As it stands in files: rows are true classes.
#[derive(Serialize, Deserialize)]
struct Stored(Vec<Vec<u64>>);

impl TryFrom<Stored> for Confusion {
    type Error = MetricError;

    fn try_from(Stored(rows): Stored) -> Result<Self, MetricError> {
        let classes = rows.len();
        for row in &rows {
            check::length("counts in a row of a confusion matrix", row.len(), classes, "class")?;
        }
        Ok(Self { classes, counts: rows.concat() })
    }
}

impl From<Confusion> for Stored {
    fn from(confusion: Confusion) -> Self {
        let row = |class| (0..confusion.classes).map(|other| confusion.count(class, other)).collect();
        Self((0..confusion.classes).map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_nothing() {
        for classes in [0, 1, 3] {
            let none = Confusion::new(classes);
            let all = [none.mean_iou(), none.macro_f1(), none.micro_f1(), none.overall_accuracy(), none.kappa()];
            assert_eq!(all, [None; 5]);
            assert_eq!((none.iou(7), none.count(7, 0)), (None, 0));
        }
    }

    #[test]
    fn a_class_that_is_only_predicted_counts_with_zero_and_one_that_is_nowhere_does_not() {
        let mut confusion = Confusion::new(3);
        confusion.add_all(&[0_u8, 0, 0, 0], &[0, 0, 0, 1], None).unwrap();
        assert_eq!((confusion.iou(0), confusion.iou(1), confusion.iou(2)), (Some(0.75), Some(0.0), None));
        assert_eq!(confusion.mean_iou(), Some(0.375));
    }

    #[test]
    fn a_refused_batch_counts_for_nothing() {
        let mut confusion = Confusion::new(2);
        let error = confusion.add_all(&[0_i32, 1, 255], &[0, 1, 0], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "truth 2 is class 255, expected 0 to 1; name the ignore value, or count more classes"
        );
        assert!(confusion.add_all(&[0_i32, 1], &[0, -1], None).is_err());
        assert!(confusion.add_all(&[0_i32], &[], None).is_err());
        assert_eq!(confusion.total(), 0);
        confusion.add_all(&[0_i32, 1, 255], &[0, 1, 7], Some(255)).unwrap();
        assert_eq!(confusion.total(), 2);
    }

    #[test]
    fn parts_of_other_classes_do_not_add_up() {
        let error = Confusion::new(2).merge(&Confusion::new(3)).unwrap_err();
        assert!(error.to_string().contains("one has 3, the other 2"), "{error}");
    }

    #[test]
    fn files_hold_rows_and_are_checked() {
        let mut confusion = Confusion::new(2);
        confusion.add(0, 1);
        let text = serde_json::to_string(&confusion).unwrap();
        assert_eq!(text, "[[0,1],[0,0]]");
        assert_eq!(serde_json::from_str::<Confusion>(&text).unwrap(), confusion);
        assert!(serde_json::from_str::<Confusion>("[[0,1],[0]]").is_err());
    }
}
