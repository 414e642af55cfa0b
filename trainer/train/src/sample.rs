//! What training learns from: chips with labels.

use std::collections::BTreeMap;

use skysense_contract::Modality;

/// One labelled chip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Acquisitions by modality, at least one. All samples have the same bands and the same side.
    pub series: BTreeMap<Modality, SampleSeries>,
    /// Those of an earlier time over the same pixels, where a task compares two times; else empty.
    pub before: BTreeMap<Modality, SampleSeries>,
    /// What is known of it.
    pub labels: Labels,
    /// `[height, width]` on the 10 m grid: what each pixel is for, where that is given; else blocks of the map are drawn.
    pub uses: Option<Vec<Use>>,
    /// Column and row of the upper left pixel on the target grid: decides which pixels validate.
    pub origin: [i64; 2],
    /// Longitude and latitude of its centre in degrees: decides whose prototypes it gets. Asked for where the model has
    /// some.
    pub centre: Option<[f64; 2]>,
}

/// What a pixel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is learned.
    Trains,
    /// It validates.
    Validates,
    /// Neither: it is kept for a test, or of no part.
    Neither,
}

/// What is known of a chip, by the kind of task.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// `[height, width]` on the 10 m grid: pixel values of classes, or of what to ignore.
    Classes(Vec<u8>),
    /// `[height, width]` on the 10 m grid: a quantity, not a number where it is not known.
    Values(Vec<f32>),
    /// Pixel values of the classes that the whole chip has: one of several, or any.
    Chip(Vec<u8>),
}

impl Labels {
    /// Classes of pixels; empty where something else is known.
    pub fn classes(&self) -> &[u8] {
        match self {
            Self::Classes(classes) => classes,
            _ => &[],
        }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::Classes(Vec::new())
    }
}

impl From<Vec<u8>> for Labels {
    fn from(classes: Vec<u8>) -> Self {
        Self::Classes(classes)
    }
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
