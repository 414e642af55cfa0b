//! The run of `raster.samples`: the samples of one place after the other, a few places at a time.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::RecordBatch;
use rayon::prelude::*;
use skysense_abi::{Host, NodeError, RunInput};
use skysense_catalog::Modality;
use skysense_edges::{LocationBatch, PlaceRow, SampleBuilder, SampleRow};
use skysense_grid::{Chip, Window};

use super::pairing::{Days, Picked};
use super::plan::{SamplePlan, around};
use crate::chips::{Cutter, PlannedDate, block_cache, readers};
use crate::errors;

/// Places that are read at once: while some wait for a server, others are decoded.
pub(crate) const TOGETHER: usize = 8;

/// Batches of one sample, made when they are asked for.
struct Samples {
    reader: Reader,
    pool: rayon::ThreadPool,
    host: Host,
    input: RunInput,
    waiting: VecDeque<PlaceRow>,
    ready: VecDeque<Result<RecordBatch, NodeError>>,
    done: u64,
}

/// Reads the samples of places, several at once.
struct Reader {
    plan: SamplePlan,
    cutter: Cutter,
    days: Days,
    host: Host,
}

/// Starts reading samples.
///
/// # Errors
/// Threads that the system refuses.
pub(crate) fn run(
    plan: SamplePlan,
    input: RunInput,
    host: Host,
) -> Result<impl Iterator<Item = Result<RecordBatch, NodeError>> + Send, NodeError> {
    skysense_raster::setup(&block_cache()).map_err(|error| errors::raster(&error))?;
    let pool = readers(&host)?;
    let (cutter, days) = (Cutter::new(plan.chips.clone(), host.clone()), plan.days());
    let reader = Reader { plan, cutter, days, host: host.clone() };
    let (waiting, ready) = (VecDeque::new(), VecDeque::new());
    Ok(Samples { reader, pool, host, input, waiting, ready, done: 0 })
}

impl Iterator for Samples {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                if batch.is_err() {
                    // An error ends the stream.
                    self.ready.clear();
                    self.waiting.clear();
                    self.input = RunInput::new("location", self.input.schema.clone(), Box::new(std::iter::empty()));
                }
                return Some(batch);
            }
            match self.places() {
                Err(error) => self.ready.push_back(Err(error)),
                Ok(places) if places.is_empty() => return None,
                Ok(places) => {
                    let reader = &self.reader;
                    let read: Vec<_> =
                        self.pool.install(|| places.par_iter().map(|place| reader.place(place)).collect());
                    for samples in read {
                        match samples {
                            Ok(samples) => {
                                self.done += samples.len() as u64;
                                self.ready.extend(samples.into_iter().map(Ok));
                            }
                            Err(error) => self.ready.push_back(Err(error)),
                        }
                    }
                    self.host.progress(self.done, Some(self.reader.plan.samples as u64), "samples");
                }
            }
        }
    }
}

impl Samples {
    /// The next few places.
    fn places(&mut self) -> Result<Vec<PlaceRow>, NodeError> {
        self.host.check_cancelled()?;
        while self.waiting.len() < TOGETHER {
            let Some(batch) = self.input.next() else { break };
            let batch = LocationBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
            for place in batch.rows() {
                self.waiting.push_back(place.map_err(|error| errors::edge(&error))?);
            }
        }
        let count = self.waiting.len().min(TOGETHER);
        Ok(self.waiting.drain(..count).collect())
    }
}

impl Reader {
    /// The samples of a place that have any pixel.
    fn place(&self, place: &PlaceRow) -> Result<Vec<RecordBatch>, NodeError> {
        let bounds = around(&place.grid).map_err(|fault| NodeError::new(&fault.code, fault.message))?;
        let mut samples = Vec::new();
        for picked in self.plan.pairing.pick(&bounds, &self.days) {
            self.host.check_cancelled()?;
            let dates = self.dates(&picked);
            let (width, height) = (place.grid.width, place.grid.height);
            let chip = Chip { index: 0, row: 0, column: 0, window: Window::full(width, height) };
            let cut = self.cutter.cut(&place.grid, &dates, &[chip]).map_err(|error| error.at("place", &place.place))?;
            let Some(series) = cut.into_iter().next().filter(|series| !series.is_empty()) else {
                self.host.count("empty_samples", 1);
                continue;
            };
            let mut builder = SampleBuilder::new(self.plan.schema());
            let row = SampleRow { place: place.clone(), period: picked.period, series };
            builder.push(row).map_err(|error| errors::edge(&error).at("place", &place.place))?;
            samples.push(builder.finish().map_err(|error| errors::edge(&error))?);
        }
        Ok(samples)
    }

    /// What is read for a sample: of each day the scenes that touch the place.
    fn dates(&self, picked: &Picked) -> BTreeMap<Modality, Vec<PlannedDate>> {
        let all: Vec<&PlannedDate> = self.plan.dates().map(|(_, date)| date).collect();
        let date = |(day, scenes): &(usize, Vec<usize>)| {
            let scenes: Vec<_> = scenes.iter().filter_map(|&scene| all[*day].scenes.get(scene)).cloned().collect();
            let first = scenes.iter().map(|scene| scene.datetime).min().unwrap_or_default();
            PlannedDate { datetime: first.timestamp_millis(), scenes }
        };
        picked.dates.iter().map(|(modality, days)| (*modality, days.iter().map(date).collect())).collect()
    }
}
