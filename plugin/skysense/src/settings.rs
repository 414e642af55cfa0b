//! Settings that several nodes share.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::Fault;
use skysense_catalog::{Area, CatalogError};

use crate::errors;

/// What becomes of an input that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// The item is left out, and named in the report.
    #[default]
    Skip,
    /// Its pixels count as invalid, and it is named in the report.
    Mask,
    /// The run ends.
    Fail,
}

/// An area of interest: a file (GeoJSON, WKT, WKB, FlatGeobuf, GeoPackage), WKT, or a GeoJSON geometry, in
/// longitude and latitude.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AreaSetting {
    /// Path of a file, or WKT.
    Text(String),
    /// GeoJSON geometry, feature or feature collection.
    Geometry(serde_json::Map<String, Value>),
}

impl AreaSetting {
    /// Reads the area; paths are relative to `base`.
    pub(crate) fn read(&self, field: &str, base: &Path) -> Result<Area, Fault> {
        let area = match self {
            Self::Geometry(geometry) => Area::from_geojson(&Value::Object(geometry.clone()), "geometry"),
            Self::Text(text) => Area::read(text, base),
        };
        area.map_err(|error| match error {
            // A file that is not there, or may not be read, is not the workflow's mistake.
            CatalogError::Read { .. } => errors::catalog_fault(field, &error),
            _ => Fault::new(field, "settings.area", error.to_string()),
        })
    }
}

/// A path or URL of the workflow; relative paths are relative to its folder.
pub(crate) fn href(base: &Path, text: &str) -> String {
    if text.contains("://") || Path::new(text).is_absolute() {
        text.to_owned()
    } else {
        base.join(text).display().to_string()
    }
}

/// A path of the workflow; relative ones are relative to its folder.
pub(crate) fn path(base: &Path, text: &str) -> PathBuf {
    base.join(text.strip_prefix("file://").unwrap_or(text))
}
