//! GeoPackage 1.3 (OGC 12-128r17), without extensions.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{FeatureTable, bounds, polygon_wkb};
use crate::{CatalogError, Result};

/// What every GeoPackage holds.
const TABLES: &str = "
PRAGMA application_id = 1196444487;
PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
INSERT INTO gpkg_spatial_ref_sys VALUES
  ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', 'undefined Cartesian coordinate reference system'),
  ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', 'undefined geographic coordinate reference system'),
  ('WGS 84 geodetic', 4326, 'EPSG', 4326, 'GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563,AUTHORITY[\"EPSG\",\"7030\"]],AUTHORITY[\"EPSG\",\"6326\"]],PRIMEM[\"Greenwich\",0,AUTHORITY[\"EPSG\",\"8901\"]],UNIT[\"degree\",0.0174532925199433,AUTHORITY[\"EPSG\",\"9122\"]],AUTHORITY[\"EPSG\",\"4326\"]]', 'longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid');
";

/// Number of a reference system that EPSG has none for.
const OWN: i32 = 100_000;

/// Writes a layer as a GeoPackage; something that stands at `path` must be gone.
///
/// # Errors
/// A file that cannot be written.
pub fn write_geopackage(table: &FeatureTable<'_>, path: &Path) -> Result<()> {
    write(table, path).map_err(|error| CatalogError::Write {
        path: path.to_owned(),
        source: std::io::Error::other(error.to_string()),
    })
}

fn write(table: &FeatureTable<'_>, path: &Path) -> rusqlite::Result<()> {
    let mut base = Connection::open(path)?;
    base.execute_batch(TABLES)?;
    let change = base.transaction()?;
    let srs = table.epsg.unwrap_or(OWN);
    if srs != 4326 {
        let (organization, name) =
            table.epsg.map_or(("NONE", "custom".to_owned()), |code| ("EPSG", format!("EPSG:{code}")));
        change.execute(
            "INSERT INTO gpkg_spatial_ref_sys VALUES (?1, ?2, ?3, ?2, ?4, NULL)",
            params![name, srs, organization, table.wkt],
        )?;
    }
    let [west, south, east, north] =
        bounds(table.rows.iter().map(|row| &row.corners)).map_or([None; 4], |bounds| bounds.map(Some));
    change.execute(
        "INSERT INTO gpkg_contents VALUES (?1, 'features', ?1, '', ?2, ?3, ?4, ?5, ?6, ?7)",
        params![table.name, table.changed, west, south, east, north, srs],
    )?;
    change.execute(
        "INSERT INTO gpkg_geometry_columns VALUES (?1, 'geom', 'POLYGON', ?2, 0, 0)",
        params![table.name, srs],
    )?;
    let quoted = format!("\"{}\"", table.name.replace('"', "\"\""));
    change.execute_batch(&format!(
        "CREATE TABLE {quoted} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POLYGON, class TEXT, \
         class_value INTEGER, score DOUBLE, period TEXT, chip INTEGER)"
    ))?;
    {
        let mut insert = change.prepare(&format!(
            "INSERT INTO {quoted} (geom, class, class_value, score, period, chip) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?;
        for row in table.rows {
            let geometry = geometry(&row.corners, srs);
            insert.execute(params![geometry, row.class.1, row.class.0, row.score, row.period, row.chip])?;
        }
    }
    change.commit()
}

/// The header of a geometry, its envelope, and its well-known binary (section 2.1.3).
fn geometry(corners: &[[f64; 2]; 4], srs: i32) -> Vec<u8> {
    // Little-endian, with an envelope of x and y.
    let mut bytes = b"GP\0\x03".to_vec();
    bytes.extend_from_slice(&srs.to_le_bytes());
    if let Some([west, south, east, north]) = bounds([corners]) {
        [west, east, south, north].iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    }
    bytes.extend(polygon_wkb(corners));
    bytes
}
