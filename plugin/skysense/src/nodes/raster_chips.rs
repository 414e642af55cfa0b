//! `raster.chips`: cuts aligned chips of all modalities and dates out of items.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_catalog::Override;

use crate::chips::{self, ChipPlan, Dates};
use crate::settings::{AreaSetting, OnError};

const DOC: &str = "\
Brings items of any zone and resolution onto one grid, and cuts it into chips: windows of `size` pixels that \
share `overlap` pixels, in row-major order, for each period. High-resolution pixels lie on the same footprint, \
32 to one of the 10 m grid; or the grid is that of a high-resolution image itself, for maps of its own pixels (`hr_scale: 1`). Bands are bound by name. Reflectance becomes reflectance × 10000 without offset, \
radar is warped and averaged as linear power and then becomes dB; how each item was read is decided once, \
checked on pixels where metadata is doubtful, and written into the facts and the output's provenance. \
A Sentinel-1 GRD item is refused unless `radiometry` states its calibration; then its ground control points place it.

Hrefs that need a signature (those of the Planetary Computer) are signed just before they are read, and again where \
the server says that a signature has ended. Signatures are kept in memory alone.

## Columns
In: `item`. Out: `chip`: number, period, window, and for each modality pixels `[time, band, height, width]`, \
validity `[time, height, width]`, datetimes, and the ids of the items behind each date. A modality that a chip \
lacks is null. Items of one sensor, orbit and solar day become one date.

## Limits
A chip's invalid pixels hold no meaning: read `valid`. An area smaller than a chip is padded with invalid \
pixels. A date stays in a chip only if at least `min_valid` of its pixels are valid.";

const EXAMPLE: &str = "\
chips:
  uses: raster.chips
  from: scenes
  with:
    resolution: 10
    size: 128
    overlap: 32
    mask: clouds
    period: P1M
    dates: {max: 12, prefer: clear}
";

/// How a reference system is written: a word that GDAL knows, or a code, WKT, PROJ string or PROJJSON.
const CRS: &str = r"^(auto|WGS84|WGS72|NAD27|NAD83|[\s\S]*[:=\[{][\s\S]*)$";

/// Settings of `raster.chips`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Pixel size of the target grid, in units of its coordinate reference system.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) resolution: f64,
    /// `auto`: that of most of the area of the Sentinel items; or a code such as `EPSG:32633`, or WKT.
    #[schemars(extend("pattern" = CRS))]
    pub(crate) crs: String,
    /// A point that a corner of a pixel falls on; left out, pixels fall on those of the items.
    pub(crate) anchor: Option<[f64; 2]>,
    /// Pixels along a side of a chip, on the target grid; with high-resolution items 16 or 32, or with `hr_scale: 1` some 256.
    #[schemars(range(min = 4, max = 4096))]
    pub(crate) size: usize,
    /// Pixels that neighbours share; less than half of `size`, and a quarter of it when left out.
    pub(crate) overlap: Option<usize>,
    /// High-resolution pixels along a pixel of the target grid: 32, or 1 where `resolution` is that of the images and maps are to
    /// have their own pixels.
    #[schemars(extend("enum" = [1, 32]))]
    pub(crate) hr_scale: usize,
    /// `[west, south, east, north]` in degrees that the grid covers; left out, what the items cover.
    pub(crate) bbox: Option<[f64; 4]>,
    /// Area that the grid covers: a file, WKT or a GeoJSON geometry.
    pub(crate) area: Option<AreaSetting>,
    /// Modalities to read; all that the items have when left out.
    pub(crate) modalities: Vec<ModalityName>,
    /// `all`: every item must have all bands of the model's sensors. `subset`: the bands that all items have.
    /// Or the bands by modality: `{s2: [B02, B03, B04, B08]}`.
    pub(crate) bands: Bands,
    /// What is masked beside nodata.
    pub(crate) mask: MaskSetting,
    /// How long a period is that makes one map: `none`, or an ISO 8601 duration such as `P1M`, `P1Y`, `P10D`.
    #[schemars(extend("pattern" = "^([Nn][Oo][Nn][Ee]|P0*[1-9][0-9]{0,3}[YMWD])$"))]
    pub(crate) period: String,
    /// How many dates a chip has, and which ones.
    pub(crate) dates: Dates,
    /// Share of valid pixels, 0 to 1, below which a date leaves a chip.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) min_valid: f64,
    /// How values between pixels are made; masks are always taken from the nearest pixel.
    pub(crate) resampling: ResamplingName,
    /// What becomes of an asset that cannot be read.
    pub(crate) on_error: OnError,
    /// What is known better than by the items, by collection: `{sentinel-2-l2a: {offset: 0}}`.
    pub(crate) radiometry: BTreeMap<String, Override>,
    /// Sensor of collections that no sensor file knows; adds to those of `stac.search`.
    pub(crate) sensors: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolution: 10.0,
            crs: "auto".into(),
            anchor: None,
            size: 128,
            overlap: None,
            hr_scale: 32,
            bbox: None,
            area: None,
            modalities: Vec::new(),
            bands: Bands::default(),
            mask: MaskSetting::Clouds,
            period: "none".into(),
            dates: Dates::default(),
            min_valid: 0.1,
            resampling: ResamplingName::Bilinear,
            on_error: OnError::Skip,
            radiometry: BTreeMap::new(),
            sensors: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Pixels that neighbours share.
    pub(crate) fn shared_pixels(&self) -> usize {
        self.overlap.unwrap_or(self.size / 4)
    }
}

/// One of the three modalities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModalityName {
    /// High-resolution optical.
    Hr,
    /// Sentinel-2.
    S2,
    /// Sentinel-1.
    S1,
}

impl ModalityName {
    /// As it stands in columns.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::S2 => "s2",
            Self::S1 => "s1",
        }
    }
}

/// Which bands are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Bands {
    /// By rule.
    Rule(BandRule),
    /// By name, for each modality.
    Named(BTreeMap<ModalityName, Vec<String>>),
}

impl<'de> Deserialize<'de> for Bands {
    /// Says what is wrong within either form, which an untagged enum keeps to itself.
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let expected = "expected `all`, `subset`, or the bands by modality (hr, s2 or s1) such as {s2: [B02, B03]}";
        let told = |what: String| D::Error::custom(format!("{what}; {expected}"));
        if let Value::String(rule) = &value {
            return BandRule::deserialize(&value)
                .map(Self::Rule)
                .map_err(|_: serde_json::Error| told(format!("bands is `{rule}`")));
        }
        let Value::Object(map) = &value else { return Err(told(format!("bands is {value}"))) };
        let mut named = BTreeMap::new();
        for (key, list) in map {
            let modality = ModalityName::deserialize(&Value::String(key.clone()))
                .map_err(|_: serde_json::Error| told(format!("bands has the modality `{key}`")))?;
            let list = Vec::<String>::deserialize(list).map_err(|_: serde_json::Error| {
                told(format!("bands of {key} are {list}, which is no list of names"))
            })?;
            named.insert(modality, list);
        }
        Ok(Self::Named(named))
    }
}

impl Default for Bands {
    fn default() -> Self {
        Self::Rule(BandRule::All)
    }
}

/// Which bands are read, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BandRule {
    /// All that the sensor's models take; an item that lacks one is not used.
    All,
    /// Those that all items have.
    Subset,
}

/// What is masked beside nodata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MaskSetting {
    /// Clouds, cloud shadow and defective pixels, by the items' mask assets.
    Clouds,
    /// The same, and snow.
    Snow,
    /// Nothing.
    None,
}

/// How values between pixels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResamplingName {
    /// The pixel under the centre.
    Nearest,
    /// Linear between four pixels.
    Bilinear,
    /// Cubic convolution.
    Cubic,
    /// The mean of the pixels below.
    Average,
}

/// The node.
pub(crate) struct RasterChips;

impl Node for RasterChips {
    const NAME: &'static str = "raster.chips";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Cuts aligned chips of all modalities and dates out of items")
            .input("items", &["item"], "the items to read")
            .optional_input("also", &["item"], "more items, such as those of another catalog")
            .optional_input("only", &["chip"], "chips to cut and no others, by number and period, in their order")
            .output("chip")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let (plan, costs) = chips::plan(&settings, inputs, host)?;
        let state = serde_json::to_value(&plan).map_err(|e| Fault::from(NodeError::from_error("plan.invalid", &e)))?;
        let mut node = NodePlan::new(plan.schema().arrow()).facts(json!(plan.facts())).state(state);
        for cost in &costs.named {
            node = node.cost(&cost.name, cost.value, &cost.unit);
        }
        Ok(node.memory(costs.working_bytes, costs.batch_bytes))
    }

    fn run(_: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let plan: ChipPlan = serde_json::from_value(plan.state).map_err(|e| {
            NodeError::from_error("plan.invalid", &e)
                .hint("the plan was made by another version: plan the workflow again")
        })?;
        Ok(Box::new(chips::run(plan, inputs.take("only"), host)?))
    }
}
