//! Polygons of vector files, on the reference system that is asked for.

use std::path::Path;

use gdal::vector::{Geometry, LayerAccess};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use skysense_address::redact;
use skysense_grid::Crs;

use crate::crs::{name, project, transformation};
use crate::messages::capture;
use crate::{RasterError, Result, setup};

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
    setup::ensure()?;
    let shown = redact(&path.display().to_string());
    let open = |message: String, hint: &str| RasterError::Open {
        name: "vector".into(),
        href: shown.clone(),
        message,
        hint: hint.into(),
    };
    if !path.is_file() {
        return Err(open("no such file".into(), "name a vector file on this machine"));
    }
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_READONLY,
        ..DatasetOptions::default()
    };
    let (dataset, messages) = capture(|| Dataset::open_ex(path, options));
    let dataset =
        dataset.map_err(|_| open(messages.text(), "name a file that GDAL reads, such as GeoJSON or GeoPackage"))?;
    let (layer, messages) = capture(|| dataset.layer(0));
    let mut layer = layer.map_err(|_| open(messages.text(), "it has no layer"))?;
    let index = match field {
        Some(wanted) => {
            let names: Vec<String> = layer.defn().fields().map(|field| field.name()).collect();
            let place = names.iter().position(|name| name == wanted);
            let lacking =
                || open(format!("no field {wanted:?}; it has {}", names.join(", ")), "name the field of classes");
            Some(place.ok_or_else(lacking)?)
        }
        None => None,
    };
    // GeoJSON is in degrees where it says nothing else; so is, by GDAL, what says nothing at all.
    let from = match layer.spatial_ref() {
        Some(reference) => name(&reference)?,
        None => target.clone(),
    };
    let transform = if crate::crs::same(&from, target)? { None } else { Some(transformation(&from, target)?) };
    let mut found = Vec::new();
    for feature in layer.features() {
        let value = match index {
            Some(index) => feature.field_as_string(index).ok().flatten(),
            None => None,
        };
        let Some(geometry) = feature.geometry() else { continue };
        let mut rings = Vec::new();
        outer_rings(geometry, &mut rings);
        for ring in rings {
            let (mut x, mut y): (Vec<f64>, Vec<f64>) = ring.into_iter().unzip();
            if let Some(transform) = &transform {
                project(transform, &mut x, &mut y);
            }
            let mut ring: Vec<[f64; 2]> = x.into_iter().zip(y).map(|(x, y)| [x, y]).collect();
            if ring.len() > 1 && ring.first() == ring.last() {
                ring.pop();
            }
            if ring.iter().flatten().any(|value| !value.is_finite()) {
                return Err(open(format!("a polygon cannot be brought to {target}"), "check its reference system"));
            }
            if ring.len() >= 3 {
                found.push(Outline { ring, value: value.clone() });
            }
        }
    }
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
