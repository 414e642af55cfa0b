//! FlatGeobuf.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flatgeobuf::{ColumnType, FgbCrs, FgbWriter, FgbWriterOptions, GeometryType};
use geozero::{ColumnValue, PropertyProcessor};

use super::{COLUMNS, FeatureTable, polygon_wkb};
use crate::{CatalogError, Result};

/// Writes a layer as a FlatGeobuf file with an index of places. Features lie in the order of that index.
///
/// # Errors
/// A file that cannot be written.
pub fn write_flatgeobuf(table: &FeatureTable<'_>, path: &Path) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| CatalogError::Write {
        path: path.to_owned(),
        source: std::io::Error::other(error.to_string()),
    };
    let wkt = (!table.wkt.is_empty()).then_some(table.wkt);
    let crs = FgbCrs { org: table.epsg.map(|_| "EPSG"), code: table.epsg.unwrap_or(0), wkt, ..FgbCrs::default() };
    let options = FgbWriterOptions {
        // An index of nothing cannot be made.
        write_index: !table.rows.is_empty(),
        detect_type: false,
        promote_to_multi: false,
        crs,
        ..FgbWriterOptions::default()
    };
    let mut file =
        FgbWriter::create_with_options(table.name, GeometryType::Polygon, options).map_err(|error| failed(&error))?;
    let types = [ColumnType::String, ColumnType::Int, ColumnType::Double, ColumnType::String, ColumnType::UInt];
    for (name, kind) in COLUMNS.iter().zip(types) {
        file.add_column(name, kind, |_, _| {});
    }
    for row in table.rows {
        let values = [
            ColumnValue::String(&row.class.1),
            ColumnValue::Int(row.class.0.into()),
            ColumnValue::Double(row.score),
            ColumnValue::String(&row.period),
            ColumnValue::UInt(row.chip),
        ];
        let mut told = Ok(false);
        let written = file.add_feature_geom(geozero::wkb::Wkb(polygon_wkb(&row.corners)), |feature| {
            for (place, (name, value)) in COLUMNS.iter().zip(&values).enumerate() {
                if told.is_ok() {
                    told = feature.property(place, name, value);
                }
            }
        });
        written.map_err(|error| failed(&error))?;
        told.map_err(|error| failed(&error))?;
    }
    let unwritten = |source| CatalogError::Write { path: path.to_owned(), source };
    let mut out = BufWriter::new(File::create(path).map_err(unwritten)?);
    file.write(&mut out).map_err(|error| failed(&error))?;
    // A writer that is dropped keeps to itself what it could not write.
    out.flush().map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told() {
        let rows = super::super::tests::rows();
        let table =
            FeatureTable { name: "objects", epsg: Some(4326), wkt: "", changed: "2021-12-31T00:00:00Z", rows: &rows };
        // Less than a buffer: nothing is written before the end.
        let told = write_flatgeobuf(&table, Path::new("/dev/full")).unwrap_err();
        assert!(matches!(&told, CatalogError::Write { path, .. } if path == Path::new("/dev/full")), "{told}");
    }
}
