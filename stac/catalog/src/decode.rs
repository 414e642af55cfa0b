//! Geometries in, of every encoding, behind one set of guards.
//!
//! The parsers below take text and bytes at their word: they index positions that are not there, allocate what a count
//! promises, and recurse as deep as collections nest. So each encoding is first walked here, which reads no number twice
//! and keeps nothing; what passes is whole, bounded and shallow.

use flatgeobuf::{FgbFeature, Geometry as FgbGeometry, GeometryType};
use geo::{CoordsIter, Geometry};
use geozero::ToGeo;
use geozero::wkb::Wkb;
use geozero::wkt::Wkt;
use serde_json::Value;

/// Collections within collections; published areas have none or one.
const DEEPEST: usize = 8;

/// A geometry in degrees, or what is wrong with it, as the end of a sentence.
pub(crate) type Decoded = std::result::Result<Geometry<f64>, String>;

/// Reads GeoJSON: a geometry, or a feature that has one.
pub(crate) fn geojson(value: &Value) -> Decoded {
    let geometry = match value.get("type").and_then(Value::as_str) {
        Some("Feature") => value.get("geometry").ok_or("is a feature without geometry")?,
        _ => value,
    };
    check_geojson(geometry, 0)?;
    let parsed: geojson::Geometry = serde_json::from_value(geometry.clone()).map_err(|error| error.to_string())?;
    in_degrees(Geometry::try_from(parsed).map_err(|error| error.to_string())?)
}

/// Reads WKT.
pub(crate) fn wkt(text: &str) -> Decoded {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // A multipolygon opens three brackets of its own.
        if depth > DEEPEST + 3 {
            return Err(too_deep());
        }
    }
    in_degrees(Wkt(text).to_geo().map_err(|error| error.to_string())?)
}

/// Reads WKB.
pub(crate) fn wkb(bytes: &[u8]) -> Decoded {
    Walk { rest: bytes }.geometry(None, 0)?;
    in_degrees(Wkb(bytes).to_geo().map_err(|error| error.to_string())?)
}

/// Reads a geometry of a GeoPackage: WKB behind a header of its own.
pub(crate) fn gpkg(bytes: &[u8]) -> Decoded {
    let mut walk = Walk { rest: bytes };
    let [magic @ .., _version, flags] = walk.take::<4>()?;
    if magic != *b"GP" {
        return Err("holds a blob that is no GeoPackage geometry".into());
    }
    let _srs = walk.take::<4>()?;
    let envelope = match (flags >> 1) & 0b111 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        other => return Err(format!("holds a GeoPackage geometry with an envelope of the unknown kind {other}")),
    };
    walk.skip(envelope)?;
    wkb(walk.rest)
}

/// Reads the geometry of a FlatGeobuf feature; `of_layer` is what the file's header says of all of them.
pub(crate) fn flatgeobuf(feature: &FgbFeature, of_layer: GeometryType) -> Decoded {
    let geometry = feature.geometry().ok_or("holds a feature without geometry")?;
    let kind = if of_layer == GeometryType::Unknown { geometry.type_() } else { of_layer };
    check_fgb(&geometry, kind, 0)?;
    in_degrees(feature.to_geo().map_err(|error| error.to_string())?)
}

fn in_degrees(geometry: Geometry<f64>) -> Decoded {
    if geometry.coords_iter().next().is_none() {
        return Err("is an empty geometry".into());
    }
    let outside = |c: &geo::Coord| !(c.x.abs() <= 360.5 && c.y.abs() <= 90.1);
    let lost = geometry.coords_iter().find(outside);
    match lost {
        Some(c) => Err(format!("has the position [{}, {}], which is not in degrees", c.x, c.y)),
        None => Ok(geometry),
    }
}

fn too_deep() -> String {
    format!("nests geometries more than {DEEPEST} deep")
}

fn check_geojson(geometry: &Value, depth: usize) -> std::result::Result<(), String> {
    if depth > DEEPEST {
        return Err(too_deep());
    }
    // How many arrays stand around a position.
    let arrays = match geometry.get("type").and_then(Value::as_str) {
        Some("Point") => 0,
        Some("MultiPoint" | "LineString") => 1,
        Some("MultiLineString" | "Polygon") => 2,
        Some("MultiPolygon") => 3,
        Some("GeometryCollection") => {
            let parts = geometry.get("geometries").and_then(Value::as_array);
            return parts
                .ok_or("is a GeometryCollection without `geometries`")?
                .iter()
                .try_for_each(|part| check_geojson(part, depth + 1));
        }
        Some(other) => return Err(format!("has the type `{other:.40}`, which is no GeoJSON geometry")),
        None => return Err("is no GeoJSON geometry".into()),
    };
    check_positions(geometry.get("coordinates").ok_or("is a GeoJSON geometry without `coordinates`")?, arrays)
}

fn check_positions(value: &Value, arrays: usize) -> std::result::Result<(), String> {
    let list =
        value.as_array().ok_or_else(|| format!("has `{}` where GeoJSON has an array of positions", short(value)))?;
    if arrays > 0 {
        return list.iter().try_for_each(|inner| check_positions(inner, arrays - 1));
    }
    if list.len() < 2 || !list.iter().all(Value::is_number) {
        return Err(format!("has the position {}, expected [longitude, latitude]", short(value)));
    }
    Ok(())
}

/// JSON as it fits into a message.
pub(crate) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What is left of WKB.
struct Walk<'a> {
    rest: &'a [u8],
}

impl Walk<'_> {
    fn take<const N: usize>(&mut self) -> std::result::Result<[u8; N], String> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or("ends in the middle of a geometry")?;
        self.rest = rest;
        Ok(*head)
    }

    fn skip(&mut self, bytes: usize) -> std::result::Result<(), String> {
        self.rest = self.rest.get(bytes..).ok_or("ends in the middle of a geometry")?;
        Ok(())
    }

    fn number(&mut self, little: bool) -> std::result::Result<u32, String> {
        let bytes = self.take::<4>()?;
        Ok(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// Passes as many positions as a count promises.
    fn positions(&mut self, little: bool, size: usize) -> std::result::Result<(), String> {
        let count = self.number(little)? as usize;
        self.skip(count.saturating_mul(size))
    }

    /// Passes one geometry, which must be of the kind that its parent holds.
    fn geometry(&mut self, wanted: Option<u32>, depth: usize) -> std::result::Result<(), String> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        let little = self.take::<1>()?[0] != 0;
        let code = self.number(little)?;
        let (kind, size) = match (code % 1000, code / 1000) {
            (kind @ 1..=7, 0) => (kind, 16),
            (kind @ 1..=7, 1 | 2) => (kind, 24),
            (kind @ 1..=7, 3) => (kind, 32),
            _ => return Err(format!("has a geometry of type {code}, expected ISO WKB of type 1 to 7 (no curves)")),
        };
        if wanted.is_some_and(|wanted| wanted != kind) {
            return Err(format!("has a part of type {code} in a geometry that holds no such parts"));
        }
        match kind {
            1 => self.skip(size),
            2 => self.positions(little, size),
            3 => (0..self.number(little)?).try_for_each(|_| self.positions(little, size)),
            // Type 4, 5 and 6 hold parts of type 1, 2 and 3; a collection (7) holds any.
            _ => {
                let parts = self.number(little)?;
                // The smallest part is as long as its header: a count beyond that is a lie that memory would pay for.
                if parts as usize > self.rest.len() / 5 {
                    return Err(format!("promises {parts} parts and ends before them"));
                }
                (0..parts).try_for_each(|_| self.geometry((kind < 7).then(|| kind - 3), depth + 1))
            }
        }
    }
}

fn check_fgb(geometry: &FgbGeometry<'_>, kind: GeometryType, depth: usize) -> std::result::Result<(), String> {
    if depth > DEEPEST {
        return Err(too_deep());
    }
    let numbers = geometry.xy().map_or(0, |xy| xy.len());
    let parts = || geometry.parts().ok_or("holds a geometry without its parts");
    match kind {
        GeometryType::MultiPolygon => {
            parts()?.iter().try_for_each(|part| check_fgb(&part, GeometryType::Polygon, depth + 1))
        }
        GeometryType::GeometryCollection => {
            parts()?.iter().try_for_each(|part| check_fgb(&part, part.type_(), depth + 1))
        }
        GeometryType::Point
        | GeometryType::MultiPoint
        | GeometryType::LineString
        | GeometryType::MultiLineString
        | GeometryType::Polygon => {
            if !numbers.is_multiple_of(2) || numbers == 0 {
                return Err(format!("holds a geometry of {numbers} numbers, expected pairs"));
            }
            let mut start = 0;
            for end in geometry.ends().iter().flatten() {
                if end < start || end as usize > numbers / 2 {
                    return Err(format!("holds a ring that ends at {end} of {} positions", numbers / 2));
                }
                start = end;
            }
            Ok(())
        }
        other => Err(format!("holds a geometry of type {other:?}, which is no area")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Little-endian WKB: a type, and what follows.
    fn coded(kind: u32, rest: &[u8]) -> Vec<u8> {
        [&[1], kind.to_le_bytes().as_slice(), rest].concat()
    }

    #[test]
    fn short_positions_are_no_geometry() {
        for (kind, coordinates) in [
            ("Point", json!([])),
            ("Point", json!([14.6])),
            ("LineString", json!([[14.6], [14.7]])),
            ("Polygon", json!([[[1]]])),
            ("Polygon", json!([[1, 2]])),
            ("MultiPolygon", json!([[[[1, 2], [3]]]])),
            ("Polygon", json!([[["1", "2"]]])),
        ] {
            let value = json!({"type": kind, "coordinates": coordinates});
            let nested = json!({"type": "GeometryCollection", "geometries": [value]});
            assert!(geojson(&value).is_err() && geojson(&nested).is_err(), "{value}");
        }
        let told = geojson(&json!({"type": "Polygon", "coordinates": [[[1]]]})).unwrap_err();
        assert!(told.contains("[1]") && told.contains("[longitude, latitude]"), "{told}");
    }

    #[test]
    fn deep_nests_are_refused_in_every_encoding() {
        let nest = |levels: usize| {
            let text = format!("{}POINT(1 2){}", "GEOMETRYCOLLECTION(".repeat(levels), ")".repeat(levels));
            let point = coded(1, &[1.0_f64.to_le_bytes(), 2.0_f64.to_le_bytes()].concat());
            let header = coded(7, &1_u32.to_le_bytes());
            let bytes = [header.repeat(levels), point].concat();
            let mut value = json!({"type": "Point", "coordinates": [1, 2]});
            for _ in 0..levels.min(100) {
                value = json!({"type": "GeometryCollection", "geometries": [value]});
            }
            let blob = [b"GP\0\0".as_slice(), &4326_u32.to_le_bytes(), &bytes].concat();
            [wkt(&text), wkb(&bytes), gpkg(&blob), geojson(&value)]
        };
        for read in nest(3) {
            read.unwrap();
        }
        for read in nest(200_000) {
            assert!(read.unwrap_err().contains("deep"));
        }
    }

    #[test]
    fn counts_that_promise_too_much_are_refused_before_they_cost_memory() {
        let many = u32::MAX.to_le_bytes();
        let ring = [1_u32.to_le_bytes(), many].concat();
        for bytes in
            [coded(2, &many), coded(3, &many), coded(3, &ring), coded(4, &many), coded(6, &many), coded(7, &many)]
        {
            assert!(wkb(&bytes).is_err(), "{bytes:?}");
        }
        assert!(wkb(&coded(10, &many)).unwrap_err().contains("type 10"));
        // A multipolygon of points.
        let point = coded(1, &[0; 16]);
        assert!(wkb(&[coded(6, &1_u32.to_le_bytes()), point].concat()).unwrap_err().contains("part of type 1"));
        assert!(gpkg(b"GP\0\x0e").is_err() && gpkg(b"XX\0\0\0\0\0\0").is_err());
    }
}
