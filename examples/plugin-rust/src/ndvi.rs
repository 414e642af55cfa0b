//! `index.ndvi`: (nir - red) / (nir + red) of each chip, the highest value of all its dates.
//!
//! The highest value over time is the usual way to see past clouds: they pull the index down
//! (Holben 1986, maximum value composite).

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{BatchStream, Fault, Host, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_edges::{
    ChipBatch, ChipFacts, MapBatch, MapBuilder, MapFacts, MapRow, ModelFacts, Series, feature_schema,
};

/// Settings of `index.ndvi`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Band that chlorophyll absorbs, by its name in the chips.
    #[serde(default = "red")]
    red: String,
    /// Band that leaves reflect, by its name in the chips.
    #[serde(default = "nir")]
    nir: String,
}

fn red() -> String {
    "B04".into()
}

fn nir() -> String {
    "B08".into()
}

/// The node.
pub(crate) struct Ndvi;

impl Node for Ndvi {
    const NAME: &'static str = "index.ndvi";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Gives the highest vegetation index (NDVI) of each pixel over time")
            .input("chip", &["chip"], "chips with Sentinel-2 reflectance")
            .output("feature")
            .doc("# Columns\n\nA `feature` edge with one channel, -1 to 1; 0 and not valid where no date has data.")
            .example("ndvi: {uses: index.ndvi, from: chips}")
    }

    fn plan(settings: Settings, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        let chips: ChipFacts = serde_json::from_value(inputs.require("chip")?.facts.clone())
            .map_err(|e| Fault::new("", "facts", format!("the facts of the chips cannot be read: {e}")))?;
        let Some(s2) = chips.modalities.get("s2") else {
            return Err(Fault::new("", "modality", "the chips have no Sentinel-2 (`s2`)").into());
        };
        // Both bands are looked for before anything is said: mistakes are told all at once.
        let mut faults = Vec::new();
        let mut place = |field: &str, name: &str| {
            let found = s2.bands.iter().position(|band| band == name);
            if found.is_none() {
                let message = format!("no band `{name}` in the chips, which have {}", s2.bands.join(", "));
                faults.push(Fault::new(field, "band", message));
            }
            found
        };
        let bands = [place("/red", &settings.red), place("/nir", &settings.nir)];
        if !faults.is_empty() {
            return Err(faults);
        }
        let side = chips.chip_size;
        let model = ModelFacts {
            name: "ndvi".into(),
            preset: "none".into(),
            weights_sha256: None,
            licence: "none".into(),
            path: None,
        };
        let facts = MapFacts {
            chips,
            model,
            channels: 1,
            task: "features".into(),
            classes: Vec::new(),
            quantity: None,
            margin: 0,
            absent_bands: Default::default(),
        };
        let bytes = (side * side * 5) as u64 + 1024;
        Ok(NodePlan::new(feature_schema(1, side))
            .facts(serde_json::to_value(facts).map_err(|e| NodeError::from_error("facts", &e))?)
            .memory(4 * bytes, bytes)
            .state(serde_json::json!(bands)))
    }

    fn run(_: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let bands: [usize; 2] =
            serde_json::from_value(plan.state).map_err(|e| NodeError::from_error("plan.invalid", &e))?;
        let (_, side) = MapBatch::sizes(&plan.schema).map_err(|e| NodeError::from_error("plan.invalid", &e))?;
        let input = inputs.require("chip")?;
        let mut done = 0;
        // One row in each output batch, as the plan promised, whatever the input's batches are.
        Ok(Box::new(input.flat_map(move |batch| -> BatchStream {
            let chips = match batch.and_then(|b| ChipBatch::try_new(&b).map_err(|e| NodeError::from_error("chip", &e)))
            {
                Ok(chips) => chips,
                Err(error) => return Box::new(std::iter::once(Err(error))),
            };
            done += chips.len() as u64;
            host.progress(done, None, "chips");
            let host = host.clone();
            Box::new((0..chips.len()).map(move |row| {
                host.check_cancelled()?;
                one_chip(&chips, row, bands, side)
            }))
        })))
    }
}

fn one_chip(chips: &ChipBatch, row: usize, bands: [usize; 2], side: usize) -> Result<RecordBatch, NodeError> {
    let wrong = |e: skysense_edges::EdgeError| NodeError::from_error("chip", &e).at("chip", chips.chip(row));
    let (values, valid) = match chips.series("s2", row) {
        Some(series) if series.shape[2..] != [side, side] => {
            let message = format!("a chip of {:?} px, the plan promised {side} x {side}", &series.shape[2..]);
            return Err(NodeError::new("chip.size", message).at("chip", chips.chip(row)));
        }
        Some(series) => highest(&series, bands, side),
        None => (vec![0.0; side * side], vec![0; side * side]),
    };
    let mut maps = MapBuilder::features(1, side);
    let (chip, period, window) = (chips.chip(row), chips.period(row).to_owned(), chips.window(row).map_err(wrong)?);
    maps.push(MapRow { chip, period, window, values, valid }).map_err(wrong)?;
    maps.finish().map_err(wrong)
}

/// The highest index of each pixel over the dates in which it is valid, and whether there is one.
fn highest(series: &Series<'_>, [red, nir]: [usize; 2], side: usize) -> (Vec<f32>, Vec<u8>) {
    let [times, count, ..] = series.shape;
    let area = side * side;
    let (mut values, mut valid) = (vec![f32::NEG_INFINITY; area], vec![0; area]);
    for time in 0..times {
        for pixel in (0..area).filter(|pixel| series.valid[time * area + pixel] != 0) {
            let band = |band: usize| series.pixels.get((time * count + band) * area + pixel).unwrap_or(f32::NAN);
            let (red, nir) = (band(red), band(nir));
            let index = (nir - red) / (nir + red);
            // Reflectance may be slightly negative after correction; where both cancel out there is no index.
            if index.is_finite() {
                values[pixel] = values[pixel].max(index.clamp(-1.0, 1.0));
                valid[pixel] = 1;
            }
        }
    }
    for (value, _) in values.iter_mut().zip(&valid).filter(|(_, valid)| **valid == 0) {
        *value = 0.0;
    }
    (values, valid)
}
