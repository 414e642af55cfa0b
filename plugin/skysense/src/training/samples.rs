//! Chips, with labels or without, as samples.

use std::collections::BTreeMap;
use std::path::PathBuf;

use skysense_abi::{Host, NodeError, RunInput};
use skysense_contract::{Modality, Task};
use skysense_edges::{ChipBatch, ChipFacts, ModalityFacts};
use skysense_grid::Window;
use skysense_train::{Sample, SampleSeries};

use super::given_split::Part;
use super::truth::Known;
use super::{Holdout, LabelDates, LabelReader, Truth};
use crate::apply::{Rows, centre};
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
    let truth = Truth { task: Task::Segmentation, share: 0.0 };
    held(|take| labelled((chips, None), facts, (labels, truth, LabelDates::Any), holdout, host, take))
}

/// What becomes of a sample.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Sample) -> Result<(), NodeError>;

/// Samples in memory.
fn held(give: impl FnOnce(Take<'_>) -> Result<(), NodeError>) -> Result<Vec<Sample>, NodeError> {
    let mut samples = Vec::new();
    give(&mut |sample| {
        samples.push(sample);
        Ok(())
    })?;
    Ok(samples)
}

/// The same for a task, with chips of an earlier time where it compares two; each sample is given away as it is read.
///
/// # Errors
/// As [`samples`], chips of two times that are no pairs, and those of `take`.
pub(crate) fn labelled(
    chips: (RunInput, Option<RunInput>),
    facts: &ChipFacts,
    (labels, truth, dates): (&LabelReader, Truth, LabelDates),
    holdout: Option<&Holdout>,
    host: &Host,
    take: Take<'_>,
) -> Result<(), NodeError> {
    let known = |window: &Window, period: &str| truth.of(labels, (&facts.geobox, window), dates.span(facts, period));
    gather(chips, facts, (holdout, host), known, take)
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
    let known = |window: &Window, _: &str| Ok(Some(Known { labels: vec![0; window.area()].into(), parts: None }));
    held(|take| gather((chips, None), facts, (holdout, host), known, take))
}

/// Samples of the chips whose window and period `known` gives something for.
fn gather(
    (chips, before): (RunInput, Option<RunInput>),
    facts: &ChipFacts,
    (holdout, host): (Option<&Holdout>, &Host),
    known: impl Fn(&Window, &str) -> Result<Option<Known>, NodeError>,
    take: Take<'_>,
) -> Result<(), NodeError> {
    let mut earlier = before.map(Rows::new);
    for batch in chips {
        host.check_cancelled()?;
        let chips = ChipBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
        for row in 0..chips.len() {
            let window = chips.window(row).map_err(|error| errors::edge(&error))?;
            let before = match &mut earlier {
                Some(earlier) => earlier.beside(&chips, row..row + 1)?.first().map(|(chips, row)| series(chips, *row)),
                None => None,
            };
            if holdout.is_some_and(|holdout| !holdout.trains(&facts.geobox, &window)) {
                continue;
            }
            let series = series(&chips, row);
            if series.is_empty() || before.as_ref().is_some_and(BTreeMap::is_empty) {
                continue;
            }
            if let Some(Known { labels, parts }) = known(&window, chips.period(row))? {
                // Only prototypes ask for it: a grid without longitude and latitude is none for those alone.
                let centre = centre(&chips, row, &facts.geobox).ok();
                take(Sample {
                    series,
                    before: before.unwrap_or_default(),
                    labels,
                    uses: parts.map(|parts| parts.into_iter().map(Part::used).collect()),
                    origin: [window.x, window.y],
                    centre,
                })?;
            }
        }
    }
    Ok(())
}

/// Where samples are spooled: in the node's own folder, or where a host has none among the system's temporary files.
pub(crate) fn spool_folder(host: &Host) -> PathBuf {
    host.scratch().unwrap_or_else(std::env::temp_dir)
}

/// Bytes that so many samples take while training goes on: they are held as they came and as they are fed, and a step
/// holds a few times its batch.
pub(crate) fn sample_bytes(chips: &ChipFacts, samples: usize, batch: usize) -> u64 {
    working_bytes(&chips.modalities, chips.chip_size, samples, batch)
}

/// Bytes of memory and of disk that so many spooled samples take while training goes on. Held are a few of them, the
/// samples of a step, and of every pixel of the 10 m grid its class, number and use.
pub(crate) fn spooled_bytes(chips: &ChipFacts, samples: usize, batch: usize) -> (u64, u64) {
    /// A class takes three bytes, a number four, a use one.
    const KNOWN: u64 = 8;
    /// Of a sample beside its pixels, such as its dates and its place in the file.
    const REST: u64 = 1 << 10;
    /// As it came, as it is fed, and as bytes of the file.
    const IN_HAND: usize = 2;
    let area = (chips.chip_size as u64).pow(2);
    let known = (samples as u64).saturating_mul(KNOWN * area + REST);
    let memory = working_bytes(&chips.modalities, chips.chip_size, IN_HAND, batch).saturating_add(known);
    // As it came with its validity, and as it is fed; pixels in their own type.
    let of =
        |m: &ModalityFacts| m.dates * (2 * m.bands.len() * m.dtype.bytes() + 1) * (chips.chip_size * m.scale).pow(2);
    let pixels: usize = chips.modalities.values().map(of).sum();
    (memory, (samples as u64).saturating_mul(pixels as u64 + 4 * area))
}

/// As [`sample_bytes`], of modalities and the side of a sample on the 10 m grid.
pub(super) fn working_bytes(
    modalities: &BTreeMap<String, ModalityFacts>,
    size: usize,
    samples: usize,
    batch: usize,
) -> u64 {
    let of = |m: &ModalityFacts| m.dates * (m.bands.len() * 4 + 1) * (size * m.scale).pow(2);
    let pixels: usize = modalities.values().map(of).sum();
    let held = samples.saturating_mul(3).saturating_add(batch.saturating_mul(40)).saturating_mul(pixels);
    (held as u64).saturating_add(384 << 20)
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
