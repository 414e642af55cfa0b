//! Facts of an edge: what a plan knows of it before any pixel, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_grid::GeoBox;

use crate::pixels::Dtype;

/// Facts of an `item` edge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemFacts {
    /// Number of items.
    pub items: usize,
    /// Number of items by modality; `other` counts those of no known sensor.
    pub modalities: BTreeMap<String, usize>,
    /// Sensors that the workflow maps collections to.
    pub sensors: BTreeMap<String, String>,
    /// Folders outside the catalogs' own that hrefs may reach.
    pub allow_paths: Vec<String>,
}

/// Facts of a `chip` edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChipFacts {
    /// The target grid, at the resolution of S2 and S1.
    pub geobox: GeoBox,
    /// Pixels along a side of a chip.
    pub chip_size: usize,
    /// Pixels that neighbours share.
    pub overlap: usize,
    /// Periods in order; every one makes a map.
    pub periods: Vec<Period>,
    /// What each modality looks like.
    pub modalities: BTreeMap<String, ModalityFacts>,
    /// Items that pixels are read from.
    pub items: Vec<SourceItem>,
    /// How pixel values were decided to become physical values, by item.
    pub decisions: Vec<Value>,
}

impl ChipFacts {
    /// Chips in all periods.
    pub fn chips(&self) -> usize {
        let grid = skysense_grid::ChipGrid::new(self.geobox.clone(), self.chip_size, self.overlap);
        grid.map_or(0, |grid| grid.len()) * self.periods.len()
    }
}

/// An interval that makes one map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Name, such as `2021-04`, or `all`.
    pub name: String,
    /// First moment, RFC 3339.
    pub start: String,
    /// Last moment, RFC 3339.
    pub end: String,
}

/// What one modality's columns hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModalityFacts {
    /// Sensor that gives it.
    pub sensor: String,
    /// Names of the bands in order.
    pub bands: Vec<String>,
    /// Unit of the pixels: `reflectance_e4`, `decibel` or `byte`.
    pub unit: String,
    /// Type of the pixels.
    pub dtype: Dtype,
    /// Pixels per pixel of the target grid along a side.
    pub scale: usize,
    /// Most dates that a chip has.
    pub dates: usize,
}

/// An item that pixels are read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceItem {
    /// Id of the item.
    pub id: String,
    /// Id of its collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Where the item lies, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
    /// `hr`, `s2` or `s1`.
    pub modality: String,
    /// RFC 3339.
    pub datetime: String,
}

/// Facts of a `feature` or `prediction` edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapFacts {
    /// Of the chips that the maps were made from.
    pub chips: ChipFacts,
    /// The model that made them.
    pub model: ModelFacts,
    /// Channels of a feature map; classes of a prediction.
    pub channels: usize,
    /// Classes of a prediction; none for features.
    #[serde(default)]
    pub classes: Vec<ClassFacts>,
    /// Pixels at the rim of a chip that depend on what lies outside it.
    pub margin: usize,
    /// Bands that the model was trained with and ran without, by modality.
    #[serde(default)]
    pub absent_bands: BTreeMap<String, Vec<String>>,
}

/// What identifies a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Name.
    pub name: String,
    /// Preset of its architecture.
    pub preset: String,
    /// SHA-256 of its weights; absent while the model is still to be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// Licence of the weights.
    pub licence: String,
    /// Folder of the package, where it is known while planning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A class of a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassFacts {
    /// Pixel value.
    pub value: u8,
    /// Name for the legend.
    pub name: String,
    /// Colour as `RRGGBB`.
    pub color: String,
}
