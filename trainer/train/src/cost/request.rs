//! What to count.

use serde::Serialize;
use skysense_contract::Modality;
use skysense_model::{Checkpointing, GeoContextConfig, Precision, SegmentationHeadConfig, SkySenseConfig, preset};

use crate::TrainError;
use crate::network::preset_names;
use crate::tasks::segmentation_head;

/// Largest values, so that no count leaves the range of its type.
pub(super) const MOST: Limits = Limits {
    chip_size: 512,
    dates: 1000,
    batch: 1024,
    classes: 255,
    positions: 1024,
    regions: 1_000_000,
    prototypes: 10_000,
    width: 65_536,
};

pub(super) struct Limits {
    pub(super) chip_size: usize,
    pub(super) dates: usize,
    pub(super) batch: usize,
    pub(super) classes: usize,
    pub(super) positions: usize,
    pub(super) regions: usize,
    pub(super) prototypes: usize,
    pub(super) width: usize,
}

/// What to count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostRequest {
    /// Name of the preset.
    pub preset: String,
    /// Modalities that the model is to have.
    pub modalities: Vec<Modality>,
    /// Side of a chip in pixels of the 10 m grid; high resolution has 32 times as many.
    pub chip_size: usize,
    /// Sentinel-2 dates of a chip.
    pub dates_s2: usize,
    /// Sentinel-1 dates of a chip.
    pub dates_s1: usize,
    /// Chips of a batch.
    pub batch: usize,
    /// Classes of the segmentation head.
    pub classes: usize,
    /// Side of the series encoders' position table in tokens, where it is not the preset's own.
    pub positions: Option<usize>,
    /// Whether that table has a slot for the class token.
    pub position_of_class: bool,
    /// Prototypes, where the model has geo-context.
    pub geo_context: Option<GeoContextRequest>,
    /// What training computes in.
    pub precision: Precision,
    /// What training keeps for the backward pass.
    pub checkpointing: Checkpointing,
    /// Samples to train on, all epochs together, where days are asked for.
    pub samples: Option<u64>,
    /// Assumed speed of a GPU in training, in 10¹² FLOP a second.
    pub tflops: f64,
}

/// Prototypes by region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GeoContextRequest {
    /// Number of regions; 4096 in the paper.
    pub regions: usize,
    /// Prototypes of a region; 100 in the paper.
    pub prototypes: usize,
    /// Their width, with projections from the fused features and to them; without it prototypes are as wide as these, and
    /// nothing is projected.
    pub width: Option<usize>,
}

impl CostRequest {
    /// All modalities on a chip of 16 px with 8 and 4 dates, one chip a batch, 10 classes, and a GPU that keeps up
    /// 30 TFLOP/s: an assumption of ours, about a tenth of an A100's peak in half precision.
    pub fn new(preset: impl Into<String>) -> Self {
        Self {
            preset: preset.into(),
            modalities: Modality::ALL.to_vec(),
            chip_size: 16,
            dates_s2: 8,
            dates_s1: 4,
            batch: 1,
            classes: 10,
            positions: None,
            position_of_class: false,
            geo_context: None,
            precision: Precision::F32,
            checkpointing: Checkpointing::Off,
            samples: None,
            tflops: 30.0,
        }
    }

    /// Whether every setting is in its range.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let within = |setting, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(TrainError::Setting { setting, value: value.to_string(), expected: format!("1 to {most}") }),
        };
        within("chip_size", self.chip_size, MOST.chip_size)?;
        within("batch", self.batch, MOST.batch)?;
        within("classes", self.classes, MOST.classes)?;
        within("positions", self.positions.unwrap_or(1), MOST.positions)?;
        for (modality, setting, dates) in
            [(Modality::S2, "dates_s2", self.dates_s2), (Modality::S1, "dates_s1", self.dates_s1)]
        {
            if self.modalities.contains(&modality) {
                within(setting, dates, MOST.dates)?;
            }
        }
        if let Some(context) = self.geo_context {
            within("geo_context.regions", context.regions, MOST.regions)?;
            within("geo_context.prototypes", context.prototypes, MOST.prototypes)?;
            within("geo_context.width", context.width.unwrap_or(1), MOST.width)?;
        }
        if !self.tflops.is_finite() || self.tflops <= 0.0 {
            let value = self.tflops.to_string();
            return Err(TrainError::Setting { setting: "tflops", value, expected: "more than 0".into() });
        }
        if self.modalities.is_empty() {
            let expected = "at least one of hr, s2, s1".into();
            return Err(TrainError::Setting { setting: "modalities", value: "empty".into(), expected });
        }
        Ok(())
    }

    /// Encoder and head.
    pub(super) fn model(&self) -> Result<(SkySenseConfig, SegmentationHeadConfig), TrainError> {
        if !preset_names().contains(&self.preset) {
            return Err(TrainError::Preset { name: self.preset.clone(), known: preset_names() });
        }
        let mut config = preset(&self.preset)?;
        let has = |modality| self.modalities.contains(&modality);
        config.hr = config.hr.filter(|_| has(Modality::Hr));
        config.s2 = config.s2.filter(|_| has(Modality::S2));
        config.s1 = config.s1.filter(|_| has(Modality::S1));
        let own = config.s2.iter().chain(&config.s1).map(|(vit, _)| vit.positions[0]).next();
        if let Some(side) = self.positions.or(own) {
            config = config.with_positions(side, self.position_of_class);
        }
        config.geo_context = self.geo_context.map(|context| GeoContextConfig {
            regions: context.regions,
            prototypes: context.prototypes,
            channels: config.fusion.channels,
            width: context.width,
        });
        config.check()?;
        let head = segmentation_head(&config, self.classes);
        Ok((config, head))
    }
}
