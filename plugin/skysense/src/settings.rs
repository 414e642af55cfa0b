//! Settings that several nodes share.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{Fault, NodeError};
use skysense_catalog::{Area, CatalogError};
use skysense_contract::Modality;

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

/// A modality by its name.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModalitySetting {
    /// High-resolution optical.
    Hr,
    /// Sentinel-2.
    S2,
    /// Sentinel-1.
    S1,
}

impl From<ModalitySetting> for Modality {
    fn from(setting: ModalitySetting) -> Self {
        match setting {
            ModalitySetting::Hr => Self::Hr,
            ModalitySetting::S2 => Self::S2,
            ModalitySetting::S1 => Self::S1,
        }
    }
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
        area.map_err(|error| {
            let fault = errors::catalog_fault(field, &error);
            match error {
                // A file that is not there, or may not be read, is not the workflow's mistake.
                CatalogError::Read { .. } => fault,
                _ => Fault { code: "settings.area".into(), ..fault },
            }
        })
    }
}

/// The name that a word is most likely a slip of, as a hint.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' ', '.'], "-");
    let wanted = plain(word);
    let near = known.into_iter().filter_map(|name| {
        let other = plain(name);
        let edits = strsim::damerau_levenshtein(&wanted, &other);
        let part = other.starts_with(&wanted) || wanted.starts_with(&other);
        (part || edits <= wanted.chars().count().max(other.chars().count()) / 3).then_some((edits, name))
    });
    near.min().map(|(_, name)| format!("did you mean `{name}`?"))
}

/// What a node kept of its plan, or its facts.
///
/// # Errors
/// It was planned by another version.
pub(crate) fn planned<T: DeserializeOwned>(kept: Value) -> Result<T, NodeError> {
    serde_json::from_value(kept)
        .map_err(|error| NodeError::from_error("plan.invalid", &error).hint("plan the workflow again"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name_and_strangers_do_not() {
        let known = ["sentinel-2-l2a", "sentinel-1-rtc", "aerial"];
        for (word, name) in [("sentinel-2-l2", 0), ("sentinel2-l2a", 0), ("Sentinel_1_RTC", 1), ("aerail", 2)] {
            assert_eq!(did_you_mean(word, known), Some(format!("did you mean `{}`?", known[name])), "{word}");
        }
        assert_eq!(did_you_mean("foo", known), None);
    }
}
