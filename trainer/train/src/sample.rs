//! What training learns from: chips with labels.

use std::collections::BTreeMap;

use skysense_contract::Modality;

/// One labelled chip.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Acquisitions by modality, at least one. All samples have the same bands and the same side.
    pub series: BTreeMap<Modality, SampleSeries>,
    /// Labels `[height, width]` on the 10 m grid: pixel values of classes, or of what to ignore.
    pub labels: Vec<u8>,
    /// Column and row of the upper left pixel on the target grid: decides which pixels validate.
    pub origin: [i64; 2],
    /// Longitude and latitude of its centre in degrees: decides whose prototypes it gets. Asked for where the model has
    /// some.
    pub centre: Option<[f64; 2]>,
}

/// The acquisitions of one modality over a chip.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSeries {
    /// Pixels `[time, band, height, width]` in the bands, unit and type (widened to f32) of the offer.
    pub pixels: Vec<f32>,
    /// Validity `[time, height, width]`, 0 where a pixel is not to be used.
    pub valid: Vec<u8>,
    /// Instant of each acquisition, milliseconds since 1970 UTC.
    pub datetimes: Vec<i64>,
}
