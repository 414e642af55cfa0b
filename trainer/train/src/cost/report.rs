//! What was counted.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::CostRequest;

/// What was counted.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// What was asked, with all defaults.
    pub settings: CostRequest,
    /// Parameters of each module.
    pub parameters: ByModule,
    /// Operations.
    pub flops: FlopsReport,
    /// Memory of a batch.
    pub memory: MemoryReport,
    /// Time to train on the samples of the settings, in days of one GPU.
    pub gpu_days: Option<f64>,
}

/// Operations for one chip, in FLOP: a multiplication with its addition is two.
#[derive(Debug, Serialize)]
pub struct FlopsReport {
    /// Forward pass over all dates.
    pub forward: ByModule,
    /// Forward and backward pass.
    pub training: ByModule,
    /// Forward passes by number of dates.
    pub by_dates: Vec<DatesRow>,
}

/// Forward FLOPs for one chip with this many dates of each series, encoder and up head together.
#[derive(Debug, Serialize)]
pub struct DatesRow {
    /// Dates of each series.
    pub dates: usize,
    /// Sentinel-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s2: Option<u64>,
    /// Sentinel-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s1: Option<u64>,
    /// Fusion of all modalities.
    pub fusion: u64,
    /// All modules, the high-resolution encoder and the head too.
    pub total: u64,
}

/// Memory for one batch in bytes: predictions for Burn.
#[derive(Debug, Serialize)]
pub struct MemoryReport {
    /// A forward pass without gradients, in single precision.
    pub inference: ByModule,
    /// A step with AdamW, all parameters learning, in the precision and with the checkpointing of the settings.
    pub training: ByModule,
}

/// Counts by name, in order; written with their `total`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByModule(pub(super) Vec<(&'static str, u64)>);

impl ByModule {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|entry| entry.1).sum()
    }

    /// The count of one name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }
}

impl Serialize for ByModule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len() + 1))?;
        for (name, count) in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.serialize_entry("total", &self.total())?;
        map.end()
    }
}
