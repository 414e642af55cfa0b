//! What pretraining learns from: chips of one grid or samples, which are held in memory, or training shards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Fault, Host, NodeError, PlanInput, RunInput};
use skysense_contract::{Modality, Offer};
use skysense_edges::{ChipFacts, DatasetBatch, DatasetFacts, Dtype, ModalityFacts, SampleFacts};
use skysense_grid::Window;
use skysense_shards::Part;
use skysense_train::SampleSeries;
use skysense_train::pretrain::{HeldPlaces, Place, Places};

use super::samples::working_bytes;
use super::{Holdout, ShardPlaces, training_chips, unlabelled};
use crate::apply::modality_offers;
use crate::data::RowReader;
use crate::errors;

/// Where places come from, as it was planned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum PlannedPlaces {
    /// Chips of one grid.
    Chips(Box<ChipFacts>),
    /// Samples, each on a grid of its own.
    Samples(Box<SampleFacts>),
    /// A folder of shards: one that is there, or one that a node before writes.
    Shards(Box<PlannedShards>),
    /// Nothing: a plan alone.
    Assumed(AssumedPlaces),
}

/// A folder of shards, as it was planned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedShards {
    folder: PathBuf,
    /// Samples that train; at most, where they are still to be written.
    samples: usize,
    size: usize,
    modalities: BTreeMap<String, ModalityFacts>,
}

/// Places that are not there, for a plan of what a run on them would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssumedPlaces {
    /// How many.
    #[schemars(range(min = 1))]
    places: usize,
    /// Side of a place in pixels of 10 m; high resolution has 32 times as many.
    #[schemars(range(min = 1))]
    size: usize,
    /// Images of high resolution of a place (red, green and blue bytes), 0 for none.
    #[serde(default)]
    hr: usize,
    /// Sentinel-2 dates (ten bands).
    #[serde(default)]
    s2: usize,
    /// Sentinel-1 dates (VV and VH).
    #[serde(default)]
    s1: usize,
}

impl AssumedPlaces {
    fn modalities(&self) -> BTreeMap<String, ModalityFacts> {
        let s2 = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];
        let all: [(&str, &[&str], _, _, _, _); 3] = [
            ("hr", &["red", "green", "blue"], "byte", Dtype::U8, 32, self.hr),
            ("s2", &s2, "reflectance_e4", Dtype::I16, 1, self.s2),
            ("s1", &["VV", "VH"], "decibel", Dtype::F32, 1, self.s1),
        ];
        let facts = |(name, bands, unit, dtype, scale, dates): (&str, &[&str], &str, Dtype, usize, usize)| {
            let bands = bands.iter().map(ToString::to_string).collect();
            let facts = ModalityFacts { sensor: name.into(), bands, unit: unit.into(), dtype, scale, dates };
            (name.to_owned(), facts)
        };
        all.into_iter().filter(|(.., dates)| *dates > 0).map(facts).collect()
    }
}

impl PlannedPlaces {
    /// Of what the port `chips` promises, of the folder that `shards` names, or of what is assumed.
    ///
    /// # Errors
    /// None of them or more than one, and what cannot be read.
    pub(crate) fn new(
        input: Option<&PlanInput>,
        shards: Option<&Path>,
        assumed: Option<&AssumedPlaces>,
        host: &Host,
    ) -> Result<Self, Vec<Fault>> {
        match (input, shards, assumed) {
            (Some(input), None, None) => Self::of_input(input, host),
            (None, Some(folder), None) => {
                Self::of_folder(folder).map_err(|error| vec![Fault { field: "/shards".into(), ..Fault::from(error) }])
            }
            (None, None, Some(assumed)) => {
                if assumed.places == 0 || assumed.size == 0 || assumed.modalities().is_empty() {
                    let message = format!("{assumed:?}: expected places, a size, and dates of one modality at least");
                    return Err(Fault::new("/assume", "settings.invalid", message).into());
                }
                Ok(Self::Assumed(assumed.clone()))
            }
            (None, None, None) => {
                let hint =
                    "connect raster.chips, raster.samples or data.write, or name a folder of shards with `shards`";
                Err(Fault::new("", "input.missing", "there is nothing to learn from").hint(hint).into())
            }
            _ => {
                let message = "there is more than one source to learn from: the port `chips`, `shards`, `assume`";
                Err(Fault::new("", "settings.invalid", message).hint("keep one").into())
            }
        }
    }

    fn of_input(input: &PlanInput, host: &Host) -> Result<Self, Vec<Fault>> {
        fn read<T: serde::de::DeserializeOwned>(input: &PlanInput) -> Result<T, Vec<Fault>> {
            serde_json::from_value(input.facts.clone()).map_err(|error| {
                let message = format!("the facts of the {} cannot be read: {error}", input.kind);
                vec![
                    Fault::new("", "facts.invalid", message).hint("connect raster.chips, raster.samples or data.write"),
                ]
            })
        }
        match input.kind.as_str() {
            "sample" => Ok(Self::Samples(Box::new(read(input)?))),
            "dataset" => {
                if host.about().processes > 1 {
                    let message = "each of several processes would write the same folder of shards";
                    let hint = "write the shards in a run of their own, and name the folder with `shards`";
                    return Err(Fault::new("", "settings.processes", message).hint(hint).into());
                }
                let DatasetFacts { path, samples, size, validation, modalities, .. } = read(input)?;
                let samples = samples - (samples as f64 * validation.clamp(0.0, 1.0)) as usize;
                Ok(Self::Shards(Box::new(PlannedShards { folder: path.into(), samples, size, modalities })))
            }
            _ => Ok(Self::Chips(Box::new(read(input)?))),
        }
    }

    fn of_folder(folder: &Path) -> Result<Self, NodeError> {
        // Opened as it will be, so that a plan tells what a run would.
        let places = ShardPlaces::open(folder, Part::Train)?;
        let header = &places.shards().set().manifest().header;
        let mut modalities = header.modalities.clone();
        modalities.retain(|_, facts| facts.dates > 0);
        let planned = PlannedShards { folder: folder.into(), samples: places.count(), size: header.size, modalities };
        Ok(Self::Shards(Box::new(planned)))
    }

    /// The chips, where they are chips of one grid.
    pub(crate) fn chips(&self) -> Option<&ChipFacts> {
        match self {
            Self::Chips(chips) => Some(chips),
            _ => None,
        }
    }

    /// Side of a place in pixels of the 10 m grid.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Chips(chips) => chips.chip_size,
            Self::Samples(samples) => samples.size,
            Self::Shards(shards) => shards.size,
            Self::Assumed(assumed) => assumed.size,
        }
    }

    /// Places that are learned from, at most.
    pub(crate) fn count(&self, holdout: Option<&Holdout>) -> usize {
        match self {
            Self::Chips(chips) => training_chips(chips, holdout),
            Self::Samples(samples) => samples.samples,
            Self::Shards(shards) => shards.samples,
            Self::Assumed(assumed) => assumed.places,
        }
    }

    fn modalities(&self) -> BTreeMap<String, ModalityFacts> {
        match self {
            Self::Chips(chips) => chips.modalities.clone(),
            Self::Samples(samples) => samples.modalities.clone(),
            Self::Shards(shards) => shards.modalities.clone(),
            Self::Assumed(assumed) => assumed.modalities(),
        }
    }

    /// What the places hold.
    ///
    /// # Errors
    /// A modality, unit or type that no model knows.
    pub(crate) fn offers(&self) -> Result<BTreeMap<Modality, Offer>, Vec<Fault>> {
        modality_offers(&self.modalities(), self.size())
    }

    /// Bytes that places take while training goes on.
    pub(crate) fn bytes(&self, holdout: Option<&Holdout>, batch: usize) -> u64 {
        let held = match self {
            Self::Chips(_) | Self::Samples(_) => self.count(holdout),
            Self::Shards(_) | Self::Assumed(_) => 0,
        };
        working_bytes(&self.modalities(), self.size(), held, batch)
    }

    /// The places themselves.
    ///
    /// # Errors
    /// What cannot be read, and cancellation.
    pub(crate) fn read(
        &self,
        input: Option<RunInput>,
        holdout: Option<&Holdout>,
        host: &Host,
    ) -> Result<Box<dyn Places>, NodeError> {
        let offers = self.offers().map_err(|faults| errors::joined("facts.invalid", &faults))?;
        let missing = || NodeError::new("input.missing", "input `chips` is not connected");
        let held = match self {
            Self::Chips(facts) => chips(input.ok_or_else(missing)?, facts, holdout, host)?,
            Self::Samples(_) => samples(input.ok_or_else(missing)?, host)?,
            Self::Shards(planned) => {
                let folder = match input {
                    Some(input) => written(input)?,
                    None => planned.folder.clone(),
                };
                return Ok(Box::new(ShardPlaces::open(&folder, Part::Train)?.of(offers).with_validation()?));
            }
            Self::Assumed(_) => {
                return Err(NodeError::new("settings.assume", "places that are assumed are for a plan alone")
                    .hint("connect raster.chips, raster.samples or data.write, or name a folder with `shards`"));
            }
        };
        if held.is_empty() {
            return Err(NodeError::new("train.pixels", "no place that may be learned from has pixels")
                .hint("make the holdout smaller, or search items of the area"));
        }
        Ok(Box::new(HeldPlaces::new(held, offers, self.size())))
    }
}

/// The folder that a node before has written.
fn written(input: RunInput) -> Result<PathBuf, NodeError> {
    let mut folder = None;
    for batch in input {
        let dataset = DatasetBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?;
        folder = Some(PathBuf::from(dataset.path()));
    }
    folder.ok_or_else(|| NodeError::new("data.empty", "the node before told of no folder of shards"))
}

/// Chips that do not touch the holdout and have pixels, each with its name and the place of its centre.
fn chips(chips: RunInput, facts: &ChipFacts, holdout: Option<&Holdout>, host: &Host) -> Result<Vec<Place>, NodeError> {
    let mut places = Vec::new();
    for sample in unlabelled(chips, facts, holdout, host)? {
        let [x, y] = sample.origin;
        let side = facts.chip_size;
        let window = facts.geobox.window(&Window { x, y, width: side, height: side });
        let window = window.map_err(|error| NodeError::from_error("grid.invalid", &error))?;
        let (longitude, latitude) = skysense_raster::centre_lon_lat(&window).map_err(|error| errors::raster(&error))?;
        let name = format!("chip at column {x}, row {y}");
        places.push(Place { name, series: sample.series, centre: [longitude, latitude] });
    }
    Ok(places)
}

/// Samples that have pixels.
fn samples(samples: RunInput, host: &Host) -> Result<Vec<Place>, NodeError> {
    let mut places = Vec::new();
    for batch in samples {
        host.check_cancelled()?;
        for row in RowReader::Samples.rows(&batch?)? {
            let series = row.series.iter().filter_map(|(name, series)| {
                let modality = Modality::ALL.into_iter().find(|modality| modality.name() == name.as_str())?;
                let read = SampleSeries {
                    pixels: series.pixels.as_ref().to_f32(),
                    valid: series.valid.clone(),
                    datetimes: series.datetimes.clone(),
                };
                Some((modality, read))
            });
            let series: BTreeMap<_, _> = series.collect();
            if !series.is_empty() {
                places.push(Place { name: row.name(), series, centre: row.place.centre });
            }
        }
    }
    Ok(places)
}
