//! Rotated boxes.

use serde::{Deserialize, Serialize};

use super::clip::{self, area_of, cross};
use super::{Rect, Shape};
use crate::{MetricError, check};

/// A rotated box, or any other convex quadrilateral. A box without width or without height is one, too, with area 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[[f64; 2]; 4]", into = "[[f64; 2]; 4]")]
pub struct Quad {
    corners: [[f64; 2]; 4],
    /// Corners of the convex hull, turning from x to y; the first `sides` of them.
    hull: [[f64; 2]; 4],
    sides: u8,
    area: f64,
    bounds: Rect,
}

impl Quad {
    /// From its corners in any order. Where they do not make a convex quadrilateral, as four corners in which two
    /// neighbours changed places, the area is that of their convex hull.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn new(corners: [[f64; 2]; 4]) -> Result<Self, MetricError> {
        check::finite("coordinate of a corner (x and y of each)", corners.as_flattened())?;
        let bounds = Rect::around(&corners);
        // An area that is no number would be found to overlap with nothing or everything.
        check::finite("area of the box around four corners", &[bounds.area()])?;
        let (hull, sides) = hull(corners);
        Ok(Self { corners, hull, sides, area: area_of(&hull[..usize::from(sides)]), bounds })
    }

    /// From centre, width and height, and the angle in radians by which the box is turned from the axis of x towards the
    /// axis of y.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn from_centre([x, y]: [f64; 2], [width, height]: [f64; 2], angle: f64) -> Result<Self, MetricError> {
        let (sin, cos) = angle.sin_cos();
        let corner = |right: f64, down: f64| {
            let (along, across) = (right * width / 2.0, down * height / 2.0);
            [x + along * cos - across * sin, y + along * sin + across * cos]
        };
        Self::new([corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)])
    }

    /// The corners as they were given.
    pub fn corners(&self) -> [[f64; 2]; 4] {
        self.corners
    }
}

/// Corners of the convex hull, turning from x to y, and how many they are (Andrew's monotone chain).
fn hull(mut corners: [[f64; 2]; 4]) -> ([[f64; 2]; 4], u8) {
    corners.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let mut chain: Vec<[f64; 2]> = Vec::with_capacity(8);
    for round in [false, true] {
        let begun = chain.len();
        for at in 0..corners.len() {
            let point = corners[if round { corners.len() - 1 - at } else { at }];
            while chain.len() >= begun + 2 && cross(chain[chain.len() - 2], chain[chain.len() - 1], point) <= 0.0 {
                chain.pop();
            }
            chain.push(point);
        }
        // The last of each half is the first of the other.
        chain.pop();
    }
    let mut hull = [corners[0]; 4];
    let sides = chain.len().min(4);
    hull[..sides].copy_from_slice(&chain[..sides]);
    (hull, sides as u8)
}

impl Shape for Quad {
    fn area(&self) -> f64 {
        self.area
    }

    fn bounds(&self) -> Rect {
        self.bounds
    }

    fn intersection(&self, other: &Self) -> f64 {
        if self.area <= 0.0 || other.area <= 0.0 || !self.bounds.meets(&other.bounds) {
            return 0.0;
        }
        let hull = |quad: &'_ Self| (quad.hull, usize::from(quad.sides));
        let ((mine, my_sides), (theirs, their_sides)) = (hull(self), hull(other));
        // Rounding must not make a part larger than the whole.
        clip::intersection(&mine[..my_sides], &theirs[..their_sides]).min(self.area).min(other.area)
    }
}

impl TryFrom<[[f64; 2]; 4]> for Quad {
    type Error = MetricError;

    fn try_from(corners: [[f64; 2]; 4]) -> Result<Self, MetricError> {
        Self::new(corners)
    }
}

impl From<Quad> for [[f64; 2]; 4] {
    fn from(quad: Quad) -> Self {
        quad.corners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(degrees: f64) -> Quad {
        Quad::from_centre([10.0, -3.0], [8.0, 2.0], f64::to_radians(degrees)).unwrap()
    }

    #[test]
    fn a_box_meets_itself_whole() {
        for degrees in [0.0, 17.0, 45.0, 90.0, 123.4, 180.0] {
            let quad = turned(degrees);
            assert_eq!(quad.iou(&quad), 1.0, "{degrees}");
            assert!((quad.area() - 16.0).abs() < 1e-12);
            assert!((quad.iou(&turned(degrees + 180.0)) - 1.0).abs() < 1e-12);
        }
        // Crossed at right angles: 4 of 16 + 16 − 4.
        assert!((turned(30.0).iou(&turned(120.0)) - 4.0 / 28.0).abs() < 1e-12);
    }

    #[test]
    fn order_and_sense_of_corners_do_not_matter() {
        let quad = turned(20.0);
        let [a, b, c, d] = quad.corners();
        for corners in [[b, c, d, a], [d, c, b, a], [a, c, b, d], [a, b, d, c]] {
            assert_eq!(Quad::new(corners).unwrap().iou(&quad), 1.0);
        }
    }

    #[test]
    fn boxes_without_area_overlap_with_nothing() {
        let point = Quad::new([[1.0, 1.0]; 4]).unwrap();
        let line = Quad::new([[0.0, 0.0], [2.0, 2.0], [2.0, 2.0], [0.0, 0.0]]).unwrap();
        let around = Quad::from_centre([1.0, 1.0], [4.0, 4.0], 0.3).unwrap();
        for flat in [point, line] {
            assert_eq!((flat.area(), flat.iou(&around), around.iou(&flat), flat.iou(&flat)), (0.0, 0.0, 0.0, 0.0));
        }
    }

    #[test]
    fn coordinates_of_a_map_lose_nothing() {
        let at = |x: f64, y: f64| Quad::from_centre([x, y], [10.0, 10.0], 0.0).unwrap();
        assert!((at(500_000.0, 5_400_000.0).iou(&at(500_005.0, 5_400_000.0)) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn corners_are_finite() {
        assert!(Quad::new([[0.0, 0.0], [1.0, f64::NAN], [1.0, 1.0], [0.0, 1.0]]).is_err());
        assert!(Quad::from_centre([0.0, 0.0], [1.0, 1.0], f64::INFINITY).is_err());
        assert!(Quad::from_centre([0.0, 0.0], [1e200, 1e200], 0.0).is_err());
        assert!(serde_json::from_str::<Quad>("[[0,0],[1,0],[1,1],[0,1]]").is_ok());
    }
}
