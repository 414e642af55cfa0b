//! How training computes: settings of the nodes and tools that train or predict what it takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_train::TrainingPrecision;

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
