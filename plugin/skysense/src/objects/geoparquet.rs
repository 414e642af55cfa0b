//! GeoParquet 1.1: polygons as well-known binary, with what is known of each beside them.

use std::path::Path;

use serde_json::{Value, json};
use skysense_abi::NodeError;
use skysense_catalog::{FeatureTable, bounds, polygon_wkb};

use super::parquet::{Column, file};

/// Writes a layer; `projjson` is its reference system.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn write_geoparquet(table: &FeatureTable<'_>, projjson: &str, path: &Path) -> Result<(), NodeError> {
    let fault =
        |error: &dyn std::fmt::Display| NodeError::new("output.write", error.to_string()).at("path", path.display());
    let rows = table.rows;
    let columns = [
        ("geometry", Column::Bytes(rows.iter().map(|row| polygon_wkb(&row.corners)).collect())),
        ("class", Column::Text(rows.iter().map(|row| row.class.1.clone()).collect())),
        ("class_value", Column::Int(rows.iter().map(|row| row.class.0.into()).collect())),
        ("score", Column::Double(rows.iter().map(|row| row.score).collect())),
        ("period", Column::Text(rows.iter().map(|row| row.period.clone()).collect())),
        // Chips are counted far below what 31 bits hold: a grid of more is refused while planning.
        ("chip", Column::Int(rows.iter().map(|row| i32::try_from(row.chip).unwrap_or(i32::MAX)).collect())),
    ];
    let crs: Value = serde_json::from_str(projjson).map_err(|error| fault(&error))?;
    let mut about = json!({"encoding": "WKB", "geometry_types": ["Polygon"], "crs": crs, "edges": "planar"});
    if let Some(bounds) = bounds(rows.iter().map(|row| &row.corners)) {
        about["bbox"] = json!(bounds);
    }
    let geo = json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}});
    std::fs::write(path, file(&columns, &[("geo", &geo.to_string())])).map_err(|error| fault(&error))
}
