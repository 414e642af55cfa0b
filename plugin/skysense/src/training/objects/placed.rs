//! Objects on the map, and in the pixels of a chip.

use skysense_grid::GeoBox;
use skysense_train::{DetectionObject, RotatedBox};

/// An object on the map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    /// Its outline in coordinates of the grid's reference system, without the first point again.
    pub(crate) ring: Vec<[f64; 2]>,
    pub(crate) class: String,
    pub(crate) ignored: bool,
    /// West, south, east and north of the outline.
    bounds: [f64; 4],
}

impl Placed {
    pub(crate) fn new(ring: Vec<[f64; 2]>, class: String, ignored: bool) -> Self {
        let least = |axis: usize| ring.iter().map(|point| point[axis]).fold(f64::INFINITY, f64::min);
        let most = |axis: usize| ring.iter().map(|point| point[axis]).fold(f64::NEG_INFINITY, f64::max);
        let bounds = [least(0), least(1), most(0), most(1)];
        Self { ring, class, ignored, bounds }
    }

    /// Whether it may reach into an area.
    fn near(&self, [west, south, east, north]: [f64; 4]) -> bool {
        let [left, bottom, right, top] = self.bounds;
        left <= east && right >= west && bottom <= north && top >= south
    }
}

/// The objects that reach into a chip, in its pixels; `class` gives the place of a class, and an object of another class is
/// not there.
///
/// # Errors
/// A grid that cannot be turned round.
pub(crate) fn in_chip(
    placed: &[Placed],
    chip: &GeoBox,
    class: impl Fn(&str) -> Option<usize>,
    rotated: bool,
) -> Result<Vec<DetectionObject>, skysense_grid::GridError> {
    let inverse = chip.transform.inverse()?;
    let [west, south, east, north] = chip.bounds();
    // A pixel more on each side, so that no rounding decides.
    let (x, y) = ((east - west) / chip.width as f64, (north - south) / chip.height as f64);
    let around = [west - x, south - y, east + x, north + y];
    let mut objects = Vec::new();
    for object in placed.iter().filter(|object| object.near(around)) {
        let Some(class) = class(&object.class) else { continue };
        let points: Vec<[f32; 2]> = object
            .ring
            .iter()
            .map(|[x, y]| {
                let (column, row) = inverse.apply(*x, *y);
                [column as f32, row as f32]
            })
            .collect();
        let reaches = |axis: usize, side: usize| {
            points.iter().any(|point| point[axis] > 0.0) && points.iter().any(|point| point[axis] < side as f32)
        };
        if reaches(0, chip.width) && reaches(1, chip.height) {
            let area = if rotated { RotatedBox::around(&points) } else { RotatedBox::upright_around(&points) };
            objects.push(DetectionObject { area, class, ignored: object.ignored });
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use skysense_grid::{Affine, Crs};

    use super::*;

    #[test]
    fn only_what_reaches_into_a_chip_is_in_it() {
        let chip = GeoBox::new(Crs::epsg(32633), Affine::north_up(1000.0, 2000.0, 0.5), 100, 100).unwrap();
        let ring = |x: f64, y: f64| vec![[x, y], [x + 10.0, y], [x + 10.0, y - 5.0], [x, y - 5.0]];
        let placed = |ring, class: &str| Placed::new(ring, class.into(), false);
        let all = [
            placed(ring(1010.0, 1990.0), "ship"),
            placed(ring(1045.0, 1990.0), "hall"),
            placed(ring(1060.0, 1990.0), "hall"),
            placed(ring(1010.0, 1990.0), "tree"),
        ];
        let class = |name: &str| ["hall", "ship"].iter().position(|known| *known == name);
        for rotated in [false, true] {
            let found = in_chip(&all, &chip, class, rotated).unwrap();
            assert_eq!(found.iter().map(|object| object.class).collect::<Vec<_>>(), [1, 0]);
            assert_eq!((found[0].area.centre, found[0].area.size), ([30.0, 25.0], [20.0, 10.0]));
            assert!(found[0].area.angle.abs() < 1e-6);
        }
    }
}
