//! `model.cost`: parameters, FLOPs, memory and GPU days of a preset, without making a model.

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{Host, NodeError, Tool};
use skysense_train::{Cost, CostRequest, GeoContextRequest, cost};

use crate::settings::ModalitySetting;
use crate::training::{Checkpointing, Precision};

/// What to count. Everything but the preset may be left out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Name of the preset, such as `tiny`.
    preset: String,
    /// Modalities of the model, of `hr`, `s2` and `s1`; all if left out.
    modalities: Option<Vec<ModalitySetting>>,
    /// Side of a chip in pixels of the 10 m grid, 16 if left out; high resolution has 32 times as many.
    chip_size: Option<usize>,
    /// Sentinel-2 dates of a chip, 8 if left out.
    dates_s2: Option<usize>,
    /// Sentinel-1 dates of a chip, 4 if left out.
    dates_s1: Option<usize>,
    /// Chips of a batch, 1 if left out.
    batch: Option<usize>,
    /// Classes of the segmentation head, 10 if left out.
    classes: Option<usize>,
    /// Side of the position table of the Sentinel encoders in tokens; the preset's own if left out.
    positions: Option<usize>,
    /// Whether that table has a slot for the class token.
    #[serde(default)]
    position_of_class: bool,
    /// Prototypes by region; none if left out.
    geo_context: Option<Prototypes>,
    /// What training computes in, `f32` if left out.
    #[serde(default)]
    precision: Precision,
    /// What training keeps for the backward pass, `off` if left out.
    #[serde(default)]
    checkpointing: Checkpointing,
    /// Samples to train on, all epochs together; without them no days are given.
    samples: Option<u64>,
    /// Assumed speed of a GPU in training in 10¹² FLOP a second, 30 if left out.
    tflops: Option<f64>,
}

/// Geo-context.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Prototypes {
    /// Number of regions; 4096 in the paper.
    regions: usize,
    /// Prototypes of a region; 100 in the paper.
    prototypes: usize,
    /// Their width, with projections from the features and to them; if left out they are as wide as the features, and
    /// nothing is projected.
    width: Option<usize>,
}

impl From<Arguments> for CostRequest {
    fn from(given: Arguments) -> Self {
        let default = Self::new(given.preset);
        let geo_context = given.geo_context.map(|Prototypes { regions, prototypes, width }| GeoContextRequest {
            regions,
            prototypes,
            width,
        });
        Self {
            modalities: match given.modalities {
                Some(sensors) => sensors.into_iter().map(Into::into).collect(),
                None => default.modalities,
            },
            chip_size: given.chip_size.unwrap_or(default.chip_size),
            dates_s2: given.dates_s2.unwrap_or(default.dates_s2),
            dates_s1: given.dates_s1.unwrap_or(default.dates_s1),
            batch: given.batch.unwrap_or(default.batch),
            classes: given.classes.unwrap_or(default.classes),
            positions: given.positions,
            position_of_class: given.position_of_class,
            geo_context,
            precision: given.precision.into(),
            checkpointing: given.checkpointing.into(),
            samples: given.samples,
            tflops: given.tflops.unwrap_or(default.tflops),
            preset: default.preset,
        }
    }
}

/// The tool.
pub(crate) struct ModelCost;

impl Tool for ModelCost {
    const NAME: &'static str = "model.cost";
    const SUMMARY: &'static str = "Counts parameters, FLOPs, memory and GPU days of a preset without making a model";
    type Arguments = Arguments;
    type Answer = Cost;

    fn call(arguments: Arguments, _: &Host) -> Result<Cost, NodeError> {
        // Nothing but the settings can be wrong: no file is read and nothing is made.
        cost(&arguments.into()).map_err(|error| NodeError::from_error("settings.invalid", &error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skysense_abi::NoHost;

    use super::*;

    fn call(arguments: Value) -> Result<Value, NodeError> {
        let arguments = serde_json::from_value(arguments).unwrap();
        ModelCost::call(arguments, &Host::new(NoHost)).map(|cost| serde_json::to_value(cost).unwrap())
    }

    #[test]
    fn what_is_left_out_takes_the_defaults_of_the_library() {
        let answer = call(json!({"preset": "tiny"})).unwrap();
        assert_eq!(answer["settings"], serde_json::to_value(CostRequest::new("tiny")).unwrap());
        let answer = call(json!({"preset": "tiny", "modalities": ["s2"], "dates_s2": 3, "geo_context":
            {"regions": 2, "prototypes": 5}, "samples": 1000, "tflops": 1.5}))
        .unwrap();
        assert_eq!(answer["settings"]["modalities"], json!(["s2"]));
        assert_eq!(answer["parameters"]["geo_context"], 2 * 5 * 64);
        assert!(answer["parameters"]["hr"].is_null() && answer["gpu_days"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn a_wrong_setting_is_one_of_the_user() {
        let error = call(json!({"preset": "huge"})).unwrap_err();
        assert!(error.message.contains("skysense"), "{error:?}");
        for wrong in [json!({"preset": "tiny", "chip_size": 17}), json!({"preset": "tiny", "batch": 0})] {
            assert_eq!(call(wrong).unwrap_err().code, "settings.invalid");
        }
    }
}
