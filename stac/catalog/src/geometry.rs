//! GeoJSON geometries: boxes, overlap, footprints.

use geo::{BoundingRect, Geometry, Intersects, MapCoords, MultiPolygon, Polygon};
use serde_json::{Value, json};

use crate::{Bbox, decode};

/// The box around a GeoJSON geometry or feature; `west > east` where it crosses the antimeridian.
///
/// `None` for what is no geometry, is empty, or holds numbers that are no degrees.
pub fn bbox_of(value: &Value) -> Option<Bbox> {
    let geometry = decode::geojson(value).ok()?;
    // Parts on both sides of the antimeridian, as RFC 7946 cuts them: the box goes the short way round.
    let unwrapped = unwrap(&geometry);
    let east = shift_parts(&unwrapped);
    let pick =
        |geometry: &Geometry<f64>| geometry.bounding_rect().map(|r| (r.min().x, r.min().y, r.max().x, r.max().y));
    let (plain, moved) = (pick(&unwrapped)?, pick(&east)?);
    let (west, south, east, north) = if moved.2 - moved.0 < plain.2 - plain.0 - 1e-9 { moved } else { plain };
    if east - west >= 360.0 {
        return Bbox::from_slice(&[-180.0, south, 180.0, north]);
    }
    let wrap = |longitude: f64| {
        if (-180.0..=180.0).contains(&longitude) { longitude } else { (longitude + 180.0).rem_euclid(360.0) - 180.0 }
    };
    Bbox::from_slice(&[wrap(west), south, wrap(east), north])
}

/// Whether two GeoJSON geometries share a point, across the antimeridian too; `None` where one is no geometry.
pub fn intersects(a: &Value, b: &Value) -> Option<bool> {
    let (a, b) = (unwrap(&decode::geojson(a).ok()?), unwrap(&decode::geojson(b).ok()?));
    Some([-360.0, 0.0, 360.0].iter().any(|&by| a.intersects(&shift(&b, by))))
}

/// The footprint of a ring of corners `(longitude, latitude)`: a closed polygon, counter-clockwise, cut at the
/// antimeridian into a multipolygon as RFC 7946 asks.
pub fn footprint(corners: &[(f64, f64)]) -> Value {
    let mut ring: Vec<(f64, f64)> = Vec::with_capacity(corners.len() + 1);
    for &(x, y) in corners {
        let x = ring.last().map_or(x, |&(last, _)| near(x, last));
        ring.push((x, y.clamp(-90.0, 90.0)));
    }
    if area(&ring) < 0.0 {
        ring.reverse();
    }
    let west = ring.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let turn = ((west + 180.0) / 360.0).floor() * 360.0;
    ring.iter_mut().for_each(|p| p.0 -= turn);
    let crosses = ring.iter().any(|p| p.0 > 180.0 + 1e-9);
    if !crosses {
        return json!({"type": "Polygon", "coordinates": [closed(&ring)]});
    }
    let west_part = clip(&ring, |p| p.0 <= 180.0);
    let east_part: Vec<(f64, f64)> = clip(&ring, |p| p.0 >= 180.0).into_iter().map(|(x, y)| (x - 360.0, y)).collect();
    json!({"type": "MultiPolygon", "coordinates": [[closed(&west_part)], [closed(&east_part)]]})
}

fn closed(ring: &[(f64, f64)]) -> Vec<[f64; 2]> {
    let round = |v: f64| (v * 1e7).round() / 1e7;
    let mut out: Vec<[f64; 2]> = ring.iter().map(|&(x, y)| [round(x), round(y)]).collect();
    out.dedup();
    if let Some(&first) = out.first()
        && out.last() != Some(&first)
    {
        out.push(first);
    }
    out
}

fn area(ring: &[(f64, f64)]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum()
}

/// The part of a ring on one side of longitude 180 (Sutherland and Hodgman, one edge).
fn clip(ring: &[(f64, f64)], keeps: impl Fn(&(f64, f64)) -> bool) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        if keeps(a) {
            out.push(*a);
        }
        if keeps(a) != keeps(b) && a.0 != b.0 {
            out.push((180.0, a.1 + (b.1 - a.1) * (180.0 - a.0) / (b.0 - a.0)));
        }
    }
    out
}

/// The longitude, moved by whole turns to within half a turn of another.
fn near(longitude: f64, other: f64) -> f64 {
    longitude - ((longitude - other) / 360.0).round() * 360.0
}

fn shift(geometry: &Geometry<f64>, by: f64) -> Geometry<f64> {
    geometry.map_coords(|c| geo::Coord { x: c.x + by, y: c.y })
}

/// Undoes jumps over the antimeridian within rings: consecutive corners more than half a turn apart.
fn unwrap(geometry: &Geometry<f64>) -> Geometry<f64> {
    let ring = |line: &geo::LineString<f64>| {
        let mut last: Option<f64> = None;
        geo::LineString(
            line.0
                .iter()
                .map(|c| {
                    let x = last.map_or(c.x, |last| if (c.x - last).abs() > 180.0 { near(c.x, last) } else { c.x });
                    last = Some(x);
                    geo::Coord { x, y: c.y }
                })
                .collect(),
        )
    };
    let polygon =
        |polygon: &Polygon<f64>| Polygon::new(ring(polygon.exterior()), polygon.interiors().iter().map(ring).collect());
    match geometry {
        Geometry::Polygon(p) => Geometry::Polygon(polygon(p)),
        Geometry::MultiPolygon(many) => Geometry::MultiPolygon(MultiPolygon(many.0.iter().map(polygon).collect())),
        Geometry::LineString(line) => Geometry::LineString(ring(line)),
        other => other.clone(),
    }
}

/// Parts that lie wholly in the west, moved one turn east.
fn shift_parts(geometry: &Geometry<f64>) -> Geometry<f64> {
    match geometry {
        Geometry::MultiPolygon(many) => Geometry::MultiPolygon(MultiPolygon(
            many.0
                .iter()
                .map(|part| match part.bounding_rect() {
                    Some(rect) if rect.max().x <= 0.0 => part.map_coords(|c| geo::Coord { x: c.x + 360.0, y: c.y }),
                    _ => part.clone(),
                })
                .collect(),
        )),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(west: f64, south: f64, east: f64, north: f64) -> Value {
        json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
    }

    #[test]
    fn a_cut_geometry_has_a_narrow_box() {
        let cut = json!({"type": "MultiPolygon", "coordinates": [square(179.0, 0.0, 180.0, 1.0)["coordinates"], square(-180.0, 0.0, -179.5, 1.0)["coordinates"]]});
        assert_eq!(bbox_of(&cut), Some(Bbox([179.0, 0.0, -179.5, 1.0])));
        assert_eq!(intersects(&cut, &square(-179.9, 0.2, -179.8, 0.4)), Some(true));
        assert_eq!(intersects(&cut, &square(10.0, 0.2, 11.0, 0.4)), Some(false));
    }

    #[test]
    fn a_ring_that_jumps_over_the_antimeridian_is_narrow() {
        let jumping = json!({"type": "Polygon", "coordinates": [[[179.7, 66.0], [-179.2, 66.0], [-179.2, 67.0], [179.7, 67.0], [179.7, 66.0]]]});
        let bbox = bbox_of(&jumping).unwrap();
        assert!((bbox.0[0] - 179.7).abs() < 1e-9 && (bbox.0[2] + 179.2).abs() < 1e-9, "{bbox:?}");
        assert_eq!(intersects(&jumping, &square(0.0, 66.0, 1.0, 67.0)), Some(false));
        assert_eq!(intersects(&jumping, &square(179.8, 66.2, 179.9, 66.5)), Some(true));
    }

    #[test]
    fn footprints_are_closed_counter_clockwise_and_cut() {
        let plain = footprint(&[(14.0, 46.0), (15.0, 46.0), (15.0, 45.0), (14.0, 45.0)]);
        assert_eq!(
            plain,
            json!({"type": "Polygon", "coordinates": [[[14.0, 45.0], [15.0, 45.0], [15.0, 46.0], [14.0, 46.0], [14.0, 45.0]]]})
        );
        let cut = footprint(&[(179.0, 1.0), (-179.0, 1.0), (-179.0, 0.0), (179.0, 0.0)]);
        assert_eq!(cut["type"], "MultiPolygon");
        assert_eq!(bbox_of(&cut), Some(Bbox([179.0, 0.0, -179.0, 1.0])));
    }

    #[test]
    fn what_is_no_geometry_has_no_box() {
        for value in [
            json!(null),
            json!({"type": "Polygon", "coordinates": []}),
            json!({"type": "Point", "coordinates": [1e9, 2]}),
            json!({"type": "Circle"}),
        ] {
            assert_eq!(bbox_of(&value), None, "{value}");
        }
    }
}
