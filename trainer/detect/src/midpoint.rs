//! Proposals of rotated boxes by six numbers (Oriented R-CNN, section 3.1).
//!
//! An anchor tells the upright box around an object as in Faster R-CNN, and by how much the midpoints of its top and right
//! side move so that they lie on the object's corners: `Δα = δα·w`, `Δβ = δβ·h`. The four points make a parallelogram,
//! whose shorter diagonal is drawn out to the longer one, which makes it a rectangle.

use crate::RotatedBox;
use crate::coder::{decode, encode};

/// Deviations of the six numbers, as in the paper's code.
const DEVIATIONS: [f32; 6] = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5];
/// Rounding, in pixels, below which a corner lies on a side.
const ON: f32 = 0.1;

/// The coder of midpoint offsets.
#[derive(Debug, Clone, Copy)]
pub struct Midpoint;

impl Midpoint {
    /// How many numbers tell a box.
    pub const CODES: usize = 6;

    /// Tells a rotated box by an upright anchor.
    pub fn encode(anchor: &RotatedBox, target: &RotatedBox) -> [f32; 6] {
        let bounds = target.bounds();
        let upright = encode(anchor, &bounds, &DEVIATIONS[..4]);
        let corners = target.corners();
        let (top, right) = (bounds.centre[1] - bounds.size[1] / 2.0, bounds.centre[0] + bounds.size[0] / 2.0);
        // Of an upright box two corners lie on the side: the one further to the right, and further down.
        let last = |on: usize, at: f32, of: usize| {
            let on_side = corners.iter().filter(|corner| (corner[on] - at).abs() <= ON);
            on_side.map(|corner| corner[of]).fold(f32::NEG_INFINITY, f32::max)
        };
        let alpha = (last(1, top, 0) - bounds.centre[0]) / bounds.size[0];
        let beta = (last(0, right, 1) - bounds.centre[1]) / bounds.size[1];
        [upright[0], upright[1], upright[2], upright[3], alpha / DEVIATIONS[4], beta / DEVIATIONS[5]]
    }

    /// The rotated box that six numbers tell.
    pub fn decode(anchor: &RotatedBox, codes: &[f32]) -> RotatedBox {
        let bounds = decode(anchor, &codes[..4], &DEVIATIONS[..4]);
        let ([x, y], [width, height]) = (bounds.centre, bounds.size);
        // Beyond a half a midpoint would leave its side.
        let alpha = (codes[4] * DEVIATIONS[4]).clamp(-0.5, 0.5) * width;
        let beta = (codes[5] * DEVIATIONS[5]).clamp(-0.5, 0.5) * height;
        let offsets = [[alpha, -height / 2.0], [width / 2.0, beta], [-alpha, height / 2.0], [-width / 2.0, -beta]];
        let lengths = offsets.map(|[right, down]| right.hypot(down));
        let longest = lengths.iter().copied().fold(0.0, f32::max);
        let corners = std::array::from_fn(|at| {
            let out = if lengths[at] > 0.0 { longest / lengths[at] } else { 1.0 };
            [x + offsets[at][0] * out, y + offsets[at][1] * out]
        });
        RotatedBox::from_corners(corners)
    }
}

#[cfg(test)]
mod tests {
    use skysense_metric::Shape;

    use super::*;

    #[test]
    fn rotated_boxes_come_back() {
        let anchor = RotatedBox::upright([20.0, 20.0], [52.0, 52.0]);
        for angle in [-1.57, -1.2, -0.4, 0.0, 0.2, 0.7, 1.5] {
            let target = RotatedBox { centre: [40.0, 33.0], size: [30.0, 11.0], angle };
            let codes = Midpoint::encode(&anchor, &target);
            let again = Midpoint::decode(&anchor, &codes);
            let iou = again.quad().unwrap().iou(&target.quad().unwrap());
            assert!(iou > 0.99, "{angle}: {again:?}, IoU {iou}");
            assert!(codes[4].abs() <= 1.01 && codes[5].abs() <= 1.01);
        }
    }

    #[test]
    fn a_parallelogram_becomes_a_rectangle_with_its_longer_diagonal() {
        let anchor = RotatedBox::upright([0.0, 0.0], [20.0, 10.0]);
        // Midpoints that do not move make a rhombus with diagonals of 20 and 10.
        let made = Midpoint::decode(&anchor, &[0.0; 6]);
        let diagonal = made.size[0].hypot(made.size[1]);
        assert!((diagonal - 20.0).abs() < 1e-4, "{made:?}");
    }
}
