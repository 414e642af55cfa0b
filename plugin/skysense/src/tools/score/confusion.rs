//! Class values of maps as what `skysense-metric` counts: any values, and pixels that a map says nothing of.

use std::collections::BTreeMap;

use serde::Serialize;

/// Place of pixels that a map says nothing of, behind all class values.
const NOTHING: usize = 256;

/// How often each pair of true and given class occurs.
#[derive(Debug, Clone)]
pub(crate) struct Confusion(skysense_metric::Confusion);

impl Default for Confusion {
    fn default() -> Self {
        Self(skysense_metric::Confusion::new(NOTHING + 1))
    }
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
        self.0.add(usize::from(truth), given.map_or(NOTHING, usize::from));
    }

    /// The scores; names are of class values.
    pub(crate) fn scores(&self, names: &BTreeMap<u8, String>) -> Scores {
        let counts = &self.0;
        // Where nothing can be said of a share, the answer has always had 0.
        let class = |value: u8| {
            let at = usize::from(value);
            (counts.in_truth(at) > 0).then(|| ClassScore {
                value,
                name: names.get(&value).cloned().unwrap_or_else(|| format!("class {value}")),
                pixels: counts.in_truth(at) as usize,
                iou: counts.iou(at).unwrap_or(0.0),
                precision: counts.precision(at).unwrap_or(0.0),
                recall: counts.recall(at).unwrap_or(0.0),
            })
        };
        // A map that says nothing is wrong, and not of one class more.
        let ious: Vec<f64> = (0..NOTHING).filter_map(|at| counts.iou(at)).collect();
        let pairs = (0..=255_u8).flat_map(|truth| (0..=NOTHING).map(move |given| (truth, given)));
        let counted = pairs.filter_map(|(truth, given)| {
            let count = counts.count(usize::from(truth), given);
            (count > 0).then(|| (truth, u8::try_from(given).ok(), count as usize))
        });
        // What is given nothing comes first, as it sorts.
        let mut confusion: Vec<_> = counted.collect();
        confusion.sort_unstable();
        Scores {
            accuracy: counts.overall_accuracy().unwrap_or(0.0),
            mean_iou: ious.iter().sum::<f64>() / ious.len().max(1) as f64,
            kappa: counts.kappa().unwrap_or(0.0),
            classes: (0..=255).filter_map(class).collect(),
            confusion,
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
