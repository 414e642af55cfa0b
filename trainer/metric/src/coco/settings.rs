//! What COCO's rules leave open.

use serde::{Deserialize, Serialize};

use crate::{MetricError, check};

/// Objects of a size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AreaRange {
    /// Its name.
    pub name: String,
    /// The least area that belongs to it.
    pub from: f64,
    /// The greatest area that belongs to it.
    pub to: f64,
}

/// Thresholds and ranges; the default is COCO's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoSettings {
    /// From which IoU on a box is found: 0.5, 0.55 to 0.95.
    pub thresholds: Vec<f64>,
    /// Recalls at which precision is read: 0, 0.01 to 1.
    pub recalls: Vec<f64>,
    /// Sizes: all, then small (below 32²), medium and large (above 96²), in the unit of the boxes. The first is that of the
    /// headline numbers. A truth or an unmatched box of another size does not count.
    pub areas: Vec<AreaRange>,
    /// How many boxes of an image and class count, those with the highest scores: 1, 10, 100. The last is that of the
    /// headline numbers.
    pub boxes: Vec<usize>,
}

impl Default for CocoSettings {
    fn default() -> Self {
        let area = |name: &str, from, to| AreaRange { name: name.to_owned(), from, to };
        let (small, medium, large) = (32.0 * 32.0, 96.0 * 96.0, 1e10);
        Self {
            thresholds: spaced(0.5, 0.95, 10),
            recalls: spaced(0.0, 1.0, 101),
            areas: vec![
                area("all", 0.0, large),
                area("small", 0.0, small),
                area("medium", small, medium),
                area("large", medium, large),
            ],
            boxes: vec![1, 10, 100],
        }
    }
}

/// Numbers at equal distances with the same last bits as NumPy's `linspace`, which decide where an IoU is a threshold.
fn spaced(from: f64, to: f64, count: usize) -> Vec<f64> {
    let step = (to - from) / (count - 1) as f64;
    (0..count).map(|at| if at + 1 == count { to } else { at as f64 * step + from }).collect()
}

impl CocoSettings {
    /// Bits of thresholds and areas that a judged box has room for.
    const MOST: usize = 64;

    pub(super) fn checked(self) -> Result<Self, MetricError> {
        check::shares("IoU threshold", &self.thresholds)?;
        check::shares("recall", &self.recalls)?;
        let wrong = |setting, found: String, expected| Err(MetricError::Setting { setting, found, expected });
        if self.thresholds.is_empty() || self.recalls.is_empty() || self.areas.is_empty() || self.boxes.is_empty() {
            return wrong("thresholds, recalls, areas, boxes", "empty".into(), "one of each at least");
        }
        if let Some(range) = self.areas.iter().find(|range| !(range.from.is_finite() && range.to.is_finite())) {
            return wrong("areas", format!("{} from {} to {}", range.name, range.from, range.to), "finite numbers");
        }
        if self.thresholds.len() * self.areas.len() > Self::MOST {
            let found = format!("{} and {}", self.thresholds.len(), self.areas.len());
            return wrong("thresholds and areas", found, "numbers of them whose product is at most 64");
        }
        if !self.recalls.is_sorted() || !self.boxes.is_sorted() {
            return wrong("recalls, boxes", format!("{:?}, {:?}", self.recalls, self.boxes), "the least first");
        }
        Ok(self)
    }

    /// Whether another asks the same. JSON may cost numbers their last digits, and parts come from files.
    pub(super) fn same(&self, other: &Self) -> bool {
        let near = |one: &[f64], other: &[f64]| {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| (one - other).abs() <= 1e-12 * one.abs())
        };
        let ranges =
            |settings: &Self| -> Vec<f64> { settings.areas.iter().flat_map(|area| [area.from, area.to]).collect() };
        near(&self.thresholds, &other.thresholds)
            && near(&self.recalls, &other.recalls)
            && near(&ranges(self), &ranges(other))
            && self.boxes == other.boxes
    }

    /// How many boxes of an image and class are looked at.
    pub(super) fn most_boxes(&self) -> usize {
        self.boxes.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_whole_and_nonsense_is_refused() {
        let good = CocoSettings::default().checked().unwrap();
        assert_eq!((good.thresholds.len(), good.thresholds[9], good.recalls.len()), (10, 0.95, 101));
        let changed = |change: fn(&mut CocoSettings)| {
            let mut settings = CocoSettings::default();
            change(&mut settings);
            settings.checked()
        };
        assert!(changed(|settings| settings.thresholds.clear()).is_err());
        assert!(changed(|settings| settings.thresholds = vec![0.5; 17]).is_err());
        assert!(changed(|settings| settings.thresholds[0] = f64::NAN).is_err());
        assert!(changed(|settings| settings.areas[1].to = f64::NAN).is_err());
        assert!(changed(|settings| settings.boxes = vec![10, 1]).is_err());
        assert!(changed(|settings| settings.recalls[0] = 1.5).is_err());
    }
}
