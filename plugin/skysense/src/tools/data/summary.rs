//! What a set holds, by its indexes alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use skysense_abi::{Host, NodeError};
use skysense_catalog::format_datetime;
use skysense_shards::{IndexRow, Part, Shards};

use crate::errors;

/// One part.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct PartSummary {
    samples: usize,
    shards: usize,
    bytes: u64,
    /// Regions of the globe, of 4096, that samples lie in.
    regions: usize,
}

/// One modality over both parts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct ModalitySummary {
    bands: Vec<String>,
    unit: String,
    dtype: String,
    /// Samples that have it.
    samples: usize,
    /// Dates of all samples together.
    dates: usize,
    /// Fewest and most dates of a sample that has it.
    fewest: usize,
    most: usize,
    /// How many samples have so many dates.
    samples_by_dates: BTreeMap<usize, usize>,
    /// Dates by year and month.
    dates_by_month: BTreeMap<String, usize>,
    /// Mean share of valid pixels of a date.
    valid: f64,
}

/// Where a sample lies, for a picture of all of them.
pub(crate) struct Dot {
    pub(crate) centre: [f64; 2],
    pub(crate) part: Part,
}

/// What a set holds.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) parts: BTreeMap<Part, PartSummary>,
    pub(crate) modalities: BTreeMap<String, ModalitySummary>,
    /// Samples of both parts.
    pub(crate) samples: usize,
    pub(crate) dots: Vec<Dot>,
}

/// Dots that a picture has at most: more would cover each other.
const DOTS: usize = 200_000;

/// Goes through the indexes of a set.
///
/// # Errors
/// An index that cannot be read, or that is damaged; and cancellation.
pub(crate) fn summary(shards: &Shards, host: &Host) -> Result<Summary, NodeError> {
    let manifest = shards.manifest();
    let mut all = Summary::default();
    for (name, facts) in &manifest.header.modalities {
        let about = ModalitySummary {
            bands: facts.bands.clone(),
            unit: facts.unit.clone(),
            dtype: format!("{:?}", facts.dtype).to_lowercase(),
            fewest: usize::MAX,
            ..ModalitySummary::default()
        };
        let _new = all.modalities.insert(name.clone(), about);
    }
    let total: usize = manifest.shards.iter().map(|listed| listed.shard.samples).sum();
    let step = total.div_ceil(DOTS).max(1);
    let mut seen = 0;
    for part in Part::ALL {
        let mut regions = BTreeSet::new();
        let mut about = PartSummary::default();
        for listed in manifest.of_part(part) {
            host.check_cancelled()?;
            let index = shards.index(listed).map_err(|error| errors::shards(&error))?;
            about.samples += listed.shard.samples;
            about.shards += 1;
            about.bytes += listed.shard.size;
            for row in &index.rows {
                let _new = regions.insert(row.region);
                all.count(row);
                if seen % step == 0 {
                    all.dots.push(Dot { centre: row.centre, part });
                }
                seen += 1;
            }
        }
        about.regions = regions.len();
        let _new = all.parts.insert(part, about);
    }
    for about in all.modalities.values_mut() {
        about.valid /= about.dates.max(1) as f64;
        about.fewest = if about.samples == 0 { 0 } else { about.fewest };
    }
    all.samples = total;
    Ok(all)
}

impl Summary {
    fn count(&mut self, row: &IndexRow) {
        for (modality, dates) in &row.dates {
            let Some(about) = self.modalities.get_mut(modality) else { continue };
            about.samples += 1;
            about.dates += dates.len();
            about.fewest = about.fewest.min(dates.len());
            about.most = about.most.max(dates.len());
            *about.samples_by_dates.entry(dates.len()).or_default() += 1;
            for date in dates {
                about.valid += f64::from(date.valid);
                let at = chrono::DateTime::from_timestamp_millis(date.datetime).unwrap_or_default();
                let month = format_datetime(at).chars().take(7).collect::<String>();
                *about.dates_by_month.entry(month).or_default() += 1;
            }
        }
    }
}
