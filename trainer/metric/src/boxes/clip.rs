//! What two convex polygons have in common: one is clipped by each side of the other (Sutherland and Hodgman 1974).

/// Points of a polygon with four corners after four clips. A clip adds a point wherever the outline changes sides, at
/// most at every second point, whatever rounding does: 4, 6, 9, 13, 19.
const MOST: usize = 20;

/// Twice the area of the triangle, positive where it turns from x to y.
pub(super) fn cross(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Area of a polygon that turns from x to y. Taken about its first corner, for what is far from the origin.
pub(super) fn area_of(polygon: &[[f64; 2]]) -> f64 {
    let Some((first, others)) = polygon.split_first() else { return 0.0 };
    let twice: f64 = others.windows(2).map(|pair| cross(*first, pair[0], pair[1])).sum();
    (twice / 2.0).max(0.0)
}

/// Area that two convex polygons of at most four corners share; both turn from x to y.
///
/// A side that only touches, or is shared, puts points on the line: wherever rounding sees them, the area changes by no
/// more than the rounding.
pub(super) fn intersection(subject: &[[f64; 2]], by: &[[f64; 2]]) -> f64 {
    let mut polygon = Points::default();
    subject.iter().for_each(|point| polygon.push(*point));
    for at in 0..by.len() {
        let (from, to) = (by[at], by[(at + 1) % by.len()]);
        polygon = clipped(polygon.all(), from, to);
        if polygon.count < 3 {
            return 0.0;
        }
    }
    area_of(polygon.all())
}

/// The part of a polygon that lies on the inner side of a line.
fn clipped(polygon: &[[f64; 2]], from: [f64; 2], to: [f64; 2]) -> Points {
    let mut kept = Points::default();
    let Some(last) = polygon.last() else { return kept };
    let (mut previous, mut was) = (*last, cross(from, to, *last));
    for point in polygon {
        let is = cross(from, to, *point);
        if (was > 0.0 && is < 0.0) || (was < 0.0 && is > 0.0) {
            let share = was / (was - is);
            kept.push([0, 1].map(|axis| previous[axis] + share * (point[axis] - previous[axis])));
        }
        if is >= 0.0 {
            kept.push(*point);
        }
        (previous, was) = (*point, is);
    }
    kept
}

/// A polygon without a place on the heap.
#[derive(Default)]
struct Points {
    points: [[f64; 2]; MOST],
    count: usize,
}

impl Points {
    fn push(&mut self, point: [f64; 2]) {
        self.points[self.count] = point;
        self.count += 1;
    }

    fn all(&self) -> &[[f64; 2]] {
        &self.points[..self.count]
    }
}
