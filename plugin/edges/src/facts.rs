//! Facts of an edge: what a plan knows of it before any pixel, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
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
    /// How pixel values were decided to become physical values.
    pub decisions: Vec<ValueDecision>,
}

impl ChipFacts {
    /// Chips in all periods.
    pub fn chips(&self) -> usize {
        let grid = skysense_grid::ChipGrid::new(self.geobox.clone(), self.chip_size, self.overlap);
        grid.map_or(0, |grid| grid.len()) * self.periods.len()
    }
}

/// Facts of a `location` edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocationFacts {
    /// Number of places.
    pub locations: usize,
    /// Pixels along a side of a place.
    pub size: usize,
    /// Metres of a pixel.
    pub resolution: f64,
    /// Number of places by coordinate reference system.
    pub systems: BTreeMap<String, usize>,
}

/// Facts of a `sample` edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleFacts {
    /// Most samples that come.
    pub samples: usize,
    /// Pixels along a side of a sample, on the grid of S2 and S1.
    pub size: usize,
    /// Metres of a pixel of that grid.
    pub resolution: f64,
    /// What each modality looks like.
    pub modalities: BTreeMap<String, ModalityFacts>,
    /// Items that pixels are read from.
    pub items: Vec<SourceItem>,
    /// How pixel values were decided to become physical values.
    pub decisions: Vec<ValueDecision>,
}

/// Facts of a `dataset` edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Folder of the shards.
    pub path: String,
    /// Most samples that it will hold.
    pub samples: usize,
    /// Pixels along a side of a sample, on the grid of S2 and S1.
    pub size: usize,
    /// Metres of a pixel of that grid.
    pub resolution: f64,
    /// Share of the map that validates.
    pub validation: f64,
    /// What each modality looks like.
    pub modalities: BTreeMap<String, ModalityFacts>,
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
    /// Names of the periods whose maps are made from it.
    pub periods: Vec<String>,
}

impl SourceItem {
    /// Where it lies, or its id where nobody says.
    pub fn address(&self) -> &str {
        self.href.as_deref().unwrap_or(&self.id)
    }
}

/// How pixel values of some items become physical values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueDecision {
    /// What was decided: `radiometry` or `stretch`.
    pub what: String,
    /// Name of the rule that decided.
    pub rule: String,
    /// The decision in a sentence.
    pub decision: String,
    /// Ids of the items that it was made for.
    pub items: Vec<String>,
    /// What the pixels of an item showed, by its id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, String>,
    /// Lowest and highest value that 0 to 255 are stretched over, by band.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<String, (f64, f64)>,
}

impl ChipFacts {
    /// The items that the map of a period is made from, and what was decided about them.
    pub fn sources(&self, period: &Period) -> (Vec<&SourceItem>, Vec<ValueDecision>) {
        let items: Vec<_> = self.items.iter().filter(|item| item.periods.contains(&period.name)).collect();
        let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let decisions = self.decisions.iter().filter_map(|decision| decision.about(&ids)).collect();
        (items, decisions)
    }
}

impl ValueDecision {
    /// What concerns these items; `None` where nothing does.
    pub fn about(&self, items: &[&str]) -> Option<Self> {
        let mut decision = self.clone();
        decision.items.retain(|id| items.contains(&id.as_str()));
        decision.seen.retain(|id, _| items.contains(&id.as_str()));
        (!decision.items.is_empty()).then_some(decision)
    }
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
    /// Name of the task that a prediction answers; `segmentation` where it is not said.
    #[serde(default = "segmentation")]
    pub task: String,
    /// Classes of a prediction; none for features and quantities.
    #[serde(default)]
    pub classes: Vec<ClassFacts>,
    /// What the values of a regression are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<QuantityFacts>,
    /// Pixels at the rim of a chip that depend on what lies outside it.
    pub margin: usize,
    /// Bands that the model was trained with and ran without, by modality.
    #[serde(default)]
    pub absent_bands: BTreeMap<String, Vec<String>>,
}

fn segmentation() -> String {
    "segmentation".into()
}

/// A quantity that a map has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantityFacts {
    /// Name, such as `biomass`.
    pub name: String,
    /// Unit, empty where there is none.
    pub unit: String,
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
