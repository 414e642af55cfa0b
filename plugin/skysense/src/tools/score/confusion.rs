//! Counts of truth against prediction, and the scores that follow.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// How often each pair of true and given class occurs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confusion {
    counts: BTreeMap<(u8, Option<u8>), usize>,
}

/// Scores of one method.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scores {
    /// Share of pixels that are right.
    pub(crate) accuracy: f64,
    /// Mean over the classes that are true or given somewhere.
    pub(crate) mean_iou: f64,
    /// Cohen's kappa: agreement beyond chance.
    pub(crate) kappa: f64,
    /// The classes that are true somewhere.
    pub(crate) classes: Vec<ClassScore>,
    /// `[true value, given value or null, pixels]`.
    pub(crate) confusion: Vec<(u8, Option<u8>, usize)>,
}

/// Scores of one class.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClassScore {
    /// Value in the map.
    pub(crate) value: u8,
    /// Name.
    pub(crate) name: String,
    /// Pixels that truly are of this class.
    pub(crate) pixels: usize,
    /// Intersection over union.
    pub(crate) iou: f64,
    /// Share of the pixels given as this class that are; 0 where none is given.
    pub(crate) precision: f64,
    /// Share of the pixels of this class that are found.
    pub(crate) recall: f64,
}

impl Confusion {
    /// Counts a pixel; a map without a value there is wrong.
    pub(crate) fn add(&mut self, truth: u8, given: Option<u8>) {
        *self.counts.entry((truth, given)).or_default() += 1;
    }

    /// The scores; names are of class values.
    pub(crate) fn scores(&self, names: &BTreeMap<u8, String>) -> Scores {
        let sum = |keep: &dyn Fn(u8, Option<u8>) -> bool| -> f64 {
            let kept = self.counts.iter().filter(|((truth, given), _)| keep(*truth, *given));
            kept.map(|(_, &count)| count).sum::<usize>() as f64
        };
        let total = sum(&|_, _| true).max(1.0);
        let truths: BTreeSet<u8> = self.counts.keys().map(|(truth, _)| *truth).collect();
        let all: BTreeSet<u8> =
            truths.iter().copied().chain(self.counts.keys().filter_map(|(_, given)| *given)).collect();
        let accuracy = sum(&|truth, given| Some(truth) == given) / total;
        let mut chance = 0.0;
        let mut ious = Vec::new();
        let mut classes = Vec::new();
        for value in all {
            let right = sum(&|truth, given| truth == value && given == Some(value));
            let (of_truth, of_map) = (sum(&|truth, _| truth == value), sum(&|_, given| given == Some(value)));
            chance += of_truth / total * (of_map / total);
            let iou = right / (of_truth + of_map - right).max(1.0);
            ious.push(iou);
            if truths.contains(&value) {
                classes.push(ClassScore {
                    value,
                    name: names.get(&value).cloned().unwrap_or_else(|| format!("class {value}")),
                    pixels: of_truth as usize,
                    iou,
                    precision: right / of_map.max(1.0),
                    recall: right / of_truth.max(1.0),
                });
            }
        }
        Scores {
            accuracy,
            mean_iou: ious.iter().sum::<f64>() / ious.len().max(1) as f64,
            // Where chance alone is always right there is nothing beyond it.
            kappa: if chance < 1.0 { (accuracy - chance) / (1.0 - chance) } else { 0.0 },
            classes,
            confusion: self.counts.iter().map(|(&(truth, given), &count)| (truth, given, count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        // Truth 1: 40 right, 10 as 2. Truth 2: 45 right, 5 without a value.
        let mut confusion = Confusion::default();
        for (truth, given, count) in [(1, Some(1), 40), (1, Some(2), 10), (2, Some(2), 45), (2, None, 5)] {
            (0..count).for_each(|_| confusion.add(truth, given));
        }
        let scores = confusion.scores(&BTreeMap::from([(1, "one".into())]));
        assert!((scores.accuracy - 0.85).abs() < 1e-12);
        assert!(
            (scores.classes[0].iou - 40.0 / 50.0).abs() < 1e-12 && (scores.classes[1].iou - 45.0 / 60.0).abs() < 1e-12
        );
        assert!((scores.mean_iou - (0.8 + 0.75) / 2.0).abs() < 1e-12);
        // Chance: 0.5 · 0.4 + 0.5 · 0.55 = 0.475.
        assert!((scores.kappa - (0.85 - 0.475) / 0.525).abs() < 1e-12);
        assert_eq!((scores.classes[0].name.as_str(), scores.classes[1].name.as_str()), ("one", "class 2"));
        assert!((scores.classes[1].precision - 45.0 / 55.0).abs() < 1e-12);
    }

    #[test]
    fn a_class_that_is_never_found_has_zero_without_a_sign() {
        let mut confusion = Confusion::default();
        confusion.add(1, Some(2));
        let scores = confusion.scores(&BTreeMap::new());
        assert_eq!(format!("{:.3} {:.3}", scores.classes[0].iou, scores.classes[0].recall), "0.000 0.000");
    }

    #[test]
    fn one_class_only_has_no_kappa() {
        let mut confusion = Confusion::default();
        confusion.add(3, Some(3));
        let scores = confusion.scores(&BTreeMap::new());
        assert_eq!((scores.accuracy, scores.kappa), (1.0, 0.0));
    }
}
