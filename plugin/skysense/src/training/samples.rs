//! Chips, with labels or without, as samples.

use std::collections::BTreeMap;

use skysense_abi::{Host, NodeError, RunInput};
use skysense_contract::Modality;
use skysense_edges::{ChipBatch, ChipFacts};
use skysense_train::{Sample, SampleSeries};

use super::{Holdout, LabelReader};
use crate::errors;

/// Pairs chips with labels by place. Chips that touch the holdout, or that have no label or no pixels, give no
/// sample.
///
/// # Errors
/// Chips or labels that cannot be read, and cancellation.
pub(crate) fn samples(
    chips: RunInput,
    facts: &ChipFacts,
    labels: &LabelReader,
    holdout: Option<&Holdout>,
    host: &Host,
) -> Result<Vec<Sample>, NodeError> {
    let mut samples = Vec::new();
    for batch in chips {
        host.check_cancelled()?;
        let chips = ChipBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
        for row in 0..chips.len() {
            let window = chips.window(row).map_err(|error| errors::edge(&error))?;
            if holdout.is_some_and(|holdout| !holdout.trains(&facts.geobox, &window)) {
                continue;
            }
            let series = series(&chips, row);
            if series.is_empty() {
                continue;
            }
            let values = labels.read(&facts.geobox, &window)?;
            if values.iter().any(|&value| value != labels.ignored()) {
                samples.push(Sample { series, labels: values, origin: [window.x, window.y] });
            }
        }
    }
    Ok(samples)
}

/// Chips without labels. Chips that touch the holdout, or that have no pixels, give no sample.
///
/// # Errors
/// Chips that cannot be read, and cancellation.
pub(crate) fn unlabelled(
    chips: RunInput,
    facts: &ChipFacts,
    holdout: Option<&Holdout>,
    host: &Host,
) -> Result<Vec<Sample>, NodeError> {
    let mut samples = Vec::new();
    for batch in chips {
        host.check_cancelled()?;
        let chips = ChipBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
        for row in 0..chips.len() {
            let window = chips.window(row).map_err(|error| errors::edge(&error))?;
            let series = series(&chips, row);
            if !series.is_empty() && holdout.is_none_or(|holdout| holdout.trains(&facts.geobox, &window)) {
                samples.push(Sample { series, labels: vec![0; window.area()], origin: [window.x, window.y] });
            }
        }
    }
    Ok(samples)
}

fn series(chips: &ChipBatch, row: usize) -> BTreeMap<Modality, SampleSeries> {
    let one = |modality: Modality| {
        let series = chips.series(modality.name(), row)?;
        let sample = SampleSeries {
            pixels: series.pixels.to_f32(),
            valid: series.valid.to_vec(),
            datetimes: series.datetimes.to_vec(),
        };
        Some((modality, sample))
    };
    Modality::ALL.into_iter().filter_map(one).collect()
}
