//! Chips in, maps out: batches through ONNX Runtime.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::Deserialize;
use serde_json::json;
use skysense_abi::{BatchStream, DeviceLease, Host, Level, NodeError, NodePlan, RunInput, RunInputs};
use skysense_contract::{GeoContext, Modality, Offer, Package};
use skysense_edges::{
    ChipBatch, ChipFacts, MapBuilder, MapFacts, MapRow, ModelBatch, PixelsRef, feature_schema, prediction_schema,
};
use skysense_grid::GeoBox;
use skysense_infer::{ChipInput, Maps, Model, Options, Pixels, Record, Series};

use super::fit::{ModelState, Settings, most_dates, planned_offers};
use super::flips;
use super::rows::Rows;
use crate::errors;
use crate::settings::planned;

/// Chips that are run at once, where the workflow does not say.
pub(crate) const BATCH: usize = 8;

/// What the model gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Feature maps: those of the model, or of one encoder.
    Features(Option<Modality>),
    /// What the head says: probabilities of classes, or values of a quantity.
    Answers,
}

impl Task {
    /// Columns of the node's output.
    pub(crate) fn schema(self, channels: usize, side: usize) -> SchemaRef {
        match self {
            Self::Features(_) => feature_schema(channels, side),
            Self::Answers => prediction_schema(channels, side),
        }
    }
}

/// What a run must know again.
#[derive(Deserialize)]
struct State {
    model: ModelState,
    before: Option<ChipFacts>,
}

struct Applied {
    task: Task,
    model: Model,
    grid: GeoBox,
    chips: RunInput,
    /// Those of the earlier time, where the model compares two.
    before: Option<Rows>,
    /// Whether each chip is looked at flipped too.
    flips: bool,
    ready: VecDeque<RecordBatch>,
    /// Rows of one output batch.
    batch: usize,
    done: u64,
    total: u64,
    ended: bool,
    /// Whether it was said that a chip lies outside of all regions.
    warned: bool,
    host: Host,
    _device: DeviceLease,
}

/// Opens the model and starts applying it.
///
/// # Errors
/// A model that cannot be opened, a device that is not there.
pub(crate) fn run(
    task: Task,
    settings: &Settings,
    plan: NodePlan,
    mut inputs: RunInputs,
    host: Host,
) -> Result<BatchStream, NodeError> {
    let state: State = planned(plan.state)?;
    let (state, before) = (state.model, state.before);
    let facts: MapFacts = planned(plan.facts)?;
    let mut offers = planned_offers(&facts.chips)?;
    if let Some(before) = &before {
        most_dates(&mut offers, before).map_err(|faults| errors::joined("facts.invalid", &faults))?;
    }
    let encoder = match task {
        Task::Features(encoder) => encoder,
        Task::Answers => None,
    };
    let (package, options, device) = open(settings, (&state, &offers, encoder), &mut inputs, &host)?;
    let batch = settings.batch.unwrap_or(BATCH).max(1);
    let model = Model::load(package, options).map_err(|error| errors::infer(&error))?;
    say(model.record(), &host);
    let total = facts.chips.chips() as u64;
    Ok(Box::new(Applied {
        task,
        model,
        grid: facts.chips.geobox,
        chips: inputs.require("chips")?,
        before: before.map(|_| inputs.require("before").map(Rows::new)).transpose()?,
        flips: settings.flips,
        ready: VecDeque::new(),
        batch,
        done: 0,
        total,
        ended: false,
        warned: false,
        host,
        _device: device,
    }))
}

/// The package that a node applies, how it is opened for chips, and the device that it runs on.
///
/// # Errors
/// A package that cannot be read, chips that do not fit it, a device that is not there.
pub(crate) fn open(
    settings: &Settings,
    (state, offers, encoder): (&ModelState, &BTreeMap<Modality, Offer>, Option<Modality>),
    inputs: &mut RunInputs,
    host: &Host,
) -> Result<(Package, Options, DeviceLease), NodeError> {
    let folder = match &state.path {
        Some(path) => path.clone(),
        None => model_path(inputs.require("model")?)?,
    };
    let package = Package::open(&folder).map_err(|error| errors::contract(&error))?;
    let device = host.lease_device(settings.device.as_deref().unwrap_or("auto"))?;
    let options = options(settings, &package, offers, (state, device.name(), encoder), host)?;
    Ok((package, options, device))
}

/// Says what results are made with.
pub(crate) fn say(record: &Record, host: &Host) {
    host.log(
        Level::Info,
        format!("model {} runs on {} with ONNX Runtime {}", record.model, record.device, record.runtime),
    );
    host.report("decision", &json!({"what": "inference", "value": record, "why": "what equal results need"}));
}

fn options(
    settings: &Settings,
    package: &Package,
    offers: &BTreeMap<Modality, Offer>,
    (state, device, encoder): (&ModelState, &str, Option<Modality>),
    host: &Host,
) -> Result<Options, NodeError> {
    let binding = package.contract().bind(offers, state.bands.rule()).map_err(|error| errors::contract(&error))?;
    Ok(Options {
        device: device.parse().map_err(|error| errors::infer(&error))?,
        threads: settings.threads.unwrap_or_else(|| host.about().threads),
        batch: settings.batch.unwrap_or(0),
        dates: offers.iter().map(|(modality, offer)| (*modality, offer.dates)).collect(),
        binding: Some(binding),
        encoder,
        ..Options::default()
    })
}

/// The package that came with the run.
pub(crate) fn model_path(mut port: RunInput) -> Result<PathBuf, NodeError> {
    let batch =
        port.next().ok_or_else(|| NodeError::new("model.missing", "no model came through the port `model`"))??;
    let model = ModelBatch::try_new(&batch).map_err(|error| errors::edge(&error))?;
    Ok(PathBuf::from(model.path()))
}

impl Iterator for Applied {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            match self.chips.next() {
                None => self.ended = true,
                Some(batch) => {
                    if let Err(error) = batch.and_then(|batch| self.apply(&batch)) {
                        self.ended = true;
                        self.ready.clear();
                        return Some(Err(error));
                    }
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Applied {
    fn apply(&mut self, batch: &RecordBatch) -> Result<(), NodeError> {
        let chips = ChipBatch::try_new(batch).map_err(|error| errors::edge(&error))?;
        let mut from = 0;
        while from < chips.len() {
            self.host.check_cancelled()?;
            let rows = from..(from + self.batch).min(chips.len());
            let context = self.model.package().contract().geo_context.clone();
            let context = context.as_ref();
            let inputs: Vec<ChipInput<'_>> =
                rows.clone().map(|row| chip_input(&chips, row, &self.grid, context)).collect::<Result<_, _>>()?;
            self.warn(&chips, rows.clone())?;
            let earlier = match &mut self.before {
                Some(before) => before.beside(&chips, rows.clone())?,
                None => Vec::new(),
            };
            let before: Vec<ChipInput<'_>> = earlier
                .iter()
                .map(|(chips, row)| chip_input(chips, *row, &self.grid, context))
                .collect::<Result<_, _>>()?;
            let contract = self.model.package().contract();
            let side =
                |modality| contract.modalities.get(&modality).map_or(0, |input| contract.chip_size * input.scale);
            let maps = match (self.task, self.before.is_some(), self.flips) {
                (Task::Features(_), ..) => self.model.features(&inputs).map_err(|error| errors::infer(&error)),
                (Task::Answers, true, false) => {
                    self.model.compare(&before, &inputs).map_err(|error| errors::infer(&error))
                }
                (Task::Answers, false, false) => self.model.predict(&inputs).map_err(|error| errors::infer(&error)),
                (Task::Answers, true, true) => {
                    flips::mean(&[&before, &inputs], &side, |lists| self.model.compare(&lists[0], &lists[1]))
                }
                (Task::Answers, false, true) => flips::mean(&[&inputs], &side, |lists| self.model.predict(&lists[0])),
            };
            let maps = maps.map_err(|error| error.at("chip", chips.chip(from)).at("period", chips.period(from)))?;
            self.ready.push_back(self.rows(&chips, from, &maps)?);
            self.done += rows.len() as u64;
            self.host.progress(self.done, Some(self.total), "chips");
            from = rows.end;
        }
        Ok(())
    }

    /// Says once that a chip lies where the model has no prototypes.
    fn warn(&mut self, chips: &ChipBatch, rows: Range<usize>) -> Result<(), NodeError> {
        let Some(context) = self.model.package().contract().geo_context.as_ref().filter(|_| !self.warned) else {
            return Ok(());
        };
        for row in rows {
            let [longitude, latitude] = centre(chips, row, &self.grid)?;
            if !context.knows(longitude, latitude) {
                self.warned = true;
                let place = format!("{longitude:.3}, {latitude:.3}");
                let message = format!(
                    "chip {} at {place} lies in no region that the model has prototypes of: it gets those of the nearest",
                    chips.chip(row)
                );
                self.host.log(Level::Warn, message);
                return Ok(());
            }
        }
        Ok(())
    }

    fn rows(&self, chips: &ChipBatch, from: usize, maps: &Maps) -> Result<RecordBatch, NodeError> {
        let mut builder = match self.task {
            Task::Features(_) => MapBuilder::features(maps.channels, maps.size),
            Task::Answers => MapBuilder::predictions(maps.channels, maps.size),
        };
        for index in 0..maps.chips {
            let row = MapRow {
                chip: chips.chip(from + index),
                period: chips.period(from + index).to_owned(),
                window: chips.window(from + index).map_err(|error| errors::edge(&error))?,
                values: maps.chip(index).to_vec(),
                valid: maps.chip_valid(index).to_vec(),
            };
            builder.push(row).map_err(|error| errors::edge(&error))?;
        }
        builder.finish().map_err(|error| errors::edge(&error))
    }
}

/// A row of chips as the model takes it: slices of the Arrow buffers, and the region of the chip's centre where the model
/// asks for one.
pub(crate) fn chip_input<'a>(
    chips: &'a ChipBatch,
    row: usize,
    grid: &GeoBox,
    context: Option<&GeoContext>,
) -> Result<ChipInput<'a>, NodeError> {
    let input = pixels(chips, row)?;
    let Some(context) = context else { return Ok(input) };
    let [longitude, latitude] = centre(chips, row, grid)?;
    // A contract counts regions in thousands, far below what an i64 holds.
    Ok(input.with_region(context.region(longitude, latitude) as i64))
}

/// Longitude and latitude of the centre of a row of chips.
///
/// # Errors
/// A window that the grid does not have, or a reference system without longitude and latitude.
pub(crate) fn centre(chips: &ChipBatch, row: usize, grid: &GeoBox) -> Result<[f64; 2], NodeError> {
    let window = chips.window(row).map_err(|error| errors::edge(&error))?;
    let place = grid.window(&window).map_err(|error| NodeError::from_error("chips.window", &error))?;
    let (longitude, latitude) =
        skysense_raster::centre_lon_lat(&place).map_err(|error| errors::raster(&error).at("chip", chips.chip(row)))?;
    Ok([longitude, latitude])
}

/// The pixels of a row of chips.
fn pixels(chips: &ChipBatch, row: usize) -> Result<ChipInput<'_>, NodeError> {
    let mut input = ChipInput::default();
    for modality in Modality::ALL {
        let Some(series) = chips.series(modality.name(), row) else { continue };
        let pixels = match series.pixels {
            PixelsRef::U8(values) => Pixels::U8(values),
            PixelsRef::I16(values) => Pixels::I16(values),
            PixelsRef::F32(values) => Pixels::F32(values),
            PixelsRef::U16(_) => {
                return Err(NodeError::new(
                    "chips.type",
                    format!("{modality} pixels are u16; a model takes u8, i16 or f32"),
                )
                .at("chip", chips.chip(row)));
            }
        };
        let series = Series { pixels, valid: Some(series.valid), datetimes: series.datetimes };
        input = match modality {
            Modality::Hr => input.with_hr(series),
            Modality::S2 => input.with_s2(series),
            Modality::S1 => input.with_s1(series),
        };
    }
    Ok(input)
}
