//! Confusion matrix and the scores read from it.

use serde::{Deserialize, Serialize};

/// Counts of pixels by true and predicted class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// Scores of a map. Shares from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Pixels counted.
    pub pixels: u64,
    /// Share of pixels that are right.
    pub overall_accuracy: f64,
    /// Mean of the IoU of the classes that occur in the truth.
    pub mean_iou: f64,
    /// Cohen's kappa: agreement beyond chance, 0 where chance alone is always right.
    pub kappa: f64,
    /// By class, in the order of the classes.
    pub classes: Vec<ClassScore>,
}

/// Scores of one class; `None` where nothing can be said (0/0).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Pixels of this class in the truth.
    pub pixels: u64,
    /// TP / (TP + FP + FN).
    pub iou: Option<f64>,
    /// TP / (TP + FP), the user's accuracy.
    pub precision: Option<f64>,
    /// TP / (TP + FN), the producer's accuracy.
    pub recall: Option<f64>,
    /// 2 TP / (2 TP + FP + FN).
    pub f1: Option<f64>,
}

impl Confusion {
    /// Without a pixel.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts one pixel.
    ///
    /// # Panics
    /// When a class is out of range.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        assert!(truth < self.classes && predicted < self.classes, "classes are counted from 0");
        self.counts[truth * self.classes + predicted] += 1;
    }

    /// Pixels of a true class that were given a predicted class.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// The scores.
    pub fn scores(&self) -> Scores {
        let all = 0..self.classes;
        let score = |class: usize| {
            let right = self.count(class, class);
            let truth: u64 = all.clone().map(|other| self.count(class, other)).sum();
            let predicted: u64 = all.clone().map(|other| self.count(other, class)).sum();
            ClassScore {
                pixels: truth,
                iou: ratio(right, truth + predicted - right),
                precision: ratio(right, predicted),
                recall: ratio(right, truth),
                f1: ratio(2 * right, truth + predicted),
            }
        };
        let classes: Vec<ClassScore> = all.clone().map(score).collect();
        let pixels: u64 = self.counts.iter().sum();
        let right: u64 = all.clone().map(|class| self.count(class, class)).sum();
        let overall_accuracy = ratio(right, pixels).unwrap_or(0.0);
        let share = |part: u64| part as f64 / pixels.max(1) as f64;
        let given = |class: usize| all.clone().map(|truth| self.count(truth, class)).sum::<u64>();
        let chance: f64 = all.clone().map(|class| share(classes[class].pixels) * share(given(class))).sum();
        let present: Vec<f64> = classes.iter().filter(|c| c.pixels > 0).filter_map(|c| c.iou).collect();
        Scores {
            pixels,
            overall_accuracy,
            kappa: if chance < 1.0 { (overall_accuracy - chance) / (1.0 - chance) } else { 0.0 },
            mean_iou: if present.is_empty() { 0.0 } else { present.iter().sum::<f64>() / present.len() as f64 },
            classes,
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_follow_from_counts() {
        let mut confusion = Confusion::new(3);
        for (truth, predicted, times) in [(0, 0, 6), (0, 1, 2), (1, 1, 1), (1, 0, 1)] {
            (0..times).for_each(|_| confusion.add(truth, predicted));
        }
        let scores = confusion.scores();
        assert_eq!((scores.pixels, scores.overall_accuracy), (10, 0.7));
        assert_eq!(scores.classes[0].iou, Some(6.0 / 9.0));
        assert_eq!(scores.classes[0].recall, Some(0.75));
        assert_eq!(scores.classes[1].precision, Some(1.0 / 3.0));
        assert_eq!(scores.classes[1].f1, Some(0.4));
        assert_eq!(scores.classes[2].iou, None);
        assert!((scores.mean_iou - (6.0 / 9.0 + 0.25) / 2.0).abs() < 1e-12);
        // Chance: 0.8 · 0.7 + 0.2 · 0.3 = 0.62.
        assert!((scores.kappa - (0.7 - 0.62) / 0.38).abs() < 1e-12);
    }

    #[test]
    fn one_class_only_has_no_kappa() {
        let mut confusion = Confusion::new(2);
        confusion.add(1, 1);
        assert_eq!((confusion.scores().overall_accuracy, confusion.scores().kappa), (1.0, 0.0));
        assert_eq!(Confusion::new(2).scores().kappa, 0.0);
    }
}
