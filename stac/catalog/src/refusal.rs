//! Why an item is not used.

use serde::{Deserialize, Serialize};

/// A reason to leave an item out, for the report: nothing is left out in silence.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Refusal {
    /// No sensor file knows this collection or family.
    #[error(
        "item `{item}`: no sensor for collection `{collection}`; map it in the workflow with `sensors: {{{collection}: <sensor>}}` (known: {known})"
    )]
    NoSensor {
        /// The item.
        item: String,
        /// Its collection, or `none`.
        collection: String,
        /// Names of the sensors there are.
        known: String,
    },
    /// The item lacks bands that were asked for.
    #[error("item `{item}`: band(s) {missing} of {sensor} not found; its assets are {assets}")]
    MissingBands {
        /// The item.
        item: String,
        /// The sensor.
        sensor: String,
        /// Bands that were not found.
        missing: String,
        /// Keys of the assets that are rasters.
        assets: String,
    },
    /// Radar with other polarisations.
    #[error("item `{item}`: polarisation(s) {found}, expected {expected}")]
    Polarisation {
        /// The item.
        item: String,
        /// What it has.
        found: String,
        /// What the sensor needs.
        expected: String,
    },
    /// Radar in ground-range geometry, with uncalibrated amplitudes.
    #[error(
        "item `{item}`: ground-range amplitudes tied to the Earth by ground control points only, without calibration; use a terrain-corrected collection (sentinel-1-rtc), or state the calibration in the workflow with `radiometry: {{sentinel-1-grd: {{unit: amplitude, calibration_db: <dB>}}}}`; its control points then place it"
    )]
    Uncalibrated {
        /// The item.
        item: String,
    },
    /// The unit of radar values cannot be told.
    #[error(
        "item `{item}`, asset `{asset}`: {found}; state it in the workflow with `radiometry: {{<collection>: {{unit: linear|decibel|amplitude|scaled_decibel}}}}`"
    )]
    UnknownUnit {
        /// The item.
        item: String,
        /// The asset.
        asset: String,
        /// What is known.
        found: String,
    },
    /// A wrong or absent field that cannot be worked around.
    #[error("item `{item}`: {field} is {found}, expected {expected}")]
    Metadata {
        /// The item.
        item: String,
        /// Which field.
        field: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// An asset whose name and metadata name different bands.
    #[error(
        "item `{item}`, asset `{asset}`: its key says band {key}, its metadata says {metadata}; fix the item or leave it out"
    )]
    BandConflict {
        /// The item.
        item: String,
        /// The asset.
        asset: String,
        /// Band by the key.
        key: String,
        /// Band by the metadata.
        metadata: String,
    },
}
