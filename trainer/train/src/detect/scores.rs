//! How well objects are found.

use serde::{Deserialize, Serialize};
use skysense_detect::{Found, Object, RotatedBox};
use skysense_metric::{Coco, CocoSettings, Dota, MetricError, PrecisionRule, Quad, Rect, Scored, Shape, Truth};

/// Scores; `None` where there is no object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectionScores {
    /// Images that were looked at.
    pub images: usize,
    /// Objects that are asked for.
    pub objects: usize,
    /// Mean average precision at an IoU of 0.5 by the rules of COCO.
    pub map50: Option<f64>,
    /// The same at 0.75.
    pub map75: Option<f64>,
    /// The same over 0.5 to 0.95.
    pub map: Option<f64>,
    /// Mean average precision at 0.5 by the rules of DOTA, at eleven points of recall.
    pub dota: Option<f64>,
    /// The same over all of the area.
    pub dota_area: Option<f64>,
    /// Average precision of each class at 0.5 by the rules of COCO.
    pub by_class: Vec<Option<f64>>,
}

/// Judges image after image; boxes may be in any unit.
#[derive(Debug, Clone)]
pub struct Evaluation {
    rotated: bool,
    images: usize,
    objects: usize,
    coco: Coco,
    dota: Dota,
}

impl Evaluation {
    /// Without an image.
    ///
    /// # Errors
    /// None with these settings; kept so that no score is made up.
    pub fn new(classes: usize, rotated: bool) -> Result<Self, MetricError> {
        // Rotated boxes are asked for in crowded places: no number of COCO's bounds them.
        Self::with_boxes(classes, rotated, if rotated { 2000 } else { 100 })
    }

    /// Without an image, for maps that hold any number of boxes.
    ///
    /// # Errors
    /// As [`Evaluation::new`].
    pub fn of_map(classes: usize, rotated: bool) -> Result<Self, MetricError> {
        Self::with_boxes(classes, rotated, usize::MAX)
    }

    fn with_boxes(classes: usize, rotated: bool, most: usize) -> Result<Self, MetricError> {
        let boxes = vec![1, 10, most];
        let coco = Coco::new(classes, CocoSettings { boxes, ..CocoSettings::default() })?;
        Ok(Self { rotated, images: 0, objects: 0, coco, dota: Dota::new(classes, 0.5)? })
    }

    /// Takes all objects of an image and all that was found there.
    ///
    /// # Errors
    /// A class that is not counted, numbers that are not finite.
    pub fn add(&mut self, objects: &[Object], found: &[Found]) -> Result<(), MetricError> {
        match self.rotated {
            true => self.add_as::<Quad>(objects, found, RotatedBox::quad),
            false => self.add_as::<Rect>(objects, found, RotatedBox::rect),
        }
    }

    fn add_as<S: Shape>(
        &mut self,
        objects: &[Object],
        found: &[Found],
        shape: impl Fn(&RotatedBox) -> Result<S, MetricError>,
    ) -> Result<(), MetricError> {
        let truth = |object: &Object| {
            Ok(Truth { shape: shape(&object.area)?, class: object.class, ignored: object.ignored, area: None })
        };
        let truths = objects.iter().map(truth).collect::<Result<Vec<_>, MetricError>>()?;
        let scored = |found: &Found| {
            Ok(Scored { shape: shape(&found.area)?, class: found.class, score: f64::from(found.score) })
        };
        let found = found.iter().map(scored).collect::<Result<Vec<_>, MetricError>>()?;
        let image = self.images as u64;
        self.coco.add(image, &truths, &found)?;
        self.dota.add(image, &truths, &found)?;
        self.images += 1;
        self.objects += truths.iter().filter(|truth| !truth.ignored).count();
        Ok(())
    }

    /// The scores.
    pub fn scores(&self) -> DetectionScores {
        let coco = self.coco.scores();
        let at = |place: usize| coco.map_by_threshold.get(place).copied().flatten();
        DetectionScores {
            images: self.images,
            objects: self.objects,
            map50: at(0),
            map75: at(5),
            map: coco.map,
            dota: self.dota.mean(PrecisionRule::ElevenPoints),
            dota_area: self.dota.mean(PrecisionRule::Area),
            by_class: coco.by_class_at_first,
        }
    }
}
