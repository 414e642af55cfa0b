//! Areas of interest: GeoJSON, WKT, WKB, FlatGeobuf and GeoPackage in, as one geometry in degrees.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flatgeobuf::{FallibleStreamingIterator, FgbReader};
use geo::{Geometry, GeometryCollection, MultiPolygon};
use geozero::{CoordDimensions, ToJson, ToWkb};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::{Bbox, CatalogError, Result, bbox_of, decode};

/// Largest file that is read; areas of interest are outlines, not archives.
const LARGEST: u64 = 512 << 20;

/// An area of interest in longitude and latitude.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    geojson: Value,
    bbox: Bbox,
}

impl Area {
    /// Reads GeoJSON or WKT text, or a file by its ending: `.geojson`, `.json`, `.wkt`, `.wkb`, `.fgb` or `.gpkg`
    /// (`areas.gpkg#layer` where it has several layers). Several features become one area.
    ///
    /// # Errors
    /// What cannot be read, is empty, or is not in degrees.
    pub fn read(text: &str, folder: &Path) -> Result<Self> {
        let trimmed = text.trim();
        if trimmed.starts_with('{') {
            let value = serde_json::from_str(trimmed).map_err(|error| fault("text", error))?;
            return Self::from_geojson(&value, "text");
        }
        if is_wkt(trimmed) {
            return Self::from_wkt(trimmed, "text");
        }
        let (name, layer) = match trimmed.split_once('#') {
            Some((name, layer)) if name.to_ascii_lowercase().ends_with(".gpkg") => (name, Some(layer)),
            _ => (trimmed, None),
        };
        let path = folder.join(name);
        let size = std::fs::metadata(&path).map_err(|source| CatalogError::Read { path: path.clone(), source })?.len();
        let origin = path.display().to_string();
        if size > LARGEST {
            return Err(fault(&origin, format!("{size} bytes are more than the limit of {LARGEST}")));
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let text =
            || std::fs::read_to_string(&path).map_err(|source| CatalogError::Read { path: path.clone(), source });
        match ending.as_str() {
            "geojson" | "json" => {
                Self::from_geojson(&serde_json::from_str(&text()?).map_err(|error| fault(&origin, error))?, &origin)
            }
            "wkt" | "txt" => Self::from_wkt(text()?.trim(), &origin),
            "wkb" => {
                let mut bytes = Vec::new();
                File::open(&path)
                    .and_then(|mut file| file.read_to_end(&mut bytes))
                    .map_err(|source| CatalogError::Read { path: path.clone(), source })?;
                Self::from_wkb(&bytes, &origin)
            }
            "fgb" => flatgeobuf(&path, &origin),
            "gpkg" => geopackage(&path, layer, &origin),
            _ => Err(fault(&origin, format!("ending `.{ending}` is not known"))),
        }
    }

    /// From a GeoJSON geometry, feature or feature collection.
    ///
    /// # Errors
    /// As [`Area::read`].
    pub fn from_geojson(value: &Value, origin: &str) -> Result<Self> {
        // GeoJSON of 2008 could name another reference system; the numbers would then be no degrees.
        if let Some(name) = value.pointer("/crs/properties/name").and_then(Value::as_str)
            && !(name.ends_with("CRS84") || name.ends_with(":4326"))
        {
            return Err(fault(origin, format!("its coordinates are in {name}")));
        }
        let parts = match value.get("features").and_then(Value::as_array) {
            Some(features) => {
                features.iter().filter(|feature| feature.get("geometry").is_some_and(|g| !g.is_null())).collect()
            }
            None => vec![value],
        };
        let parts = parts.into_iter().map(|part| decode::geojson(part).map_err(|problem| fault(origin, problem)));
        Self::joined(parts.collect::<Result<_>>()?, origin)
    }

    /// From WKT; a leading `SRID=4326;` is understood.
    ///
    /// # Errors
    /// As [`Area::read`].
    pub fn from_wkt(text: &str, origin: &str) -> Result<Self> {
        let text = match text.split_once(';') {
            Some((srid, rest)) if srid.eq_ignore_ascii_case("SRID=4326") => rest,
            Some((srid, _)) => return Err(fault(origin, format!("its coordinates are in {srid}"))),
            None => text,
        };
        Self::joined(vec![decode::wkt(text).map_err(|problem| fault(origin, problem))?], origin)
    }

    /// From WKB.
    ///
    /// # Errors
    /// As [`Area::read`].
    pub fn from_wkb(bytes: &[u8], origin: &str) -> Result<Self> {
        Self::joined(vec![decode::wkb(bytes).map_err(|problem| fault(origin, problem))?], origin)
    }

    /// The geometry as GeoJSON.
    pub fn geojson(&self) -> &Value {
        &self.geojson
    }

    /// The box around it.
    pub fn bbox(&self) -> Bbox {
        self.bbox
    }

    /// The geometry as WKB, for columns.
    ///
    /// # Errors
    /// None for an area that was read.
    pub fn to_wkb(&self) -> Result<Vec<u8>> {
        to_wkb(&self.geojson)
    }

    fn joined(mut parts: Vec<Geometry<f64>>, origin: &str) -> Result<Self> {
        let polygons = |geometry: &Geometry<f64>| match geometry {
            Geometry::Polygon(polygon) => Some(vec![polygon.clone()]),
            Geometry::MultiPolygon(many) => Some(many.0.clone()),
            _ => None,
        };
        let all: Option<Vec<_>> = parts.iter().map(polygons).collect();
        let geometry = match (parts.len(), all) {
            (1, _) => parts.remove(0),
            (_, Some(polygons)) => Geometry::MultiPolygon(MultiPolygon(polygons.into_iter().flatten().collect())),
            (_, None) => Geometry::GeometryCollection(GeometryCollection(parts)),
        };
        let text = geometry.to_json().map_err(|error| fault(origin, error))?;
        let geojson: Value = serde_json::from_str(&text).map_err(|error| fault(origin, error))?;
        let bbox = bbox_of(&geojson).ok_or_else(|| fault(origin, "holds no coordinates in degrees"))?;
        Ok(Self { geojson, bbox })
    }
}

/// A GeoJSON geometry as WKB.
///
/// # Errors
/// What is no geometry in degrees.
pub fn to_wkb(geojson: &Value) -> Result<Vec<u8>> {
    let geometry = decode::geojson(geojson).map_err(|problem| fault("geometry", problem))?;
    geometry.to_wkb(CoordDimensions::xy()).map_err(|error| fault("geometry", error))
}

fn fault(origin: &str, message: impl ToString) -> CatalogError {
    CatalogError::Area { origin: origin.to_owned(), message: message.to_string() }
}

fn is_wkt(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.contains('(')
        && ["POINT", "LINESTRING", "POLYGON", "MULTI", "GEOMETRYCOLLECTION", "SRID="]
            .iter()
            .any(|word| upper.starts_with(word))
}

fn flatgeobuf(path: &Path, origin: &str) -> Result<Area> {
    let file = File::open(path).map_err(|source| CatalogError::Read { path: path.to_owned(), source })?;
    let reader = FgbReader::open(BufReader::new(file)).map_err(|error| fault(origin, error))?;
    let header = reader.header();
    if let Some(code) = header.crs().map(|crs| crs.code())
        && !matches!(code, 0 | 4326)
    {
        return Err(fault(origin, format!("its coordinates are in EPSG:{code}")));
    }
    let (kind, count, node) = (header.geometry_type(), header.features_count(), header.index_node_size());
    // The reader multiplies what the header says; no file holds more features than bytes.
    let size = std::fs::metadata(path).map_err(|source| CatalogError::Read { path: path.to_owned(), source })?.len();
    if count > size || node == 1 {
        return Err(fault(origin, format!("its header promises {count} features with an index of {node} to a node")));
    }
    let mut features = reader.select_all().map_err(|error| fault(origin, error))?;
    let mut parts = Vec::new();
    while let Some(feature) = features.next().map_err(|error| fault(origin, error))? {
        parts.push(decode::flatgeobuf(feature, kind).map_err(|problem| fault(origin, problem))?);
    }
    Area::joined(parts, origin)
}

fn geopackage(path: &Path, layer: Option<&str>, origin: &str) -> Result<Area> {
    let bad = |error: rusqlite::Error| fault(origin, error);
    let base = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(bad)?;
    let mut query = base
        .prepare("SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns ORDER BY table_name")
        .map_err(bad)?;
    let layers: Vec<(String, String, i64)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(bad)?
        .collect::<rusqlite::Result<_>>()
        .map_err(bad)?;
    let names = || layers.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>().join(", ");
    let (table, column, srs) = match (layer, layers.as_slice()) {
        (None, [only]) => only,
        (Some(layer), all) => all
            .iter()
            .find(|(name, ..)| name == layer)
            .ok_or_else(|| fault(origin, format!("has no layer `{layer}`; it has {}", names())))?,
        (None, []) => return Err(fault(origin, "has no layer with geometries")),
        (None, _) => {
            return Err(fault(origin, format!("has several layers ({}); name one as `file.gpkg#layer`", names())));
        }
    };
    if !matches!(srs, 4326 | 0) {
        return Err(fault(origin, format!("layer `{table}` is in srs {srs}")));
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut rows = base.prepare(&format!("SELECT {} FROM {}", quoted(column), quoted(table))).map_err(bad)?;
    let blobs: Vec<Option<Vec<u8>>> =
        rows.query_map([], |row| row.get(0)).map_err(bad)?.collect::<rusqlite::Result<_>>().map_err(bad)?;
    let parts = blobs.into_iter().flatten().map(|blob| decode::gpkg(&blob).map_err(|problem| fault(origin, problem)));
    Area::joined(parts.collect::<Result<_>>()?, origin)
}
