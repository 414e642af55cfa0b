//! Places that are held in memory.

use std::collections::BTreeMap;

use skysense_contract::{Modality, Offer, sha256_bytes};

use super::{Place, Places};
use crate::TrainError;

/// Places in memory: for what fits there, such as the chips of one workflow.
#[derive(Debug, Clone)]
pub struct HeldPlaces {
    places: Vec<Place>,
    offers: BTreeMap<Modality, Offer>,
    size: usize,
    checksum: String,
    validation: Option<Box<Self>>,
}

impl HeldPlaces {
    /// Places of `size` pixels of the 10 m grid along a side that hold what the offers say.
    pub fn new(places: Vec<Place>, offers: BTreeMap<Modality, Offer>, size: usize) -> Self {
        let mut sums = format!("{size} {offers:?}").into_bytes();
        for place in &places {
            // One place at a time, or the bytes of all would be held twice.
            let mut bytes = place.name.clone().into_bytes();
            bytes.extend(place.centre.iter().flat_map(|value| value.to_le_bytes()));
            for (modality, series) in &place.series {
                bytes.extend(modality.name().bytes());
                bytes.extend(series.pixels.iter().flat_map(|value| value.to_le_bytes()));
                bytes.extend(&series.valid);
                bytes.extend(series.datetimes.iter().flat_map(|value| value.to_le_bytes()));
            }
            sums.extend(sha256_bytes(&bytes).bytes());
        }
        Self { places, offers, size, checksum: sha256_bytes(&sums), validation: None }
    }

    /// With others of the same kind that nothing is learned from.
    #[must_use]
    pub fn validated_by(mut self, others: Self) -> Self {
        self.validation = Some(Box::new(others));
        self
    }
}

impl Places for HeldPlaces {
    fn offers(&self) -> &BTreeMap<Modality, Offer> {
        &self.offers
    }

    fn size(&self) -> usize {
        self.size
    }

    fn count(&self) -> usize {
        self.places.len()
    }

    fn checksum(&self) -> &str {
        &self.checksum
    }

    fn validation(&self) -> Option<&dyn Places> {
        Some(self.validation.as_deref()?)
    }

    fn read(&self, index: usize) -> Result<Place, TrainError> {
        self.places.get(index).cloned().ok_or_else(|| TrainError::Sample {
            sample: index,
            fault: format!("there are {} places", self.places.len()),
        })
    }
}
