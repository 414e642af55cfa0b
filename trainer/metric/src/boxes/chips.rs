//! Boxes of chips that overlap, as boxes of one map.

use super::nms::{by_score, greedy};
use super::{Rect, Scored, Shape};
use crate::{MetricError, check};

/// A box that was found in a chip, in coordinates of the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChipBox<S> {
    /// The box.
    pub found: Scored<S>,
    /// The chip that it was found in.
    pub chip: usize,
    /// Whether it reaches the rim of its chip, so that the object may go on beyond.
    pub cut: bool,
}

impl<S: Shape> ChipBox<S> {
    /// A box that was found in a chip with this area. It is cut where it comes nearer to the rim than `margin`, in units
    /// of the map: the width of a pixel or two, for boxes seldom end on the rim itself.
    pub fn new(found: Scored<S>, chip: usize, area: &Rect, margin: f64) -> Self {
        let ([left, top], [right, bottom]) = (found.shape.bounds().corner(), found.shape.bounds().far_corner());
        let ([first_x, first_y], [last_x, last_y]) = (area.corner(), area.far_corner());
        let cut =
            left < first_x + margin || top < first_y + margin || right > last_x - margin || bottom > last_y - margin;
        Self { found, chip, cut }
    }
}

/// When boxes of a class show the same object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merge {
    /// Boxes whose IoU is above this.
    pub iou: f64,
    /// A cut box of which more than this share lies in a box of another chip.
    pub covered: f64,
}

impl Default for Merge {
    fn default() -> Self {
        Self { iou: 0.5, covered: 0.7 }
    }
}

/// Places of the boxes that stay: whole ones by falling score, then cut ones by falling score.
///
/// The rim of a chip cuts objects, and the part that it leaves overlaps little with the whole that a neighbour sees: NMS
/// alone keeps both. So whole boxes come before cut ones, and a cut box goes when a box of another chip holds most of it. An
/// object that no chip sees whole keeps the parts that do not hold each other: overlap chips by more than the largest
/// object.
///
/// # Errors
/// When a score is not finite, or a setting not from 0 to 1.
pub fn merge_chips<S: Shape>(boxes: &[ChipBox<S>], merge: Merge) -> Result<Vec<usize>, MetricError> {
    check::shares("share at which boxes are one (iou, covered)", &[merge.iou, merge.covered])?;
    let found: Vec<Scored<S>> = boxes.iter().map(|one| one.found.clone()).collect();
    let mut order = by_score(&found)?;
    order.sort_by_key(|at| boxes[*at].cut);
    Ok(greedy(
        &order,
        |at| found[at].class,
        |at| &found[at].shape,
        |kept, at| {
            let (one, other) = (&found[at].shape, &found[kept].shape);
            let part = boxes[at].cut && boxes[at].chip != boxes[kept].chip;
            one.iou(other) > merge.iou || (part && one.covered_by(other) > merge.covered)
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(from: [f64; 2], to: [f64; 2], class: usize, score: f64) -> Scored<Rect> {
        Scored { shape: Rect::from_corners(from, to).unwrap(), class, score }
    }

    #[test]
    fn the_part_that_a_rim_leaves_goes_and_the_whole_stays() {
        let left = Rect::new([0.0, 0.0], [100.0, 100.0]).unwrap();
        let right = Rect::new([64.0, 0.0], [100.0, 100.0]).unwrap();
        // A ship from x 90 to 120: the left chip sees a third of it and is surer.
        let part = ChipBox::new(found([90.0, 40.0], [99.5, 50.0], 0, 0.9), 0, &left, 1.0);
        let whole = ChipBox::new(found([90.0, 40.0], [120.0, 50.0], 0, 0.6), 1, &right, 1.0);
        // Another class in the same place, and a small boat of the same chip beside the part.
        let other = ChipBox::new(found([91.0, 41.0], [99.5, 49.0], 1, 0.3), 0, &left, 1.0);
        let boat = ChipBox::new(found([92.0, 42.0], [95.0, 45.0], 0, 0.2), 0, &left, 1.0);
        assert!(part.cut && !whole.cut && !boat.cut);
        assert_eq!(merge_chips(&[part, whole, other, boat], Merge::default()).unwrap(), [1, 3, 2]);
        // Plain suppression keeps the part, too.
        let plain = super::super::nms(&[part.found, whole.found], 0.5).unwrap();
        assert_eq!(plain, [0, 1]);
    }

    #[test]
    fn twins_of_neighbouring_chips_are_one() {
        let area = Rect::new([0.0, 0.0], [100.0, 100.0]).unwrap();
        let twin = |chip, score| ChipBox::new(found([40.0, 40.0], [50.0, 50.0], 0, score), chip, &area, 1.0);
        assert_eq!(merge_chips(&[twin(0, 0.5), twin(1, 0.7), twin(2, 0.7)], Merge::default()).unwrap(), [1]);
        assert!(merge_chips::<Rect>(&[], Merge::default()).unwrap().is_empty());
        assert!(merge_chips(&[twin(0, f64::NAN)], Merge::default()).is_err());
        assert!(merge_chips(&[twin(0, 0.5)], Merge { iou: 1.5, covered: 0.5 }).is_err());
    }
}
