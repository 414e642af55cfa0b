//! An item whose bands are bound: what a sensor saw at one moment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Bbox, Decision, Modality, PixelStatistics, RasterSource, Root, Verdict};

/// An item, resolved: every band has its file, and the radiometry is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Id of the item.
    pub item: String,
    /// Address of the item, without signatures, for `derived_from` links.
    pub item_href: Option<String>,
    /// Its collection.
    pub collection: Option<String>,
    /// Where the catalog lives.
    pub root: Root,
    /// Name of the sensor file.
    pub sensor: String,
    /// Input of the model that the scene feeds.
    pub modality: Modality,
    /// Moment of acquisition; of an interval, its middle.
    pub datetime: DateTime<Utc>,
    /// First and last moment; both are `datetime` where the item has one.
    pub interval: (DateTime<Utc>, DateTime<Utc>),
    /// Satellite, in lower case with hyphens (`sentinel-2a`).
    pub platform: Option<String>,
    /// Processing baseline times 100: `05.09` is 509.
    pub baseline: Option<u32>,
    /// Tile of the satellite's own grid (`33TWM`).
    pub tile: Option<String>,
    /// `ascending` or `descending`.
    pub orbit_state: Option<String>,
    /// Relative orbit.
    pub relative_orbit: Option<i64>,
    /// When the product was made, where the item says.
    pub processed: Option<DateTime<Utc>>,
    /// Share of the scene under cloud, 0 to 100, as the item claims.
    pub cloud_cover: Option<f64>,
    /// Where it lies.
    pub bbox: Bbox,
    /// Bands that were found, in the sensor's order.
    pub bands: Vec<RasterSource>,
    /// Bands of the sensor that the item lacks.
    pub missing: Vec<String>,
    /// What says which pixels to leave out.
    pub masks: Vec<Mask>,
    /// How digital numbers become values, and why.
    pub decision: Decision,
    /// What was chosen or left aside, in words, for the report.
    pub notes: Vec<String>,
}

impl Scene {
    /// The source of a band by its name in the sensor's words.
    pub fn band(&self, name: &str) -> Option<&RasterSource> {
        self.bands.iter().find(|source| source.band == name)
    }

    /// Judges what the pixels say about the radiometry, and takes it over where they settle it.
    ///
    /// `statistics` are those of the bands that [`Decision::check`] names. On [`Verdict::Settled`] the
    /// scene's sources carry the new radiometry; on every other verdict the scene is unchanged.
    pub fn settle(&mut self, statistics: &PixelStatistics) -> Verdict {
        let verdict = self.decision.confirm(statistics);
        if let Verdict::Settled(decision) = &verdict {
            for source in &mut self.bands {
                source.radiometry = decision.radiometry(&source.band, source.radiometry);
            }
            self.decision = decision.clone();
        }
        verdict
    }
}

/// A mask and how to read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// Where its values come from; never scaled.
    pub source: RasterSource,
    /// Which values mean that a pixel is left out.
    pub rule: MaskRule,
}

/// Which mask values mean that a pixel is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum MaskRule {
    /// A class map such as SCL.
    Classes {
        /// Values to leave out.
        invalid: Vec<i64>,
    },
    /// Any value but this one is left out.
    ValidIs {
        /// The value of good pixels.
        valid: i64,
    },
    /// A probability; pixels above the limit are left out.
    Above {
        /// The largest value of good pixels, in the mask's own unit.
        limit: f64,
    },
}

impl MaskRule {
    /// Whether a pixel with this mask value is to be left out; NaN always is.
    pub fn excludes(&self, value: f64) -> bool {
        match self {
            Self::Classes { invalid } => value.is_nan() || invalid.iter().any(|&class| value == class as f64),
            Self::ValidIs { valid } => value != *valid as f64,
            Self::Above { limit } => value.is_nan() || value > *limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_rules() {
        let scl = MaskRule::Classes { invalid: vec![0, 3, 8] };
        assert!(scl.excludes(0.0) && scl.excludes(8.0) && scl.excludes(f64::NAN) && !scl.excludes(4.0));
        assert!(MaskRule::ValidIs { valid: 0 }.excludes(1.0) && !MaskRule::ValidIs { valid: 0 }.excludes(0.0));
        assert!(MaskRule::Above { limit: 40.0 }.excludes(41.0) && !MaskRule::Above { limit: 40.0 }.excludes(40.0));
    }
}
