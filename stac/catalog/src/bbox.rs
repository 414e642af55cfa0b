//! Boxes in longitude and latitude, across the antimeridian too.

use serde::{Deserialize, Serialize};

/// `[west, south, east, north]` in degrees; `west > east` means that it crosses the antimeridian.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bbox(pub [f64; 4]);

impl Bbox {
    /// From the four numbers of a bbox, or the six of one with heights.
    ///
    /// `None` where a number is not finite, a latitude lies beyond a pole by more than rounding, or south
    /// lies north of north.
    pub fn from_slice(numbers: &[f64]) -> Option<Self> {
        let [west, south, east, north] = match *numbers {
            [west, south, east, north] => [west, south, east, north],
            [west, south, _, east, north, _] => [west, south, east, north],
            _ => return None,
        };
        let finite = [west, south, east, north].iter().all(|number| number.is_finite());
        let sane = south <= north && south >= -90.1 && north <= 90.1 && west >= -360.5 && east <= 360.5;
        (finite && sane).then_some(Self([west, south, east, north]))
    }

    /// Whether the box crosses the antimeridian.
    pub fn crosses_antimeridian(&self) -> bool {
        self.0[0] > self.0[2]
    }

    /// Whether the two share a point; touching counts.
    pub fn intersects(&self, other: &Self) -> bool {
        let latitudes = self.0[1] <= other.0[3] && other.0[1] <= self.0[3];
        latitudes && self.parts().iter().any(|(a, b)| other.parts().iter().any(|(c, d)| a <= d && c <= b))
    }

    /// Degrees of longitude from west to east, 0 to 360.
    pub fn width(&self) -> f64 {
        let [west, _, east, _] = self.0;
        (if west > east { east + 360.0 - west } else { east - west }).min(360.0)
    }

    /// Longitude of the middle, -180 to 180.
    pub fn center_longitude(&self) -> f64 {
        let east = if self.crosses_antimeridian() { self.0[2] + 360.0 } else { self.0[2] };
        let middle = (self.0[0] + east) / 2.0;
        (middle + 180.0).rem_euclid(360.0) - 180.0
    }

    /// Latitude of the middle.
    pub fn center_latitude(&self) -> f64 {
        (self.0[1] + self.0[3]) / 2.0
    }

    /// Intervals of longitude within -180..=180.
    fn parts(&self) -> Vec<(f64, f64)> {
        let west = self.0[0];
        let width = self.width();
        if width >= 360.0 {
            return vec![(-180.0, 180.0)];
        }
        let start = (west + 180.0).rem_euclid(360.0) - 180.0;
        let end = start + width;
        if end > 180.0 { vec![(start, 180.0), (-180.0, end - 360.0)] } else { vec![(start, end)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_across_the_antimeridian() {
        let fiji = Bbox([177.0, -20.0, -178.0, -15.0]);
        assert!(fiji.crosses_antimeridian());
        assert!(fiji.intersects(&Bbox([-179.0, -18.0, -178.5, -17.0])));
        assert!(fiji.intersects(&Bbox([178.0, -18.0, 179.0, -17.0])));
        assert!(fiji.intersects(&Bbox([181.0, -18.0, 181.5, -17.0])), "longitudes beyond 180");
        assert!(!fiji.intersects(&Bbox([0.0, -18.0, 10.0, -17.0])));
        assert!((fiji.center_longitude() - 179.5).abs() < 1e-9);
    }

    #[test]
    fn a_whole_circle_and_slight_overshoot() {
        assert!(Bbox([-180.0, -90.0, 180.0, 90.0]).intersects(&Bbox([179.9, 0.0, -179.9, 1.0])));
        assert!(Bbox([-180.5, 0.0, -175.0, 1.0]).intersects(&Bbox([179.6, 0.0, 179.8, 1.0])));
    }

    #[test]
    fn six_numbers_hold_heights() {
        assert_eq!(Bbox::from_slice(&[1.0, 2.0, 0.0, 3.0, 4.0, 100.0]), Some(Bbox([1.0, 2.0, 3.0, 4.0])));
        assert_eq!(Bbox::from_slice(&[1.0, 5.0, 3.0, 4.0]), None);
        assert_eq!(Bbox::from_slice(&[1.0, f64::NAN, 3.0, 4.0]), None);
    }
}
