//! An evaluation as data: what stands in `evaluation.json`, and what another evaluation is compared with.

use serde::{Deserialize, Serialize};
use skysense_metric::{BiasBin, Interval, ReliabilityBin};

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    pub(crate) about: Of,
    /// Pixels or chips that were scored.
    pub(crate) count: u64,
    /// Scores, the one that counts most first.
    pub(crate) scores: Vec<Score>,
    /// By class, of tasks that have classes.
    #[serde(default)]
    pub(crate) classes: Vec<ClassRow>,
    /// `[truth][found]`, in the order of the classes.
    #[serde(default)]
    pub(crate) confusion: Vec<Vec<u64>>,
    /// How sure the model was, and how often right.
    #[serde(default)]
    pub(crate) reliability: Vec<ReliabilityBin>,
    /// By the size of the truth, of a quantity.
    #[serde(default)]
    pub(crate) bias: Vec<BiasBin>,
    /// Errors by place.
    pub(crate) blocks: Vec<Block>,
}

/// What was scored, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Of {
    pub(crate) task: String,
    pub(crate) model: String,
    /// Weights of the model, where its package is known.
    #[serde(default)]
    pub(crate) weights_sha256: String,
    /// Unit of a quantity.
    #[serde(default)]
    pub(crate) unit: String,
    /// Items with the labels.
    pub(crate) labels: Vec<String>,
    /// Which part of the map.
    pub(crate) part: String,
    /// Side of the blocks that are drawn from, in pixels.
    pub(crate) block: usize,
    pub(crate) workflow_sha256: String,
}

/// A score with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Score {
    pub(crate) name: String,
    /// `None` where nothing can be said.
    pub(crate) value: Option<f64>,
    /// From whole blocks that are drawn anew.
    #[serde(default)]
    pub(crate) interval: Option<Interval>,
}

/// Scores of a class; `None` where nothing can be said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClassRow {
    pub(crate) value: u8,
    pub(crate) name: String,
    pub(crate) color: String,
    /// Pixels or chips of this class in the truth.
    pub(crate) count: u64,
    pub(crate) iou: Option<f64>,
    pub(crate) precision: Option<f64>,
    pub(crate) recall: Option<f64>,
    pub(crate) f1: Option<f64>,
    #[serde(default)]
    pub(crate) average_precision: Option<f64>,
}

/// A square of the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) column: i64,
    pub(crate) row: i64,
    pub(crate) count: u64,
    /// Share that is wrong, or the root of the mean squared error.
    pub(crate) error: f64,
}
