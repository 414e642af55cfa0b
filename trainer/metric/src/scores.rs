//! The scores of a map as one record, for reports and model cards.

use serde::{Deserialize, Serialize};

use crate::Confusion;

/// Scores of a map. Shares from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Pixels counted; with none the shares below are 0.
    pub pixels: u64,
    /// Share of pixels that are right.
    pub overall_accuracy: f64,
    /// Mean of the IoU of the classes that are true or predicted somewhere.
    pub mean_iou: f64,
    /// Mean of the F1 of the same classes.
    #[serde(default)]
    pub macro_f1: f64,
    /// Cohen's kappa: agreement beyond chance, 0 where chance alone is always right.
    #[serde(default)]
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
    /// The scores.
    pub fn scores(&self) -> Scores {
        let score = |class| ClassScore {
            pixels: self.in_truth(class),
            iou: self.iou(class),
            precision: self.precision(class),
            recall: self.recall(class),
            f1: self.f1(class),
        };
        Scores {
            pixels: self.total(),
            overall_accuracy: self.overall_accuracy().unwrap_or(0.0),
            mean_iou: self.mean_iou().unwrap_or(0.0),
            macro_f1: self.macro_f1().unwrap_or(0.0),
            kappa: self.kappa().unwrap_or(0.0),
            classes: (0..self.classes()).map(score).collect(),
        }
    }
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
        assert_eq!(confusion.kappa(), None);
        assert_eq!((confusion.scores().overall_accuracy, confusion.scores().kappa), (1.0, 0.0));
        assert_eq!(Confusion::new(2).scores().kappa, 0.0);
    }
}
