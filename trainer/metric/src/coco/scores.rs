//! The numbers that COCO reports.

use serde::{Deserialize, Serialize};

use super::curve::{Curves, curves, ranked};
use super::evaluation::Coco;
use crate::ratio::mean;

/// Scores of boxes; `None` where no truth is asked for (pycocotools writes −1). Means are over the classes that have one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoScores {
    /// Mean average precision over all thresholds: mAP@[.5:.95] by default.
    pub map: Option<f64>,
    /// At each threshold, in their order: the first is mAP50 by default, the sixth mAP75.
    pub map_by_threshold: Vec<Option<f64>>,
    /// Over all thresholds, by area.
    pub map_by_area: Vec<Option<f64>>,
    /// Average recall over all thresholds, with every number of boxes and area.
    pub recall: Recalls,
    /// Average precision of each class over all thresholds.
    pub by_class: Vec<Option<f64>>,
    /// Average precision of each class at the first threshold: AP50 by default.
    pub by_class_at_first: Vec<Option<f64>>,
}

/// Average recalls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recalls {
    /// In the first area, by number of boxes.
    pub by_boxes: Vec<Option<f64>>,
    /// With the greatest number of boxes, by area.
    pub by_area: Vec<Option<f64>>,
}

impl Coco {
    /// The scores.
    pub fn scores(&self) -> CocoScores {
        let settings = self.settings();
        let most = settings.most_boxes();
        // By class, curves of each area with most boxes, then of the first area with the other numbers of boxes.
        let ranked: Vec<_> = self.classes().iter().map(ranked).collect();
        let all = |area: usize, boxes: usize| -> Vec<Option<Curves>> {
            let classes = self.classes().iter().zip(&ranked);
            classes.map(|(class, ranked)| curves(ranked, class.truths[area], (area, boxes), settings)).collect()
        };
        let areas: Vec<_> = (0..settings.areas.len()).map(|area| all(area, most)).collect();
        let (headline, thresholds) = (&areas[0], settings.thresholds.len());
        let whole = |values: &Vec<f64>| values.iter().sum::<f64>() / thresholds as f64;
        let precision = |curves: &Option<Curves>| curves.as_ref().map(|curves| whole(&curves.precision));
        let recall = |curves: &Option<Curves>| curves.as_ref().map(|curves| whole(&curves.recall));
        let at = |curves: &Option<Curves>, at: usize| curves.as_ref().map(|curves| curves.precision[at]);
        CocoScores {
            map: mean(headline.iter().map(precision)),
            map_by_threshold: (0..thresholds)
                .map(|step| mean(headline.iter().map(|curves| at(curves, step))))
                .collect(),
            map_by_area: areas.iter().map(|classes| mean(classes.iter().map(precision))).collect(),
            recall: Recalls {
                by_boxes: settings.boxes.iter().map(|boxes| mean(all(0, *boxes).iter().map(recall))).collect(),
                by_area: areas.iter().map(|classes| mean(classes.iter().map(recall))).collect(),
            },
            by_class: headline.iter().map(precision).collect(),
            by_class_at_first: headline.iter().map(|curves| at(curves, 0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Accumulator, Coco, CocoSettings, MetricError, Rect, Scored, Truth};

    fn square(x: f64) -> Rect {
        Rect::new([x, 0.0], [10.0, 10.0]).unwrap()
    }

    fn truth(x: f64, class: usize) -> Truth<Rect> {
        Truth { shape: square(x), class, ignored: false, area: None }
    }

    fn found(x: f64, class: usize, score: f64) -> Scored<Rect> {
        Scored { shape: square(x), class, score }
    }

    fn coco(classes: usize) -> Coco {
        Coco::new(classes, CocoSettings::default()).unwrap()
    }

    #[test]
    fn nothing_asked_for_has_no_score_and_nothing_found_has_zero() {
        let mut empty = coco(2);
        assert_eq!((empty.scores().map, empty.scores().recall.by_boxes), (None, vec![None; 3]));
        empty.add(0, &[], &[found(0.0, 0, 0.5)]).unwrap();
        assert_eq!(empty.scores().map, None);
        empty.add::<Rect>(1, &[truth(0.0, 1)], &[]).unwrap();
        let scores = empty.scores();
        assert_eq!((scores.map, scores.by_class), (Some(0.0), vec![None, Some(0.0)]));
    }

    #[test]
    fn the_order_in_which_images_come_does_not_matter() {
        let images = [
            (7, vec![truth(0.0, 0)], vec![found(20.0, 0, 0.5), found(0.0, 0, 0.5)]),
            (3, vec![truth(0.0, 0), truth(30.0, 0)], vec![found(0.0, 0, 0.5)]),
            (5, vec![], vec![found(1.0, 0, 0.9)]),
        ];
        let mut forth = coco(1);
        images.iter().for_each(|(image, truths, boxes)| forth.add(*image, truths, boxes).unwrap());
        let mut back = coco(1);
        for (image, truths, boxes) in images.iter().rev() {
            let mut part = coco(1);
            part.add(*image, truths, boxes).unwrap();
            back.merge(&part).unwrap();
        }
        assert_eq!(forth.scores(), back.scores());
    }

    #[test]
    fn a_refused_image_counts_for_nothing() {
        let mut coco = coco(1);
        let error = coco.add(0, &[truth(0.0, 0)], &[found(0.0, 1, 0.5)]).unwrap_err();
        assert_eq!(error, MetricError::Class { what: "box", at: 0, found: 1, classes: 1 });
        assert!(coco.add(0, &[truth(0.0, 3)], &[]).is_err());
        assert!(coco.add(0, &[truth(0.0, 0)], &[found(0.0, 0, f64::NAN)]).is_err());
        assert!(coco.add::<Rect>(0, &[Truth { area: Some(f64::INFINITY), ..truth(0.0, 0) }], &[]).is_err());
        assert_eq!(coco.scores().map, None);
        assert!(coco.merge(&self::coco(2)).is_err());
    }
}
