//! Labelled chips that features are measured on: how they are read, and how a training looks at them.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Fault, Host, NodeError, PlanInput, RunInput};
use skysense_contract::{Class, Modality, Offer};
use skysense_edges::ChipFacts;
use skysense_grid::Window;
use skysense_train::Sample;
use skysense_train::probe::{Probe, ProbeConfig, Probing};

use super::{Holdout, LabelReader, LabelSource, classes, label_sources, sample_bytes, samples};
use crate::apply::planned_offers;
use crate::chips::{access, item_rows};
use crate::errors;

/// How a training looks at labelled chips.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProbeSetting {
    /// Steps between two looks; the first step and the last one have one too.
    #[schemars(range(min = 1))]
    every: usize,
    /// Key of the asset that holds the labels; left out, the one with the role `labels` or with classes.
    label_asset: Option<String>,
    /// Label values that do not count, beside those that mean no data.
    ignore: Vec<u8>,
    /// Side of a region in pixels of the 10 m grid: all of it is learned from, or all of it is scored.
    #[schemars(range(min = 1))]
    block: usize,
    /// Most labelled pixels that are looked at, taken evenly.
    #[schemars(range(min = 2))]
    pixels: usize,
}

impl Default for ProbeSetting {
    fn default() -> Self {
        let ProbeConfig { block, .. } = ProbeConfig::default();
        // Half of what `model.probe` takes: this is done again and again.
        Self { every: 100, label_asset: None, ignore: Vec::new(), block, pixels: 4000 }
    }
}

/// Chips with the classes of their pixels.
pub(crate) struct LabelledChips {
    pub(crate) samples: Vec<Sample>,
    /// What they hold.
    pub(crate) offers: BTreeMap<Modality, Offer>,
    pub(crate) classes: Vec<Class>,
    /// Value of pixels without a label.
    pub(crate) ignored: u8,
}

/// What was planned of a probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedProbe {
    chips: ChipFacts,
    labels: Vec<LabelSource>,
    classes: Vec<Class>,
    /// Chips at most.
    count: usize,
}

impl PlannedProbe {
    /// Bytes that the labelled chips take.
    pub(crate) fn bytes(&self) -> u64 {
        sample_bytes(&self.chips, self.count, 1)
    }

    /// The probe of what edges promise.
    ///
    /// # Errors
    /// Labels that cannot be used, and chips that are none: every fault.
    pub(crate) fn of(
        chips: &PlanInput,
        labels: &PlanInput,
        asset: Option<&str>,
        ignore: &[u8],
    ) -> Result<Self, Vec<Fault>> {
        let labels = label_sources(&item_rows(labels)?, asset, &access([labels]))?;
        let classes = classes(&labels, ignore)?;
        let chips: ChipFacts = serde_json::from_value(chips.facts.clone()).map_err(|error| {
            let message = format!("the facts of the probe's chips cannot be read: {error}");
            vec![Fault::new("", "facts.invalid", message).hint("connect raster.chips")]
        })?;
        let count = super::training_chips(&chips, None);
        Ok(Self { chips, labels, classes, count })
    }

    /// Reads chips and labels; of a strip alone, where one is named.
    ///
    /// # Errors
    /// What cannot be read, chips without labels, labels of fewer than two classes or regions.
    pub(crate) fn read(
        &self,
        chips: RunInput,
        strip: Option<&Holdout>,
        config: ProbeConfig,
        host: &Host,
    ) -> Result<Probe, NodeError> {
        let LabelledChips { samples, offers, classes, ignored } = self.labelled(chips, strip, host)?;
        let probe = Probe::new(samples, offers, (classes, vec![ignored]), config);
        probe.map_err(|error| errors::train(&error))
    }

    /// Chips with their labels; of a strip alone, where one is named.
    ///
    /// # Errors
    /// What cannot be read, and chips without labels.
    pub(crate) fn labelled(
        &self,
        chips: RunInput,
        strip: Option<&Holdout>,
        host: &Host,
    ) -> Result<LabelledChips, NodeError> {
        let reader = LabelReader::open(&self.labels, &self.classes, &self.chips.geobox.crs)?;
        let ignored = reader.ignored();
        let mut samples = samples(chips, &self.chips, &reader, None, host)?;
        if let Some(strip) = strip {
            let side = self.chips.chip_size;
            let window = |[x, y]: [i64; 2]| Window { x, y, width: side, height: side };
            samples.retain(|sample| strip.holds(&self.chips.geobox, &window(sample.origin)));
        }
        if samples.is_empty() {
            return Err(NodeError::new("probe.empty", "no chip has both pixels and labels")
                .hint("check that labels and chips lie at the same place, and that a strip is wider than a chip"));
        }
        Ok(LabelledChips { samples, offers: planned_offers(&self.chips)?, classes: self.classes.clone(), ignored })
    }
}

impl ProbeSetting {
    /// The probe of what edges promise.
    ///
    /// # Errors
    /// As [`PlannedProbe::of`], and settings out of range.
    pub(crate) fn planned(&self, chips: &PlanInput, labels: &PlanInput) -> Result<PlannedProbe, Vec<Fault>> {
        if self.every == 0 {
            return Err(Fault::new("/probe/every", "settings.invalid", "every is 0, expected 1 or more").into());
        }
        PlannedProbe::of(chips, labels, self.label_asset.as_deref(), &self.ignore)
    }

    /// Reads chips and labels.
    ///
    /// # Errors
    /// As [`PlannedProbe::read`].
    pub(crate) fn read(&self, planned: &PlannedProbe, chips: RunInput, host: &Host) -> Result<Probing, NodeError> {
        let config = ProbeConfig { block: self.block, pixels: self.pixels, ..ProbeConfig::default() };
        let probe = planned.read(chips, None, config, host)?;
        Ok(Probing { probe: Arc::new(probe), every: self.every })
    }
}
