//! What pretraining learns from: places, without labels.

use std::collections::BTreeMap;

use skysense_contract::{Modality, Offer};

use crate::{SampleSeries, TrainError};

/// All that was seen of one square footprint.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// What messages call it.
    pub name: String,
    /// Acquisitions by modality, at least one, over the whole footprint.
    pub series: BTreeMap<Modality, SampleSeries>,
    /// Longitude and latitude of its centre, degrees.
    pub centre: [f64; 2],
}

/// Where places come from: any of them at any time, so that they can be shuffled without being held in memory.
pub trait Places: Send + Sync {
    /// What the places hold, by modality; one that a place lacks is absent from its series.
    fn offers(&self) -> &BTreeMap<Modality, Offer>;

    /// Side of every place in pixels of the 10 m grid.
    fn size(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// Checksum of all of them: a run goes on only with the places that it began with.
    fn checksum(&self) -> &str;

    /// Places of the same kind that nothing is learned from, none of them on the ground of one of these: their losses are
    /// measured on the way.
    fn validation(&self) -> Option<&dyn Places> {
        None
    }

    /// Reads one; several threads do at once.
    ///
    /// # Errors
    /// What cannot be read, with the file. Pretraining leaves such a place out, counts it and names it.
    fn read(&self, index: usize) -> Result<Place, TrainError>;
}
