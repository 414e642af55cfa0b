//! The accumulator of COCO's scores.

use serde::{Deserialize, Serialize};

use crate::boxes::{Scored, Shape, Truth};
use crate::{Accumulator, MetricError, check};

use super::matching::{Judged, counts, judge};
use super::settings::CocoSettings;

/// Boxes that were judged image by image: average precision and recall by the rules of COCO, to the same numbers as
/// pycocotools. Works for upright and for rotated boxes.
///
/// Keeps 40 bytes for each box that was found and none of the images. Boxes of the same score count in the order of their
/// images' numbers, whatever the order they came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Coco {
    settings: CocoSettings,
    classes: Vec<Class>,
}

/// What is kept of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Class {
    pub(super) judged: Vec<Judged>,
    /// Truths that are asked for, by area.
    pub(super) truths: Vec<u64>,
}

/// As it comes from a file.
#[derive(Deserialize)]
struct Stored {
    settings: CocoSettings,
    classes: Vec<Class>,
}

impl TryFrom<Stored> for Coco {
    type Error = MetricError;

    fn try_from(stored: Stored) -> Result<Self, MetricError> {
        let settings = stored.settings.checked()?;
        for class in &stored.classes {
            check::length("counts of truths of a class", class.truths.len(), settings.areas.len(), "area")?;
        }
        Ok(Self { settings, classes: stored.classes })
    }
}

impl Coco {
    /// Without an image.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn new(classes: usize, settings: CocoSettings) -> Result<Self, MetricError> {
        let settings = settings.checked()?;
        let class = Class { judged: Vec::new(), truths: vec![0; settings.areas.len()] };
        Ok(Self { classes: vec![class; classes], settings })
    }

    /// Takes all truths and all boxes of one image. The number of the image decides the order of equal scores only.
    ///
    /// # Errors
    /// When a class is not counted, or a score or an area is not finite; then nothing is taken.
    pub fn add<S: Shape>(&mut self, image: u64, truths: &[Truth<S>], boxes: &[Scored<S>]) -> Result<(), MetricError> {
        for (at, truth) in truths.iter().enumerate() {
            check::class("truth", at, truth.class, self.classes.len())?;
        }
        for (at, found) in boxes.iter().enumerate() {
            check::class("box", at, found.class, self.classes.len())?;
        }
        check::finite("area of a truth", &truths.iter().filter_map(|truth| truth.area).collect::<Vec<_>>())?;
        check::finite("score of a box", &boxes.iter().map(|found| found.score).collect::<Vec<_>>())?;
        // Only the classes of the image are visited: there may be many more.
        let mut seen: Vec<usize> =
            truths.iter().map(|truth| truth.class).chain(boxes.iter().map(|found| found.class)).collect();
        seen.sort_unstable();
        seen.dedup();
        for class in seen {
            let truths: Vec<&Truth<S>> = truths.iter().filter(|truth| truth.class == class).collect();
            let mut boxes: Vec<&Scored<S>> = boxes.iter().filter(|found| found.class == class).collect();
            boxes.sort_by(|a, b| by_score(a.score, b.score));
            boxes.truncate(self.settings.most_boxes());
            let judged = judge(&truths, &boxes, image, &self.settings);
            let kept = &mut self.classes[class];
            for (count, area) in kept.truths.iter_mut().zip(&self.settings.areas) {
                *count += truths.iter().filter(|truth| counts(truth, area)).count() as u64;
            }
            kept.judged.extend(judged);
        }
        Ok(())
    }

    pub(super) fn settings(&self) -> &CocoSettings {
        &self.settings
    }

    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }
}

/// The higher score first; −0 and 0 are one score.
pub(super) fn by_score(a: f64, b: f64) -> std::cmp::Ordering {
    (b + 0.0).total_cmp(&(a + 0.0))
}

impl Accumulator for Coco {
    fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if !self.settings.same(&other.settings) {
            check::alike("evaluations of boxes by their settings", &other.settings, &self.settings)?;
        }
        check::alike("evaluations of boxes by their classes", &other.classes.len(), &self.classes.len())?;
        for (class, more) in self.classes.iter_mut().zip(&other.classes) {
            class.judged.extend_from_slice(&more.judged);
            class.truths.iter_mut().zip(&more.truths).for_each(|(count, more)| *count += more);
        }
        Ok(())
    }
}
