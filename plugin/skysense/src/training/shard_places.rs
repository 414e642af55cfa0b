//! Training shards as what pretraining learns from.

use std::collections::BTreeMap;
use std::path::Path;

use skysense_abi::NodeError;
use skysense_contract::{Modality, Offer};
use skysense_shards::{Part, ShardError, ShardPart, Shards};
use skysense_train::pretrain::{Place, Places};
use skysense_train::{SampleSeries, TrainError};

use crate::apply::modality_offers;
use crate::errors;

/// The samples of one part of a folder of shards. One is read at a time, its checksum is held against the index, and
/// nothing is held in memory.
#[derive(Debug)]
pub struct ShardPlaces {
    part: ShardPart,
    offers: BTreeMap<Modality, Offer>,
    size: usize,
    checksum: String,
    validation: Option<Box<Self>>,
}

impl ShardPlaces {
    /// Opens a part of a folder by its manifest; no shard is read.
    ///
    /// # Errors
    /// A folder without finished shards, a part without samples, and pixels of a type that no model takes.
    pub fn open(folder: &Path, part: Part) -> Result<Self, NodeError> {
        Self::of_part(&Shards::open(folder).map_err(|error| errors::shards(&error))?, part)
    }

    fn of_part(shards: &Shards, part: Part) -> Result<Self, NodeError> {
        let folder = shards.folder();
        let (manifest, reader) = (shards.manifest(), shards.part(part));
        if reader.count() == 0 {
            let message = format!("{} holds no samples of the part `{part}`", folder.display());
            return Err(NodeError::new("data.empty", message)
                .at("path", folder.display())
                .hint("write the set again with smaller blocks, another seed or another share of `validation`"));
        }
        // A modality that no sample has is nothing to learn from.
        let mut modalities = manifest.header.modalities.clone();
        modalities.retain(|_, facts| facts.dates > 0);
        let offers = modality_offers(&modalities, manifest.header.size)
            .map_err(|faults| errors::joined("data.invalid", &faults).at("path", folder.display()))?;
        Ok(Self {
            offers,
            size: manifest.header.size,
            checksum: manifest.checksum(part),
            part: reader,
            validation: None,
        })
    }

    /// As samples of what was planned: a modality that was not is not read, and one that no sample has is still an input
    /// of the model.
    #[must_use]
    pub fn of(mut self, offers: BTreeMap<Modality, Offer>) -> Self {
        self.offers = offers;
        self
    }

    /// With the part that validates, where the set has one.
    ///
    /// # Errors
    /// As [`ShardPlaces::open`].
    pub fn with_validation(mut self) -> Result<Self, NodeError> {
        let set = self.part.set();
        if set.manifest().samples(Part::Validation) > 0 {
            let other = Self::of_part(set, Part::Validation)?.of(self.offers.clone());
            self.validation = Some(Box::new(other));
        }
        Ok(self)
    }

    /// The shards that are read.
    pub fn shards(&self) -> &ShardPart {
        &self.part
    }
}

impl Places for ShardPlaces {
    fn offers(&self) -> &BTreeMap<Modality, Offer> {
        &self.offers
    }

    fn size(&self) -> usize {
        self.size
    }

    fn count(&self) -> usize {
        self.part.count()
    }

    fn checksum(&self) -> &str {
        &self.checksum
    }

    fn validation(&self) -> Option<&dyn Places> {
        Some(self.validation.as_deref()?)
    }

    fn read(&self, index: usize) -> Result<Place, TrainError> {
        let fault = |error: ShardError| TrainError::Sample { sample: index, fault: error.to_string() };
        let sample = self.part.read(index).map_err(fault)?;
        let wrong = |error: skysense_edges::EdgeError| TrainError::Sample { sample: index, fault: error.to_string() };
        let place = sample.place(0).map_err(wrong)?;
        let series = Modality::ALL.into_iter().filter_map(|modality| {
            let series = self.offers.get(&modality).and_then(|_| sample.series(modality.name(), 0))?;
            let read = SampleSeries {
                pixels: series.pixels.to_f32(),
                valid: series.valid.to_vec(),
                datetimes: series.datetimes.to_vec(),
            };
            Some((modality, read))
        });
        let name = skysense_edges::sample_name(&place.place, sample.period(0));
        Ok(Place { name, series: series.collect(), centre: place.centre })
    }
}
