//! Outlines of a period as vector files, with what an item says of them.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::NodeError;
use skysense_catalog::{AssetRecord, ClassRecord, FeatureRow, FeatureTable, write_flatgeobuf, write_geopackage};
use skysense_edges::ClassFacts;
use skysense_grid::Crs;

use super::write_geoparquet;
use crate::errors;

/// A format of outlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// FlatGeobuf.
    Flatgeobuf,
    /// GeoPackage.
    Geopackage,
    /// GeoParquet.
    Geoparquet,
}

impl Format {
    /// Its key, the ending of its file, its name and its media type.
    fn words(self) -> [&'static str; 4] {
        match self {
            Self::Flatgeobuf => ["flatgeobuf", "fgb", "FlatGeobuf", "application/vnd.flatgeobuf"],
            Self::Geopackage => ["geopackage", "gpkg", "GeoPackage", "application/geopackage+sqlite3"],
            Self::Geoparquet => ["geoparquet", "parquet", "GeoParquet", "application/vnd.apache.parquet"],
        }
    }
}

/// What a layer is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    /// Name of the layer and of its files: letters, digits and `_`.
    pub(crate) name: &'a str,
    /// What it holds, for people.
    pub(crate) title: &'a str,
    pub(crate) crs: &'a Crs,
    pub(crate) classes: &'a [ClassFacts],
    /// When it was last changed, RFC 3339.
    pub(crate) changed: &'a str,
}

/// Writes a layer in each of some formats into a folder.
///
/// # Errors
/// A reference system that PROJ does not know, files that cannot be written.
pub(crate) fn write_layer(
    layer: Layer<'_>,
    formats: &[Format],
    rows: &[FeatureRow],
    folder: &Path,
) -> Result<Vec<AssetRecord>, NodeError> {
    let definition = skysense_raster::crs_definition(layer.crs).map_err(|error| errors::raster(&error))?;
    let table =
        FeatureTable { name: layer.name, epsg: definition.epsg, wkt: &definition.wkt, changed: layer.changed, rows };
    let class = |class: &ClassFacts| ClassRecord {
        value: class.value.into(),
        name: class.name.clone(),
        color: Some(class.color.clone()),
        nodata: false,
    };
    let classes: Vec<ClassRecord> = layer.classes.iter().map(class).collect();
    let mut formats = formats.to_vec();
    formats.sort();
    formats.dedup();
    let mut assets = Vec::new();
    for format in formats {
        let [key, ending, name, media_type] = format.words();
        let file = folder.join(format!("{}.{ending}", layer.name));
        match format {
            Format::Flatgeobuf => write_flatgeobuf(&table, &file).map_err(|error| errors::catalog(&error))?,
            Format::Geopackage => write_geopackage(&table, &file).map_err(|error| errors::catalog(&error))?,
            Format::Geoparquet => write_geoparquet(&table, &definition.projjson, &file)?,
        }
        assets.push(AssetRecord {
            key: key.into(),
            file,
            title: format!("{} as {name}", layer.title),
            roles: vec!["data".into()],
            media_type: media_type.into(),
            geobox: None,
            bands: Vec::new(),
            classes: classes.clone(),
        });
    }
    Ok(assets)
}
