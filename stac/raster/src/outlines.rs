//! Polygons of vector files, on the reference system that is asked for.

use std::path::Path;

use gdal::vector::Geometry;
use skysense_grid::Crs;

use crate::messages::capture;
use crate::vector::{PROJECTED, fault, features};
use crate::{RasterError, Result};

/// A polygon without its holes.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Points of its outer ring, without the first one again.
    pub ring: Vec<[f64; 2]>,
    /// Text of the field that was asked for.
    pub value: Option<String>,
}

/// A reference system in the words of formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrsDefinition {
    /// Its number at EPSG, where it has one.
    pub epsg: Option<i32>,
    /// As WKT 1.
    pub wkt: String,
    /// As PROJJSON.
    pub projjson: String,
}

/// The words for a reference system.
///
/// # Errors
/// One that PROJ does not know.
pub fn crs_definition(crs: &Crs) -> Result<CrsDefinition> {
    let reference = crate::crs::spatial_reference(crs)?;
    let (texts, messages) =
        capture(|| Ok::<_, gdal::errors::GdalError>((reference.to_wkt()?, reference.to_projjson()?)));
    let (wkt, projjson) = texts.map_err(|_| RasterError::Gdal { call: "OSRExportToWkt", message: messages.text() })?;
    let epsg = crs.epsg_code().and_then(|code| i32::try_from(code).ok());
    Ok(CrsDefinition { epsg, wkt, projjson })
}

/// The polygons of a file's first layer, each part of several by itself, with the text of a field; what is no polygon is
/// left out. Only files on this machine are opened.
///
/// # Errors
/// A file that cannot be read, a field that the layer does not have, coordinates that cannot be projected.
pub fn outlines(path: &Path, field: Option<&str>, target: &Crs) -> Result<Vec<Outline>> {
    let mut found = Vec::new();
    features(path, field, target, |geometry, value| {
        let mut rings = Vec::new();
        outer_rings(geometry, &mut rings);
        for ring in rings {
            let mut ring: Vec<[f64; 2]> = ring.into_iter().map(|(x, y)| [x, y]).collect();
            if ring.len() > 1 && ring.first() == ring.last() {
                ring.pop();
            }
            if ring.iter().flatten().any(|value| !value.is_finite()) {
                return Err(fault(path, format!("a polygon cannot be brought to {target}"), PROJECTED));
            }
            if ring.len() >= 3 {
                found.push(Outline { ring, value: value.clone() });
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Outer rings of polygons, at any depth of collections.
fn outer_rings(geometry: &Geometry, found: &mut Vec<Vec<(f64, f64)>>) {
    match geometry.geometry_name().as_str() {
        "POLYGON" if geometry.geometry_count() > 0 => {
            let ring = geometry.get_geometry(0);
            let mut points = Vec::new();
            ring.get_points(&mut points);
            found.push(points.into_iter().map(|(x, y, _)| (x, y)).collect());
        }
        "MULTIPOLYGON" | "GEOMETRYCOLLECTION" => {
            (0..geometry.geometry_count()).for_each(|part| outer_rings(&geometry.get_geometry(part), found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygons_come_with_their_class_on_the_grid_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.geojson");
        let text = r#"{"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"class": "hall"}, "geometry": {"type": "Polygon",
             "coordinates": [[[15, 48], [15.001, 48], [15.001, 48.001], [15, 48]], [[15.0002, 48.0001], [15.0003, 48.0001], [15.0003, 48.0002], [15.0002, 48.0001]]]}},
            {"type": "Feature", "properties": {"class": "pair"}, "geometry": {"type": "MultiPolygon",
             "coordinates": [[[[15, 48], [15.1, 48], [15.1, 48.1], [15, 48]]], [[[16, 48], [16.1, 48], [16.1, 48.1], [16, 48]]]]}},
            {"type": "Feature", "properties": {"class": "point"}, "geometry": {"type": "Point", "coordinates": [15, 48]}}]}"#;
        std::fs::write(&path, text).unwrap();
        let found = outlines(&path, Some("class"), &Crs::epsg(32633)).unwrap();
        let values: Vec<_> = found.iter().map(|outline| outline.value.as_deref().unwrap()).collect();
        assert_eq!(values, ["hall", "pair", "pair"]);
        // Longitude 15 is the middle of zone 33.
        assert_eq!(found[0].ring.len(), 3);
        assert!((found[0].ring[0][0] - 500_000.0).abs() < 1e-3, "{:?}", found[0].ring);
        let degrees = outlines(&path, None, &Crs::epsg(4326)).unwrap();
        assert_eq!((degrees[0].ring[1], degrees[0].value.as_deref()), ([15.001, 48.0], None));
        let error = outlines(&path, Some("kind"), &Crs::epsg(4326)).unwrap_err().to_string();
        assert!(error.contains("no field \"kind\"; it has class"), "{error}");
        assert!(outlines(&folder.path().join("b.geojson"), None, &Crs::epsg(4326)).is_err());
        let definition = crs_definition(&Crs::epsg(32633)).unwrap();
        assert_eq!(definition.epsg, Some(32633));
        assert!(definition.projjson.contains("32633") && definition.wkt.starts_with("PROJCS["));
    }
}
