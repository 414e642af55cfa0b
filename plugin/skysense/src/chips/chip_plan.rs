//! What a plan pins for the run: grid, periods, dates, and every scene with its sources.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skysense_catalog::{Access, Modality, Scene, format_datetime};
use skysense_edges::{ChipFacts, ChipModality, ChipSchema, Dtype, ModalityFacts, Period, SourceItem, ValueDecision};
use skysense_grid::{ChipGrid, GeoBox, GridError};

use crate::nodes::raster_chips::{MaskSetting, ResamplingName};
use crate::settings::OnError;

/// Everything that a run needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChipPlan {
    /// The target grid.
    pub(crate) geobox: GeoBox,
    /// Pixels along a side of a chip.
    pub(crate) size: usize,
    /// Pixels that neighbours share.
    pub(crate) overlap: usize,
    /// Modalities in the order of the columns.
    pub(crate) modalities: Vec<PlannedModality>,
    /// Periods in order.
    pub(crate) periods: Vec<PlannedPeriod>,
    /// Where each item lies, by id.
    pub(crate) hrefs: BTreeMap<String, String>,
    /// Columns of chips that are read at once; a part of the plan, so that nothing depends on threads.
    pub(crate) columns: usize,
    pub(crate) mask: MaskSetting,
    pub(crate) min_valid: f64,
    pub(crate) resampling: ResamplingName,
    pub(crate) on_error: OnError,
    pub(crate) access: Access,
}

/// One modality of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedModality {
    pub(crate) modality: Modality,
    /// Sensors that give it, joined by commas.
    pub(crate) sensor: String,
    /// Bands in the order of the column.
    pub(crate) bands: Vec<String>,
    pub(crate) dtype: Dtype,
    /// `reflectance_e4`, `decibel` or `byte`.
    pub(crate) unit: String,
    /// Pixels per pixel of the target grid along a side.
    pub(crate) scale: usize,
    /// Lowest and highest value of each band that 0 to 255 are stretched over; for display values wider than a byte.
    pub(crate) stretch: Option<Vec<(f64, f64)>>,
}

/// One period of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedPeriod {
    pub(crate) period: Period,
    /// Dates in order of time, by modality.
    pub(crate) dates: BTreeMap<Modality, Vec<PlannedDate>>,
}

/// One date: the scenes of a solar day, the first one first where they overlap.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedDate {
    /// Milliseconds since 1970 in UTC, of the first scene.
    pub(crate) datetime: i64,
    pub(crate) scenes: Vec<Scene>,
}

impl ChipPlan {
    /// The chips of one period.
    pub(crate) fn grid(&self) -> Result<ChipGrid, GridError> {
        ChipGrid::new(self.geobox.clone(), self.size, self.overlap)
    }

    /// Columns of the chip edge.
    pub(crate) fn schema(&self) -> ChipSchema {
        let modalities = self.modalities.iter().map(|m| ChipModality {
            name: m.modality.name().into(),
            dtype: m.dtype,
            bands: Some(m.bands.len()),
            side: Some(self.size * m.scale),
        });
        ChipSchema { modalities: modalities.collect() }
    }

    /// Most dates of a modality in a period.
    pub(crate) fn most_dates(&self, modality: Modality) -> usize {
        self.periods.iter().filter_map(|period| period.dates.get(&modality)).map(Vec::len).max().unwrap_or(0)
    }

    /// Every scene, each once.
    pub(crate) fn scenes(&self) -> impl Iterator<Item = &Scene> {
        self.periods.iter().flat_map(|period| period.dates.values()).flatten().flat_map(|date| &date.scenes)
    }

    /// Facts of the chip edge.
    pub(crate) fn facts(&self) -> ChipFacts {
        let modalities = self.modalities.iter().map(|m| {
            let facts = ModalityFacts {
                sensor: m.sensor.clone(),
                bands: m.bands.clone(),
                unit: m.unit.clone(),
                dtype: m.dtype,
                scale: m.scale,
                dates: self.most_dates(m.modality),
            };
            (m.modality.name().to_owned(), facts)
        });
        ChipFacts {
            geobox: self.geobox.clone(),
            chip_size: self.size,
            overlap: self.overlap,
            periods: self.periods.iter().map(|period| period.period.clone()).collect(),
            modalities: modalities.collect(),
            items: self.source_items(),
            decisions: self.decisions(),
        }
    }

    /// Every item once for each modality that it gives, with the periods that use it.
    fn source_items(&self) -> Vec<SourceItem> {
        let mut items: Vec<SourceItem> = Vec::new();
        for PlannedPeriod { period, dates } in &self.periods {
            for scene in dates.values().flatten().flat_map(|date| &date.scenes) {
                let modality = scene.modality.name();
                match items.iter_mut().find(|item| item.id == scene.item && item.modality == modality) {
                    Some(item) if item.periods.contains(&period.name) => {}
                    Some(item) => item.periods.push(period.name.clone()),
                    None => items.push(SourceItem {
                        id: scene.item.clone(),
                        collection: scene.collection.clone(),
                        href: self.hrefs.get(&scene.item).map(|href| skysense_address::redact(href)),
                        modality: modality.into(),
                        datetime: format_datetime(scene.datetime),
                        periods: vec![period.name.clone()],
                    }),
                }
            }
        }
        items
    }

    /// How pixel values become physical values, one record for all items of one decision.
    fn decisions(&self) -> Vec<ValueDecision> {
        let mut records: Vec<ValueDecision> = Vec::new();
        for scene in self.scenes() {
            let decision = &scene.decision;
            let same =
                |record: &&mut ValueDecision| record.rule == decision.rule && record.decision == decision.sentence;
            let place = match records.iter_mut().find(same) {
                Some(record) => record,
                None => records.push_mut(ValueDecision {
                    what: "radiometry".into(),
                    rule: decision.rule.clone(),
                    decision: decision.sentence.clone(),
                    items: Vec::new(),
                    seen: BTreeMap::new(),
                    ranges: BTreeMap::new(),
                }),
            };
            if !place.items.contains(&scene.item) {
                place.items.push(scene.item.clone());
            }
            if let Some(seen) = &decision.seen {
                place.seen.insert(scene.item.clone(), seen.clone());
            }
        }
        for modality in &self.modalities {
            let Some(stretch) = &modality.stretch else { continue };
            let of_modality = self.scenes().filter(|scene| scene.modality == modality.modality);
            let items: BTreeSet<String> = of_modality.map(|scene| scene.item.clone()).collect();
            records.push(ValueDecision {
                what: "stretch".into(),
                rule: "percentiles".into(),
                decision: format!("percentiles 1 and 99 of {} become 0 and 255", modality.modality.name()),
                items: items.into_iter().collect(),
                seen: BTreeMap::new(),
                ranges: modality.bands.iter().cloned().zip(stretch.iter().copied()).collect(),
            });
        }
        records
    }
}
