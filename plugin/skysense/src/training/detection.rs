//! What `skysense.finetune` does where the task is to find objects.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{Fault, Host, Level, NodeError, RunInput};
use skysense_contract::{Class, Modality};
use skysense_edges::{ChipBatch, ChipFacts};
use skysense_train::{
    DetectionSample, DetectionScores, Sample, SampleSeries, SpooledDetectionSamples, TrainedDetector,
};

use super::Holdout;
use super::given_split::{OpenSplit, Part, PlannedSplit, parts_of_places, whole};
use super::objects::{ObjectSource, Placed, in_chip};
use super::samples::spool_folder;
use crate::errors;

/// Which objects are learned.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ObjectsSetting {
    /// Field of a vector layer that names the class.
    pub(crate) field: String,
    /// Names of the classes that are learned, in the order of the model; left out, all that there are by name.
    pub(crate) classes: Vec<String>,
}

impl Default for ObjectsSetting {
    fn default() -> Self {
        Self { field: "class".into(), classes: Vec::new() }
    }
}

/// All objects of the sources on the grid of the chips.
///
/// # Errors
/// A file that cannot be read, coordinates that cannot be projected.
pub(crate) fn placed(
    sources: &[ObjectSource],
    setting: &ObjectsSetting,
    chips: &ChipFacts,
) -> Result<Vec<Placed>, String> {
    let mut all = Vec::new();
    for source in sources {
        all.extend(source.read(&setting.field, &chips.geobox.crs)?);
    }
    Ok(all)
}

/// The side of a high-resolution pixel in those of the 10 m grid.
///
/// # Errors
/// Chips without high resolution.
pub(crate) fn hr_scale(chips: &ChipFacts) -> Result<usize, Fault> {
    chips.modalities.get(Modality::Hr.name()).map(|facts| facts.scale).ok_or_else(|| {
        let known: Vec<&str> = chips.modalities.keys().map(String::as_str).collect();
        let message = format!("objects are found in high-resolution images, and the chips have {}", known.join(", "));
        Fault::new("", "chips.hr", message).hint("search images of a high-resolution sensor, such as hr-rgb")
    })
}

/// Chips with their objects, spooled. Chips that touch the holdout, or that have no pixels, give no sample; such without an object
/// do: of them it is learned that nothing is there.
///
/// # Errors
/// Chips that cannot be read, and cancellation.
pub(crate) fn detection_samples(
    chips: RunInput,
    facts: &ChipFacts,
    (placed, classes, rotated): (&[Placed], &[Class], bool),
    (holdout, split): (Option<&Holdout>, Option<&PlannedSplit>),
    host: &Host,
) -> Result<SpooledDetectionSamples, NodeError> {
    let scale = hr_scale(facts).map_err(|fault| NodeError::new(fault.code, fault.message))?;
    let grid = |error: skysense_grid::GridError| NodeError::from_error("chips.window", &error);
    let class = |name: &str| classes.iter().position(|class| class.name == name);
    let split = split.map(|split| split.open(&facts.geobox.crs)).transpose()?;
    let mut samples = SpooledDetectionSamples::new(&spool_folder(host)).map_err(|error| errors::train(&error))?;
    for batch in chips {
        host.check_cancelled()?;
        let chips = ChipBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
        for row in 0..chips.len() {
            let window = chips.window(row).map_err(|error| errors::edge(&error))?;
            let Some(series) = chips.series(Modality::Hr.name(), row) else { continue };
            if holdout.is_some_and(|holdout| !holdout.trains(&facts.geobox, &window)) {
                continue;
            }
            let series = SampleSeries {
                pixels: series.pixels.to_f32(),
                valid: series.valid.to_vec(),
                datetimes: series.datetimes.to_vec(),
            };
            let place = facts.geobox.window(&window).map_err(grid)?;
            let uses = match &split {
                Some(OpenSplit::Places(shapes)) => {
                    let parts = parts_of_places(shapes, &place)?;
                    // What of a chip lies outside of the grid has no pixels.
                    let within = |at: &usize| {
                        let (x, y) = (window.x + (at % window.width) as i64, window.y + (at / window.width) as i64);
                        x < facts.geobox.width as i64 && y < facts.geobox.height as i64
                    };
                    let known: Vec<Option<Part>> = (0..parts.len()).filter(within).map(|at| parts[at]).collect();
                    Some(vec![Part::used(whole(&known)); parts.len()])
                }
                _ => None,
            };
            let image = place.finer(scale).map_err(grid)?;
            let objects = in_chip(placed, &image, class, rotated).map_err(grid)?;
            let image = Sample {
                series: BTreeMap::from([(Modality::Hr, series)]),
                origin: [window.x, window.y],
                uses,
                ..Sample::default()
            };
            samples.push(DetectionSample { image, objects }).map_err(|error| errors::train(&error))?;
        }
    }
    Ok(samples)
}

/// Tells how a detector did.
pub(crate) fn tell(trained: &TrainedDetector, host: &Host) {
    let shown = |scores: &DetectionScores| {
        let percent = scores.map50.map_or("none".to_owned(), |map| format!("{:.1} %", 100.0 * map));
        format!("mAP50 {percent} of {} objects in {} chips", scores.objects, scores.images)
    };
    let validation =
        trained.validation.as_ref().map_or_else(String::new, |scores| format!(", {} not learned from", shown(scores)));
    host.log(Level::Info, format!("{} steps: {}{validation}", trained.steps, shown(&trained.training)));
    let scores = BTreeMap::from([("training", Some(&trained.training)), ("validation", trained.validation.as_ref())]);
    host.report("decision", &json!({"what": "training", "value": scores, "why": format!("{} steps", trained.steps)}));
}
