//! `raster.samples`: reads what all modalities saw at places, each on the grid of its own zone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_catalog::{Modality, Override};

use super::raster_chips::{Bands, MaskSetting, ModalityName, ResamplingName, Settings as Reading};
use crate::chips::{Length, Prefer};
use crate::samples::{self, Pair, Pairing, SamplePlan, window};
use crate::settings::{OnError, planned};

const DOC: &str = "\
Reads what items of all modalities show at places, and puts dates together: each high-resolution image makes a sample \
with the Sentinel-2 and Sentinel-1 dates within `window` days of it; a place without high resolution makes a sample for \
each `period`. A place is read on its own grid, that of its UTM zone, so a catalog may span zones and the antimeridian. \
Bands, units, masks and radiometry are those of `raster.chips`.

## Columns
In: `item`, `location`. Out: `sample`: place, longitude, latitude, grid and period, and for each modality pixels \
`[time, band, height, width]`, validity, datetimes, and the ids of the items behind each date, as in `chip`.

## Limits
A batch holds one sample. Which items a place lies on is judged by their boxes; a date of which less than `min_valid` \
is valid at the place leaves the sample, and a sample without dates is left out and counted.";

const EXAMPLE: &str = "\
samples:
  uses: raster.samples
  from: {items: scenes, locations: places}
  with:
    window: P30D
    pair: within
    dates: {max: 20, prefer: spread}
    require: [hr, s2]
";

/// Settings of `raster.samples`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// How far from a high-resolution image other dates may lie: `none` for any, or an ISO 8601 duration such as
    /// `P30D`, before and after it.
    #[schemars(extend("pattern" = "^([Nn][Oo][Nn][Ee]|P0*[1-9][0-9]{0,3}[YMWD])$"))]
    window: String,
    /// Which dates within the window are taken: all that `dates` allows (`within`), or the `nearest` of each modality.
    pair: Pair,
    /// How many dates and images there are, and which ones.
    dates: SampleDates,
    /// How long a sample of a place without high resolution is: `none`, or an ISO 8601 duration such as `P1Y`.
    #[schemars(extend("pattern" = "^([Nn][Oo][Nn][Ee]|P0*[1-9][0-9]{0,3}[YMWD])$"))]
    period: String,
    /// Modalities without which there is no sample.
    require: Vec<ModalityName>,
    /// Modalities to read; all that the items have when left out.
    modalities: Vec<ModalityName>,
    /// `all`: every item must have all bands of the model's sensors. `subset`: the bands that all items have.
    /// Or the bands by modality: `{s2: [B02, B03, B04, B08]}`.
    bands: Bands,
    /// What is masked beside nodata.
    mask: MaskSetting,
    /// Share of valid pixels, 0 to 1, below which a date leaves a sample.
    #[schemars(range(min = 0, max = 1))]
    min_valid: f64,
    /// How values between pixels are made; masks are always taken from the nearest pixel.
    resampling: ResamplingName,
    /// What becomes of an asset that cannot be read.
    on_error: OnError,
    /// What is known better than by the items, by collection: `{sentinel-2-l2a: {offset: 0}}`.
    radiometry: BTreeMap<String, Override>,
    /// Sensor of collections that no sensor file knows; adds to those of `stac.search`.
    sensors: BTreeMap<String, String>,
}

/// How many dates a sample has at most, how many samples a place, and which dates are taken when there are more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SampleDates {
    /// Most dates of Sentinel-2, and of Sentinel-1, in a sample.
    #[schemars(range(min = 1))]
    max: usize,
    /// Most high-resolution images of a place; each makes a sample.
    #[schemars(range(min = 1))]
    hr: usize,
    /// Which dates are taken when there are more.
    prefer: Prefer,
}

impl Default for SampleDates {
    fn default() -> Self {
        Self { max: 20, hr: 1, prefer: Prefer::Spread }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let reading = Reading::default();
        Self {
            window: "none".into(),
            pair: Pair::Within,
            dates: SampleDates::default(),
            period: "none".into(),
            require: Vec::new(),
            modalities: reading.modalities,
            bands: reading.bands,
            mask: reading.mask,
            min_valid: reading.min_valid,
            resampling: reading.resampling,
            on_error: reading.on_error,
            radiometry: reading.radiometry,
            sensors: reading.sensors,
        }
    }
}

/// The node.
pub(crate) struct RasterSamples;

impl Node for RasterSamples {
    const NAME: &'static str = "raster.samples";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Reads what all modalities saw at places, each on the grid of its zone")
            .input("items", &["item"], "the items to read")
            .optional_input("also", &["item"], "more items, such as those of another catalog")
            .input("locations", &["location"], "the places to read")
            .output("sample")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let (reading, pairing) = settings.split()?;
        let (plan, costs) = samples::plan(&reading, pairing, inputs, host)?;
        let state = serde_json::to_value(&plan).map_err(|e| Fault::from(NodeError::from_error("plan.invalid", &e)))?;
        let mut node = NodePlan::new(plan.schema().arrow()).facts(json!(plan.facts())).state(state);
        for cost in &costs.named {
            node = node.cost(&cost.name, cost.value, &cost.unit);
        }
        Ok(node.memory(costs.working_bytes, costs.batch_bytes))
    }

    fn run(_: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let plan: SamplePlan = planned(plan.state)?;
        Ok(Box::new(samples::run(plan, inputs.require("locations")?, host)?))
    }
}

impl Settings {
    /// How pixels are read, and how dates are put together.
    fn split(self) -> Result<(Reading, Pairing), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut wrong = |field: &str, message: String| faults.push(Fault::new(field, "settings.invalid", message));
        let days = window(&self.window).unwrap_or_else(|message| {
            wrong("/window", message);
            None
        });
        if let Err(message) = Length::parse(&self.period) {
            wrong("/period", message);
        }
        if self.dates.max == 0 || self.dates.hr == 0 {
            wrong("/dates", "a sample needs at least one date: max and hr are 1 or more".into());
        }
        if !(0.0..=1.0).contains(&self.min_valid) {
            wrong("/min_valid", format!("min_valid is {}, expected 0 to 1", self.min_valid));
        }
        let lacking = |name: &&ModalityName| !self.modalities.is_empty() && !self.modalities.contains(name);
        if let Some(name) = self.require.iter().find(lacking) {
            let name = of(*name).name();
            wrong("/require", format!("{name} is required and is none of the modalities that are read"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let pairing = Pairing {
            window: days,
            pair: self.pair,
            max: self.dates.max,
            hr: self.dates.hr,
            prefer: self.dates.prefer,
            period: self.period,
            require: self.require.into_iter().map(of).collect(),
        };
        let reading = Reading {
            modalities: self.modalities,
            bands: self.bands,
            mask: self.mask,
            min_valid: self.min_valid,
            resampling: self.resampling,
            on_error: self.on_error,
            radiometry: self.radiometry,
            sensors: self.sensors,
            ..Reading::default()
        };
        Ok((reading, pairing))
    }
}

fn of(name: ModalityName) -> Modality {
    match name {
        ModalityName::Hr => Modality::Hr,
        ModalityName::S2 => Modality::S2,
        ModalityName::S1 => Modality::S1,
    }
}
