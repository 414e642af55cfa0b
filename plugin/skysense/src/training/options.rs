//! How training computes: settings of the nodes and tools that train or predict what it takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::Fault;
use skysense_contract::Calendar;
use skysense_train::{Compute, Lora, TrainError, TrainingDevice, TrainingPrecision};

use crate::errors;

/// How a node is told to compute, with a device that is there and can.
///
/// # Errors
/// A device that is not known, not built, not there, or that does not compute in the precision.
pub(crate) fn compute(
    device: &str,
    precision: impl Into<TrainingPrecision>,
    checkpointing: impl Into<skysense_train::Checkpointing>,
) -> Result<Compute, Fault> {
    let precision = precision.into();
    let found = device.parse::<TrainingDevice>().and_then(|device| {
        device.available(precision)?;
        Ok(device)
    });
    let fault = |error: TrainError| Fault { field: "/device".into(), ..Fault::from(errors::train(&error)) };
    Ok(Compute { precision, checkpointing: checkpointing.into(), device: found.map_err(fault)? })
}

/// Which tokens carry the encoding of the day of the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CalendarSetting {
    /// None.
    None,
    /// Those of Sentinel-2: the official code.
    S2Only,
    /// All: the paper's equation.
    All,
}

/// The calendar encoding of a run: that of the setting, which a package to start from brings itself.
///
/// # Errors
/// Both are given.
pub(crate) fn calendar(
    setting: Option<CalendarSetting>,
    start: Option<&str>,
    own: Calendar,
) -> Result<Calendar, Fault> {
    match (setting, start) {
        (None, _) => Ok(own),
        (Some(_), Some(start)) => {
            let message = format!("calendar is given, and the package {start} brings its own");
            Err(Fault::new("/calendar", "settings.calendar", message).hint("leave it out, or start from a preset"))
        }
        (Some(CalendarSetting::None), None) => Ok(Calendar::None),
        (Some(CalendarSetting::S2Only), None) => Ok(Calendar::S2Only),
        (Some(CalendarSetting::All), None) => Ok(Calendar::All),
    }
}

/// The device of nodes that name none.
pub(crate) fn cpu() -> String {
    "cpu".into()
}

/// Low-rank adapters that learn in place of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LoraSetting {
    /// Width of the two matrices whose product is added to each projection of attention.
    #[schemars(range(min = 1))]
    rank: usize,
    /// What the product is scaled with, over the rank.
    alpha: f64,
}

impl Default for LoraSetting {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0 }
    }
}

impl From<LoraSetting> for Lora {
    fn from(LoraSetting { rank, alpha }: LoraSetting) -> Self {
        Self { rank, alpha }
    }
}

/// What activations and products are computed in; weights are kept in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// 16 bits with the range of single precision.
    Bf16,
    /// Half precision, with a scaled loss.
    F16,
}

/// What is kept for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Checkpointing {
    /// All that it reads.
    #[default]
    Off,
    /// The input of each block of layers; the rest is computed again.
    Blocks,
}

impl From<Precision> for TrainingPrecision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
            Precision::F16 => Self::F16,
        }
    }
}

impl From<Checkpointing> for skysense_train::Checkpointing {
    fn from(checkpointing: Checkpointing) -> Self {
        match checkpointing {
            Checkpointing::Off => Self::Off,
            Checkpointing::Blocks => Self::Blocks,
        }
    }
}
