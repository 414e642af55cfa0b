//! The outline of a grid in longitude and latitude.

use serde_json::{Value, json};
use skysense_grid::{Crs, GeoBox};

use crate::crs::{project, transformation};
use crate::{RasterError, Result};

/// Points per edge: a straight edge of a grid is a curve on the globe.
const PER_EDGE: usize = 21;

/// An outline in degrees, as GeoJSON wants it: cut at the antimeridian, counterclockwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    /// Closed rings of `[longitude, latitude]`; more than one where the antimeridian cuts the grid.
    pub rings: Vec<Vec<[f64; 2]>>,
    /// `[west, south, east, north]`; west is greater than east where the grid crosses the antimeridian.
    pub bbox: [f64; 4],
}

impl Footprint {
    /// The geometry of a STAC item: a Polygon, or a MultiPolygon where it is cut.
    pub fn geometry(&self) -> Value {
        match self.rings.as_slice() {
            [ring] => json!({"type": "Polygon", "coordinates": [ring]}),
            rings => {
                json!({"type": "MultiPolygon", "coordinates": rings.iter().map(|ring| vec![ring]).collect::<Vec<_>>()})
            }
        }
    }
}

/// The outline of a grid, its edges followed by 21 points each, coordinates rounded to 1e-7 degrees (a centimetre).
///
/// # Errors
/// A reference system that is not known, or an edge where the projection is not defined.
pub fn footprint(geobox: &GeoBox) -> Result<Footprint> {
    let (width, height) = (geobox.width as f64, geobox.height as f64);
    let corners = [(0.0, 0.0), (0.0, height), (width, height), (width, 0.0)];
    let mut points = Vec::with_capacity(4 * PER_EDGE);
    for (at, from) in corners.iter().enumerate() {
        let to = corners[(at + 1) % 4];
        for step in 0..PER_EDGE {
            let share = step as f64 / PER_EDGE as f64;
            points.push(geobox.transform.apply(from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share));
        }
    }
    let (mut x, mut y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    let degrees = Crs::lon_lat();
    project(&*transformation(&geobox.crs, &degrees)?, &mut x, &mut y);
    if x.iter().chain(&y).any(|value| value.is_nan()) {
        let message = "an edge lies where the projection is not defined".into();
        return Err(RasterError::Project {
            bounds: geobox.bounds(),
            from: geobox.crs.to_string(),
            to: degrees.to_string(),
            message,
        });
    }
    Ok(outline(x, y))
}

/// Cuts a ring of points in degrees.
fn outline(mut x: Vec<f64>, mut y: Vec<f64>) -> Footprint {
    // Follow the ring without jumps: a step of more than half the globe is a step across the antimeridian.
    let mut turns = 0.0;
    let first = x[0];
    let mut last = first;
    for value in x.iter_mut().skip(1) {
        let raw = *value;
        *value += turns;
        let jump = *value - last;
        if jump.abs() > 180.0 {
            turns -= 360.0 * (jump / 360.0).round();
            *value = raw + turns;
        }
        last = *value;
    }
    let around = last - first;
    if around.abs() > 180.0 {
        // The ring winds around a pole: go there and back along the antimeridian.
        let pole = if y.iter().sum::<f64>() > 0.0 { 90.0 } else { -90.0 };
        let end = first + 360.0 * around.signum();
        x.extend([end, end, first]);
        y.extend([y[0], pole, pole]);
    }
    let (west, east) = bounds(&x);
    let (south, north) = bounds(&y);
    let mut rings = Vec::new();
    // Which copies of the globe does the ring touch?
    let (low, high) = (((west + 180.0) / 360.0).floor() as i32, ((east + 180.0) / 360.0).ceil() as i32);
    for copy in low..high.max(low + 1) {
        let shift = 360.0 * f64::from(copy);
        let ring: Vec<(f64, f64)> = x.iter().zip(&y).map(|(x, y)| (x - shift, *y)).collect();
        let ring = clip(&clip(&ring, -180.0, 1.0), 180.0, -1.0);
        if ring.len() >= 3 && area(&ring).abs() > 1e-14 {
            rings.push(closed(ring));
        }
    }
    let whole = east - west >= 360.0;
    let wrap = |value: f64| (value + 180.0).rem_euclid(360.0) - 180.0;
    let (west, east) = match (whole, rings.len()) {
        (true, _) => (-180.0, 180.0),
        (_, 1) => {
            let (west, east) = bounds(&rings[0].iter().map(|point| point[0]).collect::<Vec<_>>());
            (west, east)
        }
        _ => (rounded(wrap(west)), rounded(wrap(east))),
    };
    Footprint { rings, bbox: [west, rounded(south), east, rounded(north)] }
}

/// The part of a ring with `side * (x - edge) >= 0` (Sutherland and Hodgman).
fn clip(ring: &[(f64, f64)], edge: f64, side: f64) -> Vec<(f64, f64)> {
    let mut out = Vec::with_capacity(ring.len() + 4);
    for (at, &to) in ring.iter().enumerate() {
        let from = ring[(at + ring.len() - 1) % ring.len()];
        let (was, is) = (side * (from.0 - edge) >= 0.0, side * (to.0 - edge) >= 0.0);
        if was != is {
            let share = (edge - from.0) / (to.0 - from.0);
            out.push((edge, from.1 + (to.1 - from.1) * share));
        }
        if is {
            out.push(to);
        }
    }
    out
}

fn area(ring: &[(f64, f64)]) -> f64 {
    (0..ring.len()).map(|at| (ring[at], ring[(at + 1) % ring.len()])).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>()
        / 2.0
}

/// Rounded, counterclockwise, with the first point again at the end.
fn closed(mut ring: Vec<(f64, f64)>) -> Vec<[f64; 2]> {
    if area(&ring) < 0.0 {
        ring.reverse();
    }
    let mut ring: Vec<_> = ring.into_iter().map(|(x, y)| [rounded(x), rounded(y)]).collect();
    ring.dedup();
    if ring.first() != ring.last() {
        ring.push(ring[0]);
    }
    ring
}

fn rounded(value: f64) -> f64 {
    // Adding 0 turns -0 into 0.
    (value * 1e7).round() / 1e7 + 0.0
}

fn bounds(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)))
}

#[cfg(test)]
mod tests {
    use skysense_grid::Affine;

    use super::*;

    fn square(epsg: u32, west: f64, north: f64, side: f64) -> Footprint {
        footprint(&GeoBox::new(Crs::epsg(epsg), Affine::north_up(west, north, side / 100.0), 100, 100).unwrap())
            .unwrap()
    }

    #[test]
    fn a_tile_is_one_closed_counterclockwise_ring() {
        let found = square(32633, 500_000.0, 5_000_000.0, 100_000.0);
        assert_eq!(found.rings.len(), 1);
        let ring = &found.rings[0];
        assert_eq!(ring.first(), ring.last());
        assert!(area(&ring.iter().map(|p| (p[0], p[1])).collect::<Vec<_>>()) > 0.0);
        assert!((found.bbox[0] - 15.0).abs() < 1e-6, "{:?}", found.bbox);
        assert_eq!(found.geometry()["type"], "Polygon");
    }

    #[test]
    fn the_antimeridian_cuts_a_tile_in_two() {
        let found = square(32701, 100_000.0, 8_000_000.0, 200_000.0);
        assert_eq!(found.rings.len(), 2);
        assert!(found.bbox[0] > 170.0 && found.bbox[2] < -170.0, "{:?}", found.bbox);
        assert!(found.rings.iter().flatten().all(|p| p[0].abs() <= 180.0));
        assert!(found.rings.iter().flatten().all(|p| p[0].abs() > 170.0));
        assert_eq!(found.geometry()["type"], "MultiPolygon");
    }

    #[test]
    fn a_grid_over_a_pole_holds_it() {
        let found = square(3995, -500_000.0, 500_000.0, 1_000_000.0);
        assert_eq!(found.bbox[3], 90.0);
        assert_eq!((found.bbox[0], found.bbox[2]), (-180.0, 180.0));
        assert!(found.rings.iter().flatten().all(|p| p[0].abs() <= 180.0 && p[1] > 80.0));
    }
}
