//! What is to be said about results, in the words of their makers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skysense_grid::GeoBox;

use crate::{Bbox, DataType};

/// A result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemRecord {
    /// Id, also its file name.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// First and last moment of what it shows; one moment twice where there is one.
    pub interval: (DateTime<Utc>, DateTime<Utc>),
    /// Footprint as GeoJSON in degrees.
    pub geometry: Value,
    /// Box around it.
    pub bbox: Bbox,
    /// Files.
    pub assets: Vec<AssetRecord>,
    /// Addresses of every source item.
    pub derived_from: Vec<String>,
    /// How it was made, in words: the radiometry decisions belong here.
    pub lineage: String,
    /// Name → version of what made it.
    pub software: BTreeMap<String, String>,
    /// Hash of the workflow's canonical form.
    pub workflow_sha256: String,
    /// The model, where there was one.
    pub model: Option<ModelRecord>,
    /// Further properties; names with a prefix of their own.
    pub properties: Map<String, Value>,
}

/// A file of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssetRecord {
    /// Key.
    pub key: String,
    /// The file, below the folder of its item.
    pub file: PathBuf,
    /// One line for people.
    pub title: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Media type.
    pub media_type: String,
    /// Its grid, where it is a raster.
    pub geobox: Option<GeoBox>,
    /// Its bands, in file order.
    pub bands: Vec<BandRecord>,
    /// Classes, where its values are classes.
    pub classes: Vec<ClassRecord>,
}

impl AssetRecord {
    /// Media type of a Cloud Optimized GeoTIFF.
    pub const COG: &'static str = "image/tiff; application=geotiff; profile=cloud-optimized";
}

/// A band of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandRecord {
    /// Name.
    pub name: String,
    /// What it holds.
    pub description: Option<String>,
    /// Type of the pixels.
    pub dtype: DataType,
    /// Nodata value.
    pub nodata: Option<f64>,
    /// Unit.
    pub unit: Option<String>,
    /// value = number · scale + offset, where the two differ.
    pub scale: Option<f64>,
    /// See `scale`.
    pub offset: Option<f64>,
    /// Statistics over valid pixels.
    pub statistics: Option<Statistics>,
}

/// Statistics of a band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Least value.
    pub minimum: f64,
    /// Greatest value.
    pub maximum: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub stddev: f64,
    /// Share of valid pixels, 0 to 100.
    pub valid_percent: f64,
}

/// A class of a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRecord {
    /// Pixel value.
    pub value: i64,
    /// Name; spaces become underscores in the item, where names are machine words.
    pub name: String,
    /// Colour as `RRGGBB`.
    pub color: Option<String>,
    /// Whether it stands for absent data.
    pub nodata: bool,
}

/// The model that made a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Name.
    pub name: String,
    /// Address of its MLM record (`mlm.json` of its package).
    pub href: String,
    /// Architecture.
    pub architecture: String,
    /// Tasks.
    pub tasks: Vec<String>,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// Licence of the weights.
    pub licence: String,
}

/// The collection around results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionRecord {
    /// Id.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What it holds.
    pub description: String,
    /// Licence as an SPDX expression, or `other`.
    pub license: String,
    /// Key words.
    pub keywords: Vec<String>,
}
