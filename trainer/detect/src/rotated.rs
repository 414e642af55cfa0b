//! Rotated boxes in pixels of an image.

use std::f32::consts::{FRAC_PI_2, PI};

use skysense_metric::{MetricError, Quad, Rect};

/// A box by centre, size, and the angle in radians by which it is turned from the axis of x towards that of y; 0 for an
/// upright one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotatedBox {
    /// Column and row of the centre.
    pub centre: [f32; 2],
    /// Width along the turned axis of x, and height.
    pub size: [f32; 2],
    /// The angle.
    pub angle: f32,
}

impl RotatedBox {
    /// An upright box from its least and greatest corner.
    pub fn upright([left, top]: [f32; 2], [right, bottom]: [f32; 2]) -> Self {
        Self { centre: [(left + right) / 2.0, (top + bottom) / 2.0], size: [right - left, bottom - top], angle: 0.0 }
    }

    /// The rectangle of four corners in their order: of any others, the one along the first side with the mean of opposite
    /// sides.
    pub fn from_corners(corners: [[f32; 2]; 4]) -> Self {
        let [a, b, c, d] = corners;
        let far = |from: [f32; 2], to: [f32; 2]| (to[0] - from[0]).hypot(to[1] - from[1]);
        let mean = |axis: usize| corners.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0;
        let size = [(far(a, b) + far(d, c)) / 2.0, (far(b, c) + far(a, d)) / 2.0];
        Self { centre: [mean(0), mean(1)], size, angle: (b[1] - a[1]).atan2(b[0] - a[0]) }.ordered()
    }

    /// The least upright box around points; at the origin and without size around none.
    pub fn upright_around(points: &[[f32; 2]]) -> Self {
        let Some(first) = points.first() else { return Self::upright([0.0; 2], [0.0; 2]) };
        let least = |axis: usize| points.iter().fold(first[axis], |least, point| least.min(point[axis]));
        let most = |axis: usize| points.iter().fold(first[axis], |most, point| most.max(point[axis]));
        Self::upright([least(0), least(1)], [most(0), most(1)])
    }

    /// The rotated box of least area around points: one of its sides lies on one of their convex hull (Freeman and Shapira
    /// 1975), so the sides between all points are tried. Four points that make a rectangle give it back.
    pub fn around(points: &[[f32; 2]]) -> Self {
        let mut best = Self::upright_around(points);
        for (at, from) in points.iter().enumerate() {
            for to in &points[at + 1..] {
                let (right, down) = (to[0] - from[0], to[1] - from[1]);
                if right == 0.0 && down == 0.0 {
                    continue;
                }
                let angle = down.atan2(right);
                let (sin, cos) = angle.sin_cos();
                // About the first point, so that rounding does not grow with the distance from the origin.
                let turned: Vec<[f32; 2]> = points
                    .iter()
                    .map(|[x, y]| [x - points[0][0], y - points[0][1]])
                    .map(|[x, y]| [x * cos + y * sin, y * cos - x * sin])
                    .collect();
                let Self { centre: [x, y], size, .. } = Self::upright_around(&turned);
                if size[0] * size[1] < best.size[0] * best.size[1] * 0.9999 {
                    let centre = [points[0][0] + x * cos - y * sin, points[0][1] + x * sin + y * cos];
                    best = Self { centre, size, angle }.ordered();
                }
            }
        }
        best.ordered()
    }

    /// The same box with the longer side as its width, and the angle from −90° up to 90° (`le90` of mmrotate).
    pub fn ordered(self) -> Self {
        let Self { centre, size: [width, height], angle } = self;
        match width >= height {
            true => Self { centre, size: [width, height], angle: half_turn(angle) },
            false => Self { centre, size: [height, width], angle: half_turn(angle + FRAC_PI_2) },
        }
    }

    /// Corners, turning from x to y.
    pub fn corners(&self) -> [[f32; 2]; 4] {
        let (sin, cos) = self.angle.sin_cos();
        [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]].map(|[right, down]: [f32; 2]| {
            let (along, across) = (right * self.size[0], down * self.size[1]);
            [self.centre[0] + along * cos - across * sin, self.centre[1] + along * sin + across * cos]
        })
    }

    /// The least upright box around it.
    pub fn bounds(&self) -> Self {
        if self.angle == 0.0 {
            return *self;
        }
        let corners = self.corners();
        let least = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f32::INFINITY, f32::min);
        let most = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f32::NEG_INFINITY, f32::max);
        Self::upright([least(0), least(1)], [most(0), most(1)])
    }

    /// Whether all its numbers are finite and its sizes at least `least`.
    pub fn is_box(&self, least: f32) -> bool {
        let all = [self.centre[0], self.centre[1], self.size[0], self.size[1], self.angle];
        all.iter().all(|value| value.is_finite() && value.abs() < 1e9) && self.size.iter().all(|size| *size >= least)
    }

    /// An upright box cut at the rim of an image.
    pub fn clipped(&self, [width, height]: [f32; 2]) -> Self {
        let edge =
            |axis: usize, side: f32, sign: f32| (self.centre[axis] + sign * self.size[axis] / 2.0).clamp(0.0, side);
        Self::upright([edge(0, width, -1.0), edge(1, height, -1.0)], [edge(0, width, 1.0), edge(1, height, 1.0)])
    }

    /// For what rotated boxes have in common.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn quad(&self) -> Result<Quad, MetricError> {
        Quad::from_centre(self.centre.map(f64::from), self.size.map(f64::from), f64::from(self.angle))
    }

    /// The upright box around it, for what such boxes have in common.
    ///
    /// # Errors
    /// Numbers that are not finite, or a size that is negative.
    pub fn rect(&self) -> Result<Rect, MetricError> {
        let Self { centre, size, .. } = self.bounds();
        let corner = [0, 1].map(|axis| f64::from(centre[axis]) - f64::from(size[axis]) / 2.0);
        Rect::new(corner, size.map(f64::from))
    }
}

/// An angle by the half turns that bring it into −90° up to 90°: a rectangle that is turned by half is itself.
pub(crate) fn half_turn(angle: f32) -> f32 {
    let turned = (angle + FRAC_PI_2).rem_euclid(PI) - FRAC_PI_2;
    if turned >= FRAC_PI_2 { turned - PI } else { turned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_make_the_box_again_whichever_comes_first() {
        for angle in [-1.5, -0.7, 0.0, 0.3, 1.2] {
            let whole = RotatedBox { centre: [40.0, 30.0], size: [20.0, 8.0], angle };
            let corners = whole.corners();
            for first in 0..4 {
                let turned = std::array::from_fn(|at| corners[(first + at) % 4]);
                let again = RotatedBox::from_corners(turned);
                assert!((again.angle - angle).abs() < 1e-5, "{again:?} for {whole:?}");
                assert!((again.size[0] - 20.0).abs() < 1e-4 && (again.size[1] - 8.0).abs() < 1e-4);
            }
            let (mine, other) = (whole.quad().unwrap(), RotatedBox::from_corners(corners).quad().unwrap());
            assert!(skysense_metric::Shape::iou(&mine, &other) > 0.9999);
        }
    }

    #[test]
    fn the_least_box_around_points() {
        let whole = RotatedBox { centre: [400.0, 300.0], size: [20.0, 8.0], angle: 0.6 };
        let [a, b, c, d] = whole.corners();
        let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let found = RotatedBox::around(&[c, middle, a, d, b]);
        let overlap = skysense_metric::Shape::iou(&found.quad().unwrap(), &whole.quad().unwrap());
        assert!(overlap > 0.999, "{found:?}: {overlap}");
        assert_eq!(RotatedBox::around(&[[1.0, 1.0], [3.0, 1.0], [3.0, 2.0]]).size, [2.0, 1.0]);
        assert_eq!(RotatedBox::around(&[]).size, [0.0, 0.0]);
        assert_eq!(RotatedBox::upright_around(&whole.corners()), whole.bounds());
    }

    #[test]
    fn the_longer_side_is_the_width() {
        let tall = RotatedBox { centre: [0.0, 0.0], size: [2.0, 6.0], angle: 0.2 }.ordered();
        assert_eq!(tall.size, [6.0, 2.0]);
        assert!((tall.angle - (0.2 + FRAC_PI_2 - PI)).abs() < 1e-6);
        assert_eq!(half_turn(FRAC_PI_2), -FRAC_PI_2);
        assert!((half_turn(4.0) - (4.0 - PI)).abs() < 1e-6);
    }

    #[test]
    fn an_upright_box_is_cut_at_the_rim() {
        let cut = RotatedBox::upright([-4.0, 2.0], [6.0, 30.0]).clipped([20.0, 20.0]);
        assert_eq!(cut, RotatedBox::upright([0.0, 2.0], [6.0, 20.0]));
        assert!(RotatedBox::upright([0.0, 0.0], [1.0, f32::NAN]).rect().is_err());
        assert!(!RotatedBox::upright([0.0, 0.0], [1.0, f32::NAN]).is_box(0.0));
    }
}
