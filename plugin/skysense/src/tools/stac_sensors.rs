//! `stac.sensors`: the sensors at hand and what their bands are called.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_catalog::{Modality, Sensor, Sensors};

use crate::errors;

/// Nothing is asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {}

/// The sensors that come with the program.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    sensors: Vec<Listed>,
}

/// A sensor.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    title: String,
    modality: Modality,
    /// Names of all its bands.
    bands: Vec<String>,
    /// Those that models take.
    model_bands: Vec<String>,
    /// Names of masks, each a file of its own.
    masks: Vec<String>,
}

/// The tool.
pub(crate) struct StacSensors;

impl Tool for StacSensors {
    const NAME: &'static str = "stac.sensors";
    const SUMMARY: &'static str = "Lists the sensors with the names of their bands and masks";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(_: Arguments, _: &Host) -> Result<Answer, NodeError> {
        let sensors = Sensors::builtin().map_err(|error| errors::catalog(&error))?;
        Ok(Answer { sensors: sensors.iter().map(listed).collect() })
    }
}

fn listed(sensor: &Sensor) -> Listed {
    Listed {
        name: sensor.sensor.clone(),
        title: sensor.title.clone(),
        modality: sensor.modality,
        bands: sensor.bands.iter().map(|band| band.name.clone()).collect(),
        model_bands: sensor.model_bands(),
        masks: sensor.masks.iter().map(|mask| mask.name.clone()).collect(),
    }
}
