//! Upright boxes.

use serde::{Deserialize, Serialize};

use super::Shape;
use crate::{MetricError, check};

/// An upright box by corner and size, as COCO has it: areas and overlaps are then the same to the last bit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Rect {
    /// From the corner where x and y are least, and the size.
    ///
    /// # Errors
    /// When a number is not finite or a size negative.
    pub fn new([x, y]: [f64; 2], [width, height]: [f64; 2]) -> Result<Self, MetricError> {
        check::finite("number of a box (x, y, width, height)", &[x, y, width, height])?;
        if let Some(at) = [width, height].iter().position(|size| *size < 0.0) {
            let (what, expected) = ("size of a box (width, height)", "0 or more");
            return Err(MetricError::Range { what, at, found: [width, height][at], expected });
        }
        check::finite("far corner of a box (x, y)", &[x + width, y + height])?;
        Ok(Self { x, y, width, height })
    }

    /// From two corners: least x and y, greatest x and y.
    ///
    /// # Errors
    /// When a number is not finite, or the corners stand the other way round.
    pub fn from_corners([left, top]: [f64; 2], [right, bottom]: [f64; 2]) -> Result<Self, MetricError> {
        Self::new([left, top], [right - left, bottom - top])
    }

    /// The least box around points that are finite; at the origin and without size around none.
    pub(super) fn around(points: &[[f64; 2]]) -> Self {
        let Some(first) = points.first() else { return Self { x: 0.0, y: 0.0, width: 0.0, height: 0.0 } };
        let least = |axis: usize| points.iter().fold(first[axis], |least, point| least.min(point[axis]));
        let most = |axis: usize| points.iter().fold(first[axis], |most, point| most.max(point[axis]));
        let ([x, y], [right, bottom]) = ([least(0), least(1)], [most(0), most(1)]);
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// The corner where x and y are least.
    pub fn corner(&self) -> [f64; 2] {
        [self.x, self.y]
    }

    /// The corner where x and y are greatest.
    pub fn far_corner(&self) -> [f64; 2] {
        [self.x + self.width, self.y + self.height]
    }

    /// Width and height.
    pub fn size(&self) -> [f64; 2] {
        [self.width, self.height]
    }

    /// Whether any point belongs to both, rims among them.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let ([left, top], [right, bottom]) = (self.corner(), self.far_corner());
        let ([other_left, other_top], [other_right, other_bottom]) = (other.corner(), other.far_corner());
        left <= other_right && other_left <= right && top <= other_bottom && other_top <= bottom
    }
}

impl Shape for Rect {
    fn area(&self) -> f64 {
        self.width * self.height
    }

    fn bounds(&self) -> Rect {
        *self
    }

    fn intersection(&self, other: &Self) -> f64 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        if width > 0.0 && height > 0.0 { width * height } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_touch_share_no_area() {
        let one = Rect::new([0.0, 0.0], [2.0, 2.0]).unwrap();
        let beside = Rect::from_corners([2.0, 0.0], [4.0, 2.0]).unwrap();
        let line = Rect::new([1.0, 0.0], [0.0, 2.0]).unwrap();
        assert_eq!((one.iou(&beside), one.iou(&line), line.iou(&line), line.covered_by(&one)), (0.0, 0.0, 0.0, 0.0));
        assert_eq!(one.iou(&one), 1.0);
        assert!(one.meets(&beside) && one.meets(&line));
    }

    #[test]
    fn boxes_are_finite_and_not_inside_out() {
        assert!(Rect::new([f64::NAN, 0.0], [1.0, 1.0]).is_err());
        assert!(Rect::new([0.0, 0.0], [1.0, f64::INFINITY]).is_err());
        assert!(Rect::new([f64::MAX, 0.0], [f64::MAX, 1.0]).is_err());
        let error = Rect::from_corners([2.0, 0.0], [1.0, 1.0]).unwrap_err();
        assert_eq!(error.to_string(), "size of a box (width, height) 0 is -1, expected 0 or more");
    }
}
